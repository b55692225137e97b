//! Changing objects: shallow merge, merge patch (RFC 7396), JSON patch (RFC 6902).

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::body::{self, Sent};
use super::write::{Intended, conditions, stage};
use super::{Request, json_patch, not_found, parents_exist, place, read};
use crate::collections::call::{Answer, Behavior, Body, Form, How, Permissions};
use crate::collections::error::{Error, Location};
use crate::collections::object::Object;
use crate::collections::permission;
use crate::collections::uri::{Kind, ObjectUri};
use crate::collections::work::Work;

/// `PATCH` of an object.
pub(super) async fn patch(
    work: &mut Work<'_>,
    request: &Request<'_>,
    uri: &ObjectUri,
) -> Result<Answer, Error> {
    let kind = uri.kind();
    let place = place(work, &uri.list, Some(&uri.id)).await?;
    let old = place.object(kind).cloned();
    request.require(request.may_do(work, &place, kind))?;
    request.well_formed()?;
    let body = body::of(request.call)?;
    let sent = Patch::read(body, kind)?;
    parents_exist(&place, &uri.list)?;
    let old = old.ok_or_else(|| not_found(uri))?;
    conditions(work, request, uri, Some(&old)).await?;

    let mut patched = sent.apply(&old)?;
    body::check_depth(&patched.data)?;
    let wanted = body::take_own(&mut patched.data, uri)?;
    let unchanged = patched.data == *old.data()? && patched.permissions.is_none();
    let object = if unchanged {
        Arc::clone(&old)
    } else {
        let wanted = wanted.filter(|wanted| *wanted != old.last_modified);
        let new = Intended { data: patched.data, permissions: patched.permissions, wanted };
        stage(work, request, &place, uri, Some(Arc::clone(&old)), new).await?
    };
    let answer = read::answer(&object, How::Changed, true)?;
    limited(answer, request.call.behavior, &sent, &old, &object)
}

/// What a `PATCH` asks for.
enum Patch {
    Members(Sent),
    Merge(Sent),
    Json(Vec<Value>),
}

/// What an object becomes.
struct Patched {
    data: Map<String, Value>,
    permissions: Option<Permissions>,
}

impl Patch {
    fn read(body: Option<&Body>, kind: Kind) -> Result<Self, Error> {
        let nothing = || {
            let what = "Provide at least one of data or permissions";
            Err(Error::invalid(Location::Body, "data", what))
        };
        let Some(Body { form, value }) = body else { return nothing() };
        if kind == Kind::Account && *form != Form::Json {
            let what = "Content-Type header should be one of ['application/json']";
            return Err(Error::UnsupportedMediaType(what.into()));
        }
        if *form == Form::JsonPatch {
            let Value::Array(operations) = value else {
                return Err(Error::invalid(Location::Body, "", "a JSON patch is a list of operations"));
            };
            return Ok(Self::Json(operations.clone()));
        }
        let sent = body::envelope(value, *form, kind)?;
        match form {
            _ if sent.data.is_none() && sent.permissions.is_none() => nothing(),
            Form::MergePatch => Ok(Self::Merge(sent)),
            _ => Ok(Self::Members(sent)),
        }
    }

    fn apply(&self, old: &Object) -> Result<Patched, Error> {
        match self {
            Self::Members(sent) => {
                let mut data = old.data()?.clone();
                data.extend(sent.data.clone().unwrap_or_default());
                Ok(Patched { data, permissions: sent.permissions.clone() })
            }
            Self::Merge(sent) => {
                let mut data = Value::Object(old.data()?.clone());
                if let Some(patch) = &sent.data {
                    merge(&mut data, patch);
                }
                let Value::Object(data) = data else { return Err(not_found(&old.uri)) };
                Ok(Patched { data, permissions: sent.permissions.clone() })
            }
            Self::Json(operations) => by_json_patch(old, operations),
        }
    }

    /// The members that were sent, where the body has some.
    fn members(&self) -> Option<&Map<String, Value>> {
        match self {
            Self::Members(sent) | Self::Merge(sent) => sent.data.as_ref(),
            Self::Json(_) => None,
        }
    }
}

/// RFC 7396, section 2: null removes, objects are merged, anything else replaces.
fn merge(target: &mut Value, patch: &Map<String, Value>) {
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(members) = target else { return };
    for (name, value) in patch {
        match value {
            Value::Null => drop(members.remove(name)),
            Value::Object(inner) => merge(members.entry(name.clone()).or_insert(Value::Null), inner),
            other => drop(members.insert(name.clone(), other.clone())),
        }
    }
}

