//! Reading one object.

use std::sync::Arc;

use countersign_model::canonical::content_signature;
use serde_json::{Map, Value};

use super::{Request, modified, not_found, parents_exist, place};
use crate::collections::call::{Answer, How, IfMatch, IfNoneMatch};
use crate::collections::error::Error;
use crate::collections::fields::Fields;
use crate::collections::object::Object;
use crate::collections::permission::{Place, Right};
use crate::collections::uri::{Kind, ObjectUri};
use crate::collections::work::Work;
use crate::collections::{Location, accounts, history};

/// `GET` of an object.
pub(super) async fn one(
    work: &mut Work<'_>,
    request: &Request<'_>,
    uri: &ObjectUri,
) -> Result<Answer, Error> {
    let kind = uri.kind();
    let place = place(work, &uri.list, Some(&uri.id)).await?;
    request.require(request.may(&place, kind, right_to_see(kind)))?;
    request.well_formed()?;
    let fields = request.query("_fields").map(Fields::parse);
    parents_exist(&place, &uri.list)?;
    let object = place.object(kind).ok_or_else(|| not_found(uri))?;
    let object = &shown(request, &place, object)?;

    let conditions = &request.call.conditions;
    match conditions.if_none_match {
        Some(IfNoneMatch::Timestamp(timestamp)) if timestamp == object.last_modified => {
            return Ok(Answer::NotModified { timestamp });
        }
        Some(IfNoneMatch::Any) => return Err(modified(work, uri, Some(object)).await?),
        _ => {}
    }
    if matches!(conditions.if_match, Some(IfMatch::Timestamp(wanted)) if wanted != object.last_modified) {
        return Err(modified(work, uri, Some(object)).await?);
    }
    let Some(fields) = fields else {
        let may_write = request.may(&place, kind, Right::Write);
        return answer(object, How::Read, may_write);
    };
    let data = canonical(&Value::Object(fields.pick(members_for_clients(object)?)))?;
    Ok(Answer::Object { how: How::Read, data, permissions: None, timestamp: object.last_modified })
}

/// The object as the caller may know it: an entry of the history without who may do what, for who may not write.
fn shown(request: &Request<'_>, place: &Place, object: &Arc<Object>) -> Result<Arc<Object>, Error> {
    if object.uri.kind() != Kind::History || request.may(place, Kind::History, Right::Write) {
        return Ok(Arc::clone(object));
    }
    let mut data = object.data()?.clone();
    history::hide_permissions(&mut data, &request.principals);
    let permissions = Arc::clone(&object.permissions);
    Ok(Arc::new(Object::new(object.uri.clone(), object.last_modified, data, permissions)?))
}

/// Of a bucket or collection, who may make something in it may see that it is there.
fn right_to_see(kind: Kind) -> Right {
    if matches!(kind, Kind::Bucket | Kind::Collection) { Right::Attributes } else { Right::Read }
}

/// An object as an answer; its permissions are for who may write it.
pub(super) fn answer(object: &Arc<Object>, how: How, may_write: bool) -> Result<Answer, Error> {
    let permissions = if may_write { (*object.permissions).clone() } else { Default::default() };
    Ok(Answer::Object {
        how,
        data: text_for_clients(object)?,
        permissions: Some(permissions),
        timestamp: object.last_modified,
    })
}

/// An object as it is sent: an account without its password.
fn text_for_clients(object: &Object) -> Result<String, Error> {
    match object.uri.kind() {
        Kind::Account => canonical(&value_for_clients(object)?),
        _ => Ok(object.text().to_owned()),
    }
}

pub(super) fn value_for_clients(object: &Object) -> Result<Value, Error> {
    members_for_clients(object).map(Value::Object)
}

fn members_for_clients(object: &Object) -> Result<Map<String, Value>, Error> {
    let mut members = match object.value()? {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    if object.uri.kind() == Kind::Account {
        accounts::hide(&mut members);
    }
    Ok(members)
}

/// JSON for an answer, in the form in which objects are stored.
pub(super) fn canonical(value: &Value) -> Result<String, Error> {
    content_signature(value).map_err(|error| Error::invalid(Location::Body, "data", error.to_string()))
}
