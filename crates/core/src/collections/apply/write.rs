//! Making and replacing objects.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::body::{self, Sent};
use super::{Request, modified, parents_exist, place, read, rules};
use crate::collections::call::{Answer, How, IfMatch, IfNoneMatch, Permissions};
use crate::collections::change::{Change, Draft, Proposal};
use crate::collections::error::Error;
use crate::collections::object::Object;
use crate::collections::permission::{Place, Right};
use crate::collections::uri::{Kind, ListUri, ObjectUri};
use crate::collections::work::{Stamp, Work};
use crate::collections::{accounts, attachment};

/// `PUT` of an object.
pub(super) async fn put(
    work: &mut Work<'_>,
    request: &Request<'_>,
    uri: &ObjectUri,
) -> Result<Answer, Error> {
    let kind = uri.kind();
    let place = place(work, &uri.list, Some(&uri.id)).await?;
    let old = place.object(kind).cloned();
    request.require(request.may_do(work, &place, kind))?;
    request.well_formed()?;
    let sent = body::sent(request.call, kind)?;
    parents_exist(&place, &uri.list)?;
    conditions(work, request, uri, old.as_ref()).await?;
    save(work, request, &place, uri, old, sent).await
}

/// `POST` to a list: an object that is there already stays as it is.
pub(super) async fn post(
    work: &mut Work<'_>,
    request: &Request<'_>,
    list: &ListUri,
) -> Result<Answer, Error> {
    let kind = list.kind();
    let parents = place(work, list, None).await?;
    request.require(request.may_do(work, &parents, kind))?;
    request.well_formed()?;
    let sent = body::sent(request.call, kind)?;
    let wanted = body::wanted_id(sent.data.as_ref(), kind)?.map(str::to_owned);
    parents_exist(&parents, list)?;
    let Some(id) = wanted else {
        condition_of_new(work, request, list).await?;
        let uri = list.object(work.new_id(kind)?);
        return save(work, request, &parents, &uri, None, sent).await;
    };
    let uri = list.object(id);
    let place = place(work, list, Some(&uri.id)).await?;
    match place.object(kind) {
        None => {
            condition_of_new(work, request, list).await?;
            save(work, request, &place, &uri, None, sent).await
        }
        Some(old) => {
            // Who may make records need not be one who may read them.
            request.require(request.may(&place, kind, Right::Read))?;
            conditions(work, request, &uri, Some(old)).await?;
            read::answer(old, How::Existing, request.may(&place, kind, Right::Write))
        }
    }
}

/// `If-Match` of a list: nothing in it has changed.
pub(super) async fn list_condition(
    work: &mut Work<'_>,
    request: &Request<'_>,
    list: &ListUri,
) -> Result<(), Error> {
    // A list is always there.
    let Some(IfMatch::Timestamp(wanted)) = request.call.conditions.if_match else { return Ok(()) };
    let timestamp = work.timestamp(list).await?;
    if timestamp == wanted {
        return Ok(());
    }
    Err(Error::PreconditionFailed { timestamp, existing: None })
}

/// `If-Match` of a `POST` that makes an object: a timestamp is the list's, and `*` is an object that is there.
async fn condition_of_new(work: &mut Work<'_>, request: &Request<'_>, list: &ListUri) -> Result<(), Error> {
    if request.call.conditions.if_match == Some(IfMatch::Any) {
        return Err(Error::PreconditionFailed { timestamp: work.timestamp(list).await?, existing: None });
    }
    list_condition(work, request, list).await
}

/// `If-Match` and `If-None-Match: *` of a write to `uri`, where `old` is.
pub(super) async fn conditions(
    work: &mut Work<'_>,
    request: &Request<'_>,
    uri: &ObjectUri,
    old: Option<&Arc<Object>>,
) -> Result<(), Error> {
    let conditions = &request.call.conditions;
    let same = |wanted| match wanted {
        IfMatch::Any => old.is_some(),
        IfMatch::Timestamp(wanted) => old.is_some_and(|old| old.last_modified == wanted),
    };
    let holds = conditions.if_match.is_none_or(same)
        && (conditions.if_none_match != Some(IfNoneMatch::Any) || old.is_none());
    if holds { Ok(()) } else { Err(modified(work, uri, old).await?) }
}

