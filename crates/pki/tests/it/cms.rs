//! Detached signatures, as OpenSSL makes and checks them.

use countersign_model::{HashAlg, KeyType};
use countersign_pki::cms::{self, CmsError, Content, SignedData};
use countersign_pki::x509::Certificate;

use crate::support::{TestKey, certificate, fixture_path, now};
use crate::tools::Bench;

const CONTENT: &[u8] = b"\x00\r\nwhat is signed\n";

fn signed(key: &TestKey, signer: &Certificate, time: Option<jiff::Timestamp>) -> Vec<u8> {
    let (to_sign, pending) = cms::prepare_detached(Content::Bytes(CONTENT), signer, time).unwrap();
    let signature = key.sign(pending.scheme(), &to_sign);
    pending.finish(signature).unwrap()
}

#[test]
fn openssl_verifies_both_shapes_by_every_type_of_key() {
    let keys = [
        TestKey::of("kmod"),
        TestKey::ecdsa(KeyType::P256),
        TestKey::ecdsa(KeyType::P384),
        TestKey::ecdsa(KeyType::P521),
    ];
    for key in keys {
        let signer = key.certified("/CN=a");
        for time in [None, Some(now())] {
            let der = signed(&key, &signer, time);
            let bench = Bench::new(&[("sig", &der), ("file", CONTENT), ("other", b"other")]);
            let line = "openssl cms -verify -binary -inform DER -in sig -noverify -content";
            bench.run(&format!("{line} file"));
            assert!(!bench.agrees(&format!("{line} other")));

            assert_eq!(cms::verify_detached(&der, Content::Bytes(CONTENT), &signer), Ok(()));
            assert_eq!(SignedData::parse(&der).unwrap().signing_time(), time);
            let verdict = cms::verify_detached(&der, Content::Bytes(b"other"), &signer);
            assert!(matches!(verdict, Err(CmsError::Invalid | CmsError::OtherContent)), "{verdict:?}");
        }
    }
}

#[test]
fn what_openssl_signs_verifies() {
    let signer = certificate("db");
    let bench = Bench::new(&[("file", CONTENT), ("c.pem", signer.to_pem().as_bytes())]);
    let line = "openssl cms -sign -binary -in file -outform DER -out sig -signer c.pem";
    for options in ["", " -noattr", " -nocerts", " -md sha512", " -keyid", " -nosmimecap -md sha384"] {
        bench.run(&format!("{line} -inkey {}{options}", fixture_path("keys/db.pem").display()));
        let der = bench.get("sig");
        assert_eq!(cms::verify_detached(&der, Content::Bytes(CONTENT), &signer), Ok(()), "{options}");
        let other = cms::verify_detached(&der, Content::Bytes(CONTENT), &certificate("kek"));
        assert_eq!(other, Err(CmsError::NotSignedBy));
    }
}

#[test]
fn a_digest_signs_as_its_content_does() {
    let (key, signer) = (TestKey::of("db"), certificate("db"));
    let digest = Content::Digest(HashAlg::Sha256.digest(CONTENT));
    let (to_sign, pending) = cms::prepare_detached(digest, &signer, None).unwrap();
    let signature = key.sign(pending.scheme(), &to_sign);
    assert_eq!(pending.finish(signature).unwrap(), signed(&key, &signer, None));

    let wrong = Content::Digest(HashAlg::Sha512.digest(CONTENT));
    let error = CmsError::Hash { want: HashAlg::Sha256, got: HashAlg::Sha512 };
    assert_eq!(cms::prepare_detached(wrong, &signer, None).unwrap_err(), error);
}

#[test]
fn keys_that_verifiers_do_not_know_are_refused() {
    let signer = TestKey::ed25519().certified("/CN=a");
    let error = cms::prepare_detached(Content::Bytes(CONTENT), &signer, None).unwrap_err();
    assert_eq!(error, CmsError::Key(KeyType::Ed25519));
}
