//! Custom delegated roles, as they are asked for (specification 4.5).

use serde_json::{Value, json};

use super::artifact::MAX_PATH;
use super::{MAX_TARGETS, Refusal, days, keys_of, shown, size};
use crate::canonical;
use crate::delegation::{Delegated, Delegations};
use crate::key::Key;
use crate::metadata::{Document, Kind, MetadataError};
use crate::shape::{Members, array, object, text, texts};
use crate::threshold::Tally;

/// The longest name of a role, in bytes: with a version in front it is a file's name.
const MAX_NAME: usize = 128;
/// How many delegated roles there may be: each takes time and place in every publication.
pub const MAX_ROLES: usize = 1_000;
/// How many keys a delegated role may have.
pub const MAX_KEYS: usize = 256;
/// Bytes of top-level targets beside delegations and artifacts: heads and signatures.
pub const ROOM: usize = 64 << 10;
/// How many path patterns a role may have.
pub const MAX_PATTERNS: usize = 1_000;
/// Beside the pending roles `GET metadata/sign` shows what they are judged by under these names.
pub const RESERVED: [&str; 2] = ["trusted_root", "trusted_targets"];
/// The document and `signed`, below which delegations stand.
const LEVELS: usize = 2;
/// How many days a role lives: in requests, and in what RSTUF publishes.
pub const EXPIRE_POLICY: &str = "x-rstuf-expire-policy";

/// Delegations that were judged.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// As it goes into targets metadata.
    pub delegations: Value,
    /// Name of each role, and how many days it lives.
    pub days: Vec<(String, u32)>,
}

/// Judges `{"keys":{KEYID:KEY},"roles":[{"name","terminating","keyids","threshold","paths",
/// "x-rstuf-expire-policy"}]}`. A role without `keyids` gets the online key.
///
/// - `current`: the delegations in force; a role may name keys of theirs without giving them again.
/// - `online`: the id and the object of the online key.
///
/// # Errors
/// [`Refusal`].
pub fn delegations(
    asked: &Value,
    current: Option<&Value>,
    online: (&str, &Value),
) -> Result<Accepted, Refusal> {
    canonical::check_below(asked, LEVELS).map_err(MetadataError::from)?;
    // Before a single key is read: reading many takes long.
    size("delegations", canonical::encode_checked(asked).len(), MAX_TARGETS)?;
    let asked = object(asked, "delegations")?;
    let mut keys = match asked.get("keys") {
        None | Some(Value::Null) => Members::new(),
        Some(keys) => object(keys, "keys")?.clone(),
    };
    // Roles of a key that has the online key's id would be the server's.
    if keys.get(online.0).is_some_and(|key| !is_same(key, online.1)) {
        return Err(Refusal::KeyId(shown(online.0)));
    }
    let mut roles = Vec::new();
    let mut lifetimes = Vec::new();
    count("targets", "delegated roles", array(asked, "roles")?.len(), MAX_ROLES)?;
    for role in array(asked, "roles")? {
        let mut role = object(role, "roles[]")?.clone();
        let name = text(&role, "name")?.to_owned();
        role_name(&name)?;
        paths(&name, &role)?;
        // A setting of the repository's, and no matter for its readers: awslabs' tough verifies no delegation that has
        // members it does not know.
        let lifetime = role.remove(EXPIRE_POLICY).and_then(|days| days.as_i64()).unwrap_or(0);
        lifetimes.push((name.clone(), days(&name, lifetime)?));
        if is_without_keys(&role) {
            role.insert("keyids".into(), json!([online.0]));
            keys.insert(online.0.to_owned(), online.1.clone());
        }
        let keyids = texts(&role, "keyids")?;
        count(&name, "keys", keyids.len(), MAX_KEYS)?;
        for keyid in keyids {
            let known = current.and_then(|current| current["keys"].get(&keyid));
            if let (false, Some(known)) = (keys.contains_key(&keyid), known) {
                keys.insert(keyid, known.clone());
            }
        }
        roles.push(Value::Object(role));
    }
    let delegations = json!({"keys": keys, "roles": roles});
    // What is added here for roles without keys counts too.
    size("targets", canonical::encode_checked(&delegations).len().saturating_add(ROOM), MAX_TARGETS)?;
    thresholds(&Delegations::read(object(&delegations, "delegations")?)?)?;
    Ok(Accepted { delegations, days: lifetimes })
}

/// Who has signed a pending delegated role, and who is missing. `None`: nobody delegates to it.
pub fn progress(pending: &Document, delegations: &Delegations, role: &str) -> Option<Tally> {
    Some(Tally::of(pending, &delegations.keys, delegations.role(role)?))
}

/// Judges one signature for a pending delegated role, whose keys are in the targets metadata in force.
///
/// # Errors
/// [`Refusal::Signature`] if it is not valid or its key is not one of the role's.
pub fn signature(
    pending: &Document,
    delegations: &Delegations,
    role: &str,
    keyid: &str,
    sig: &str,
) -> Result<(), Refusal> {
    let Some(role) = delegations.role(role) else { return Err(Refusal::Signature) };
    let message = pending.signed_bytes();
    let mut keys = role.keys(&delegations.keys);
    let valid = keys.any(|(id, key)| id == keyid && key.verify(&message, sig).is_ok());
    if valid { Ok(()) } else { Err(Refusal::Signature) }
}

/// Whether a custom role may have this name: letters, digits, `_` and `-`, at most 128. Not a top-level role's,
/// and not one that begins with a digit, which tools take for a version.
///
/// # Errors
/// [`Refusal::RoleName`].
pub fn role_name(name: &str) -> Result<(), Refusal> {
    let valid = (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && Kind::of_name(name).is_none()
        && !RESERVED.contains(&name);
    if valid { Ok(()) } else { Err(Refusal::RoleName(shown(name))) }
}

fn paths(name: &str, role: &Members) -> Result<(), Refusal> {
    let paths = texts(role, "paths").map_err(|_| Refusal::Paths(shown(name)))?;
    let valid = |path: &String| (1..=MAX_PATH).contains(&path.len());
    if paths.is_empty() || !paths.iter().all(valid) {
        return Err(Refusal::Paths(shown(name)));
    }
    // Each is tried for each artifact.
    if paths.len() > MAX_PATTERNS {
        let (count, limit) = (paths.len(), MAX_PATTERNS);
        return Err(Refusal::TooMany { what: "paths", of: shown(name), count, limit });
    }
    Ok(())
}

fn is_same(one: &Value, other: &Value) -> bool {
    matches!((Key::from_value(one), Key::from_value(other)), (Ok(one), Ok(other)) if one.is_same(&other))
}

fn count(of: &str, what: &'static str, count: usize, limit: usize) -> Result<(), Refusal> {
    if count <= limit { Ok(()) } else { Err(Refusal::TooMany { what, of: shown(of), count, limit }) }
}

fn is_without_keys(role: &Members) -> bool {
    role.get("keyids").is_none_or(|keyids| keyids.is_null() || keyids.as_array().is_some_and(Vec::is_empty))
}

fn thresholds(delegations: &Delegations) -> Result<(), Refusal> {
    let Delegated::Roles(roles) = &delegations.delegated else { return Ok(()) };
    roles.iter().try_for_each(|role| keys_of(&role.name, &role.role, &delegations.keys))
}
