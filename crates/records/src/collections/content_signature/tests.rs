use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use countersign_model::{PublicKey, RawSignature, ToSign};
use serde_json::{Value, json};

use super::*;

struct TestKey(EcdsaKeyPair);

impl TestKey {
    fn generate() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap())
    }

    fn public(&self) -> PublicKey {
        PublicKey::from_point(KeyType::P384, self.0.public_key().as_ref()).unwrap()
    }

    fn sign(&self, message: &[u8]) -> RawSignature {
        RawSignature(self.0.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec())
    }
}

fn writer(profile: Profile, records: &[(&str, &str)]) -> Writer {
    let mut writer = Writer::new(profile, Mode::P384);
    records.iter().for_each(|(id, text)| writer.record(id, text).unwrap());
    writer
}

#[test]
fn a_message_is_the_same_in_pieces_and_whole() {
    let records = [("a", r#"{"id":"a"}"#), ("b", r#"{"id":"b"}"#)];
    for (profile, records, content) in [
        (Profile::Modern, records.as_slice(), r#"{"data":[{"id":"a"},{"id":"b"}],"last_modified":"12"}"#),
        (Profile::Modern, &[], r#"{"data":[],"last_modified":"12"}"#),
        (Profile::Seed, &records, r#"[{"id":"a"},{"id":"b"}]"#),
        (Profile::Seed, &[], "[]"),
    ] {
        let whole = prepare(profile, Mode::P384, content.as_bytes());
        assert_eq!(writer(profile, records).finish(12), whole);
        let ToSign::Digest(digest) = whole.0 else { panic!("a digest is signed") };
        assert_eq!(prepare_digest(profile, Mode::P384, digest), Ok(whole.clone()));
        let other = ContentSignatureError::Digest { mode: Mode::P256, given: HashAlg::Sha384 };
        assert_eq!(prepare_digest(profile, Mode::P256, digest), Err(other));
    }
}

#[test]
fn records_come_in_the_order_of_ids() {
    for (first, second) in [("b", "a"), ("a", "a"), ("\u{1f600}", "\u{ffff}")] {
        let mut message = writer(Profile::Modern, &[(first, "{}")]);
        let wanted = ContentSignatureError::Order { id: second.into() };
        assert_eq!(message.record(second, "{}"), Err(wanted));
    }
}

#[test]
fn a_bundle_is_made_in_each_profile_and_verifies() {
    let key = TestKey::generate();
    let public = key.public();
    let modern = r#"{"data":[],"last_modified":"12"}"#;
    let (to_sign, pending) = prepare(Profile::Modern, Mode::P384, modern.as_bytes());
    let raw = key.sign(&[PREFIX, modern.as_bytes()].concat());
    let signer = Signer { public_key: Some(&public), id: "main", ..Signer::default() };
    let bundle = pending.finish(&raw, signer).unwrap();
    assert_eq!(bundle.verify(&public, &to_sign), Ok(()));
    assert_eq!((bundle.signature.len(), bundle.x5u.as_deref(), bundle.x5u()), (128, Some(""), None));
    assert_eq!(bundle.kind.as_deref(), Some("contentsignature"));

    let with_chain = pending.finish(&raw, Signer { x5u: "https://a/b", reference: "r", ..signer }).unwrap();
    let written = serde_json::to_value(&with_chain).unwrap();
    let members: Vec<_> = written.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["mode", "public_key", "ref", "signature", "signer_id", "type", "x5u"]);
    assert_eq!(written["type"], "contentsignaturepki");

    let (to_sign, pending) = prepare(Profile::Seed, Mode::P384, b"[]");
    let bundle = pending.finish(&key.sign(b"[]"), signer).unwrap();
    assert_eq!(bundle.verify(&public, &to_sign), Ok(()));
    let mut written = serde_json::to_value(&bundle).unwrap();
    written["signature"] = Value::Null;
    let wanted = json!({"signature": null, "hash_algorithm": "sha384", "signature_encoding": "rs_base64"});
    assert_eq!(written, wanted);

    let other = TestKey::generate().public();
    assert_eq!(bundle.verify(&other, &to_sign), Err(ContentSignatureError::Invalid));
    let short = RawSignature(vec![1; 95]);
    assert_eq!(pending.finish(&short, signer), Err(ContentSignatureError::Length { want: 96, got: 95 }));
}

#[test]
fn what_others_write_into_a_bundle_is_kept() {
    let document = json!({"signature": "AA", "x5u": "u", "mode": "p384ecdsa", "type": "contentsignature",
        "signer_id": "s", "ref": "r", "public_key": "MHYw", "future": {"a": 18446744073709551615u64}});
    let bundle: Bundle = serde_json::from_value(document.clone()).unwrap();
    assert_eq!(serde_json::to_value(&bundle).unwrap(), document);
    let seed = json!({"signature": "AA", "hash_algorithm": "sha384", "signature_encoding": "rs_base64url"});
    let bundle: Bundle = serde_json::from_value(seed.clone()).unwrap();
    assert_eq!((bundle.profile(), bundle.mode()), (Profile::Seed, Ok(Mode::P384)));
    assert_eq!(serde_json::to_value(&bundle).unwrap(), seed);
}

#[test]
fn a_signature_is_read_in_the_encoding_of_its_profile_only() {
    let bundle = |text: &str, encoding: Option<&str>| Bundle {
        signature: text.to_owned(),
        signature_encoding: encoding.map(str::to_owned),
        mode: Some("p256ecdsa".to_owned()),
        ..Bundle::default()
    };
    let url = format!("{}__-A", "A".repeat(82));
    let standard = format!("{}//+A==", "A".repeat(82));
    let raw = bundle(&url, None).raw().unwrap();
    assert_eq!(raw.0.len(), 64);
    for (text, encoding) in [
        (format!("{url}=="), None),
        (url.clone(), Some("rs_base64url")),
        (standard.clone(), Some("rs_base64")),
    ] {
        assert_eq!(bundle(&text, encoding).raw(), Ok(raw.clone()), "{text}");
    }
    use ContentSignatureError as Error;
    for (text, encoding, wanted) in [
        (standard, None, Error::Base64),
        (url.clone(), Some("rs_base64"), Error::Base64),
        (url.clone(), Some("asn1"), Error::Encoding("asn1".into())),
        (url[1..].to_owned(), None, Error::Base64),
        ("AAAA".into(), None, Error::Length { want: 64, got: 3 }),
    ] {
        assert_eq!(bundle(&text, encoding).raw(), Err(wanted), "{text}");
    }
    let unknown = Bundle { mode: Some("ed25519".into()), ..Bundle::default() };
    assert_eq!(unknown.raw(), Err(Error::Mode("ed25519".into())));
}
