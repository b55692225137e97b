//! What Autographs have signed for one request, and what they are still to sign.
//!
//! Nobody waits for another service within a transaction: what must be signed is learnt in one that is given up,
//! signed outside, and found here in the next one, if it is still the same.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use countersign_records::collections::content_signature::Profile;
use serde_json::Value;

use super::Error;
use crate::collections::settings::AutographSettings;
use crate::context::Context;

/// Contents that are kept at once, in bytes, or one that is longer. What is beyond is asked for in the next round.
const MOST_BYTES: usize = 64 << 20;

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::collections) struct MessageId {
    /// The source collection, which says who signs and how: `/buckets/B/collections/C`.
    pub(in crate::collections) source: String,
    /// The fingerprint of what is to be signed.
    pub(in crate::collections) fingerprint: [u8; 32],
}

/// The signatures of one request.
#[derive(Default)]
pub(in crate::collections) struct RemoteSignatures {
    known: HashMap<MessageId, Vec<Value>>,
    missing: Vec<Wanted>,
    /// Of the contents of what is missing.
    bytes: usize,
}

struct Wanted {
    id: MessageId,
    settings: AutographSettings,
    profile: Profile,
    /// `None`: there was no room for it.
    content: Option<String>,
}

impl RemoteSignatures {
    /// The bundles over a message, if it was signed, in the order of the keys.
    pub(in crate::collections) fn of(&self, id: &MessageId) -> Option<&Vec<Value>> {
        self.known.get(id)
    }

    /// Whether the content of another message is kept.
    pub(in crate::collections) fn has_room(&self) -> bool {
        self.bytes < MOST_BYTES
    }

    /// Notes that a message must be signed.
    ///
    /// - `content`: canonical JSON, without a prefix; `None` if there is no room for it.
    pub(in crate::collections) fn want(
        &mut self,
        id: MessageId,
        settings: &AutographSettings,
        profile: Profile,
        content: Option<String>,
    ) {
        if self.missing.iter().any(|wanted| wanted.id == id) {
            return;
        }
        self.bytes += content.as_ref().map_or(0, String::len);
        self.missing.push(Wanted { id, settings: settings.clone(), profile, content });
    }

    /// Whether nothing is missing.
    pub(in crate::collections) fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }

    /// The addresses of those who sign what is missing.
    pub(in crate::collections) fn services(&self) -> BTreeSet<String> {
        self.missing.iter().map(|wanted| wanted.settings.url.clone()).collect()
    }

    /// Has everything signed that is missing: one request to each service, and for each as long from now as its
    /// configuration says.
    ///
    /// # Errors
    /// The first failure, with the source collection; nothing is missing then, or known that was.
    pub(in crate::collections) async fn fetch(&mut self, ctx: &Context) -> Result<(), (String, Error)> {
        let begin = Instant::now();
        self.bytes = 0;
        let mut rest = std::mem::take(&mut self.missing);
        while let Some(first) = rest.first() {
            let (settings, profile) = (first.settings.clone(), first.profile);
            let (now, later): (Vec<Wanted>, Vec<Wanted>) = rest
                .into_iter()
                .partition(|wanted| wanted.profile == profile && wanted.settings.asks_the_same_as(&settings));
            rest = later;
            let (ids, contents): (Vec<_>, Vec<_>) =
                now.into_iter().filter_map(|wanted| Some((wanted.id, wanted.content?))).unzip();
            let deadline = begin + settings.timeout;
            let signed = super::sign(ctx, &settings, profile, &contents, deadline).await;
            let source = || ids.first().map_or_else(String::new, |id| id.source.clone());
            let signed = signed.map_err(|error| (source(), error))?;
            self.known.extend(ids.into_iter().zip(signed));
        }
        Ok(())
    }
}

impl std::fmt::Debug for RemoteSignatures {
    // What is missing has secrets in it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteSignatures")
            .field("known", &self.known.len())
            .field("missing", &self.missing.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> AutographSettings {
        AutographSettings {
            url: url.into(),
            id: "i".into(),
            secret: String::new().into(),
            key_ids: vec!["k".into()],
            timeout: std::time::Duration::from_secs(1),
            pins: Default::default(),
        }
    }

    fn id(fingerprint: u8) -> MessageId {
        MessageId { source: "/buckets/s/collections/c".into(), fingerprint: [fingerprint; 32] }
    }

    #[test]
    fn a_message_is_asked_for_once_and_contents_beyond_the_bound_later() {
        let mut signatures = RemoteSignatures::default();
        assert!(signatures.is_complete());
        for _ in 0..2 {
            signatures.want(id(1), &settings("https://b"), Profile::Modern, Some("x".repeat(MOST_BYTES)));
        }
        assert_eq!((signatures.missing.len(), signatures.has_room()), (1, false));
        signatures.want(id(2), &settings("https://a"), Profile::Modern, None);
        assert_eq!(signatures.services().into_iter().collect::<Vec<_>>(), ["https://a", "https://b"]);
        assert!(!signatures.is_complete() && signatures.of(&id(1)).is_none());
    }
}
