//! A metadata file as a value: `{"signatures":[{"keyid","sig"},…],"signed":{…}}` (specification 4.2.1).
//!
//! What is signed is the value that was read, with every member that it has. It is never printed from a struct;
//! the structs of this crate ([`Root`], [`Snapshot`], [`Targets`], …) are views for reading.

use std::collections::BTreeSet;
use std::fmt;

use countersign_model::digest;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::canonical::{self, NotCanonical, ReadError};
use crate::expires;
use crate::meta::{Snapshot, TimestampMeta};
use crate::root::Root;
use crate::shape::{Members, bad, object, positive, text};
use crate::targets::{TargetFile, Targets};

/// The four types of metadata. Delegated roles are of type `targets`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Who may sign what.
    Root,
    /// Which snapshot is the newest.
    Timestamp,
    /// Which version of each targets role belongs together.
    Snapshot,
    /// Files, and to whom they are delegated.
    Targets,
}

impl Kind {
    /// Every type, which are also the names of the top-level roles.
    pub const ALL: [Self; 4] = [Self::Root, Self::Timestamp, Self::Snapshot, Self::Targets];

    /// The member `_type`, and the name of the top-level role.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Timestamp => "timestamp",
            Self::Snapshot => "snapshot",
            Self::Targets => "targets",
        }
    }

    /// The type of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why something is not metadata.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// Not JSON that can be signed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A value that cannot be signed.
    #[error(transparent)]
    NotCanonical(#[from] NotCanonical),
    /// A member is missing or is not what it should be.
    #[error("`{at}` is not {wanted}")]
    Shape {
        /// The member.
        at: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// Two signatures with one key id.
    #[error("there are two signatures with the key id `{0}`")]
    DuplicateSignature(String),
    /// Another type than was asked for.
    #[error("the metadata is of type `{got}`, not `{wanted}`")]
    Kind {
        /// What was asked for.
        wanted: Kind,
        /// What it is.
        got: Kind,
    },
    /// A specification that this is not.
    #[error("`spec_version` is not `1.N` or `1.N.N`")]
    SpecVersion,
}

/// One element of `signatures`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature<'a> {
    /// Which key made it.
    pub keyid: &'a str,
    /// The signature in hex. Empty where somebody has not signed yet, as some tools write it.
    pub sig: &'a str,
}

/// A metadata file that was read. Its parts have the right shape for its type; who signed it has not been
/// looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    signatures: Vec<Value>,
    signed: Members,
    /// What stands beside the two, which is not signed.
    others: Members,
    kind: Kind,
    version: u64,
    expires: Timestamp,
}

impl Document {
    /// Reads a file.
    ///
    /// # Errors
    /// [`MetadataError`].
    pub fn parse(text: &[u8]) -> Result<Self, MetadataError> {
        Self::of_signable(canonical::read(text)?)
    }

    /// Takes a value that was read otherwise, of which duplicate members were refused.
    ///
    /// # Errors
    /// [`MetadataError`].
    pub fn from_value(value: Value) -> Result<Self, MetadataError> {
        canonical::check(&value)?;
        Self::of_signable(value)
    }

    /// A document with this `signed`, and no signatures yet.
    ///
    /// # Errors
    /// [`MetadataError`].
    pub fn unsigned(signed: Value) -> Result<Self, MetadataError> {
        let members = [("signatures".to_owned(), json!([])), ("signed".to_owned(), signed)];
        Self::from_value(Value::Object(members.into_iter().collect()))
    }

    fn of_signable(value: Value) -> Result<Self, MetadataError> {
        let Value::Object(mut others) = value else { return Err(bad("metadata", "an object")) };
        let Some(Value::Array(signatures)) = others.remove("signatures") else {
            return Err(bad("signatures", "an array"));
        };
        let Some(Value::Object(signed)) = others.remove("signed") else {
            return Err(bad("signed", "an object"));
        };
        check_signatures(&signatures)?;
        let kind = Kind::of_name(text(&signed, "_type")?)
            .ok_or_else(|| bad("_type", "one of root, timestamp, snapshot, targets"))?;
        check_spec_version(text(&signed, "spec_version")?)?;
        let version = positive(&signed, "version")?;
        let expires = expires::parse(text(&signed, "expires")?)
            .ok_or_else(|| bad("expires", "a time such as 2026-01-02T03:04:05Z"))?;
        match kind {
            Kind::Root => drop(Root::read(&signed)?),
            Kind::Timestamp => drop(TimestampMeta::read(&signed)?),
            Kind::Snapshot => drop(Snapshot::read(&signed)?),
            Kind::Targets => Targets::read(&signed)?.check()?,
        }
        Ok(Self { signatures, signed, others, kind, version, expires })
    }

