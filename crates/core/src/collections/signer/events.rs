//! What reviewers and editors are told of: a review is asked for, approved, refused, or called off.

use serde::{Deserialize, Serialize};

use crate::collections::error::Error;
use crate::collections::webhook;
use crate::collections::work::Work;

/// What happened to the review of a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventName {
    /// Somebody asks for a review.
    ReviewRequested,
    /// It was approved, and is signed and published.
    ReviewApproved,
    /// It was declined: there is work to do.
    ReviewRejected,
    /// What was edited is as it was published.
    ReviewCanceled,
}

impl EventName {
    /// As it is written: `ReviewRequested`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReviewRequested => "ReviewRequested",
            Self::ReviewApproved => "ReviewApproved",
            Self::ReviewRejected => "ReviewRejected",
            Self::ReviewCanceled => "ReviewCanceled",
        }
    }
}

/// Something that happened to the review of a collection, and with it became true or did not happen at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What.
    pub event: EventName,
    /// The source: `/buckets/B/collections/C`.
    pub source: String,
    /// Its preview, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<String>,
    /// Where it is published.
    pub destination: String,
    /// Who did it: `account:ana`.
    pub user_id: String,
    /// When: ISO 8601 with microseconds.
    pub date: String,
    /// What they said about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// How many records differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes_count: Option<u64>,
    /// How many bytes these records have, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes_size_bytes: Option<u64>,
}

/// Hands on what happened in this transaction: it is told when all of it is true, and not at all if it is not.
///
/// # Errors
/// Those of any write.
pub(crate) async fn deliver(work: &mut Work<'_>) -> Result<(), Error> {
    let events = std::mem::take(&mut work.events);
    for event in &events {
        tracing::info!(
            event = event.event.as_str(),
            source = %event.source,
            user = %event.user_id,
            changes = event.changes_count,
            "a review went on"
        );
    }
    webhook::enqueue(work, &events).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_has_what_is_known_and_nothing_else() {
        let event = Event {
            event: EventName::ReviewRejected,
            source: "/buckets/staging/collections/c".into(),
            preview: None,
            destination: "/buckets/prod/collections/c".into(),
            user_id: "account:bo".into(),
            date: "2026-11-20T21:05:04.661261+00:00".into(),
            comment: Some("no".into()),
            changes_count: None,
            changes_size_bytes: None,
        };
        assert_eq!(
            serde_json::to_value(&event).unwrap(),
            json!({"event": "ReviewRejected", "source": "/buckets/staging/collections/c",
                   "destination": "/buckets/prod/collections/c", "user_id": "account:bo",
                   "date": "2026-11-20T21:05:04.661261+00:00", "comment": "no"})
        );
        assert_eq!(serde_json::from_value::<Event>(serde_json::to_value(&event).unwrap()).unwrap(), event);
        assert_eq!(event.event.as_str(), "ReviewRejected");
    }
}
