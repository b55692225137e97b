use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_model::KeyType;
use serde_json::{Value, json};

use super::*;

const CONTENT: &[u8] = br#"{"data":[],"last_modified":"1795208700961"}"#;

struct Peer(EcdsaKeyPair);

impl Peer {
    fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap())
    }

    fn public(&self) -> PublicKey {
        PublicKey::from_point(KeyType::P384, self.0.public_key().as_ref()).unwrap()
    }

    fn sign(&self, prefix: &[u8]) -> String {
        let message = [prefix, CONTENT].concat();
        URL_SAFE_NO_PAD.encode(self.0.sign(&SystemRandom::new(), &message).unwrap())
    }

    fn answer(&self, id: &str) -> Value {
        json!({"ref": "1p21", "type": "contentsignature", "mode": "p384ecdsa", "signer_id": id, "x5u": "",
               "public_key": STANDARD.encode(self.public().spki()), "signature": self.sign(b"Content-Signature:\0")})
    }
}

fn read_json(asked: &[&str], answer: &Value) -> Result<Vec<Bundle>, AnswerError> {
    let asked: Vec<String> = asked.iter().map(|id| (*id).to_owned()).collect();
    read(Profile::Modern, &asked, answer.to_string().as_bytes())
}

#[test]
fn an_answer_is_taken_as_it_is_and_completed() {
    let peer = Peer::new();
    let bundles = read_json(&["a"], &json!([peer.answer("a")])).unwrap();
    let key = key_of("a", &bundles[0]).unwrap().unwrap();
    let checked = check(Profile::Modern, "a", bundles[0].clone(), &key, CONTENT).unwrap();
    assert_eq!(checked, bundles[0]);

    let bare = json!([{"signature": peer.sign(b"Content-Signature:\0"), "x5u": "https://h/c.pem"}]);
    let bare = read_json(&["a"], &bare).unwrap().pop().unwrap();
    assert_eq!(key_of("a", &bare), Ok(None));
    let checked = check(Profile::Modern, "a", bare, &peer.public(), CONTENT).unwrap();
    assert_eq!(
        (checked.mode.as_deref(), checked.kind.as_deref(), checked.signer_id.as_deref()),
        (Some("p384ecdsa"), Some("contentsignaturepki"), Some("a"))
    );
    assert_eq!(checked.public_key, Some(STANDARD.encode(peer.public().spki())));
}

#[test]
fn what_was_not_asked_for_is_not_taken() {
    let peer = Peer::new();
    let one = peer.answer("a");
    let two = json!([peer.answer("a"), peer.answer("b")]);
    let with = |name: &str, value: Value| {
        let mut answer = one.clone();
        answer[name] = value;
        json!([answer])
    };
    for (asked, answer, error) in [
        (&["a"][..], json!({}), "not a list"),
        (&["a"], json!([{}]), "not a list"),
        (&["a"], json!([]), "1 signatures were asked for, 0 came"),
        (&["a"], two.clone(), "1 signatures were asked for, 2 came"),
        (&["b", "a"], two, "`b` was asked for, that of `a` came"),
        (&["a"], with("signature", json!("")), "bytes long"),
        (&["a"], with("signature", json!("####")), "base64"),
        (&["a"], with("mode", json!("p256ecdsa")), "64 bytes long but 96"),
        (&["a"], with("mode", json!("rsa")), "unknown mode"),
        (&["a"], with("signature_encoding", json!("rs_base64")), "other profile"),
    ] {
        let got = read_json(asked, &answer).unwrap_err().to_string();
        assert!(got.contains(error), "{answer}: {got}");
    }
    let bad = read_json(&["a"], &with("public_key", json!("AAAA"))).unwrap();
    assert_eq!(key_of("a", &bad[0]), Err(AnswerError::Key("a".into())));
}

#[test]
fn a_signature_over_something_else_or_by_another_key_is_not_taken() {
    let peer = Peer::new();
    let bundle = read_json(&["a"], &json!([peer.answer("a")])).unwrap().pop().unwrap();
    let checked = |key: &PublicKey, content: &[u8]| check(Profile::Modern, "a", bundle.clone(), key, content);
    assert!(checked(&peer.public(), CONTENT).is_ok());
    assert!(checked(&Peer::new().public(), CONTENT).is_err());
    assert!(checked(&peer.public(), b"{}").is_err());
}

#[test]
fn the_first_version_of_the_service_did_not_say_how_it_wrote_a_signature() {
    let peer = Peer::new();
    let answer = json!([{"ref": "x", "signature": peer.sign(b""), "hash_algorithm": "sha384"}]);
    let bundle = read(Profile::Seed, &["a".into()], answer.to_string().as_bytes()).unwrap().pop().unwrap();
    let checked = check(Profile::Seed, "a", bundle, &peer.public(), CONTENT).unwrap();
    assert_eq!(checked.signature_encoding.as_deref(), Some("rs_base64url"));
    assert_eq!((checked.x5u, checked.signer_id), (None, None), "it stays as it was");
}
