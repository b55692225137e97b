//! What is hashed and what is put under a MAC.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Artifacts, Target};
use crate::digest::{HashAlg, Hasher};

/// The hash of a body in base64. `content_type`: the header as it is, or nothing.
pub fn payload_hash(content_type: &str, body: &[u8]) -> String {
    let mut hasher = PayloadHasher::new(content_type);
    hasher.update(body);
    hasher.finish()
}

/// The hash of a body in the making, for one that arrives in pieces.
#[derive(Clone)]
pub struct PayloadHasher(Hasher);

impl PayloadHasher {
    /// Starts with no bytes. Of `content_type` counts the media type alone, without parameters, in lower case.
    pub fn new(content_type: &str) -> Self {
        let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let mut hasher = Hasher::new(HashAlg::Sha256);
        for part in ["hawk.1.payload\n", &media_type, "\n"] {
            hasher.update(part.as_bytes());
        }
        Self(hasher)
    }

    /// Adds bytes of the body.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash in base64.
    pub fn finish(mut self) -> String {
        self.0.update(b"\n");
        STANDARD.encode(self.0.finish().as_bytes())
    }
}

/// `tsm`: the MAC over the server's clock, in seconds, that an answer to a stale request gives beside `ts`.
pub fn timestamp_mac(key: &[u8], ts: u64) -> String {
    encode(&hmac::sign(&hmac_key(key), format!("hawk.1.ts\n{ts}\n").as_bytes()))
}

/// Whose MAC it is: a request's and an answer's never pass for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Header,
    Response,
}

/// The MAC in base64.
pub(super) fn mac(kind: Kind, key: &[u8], target: &Target, artifacts: &Artifacts) -> String {
    encode(&hmac::sign(&hmac_key(key), normalized(kind, target, artifacts).as_bytes()))
}

/// Whether `mac` is right. Takes the same time wherever it is wrong.
pub(super) fn verify(kind: Kind, key: &[u8], target: &Target, artifacts: &Artifacts, mac: &str) -> bool {
    let Ok(mac) = STANDARD.decode(mac) else { return false };
    hmac::verify(&hmac_key(key), normalized(kind, target, artifacts).as_bytes(), &mac).is_ok()
}

fn hmac_key(key: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, key)
}

fn encode(tag: &hmac::Tag) -> String {
    STANDARD.encode(tag.as_ref())
}

/// What the MAC is over.
pub(super) fn normalized(kind: Kind, target: &Target, artifacts: &Artifacts) -> String {
    let kind = match kind {
        Kind::Header => "header",
        Kind::Response => "response",
    };
    let Target { method, resource, host, port } = target;
    let Artifacts { ts, nonce, hash, ext, app, dlg } = artifacts;
    let hash = hash.as_deref().unwrap_or_default();
    let ext = ext.as_deref().unwrap_or_default();
    let mut text =
        format!("hawk.1.{kind}\n{ts}\n{nonce}\n{method}\n{resource}\n{host}\n{port}\n{hash}\n{ext}\n");
    if let Some(app) = app {
        let dlg = dlg.as_deref().unwrap_or_default();
        text.push_str(&format!("{app}\n{dlg}\n"));
    }
    text
}
