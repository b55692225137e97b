//! Fixtures that OpenSSL made.

use std::path::PathBuf;

use countersign_model::{Encoding, PublicKey, Scheme, ToSign};
use countersign_records::tag::Tag;

pub fn fixture(path: &str) -> Vec<u8> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/stags");
    std::fs::read(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub fn text(path: &str) -> String {
    String::from_utf8(fixture(path)).unwrap()
}

/// A signature by `openssl dgst -sha256 -sign`.
pub struct Signed {
    pub key: PublicKey,
    pub scheme: Scheme,
    pub payload: Vec<u8>,
    pub signature: Vec<u8>,
}

impl Signed {
    pub fn by(folder: &str, authority: &str, scheme: &str) -> Self {
        let tag = Tag::parse(&fixture(&format!("openssl/{authority}.signed"))).unwrap();
        Self {
            key: PublicKey::from_pem(&text(&format!("{folder}/{authority}.pub"))).unwrap(),
            scheme: scheme.parse().unwrap(),
            payload: fixture("openssl/payload"),
            signature: tag.block(&authority.parse().unwrap()).unwrap().signature().to_vec(),
        }
    }

    pub fn content(&self) -> ToSign {
        ToSign::of_message(self.scheme, &self.payload)
    }

    pub fn verify(&self) -> Result<(), countersign_verify::raw::RawError> {
        let content = self.content();
        countersign_verify::raw::verify(&self.key, self.scheme, &content, &self.signature, Encoding::Der)
    }
}
