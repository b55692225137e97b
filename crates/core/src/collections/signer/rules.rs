//! What may not be done to collections that are signed, and in which words it is refused.

use countersign_records::collections::find_float;
use countersign_records::collections::status::{
    Action, Decision, Refusal, Request, Review, check_tracking, decide,
};
use countersign_store::{PageOrder, PageQuery};
use serde_json::{Map, Value};

use super::resource::{Matched, Resources};
use super::source::facts;
use super::{PLUGIN, covered, groups};
use crate::collections::change::Proposal;
use crate::collections::error::Error;
use crate::collections::permission::{Place, Right};
use crate::collections::uri::{Kind, ListUri, ObjectUri};
use crate::collections::who::Who;
use crate::collections::work::Work;
use crate::context::Context;

/// Refuses a record that not every reader would read as it was written.
pub(super) fn check_record(matched: &Matched<'_>, data: &Map<String, Value>) -> Result<(), Error> {
    if matched.settings.allow_floats || matched.is_seed() {
        return Ok(());
    }
    let found = data.iter().find_map(|(name, value)| {
        let rest = find_float(value)?;
        Some(if rest.is_empty() { name.clone() } else { format!("{name}.{rest}") })
    });
    match found {
        None => Ok(()),
        Some(path) => {
            Err(Error::Refused(format!("field contains float value (tip: use integer or string), '{path}'")))
        }
    }
}

/// Refuses what the status table does not have, and what only the signer writes.
pub(super) async fn check_source(
    work: &mut Work<'_>,
    who: &Who,
    principals: &[String],
    matched: &Matched<'_>,
    proposal: &mut Proposal<'_>,
) -> Result<(), Error> {
    if matched.is_seed() {
        return Ok(());
    }
    let Some(draft) = &mut proposal.new else {
        return check_deletion(work, who, principals, matched).await;
    };
    let nothing = Map::new();
    let old = match proposal.old {
        Some(old) => old.data()?,
        None => &nothing,
    };
    let is_new = proposal.old.is_none();
    let (before, after) = (old.get("status"), draft.data.get("status"));
    if before.filter(|status| !status.is_null()) != after.filter(|status| !status.is_null()) {
        match check_status(matched, is_new, old, after, who, principals)? {
            Decision::Do(Action::Sign, _) if matched.review && !is_new => check_fields(old, draft.data)?,
            Decision::Do(Action::Resign | Action::Rollback, _) if !is_new => {
                covered::check(work, matched).await?
            }
            _ => {}
        }
    }
    check_tracking(old, draft.data).map_err(|refusal| Error::Refused(words(&refusal, matched)))?;
    if is_new {
        groups::check(work, who, principals, matched).await?;
    }
    // What is done by nobody gives nobody a right.
    let had = proposal
        .old
        .is_some_and(|old| old.permissions.get("write").is_some_and(|writers| writers.contains(PLUGIN)));
    if who.user.as_deref() == Some(PLUGIN)
        && !had
        && let Some(writers) = draft.permissions.get_mut("write")
    {
        writers.remove(PLUGIN);
    }
    Ok(())
}

fn check_status(
    matched: &Matched<'_>,
    is_new: bool,
    old: &Map<String, Value>,
    asked: Option<&Value>,
    who: &Who,
    principals: &[String],
) -> Result<Decision, Error> {
    let facts = facts(matched, old, who.user.as_deref(), principals);
    let request = Request::of(asked);
    // It begins signed and empty: to ask for that is no more than that.
    if is_new && request == Request::ToSign && facts.review == Review::Off {
        return Ok(Decision::NoOp);
    }
    match decide(&request, &facts) {
        Decision::Refused(refusal) => {
            let message = words(&refusal, matched);
            Err(if refusal.is_forbidden() { Error::Forbidden(message) } else { Error::Refused(message) })
        }
        decision => Ok(decision),
    }
}

/// Refuses an approval that changes what is approved.
fn check_fields(old: &Map<String, Value>, new: &Map<String, Value>) -> Result<(), Error> {
    match changed_field(old, new) {
        Some(field) => Err(Error::Refused(format!("Cannot change '{field}' while signing"))),
        None => Ok(()),
    }
}

