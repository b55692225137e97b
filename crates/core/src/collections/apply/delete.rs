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
    // Who could read it may know that there is none.
    let right = if object.is_some() { Right::Write } else { Right::Read };
    request.require(request.may(&place, kind, right))?;
    request.well_formed()?;
    let stamp = wanted(request)?;
    parents_exist(&place, &uri.list)?;
    let object = object.ok_or_else(|| not_found(uri))?;
    write::conditions(request, Some(&object))?;
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
    let mut items = Vec::new();
    let mut removed = Vec::new();
    let uris: Vec<_> =
        found.rows.into_iter().filter(|row| !row.deleted).map(|row| list.object(row.id)).collect();
    work.prefetch(&uris).await?;
    for uri in uris {
        let Some(object) = work.get(&uri).await? else { continue };
        let timestamp = delete(work, request, object, Stamp::Next).await?;
        items.push(tombstone_text(&uri.id, timestamp)?);
        removed.push(uri);
    }
    for uri in &removed {
        if matches!(list.kind(), Kind::Bucket | Kind::Collection) {
            work.remove_under(uri).await?;
        }
    }
    Ok(Answer::List { items, timestamp: work.timestamp(list).await?, next: found.next, total: None })
}

/// Deletes an object with all that follows from it, but for what is in it.
async fn delete(
    work: &mut Work<'_>,
    request: &Request<'_>,
    object: Arc<Object>,
    stamp: Stamp,
) -> Result<i64, Error> {
    let mut proposal = Proposal { uri: &object.uri, old: Some(&object), new: None };
    rules::before(work, request, &mut proposal).await?;
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
