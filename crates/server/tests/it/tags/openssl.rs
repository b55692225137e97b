//! Both ways with `openssl` and a shell: what is written here verifies there, and the other way round.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{authority_of, get, refused, register, write};
use crate::support::House;

/// A key that `openssl` made.
pub struct Key {
    dir: tempfile::TempDir,
    pub public: String,
}

impl Key {
    /// - `options`: of `openssl genpkey`.
    pub fn new(algorithm: &str, options: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut arguments = vec!["genpkey", "-algorithm", algorithm, "-out", "key.pem"];
        arguments.extend(options);
        openssl(dir.path(), &arguments);
        openssl(dir.path(), &["pkey", "-in", "key.pem", "-pubout", "-out", "key.pub"]);
        let public = std::fs::read_to_string(dir.path().join("key.pub")).unwrap();
        Self { dir, public }
    }

    /// The text with one block, as the shell tool writes it.
    pub fn sign(&self, text: &str, name: &str) -> String {
        std::fs::write(self.dir.path().join("text"), text).unwrap();
        let arguments = ["dgst", "-sha256", "-sign", "key.pem", "-out", "sig", "text"];
        openssl(self.dir.path(), &arguments);
        let base64 = shell(self.dir.path(), "base64 -w 76 sig");
        format!("{text}=== SIGNATURE {name}\n{base64}")
    }
}

/// Whether `openssl dgst` finds the signature good.
pub fn verifies(pem: &str, text: &str, signature: &[u8]) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
    file("key.pub", pem.as_bytes());
    file("text", text.as_bytes());
    file("sig", signature);
    let arguments = ["dgst", "-sha256", "-verify", "key.pub", "-signature", "sig", "text"];
    let output = Command::new("openssl").args(arguments).current_dir(dir.path()).output();
    output.unwrap().status.success()
}

fn openssl(dir: &Path, arguments: &[&str]) {
    let mut command = Command::new("openssl");
    let status =
        command.args(arguments).current_dir(dir).stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(status.unwrap().success(), "openssl {arguments:?}");
}

fn shell(dir: &Path, script: &str) -> String {
    let output = Command::new("sh").args(["-ec", script]).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn what_is_signed_here_verifies_with_awk_and_openssl() {
    let house = House::open().await;
    for algorithm in ["rsa-2048", "ec-p256", "ec-p384", "ec-p521"] {
        authority_of(&house, algorithm, algorithm, 1).await;
        write(&house, &format!("app/{algorithm}"), algorithm, "build=42\njob=nightly").await;
        let file = get(&house, &format!("/tags/app/{algorithm}")).await.body;
        let raw = get(&house, &format!("/tags/app/{algorithm}.{algorithm}.sig?raw=1")).await.body;
        let lines = get(&house, &format!("/tags/app/{algorithm}.{algorithm}.sig")).await.body;
        let name = algorithm.parse().unwrap();
        let pem = countersign_core::tags::authorities::public_pem(&house.app.ctx, &name, None).unwrap();

        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in [("file", file), ("raw", raw), ("lines", lines), ("key.pub", pem.into_bytes())] {
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
        let verified = shell(
            dir.path(),
            "base64 -d lines | cmp - raw
             awk '/^=== SIGNATURE /{on=1;next}on' file | cmp - lines
             awk '/^=== SIGNATURE /{exit}{print}' file > payload
             openssl dgst -sha256 -verify key.pub -signature raw payload",
        );
        assert_eq!(verified, "Verified OK\n", "{algorithm}");
    }
    house.close().await;
}

#[tokio::test]
async fn what_openssl_signs_is_taken_in_and_validated() {
    let house = House::open().await;
    let curve = |name: &'static str| ["-pkeyopt", name];
    let bits = ["-pkeyopt", "rsa_keygen_bits:2048"];
    for (name, key) in [
        ("rsa", Key::new("RSA", &bits)),
        ("p256", Key::new("EC", &curve("ec_paramgen_curve:P-256"))),
        ("p384", Key::new("EC", &curve("ec_paramgen_curve:P-384"))),
        ("p521", Key::new("EC", &curve("ec_paramgen_curve:P-521"))),
    ] {
        register(&house, name, &key.public).await;
        let file = key.sign("build=42\n", name);
        let path = format!("/tags/{name}");
        let put = house.ask("PUT", &path).body("text/plain", file.clone()).send().await;
        assert_eq!(put.expect(201)["authorities"], serde_json::json!([name]));
        assert_eq!(get(&house, &path).await.text(), file);
        let valid = get(&house, &format!("/tags/{name}?authorities={name}")).await;
        assert_eq!((valid.status.as_u16(), valid.text().as_str()), (200, "build=42\n"));
        // Its private half is not here.
        let sign = format!("/tags/sign?authority={name}");
        refused(&house.ask("POST", &sign).body("text/plain", "x").send().await, 403, "not-allowed");
    }
    house.close().await;
}
