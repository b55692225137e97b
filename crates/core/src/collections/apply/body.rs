//! What a body says: `data` and `permissions`.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::collections::call::{BadBody, Body, Call, Form, Permissions};
use crate::collections::error::{Error, Location};
use crate::collections::permission;
use crate::collections::uri::{Kind, ObjectUri, is_id};

/// What was sent.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// `data`, with `id` and `last_modified`.
    pub(super) data: Option<Map<String, Value>>,
    /// `permissions`: those that are named are to be so. What a merge patch says is null is to be nobody's.
    pub(super) permissions: Option<Permissions>,
}

/// The body of a call, if it has one that can be read.
pub(super) fn of(call: &Call) -> Result<Option<&Body>, Error> {
    match &call.body {
        Ok(body) => Ok(body.as_ref()),
        Err(BadBody::Malformed(invalid)) => Err(Error::Invalid(invalid.clone())),
        Err(BadBody::MediaType(what)) => Err(Error::UnsupportedMediaType(what.clone())),
    }
}

/// `{"data": {…}, "permissions": {…}}`, each of which may be left out; as `POST` and `PUT` take it.
pub(super) fn sent(call: &Call, kind: Kind) -> Result<Sent, Error> {
    match of(call)? {
        None => Ok(Sent::default()),
        Some(Body { form: Form::Json, value }) => envelope(value, Form::Json, kind),
        Some(_) => Err(Error::UnsupportedMediaType(
            "Content-Type header should be one of ['application/json']".into(),
        )),
    }
}

/// Reads an envelope, in JSON or as a merge patch of one.
pub(super) fn envelope(value: &Value, form: Form, kind: Kind) -> Result<Sent, Error> {
    let body = |name: &str, what: String| Error::invalid(Location::Body, name, what);
    let no_mapping = |value: &Value| {
        format!("\"{}\" is not a mapping type: Does not implement dict-like functionality.", python(value))
    };
    let Value::Object(members) = value else { return Err(body("", no_mapping(value))) };
    let unknown: Map<_, _> = members
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "data" | "permissions"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if !unknown.is_empty() {
        let what = format!("Unrecognized keys in mapping: \"{}\"", python(&Value::Object(unknown)));
        return Err(body("", what));
    }
    let data = match members.get("data") {
        None => None,
        Some(Value::Object(data)) => {
            check_depth(data)?;
            Some(data.clone())
        }
        Some(other) => return Err(body("data", no_mapping(other))),
    };
    let permissions = match members.get("permissions") {
        None => None,
        Some(Value::Object(given)) => Some(permissions(given, form, kind)?),
        Some(other) => return Err(body("permissions", no_mapping(other))),
    };
    Ok(Sent { data, permissions })
}

fn permissions(given: &Map<String, Value>, form: Form, kind: Kind) -> Result<Permissions, Error> {
    let mut permissions = Permissions::new();
    for (name, value) in given {
        check_name(name, kind)?;
        let place = || format!("permissions.{name}");
        let principals = match value {
            Value::Array(principals) => principals.as_slice(),
            Value::Null if form == Form::MergePatch => &[],
            // Elsewhere it is as if it were not there.
            Value::Null => continue,
            _ => return Err(Error::invalid(Location::Body, place(), "Value is not a list of principals")),
        };
        let principals: Result<BTreeSet<String>, Error> = principals
            .iter()
            .map(|principal| match principal {
                Value::String(text) => Ok(text.clone()),
                other => {
                    let what = format!("{} is not a string", python(other));
                    Err(Error::invalid(Location::Body, place(), what))
                }
            })
            .collect();
        permissions.insert(name.clone(), principals?);
    }
    Ok(permissions)
}

/// Refuses the name of a permission that objects of this kind do not have.
pub(super) fn check_name(name: &str, kind: Kind) -> Result<(), Error> {
    let names = permission::names(kind);
    if names.contains(&name) {
        return Ok(());
    }
    let what = format!("\"{}\" is not one of {}", shorten(name), names.join(", "));
    Err(Error::invalid(Location::Body, "permissions", what))
}

/// What clients say of id and time of an object, taken out of its data.
///
/// # Errors
/// [`Error::Invalid`] for the id of another object.
pub(super) fn take_own(data: &mut Map<String, Value>, uri: &ObjectUri) -> Result<Option<i64>, Error> {
    match data.remove("id") {
        None => {}
        Some(Value::String(id)) if id == uri.id => {}
        Some(_) => {
            return Err(Error::invalid(Location::Body, "id", "Object id does not match existing object"));
        }
    }
    if data.get("deleted") == Some(&Value::Bool(true)) {
        // To readers it would look like a tombstone.
        return Err(Error::invalid(Location::Body, "data.deleted", "objects are deleted with DELETE"));
    }
    Ok(data.remove("last_modified").and_then(|time| time.as_i64()))
}

/// The id that a `POST` asks for.
pub(super) fn wanted_id(data: Option<&Map<String, Value>>, kind: Kind) -> Result<Option<&str>, Error> {
    let fits =
        |id: &str| if kind == Kind::Account { crate::collections::accounts::is_name(id) } else { is_id(id) };
    match data.and_then(|data| data.get("id")) {
        None => Ok(None),
        Some(Value::String(id)) if fits(id) => Ok(Some(id)),
        Some(_) => Err(Error::nameless(Location::Path, "Invalid object id")),
    }
}

/// Data is not nested deeper: what holds it (an entry of the history, the answer of a batch) must be readable.
const DEEPEST: usize = 100;

/// Refuses data that is nested too deeply.
pub(super) fn check_depth(data: &Map<String, Value>) -> Result<(), Error> {
    fn fits(value: &Value, left: usize) -> bool {
        match value {
            Value::Array(items) => left > 0 && items.iter().all(|item| fits(item, left - 1)),
            Value::Object(members) => left > 0 && members.values().all(|member| fits(member, left - 1)),
            _ => true,
        }
    }
    if data.values().all(|value| fits(value, DEEPEST)) {
        return Ok(());
    }
    Err(Error::invalid(Location::Body, "data", format!("data is nested deeper than {DEEPEST}")))
}

/// A value as the peer's messages have it, shortened.
pub(super) fn python(value: &Value) -> String {
    fn write(value: &Value, out: &mut String) {
        if out.len() > 200 {
            return;
        }
        let separate = |i: usize, out: &mut String| {
            if i > 0 {
                out.push_str(", ");
            }
        };
        match value {
            Value::Null => out.push_str("None"),
            Value::Bool(true) => out.push_str("True"),
            Value::Bool(false) => out.push_str("False"),
            Value::Number(number) => out.push_str(&number.to_string()),
            Value::String(text) => {
                out.push('\'');
                out.push_str(shorten(text));
                out.push('\'');
            }
            Value::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate().take(50) {
                    separate(i, out);
                    write(item, out);
                }
                out.push(']');
            }
            Value::Object(members) => {
                out.push('{');
                for (i, (name, member)) in members.iter().enumerate().take(50) {
                    separate(i, out);
                    out.push('\'');
                    out.push_str(shorten(name));
                    out.push_str("': ");
                    write(member, out);
                }
                out.push('}');
            }
        }
    }
    if let Value::String(text) = value {
        return shorten(text).to_owned();
    }
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn shorten(text: &str) -> &str {
    let end = text.char_indices().nth(100).map_or(text.len(), |(at, _)| at);
    &text[..end]
}
