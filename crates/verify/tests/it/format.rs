//! What openssl, gpg, sbsign, sign-file and the Raspberry Pi tools made.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_model::PublicKey;
use countersign_pki::efi_var::{Update, Variable};
use countersign_pki::x509::Certificate;
use countersign_verify::format::{self, Content, FormatError};
use countersign_verify::tag::At;
use jiff::Timestamp;
use serde_json::Value;

static ORIGINAL: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(&std::fs::read_to_string(fixture("original.json")).unwrap()).unwrap()
});

fn fixture(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/appliance").join(path)
}

fn text(pointer: &str) -> &'static str {
    ORIGINAL.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer}"))
}

fn bytes(pointer: &str) -> Vec<u8> {
    STANDARD.decode(text(pointer)).unwrap()
}

fn certificate(name: &str) -> Certificate {
    Certificate::from_pem(text(&format!("/bootstrap_response/certificates/{name}"))).unwrap()
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

const CONTENT: &[u8] = b"hello fixture";
const LATER: &str = "2027-01-01T00:00:00Z";

#[test]
fn gpgs_signature_holds_for_its_key_and_content_only() {
    let key = countersign_openpgp::Certificate::read(text("/gpg_key/key").as_bytes()).unwrap();
    let signature = bytes("/gpg_sign/signature");
    let verify = |content: &[u8], trusted: &[_], at| {
        format::openpgp(&signature, &Content::of(content), trusted, time(at))
    };
    let good = verify(CONTENT, std::slice::from_ref(&key), LATER).unwrap();
    assert_eq!(good.certificate, key.fingerprint());
    for refused in [
        verify(b"hello", std::slice::from_ref(&key), LATER),
        verify(CONTENT, &[], LATER),
        verify(CONTENT, std::slice::from_ref(&key), "2020-01-01T00:00:00Z"),
    ] {
        assert!(matches!(refused, Err(FormatError::Refusal(_))), "{refused:?}");
    }
    let never = verify(CONTENT, &[], "2200-01-01T00:00:00Z");
    assert!(matches!(never, Err(FormatError::Time(_))));
}

/// Runs `openssl` in a directory.
fn openssl(directory: &std::path::Path, line: &str) {
    let output = Command::new("openssl").args(line.split(' ')).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn cms_of_openssl_holds_by_the_signer_and_by_who_issued_its_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    std::fs::write(directory.join("file"), CONTENT).unwrap();
    std::fs::write(directory.join("end"), "basicConstraints=critical,CA:FALSE\n").unwrap();
    for line in [
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 3 -subj /CN=ca",
        "req -newkey rsa:2048 -nodes -keyout a.key -out a.csr -subj /CN=a",
        "x509 -req -in a.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile end -out a.pem",
    ] {
        openssl(directory, line);
    }
    let read =
        |name: &str| Certificate::from_pem(&std::fs::read_to_string(directory.join(name)).unwrap()).unwrap();
    let (authority, signer) = (read("ca.pem"), read("a.pem"));
    for options in ["", " -noattr -md sha512", " -md sha384"] {
        let sign = "cms -sign -binary -in file -outform DER -out sig -signer a.pem -inkey a.key";
        openssl(directory, &format!("{sign}{options}"));
        let der = std::fs::read(directory.join("sig")).unwrap();
        let verify = |content: &[u8], trusted, at| format::cms(&der, &Content::of(content), trusted, at);
        for trusted in [&signer, &authority] {
            assert_eq!(verify(CONTENT, trusted, At::AnyTime), Ok(signer.clone()), "{options}");
            assert!(matches!(verify(b"other", trusted, At::AnyTime), Err(FormatError::Cms(_))));
            let late = verify(CONTENT, trusted, At::Time(time("2100-01-01T00:00:00Z")));
            assert!(matches!(late, Err(FormatError::NotValidAt { .. })), "{late:?}");
        }
        assert!(verify(CONTENT, &certificate("pk"), At::AnyTime).is_err());
    }
    assert_eq!(format::certificate(&signer, &authority, At::AnyTime), Ok(()));
    assert_eq!(format::certificate(&authority, &authority, At::AnyTime), Ok(()));
    assert!(format::certificate(&authority, &signer, At::AnyTime).is_err());
    assert!(format::certificate(&signer, &certificate("pk"), At::AnyTime).is_err());
}

#[test]
fn what_boots_holds_under_the_certificate_that_signed_it_only() {
    let (pk, kek, kmod) = (certificate("pk"), certificate("kek"), certificate("kmod"));
    let module = bytes("/kmod_sign/signed");
    assert_eq!(format::kernel_module(&module, &kmod), Ok(()));
    assert!(format::kernel_module(&module, &pk).is_err());
    assert!(format::kernel_module(CONTENT, &kmod).is_err());

    let auth = bytes("/kek/kek");
    assert!(matches!(format::efi_variable(&auth, Variable::Kek, &pk), Ok(Update::Replace(_))));
    assert!(format::efi_variable(&auth, Variable::Db, &pk).is_err());
    assert!(format::efi_variable(&auth, Variable::Kek, &kek).is_err());

    let key = PublicKey::from_pem(text("/rsa_key/key")).unwrap();
    let lines = String::from_utf8(bytes("/rsa_sign/signature")).unwrap();
    assert!(format::rpi_eeprom(&lines, &Content::of(CONTENT), &key).is_ok());
    assert!(format::rpi_eeprom(&lines, &Content::of(b"other"), &key).is_err());
    assert!(format::rpi_eeprom(&lines, &Content::of(CONTENT), kmod.public_key()).is_err());

    assert!(matches!(format::authenticode(CONTENT, &kmod), Err(FormatError::Authenticode(_))));
}
