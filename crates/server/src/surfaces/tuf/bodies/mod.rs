//! Bodies and queries: bytes in, what is to be done out, or all faults as the original's validator words them.
//!
//! Pure. Types, bounds and rules that need no repository are looked at here; what depends on the state of the
//! repository is the use-cases'. Faults come in the order of the original's documents, and never quote a value.
//!
//! - [`artifacts`]: lists that may be long.
//! - [`root`]: metadata. [`settings`]: lifetimes, bins, delegated roles.
//! - [`shape`]: types of values.

mod artifacts;
mod document;
mod root;
mod settings;
mod shape;
#[cfg(test)]
mod tests;

use countersign_core::tuf::error::BodyFault;
use countersign_core::tuf::request::{AddArtifacts, Bootstrap, Delegations, Proof, Request};
use countersign_tuf::proof::Operation;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use document::read;
use shape::{At, BODY, Faults, Members, PATH, QUERY, optional};

pub use artifacts::MOST as MOST_ARTIFACTS;

/// All that is wrong with a body.
type Wrong = Vec<BodyFault>;

/// Reads the body of `POST bootstrap`.
///
/// # Errors
/// Its faults.
pub fn bootstrap(body: &[u8]) -> Result<Request, Wrong> {
    read(body, |faults, members| {
        let settings = faults.member(&BODY, members, "settings");
        let settings = settings.and_then(|settings| settings::of_bootstrap(faults, settings));
        let root = root::only_root(faults, members);
        if let Some(timeout) = optional(members, "timeout") {
            // How long the original waits for its worker. Here a task is done, however long that takes.
            faults.integer(&BODY.name("timeout"), timeout);
        }
        Some(Request::Bootstrap(Bootstrap { settings: settings?, root: root? }))
    })
}

/// Reads the body of `PUT config`.
///
/// # Errors
/// Its faults.
pub fn config(body: &[u8]) -> Result<Request, Wrong> {
    read(body, |faults, members| {
        let at = BODY.name("settings");
        let settings = faults.member(&BODY, members, "settings")?;
        let settings = faults.model(&at, settings)?;
        let given = faults.member(&at, settings, "expiration")?;
        let at = at.name("expiration");
        let mut expiration = Vec::new();
        for (role, days) in faults.dictionary(&at, given)? {
            let days = settings::lifetime(faults, &at.name(role), days);
            expiration.extend(days.map(|days| (role.clone(), i64::from(days))));
        }
        Some(Request::UpdateSettings { expiration })
    })
}

/// Reads the body of `POST metadata`.
///
/// # Errors
/// Its faults.
pub fn metadata(body: &[u8]) -> Result<Request, Wrong> {
    read(body, |faults, members| Some(Request::MetadataUpdate { root: root::only_root(faults, members)? }))
}

/// Reads the body of `POST metadata/online`.
///
/// # Errors
/// Its faults.
pub fn online(body: &[u8]) -> Result<Request, Wrong> {
    read(body, |faults, members| {
        let roles = faults.member(&BODY, members, "roles")?;
        let roles = faults.texts(&BODY.name("roles"), roles)?;
        Some(Request::ForceOnlineMetadataUpdate { roles })
    })
}

/// Reads the body of `POST metadata/sign`.
///
/// # Errors
/// Its faults.
pub fn sign(body: &[u8]) -> Result<Request, Wrong> {
    read(body, |faults, members| {
        let role = faults.text_member(&BODY, members, "role").map(str::to_owned);
        let at = BODY.name("signature");
        let signature = faults.member(&BODY, members, "signature")?;
        let signature = faults.model(&at, signature)?;
        let keyid = faults.text_member(&at, signature, "keyid");
        let sig = faults.text_member(&at, signature, "sig");
        Some(Request::SignMetadata { role: role?, keyid: keyid?.to_owned(), sig: sig?.to_owned() })
    })
}

/// Reads the body of `POST metadata/sign/delete` and `DELETE metadata/sign`.
///
/// # Errors
/// Its faults.
pub fn stop(body: &[u8]) -> Result<Request, Wrong> {
    read(body, |faults, members| {
        let role = faults.text_member(&BODY, members, "role").map(str::to_owned);
        let proof = proof(faults, members)?;
        Some(Request::DeleteSignMetadata { role: role?, proof })
    })
}

/// Reads the body of `PATCH metadata/sign`.
///
/// # Errors
/// Its faults.
pub fn override_(body: &[u8]) -> Result<Request, Wrong> {
    read(body, |faults, members| {
        let root = root::only_root(faults, members);
        let settings = match optional(members, "settings") {
            None => None,
            Some(given) => Some(settings::of_bootstrap(faults, given)?),
        };
        let proof = proof(faults, members)?;
        Some(Request::OverrideSignMetadata { root: root?, settings, proof })
    })
}

/// The member `proof`. The outer `None`: there is a fault in it.
fn proof(faults: &mut Faults, members: &Members) -> Option<Option<Proof>> {
    let Some(given) = optional(members, "proof") else { return Some(None) };
    let at = BODY.name("proof");
    let proof = faults.model(&at, given)?;
    let mut text = |name| faults.text_member(&at, proof, name).map(str::to_owned);
    let (nonce, keyid, sig) = (text("nonce"), text("keyid"), text("sig"));
    Some(Some(Proof { nonce: nonce?, keyid: keyid?, sig: sig? }))
}

/// What `POST metadata/sign/challenge` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// What is pending.
    pub role: String,
    /// What is to be done with it.
    pub operation: Operation,
    /// SHA-256 of the canonical `signed` that takes its place, when it is overridden.
    pub new: Option<[u8; 32]>,
}

