//! Deleting objects, and all that is in them.

use std::sync::Arc;

use super::{Request, list, not_found, parents_exist, place, rules, write};
use crate::collections::call::{Answer, How};
use crate::collections::change::{Change, Proposal};
use crate::collections::error::{Error, Location};
use crate::collections::object::{Object, tombstone_text};
use crate::collections::permission::Right;
use crate::collections::uri::{Kind, ListUri, ObjectUri};
use crate::collections::work::{Stamp, Work};

/// `DELETE` of an object.
pub(super) async fn one(
    work: &mut Work<'_>,
    request: &Request<'_>,
    uri: &ObjectUri,
) -> Result<Answer, Error> {
    let kind = uri.kind();
    let place = place(work, &uri.list, Some(&uri.id)).await?;
    let object = place.object(kind).cloned();
    request.require(request.may_do(work, &place, kind))?;
    request.well_formed()?;
    let stamp = wanted(request)?;
    parents_exist(&place, &uri.list)?;
    let object = object.ok_or_else(|| not_found(uri))?;
    write::conditions(work, request, uri, Some(&object)).await?;
    judge(work, request, &object, std::slice::from_ref(&object)).await?;
    let timestamp = delete(work, request, object, stamp).await?;
    if matches!(kind, Kind::Bucket | Kind::Collection) {
        work.remove_under(uri).await?;
    }
    let data = tombstone_text(&uri.id, timestamp)?;
    Ok(Answer::Object { how: How::Deleted, data, permissions: None, timestamp })
}

/// `DELETE` of a list: of all objects in it that the query finds.
pub(super) async fn many(
    work: &mut Work<'_>,
    request: &Request<'_>,
    list: &ListUri,
) -> Result<Answer, Error> {
    let found = list::find(work, request, list, Right::Write).await?;
    write::list_condition(work, request, list).await?;
    let uris: Vec<_> =
        found.rows.into_iter().filter(|row| !row.deleted).map(|row| list.object(row.id)).collect();
    work.prefetch(&uris).await?;
    let mut objects = Vec::with_capacity(uris.len());
    for uri in &uris {
        objects.extend(work.get(uri).await?);
    }
    // All of them before the first goes: what follows from that may be a signature, which nobody takes back.
    for object in &objects {
        judge(work, request, object, &objects).await?;
    }
    let mut items = Vec::with_capacity(objects.len());
    for object in &objects {
        let timestamp = delete(work, request, Arc::clone(object), Stamp::Next).await?;
        items.push(tombstone_text(&object.uri.id, timestamp)?);
    }
    if matches!(list.kind(), Kind::Bucket | Kind::Collection) {
        for object in &objects {
            work.remove_under(&object.uri).await?;
        }
    }
    Ok(Answer::List { items, timestamp: work.timestamp(list).await?, next: found.next, total: None })
}

/// Asks whether an object may go, together with others.
async fn judge(
    work: &mut Work<'_>,
    request: &Request<'_>,
    object: &Arc<Object>,
    together: &[Arc<Object>],
) -> Result<(), Error> {
    let mut proposal = Proposal { uri: &object.uri, old: Some(object), new: None, together };
    rules::before(work, request, &mut proposal).await
}

/// Deletes an object that was judged, with all that follows from it, but for what is in it.
async fn delete(
    work: &mut Work<'_>,
    request: &Request<'_>,
    object: Arc<Object>,
    stamp: Stamp,
) -> Result<i64, Error> {
    let timestamp = work.delete(&object.uri, request.user(), stamp).await?;
    let change = Change { uri: object.uri.clone(), old: Some(object), new: None };
    rules::after(work, request, &change).await?;
    Ok(timestamp)
}

/// `?last_modified=N`, with or without quotes.
fn wanted(request: &Request<'_>) -> Result<Stamp, Error> {
    let Some(text) = request.query("last_modified") else { return Ok(Stamp::Next) };
    match text.trim_matches('"').parse() {
        Ok(timestamp) => Ok(Stamp::Wanted(timestamp)),
        Err(_) => {
            let what = format!("Invalid value for {}", "last_modified");
            Err(Error::invalid(Location::Querystring, "last_modified", what))
        }
    }
}
