//! What scripts rely on: exit codes, and what goes to standard output and what to standard error.

use std::path::Path;
use std::process::{Command, Output};

struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

fn countersign(directory: &Path, line: &str) -> Ran {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("countersign"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("COUNTERSIGN_") {
            command.env_remove(name);
        }
    }
    let Output { status, stdout, stderr } =
        command.args(line.split(' ')).current_dir(directory).output().unwrap();
    Ran {
        code: status.code().unwrap(),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

fn openssl(directory: &Path, line: &str) {
    let output = Command::new("openssl").args(line.split(' ')).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "openssl {line}: {output:?}");
}

/// A directory with a file, a public key and the signature that openssl made.
fn signed(algorithm: &str, sign: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("file"), "release 1.0\n").unwrap();
    openssl(directory.path(), &format!("genpkey -algorithm {algorithm} -out key.pem"));
    openssl(directory.path(), "pkey -in key.pem -pubout -out pub.pem");
    openssl(directory.path(), sign);
    directory
}

#[test]
fn signatures_of_openssl_verify_offline_in_every_family() {
    let rsa = "RSA -pkeyopt rsa_keygen_bits:2048";
    for (algorithm, sign, scheme) in [
        (rsa, "dgst -sha256 -sign key.pem -out sig file", "rsa-pkcs1-sha256"),
        (
            rsa,
            "dgst -sha512 -sign key.pem -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest -out sig file",
            "rsa-pss-sha512",
        ),
        (
            rsa,
            "pkeyutl -sign -inkey key.pem -pkeyopt rsa_padding_mode:pkcs1 -in file -out sig",
            "rsa-pkcs1-raw",
        ),
        ("EC -pkeyopt ec_paramgen_curve:P-256", "dgst -sha256 -sign key.pem -out sig file", "ecdsa-sha256"),
        ("EC -pkeyopt ec_paramgen_curve:P-521", "dgst -sha384 -sign key.pem -out sig file", "ecdsa-sha384"),
        ("ED25519", "pkeyutl -sign -inkey key.pem -rawin -in file -out sig", "ed25519"),
    ] {
        let directory = signed(algorithm, sign);
        let line = format!("verify file --signature sig --key pub.pem --scheme {scheme}");
        let ran = countersign(directory.path(), &line);
        assert_eq!(ran.code, 0, "{scheme}: {}", ran.stderr);
        assert!(ran.stdout.starts_with(&format!("valid: {scheme} by sha256:")), "{}", ran.stdout);

        std::fs::write(directory.path().join("file"), "release 1.1\n").unwrap();
        let ran = countersign(directory.path(), &line);
        assert_eq!((ran.code, ran.stdout.starts_with("invalid: ")), (1, true), "{scheme}");
    }
}

#[test]
fn the_verdict_is_one_json_document_when_asked_for() {
    let directory = signed("EC -pkeyopt ec_paramgen_curve:P-256", "dgst -sha256 -sign key.pem -out sig file");
    let ran = countersign(directory.path(), "verify file --signature sig --key pub.pem --json");
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "{\"valid\":true}\n"));
    std::fs::write(directory.path().join("sig"), "x").unwrap();
    let ran = countersign(directory.path(), "verify file --signature sig --key pub.pem --json");
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code, &document["valid"]), (1, &false.into()));
}

#[test]
fn what_cannot_be_looked_at_is_exit_code_2_with_error_and_hint() {
    let directory = tempfile::tempdir().unwrap();
    for line in [
        "verify nosuch --signature nosuch --key nosuch",
        "key list --data nosuch",
        "key list --server http://127.0.0.1:1",
        "key list --server not-a-url",
        "--server http://x --data d key list",
        "policy set nosuch --data nosuch",
    ] {
        let ran = countersign(directory.path(), line);
        assert_eq!(ran.code, 2, "{line}");
        assert!(ran.stderr.contains("error: "), "{line}: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{line}");
    }
    let ran = countersign(directory.path(), "key list --server http://127.0.0.1:1");
    assert!(ran.stderr.lines().nth(1).unwrap().starts_with("hint: "), "{}", ran.stderr);
}

#[test]
fn an_error_is_a_json_document_too_when_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let ran = countersign(directory.path(), "key list --server http://127.0.0.1:1 --json");
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(ran.code, 2);
    assert!(document["detail"].as_str().unwrap().contains("http://127.0.0.1:1"));
}

#[test]
fn wrong_usage_is_exit_code_2_and_help_is_0() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(countersign(directory.path(), "key create").code, 2);
    assert_eq!(countersign(directory.path(), "nosuch").code, 2);
    for line in ["--help", "--version", "key --help", "log prove --help"] {
        let ran = countersign(directory.path(), line);
        assert_eq!((ran.code, ran.stdout.is_empty()), (0, false), "{line}");
    }
}

#[test]
fn completions_and_manual_pages_are_written() {
    let directory = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let ran = countersign(directory.path(), &format!("completions {shell}"));
        assert!(ran.code == 0 && ran.stdout.contains("countersign"), "{shell}");
    }
    assert!(countersign(directory.path(), "man").stdout.contains(".TH countersign 1"));
    assert_eq!(countersign(directory.path(), "man --dir pages").code, 0);
    for page in ["countersign.1", "countersign-key-create.1", "countersign-log-monitor.1"] {
        assert!(directory.path().join("pages").join(page).is_file(), "{page}");
    }
}

#[test]
fn a_passphrase_that_is_missing_is_not_asked_for_without_a_terminal() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("empty"), "\n").unwrap();
    let ran = countersign(directory.path(), "key export k -o out.pem --passphrase-file empty");
    assert_eq!(ran.code, 2);
    assert!(!directory.path().join("out.pem").exists());
}