/// Reads the body of `POST metadata/sign/challenge`.
///
/// # Errors
/// Its faults.
pub fn challenge(body: &[u8]) -> Result<Challenge, Wrong> {
    read(body, |faults, members| {
        let role = faults.text_member(&BODY, members, "role").map(str::to_owned);
        let name = faults.text_member(&BODY, members, "operation")?;
        let Some(operation) = Operation::of_name(name) else {
            let msg = "Input should be 'override' or 'delete'";
            faults.add(&BODY.name("operation"), "literal_error", msg);
            return None;
        };
        let at = BODY.name("metadata_sha256");
        let new = match (operation, optional(members, "metadata_sha256")) {
            (Operation::Delete, None) => None,
            (Operation::Delete, Some(_)) => {
                faults.value(&at, "nothing takes the place of what is deleted");
                None
            }
            (Operation::Override, None) => {
                faults.add(&at, "missing", "Field required");
                None
            }
            (Operation::Override, Some(given)) => Some(sha256(faults, &at, given)?),
        };
        Some(Challenge { role: role?, operation, new })
    })
}

fn sha256(faults: &mut Faults, at: &At<'_>, value: &Value) -> Option<[u8; 32]> {
    let text = faults.text(at, value)?;
    let digest = digest(text);
    if digest.is_none() {
        faults.value(at, "a SHA-256 has 64 hex digits");
    }
    digest
}

/// 64 hex digits.
pub fn digest(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    hex::decode_to_slice(text, &mut digest).ok().map(|()| digest)
}

/// Reads the body of `POST delegations`.
///
/// # Errors
/// Its faults.
pub fn delegations_add(body: &[u8]) -> Result<Request, Wrong> {
    delegations(body).map(|given| Request::MetadataDelegation(Delegations::Add(given)))
}

/// Reads the body of `PUT delegations`.
///
/// # Errors
/// Its faults.
pub fn delegations_update(body: &[u8]) -> Result<Request, Wrong> {
    delegations(body).map(|given| Request::MetadataDelegation(Delegations::Update(given)))
}

fn delegations(body: &[u8]) -> Result<Value, Wrong> {
    read(body, |faults, members| {
        let given = faults.member(&BODY, members, "delegations")?;
        settings::delegations(faults, &BODY.name("delegations"), given)
    })
}

/// Reads the body of `POST delegations/delete`.
///
/// # Errors
/// Its faults.
pub fn delegations_delete(body: &[u8]) -> Result<Request, Wrong> {
    read(body, |faults, members| {
        Some(Request::MetadataDelegation(Delegations::Delete(settings::names(faults, members)?)))
    })
}

/// Reads the body of `POST artifacts`.
///
/// # Errors
/// Its faults.
pub fn add_artifacts(body: &[u8]) -> Result<AddArtifacts, Wrong> {
    artifacts::add(body)
}

/// What `POST artifacts/delete` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Paths.
    pub artifacts: Vec<String>,
    /// Whether they are published now.
    pub publish: bool,
}

/// Reads the body of `POST artifacts/delete`.
///
/// # Errors
/// Its faults.
pub fn remove_artifacts(body: &[u8]) -> Result<Removed, Wrong> {
    artifacts::remove(body)
}

/// What `POST keys/online` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// Its name.
    pub name: String,
    /// One of [`SCHEMES`].
    pub scheme: &'static str,
}

/// The schemes that a key can be made for.
pub const SCHEMES: [&str; 3] = ["ed25519", "ecdsa-sha2-nistp256", "rsassa-pss-sha256"];

/// Reads the body of `POST keys/online`.
///
/// # Errors
/// Its faults.
pub fn new_key(body: &[u8]) -> Result<NewKey, Wrong> {
    read(body, |faults, members| {
        let name = faults.text_member(&BODY, members, "name").map(str::to_owned);
        let given = faults.text_member(&BODY, members, "scheme")?;
        let scheme = SCHEMES.into_iter().find(|scheme| *scheme == given);
        if scheme.is_none() {
            let msg = "Input should be 'ed25519', 'ecdsa-sha2-nistp256' or 'rsassa-pss-sha256'";
            faults.add(&BODY.name("scheme"), "literal_error", msg);
        }
        Some(NewKey { name: name?, scheme: scheme? })
    })
}

/// The fault of a body that is said to be something else than JSON.
pub fn not_an_object() -> Wrong {
    let mut faults = Faults::default();
    faults.model(&BODY, &Value::Null);
    faults.unless_any::<()>(None).err().unwrap_or_default()
}

/// The value of a parameter of a query, decoded; the last one if it is there several times.
pub fn query(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| {
        let (given, value) = pair.split_once('=').unwrap_or((pair, ""));
        (given == name).then_some(value)
    });
    let value = pairs.next_back()?.replace('+', " ");
    Some(percent_decode_str(&value).decode_utf8_lossy().into_owned())
}

/// The fault of a query without this parameter.
pub fn missing_in_query(name: &str) -> Wrong {
    wrong(&QUERY.name(name), "missing", "Field required")
}

/// The fault of a parameter of a query.
pub fn bad_query(name: &str, why: &str) -> Wrong {
    wrong(&QUERY.name(name), "value_error", &format!("Value error, {why}"))
}

/// The fault of a path.
pub fn bad_path(name: &str, why: &str) -> Wrong {
    wrong(&PATH.name(name), "value_error", &format!("Value error, {why}"))
}

fn wrong(at: &At<'_>, kind: &'static str, msg: &str) -> Wrong {
    let mut faults = Faults::default();
    faults.add(at, kind, msg);
    faults.unless_any::<()>(None).err().unwrap_or_default()
}
