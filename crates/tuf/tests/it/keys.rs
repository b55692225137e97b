//! Keys, their ids and signatures.

use countersign_model::Scheme;
use countersign_tuf::key::{Key, KeyError, SignatureError, default_id, key_object};
use serde_json::{Value, json};

use crate::support::{Signer, json};

fn key(value: &Value) -> Key {
    Key::from_value(value).unwrap()
}

#[test]
fn ids_and_signatures_are_those_of_securesystemslib() {
    for vector in json("keyids.json").as_array().unwrap() {
        let id = default_id(&vector["key"]).unwrap();
        assert_eq!(vector["keyid"], id, "members of other makers do not count");
        assert_ne!(vector["sha256_of_whole_object"], id);
        let key = key(&vector["key"]);
        assert_eq!(key.usable(), Ok(()));
        let signature = vector["signature"].as_str().unwrap();
        assert_eq!(key.verify(vector["message"].as_str().unwrap().as_bytes(), signature), Ok(()));
        assert_eq!(key.verify(b"another message", signature), Err(SignatureError::Invalid));
    }
}

#[test]
fn every_scheme_verifies_and_pss_with_a_salt_of_any_length() {
    let vectors = json("signatures.json");
    assert!(vectors.as_array().unwrap().len() > 30);
    let mut used = 0;
    for vector in vectors.as_array().unwrap() {
        let key = key(&vector["key"]);
        let signature = vector["signature"].as_str().unwrap();
        assert_eq!(
            key.verify(vector["message"].as_str().unwrap().as_bytes(), signature),
            Ok(()),
            "{} {} {}",
            vector["key"]["scheme"],
            vector["bits"],
            vector["salt"]
        );
        assert_eq!(key.verify(b"another message", signature), Err(SignatureError::Invalid));
        let mut changed = hex::decode(signature).unwrap();
        *changed.last_mut().unwrap() ^= 1;
        assert!(key.verify(b"countersign test message", &hex::encode(changed)).is_err());
        used += 1;
    }
    assert!(used > 30);
}

#[test]
fn our_own_keys_have_nothing_but_what_is_hashed_and_go_round() {
    for signer in [Signer::ed25519(3), Signer::p256(), Signer::rsa()] {
        let public = signer.key.public_key().unwrap();
        let object = key_object(public, signer.key.signing_scheme().unwrap()).unwrap();
        assert_eq!(object, signer.object);
        assert_eq!(object.as_object().unwrap().len(), 3);
        let text = signer.text(b"x");
        assert_eq!(signer.key.verify(b"x", &text), Ok(()));
        assert_eq!(text, text.to_lowercase());
    }
    let p256 = Signer::p256();
    let public = p256.key.public_key().unwrap();
    assert_eq!(key_object(public, Scheme::Ed25519), None);
    assert_eq!(key_object(public, "ecdsa-sha512".parse().unwrap()), None);
}

#[test]
fn a_key_is_known_by_its_public_value_whatever_stands_around_it() {
    let signer = Signer::p256();
    let mut other = signer.object.clone();
    other["keytype"] = json!("ecdsa-sha2-nistp256");
    other["x-rstuf-online-key-uri"] = json!("fn:abc");
    let public = other["keyval"]["public"].as_str().unwrap();
    other["keyval"]["public"] = json!(format!("\n{}\n\n", public.replace('\n', "\r\n")));
    assert!(key(&other).is_same(&signer.key));
    assert_eq!(key(&other).public_value(), signer.key.public_value());
    assert!(!key(&Signer::p256().object).is_same(&signer.key));

    let upper = Signer::ed25519(3);
    let mut other = upper.object.clone();
    other["keyval"]["public"] = json!(other["keyval"]["public"].as_str().unwrap().to_uppercase());
    assert!(key(&other).is_same(&upper.key));
}

#[test]
fn keys_that_cannot_be_used_are_keys_that_never_verify() {
    let ed = "96425c6457817eafbd9498093bd66de060db4c0cc1baf796348e0e1a0497da3b";
    let rsa = Signer::rsa().object["keyval"]["public"].clone();
    let p256 = Signer::p256().object["keyval"]["public"].clone();
    let object = |keytype: &str, scheme: &str, public: Value| json!({"keytype": keytype, "scheme": scheme, "keyval": {"public": public}});
    let sigstore = json!({"keytype": "sigstore-oidc", "scheme": "Fulcio",
        "keyval": {"identity": "a@example.org", "issuer": "https://issuer.example.org"}});
    assert_eq!(key(&sigstore).usable(), Err(KeyError::Sigstore));
    assert_eq!(key(&object("ml-dsa", "ml-dsa-44", json!("00ff"))).usable(), Err(KeyError::MlDsa));
    assert_eq!(key(&object("ed25519", "ed25519", json!("00ff"))).usable(), Err(KeyError::Hex));
    for (keytype, scheme, public) in [
        ("ed25519", "ecdsa-sha2-nistp256", p256.clone()),
        ("rsa", "ed25519", json!(ed)),
        ("ecdsa-sha2-nistp384", "ecdsa-sha2-nistp256", p256.clone()),
        ("ecdsa", "ecdsa-sha2-nistp256", rsa.clone()),
        ("ecdsa", "ecdsa-sha2-nistp384", p256.clone()),
        ("rsa", "rsassa-pss-sha256", p256.clone()),
        ("rsa", "rsassa-pss-sha1", rsa.clone()),
        ("rsa", "rsassa-pss-sha256", json!("-----BEGIN CERTIFICATE-----\n")),
        ("rsa", "rsassa-pss-sha256", json!("")),
        ("gpg", "pgp+rsa", rsa),
    ] {
        let key = key(&object(keytype, scheme, public));
        assert!(key.usable().is_err(), "{keytype} {scheme}");
        assert!(matches!(key.verify(b"x", "00"), Err(SignatureError::Key(_))));
    }
    // Two of them are still told apart, and one is itself.
    let mut other = sigstore.clone();
    other["keyval"]["identity"] = json!("b@example.org");
    assert_ne!(key(&sigstore).public_value(), key(&other).public_value());
    assert_eq!(key(&sigstore).public_value(), key(&sigstore).public_value());
}

#[test]
fn what_is_not_a_key_object_is_refused() {
    for bad in [
        json!(null),
        json!({"scheme": "ed25519", "keyval": {"public": "00"}}),
        json!({"keytype": "ed25519", "scheme": 1, "keyval": {"public": "00"}}),
        json!({"keytype": "ed25519", "scheme": "ed25519"}),
        json!({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": 1}}),
        json!({"keytype": "x", "scheme": "x", "keyval": {"weight": 1.5}}),
    ] {
        assert!(Key::from_value(&bad).is_err(), "{bad}");
    }
}

#[test]
fn signatures_in_another_form_are_refused() {
    let signer = Signer::p256();
    let raw = hex::encode(&signer.raw(b"x").0);
    for bad in ["", "zz", "0", raw.as_str()] {
        assert!(matches!(signer.key.verify(b"x", bad), Err(SignatureError::Form { .. })), "{bad}");
    }
}
