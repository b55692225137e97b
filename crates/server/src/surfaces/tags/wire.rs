//! Documents of this surface that are not a use-case's own.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_core::tags::{Judgement, SignedText, Verdict};
use countersign_model::time;
use countersign_records::tag::AuthorityName;
use serde::Serialize;

/// What the signatures in a file are worth.
#[derive(Debug, Serialize)]
pub struct Validation {
    valid: bool,
    /// Only of a file that is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
    /// The same, where it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
    payload_sha256: String,
    authorities: BTreeMap<String, Worth>,
}

#[derive(Debug, Serialize)]
struct Worth {
    status: &'static str,
    key: Option<String>,
    message: String,
}

impl Validation {
    /// The document of a verdict.
    pub fn of(verdict: &Verdict) -> Self {
        let valid = verdict.refusal().is_none();
        let (payload, payload_base64) = text_or_base64(valid.then_some(verdict.payload.as_slice()));
        let worth = |(name, judgement): &(AuthorityName, Judgement)| {
            let key = judgement.key.as_ref().map(ToString::to_string);
            let worth = Worth { status: judgement.status.as_str(), key, message: judgement.message.clone() };
            (name.to_string(), worth)
        };
        Self {
            valid,
            payload,
            payload_base64,
            payload_sha256: hex::encode(verdict.payload_sha256),
            authorities: verdict.judgements.iter().map(worth).collect(),
        }
    }
}

/// A text with the signatures that were asked for.
#[derive(Debug, Serialize)]
pub struct SignedDocument {
    #[serde(skip_serializing_if = "Option::is_none")]
    signed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_base64: Option<String>,
    signatures: BTreeMap<String, SignatureDocument>,
    /// How many lines the payload has.
    lines: usize,
    /// Whose signatures were there before. They were not verified.
    kept: Vec<String>,
}

#[derive(Debug, Serialize)]
struct SignatureDocument {
    key: String,
    signature: String,
    at: String,
}

impl SignedDocument {
    /// The document of a signed text.
    pub fn of(text: &SignedText) -> Self {
        let (signed, signed_base64) = text_or_base64(Some(&text.file));
        let signatures = text.signatures.iter().map(|made| {
            let document = SignatureDocument {
                key: made.key.to_string(),
                signature: STANDARD.encode(made.block.signature()),
                at: time::seconds(made.at),
            };
            (made.block.authority().to_string(), document)
        });
        Self {
            signed,
            signed_base64,
            signatures: signatures.collect(),
            lines: text.lines,
            kept: text.kept.iter().map(ToString::to_string).collect(),
        }
    }
}

fn text_or_base64(bytes: Option<&[u8]>) -> (Option<String>, Option<String>) {
    match bytes.map(|bytes| (std::str::from_utf8(bytes), bytes)) {
        None => (None, None),
        Some((Ok(text), _)) => (Some(text.to_owned()), None),
        Some((Err(_), bytes)) => (None, Some(STANDARD.encode(bytes))),
    }
}
