//! What each status does, when it may be done: copy, sign, and write down who did what.

use std::sync::Arc;

use countersign_records::collections::status::{
    Action, COMMENTS, Decision, Request, Stamp as Track, Status, decide,
};
use serde_json::{Map, Value};

use super::events::{Event, EventName};
use super::publish::{Copied, Timestamps, changes, copy, records_of};
use super::resource::Matched;
use super::source::{self, Update};
use super::{PLUGIN, covered, groups, rules, sign};
use crate::collections::call::{Call, Permissions};
use crate::collections::change::Change;
use crate::collections::error::Error;
use crate::collections::object::Object;
use crate::collections::uri::ObjectUri;
use crate::collections::who::{EVERYONE, Who};
use crate::collections::work::{Stamp, Work};

/// One source collection that somebody changed, and who.
pub(super) struct Step<'a> {
    pub(super) who: &'a Who,
    pub(super) principals: &'a [String],
    /// What they sent.
    pub(super) call: &'a Call,
    pub(super) matched: &'a Matched<'a>,
}

impl Step<'_> {
    fn user(&self) -> &str {
        groups::user_of(self.who)
    }

    /// What follows from a change of the collection that was allowed.
    pub(super) async fn follow(&self, work: &mut Work<'_>, change: &Change) -> Result<(), Error> {
        match (&change.old, &change.new) {
            (_, Some(new)) if self.matched.is_seed() => self.follow_seed(work, new).await,
            (None, Some(new)) => self.created(work, new).await,
            (Some(old), Some(new)) => {
                let (old, new) = (old.data()?, new.data()?);
                if old.get("status") == new.get("status") {
                    return self.described(work, old, new).await;
                }
                let facts = source::facts(self.matched, old, self.who.user.as_deref(), self.principals);
                match decide(&Request::of(new.get("status")), &facts) {
                    Decision::Do(action, status) => self.perform(work, action, status, old, new).await,
                    Decision::NoOp | Decision::Refused(_) => Ok(()),
                }
            }
            (_, None) if self.matched.is_seed() => Ok(()),
            (_, None) => self.deleted(work).await,
        }
    }

    /// What is published with the records is reviewed with them: whoever asked for a review must ask again.
    async fn described(
        &self,
        work: &mut Work<'_>,
        old: &Map<String, Value>,
        new: &Map<String, Value>,
    ) -> Result<(), Error> {
        let waits = source::status_of(old) == Some(Status::ToReview);
        if !waits || rules::changed_field(old, new).is_none() {
            return Ok(());
        }
        source::edited(work, &self.matched.source, self.user()).await
    }

    /// Collections of 2016 are signed whenever somebody says so, and know nothing else.
    async fn follow_seed(&self, work: &mut Work<'_>, new: &Arc<Object>) -> Result<(), Error> {
        if Request::of(new.data()?.get("status")) != Request::ToSign {
            return Ok(());
        }
        self.publish(work, Timestamps::Kept, [&self.matched.destination]).await?;
        let update =
            Update { stamp: Stamp::Kept(new.last_modified), ..self.update(Status::Signed.as_str(), &[]) };
        update.apply(work, &self.matched.source).await
    }

    /// Groups, preview and destination of a new collection; it begins signed and empty.
    async fn created(&self, work: &mut Work<'_>, new: &Arc<Object>) -> Result<(), Error> {
        groups::create(work, self.matched, self.user()).await?;
        self.publish(work, Timestamps::New, self.matched.published()).await?;
        let mut permissions = Permissions::clone(&new.permissions);
        groups::add_writers(self.matched, &mut permissions);
        let update = Update {
            permissions: Some(permissions),
            ..self.update(Status::Signed.as_str(), Action::Create.stamps())
        };
        update.apply(work, &self.matched.source).await
    }

    async fn perform(
        &self,
        work: &mut Work<'_>,
        action: Action,
        status: Status,
        old: &Map<String, Value>,
        new: &Map<String, Value>,
    ) -> Result<(), Error> {
        let matched = self.matched;
        match action {
            // It was made before it was signed: from now on it is like one that is new.
            Action::Create => Ok(()),
            Action::Sign => {
                let copied = self.publish(work, Timestamps::New, matched.published()).await?;
                self.update(status.as_str(), action.stamps()).apply(work, &matched.source).await?;
                self.tell(work, EventName::ReviewApproved, None, Some(copied));
                Ok(())
            }
            Action::RequestReview => {
                let copied = match &matched.preview {
                    Some(preview) => Some(self.publish(work, Timestamps::New, [preview]).await?),
                    None => Some(changes(work, &matched.source, &matched.destination).await?),
                };
                // A comment is about one request.
                let stale = old.get(COMMENTS[0]) == new.get(COMMENTS[0]) && !self.sends(COMMENTS[0]);
                let emptied = if stale { &COMMENTS[..1] } else { &[] };
                let update = Update { emptied, ..self.update(status.as_str(), action.stamps()) };
                update.apply(work, &matched.source).await?;
                let comment = if stale { None } else { new.get(COMMENTS[0]) };
                self.tell(work, EventName::ReviewRequested, Some(comment), copied);
                Ok(())
            }
            Action::Decline => {
                self.tell(work, EventName::ReviewRejected, Some(new.get(COMMENTS[1])), None);
                Ok(())
            }
            Action::Reopen => Ok(()),
            Action::Resign => {
                self.resign(work).await?;
                // As it was, also if it was nothing.
                let before = old.get("status").and_then(Value::as_str).unwrap_or(status.as_str());
                self.update(before, action.stamps()).apply(work, &matched.source).await
            }
            Action::Rollback => self.roll_back(work, action, status).await,
        }
    }

    /// Whether `member` was sent, be it as it was before.
    fn sends(&self, member: &str) -> bool {
        let Ok(Some(body)) = &self.call.body else { return false };
        body.value.get("data").is_some_and(|data| data.get(member).is_some())
    }

    /// Makes previews and destinations what the source is, and signs them. What was copied into the last one.
    async fn publish<'u>(
        &self,
        work: &mut Work<'_>,
        timestamps: Timestamps,
        collections: impl IntoIterator<Item = &'u ObjectUri>,
    ) -> Result<Copied, Error> {
        let collections: Vec<&ObjectUri> = collections.into_iter().collect();
        let mut copied = Copied::default();
        for uri in &collections {
            self.ensure_bucket(work, uri).await?;
            copied = copy(work, Some(&self.matched.source), uri, timestamps).await?;
        }
        self.sign(work, &collections, Fields::OfSource).await?;
        Ok(copied)
    }

    /// Signs what is published as it is. A preview that somebody has written to stays without a good signature.
    async fn resign(&self, work: &mut Work<'_>) -> Result<(), Error> {
        let mut present = Vec::new();
        for uri in self.matched.published() {
            if work.get(uri).await?.is_none() {
                continue;
            }
            // Of the destination it was asked before.
            let is_preview = *uri != self.matched.destination;
            let timestamp = work.timestamp(&records_of(uri)).await?;
            if is_preview && !covered::is_covered(work.flush().await?, self.matched, uri, timestamp).await? {
                tracing::warn!(preview = %uri, "it is not what was signed: it is not signed again");
                continue;
            }
            present.push(uri);
        }
        self.sign(work, &present, Fields::AsTheyAre).await
    }

    /// Makes the source, and the preview, what is published.
    async fn roll_back(&self, work: &mut Work<'_>, action: Action, status: Status) -> Result<(), Error> {
        let matched = self.matched;
        let mut copied =
            copy(work, Some(&matched.destination), &matched.source, Timestamps::KeptIfChanged).await?;
        if let Some(preview) = &matched.preview {
            self.ensure_bucket(work, preview).await?;
            copied.count += copy(work, Some(&matched.destination), preview, Timestamps::New).await?.count;
            self.sign(work, &[preview], Fields::AsTheyAre).await?;
        }
        let update = Update { emptied: &COMMENTS, ..self.update(status.as_str(), action.stamps()) };
        update.apply(work, &matched.source).await?;
        if copied.count > 0 {
            self.tell(work, EventName::ReviewCanceled, None, Some(copied));
        }
        Ok(())
    }

    /// What was published of a collection that is deleted: gone, or empty and signed.
    async fn deleted(&self, work: &mut Work<'_>) -> Result<(), Error> {
        groups::remove(work, self.matched).await?;
        let mut left = Vec::new();
        for uri in self.matched.published() {
            if work.get(uri).await?.is_none() {
                continue;
            }
            if self.matched.settings.hard_delete {
                work.remove_under(uri).await?;
                work.erase(uri);
            } else {
                copy(work, None, uri, Timestamps::New).await?;
                left.push(uri);
            }
        }
        self.sign(work, &left, Fields::AsTheyAre).await
    }

    /// Signs the records of collections as they are now, and stores the signatures in their metadata.
    async fn sign(
        &self,
        work: &mut Work<'_>,
        collections: &[&ObjectUri],
        fields: Fields,
    ) -> Result<(), Error> {
        if collections.is_empty() {
            return Ok(());
        }
        let signed = sign::sign(work, &self.who.caller, self.matched, collections).await?;
        let source = match fields {
            Fields::OfSource if !self.matched.is_seed() => work.get(&self.matched.source).await?,
            Fields::OfSource | Fields::AsTheyAre => None,
        };
        for (uri, bundles) in collections.iter().zip(signed) {
            let present = work.get(uri).await?;
            let mut data = match &present {
                Some(present) => present.data()?.clone(),
                None => Map::new(),
            };
            if let Some(source) = &source {
                let source = source.data()?;
                let published = rules::PUBLISHED_FIELDS.iter().filter_map(|name| source.get_key_value(*name));
                data.extend(published.map(|(name, value)| (name.clone(), value.clone())));
            }
            data.insert("signature".into(), bundles.first().cloned().unwrap_or_default());
            if !self.matched.is_seed() {
                data.insert("signatures".into(), Value::Array(bundles));
            }
            let permissions = match &present {
                Some(present) => Arc::clone(&present.permissions),
                None => Arc::new(Permissions::from([("read".into(), [EVERYONE.to_owned()].into())])),
            };
            work.stage(uri, data, permissions, PLUGIN, Stamp::Next).await?;
        }
        Ok(())
    }

    /// The bucket of a preview or destination: whoever needs it first may write it. In 2016 nobody could.
    async fn ensure_bucket(&self, work: &mut Work<'_>, collection: &ObjectUri) -> Result<(), Error> {
        let bucket = ObjectUri::bucket(collection.bucket_id().unwrap_or_default());
        if work.get(&bucket).await?.is_some() {
            return Ok(());
        }
        let permissions = match &self.who.user {
            Some(user) if !self.matched.is_seed() => {
                Permissions::from([("write".into(), [user.clone()].into())])
            }
            _ => Permissions::new(),
        };
        work.stage(&bucket, Map::new(), Arc::new(permissions), PLUGIN, Stamp::Next).await?;
        Ok(())
    }

    fn update<'s>(&'s self, status: &str, stamps: &'s [Track]) -> Update<'s> {
        Update {
            user: self.user(),
            status: status.into(),
            stamps,
            emptied: &[],
            stamp: Stamp::Next,
            permissions: None,
        }
    }

    fn tell(
        &self,
        work: &mut Work<'_>,
        event: EventName,
        comment: Option<Option<&Value>>,
        copied: Option<Copied>,
    ) {
        let text = |comment: Option<&Value>| comment.and_then(Value::as_str).unwrap_or_default().to_owned();
        let size = copied.filter(|copied| event == EventName::ReviewRequested && copied.bytes > 0);
        work.events.push(Event {
            event,
            source: self.matched.source.to_string(),
            preview: self.matched.preview.as_ref().map(ToString::to_string),
            destination: self.matched.destination.to_string(),
            user_id: self.user().to_owned(),
            date: source::date(work),
            comment: comment.map(text),
            changes_count: copied.map(|copied| copied.count),
            changes_size_bytes: size.map(|copied| copied.bytes),
        });
    }
}

/// Where the metadata of what is published come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fields {
    /// What describes the records is that of the source.
    OfSource,
    /// Nothing but the signature is another one.
    AsTheyAre,
}
