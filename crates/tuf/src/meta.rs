//! What snapshot and timestamp say about other files (specification 4.4 and 4.6).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::hashes::{Hashes, Mismatch};
use crate::metadata::MetadataError;
use crate::shape::{Members, bad, object, object_member, positive};

/// What is said about one metadata file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Its version, from 1 up.
    pub version: u64,
    /// Its length in bytes.
    pub length: Option<u64>,
    /// Its hashes, if any are given.
    pub hashes: Option<Hashes>,
}

impl Meta {
    /// A version and nothing more.
    pub fn version(version: u64) -> Self {
        Self { version, length: None, hashes: None }
    }

    /// Version, length and SHA-256 of a file with these bytes.
    pub fn of_file(version: u64, file: &[u8]) -> Self {
        Self { version, length: Some(file.len() as u64), hashes: Some(Hashes::sha256(file)) }
    }

    fn read(value: &Value, file: &str) -> Result<Self, MetadataError> {
        let members = object(value, file)?;
        let length = match members.get("length") {
            None => None,
            Some(length) => Some(length.as_u64().ok_or_else(|| bad("length", "an integer from 0 up"))?),
        };
        let hashes = match members.get("hashes") {
            None => None,
            Some(hashes) => Some(Hashes::read(object(hashes, "hashes")?)?),
        };
        Ok(Self { version: positive(members, "version")?, length, hashes })
    }

    /// As it stands in `meta`.
    pub fn to_value(&self) -> Value {
        let mut members = Members::new();
        members.insert("version".into(), json!(self.version));
        if let Some(length) = self.length {
            members.insert("length".into(), json!(length));
        }
        if let Some(hashes) = &self.hashes {
            members.insert("hashes".into(), hashes.to_value());
        }
        Value::Object(members)
    }

    /// Whether `file` has the length and the hashes, where they are given.
    ///
    /// # Errors
    /// [`Mismatch`].
    pub fn check(&self, file: &[u8]) -> Result<(), Mismatch> {
        if let Some(wanted) = self.length
            && file.len() as u64 != wanted
        {
            return Err(Mismatch::Length { wanted });
        }
        self.hashes.as_ref().map_or(Ok(()), |hashes| hashes.check(file))
    }
}

/// A view of snapshot metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// By file name without version: `targets.json`, `ROLE.json`.
    pub meta: BTreeMap<String, Meta>,
}

impl Snapshot {
    pub(crate) fn read(signed: &Members) -> Result<Self, MetadataError> {
        let mut meta = BTreeMap::new();
        for (file, value) in object_member(signed, "meta")? {
            meta.insert(file.clone(), Meta::read(value, file)?);
        }
        Ok(Self { meta })
    }

    /// What is said about `role`.
    pub fn role(&self, role: &str) -> Option<&Meta> {
        self.meta.get(&format!("{role}.json"))
    }
}

/// A view of timestamp metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimestampMeta {
    /// What is said about `snapshot.json`.
    pub snapshot: Meta,
}

impl TimestampMeta {
    pub(crate) fn read(signed: &Members) -> Result<Self, MetadataError> {
        let meta = object_member(signed, "meta")?;
        let snapshot = meta.get("snapshot.json").ok_or_else(|| bad("snapshot.json", "in `meta`"))?;
        Ok(Self { snapshot: Meta::read(snapshot, "snapshot.json")? })
    }
}