/// RFC 6902 on `{"data": …, "permissions": {"read": {PRINCIPAL: {}}}}`: principals are members there, so that a
/// path names one.
fn by_json_patch(old: &Object, operations: &[Value]) -> Result<Patched, Error> {
    // All that there can be: a principal is added also to what nobody had.
    let permissions: Map<String, Value> = permission::names(old.uri.kind())
        .iter()
        .map(|name| {
            let who = old.permissions.get(*name).into_iter().flatten();
            ((*name).to_owned(), who.map(|who| (who.clone(), json!({}))).collect())
        })
        .collect();
    let permissions = Value::Object(permissions);
    let document = json!({"data": old.value()?, "permissions": &permissions});
    let operations: Vec<Value> = operations.iter().map(with_value).collect();
    let mut patched = json_patch(document, &operations).map_err(|error| {
        Error::invalid(Location::Body, "", format!("the JSON patch cannot be applied: {error}"))
    })?;
    let mut take = |name: &str| patched.get_mut(name).map(Value::take);
    let Some(Value::Object(data)) = take("data") else {
        return Err(Error::invalid(Location::Body, "data", "data is not an object any more"));
    };
    let Some(Value::Object(given)) = take("permissions") else {
        return Err(Error::invalid(Location::Body, "permissions", "permissions is not an object any more"));
    };
    if Value::Object(given.clone()) == permissions {
        return Ok(Patched { data, permissions: None });
    }
    let mut new: Permissions =
        old.permissions.keys().map(|name| (name.clone(), Default::default())).collect();
    for (name, who) in given {
        body::check_name(&name, old.uri.kind())?;
        let Some(who) = principals(who) else {
            let what = format!("permissions.{name} has principals as its members");
            return Err(Error::invalid(Location::Body, format!("permissions.{name}"), what));
        };
        new.insert(name, who);
    }
    Ok(Patched { data, permissions: Some(new) })
}

/// Clients add a principal by its path alone: `{"op": "add", "path": "/permissions/read/alice"}`.
fn with_value(operation: &Value) -> Value {
    let mut operation = operation.clone();
    let text = |name: &str| operation.get(name).and_then(Value::as_str);
    let principal = text("path").is_some_and(|path| path.starts_with("/permissions/"));
    if principal
        && text("op") == Some("add")
        && let Some(members) = operation.as_object_mut()
    {
        members.entry("value").or_insert_with(|| json!({}));
    }
    operation
}

/// As a patch leaves them: the members of an object, or of a list that it put in its place.
fn principals(who: Value) -> Option<BTreeSet<String>> {
    match who {
        Value::Object(who) => Some(who.into_iter().map(|(principal, _)| principal).collect()),
        Value::Array(who) => who.into_iter().map(|who| who.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

/// Limits an answer to what the client does not know.
fn limited(
    answer: Answer,
    behavior: Behavior,
    sent: &Patch,
    old: &Object,
    new: &Object,
) -> Result<Answer, Error> {
    let Answer::Object { how, permissions, timestamp, .. } = answer else { return Ok(answer) };
    let (before, after) = (old.data()?, new.data()?);
    let empty = Map::new();
    let sent = sent.members();
    let picked: Map<String, Value> = match behavior {
        Behavior::Full => {
            return Ok(Answer::Object { how, permissions, timestamp, data: new.text().to_owned() });
        }
        Behavior::Light => {
            // Of a JSON patch, whatever is other than it was.
            let changed = after.iter().filter(|(name, value)| match sent {
                Some(sent) => sent.contains_key(*name),
                None => before.get(*name) != Some(*value),
            });
            changed.map(|(name, value)| (name.clone(), value.clone())).collect()
        }
        Behavior::Diff => {
            let sent = sent.unwrap_or(&empty);
            let other = after.iter().filter(|(name, value)| {
                sent.get(*name).is_some_and(|sent| sent != *value)
                    || before.get(*name) != Some(*value) && !sent.contains_key(*name)
            });
            other.map(|(name, value)| (name.clone(), value.clone())).collect()
        }
    };
    let data = read::canonical(&Value::Object(picked))?;
    Ok(Answer::Object { how, data, permissions, timestamp })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Appendix A of RFC 7396, the cases that have objects on both sides.
    #[test]
    fn merge_patches_are_those_of_the_standard() {
        for (target, patch, wanted) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            let mut got = target.clone();
            merge(&mut got, patch.as_object().unwrap());
            assert_eq!(got, wanted, "{target} with {patch}");
        }
    }
}
