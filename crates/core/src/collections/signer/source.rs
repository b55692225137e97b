//! The source collection's own fields: its status, and who did what last.

use std::sync::Arc;
use std::time::Duration;

use countersign_records::collections::status::{Facts, Membership, Review, Stamp as Track, Status};
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::PLUGIN;
use super::resource::Matched;
use crate::collections::call::Permissions;
use crate::collections::error::Error;
use crate::collections::history::iso;
use crate::collections::uri::ObjectUri;
use crate::collections::work::{Stamp, Work};

/// The `status` of a collection as it stands in its data.
pub(super) fn status_of(data: &Map<String, Value>) -> Option<Status> {
    data.get("status").and_then(Value::as_str).and_then(Status::of_name)
}

/// The time of the request, as tracking fields have it.
pub(super) fn date(work: &Work<'_>) -> String {
    iso(work.now())
}

/// What is known of who asks for a change of `old`.
pub(super) fn facts(
    matched: &Matched<'_>,
    old: &Map<String, Value>,
    user: Option<&str>,
    principals: &[String],
) -> Facts {
    let member = |group: &ObjectUri| {
        let group = group.to_string();
        if principals.contains(&group) { Membership::Member } else { Membership::Stranger }
    };
    let requester = old.get(Track::ReviewRequest.by()).and_then(Value::as_str);
    Facts {
        // A collection that was there before it was signed has no status: what it has is not published.
        current: Some(status_of(old).unwrap_or(Status::WorkInProgress)),
        review: if matched.review { Review::On } else { Review::Off },
        editor: member(&matched.editors),
        reviewer: member(&matched.reviewers),
        last_requester: requester.is_some() && requester == user,
    }
}

/// A change of the source collection by the signer.
pub(super) struct Update<'a> {
    /// Who caused it.
    pub(super) user: &'a str,
    /// The new status.
    pub(super) status: Value,
    /// What is written down of it.
    pub(super) stamps: &'a [Track],
    /// Comments that are emptied.
    pub(super) emptied: &'a [&'a str],
    /// Which timestamp the collection gets.
    pub(super) stamp: Stamp,
    /// Who may do what with it from now on; `None`: as before.
    pub(super) permissions: Option<Permissions>,
}

impl Update<'_> {
    /// Writes it to the source collection as it is in this transaction.
    pub(super) async fn apply(self, work: &mut Work<'_>, source: &ObjectUri) -> Result<(), Error> {
        let Some(now) = work.get(source).await? else { return Ok(()) };
        let mut data = now.data()?.clone();
        data.insert("status".into(), self.status);
        let date = date(work);
        for stamp in self.stamps {
            data.insert(stamp.by().into(), self.user.into());
            data.insert(stamp.date().into(), date.as_str().into());
        }
        for comment in self.emptied {
            data.insert((*comment).into(), "".into());
        }
        let permissions = self.permissions.map_or_else(|| Arc::clone(&now.permissions), Arc::new);
        work.stage(source, data, permissions, PLUGIN, self.stamp).await?;
        Ok(())
    }
}

/// After a record was written: there is something to do, and whoever asked for a review must ask again.
///
/// Of many records that somebody writes within a second, the first one says it for all.
pub(super) async fn edited(work: &mut Work<'_>, source: &ObjectUri, user: &str) -> Result<(), Error> {
    let Some(collection) = work.get(source).await? else { return Ok(()) };
    if is_said(collection.data()?, user, work.now()) {
        return Ok(());
    }
    let status = Value::from(Status::WorkInProgress.as_str());
    let update =
        Update { user, status, stamps: &[Track::Edit], emptied: &[], stamp: Stamp::Next, permissions: None };
    update.apply(work, source).await
}

/// Whether a collection says already that `user` is editing it.
fn is_said(data: &Map<String, Value>, user: &str, now: Timestamp) -> bool {
    let text = |field: &str| data.get(field).and_then(Value::as_str);
    let date: Option<Timestamp> = text(Track::Edit.date()).and_then(|date| date.parse().ok());
    text("status") == Some(Status::WorkInProgress.as_str())
        && text(Track::Edit.by()) == Some(user)
        && date.is_some_and(|date| now.duration_since(date).unsigned_abs() < SAME_EDIT)
}

/// Within this time it is one edit.
const SAME_EDIT: Duration = Duration::from_secs(1);
