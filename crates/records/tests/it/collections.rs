//! Collections signed here, judged by Python over bytes that it computes itself.

use std::path::Path;
use std::process::Command;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
    EcdsaKeyPair, KeyPair as _,
};
use countersign_model::{PublicKey, RawSignature};
use countersign_records::collections::changeset::{Changeset, LocalCopy};
use countersign_records::collections::content_signature::{Bundle, Mode, Profile, Signer, Writer};
use serde_json::{Value, json};

/// Says whether the first signature of a changeset is by a key, after the change that is asked for.
const JUDGE: &str = r#"
import base64, canonicaljson, json, sys
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
document, pem, change = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
key = serialization.load_pem_public_key(pem.encode())
bundle = document["metadata"]["signatures"][0]
if change == "record": document["changes"][0]["t"] += "x"
if change == "timestamp": document["timestamp"] += 1
records = sorted(document["changes"], key=lambda record: record["id"])
if "signature_encoding" in bundle:
    raw = base64.b64decode(bundle["signature"])
    message = json.dumps(records, sort_keys=True, separators=(",", ":")).encode()
else:
    raw = base64.urlsafe_b64decode(bundle["signature"] + "==")
    content = {"data": records, "last_modified": str(document["timestamp"])}
    message = b"Content-Signature:\x00" + canonicaljson.dumps(content).encode()
half = len(raw) // 2
signature = utils.encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))
hash = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}[key.curve.key_size]
try:
    key.verify(signature, message, ec.ECDSA(hash))
    print("good")
except InvalidSignature:
    print("bad")
"#;

fn python(document: &Value, key: &PublicKey, change: &str) -> String {
    let python = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../test-venv/bin/python");
    let output = Command::new(&python)
        .args(["-c", JUDGE, &document.to_string(), &key.to_pem(), change])
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}: run scripts/install-test-tools", python.display()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn key(mode: Mode) -> (EcdsaKeyPair, PublicKey) {
    let algorithm = match mode {
        Mode::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
        Mode::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
        Mode::P521 => &ECDSA_P521_SHA512_FIXED_SIGNING,
    };
    let pair = EcdsaKeyPair::generate(algorithm).unwrap();
    let public = PublicKey::from_point(mode.key_type(), pair.public_key().as_ref()).unwrap();
    (pair, public)
}

/// A changeset whose records are of every kind.
fn changeset() -> (Value, LocalCopy) {
    let document = json!({
        "metadata": {"id": "c"},
        "timestamp": 1795208702151i64,
        "changes": [
            {"id": "uni", "last_modified": 1795208702151i64, "t": "é € 😀 \u{2028} \u{7f} \" \\ /\n", "é": 1,
             "\u{1f600}": [], "\u{ffff}": {}, "Z": null},
            {"id": "num", "last_modified": 3, "x": [u64::MAX, i64::MIN, 1.0, 1e21, 1e-5, 0.1, 1_884_674_031_447_174.3]},
            {"id": "A", "last_modified": 2, "b": true},
        ],
    });
    let mut copy = LocalCopy::new();
    copy.apply(Changeset::parse(document.to_string().as_bytes()).unwrap()).unwrap();
    (document, copy)
}

fn sign(profile: Profile, mode: Mode, copy: &LocalCopy, pair: &EcdsaKeyPair, public: &PublicKey) -> Bundle {
    let to_sign = copy.to_sign(profile, mode).unwrap();
    let message = copy.message(profile).unwrap();
    let pending = Writer::new(profile, mode).finish(0).1;
    let raw = RawSignature(pair.sign(&SystemRandom::new(), &message).unwrap().as_ref().to_vec());
    let bundle = pending.finish(&raw, Signer { public_key: Some(public), ..Signer::default() }).unwrap();
    assert_eq!(bundle.verify(public, &to_sign), Ok(()));
    bundle
}

#[test]
fn python_accepts_what_is_signed_here_and_nothing_else() {
    for (profile, mode) in [
        (Profile::Modern, Mode::P256),
        (Profile::Modern, Mode::P384),
        (Profile::Modern, Mode::P521),
        (Profile::Seed, Mode::P384),
    ] {
        let (mut document, copy) = changeset();
        let (pair, public) = key(mode);
        let bundle = sign(profile, mode, &copy, &pair, &public);
        document["metadata"]["signatures"] = json!([bundle]);
        assert_eq!(python(&document, &public, "nothing"), "good", "{profile:?} {mode:?}");
        assert_eq!(python(&document, &public, "record"), "bad", "{profile:?} {mode:?}");
        // The seed does not sign the list's time.
        let of_timestamp = if profile == Profile::Modern { "bad" } else { "good" };
        assert_eq!(python(&document, &public, "timestamp"), of_timestamp, "{profile:?} {mode:?}");
        assert_eq!(python(&document, &key(mode).1, "nothing"), "bad", "{profile:?} {mode:?}");
    }
}
