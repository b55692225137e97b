//! Fixtures, keys and what they sign.

use std::path::PathBuf;
use std::sync::LazyLock;

use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{self as lc, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_model::{Encoding, HashAlg, KeyType, PublicKey, RawSignature, Scheme, ToSign, pem};
use countersign_pki::x509::{self, Certificate, SerialNumber, Validity};
use jiff::Timestamp;
use serde_json::Value;

use crate::tools::Bench;

pub fn fixture_path(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/appliance").join(path)
}

fn fixture(path: &str) -> String {
    std::fs::read_to_string(fixture_path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

static ORIGINAL: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(&fixture("original.json")).unwrap());

/// A text in the original's answers, e.g. `/pk/esl`.
pub fn original_text(pointer: &str) -> &'static str {
    ORIGINAL.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer}"))
}

/// The same, of base64.
pub fn original(pointer: &str) -> Vec<u8> {
    STANDARD.decode(original_text(pointer)).unwrap()
}

/// A certificate of the original: `pk`, `kek`, `db` or `kmod`.
pub fn certificate(name: &str) -> Certificate {
    Certificate::from_pem(original_text(&format!("/bootstrap_response/certificates/{name}"))).unwrap()
}

/// A private key, to sign in place of the key host.
pub enum TestKey {
    Rsa(RsaKeyPair),
    Ecdsa(KeyType, EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl TestKey {
    /// A key of the original: that of a certificate, or `rsa`.
    pub fn of(name: &str) -> Self {
        let blocks = pem::blocks(&fixture(&format!("keys/{name}.pem"))).unwrap();
        Self::Rsa(RsaKeyPair::from_pkcs8(&blocks[0].der).unwrap())
    }

    pub fn ecdsa(key_type: KeyType) -> Self {
        let algorithm = match key_type {
            KeyType::P256 => &lc::ECDSA_P256_SHA256_FIXED_SIGNING,
            KeyType::P384 => &lc::ECDSA_P384_SHA384_FIXED_SIGNING,
            KeyType::P521 => &lc::ECDSA_P521_SHA512_FIXED_SIGNING,
            other => panic!("{other}"),
        };
        Self::Ecdsa(key_type, EcdsaKeyPair::generate(algorithm).unwrap())
    }

    pub fn ed25519() -> Self {
        Self::Ed25519(Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap())
    }

    pub fn public(&self) -> PublicKey {
        match self {
            Self::Rsa(pair) => {
                let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
                PublicKey::from_spki(der.as_ref()).unwrap()
            }
            Self::Ecdsa(key_type, pair) => {
                PublicKey::from_point(*key_type, pair.public_key().as_ref()).unwrap()
            }
            Self::Ed25519(pair) => {
                PublicKey::from_ed25519(pair.public_key().as_ref().try_into().unwrap()).unwrap()
            }
        }
    }

    pub fn sign(&self, scheme: Scheme, to_sign: &ToSign) -> RawSignature {
        assert!(to_sign.suits(scheme));
        RawSignature(match (self, scheme) {
            (Self::Rsa(pair), Scheme::RsaPkcs1(hash)) => {
                let padding = match hash {
                    HashAlg::Sha256 => &lc::RSA_PKCS1_SHA256,
                    HashAlg::Sha384 => &lc::RSA_PKCS1_SHA384,
                    HashAlg::Sha512 => &lc::RSA_PKCS1_SHA512,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign_digest(padding, &imported(to_sign), &mut signature).unwrap();
                signature
            }
            (Self::Ecdsa(_, pair), Scheme::Ecdsa(_)) => {
                match pair.sign_digest(&imported(to_sign)) {
                    Ok(signature) => signature.as_ref().to_vec(),
                    // The library signs with the hash of the curve's size only.
                    Err(_) => openssl_ecdsa(pair, self.public().key_type(), to_sign),
                }
            }
            (Self::Ed25519(pair), Scheme::Ed25519) => pair.sign(to_sign.as_bytes()).as_ref().to_vec(),
            _ => panic!("{scheme}"),
        })
    }

    /// A self-signed certificate of this key.
    pub fn certified(&self, subject: &str) -> Certificate {
        let (to_sign, pending) =
            x509::prepare(&subject.parse().unwrap(), &self.public(), serial(), forty_years()).unwrap();
        let signature = self.sign(pending.scheme(), &to_sign);
        pending.finish(signature).unwrap()
    }
}

fn openssl_ecdsa(pair: &EcdsaKeyPair, key_type: KeyType, to_sign: &ToSign) -> Vec<u8> {
    let private = pair.to_pkcs8v1().unwrap();
    let bench = Bench::new(&[("key.der", private.as_ref()), ("digest", to_sign.as_bytes())]);
    bench.run("openssl pkeyutl -sign -keyform DER -inkey key.der -in digest -out signature");
    RawSignature::decode(&bench.get("signature"), key_type.ecdsa_width(), Encoding::Der).unwrap().0
}

fn imported(to_sign: &ToSign) -> Digest {
    let ToSign::Digest(digest) = to_sign else { panic!("a digest is signed") };
    let algorithm = match digest.alg() {
        HashAlg::Sha256 => &digest::SHA256,
        HashAlg::Sha384 => &digest::SHA384,
        HashAlg::Sha512 => &digest::SHA512,
    };
    Digest::import_less_safe(digest.as_bytes(), algorithm).unwrap()
}

pub fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub fn now() -> Timestamp {
    time("2026-11-21T12:00:00Z")
}

/// Around the time of the tests, whenever they run: tools look at the machine's clock.
pub fn forty_years() -> Validity {
    Validity::days(time("2020-01-01T00:00:00Z"), 14610).unwrap()
}

/// A new number each time.
pub fn serial() -> SerialNumber {
    let mut bytes = [0; 20];
    aws_lc_rs::rand::SecureRandom::fill(&SystemRandom::new(), &mut bytes).unwrap();
    SerialNumber::from_random(bytes)
}
