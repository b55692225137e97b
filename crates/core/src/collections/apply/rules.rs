//! What every object of its kind must be like, and the rules of signing.

use serde_json::{Map, Value};

use super::Request;
use super::body::python;
use crate::collections::change::{Change, Proposal};
use crate::collections::error::{Error, Location};
use crate::collections::permission::Place;
use crate::collections::uri::{Kind, ObjectUri};
use crate::collections::work::Work;
use crate::collections::{schema, signer};

/// Checks and completes the data of an object that is about to be written.
pub(super) fn complete(
    work: &Work<'_>,
    place: &Place,
    uri: &ObjectUri,
    data: &mut Map<String, Value>,
) -> Result<(), Error> {
    if uri.kind() == Kind::Group {
        members(data)?;
    }
    for name in schema::members_of(uri.kind()) {
        if let Some(schema) = data.get(*name) {
            schema::check(&work.ctx.collections.schemas, schema, &format!("data.{name}"))?;
        }
    }
    schema::apply(&work.ctx.collections.schemas, place, uri, data)
}

/// The members of a group are users: not everybody, and not groups.
fn members(data: &mut Map<String, Value>) -> Result<(), Error> {
    let members = data.entry("members").or_insert_with(|| Value::Array(Vec::new()));
    let Value::Array(members) = members else {
        let what = format!("\"{}\" is not iterable", python(members));
        return Err(Error::invalid(Location::Body, "data.members", what));
    };
    for (i, member) in members.iter().enumerate() {
        let user = member.as_str().filter(|name| {
            !name.is_empty() && !name.starts_with("system.") && !name.starts_with("/buckets/")
        });
        if user.is_none() {
            let what = format!("'{}' is not a valid user ID.", python(member));
            return Err(Error::invalid(Location::Body, format!("data.members.{i}"), what));
        }
    }
    Ok(())
}

/// Asks the rules of signing, before anything is staged.
pub(super) async fn before(
    work: &mut Work<'_>,
    request: &Request<'_>,
    proposal: &mut Proposal<'_>,
) -> Result<(), Error> {
    if proposal.uri.kind() == Kind::Account {
        return Ok(());
    }
    signer::before(work, request.who, &request.principals, proposal).await
}

/// Does what follows from a change.
pub(super) async fn after(work: &mut Work<'_>, request: &Request<'_>, change: &Change) -> Result<(), Error> {
    if change.uri.kind() == Kind::Account {
        return Ok(());
    }
    signer::after(work, request.who, &request.principals, request.call, change).await
}
