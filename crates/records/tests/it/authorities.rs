//! Documents of authorities, and bundles as Python and OpenSSL make them.

use std::path::PathBuf;

use countersign_model::{HashAlg, KeyType, RawSignature, ToSign};
use countersign_records::authorities::{
    self, AuthorityKey, AuthorityKeys, Bundle, Content, KeyRevocation, MalformedBundle, algorithm_of,
    key_type_of,
};
use serde_json::{Value, json};

use crate::support::{name, public_key};

fn bundle(file: &str) -> Vec<u8> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/key-bundles");
    std::fs::read(root.join(file)).unwrap()
}

/// The bundle under the Ed25519 root, as a value to change.
fn document() -> Value {
    serde_json::from_slice(&bundle("ed.json")).unwrap()
}

fn parse(document: &Value) -> Result<Bundle, MalformedBundle> {
    Bundle::parse(&serde_json::to_vec(document).unwrap())
}

#[test]
fn algorithms_have_the_words_of_the_documents() {
    for (key_type, word) in [
        (KeyType::Rsa(2048), "rsa-2048"),
        (KeyType::Rsa(3072), "rsa-3072"),
        (KeyType::Rsa(4096), "rsa-4096"),
        (KeyType::P256, "ec-p256"),
        (KeyType::P384, "ec-p384"),
        (KeyType::P521, "ec-p521"),
        (KeyType::Secp256k1, "ec-secp256k1"),
        (KeyType::Ed25519, "ed25519"),
    ] {
        assert_eq!(algorithm_of(key_type), word);
        assert_eq!(key_type_of(word), Some(key_type));
    }
    for word in ["p256", "ec-rsa-2048", "ec-ed25519", "secp256k1", "rsa", "rsa-02048", ""] {
        assert_eq!(key_type_of(word), None, "{word}");
    }
}

#[test]
fn a_key_is_written_with_all_its_members_and_read_again() {
    let public = public_key("keys/bravo.pub");
    let mut key = AuthorityKey::new(public.clone(), "2026-01-01T00:00:00.9Z".parse().unwrap());
    let mut wanted = json!({
        "id": public.id().as_str(), "algorithm": "ec-p256", "pem": public.to_pem(),
        "not_before": "2026-01-01T00:00:00Z", "not_after": null, "revoked": null,
    });
    assert_eq!(serde_json::to_value(&key).unwrap(), wanted);

    key.not_before = "2026-01-01T00:00:00Z".parse().unwrap();
    key.not_after = "2027-01-01T00:00:00Z".parse().ok();
    key.detached = true;
    wanted["not_after"] = json!("2027-01-01T00:00:00Z");
    wanted["detached"] = json!(true);
    assert_eq!(serde_json::to_value(&key).unwrap(), wanted);

    wanted["revoked"] = json!({"at": "2026-06-03T00:00:00Z", "from": "2026-06-01T00:00:00Z", "until": null,
        "reason": "lost"});
    let read: AuthorityKey = serde_json::from_value(wanted.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), wanted);
    wanted["since"] = json!("a later version of this form");
    assert_eq!(serde_json::from_value::<AuthorityKey>(wanted).unwrap(), read);
}

#[test]
fn a_key_that_contradicts_itself_is_refused() {
    let good = document()["signed"]["authorities"]["bravo"][0].clone();
    let other = document()["signed"]["authorities"]["alpha"][1].clone();
    assert!(serde_json::from_value::<AuthorityKey>(good.clone()).is_ok());
    for (member, value, message) in [
        ("id", other["id"].clone(), "the key says its id is"),
        ("algorithm", json!("ec-p384"), "the key says it is `ec-p384`, but it is `ec-p256`"),
        ("pem", other["pem"].clone(), "the key says its id is"),
        ("pem", json!("x"), "no PEM block"),
        ("not_before", json!("yesterday"), ""),
        ("revoked", json!({"reason": "no time"}), "missing field `at`"),
        ("revoked", json!(true), "invalid type"),
    ] {
        let mut key = good.clone();
        key[member] = value;
        let error = serde_json::from_value::<AuthorityKey>(key).unwrap_err().to_string();
        assert!(error.contains(message), "{member}: {error}");
    }
}

#[test]
fn a_key_that_stands_twice_is_refused() {
    let key = document()["signed"]["authorities"]["bravo"][0].clone();
    let mut good = key.clone();
    good["revoked"] = Value::Null;
    let twice = json!({"name": "bravo", "keys": [key, good]});
    let error = serde_json::from_value::<AuthorityKeys>(twice).unwrap_err().to_string();
    assert!(error.starts_with("authority `bravo` has key `sha256:"), "{error}");
}

#[test]
fn the_signed_bytes_are_those_that_python_signed() {
    for file in ["ed.json", "alpha.json", "echo-384.json"] {
        let bundle_read = Bundle::parse(&bundle(file)).unwrap();
        assert_eq!(bundle_read.signed_bytes(), bundle("signed"), "{file}");
        assert_eq!(bundle_read.content().version, 7);
    }
}

