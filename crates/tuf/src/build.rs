//! Metadata that a repository makes itself, ready to be signed (specification 4.4 to 4.6).
//!
//! ```text
//! Head + content ──▶ Document ──to_sign──▶ key ──finish──▶ Document with one more signature, verified
//! ```

use countersign_model::{RawSignature, ToSign};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::expires;
use crate::key::{Key, KeyError, SignatureError};
use crate::meta::Meta;
use crate::metadata::{Document, Kind, MetadataError};

/// The specification that is followed.
pub const SPEC_VERSION: &str = "1.0.31";
/// The prefix of hash bins' names.
pub const BINS: &str = "bins";

/// What every document begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// From 1 up.
    pub version: u64,
    /// When the document stops being valid, in whole seconds.
    pub expires: Timestamp,
}

impl Head {
    /// The head of a first version that lives for `days` from `now`.
    pub fn first(now: Timestamp, days: u32) -> Self {
        Self { version: 1, expires: expires::after(now, days) }
    }

    /// The head of the version after `version`.
    pub fn after(version: u64, now: Timestamp, days: u32) -> Self {
        Self { version: version.saturating_add(1), expires: expires::after(now, days) }
    }

    fn document(self, kind: Kind, content: Value) -> Result<Document, MetadataError> {
        let mut signed = match content {
            Value::Object(members) => members,
            _ => Map::new(),
        };
        signed.insert("_type".into(), json!(kind.as_str()));
        signed.insert("spec_version".into(), json!(SPEC_VERSION));
        signed.insert("version".into(), json!(self.version));
        signed.insert("expires".into(), json!(expires::render(self.expires)));
        Document::unsigned(Value::Object(signed))
    }
}

/// Root metadata. `keys`: key objects by key id. `roles`: the ids and the threshold of each of the four roles.
///
/// # Errors
/// [`MetadataError`] if a key or a role is malformed or a role is missing.
pub fn root(
    head: Head,
    keys: Map<String, Value>,
    roles: &[(Kind, Vec<String>, u64)],
) -> Result<Document, MetadataError> {
    let role = |(kind, keyids, threshold): &(Kind, Vec<String>, u64)| {
        (kind.to_string(), json!({"keyids": keyids, "threshold": threshold}))
    };
    let roles: Map<String, Value> = roles.iter().map(role).collect();
    head.document(Kind::Root, json!({"consistent_snapshot": true, "keys": keys, "roles": roles}))
}

/// Targets metadata, top-level or delegated. `targets`: path and what [`crate::check::artifact`] gives.
///
/// # Errors
/// [`MetadataError`] if a target or the delegations are malformed.
pub fn targets(
    head: Head,
    targets: impl IntoIterator<Item = (String, Value)>,
    delegations: Option<Value>,
) -> Result<Document, MetadataError> {
    let mut content = Map::new();
    content.insert("targets".into(), Value::Object(targets.into_iter().collect()));
    if let Some(delegations) = delegations {
        content.insert("delegations".into(), delegations);
    }
    head.document(Kind::Targets, Value::Object(content))
}

/// The delegation to 2 to the power `bit_length` hash bins, all signed by one online key (TAP 15).
pub fn bins(keyid: &str, key: &Value, bit_length: u8) -> Value {
    json!({
        "keys": {keyid: key},
        "succinct_roles":
            {"keyids": [keyid], "threshold": 1, "bit_length": bit_length, "name_prefix": BINS},
    })
}

/// Snapshot metadata. `roles`: every targets role that there ever was, with its newest version; clients refuse a
/// snapshot that lacks one that they know (5.5.5).
///
/// # Errors
/// [`MetadataError`]; never for versions from 1 up.
pub fn snapshot(
    head: Head,
    roles: impl IntoIterator<Item = (String, Meta)>,
) -> Result<Document, MetadataError> {
    let file = |(role, meta): (String, Meta)| (format!("{role}.json"), meta.to_value());
    let meta: Map<String, Value> = roles.into_iter().map(file).collect();
    head.document(Kind::Snapshot, json!({"meta": meta}))
}

/// Timestamp metadata. `snapshot`: the snapshot that is newest, best with length and hashes.
///
/// # Errors
/// [`MetadataError`]; never for versions from 1 up.
pub fn timestamp(head: Head, snapshot: &Meta) -> Result<Document, MetadataError> {
    head.document(Kind::Timestamp, json!({"meta": {"snapshot.json": snapshot.to_value()}}))
}

/// `document` with another version and expiry and all else as it was, unsigned.
///
/// # Errors
/// [`MetadataError`]; never for a version from 1 up.
pub fn bumped(document: &Document, head: Head) -> Result<Document, MetadataError> {
    document.edited(|signed| {
        signed.insert("version".into(), json!(head.version));
        signed.insert("expires".into(), json!(expires::render(head.expires)));
    })
}

/// What `key` signs for `document`.
///
/// # Errors
/// [`KeyError`] if the key is not usable.
pub fn to_sign(document: &Document, key: &Key) -> Result<ToSign, KeyError> {
    key.to_sign(&document.signed_bytes())
}

/// Puts in the signature that came back from the key, after it was verified.
///
/// # Errors
/// [`SignatureError`] if it does not verify; the document is then as it was.
pub fn finish(
    document: &mut Document,
    keyid: &str,
    key: &Key,
    signature: &RawSignature,
) -> Result<(), SignatureError> {
    let text = key.signature_text(signature)?;
    key.verify(&document.signed_bytes(), &text)?;
    document.put_signature(keyid, &text);
    Ok(())
}
