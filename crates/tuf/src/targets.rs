//! Targets metadata: files with their lengths and hashes, and delegations (specification 4.5).

use serde_json::Value;

use crate::delegation::Delegations;
use crate::hashes::{Checker, Hashes, Mismatch};
use crate::metadata::MetadataError;
use crate::shape::{Members, bad, member, object, object_member};

/// A view of targets metadata.
#[derive(Clone, Debug)]
pub struct Targets<'a> {
    /// By path: what [`TargetFile`] reads.
    pub targets: &'a Members,
    /// To whom paths are delegated.
    pub delegations: Option<Delegations>,
}

impl<'a> Targets<'a> {
    pub(crate) fn read(signed: &'a Members) -> Result<Self, MetadataError> {
        let delegations = match signed.get("delegations") {
            None | Some(Value::Null) => None,
            Some(value) => Some(Delegations::read(object(value, "delegations")?)?),
        };
        Ok(Self { targets: object_member(signed, "targets")?, delegations })
    }

    /// Every target can be read.
    pub(crate) fn check(&self) -> Result<(), MetadataError> {
        self.targets.values().try_for_each(|target| TargetFile::read(target).map(drop))
    }
}

/// What metadata says about one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetFile {
    /// In bytes.
    pub length: u64,
    /// At least one.
    pub hashes: Hashes,
    /// What its publisher wrote beside it.
    pub custom: Option<Value>,
}

impl TargetFile {
    pub(crate) fn read(value: &Value) -> Result<Self, MetadataError> {
        let members = object(value, "targets{}")?;
        let length = member(members, "length")?.as_u64();
        Ok(Self {
            length: length.ok_or_else(|| bad("length", "an integer from 0 up"))?,
            hashes: Hashes::read(object_member(members, "hashes")?)?,
            custom: members.get("custom").cloned(),
        })
    }

    /// Where the file at `path` is under consistent snapshots: `dir/HASH.name`, one for each hash.
    pub fn consistent_paths(&self, path: &str) -> Vec<String> {
        let (dir, name) = path.rfind('/').map_or(("", path), |at| path.split_at(at + 1));
        self.hashes.iter().map(|(_, hash)| format!("{dir}{hash}.{name}")).collect()
    }

    /// Checks the file's bytes as they come.
    pub fn checker(&self) -> TargetChecker {
        TargetChecker { length: self.length, left: self.length, hashes: Checker::new(&self.hashes) }
    }
}

/// Checks length and hashes of a file that comes in pieces (specification 5.7).
pub struct TargetChecker {
    length: u64,
    left: u64,
    hashes: Checker,
}

impl TargetChecker {
    /// Adds bytes.
    ///
    /// # Errors
    /// [`Mismatch::Length`] as soon as there are too many: an endless file is not read to its end.
    pub fn update(&mut self, bytes: &[u8]) -> Result<(), Mismatch> {
        let left = self.left.checked_sub(bytes.len() as u64);
        self.left = left.ok_or(Mismatch::Length { wanted: self.length })?;
        self.hashes.update(bytes);
        Ok(())
    }

    /// Whether the bytes are the file.
    ///
    /// # Errors
    /// [`Mismatch`].
    pub fn finish(self) -> Result<(), Mismatch> {
        if self.left > 0 {
            return Err(Mismatch::Length { wanted: self.length });
        }
        self.hashes.finish()
    }
}
