//! Changesets: what a server tells a reader, and the reader's copy of the collection.
//!
//! A copy keeps each record as its canonical text, so that checking a signature is hashing.

mod copy;

use std::collections::BTreeSet;
use std::fmt;

use countersign_model::canonical::{NoCanonicalForm, content_signature};
use countersign_model::strict_json::Strict;
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::content_signature::{Bundle, ContentSignatureError};
pub use copy::LocalCopy;

/// The largest changeset that is read, in bytes: some five hundred thousand records.
pub const MAX_CHANGESET: usize = 256 << 20;

/// The most signatures that are looked at.
pub const MAX_BUNDLES: usize = 32;

/// A changeset as it was given. Nothing is verified by reading it.
#[derive(Clone, Debug, PartialEq)]
pub struct Changeset {
    /// The collection's own data, with the signatures among it.
    pub metadata: Map<String, Value>,
    /// When the records last changed, in milliseconds since 1970: what is signed.
    pub timestamp: i64,
    /// Records and tombstones, each id once.
    pub changes: Vec<Change>,
}

/// A record that is new or other, or one that is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The record's id.
    pub id: String,
    /// When it changed, in milliseconds since 1970.
    pub last_modified: i64,
    /// Its canonical text; `None`: it was deleted.
    pub record: Option<String>,
}

/// Why a changeset is not read or not applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangesetError {
    /// More than [`MAX_CHANGESET`] bytes.
    #[error("a changeset of {got} bytes is too large: at most {MAX_CHANGESET}")]
    TooLarge {
        /// How many it has.
        got: usize,
    },
    /// Not JSON, a member twice, or one that is missing or of another form.
    #[error("not a changeset: {0}")]
    Json(#[from] serde_json::Error),
    /// A record that is there twice.
    #[error("the changeset has the record `{id}` twice")]
    Twice {
        /// Its id.
        id: String,
    },
    /// The changes are older than the copy.
    #[error("the changeset is of {got}, but the copy is of {have}")]
    Older {
        /// The timestamp of the changeset.
        got: i64,
        /// The timestamp of the copy.
        have: i64,
    },
    /// A record that has no canonical text.
    #[error(transparent)]
    Canonical(#[from] NoCanonicalForm),
    /// The metadata has no signature, or one of another form.
    #[error("the metadata has no well-formed signature")]
    Signatures,
    /// More than [`MAX_BUNDLES`].
    #[error("the metadata has more than {MAX_BUNDLES} signatures")]
    TooMany,
    /// The copy's message cannot be made.
    #[error(transparent)]
    Message(#[from] ContentSignatureError),
}

impl ChangesetError {
    /// One sentence for the person who reads the terminal or the log.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "fetch it in parts, with `_since`",
            Self::Json(_) | Self::Twice { .. } | Self::Canonical(_) => {
                "is it `GET …/collections/NAME/changeset?_expected=0`?"
            }
            Self::Older { .. } => "somebody may be hiding a change: fetch the whole collection again",
            Self::Signatures | Self::TooMany => "the collection is not one that is signed",
            Self::Message(error) => error.hint(),
        }
    }
}

impl Changeset {
    /// Reads a changeset. Unknown members are passed over.
    ///
    /// # Errors
    /// [`ChangesetError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ChangesetError> {
        if bytes.len() > MAX_CHANGESET {
            return Err(ChangesetError::TooLarge { got: bytes.len() });
        }
        // With serde a list of the three members would do as well.
        if !bytes.trim_ascii_start().starts_with(b"{") {
            return Err(ChangesetError::Json(de::Error::custom("not an object")));
        }
        let document: Document = serde_json::from_slice(bytes)?;
        let Strict(Value::Object(metadata)) = document.metadata else {
            return Err(ChangesetError::Json(de::Error::custom("`metadata` is not an object")));
        };
        let changes = document.changes.0;
        let mut ids = BTreeSet::new();
        if let Some(twice) = changes.iter().find(|change| !ids.insert(change.id.as_str())) {
            return Err(ChangesetError::Twice { id: twice.id.clone() });
        }
        Ok(Self { metadata, timestamp: document.timestamp.0, changes })
    }

    /// The signatures in the metadata.
    ///
    /// # Errors
    /// As [`bundles`].
    pub fn bundles(&self) -> Result<Vec<Bundle>, ChangesetError> {
        bundles(&self.metadata)
    }
}

/// The signatures in the metadata of a collection: `signatures`, or `signature` of those before.
///
/// # Errors
/// [`ChangesetError::Signatures`], [`ChangesetError::TooMany`].
pub fn bundles(metadata: &Map<String, Value>) -> Result<Vec<Bundle>, ChangesetError> {
    let read = |value: &Value| Bundle::deserialize(value).map_err(|_| ChangesetError::Signatures);
    match (metadata.get("signatures"), metadata.get("signature")) {
        (Some(Value::Array(all)), _) if all.len() > MAX_BUNDLES => Err(ChangesetError::TooMany),
        (Some(Value::Array(all)), _) if !all.is_empty() => all.iter().map(read).collect(),
        (_, Some(one)) => Ok(vec![read(one)?]),
        _ => Err(ChangesetError::Signatures),
    }
}

impl Change {
    /// Reads a record or a tombstone, `{"id": …, "last_modified": …, "deleted": true}`.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn from_value(value: &Value) -> Result<Self, &'static str> {
        let id = value.get("id").and_then(Value::as_str).filter(|id| !id.is_empty());
        let id = id.ok_or("a record has no text `id`")?.to_owned();
        let last_modified = value.get("last_modified").and_then(Value::as_i64).filter(|time| *time >= 0);
        let last_modified = last_modified.ok_or("a record has no number `last_modified`")?;
        let record = match value.get("deleted") {
            Some(Value::Bool(true)) => None,
            _ => Some(content_signature(value).map_err(|_| "a record has no canonical form")?),
        };
        Ok(Self { id, last_modified, record })
    }
}

#[derive(serde::Deserialize)]
struct Document {
    metadata: Strict,
    timestamp: Milliseconds,
    changes: Changes,
}

struct Milliseconds(i64);

impl<'de> Deserialize<'de> for Milliseconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let time = i64::deserialize(deserializer)?;
        if time < 0 { Err(de::Error::custom("a negative timestamp")) } else { Ok(Self(time)) }
    }
}

/// Each record becomes its text as soon as it is read: as a value it takes many times the room.
struct Changes(Vec<Change>);

impl<'de> Deserialize<'de> for Changes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ChangesVisitor).map(Self)
    }
}

struct ChangesVisitor;

impl<'de> Visitor<'de> for ChangesVisitor {
    type Value = Vec<Change>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut changes = Vec::new();
        while let Some(Strict(value)) = seq.next_element()? {
            changes.push(Change::from_value(&value).map_err(de::Error::custom)?);
        }
        Ok(changes)
    }
}

#[cfg(test)]
mod tests;
