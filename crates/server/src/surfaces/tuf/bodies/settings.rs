//! Lifetimes, hash bins and custom delegated roles.

use std::collections::BTreeSet;

use countersign_core::tuf::request::{BootstrapDelegation, BootstrapSettings};
use countersign_tuf::bins::{self, MAX_BINS};
use countersign_tuf::check::delegation::{EXPIRE_POLICY, role_name};
use countersign_tuf::expires::MAX_DAYS;
use serde_json::Value;

use super::shape::{At, BODY, Faults, Members, optional};

/// Reads `settings` of a bootstrap.
pub fn of_bootstrap(faults: &mut Faults, value: &Value) -> Option<BootstrapSettings> {
    let at = BODY.name("settings");
    let settings = faults.model(&at, value)?;
    let roles = faults.member(&at, settings, "roles")?;
    let at = at.name("roles");
    let roles = faults.model(&at, roles)?;

    let before = faults.count();
    let mut of = |name| lifetime_of(faults, &at, roles, name);
    let (root, targets, snapshot, timestamp) = (of("root"), of("targets"), of("snapshot"), of("timestamp"));
    let bins = optional(roles, "bins").map(|bins| hash_bins(faults, &at.name("bins"), bins));
    let named =
        optional(roles, "delegations").map(|named| delegations(faults, &at.name("delegations"), named));
    if faults.count() > before {
        return None;
    }
    let delegated = match (bins, named) {
        (Some(bins), None) => bins?,
        (None, Some(named)) => BootstrapDelegation::Roles(named?),
        _ => {
            faults.value(&at, "Exactly one of 'bins' and 'delegations' must be set");
            return None;
        }
    };
    let (root, targets, snapshot, timestamp) = (root?, targets?, snapshot?, timestamp?);
    Some(BootstrapSettings { root, targets, snapshot, timestamp, delegated })
}

/// `{"expiration":DAYS}` of a role.
fn lifetime_of(faults: &mut Faults, at: &At<'_>, roles: &Members, name: &str) -> Option<u32> {
    let role = faults.member(at, roles, name)?;
    let at = at.name(name);
    let role = faults.model(&at, role)?;
    days_member(faults, &at, role, "expiration")
}

fn days_member(faults: &mut Faults, at: &At<'_>, members: &Members, name: &str) -> Option<u32> {
    let days = faults.member(at, members, name)?;
    lifetime(faults, &at.name(name), days)
}

/// Days.
pub fn lifetime(faults: &mut Faults, at: &At<'_>, value: &Value) -> Option<u32> {
    faults.between(at, value, 0, MAX_DAYS)
}

fn hash_bins(faults: &mut Faults, at: &At<'_>, value: &Value) -> Option<BootstrapDelegation> {
    let members = faults.model(at, value)?;
    let expiration = days_member(faults, at, members, "expiration");
    let count = faults.member(at, members, "number_of_delegated_bins")?;
    let at = at.name("number_of_delegated_bins");
    let count = faults.integer(&at, count)?;
    if count <= 1 {
        faults.add(&at, "greater_than", "Input should be greater than 1");
        return None;
    }
    if count > i128::from(MAX_BINS) {
        faults.add(&at, "less_than", format!("Input should be less than {}", MAX_BINS + 1));
        return None;
    }
    let count = u32::try_from(count).ok()?;
    // Rounded down, it would be another number than the settings say.
    if bins::bit_length(u64::from(count)).is_err() {
        faults.value(&at, format_args!("the number of bins must be a power of two from 2 to {MAX_BINS}"));
        return None;
    }
    Some(BootstrapDelegation::Bins { expiration: expiration?, count })
}

