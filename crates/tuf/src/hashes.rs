//! Hashes of files, as metadata has them: `{"sha256":"HEX",…}`.

use std::collections::BTreeMap;

use blake2::digest::consts::{U32, U64};
use blake2::{Blake2b, Digest as _};
use countersign_model::HashAlg;
use countersign_model::digest::{self, Hasher};
use serde_json::{Value, json};

use crate::metadata::MetadataError;
use crate::shape::{Members, bad};

/// At least one hash, by the name of its function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hashes(BTreeMap<String, String>);

/// A hash function that we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// One of the SHA-2 family.
    Sha2(HashAlg),
    /// BLAKE2b with 32 bytes: what RSTUF's command line sends.
    Blake2b256,
    /// BLAKE2b with 64 bytes.
    Blake2b,
}

/// Why a file is not the one that metadata names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// Shorter or longer.
    #[error("the file is not {wanted} bytes long")]
    Length {
        /// The length in metadata, in bytes.
        wanted: u64,
    },
    /// Another content.
    #[error("the file has another {0} hash")]
    Hash(String),
    /// No hash that we can compute.
    #[error(
        "none of the file's hashes is of a known kind: sha256, sha384, sha512, blake2b-256 and blake2b are"
    )]
    NoKnownHash,
}

impl Algorithm {
    /// The function of this name in metadata.
    pub fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "sha256" => Self::Sha2(HashAlg::Sha256),
            "sha384" => Self::Sha2(HashAlg::Sha384),
            "sha512" => Self::Sha2(HashAlg::Sha512),
            "blake2b-256" => Self::Blake2b256,
            "blake2b" => Self::Blake2b,
            _ => return None,
        })
    }

    /// Length of its output in bytes.
    pub fn output_len(self) -> usize {
        match self {
            Self::Sha2(alg) => alg.digest_len(),
            Self::Blake2b256 => 32,
            Self::Blake2b => 64,
        }
    }
}

impl Hashes {
    pub(crate) fn read(members: &Members) -> Result<Self, MetadataError> {
        let mut hashes = BTreeMap::new();
        for (name, hash) in members {
            let hash = hash.as_str().ok_or_else(|| bad("hashes", "an object of texts"))?;
            hashes.insert(name.clone(), hash.to_owned());
        }
        if hashes.is_empty() {
            Err(bad("hashes", "an object with at least one hash"))
        } else {
            Ok(Self(hashes))
        }
    }

    /// The SHA-256 of `file`.
    pub fn sha256(file: &[u8]) -> Self {
        Self(BTreeMap::from([("sha256".to_owned(), hex::encode(digest::sha256(file)))]))
    }

    /// Name of the function and hash, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, hash)| (name.as_str(), hash.as_str()))
    }

    /// As they stand in metadata.
    pub fn to_value(&self) -> Value {
        json!(self.0)
    }

    /// Whether `file` has these hashes.
    ///
    /// # Errors
    /// [`Mismatch`].
    pub fn check(&self, file: &[u8]) -> Result<(), Mismatch> {
        let mut checker = Checker::new(self);
        checker.update(file);
        checker.finish()
    }
}

/// Checks hashes of bytes that come in pieces. Every hash of a known kind must be right, and one must be known.
pub struct Checker(Vec<(String, String, Running)>);

enum Running {
    Sha2(Box<Hasher>),
    Blake2b256(Box<Blake2b<U32>>),
    Blake2b(Box<Blake2b<U64>>),
}

impl Checker {
    /// Starts with no bytes.
    pub fn new(hashes: &Hashes) -> Self {
        let running = hashes.iter().filter_map(|(name, hash)| {
            let running = match Algorithm::of_name(name)? {
                Algorithm::Sha2(alg) => Running::Sha2(Box::new(Hasher::new(alg))),
                Algorithm::Blake2b256 => Running::Blake2b256(Box::default()),
                Algorithm::Blake2b => Running::Blake2b(Box::default()),
            };
            Some((name.to_owned(), hash.to_owned(), running))
        });
        Self(running.collect())
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        for (_, _, running) in &mut self.0 {
            match running {
                Running::Sha2(hasher) => hasher.update(bytes),
                Running::Blake2b256(hasher) => hasher.update(bytes),
                Running::Blake2b(hasher) => hasher.update(bytes),
            }
        }
    }

    /// Whether the bytes have the hashes.
    ///
    /// # Errors
    /// [`Mismatch`].
    pub fn finish(self) -> Result<(), Mismatch> {
        if self.0.is_empty() {
            return Err(Mismatch::NoKnownHash);
        }
        for (name, wanted, running) in self.0 {
            let hash = match running {
                Running::Sha2(hasher) => hex::encode(hasher.finish().as_bytes()),
                Running::Blake2b256(hasher) => hex::encode(hasher.finalize()),
                Running::Blake2b(hasher) => hex::encode(hasher.finalize()),
            };
            if hash != wanted {
                return Err(Mismatch::Hash(name));
            }
        }
        Ok(())
    }
}
