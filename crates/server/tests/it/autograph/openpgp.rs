//! `gpg2` signers, judged by `gpg`.

use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_core::SealSource;
use countersign_model::digest::sha256_text;
use serde_json::{Value, json};

use super::client::{Pair, input, post, refused, text};
use crate::support::{House, base64};

/// A house with a key that has a certificate, and two signers with it.
async fn house(dir: &Path, key_type: &str) -> (House, String) {
    let house = House::over(dir, "", SealSource::File, None).await;
    house.key("release", key_type).await;
    let user = json!({"name": "Release", "email": "release@example.org"});
    let made = house.ask("POST", "/countersign/v1/keys/release/openpgp").json(user).send().await.expect(200);
    let certificate = text(&made["certificate"]);
    house.close().await;
    let signer = |id: &str, mode: &str| {
        format!(
            "[[autograph.signer]]\nid = \"{id}\"\nkey = \"release\"\ntype = \"gpg2\"\nmode = \"{mode}\"\n\
             certificate = \"\"\"\n{certificate}\"\"\"\n"
        )
    };
    let config = signer("pgp", "gpg2") + &signer("pgp-debsign", "debsign");
    (House::over(dir, &config, SealSource::File, None).await, certificate)
}

/// A directory in which `gpg` trusts one certificate.
struct Gpg(tempfile::TempDir);

impl Gpg {
    fn new(certificate: &str) -> Self {
        let gpg = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(gpg.0.path().join("gnupg")).unwrap();
        assert!(
            Command::new("chmod")
                .args(["700", "gnupg"])
                .current_dir(gpg.0.path())
                .status()
                .unwrap()
                .success()
        );
        gpg.put("key.asc", certificate.as_bytes());
        let (good, said) = gpg.run(&["--import", "key.asc"]);
        assert!(good, "{said}");
        gpg
    }