/// Reads `{"keys","roles"}` and gives it as it came.
pub fn delegations(faults: &mut Faults, at: &At<'_>, value: &Value) -> Option<Value> {
    let before = faults.count();
    let members = faults.model(at, value)?;
    if let Some(given) = optional(members, "keys") {
        keys(faults, &at.name("keys"), given);
    }
    let roles = faults.member(at, members, "roles")?;
    let at = at.name("roles");
    let roles = faults.list(&at, roles)?;
    if roles.is_empty() {
        faults.add(&at, "too_short", "List should have at least 1 item after validation, not 0");
    }
    let mut names = BTreeSet::new();
    for (index, role) in roles.iter().enumerate() {
        let at = at.index(index);
        let Some(role) = faults.model(&at, role) else { continue };
        if let Some(name) = delegated(faults, &at, role)
            && !names.insert(name)
        {
            faults.value(&at.name("name"), "another role has this name");
        }
    }
    (faults.count() == before).then(|| value.clone())
}

fn keys(faults: &mut Faults, at: &At<'_>, value: &Value) {
    let Some(keys) = faults.dictionary(at, value) else { return };
    for (keyid, key) in keys {
        let at = at.name(keyid);
        let Some(key) = faults.model(&at, key) else { continue };
        faults.text_member(&at, key, "keytype");
        faults.text_member(&at, key, "scheme");
        let Some(keyval) = faults.member(&at, key, "keyval") else { continue };
        faults.dictionary(&at.name("keyval"), keyval);
    }
}

/// Reads a role and gives its name.
fn delegated<'v>(faults: &mut Faults, at: &At<'_>, role: &'v Members) -> Option<&'v str> {
    let given = faults.text_member(at, role, "name");
    if let Some(name) = given {
        check_name(faults, &at.name("name"), name);
    }
    if let Some(terminating) = faults.member(at, role, "terminating") {
        faults.switch(&at.name("terminating"), terminating);
    }
    let keyids = optional(role, "keyids").and_then(|keyids| faults.texts(&at.name("keyids"), keyids));
    if let Some(threshold) = faults.member(at, role, "threshold") {
        let at = at.name("threshold");
        let threshold = faults.between(&at, threshold, 0, u32::MAX);
        if keyids.is_none_or(|keyids| keyids.is_empty()) && threshold.is_some_and(|threshold| threshold > 1) {
            faults.value(&at, "a role without keyids gets the online key, so its threshold must be 1");
        }
    }
    if let Some(given) = faults.member(at, role, "paths") {
        paths(faults, &at.name("paths"), given);
    }
    days_member(faults, at, role, EXPIRE_POLICY);
    given
}

fn paths(faults: &mut Faults, at: &At<'_>, value: &Value) {
    let Some(paths) = faults.texts(at, value) else { return };
    if paths.is_empty() {
        faults.add(at, "too_short", "List should have at least 1 item after validation, not 0");
    }
    for (index, _) in paths.iter().enumerate().filter(|(_, path)| path.is_empty()) {
        faults.add(&at.index(index), "string_too_short", "String should have at least 1 character");
    }
}

/// Names under which `GET metadata/sign` shows something else.
const TAKEN: [&str; 2] = ["trusted_root", "trusted_targets"];

fn check_name(faults: &mut Faults, at: &At<'_>, name: &str) {
    let pattern = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    if name.is_empty() || !name.bytes().all(pattern) {
        faults.add(at, "string_pattern_mismatch", "String should match pattern '^[a-zA-Z0-9_-]+$'");
    } else if role_name(name).is_err() || TAKEN.contains(&name) {
        let why = "a role's name has at most 128 characters, does not begin with a digit, and is not that of \
                   another role";
        faults.value(at, why);
    }
}

/// Reads `{"delegations":{"roles":[{"name"}]}}` and gives the names.
pub fn names(faults: &mut Faults, members: &Members) -> Option<Vec<String>> {
    let at = BODY.name("delegations");
    let delegations = faults.member(&BODY, members, "delegations")?;
    let delegations = faults.model(&at, delegations)?;
    let roles = faults.member(&at, delegations, "roles")?;
    let at = at.name("roles");
    let mut names = Vec::new();
    for (index, role) in faults.list(&at, roles)?.iter().enumerate() {
        let at = at.index(index);
        let Some(role) = faults.model(&at, role) else { continue };
        names.extend(faults.text_member(&at, role, "name").map(str::to_owned));
    }
    Some(names)
}