/// Writes what was sent in place of what was there.
pub(super) async fn save(
    work: &mut Work<'_>,
    request: &Request<'_>,
    place: &Place,
    uri: &ObjectUri,
    old: Option<Arc<Object>>,
    sent: Sent,
) -> Result<Answer, Error> {
    let mut data = match (sent.data, &old) {
        (Some(data), _) => data,
        (None, Some(old)) => old.data()?.clone(),
        (None, None) => Map::new(),
    };
    let wanted = body::take_own(&mut data, uri)?;
    let how = if old.is_some() { How::Changed } else { How::Created };
    let permissions = sent.permissions.map(|given| in_place_of(old.as_deref(), given));
    let new = Intended { data, permissions, wanted };
    let object = stage(work, request, place, uri, old, new).await?;
    read::answer(&object, how, true)
}

/// An object as somebody wants it.
pub(super) struct Intended {
    /// Without `id` and `last_modified`.
    pub(super) data: Map<String, Value>,
    /// Permissions that are named are to be so; others stay.
    pub(super) permissions: Option<Permissions>,
    /// The timestamp that the client asks for.
    pub(super) wanted: Option<i64>,
}

/// Stages an object with all that belongs to it.
pub(super) async fn stage(
    work: &mut Work<'_>,
    request: &Request<'_>,
    place: &Place,
    uri: &ObjectUri,
    old: Option<Arc<Object>>,
    new: Intended,
) -> Result<Arc<Object>, Error> {
    let Intended { mut data, permissions, wanted } = new;
    rules::complete(work, place, uri, &mut data)?;
    if uri.kind() == Kind::Record {
        attachment::check(&work.ctx.collections.uploads, request.who, old.as_deref(), &data)?;
    }
    if uri.kind() == Kind::Account {
        unused(work, request, uri, old.as_deref()).await?;
        accounts::complete(old.as_deref(), &mut data)?;
    }
    let mut permissions = merged(old.as_deref(), permissions, request, uri);
    let mut proposal = Proposal {
        uri,
        old: old.as_ref(),
        new: Some(Draft { data: &mut data, permissions: &mut permissions }),
        together: &[],
    };
    rules::before(work, request, &mut proposal).await?;
    let stamp = wanted.map_or(Stamp::Next, Stamp::Wanted);
    let object = work.stage(uri, data, permissions, request.user(), stamp).await?;
    let change = Change { uri: uri.clone(), old, new: Some(Arc::clone(&object)) };
    rules::after(work, request, &change).await?;
    Ok(object)
}

/// Refuses the name of an account that was deleted: what it may do would come with it. An admin may give it again.
async fn unused(
    work: &mut Work<'_>,
    request: &Request<'_>,
    uri: &ObjectUri,
    old: Option<&Object>,
) -> Result<(), Error> {
    if request.who.admin || old.is_some() || !work.has_tombstone(uri).await? {
        return Ok(());
    }
    Err(Error::Forbidden("This name was somebody's before.".into()))
}

/// What a `PUT` gives stands in the place of all that was there; nothing given changes nothing.
fn in_place_of(old: Option<&Object>, mut given: Permissions) -> Permissions {
    if !given.is_empty() {
        for name in old.into_iter().flat_map(|old| old.permissions.keys()) {
            given.entry(name.clone()).or_default();
        }
    }
    given
}

/// The permissions of an object: those that are named are replaced, and whoever writes may write again.
fn merged(
    old: Option<&Object>,
    given: Option<Permissions>,
    request: &Request<'_>,
    uri: &ObjectUri,
) -> Permissions {
    let mut permissions = old.map(|old| (*old.permissions).clone()).unwrap_or_default();
    for (name, principals) in given.unwrap_or_default() {
        permissions.insert(name, principals);
    }
    let writer = match uri.kind() {
        Kind::Account => accounts::user_id(&uri.id),
        _ => request.user().to_owned(),
    };
    permissions.entry("write".to_owned()).or_default().insert(writer);
    permissions.retain(|_, principals| !principals.is_empty());
    permissions
}