#[test]
fn the_same_content_is_written_as_python_writes_it() {
    let read = Bundle::parse(&bundle("ed.json")).unwrap().into_content();
    let again = Content::new(read.version, read.issued, read.expires, read.authorities.into_values());
    let (to_sign, pending) = authorities::prepare(&again, KeyType::Ed25519).unwrap();
    assert_eq!(to_sign, ToSign::Message(bundle("signed")));

    // And the document is one that `sed` takes the signed bytes out of.
    let root = public_key("keys/ed.pub").id();
    let written = authorities::finish(pending, &root, &RawSignature(vec![7; 64])).unwrap();
    let text = String::from_utf8(written.clone()).unwrap();
    let (_, signed) = text.split_once("\"signed\": ").unwrap();
    assert_eq!(signed.strip_suffix("}\n").unwrap().as_bytes(), bundle("signed"));
    let read = Bundle::parse(&written).unwrap();
    assert_eq!(read.content(), &again);
    assert_eq!(read.signatures().collect::<Vec<_>>(), [(&root, &[7; 64][..])]);
}

#[test]
fn a_key_of_two_authorities_is_revoked_for_both_as_far_as_one_of_them_says() {
    let read = Bundle::parse(&bundle("ed.json")).unwrap().into_content();
    let public = public_key("keys/bravo.pub");
    let revoked = |at: &str, from: Option<&str>| KeyRevocation {
        at: at.parse().unwrap(),
        from: from.map(|from| from.parse().unwrap()),
        until: None,
        reason: "leak".into(),
    };
    let of = |name_: &str, revoked: Option<KeyRevocation>| {
        let mut key = AuthorityKey::new(public.clone(), read.issued);
        key.revoked = revoked;
        AuthorityKeys::new(name(name_), vec![key]).unwrap()
    };
    let (early, late) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    let narrow = of("a", Some(revoked(late, Some(early))));
    let wide = of("b", Some(revoked("2026-01-02T00:00:01Z", None)));
    let content = Content::new(1, read.issued, read.expires, [narrow, wide, of("c", None)]);
    let (_, pending) = authorities::prepare(&content, KeyType::Ed25519).unwrap();
    let root = public_key("keys/ed.pub").id();
    let written = authorities::finish(pending, &root, &RawSignature(vec![7; 64])).unwrap();
    let again = Bundle::parse(&written).unwrap().into_content();
    assert_eq!(again, content);
    for authority in again.authorities.values() {
        assert_eq!(authority.keys[0].revoked, Some(revoked(late, None)), "{}", authority.name);
    }
}

#[test]
fn a_root_key_of_rsa_or_a_curve_signs_with_sha_256() {
    let content = Bundle::parse(&bundle("ed.json")).unwrap().into_content();
    let digest = ToSign::Digest(HashAlg::Sha256.digest(&bundle("signed")));
    for key_type in [KeyType::Rsa(2048), KeyType::P256, KeyType::P384, KeyType::P521] {
        assert_eq!(authorities::prepare(&content, key_type).unwrap().0, digest);
    }
}

#[test]
fn members_that_we_do_not_know_are_signed_but_passed_over() {
    let mut later = document();
    later["signed"]["note"] = json!({"z": 1, "a": [true, -5]});
    later["more"] = json!(1.5);
    let read = parse(&later).unwrap();
    let text = String::from_utf8(read.signed_bytes().to_vec()).unwrap();
    assert!(text.contains(r#""note": {"a": [true, -5], "z": 1}, "#), "{text}");
    assert_eq!(read.content(), Bundle::parse(&bundle("ed.json")).unwrap().content());
}

#[test]
fn a_revocation_in_the_list_counts_for_the_key_whoever_has_it() {
    let mut changed = document();
    changed["signed"]["authorities"]["bravo"][0]["revoked"] = Value::Null;
    let content = parse(&changed).unwrap().into_content();
    let key = &content.authorities[&name("bravo")].keys[0];
    assert_eq!(key.revoked.as_ref(), Some(&content.revocations[0].revocation));
}

#[test]
fn malformed_bundles_are_refused_with_the_reason() {
    type Change = fn(&mut Value);
    let cases: [(&str, Change); 12] = [
        ("its type is not", |d| d["signed"]["type"] = json!("countersign-other")),
        ("missing field `type`", |d| drop(d["signed"].as_object_mut().unwrap().remove("type"))),
        ("missing field `signatures`", |d| drop(d.as_object_mut().unwrap().remove("signatures"))),
        ("missing field `expires`", |d| drop(d["signed"].as_object_mut().unwrap().remove("expires"))),
        ("missing field `revocations`", |d| drop(d["signed"].as_object_mut().unwrap().remove("revocations"))),
        ("version 0 ", |d| d["signed"]["version"] = json!(0)),
        ("version 9007199254740992 ", |d| d["signed"]["version"] = json!(1u64 << 53)),
        ("`1.5` is not an integer", |d| d["signed"]["note"] = json!(1.5)),
        ("is not base64", |d| d["signatures"][0]["sig"] = json!("?")),
        ("not a valid key id", |d| d["signatures"][0]["keyid"] = json!("root")),
        ("bad authority name", |d| d["signed"]["authorities"]["../x"] = json!([])),
        ("two things about the revocation", |d| {
            d["signed"]["revocations"][0]["from"] = json!("2026-06-02T00:00:00Z");
        }),
    ];
    for (wanted, change) in cases {
        let mut changed = document();
        change(&mut changed);
        let error = parse(&changed).unwrap_err().to_string();
        assert!(error.contains(wanted), "{wanted}: {error}");
    }
    let text = String::from_utf8(bundle("ed.json")).unwrap();
    let twice = text.replace(r#""version": 7"#, r#""version": 7, "version": 8"#);
    let error = Bundle::parse(twice.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("duplicate member `version`"), "{error}");
    assert!(Bundle::parse(b"").is_err() && Bundle::parse(b"[]").is_err());
}
