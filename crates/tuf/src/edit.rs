//! Changes to the delegations of targets metadata, as values: what is not touched keeps every member.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Value, json};

use crate::key::Key;
use crate::shape::Members;

/// Delegations after a change.
#[derive(Clone, Debug, PartialEq)]
pub struct Edited {
    /// As they go into targets metadata. Keys that no role names any more are gone.
    pub delegations: Value,
    /// Names of the roles that were changed, in the order of the request.
    pub done: Vec<String>,
    /// Roles that were not, and why.
    pub failed: Vec<(String, Failure)>,
}

/// Why one role of a request was not changed. The others are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// To be added.
    #[error("the role exists already")]
    Exists,
    /// To be updated or deleted.
    #[error("there is no such role")]
    Unknown,
    /// Other roles use the id for another key.
    #[error("a key id of the role names another key in the delegations")]
    KeyId,
}

/// What is done with the roles of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// They come last, in their order.
    Add,
    /// Each takes the place of the role with its name.
    Update,
}

/// Puts roles into `current`. Both are `{"keys":{…},"roles":[…]}`, `asked` as
/// [`crate::check::delegation::delegations`] gives it.
pub fn put_roles(current: &Value, asked: &Value, change: Change) -> Edited {
    let mut roles = roles_of(current);
    let mut keys = keys_of(current);
    let mut places: HashMap<String, usize> =
        roles.iter().enumerate().map(|(place, role)| (name_of(role).to_owned(), place)).collect();
    let mut uses = Uses::default();
    roles.iter().for_each(|role| uses.count(role));
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for role in roles_of(asked) {
        let name = name_of(&role).to_owned();
        let place = places.get(&name).copied();
        let old = place.map(|place| roles[place].clone());
        let put = match (change, place) {
            (Change::Add, Some(_)) => Err(Failure::Exists),
            (Change::Update, None) => Err(Failure::Unknown),
            (Change::Add, None) | (Change::Update, Some(_)) => {
                add_keys(&mut keys, &mut uses, old.as_ref(), &role, asked)
            }
        };
        if let Err(failure) = put {
            failed.push((name, failure));
            continue;
        }
        match place {
            Some(place) => roles[place] = role,
            None => {
                places.insert(name.clone(), roles.len());
                roles.push(role);
            }
        }
        done.push(name);
    }
    Edited { delegations: finished(current, keys, roles), done, failed }
}

/// Takes roles out of `current`. Their files stay, and stay in the snapshot: clients that know them refuse a
/// snapshot without them (specification 5.5.5).
pub fn remove_roles(current: &Value, names: &[String]) -> Edited {
    let mut roles = roles_of(current);
    let mut known: BTreeSet<String> = roles.iter().map(|role| name_of(role).to_owned()).collect();
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for name in names {
        if known.remove(name) {
            done.push(name.clone());
        } else {
            failed.push((name.clone(), Failure::Unknown));
        }
    }
    roles.retain(|role| known.contains(name_of(role)));
    Edited { delegations: finished(current, keys_of(current), roles), done, failed }
}

/// Delegations in which the key `old` is replaced by `new` (id and object) in every role, and in bins: the online
/// key was rotated.
pub fn replace_key(current: &Value, old: &str, new: (&str, &Value)) -> Value {
    let mut changed = current.clone();
    let roles = changed.get_mut("roles").and_then(Value::as_array_mut).into_iter().flatten();
    let used = roles.map(|role| replace_id(role, old, new.0)).fold(false, |used, found| used | found);
    let in_bins = changed.get_mut("succinct_roles").is_some_and(|bins| replace_id(bins, old, new.0));
    if let Some(keys) = changed.get_mut("keys").and_then(Value::as_object_mut)
        && (used || in_bins)
    {
        keys.remove(old);
        keys.insert(new.0.to_owned(), new.1.clone());
    }
    changed
}

/// A role that has both keys already keeps one id.
fn replace_id(role: &mut Value, old: &str, new: &str) -> bool {
    let Some(keyids) = role.get_mut("keyids").and_then(Value::as_array_mut) else { return false };
    let Some(place) = keyids.iter().position(|keyid| keyid == old) else { return false };
    if keyids.iter().any(|keyid| keyid == new) && old != new {
        keyids.remove(place);
    } else {
        keyids[place] = json!(new);
    }
    true
}

/// How many times roles name each key id.
#[derive(Default)]
struct Uses(HashMap<String, usize>);

impl Uses {
    fn count(&mut self, role: &Value) {
        for keyid in keyids_of(role) {
            *self.0.entry(keyid.to_owned()).or_default() += 1;
        }
    }

    fn forget(&mut self, role: &Value) {
        for keyid in keyids_of(role) {
            self.0.entry(keyid.to_owned()).and_modify(|uses| *uses -= 1);
        }
    }

    fn has(&self, keyid: &str) -> bool {
        self.0.get(keyid).is_some_and(|uses| *uses > 0)
    }
}

/// Takes the keys of `role` from `asked`, in the place of those of `old`. An id that other roles use must mean the same
/// key.
fn add_keys(
    keys: &mut Members,
    uses: &mut Uses,
    old: Option<&Value>,
    role: &Value,
    asked: &Value,
) -> Result<(), Failure> {
    old.into_iter().for_each(|old| uses.forget(old));
    let mut new = Vec::new();
    for keyid in keyids_of(role) {
        let Some(key) = asked["keys"].get(keyid) else { continue };
        if uses.has(keyid) && keys.get(keyid).is_some_and(|known| !is_same(known, key)) {
            old.into_iter().for_each(|old| uses.count(old));
            return Err(Failure::KeyId);
        }
        new.push((keyid.to_owned(), key.clone()));
    }
    uses.count(role);
    keys.extend(new);
    Ok(())
}

fn is_same(one: &Value, other: &Value) -> bool {
    match (Key::from_value(one), Key::from_value(other)) {
        (Ok(one), Ok(other)) => one.is_same(&other),
        _ => false,
    }
}

fn finished(current: &Value, mut keys: Members, roles: Vec<Value>) -> Value {
    let used: BTreeSet<String> = roles.iter().flat_map(keyids_of).map(str::to_owned).collect();
    keys.retain(|keyid, _| used.contains(keyid));
    let mut members = current.as_object().cloned().unwrap_or_default();
    members.insert("keys".into(), Value::Object(keys));
    members.insert("roles".into(), Value::Array(roles));
    Value::Object(members)
}

fn roles_of(delegations: &Value) -> Vec<Value> {
    delegations["roles"].as_array().cloned().unwrap_or_default()
}

fn keys_of(delegations: &Value) -> Members {
    delegations["keys"].as_object().cloned().unwrap_or_default()
}

fn name_of(role: &Value) -> &str {
    role["name"].as_str().unwrap_or_default()
}

fn keyids_of(role: &Value) -> impl Iterator<Item = &str> {
    role["keyids"].as_array().into_iter().flatten().filter_map(Value::as_str)
}
