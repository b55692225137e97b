//! Hashes of leaves, nodes and whole trees.

use std::fmt;
use std::str::FromStr;

use countersign_model::digest::sha256_parts;

use crate::text::{base64_decode, base64_encode};

/// Bytes of a hash.
pub const HASH_SIZE: usize = 32;

/// The largest number of leaves that a tree here may have: what fits a signed 64-bit number, as in
/// other implementations.
pub const MAX_TREE_SIZE: u64 = i64::MAX as u64;

/// A SHA-256 hash of a leaf or of a subtree. Printed as 64 lower-case hex digits; notes and proofs
/// write it in base64, see [`Hash::to_base64`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash([u8; HASH_SIZE]);

/// A text or a slice that is not a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 hash: it takes 32 bytes, as 64 hex digits or 44 characters of base64")]
pub struct BadHash;

impl Hash {
    /// The root of a tree without leaves: SHA-256 of nothing.
    pub fn empty_root() -> Self {
        Self(sha256_parts(&[]))
    }

    /// The hash of an entry: SHA-256(`0x00` ‖ `entry`). Follows RFC 6962, 2.1.
    pub fn leaf(entry: &[u8]) -> Self {
        Self(sha256_parts(&[&[0x00], entry]))
    }

    /// The hash of two subtrees side by side: SHA-256(`0x01` ‖ `left` ‖ `right`).
    pub fn node(left: Self, right: Self) -> Self {
        // One buffer and one update: this is the inner loop of every proof and every append.
        let mut bytes = [0x01; 1 + 2 * HASH_SIZE];
        bytes[1..=HASH_SIZE].copy_from_slice(&left.0);
        bytes[1 + HASH_SIZE..].copy_from_slice(&right.0);
        Self(sha256_parts(&[&bytes]))
    }

    /// Takes the 32 bytes of a hash.
    pub const fn from_bytes(bytes: [u8; HASH_SIZE]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; HASH_SIZE] {
        &self.0
    }

    /// 44 characters of standard base64 with padding, as notes and proofs write it.
    pub fn to_base64(&self) -> String {
        base64_encode(&self.0)
    }

    /// Reads what [`to_base64`](Self::to_base64) writes, and nothing else.
    ///
    /// # Errors
    /// [`BadHash`] if it is not the one base64 text of 32 bytes.
    pub fn from_base64(text: &str) -> Result<Self, BadHash> {
        if text.len() != 44 {
            return Err(BadHash);
        }
        let bytes = base64_decode(text).ok_or(BadHash)?;
        Ok(Self(bytes.try_into().map_err(|_| BadHash)?))
    }
}

impl TryFrom<&[u8]> for Hash {
    type Error = BadHash;

    fn try_from(bytes: &[u8]) -> Result<Self, BadHash> {
        Ok(Self(bytes.try_into().map_err(|_| BadHash)?))
    }
}

impl FromStr for Hash {
    type Err = BadHash;

    /// Reads 64 hex digits, of either case.
    fn from_str(text: &str) -> Result<Self, BadHash> {
        let mut bytes = [0; HASH_SIZE];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| BadHash)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

/// A tree at one moment: how many leaves it has and the root over them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of leaves.
    pub size: u64,
    /// The root over all of them.
    pub root: Hash,
}

impl Head {
    /// The head of a tree without leaves.
    pub fn empty() -> Self {
        Self { size: 0, root: Hash::empty_root() }
    }
}
