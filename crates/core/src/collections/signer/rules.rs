//! What may not be done to collections that are signed, and in which words it is refused.

use countersign_records::collections::find_float;
use countersign_records::collections::status::{Decision, Refusal, Request, Review, check_tracking, decide};
use serde_json::{Map, Value};

use super::resource::{Matched, Resources};
use super::source::facts;
use super::{PLUGIN, groups};
use crate::collections::change::Proposal;
use crate::collections::error::Error;
use crate::collections::uri::ObjectUri;
use crate::collections::who::Who;
use crate::collections::work::Work;

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
    let Some(draft) = &mut proposal.new else { return Ok(()) };
    if matched.is_seed() {
        return Ok(());
    }
    let nothing = Map::new();
    let old = match proposal.old {
        Some(old) => old.data()?,
        None => &nothing,
    };
    let is_new = proposal.old.is_none();
    let (before, after) = (old.get("status"), draft.data.get("status"));
    if before.filter(|status| !status.is_null()) != after.filter(|status| !status.is_null()) {
        check_status(matched, is_new, old, after, who, principals)?;
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
) -> Result<(), Error> {
    let facts = facts(matched, old, who.user.as_deref(), principals);
    let request = Request::of(asked);
    // It begins signed and empty: to ask for that is no more than that.
    if is_new && request == Request::ToSign && facts.review == Review::Off {
        return Ok(());
    }
    match decide(&request, &facts) {
        Decision::NoOp | Decision::Do(..) => Ok(()),
        Decision::Refused(refusal) => {
            let message = words(&refusal, matched);
            Err(if refusal.is_forbidden() { Error::Forbidden(message) } else { Error::Refused(message) })
        }
    }
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
