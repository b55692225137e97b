//! Proof of possession: who overrides or deletes pending metadata shows that they hold a root key now.
//!
//! A signature over metadata says nothing about the wish to override it, and can be sent again by anyone who has
//! seen it. So the server gives a nonce, and the holder signs this text, seven lines each ended by LF:
//!
//! ```text
//! countersign-das-proof-v1
//! <server id>
//! <operation>
//! <role>
//! <sha256 of canonical pending signed>
//! <sha256 of canonical new signed, or ->
//! <nonce>
//! ```
//!
//! It cannot be taken for metadata, which begins with `{`.

use std::fmt;

use subtle::ConstantTimeEq as _;

use crate::metadata::{Document, Kind};

/// The first line.
pub const CONTEXT: &str = "countersign-das-proof-v1";
/// How long a challenge can be answered, in seconds.
pub const LIFETIME_SECONDS: i64 = 300;
/// How many challenges a role may have open.
pub const MAX_OPEN: usize = 16;

/// What is to be done with pending metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// Other metadata takes its place.
    Override,
    /// The signing stops.
    Delete,
}

impl Operation {
    /// `override` or `delete`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Override => "override",
            Self::Delete => "delete",
        }
    }

    /// The operation of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Override, Self::Delete].into_iter().find(|operation| operation.as_str() == name)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a proof is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge<'a> {
    /// Which server asks, one line.
    pub server: &'a str,
    /// What is to be done.
    pub operation: Operation,
    /// The role whose metadata is pending, one line.
    pub role: &'a str,
    /// SHA-256 of the canonical `signed` that is pending.
    pub pending: [u8; 32],
    /// SHA-256 of the canonical `signed` that takes its place; `None` for [`Operation::Delete`].
    pub new: Option<[u8; 32]>,
    /// Random, made by the server, used once.
    pub nonce: [u8; 32],
}

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof<'a> {
    /// The nonce in hex.
    pub nonce: &'a str,
    /// A root key of the pending root or of the one in force.
    pub keyid: &'a str,
    /// Its signature over [`Challenge::text`], as it would stand in metadata.
    pub sig: &'a str,
}

/// The proof does not hold. It does not say why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid proof")]
pub struct InvalidProof;

/// A challenge that would not be seven lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("server id and role of a challenge are one line each")]
pub struct NotALine;

impl Challenge<'_> {
    /// The text to sign.
    ///
    /// # Errors
    /// [`NotALine`] if server or role is empty or has a control character.
    pub fn text(&self) -> Result<String, NotALine> {
        let is_line = |text: &str| !text.is_empty() && !text.contains(char::is_control);
        if !is_line(self.server) || !is_line(self.role) {
            return Err(NotALine);
        }
        let new = self.new.map_or_else(|| "-".to_owned(), hex::encode);
        let pending = hex::encode(self.pending);
        let (server, operation, role) = (self.server, self.operation, self.role);
        let nonce = hex::encode(self.nonce);
        Ok(format!("{CONTEXT}\n{server}\n{operation}\n{role}\n{pending}\n{new}\n{nonce}\n"))
    }

    /// Checks a proof. That the nonce is open, and is spent by this try whatever comes of it, is for the caller.
    ///
    /// `roots`: the pending root and the one in force, as far as there are any.
    ///
    /// # Errors
    /// [`InvalidProof`].
    pub fn check<'d>(
        &self,
        proof: Proof<'_>,
        roots: impl IntoIterator<Item = &'d Document>,
    ) -> Result<(), InvalidProof> {
        let text = self.text().map_err(|_| InvalidProof)?;
        let nonce = hex::encode(self.nonce);
        if !bool::from(nonce.as_bytes().ct_eq(proof.nonce.as_bytes())) {
            return Err(InvalidProof);
        }
        for root in roots.into_iter().filter_map(|document| document.root().ok()) {
            let mut keys = root.role(Kind::Root).keys(&root.keys);
            if keys.any(|(id, key)| id == proof.keyid && key.verify(text.as_bytes(), proof.sig).is_ok()) {
                return Ok(());
            }
        }
        Err(InvalidProof)
    }
}
