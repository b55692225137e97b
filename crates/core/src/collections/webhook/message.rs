//! The body of a webhook, and its signature.

use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};

use crate::collections::signer::events::Event;

/// What is posted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// What happened.
    pub event: String,
    /// Names this event, for this receiver.
    pub id: String,
    /// When it happened: ISO 8601 with microseconds.
    pub time: String,
    /// The bucket of the source.
    pub bucket: String,
    /// The source.
    pub collection: String,
    /// Who did it: `account:ana`.
    pub user: String,
    /// What they said about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// How many records differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes_count: Option<u64>,
    /// How many bytes these records have, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes_size_bytes: Option<u64>,
    /// The source: `/buckets/B/collections/C`.
    pub source: String,
    /// Its preview, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<String>,
    /// Where it is published.
    pub destination: String,
}

impl Message {
    pub(super) fn of(event: &Event, id: String) -> Self {
        // `/buckets/B/collections/C`
        let part = |at: usize| event.source.split('/').nth(at).unwrap_or_default().to_owned();
        Self {
            event: event.event.as_str().into(),
            id,
            time: event.date.clone(),
            bucket: part(2),
            collection: part(4),
            user: event.user_id.clone(),
            comment: event.comment.clone(),
            changes_count: event.changes_count,
            changes_size_bytes: event.changes_size_bytes,
            source: event.source.clone(),
            preview: event.preview.clone(),
            destination: event.destination.clone(),
        }
    }
}

/// The value of `Countersign-Signature`: `sha256=` and the HMAC-SHA-256 over timestamp, point and body, in lower
/// case hex.
///
/// - `timestamp`: Unix seconds, as in `Countersign-Timestamp`.
pub fn signature(secret: &[u8], timestamp: i64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{timestamp}.").as_bytes());
    context.update(body);
    format!("sha256={}", hex::encode(context.sign().as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_another_tool() {
        // printf '1795208701.{"a":1}' | openssl dgst -sha256 -hmac secret
        assert_eq!(
            signature(b"secret", 1_795_208_701, br#"{"a":1}"#),
            "sha256=db72e583c08d6fc4b44ebb13174162cca7330bc2942d2fdbf7205e6cb3a53e55"
        );
    }
}
