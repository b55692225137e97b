//! Fixtures, keys, and the judge in Python.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PSS_SHA256, RsaKeyPair,
};
use countersign_model::{KeyType, PublicKey, RawSignature, Scheme};
use countersign_tuf::build;
use countersign_tuf::key::{Key, default_id, key_object};
use countersign_tuf::metadata::Document;
use jiff::Timestamp;
use serde_json::Value;

pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/rstuf").join(name)
}

pub fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub fn json(name: &str) -> Value {
    serde_json::from_slice(&bytes(name)).unwrap()
}

pub fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// When the tests' repositories are made.
pub fn now() -> Timestamp {
    time("2026-06-01T12:00:00Z")
}

/// A key with both halves.
pub struct Signer {
    pub keyid: String,
    pub object: Value,
    pub key: Key,
    secret: Secret,
}

enum Secret {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl Signer {
    /// The same key for the same number.
    pub fn ed25519(number: u8) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[number; 32]).unwrap();
        let public = PublicKey::from_ed25519(pair.public_key().as_ref().try_into().unwrap()).unwrap();
        Self::new(&public, Scheme::Ed25519, Secret::Ed25519(pair))
    }

    pub fn p256() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let public = PublicKey::from_point(KeyType::P256, pair.public_key().as_ref()).unwrap();
        Self::new(&public, "ecdsa-sha256".parse().unwrap(), Secret::P256(pair))
    }

    pub fn rsa() -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let public = PublicKey::from_rsa_public_key(pair.public_key().as_ref()).unwrap();
        Self::new(&public, "rsa-pss-sha256".parse().unwrap(), Secret::Rsa(pair))
    }

    fn new(public: &PublicKey, scheme: Scheme, secret: Secret) -> Self {
        let object = key_object(public, scheme).unwrap();
        let key = Key::from_value(&object).unwrap();
        Self { keyid: default_id(&object).unwrap(), object, key, secret }
    }

    pub fn raw(&self, message: &[u8]) -> RawSignature {
        RawSignature(match &self.secret {
            Secret::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Secret::P256(pair) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Secret::Rsa(pair) => {
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PSS_SHA256, &SystemRandom::new(), message, &mut out).unwrap();
                out
            }
        })
    }

    /// The signature over `message` as it stands in metadata.
    pub fn text(&self, message: &[u8]) -> String {
        self.key.signature_text(&self.raw(message)).unwrap()
    }

    pub fn sign(&self, document: &mut Document) {
        let raw = self.raw(&document.signed_bytes());
        build::finish(document, &self.keyid, &self.key, &raw).unwrap();
    }
}

/// What a program of `tests/python` prints that gets `input`.
pub fn python(program: &str, input: &str) -> String {
    let python = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../test-venv/bin/python");
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(program);
    let mut child = Command::new(&python)
        .arg(program)
        .env("PYTHONIOENCODING", "utf-8")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}: run scripts/install-test-tools", python.display()));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "run scripts/install-test-tools");
    String::from_utf8(output.stdout).unwrap()
}
