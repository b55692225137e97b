//! Fixtures and keys.

use std::path::PathBuf;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_model::{KeyType, PublicKey, RawSignature, Scheme, ToSign};
use countersign_records::tag::{self, AuthorityName, Block, Payload};
use serde_json::Value;

pub fn fixture(path: &str) -> Vec<u8> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/stags");
    std::fs::read(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The public key of a fixture, e.g. `keys/alpha.pub`.
pub fn public_key(path: &str) -> PublicKey {
    PublicKey::from_pem(&String::from_utf8(fixture(path)).unwrap()).unwrap()
}

pub fn name(name: &str) -> AuthorityName {
    name.parse().unwrap()
}

/// A file with these lines.
pub fn text(lines: &[&str]) -> Vec<u8> {
    lines.iter().flat_map(|line| [line.as_bytes(), b"\n"].concat()).collect()
}

/// A run of the older program.
pub struct Case {
    pub name: String,
    pub op: String,
    pub authorities: Vec<String>,
    pub input: Vec<u8>,
    pub exit_code: i64,
    pub stdout: Vec<u8>,
    pub stderr: String,
    pub output: Option<Vec<u8>>,
    pub ours: String,
}

pub fn cases() -> Vec<Case> {
    let document: Value = serde_json::from_slice(&fixture("cases.json")).unwrap();
    let cases = document["cases"].as_array().unwrap();
    let bytes = |value: &Value| STANDARD.decode(value.as_str().unwrap()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let case = |case: &Value| Case {
        name: text(&case["name"]),
        op: text(&case["op"]),
        authorities: case["authorities"].as_array().unwrap().iter().map(text).collect(),
        input: bytes(&case["input"]),
        exit_code: case["rc"].as_i64().unwrap(),
        stdout: bytes(&case["stdout"]),
        stderr: text(&case["stderr"]),
        output: case.get("output").map(bytes),
        ours: text(&case["ours"]),
    };
    cases.iter().map(case).collect()
}

/// A key of this run, to sign what fixtures do not have.
pub struct TestKey {
    pair: EcdsaKeyPair,
    pub public: PublicKey,
}

impl TestKey {
    pub fn generate() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let public = PublicKey::from_point(KeyType::P256, pair.public_key().as_ref()).unwrap();
        Self { pair, public }
    }

    pub fn sign(&self, payload: &Payload, authority: &str) -> Block {
        let scheme: Scheme = "ecdsa-sha256".parse().unwrap();
        let (to_sign, pending) = tag::prepare(payload, scheme).unwrap();
        assert_eq!(to_sign, ToSign::of_message(scheme, payload.as_bytes()));
        let signature = self.pair.sign(&SystemRandom::new(), payload.as_bytes()).unwrap();
        tag::finish(pending, name(authority), &RawSignature(signature.as_ref().to_vec())).unwrap()
    }
}