    fn put(&self, name: &str, content: &[u8]) {
        std::fs::write(self.0.path().join(name), content).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> (bool, String) {
        let output = Command::new("gpg")
            .arg("--batch")
            .args(arguments)
            .current_dir(self.0.path())
            .env("GNUPGHOME", self.0.path().join("gnupg"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[tokio::test]
async fn gpg_verifies_detached_signatures_and_clear_signed_files() {
    for key_type in ["rsa-2048", "p384", "ed25519"] {
        let dir = tempfile::tempdir().unwrap();
        let (house, certificate) = house(dir.path(), key_type).await;
        let pair = Pair::new(&house, "ana", &["signer"]).await;
        let gpg = Gpg::new(&certificate);

        let answers = post(&house, &pair, "/sign/data", json!([input(b"data", "pgp")])).await.expect(201);
        let answer = &answers[0];
        assert_eq!((&answer["type"], &answer["mode"]), (&json!("gpg2"), &json!("gpg2")));
        assert_eq!(answer["public_key"], json!(certificate));
        assert!(text(&answer["signature"]).starts_with("-----BEGIN PGP SIGNATURE-----\n"));
        gpg.put("data", b"data");
        gpg.put("sig", text(&answer["signature"]).as_bytes());
        let (good, said) = gpg.run(&["--verify", "sig", "data"]);
        assert!(good && said.contains("Good signature from \"Release <release@example.org>\""), "{said}");

        let dsc = "Format: 3.0 (native)\nSource: x\n- dash\n-----dashes\ntrailing \t\n\nFrom here ü\n";
        let asked = json!([{
            "keyid": "pgp-debsign", "files": [{ "name": "x_1.dsc", "content": base64(dsc.as_bytes()) }],
        }]);
        let answers = post(&house, &pair, "/sign/files", asked).await.expect(201);
        assert!(answers[0]["signature"].is_null());
        let signed = STANDARD.decode(text(&answers[0]["signed_files"][0]["content"])).unwrap();
        gpg.put("x_1.dsc", &signed);
        let (good, said) = gpg.run(&["--output", "plain", "--decrypt", "x_1.dsc"]);
        assert!(good && said.contains("Good signature from"), "{said}");
        let plain = std::fs::read_to_string(gpg.0.path().join("plain")).unwrap();
        assert_eq!(plain.replace("trailing \t", "trailing"), dsc.replace("trailing \t", "trailing"));
        gpg.put("changed", String::from_utf8(signed).unwrap().replace("Source: x", "Source: y").as_bytes());
        assert!(!gpg.run(&["--verify", "changed"]).0);
        house.close().await;
    }
}

#[tokio::test]
async fn what_names_a_signed_file_has_its_new_digest_and_a_signed_file_is_signed_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (house, certificate) = house(dir.path(), "rsa-2048").await;
    let pair = Pair::new(&house, "ana", &["signer"]).await;
    let gpg = Gpg::new(&certificate);
    let changes = "Format: 1.8\nChecksums-Sha256:\n 00 1 x_1.dsc\n 11 2 x_1.buildinfo\n 22 3 x_1.tar.xz\nFiles:\n \
                   00 1 misc optional x_1.dsc\n";
    let buildinfo = "Format: 1.0\nChecksums-Sha256:\n 00 1 x_1.dsc\n";
    let file = |name: &str, content: &[u8]| json!({ "name": name, "content": base64(content) });
    let sign = async |files: Value| {
        let asked = json!([{ "keyid": "pgp-debsign", "files": files }]);
        let answers = post(&house, &pair, "/sign/files", asked).await.expect(201);
        let content = |file: &Value| STANDARD.decode(text(&file["content"])).unwrap();
        answers[0]["signed_files"].as_array().unwrap().iter().map(content).collect::<Vec<_>>()
    };
    let files = [
        file("x_1.changes", changes.as_bytes()),
        file("x_1.buildinfo", buildinfo.as_bytes()),
        file("x_1.dsc", b"Source: x\n"),
    ];
    let once = sign(json!(files)).await;
    // In another order, and signed already.
    let twice = sign(json!([
        file("x_1.changes", &once[0]),
        file("x_1.dsc", &once[2]),
        file("x_1.buildinfo", &once[1])
    ]))
    .await;
    for [changes, buildinfo, dsc] in [[&once[0], &once[1], &once[2]], [&twice[0], &twice[2], &twice[1]]] {
        for signed in [changes, buildinfo, dsc] {
            gpg.put("signed", signed);
            let (good, said) = gpg.run(&["--verify", "signed"]);
            assert!(good, "{said}");
            let read = String::from_utf8(signed.clone()).unwrap();
            assert_eq!(read.matches("BEGIN PGP SIGNED MESSAGE").count(), 1);
        }
        let line = |of: &[u8], name: &str| {
            let digest = sha256_text(of);
            format!("\n {} {} {name}\n", digest.strip_prefix("sha256:").unwrap(), of.len())
        };
        let (changes, of_build) =
            (String::from_utf8(changes.clone()).unwrap(), String::from_utf8(buildinfo.clone()));
        assert!(changes.contains(&line(dsc, "x_1.dsc")), "{changes}");
        assert!(changes.contains(&line(buildinfo, "x_1.buildinfo")[1..]), "{changes}");
        assert!(changes.contains("\n 22 3 x_1.tar.xz\n"));
        assert!(of_build.unwrap().contains(&line(dsc, "x_1.dsc")));
    }
    house.close().await;
}

#[tokio::test]
async fn a_gpg2_signer_makes_what_its_mode_says() {
    let dir = tempfile::tempdir().unwrap();
    let (house, _) = house(dir.path(), "rsa-2048").await;
    let pair = Pair::new(&house, "ana", &["signer"]).await;
    let file = |name: &str| json!([{ "name": name, "content": base64(b"Source: x\n") }]);
    let asked = |key: &str, files: Value| json!([{ "keyid": key, "files": files }]);
    let cases = [
        ("/sign/hash", json!([input(&[1; 32], "pgp")])),
        ("/sign/data", json!([input(b"some data", "pgp-debsign")])),
        ("/sign/file", json!([input(b"some data", "pgp")])),
        ("/signature", json!([input(b"some data", "pgp")])),
        ("/sign/files", asked("pgp", file("x.dsc"))),
        ("/sign/files", asked("pgp-debsign", json!([]))),
        ("/sign/files", asked("pgp-debsign", Value::Null)),
        ("/sign/files", asked("pgp-debsign", file("x.deb"))),
        ("/sign/files", asked("pgp-debsign", file("../x.dsc"))),
        ("/sign/files", asked("pgp-debsign", json!(vec![file("x.dsc")[0].clone(); 2]))),
        ("/sign/files", asked("pgp-debsign", json!(vec![file("x.dsc")[0].clone(); 33]))),
        ("/sign/files", asked("pgp-debsign", json!([{ "name": "x.dsc", "content": "*" }]))),
        (
            "/sign/files",
            asked(
                "pgp-debsign",
                json!([{ "name": "x.dsc", "content": base64(b"-----BEGIN PGP SIGNED MESSAGE-----\nx") }]),
            ),
        ),
        ("/sign/files", json!([{ "keyid": "pgp-debsign", "input": "AAAA", "files": file("x.dsc") }])),
    ];
    for (path, requests) in cases {
        refused(&post(&house, &pair, path, requests).await, 400);
    }
    // The key's own name makes what RSA keys make.
    let answers =
        post(&house, &pair, "/sign/data", json!([input(b"some data", "release")])).await.expect(201);
    assert_eq!(answers[0]["type"], "genericrsa");
    house.close().await;
}

#[tokio::test]
async fn a_certificate_of_another_key_signs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (first, certificate) = house(dir.path(), "rsa-2048").await;
    first.close().await;
    let config = format!(
        "[[autograph.signer]]\nid = \"pgp\"\nkey = \"other\"\ntype = \"gpg2\"\ncertificate = \"\"\"\n{certificate}\"\"\"\n"
    );
    let house = House::over(dir.path(), &config, SealSource::File, None).await;
    house.key("other", "rsa-2048").await;
    let pair = Pair::new(&house, "ana", &["signer"]).await;
    let told = refused(&post(&house, &pair, "/sign/data", json!([input(b"some data", "pgp")])).await, 400);
    assert!(told.contains("certificate"), "{told}");
    house.close().await;
}