/// What of the metadata that is published with the records is another one, if anything is.
pub(super) fn changed_field(old: &Map<String, Value>, new: &Map<String, Value>) -> Option<&'static str> {
    PUBLISHED_FIELDS.into_iter().find(|field| old.get(*field) != new.get(*field))
}

/// What of a source's metadata is published with its records.
pub(super) const PUBLISHED_FIELDS: [&str; 5] = ["flags", "attachment", "schema", "sort", "displayFields"];

/// Refuses to delete a source that has reviews, but for a reviewer and who may write the bucket: an empty set would be
/// published without one.
async fn check_deletion(
    work: &mut Work<'_>,
    who: &Who,
    principals: &[String],
    matched: &Matched<'_>,
) -> Result<(), Error> {
    let bucket = work.get(&ObjectUri::bucket(matched.source.bucket_id().unwrap_or_default())).await?;
    let place = Place { bucket, ..Place::default() };
    if !matched.review
        || who.admin
        || principals.contains(&matched.reviewers.to_string())
        || place.permits(Kind::Bucket, Right::Write, principals)
    {
        return Ok(());
    }
    Err(Error::Forbidden(words(&Refusal::NotReviewer, matched)))
}

/// A refusal in the words that clients know.
fn words(refusal: &Refusal, matched: &Matched<'_>) -> String {
    match refusal {
        // The peer prints the enumeration that it has of them.
        Refusal::Tracking(field) => {
            format!("Cannot change <TRACKING_FIELDS.{}: '{field}'>", field.to_uppercase())
        }
        Refusal::NotEditor => refusal.message(&matched.editors.id),
        _ => refusal.message(&matched.reviewers.id),
    }
}

/// Refuses to delete a preview or destination whose source is there.
pub(super) async fn check_unused(
    work: &mut Work<'_>,
    resources: &Resources,
    uri: &ObjectUri,
) -> Result<(), Error> {
    for matched in resources.published_at(uri.bucket_id().unwrap_or_default(), &uri.id) {
        if work.get(&matched.source).await?.is_some() {
            return Err(Error::Forbidden("Collection is in use.".into()));
        }
    }
    Ok(())
}

/// Refuses to delete a bucket with previews or destinations whose sources are there, and stay.
///
/// What is staged must be in the database.
pub(super) async fn check_unused_bucket(
    work: &mut Work<'_>,
    resources: &Resources,
    proposal: &Proposal<'_>,
) -> Result<(), Error> {
    let bucket = &proposal.uri.id;
    let goes = |source: &ObjectUri| {
        let bucket = source.bucket_id();
        proposal.together.iter().any(|object| bucket == Some(object.uri.id.as_str()))
    };
    let list = ListUri::collections(bucket);
    let mut query = PageQuery { order: PageOrder::ById(None), limit: PAGE, ..PageQuery::default() };
    loop {
        let page = work.store().await?.page(&list.to_string(), &query).await?;
        let ids: Vec<String> = page.objects.into_iter().map(|row| row.id).collect();
        let mut sources = Vec::new();
        for id in &ids {
            let matched = resources.published_at(bucket, id);
            sources.extend(matched.into_iter().map(|matched| matched.source).filter(|source| !goes(source)));
        }
        work.prefetch(&sources).await?;
        for source in &sources {
            if work.get(source).await?.is_some() {
                return Err(Error::Forbidden("Bucket is in use.".into()));
            }
        }
        if !page.more {
            return Ok(());
        }
        query.order = PageOrder::ById(ids.last().cloned());
    }
}

const PAGE: u32 = 1000;

/// Refuses to make a bucket in which something is edited or published, but for admins and who is named for making
/// buckets: who makes it may write all that is in it.
pub(super) fn check_maker(ctx: &Context, who: &Who) -> Result<(), Error> {
    let named = &ctx.collections.settings.bucket_create_principals;
    match &who.user {
        Some(user) if who.admin || named.contains(user) => Ok(()),
        Some(_) => Err(Error::forbidden()),
        None if who.admin => Ok(()),
        None => Err(Error::Unauthorized),
    }
}