    /// Its type.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its version, from 1 up.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// When it stops being valid.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// Whether it is no longer valid at `now`: from the second of `expires` on.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires <= now
    }

    /// The members of `signed`.
    pub fn signed(&self) -> &Members {
        &self.signed
    }

    /// The whole value, as it is served.
    pub fn to_value(&self) -> Value {
        let mut members = self.others.clone();
        members.insert("signatures".into(), Value::Array(self.signatures.clone()));
        members.insert("signed".into(), Value::Object(self.signed.clone()));
        Value::Object(members)
    }

    /// The file: compact JSON, no final line feed.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::from(b"{\"signatures\":");
        write_json(&self.signatures, &mut out);
        out.extend_from_slice(b",\"signed\":");
        write_json(&self.signed, &mut out);
        for (name, value) in &self.others {
            out.push(b',');
            write_json(name, &mut out);
            out.push(b':');
            write_json(value, &mut out);
        }
        out.push(b'}');
        out
    }

    /// The signatures, each with its own key id.
    pub fn signatures(&self) -> impl Iterator<Item = Signature<'_>> {
        self.signatures.iter().filter_map(signature)
    }

    /// The canonical bytes of `signed`: what signatures are over.
    pub fn signed_bytes(&self) -> Vec<u8> {
        canonical::encode_members(&self.signed)
    }

    /// SHA-256 of [`Self::signed_bytes`]: names this content, whoever has signed it.
    pub fn signed_sha256(&self) -> [u8; 32] {
        digest::sha256(&self.signed_bytes())
    }

    /// Puts in a signature; one with the same key id is replaced.
    pub fn put_signature(&mut self, keyid: &str, sig: &str) {
        let new = json!({"keyid": keyid, "sig": sig});
        match self.signatures.iter_mut().find(|signature| signature["keyid"] == keyid) {
            Some(old) => *old = new,
            None => self.signatures.push(new),
        }
    }

    /// Keeps the signatures for which `keep` says so.
    pub fn retain_signatures(&mut self, keep: impl Fn(Signature<'_>) -> bool) {
        self.signatures.retain(|value| signature(value).is_some_and(&keep));
    }

    /// The document with `signed` as `change` leaves it, and without signatures: they were over the old content.
    ///
    /// # Errors
    /// [`MetadataError`] if it is no metadata any more.
    pub fn edited(&self, change: impl FnOnce(&mut Members)) -> Result<Self, MetadataError> {
        let mut signed = self.signed.clone();
        change(&mut signed);
        Self::unsigned(Value::Object(signed))
    }

    /// The root that it is.
    ///
    /// # Errors
    /// [`MetadataError::Kind`].
    pub fn root(&self) -> Result<Root, MetadataError> {
        self.expect(Kind::Root)?;
        Root::read(&self.signed)
    }

    /// The snapshot that it is.
    ///
    /// # Errors
    /// [`MetadataError::Kind`].
    pub fn snapshot(&self) -> Result<Snapshot, MetadataError> {
        self.expect(Kind::Snapshot)?;
        Snapshot::read(&self.signed)
    }

    /// The timestamp that it is.
    ///
    /// # Errors
    /// [`MetadataError::Kind`].
    pub fn timestamp(&self) -> Result<TimestampMeta, MetadataError> {
        self.expect(Kind::Timestamp)?;
        TimestampMeta::read(&self.signed)
    }

    /// The targets, or delegated targets, that it is.
    ///
    /// # Errors
    /// [`MetadataError::Kind`].
    pub fn targets(&self) -> Result<Targets<'_>, MetadataError> {
        self.expect(Kind::Targets)?;
        Targets::read(&self.signed)
    }

    /// The file at `path`, if this is targets metadata that lists it. Delegations are not read for it.
    ///
    /// # Errors
    /// [`MetadataError::Kind`].
    pub fn target(&self, path: &str) -> Result<Option<TargetFile>, MetadataError> {
        self.expect(Kind::Targets)?;
        let target = self.signed.get("targets").and_then(|targets| targets.get(path));
        target.map(TargetFile::read).transpose()
    }

    /// Whether it is of this type.
    ///
    /// # Errors
    /// [`MetadataError::Kind`].
    pub fn expect(&self, wanted: Kind) -> Result<(), MetadataError> {
        if self.kind == wanted { Ok(()) } else { Err(MetadataError::Kind { wanted, got: self.kind }) }
    }
}

fn write_json(value: &(impl Serialize + ?Sized), out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("writing JSON values to memory cannot fail");
}

fn signature(value: &Value) -> Option<Signature<'_>> {
    Some(Signature { keyid: value["keyid"].as_str()?, sig: value["sig"].as_str()? })
}

fn check_signatures(signatures: &[Value]) -> Result<(), MetadataError> {
    let mut seen = BTreeSet::new();
    for signature in signatures {
        let signature = object(signature, "signatures[]")?;
        let keyid = text(signature, "keyid")?;
        text(signature, "sig")?;
        if !seen.insert(keyid) {
            let keyid = keyid.chars().take(80).flat_map(char::escape_debug).collect();
            return Err(MetadataError::DuplicateSignature(keyid));
        }
    }
    Ok(())
}

/// `1.N` is in old repositories; this server writes three parts, as 4.2.1 asks.
fn check_spec_version(text: &str) -> Result<(), MetadataError> {
    let parts: Vec<&str> = text.split('.').collect();
    let numbers = parts.iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    if numbers && (2..=3).contains(&parts.len()) && parts[0] == "1" {
        Ok(())
    } else {
        Err(MetadataError::SpecVersion)
    }
}
