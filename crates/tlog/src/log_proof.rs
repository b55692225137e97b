//! A proof that an entry is in a log, as one text that can be checked offline.
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! extra YWdlLXYx                                    optional, not authenticated
//! index 73894
//! gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=      the inclusion proof, from the leaf up
//! B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=
//!
//! example.org/log                                   the signed checkpoint
//! 109482
//! sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=
//!
//! — example.org/log hI2DJw…
//! ```
//!
//! Follows C2SP `tlog-proof`. The entry itself is not in it.

use std::fmt;

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::hash::Hash;
use crate::note::{MAX_NOTE, NoteError, SignedNote, VerifierKey};
use crate::proof::{MAX_PROOF, ProofError, verify_inclusion};
use crate::text::{base64_decode, base64_encode, decimal};

/// The most extra data that a proof may carry, in bytes.
pub const MAX_EXTRA: usize = 1 << 16;

/// The longest text that is read, in bytes: the note, the extra data in base64, and the rest.
const MAX_TEXT: usize = MAX_NOTE + 2 * MAX_EXTRA + 8192;

const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// Where an entry is in a log, with all that a stranger needs to check it but the log's key and the
/// entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogProof {
    /// Data for the application, at least one byte if there; **not** covered by any signature.
    pub extra: Option<Vec<u8>>,
    /// The number of the entry, from 0.
    pub index: u64,
    /// The inclusion proof, from the leaf's sibling up.
    pub hashes: Vec<Hash>,
    /// The signed checkpoint that the proof leads to.
    pub checkpoint: SignedNote,
}

/// Why a text is no proof, or proves nothing about the entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogProofError {
    /// Longer than any proof may be.
    #[error("a proof of {got} bytes is too long: at most {MAX_TEXT}")]
    TooLong {
        /// Its length in bytes.
        got: usize,
    },
    /// Another text, or a version that is not known.
    #[error("not a log proof: the first line is not `{HEADER}`")]
    Header,
    /// The line `extra` is malformed or has too much.
    #[error("the line `extra` of a proof has the base64 of 1 to {MAX_EXTRA} bytes")]
    Extra,
    /// The line `index` is missing or malformed.
    #[error("a proof has the line `index NUMBER`, decimal without leading zeros")]
    Index,
    /// The hashes are malformed or do not end.
    #[error("a proof has at most {MAX_PROOF} hashes, one a line in base64, and then an empty line")]
    Hashes,
    /// The checkpoint is malformed or not to be trusted.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The hashes do not lead from the entry to the checkpoint.
    #[error("entry {index} is not shown to be in the log: {error}")]
    NotIncluded {
        /// The number of the entry.
        index: u64,
        /// What is wrong with the hashes.
        error: ProofError,
    },
}

impl LogProofError {
    /// One sentence for the person who reads the terminal or the log.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Checkpoint(error) => error.hint(),
            Self::NotIncluded { error, .. } => error.hint(),
            Self::TooLong { .. } | Self::Header | Self::Extra | Self::Index | Self::Hashes => {
                "ask the log for the proof again, and keep it byte by byte"
            }
        }
    }
}

impl From<NoteError> for LogProofError {
    fn from(error: NoteError) -> Self {
        Self::Checkpoint(error.into())
    }
}

impl LogProof {
    /// Reads a proof. What it reads, [`to_string`](ToString::to_string) writes again byte by byte.
    ///
    /// # Errors
    /// [`LogProofError`] if it is malformed; whether it proves anything is for
    /// [`verify`](Self::verify) to say.
    pub fn parse(bytes: &[u8]) -> Result<Self, LogProofError> {
        if bytes.len() > MAX_TEXT {
            return Err(LogProofError::TooLong { got: bytes.len() });
        }
        let text = std::str::from_utf8(bytes).map_err(|_| NoteError::NotText)?;
        let (header, rest) = text.split_once('\n').ok_or(LogProofError::Header)?;
        if header != HEADER {
            return Err(LogProofError::Header);
        }

        let (mut line, mut rest) = rest.split_once('\n').ok_or(LogProofError::Index)?;
        let mut extra = None;
        if let Some(base64) = line.strip_prefix("extra ") {
            let data = base64_decode(base64).ok_or(LogProofError::Extra)?;
            if data.is_empty() || data.len() > MAX_EXTRA {
                return Err(LogProofError::Extra);
            }
            extra = Some(data);
            (line, rest) = rest.split_once('\n').ok_or(LogProofError::Index)?;
        }
        let index = line.strip_prefix("index ").and_then(decimal).ok_or(LogProofError::Index)?;

        let mut hashes = Vec::new();
        loop {
            let (line, after) = rest.split_once('\n').ok_or(LogProofError::Hashes)?;
            rest = after;
            if line.is_empty() {
                break;
            }
            if hashes.len() == MAX_PROOF {
                return Err(LogProofError::Hashes);
            }
            hashes.push(Hash::from_base64(line).map_err(|_| LogProofError::Hashes)?);
        }

        let checkpoint = SignedNote::parse(rest.as_bytes())?;
        Checkpoint::parse(checkpoint.text())?;
        Ok(Self { extra, index, hashes, checkpoint })
    }

    /// Checks that `entry` is entry number `index` of the log that signs as `key`, and returns the
    /// checkpoint that says so.
    ///
    /// # Errors
    /// [`LogProofError`] if the checkpoint is not the log's, or the hashes do not lead to it.
    pub fn verify(&self, entry: &[u8], key: &VerifierKey) -> Result<Checkpoint, LogProofError> {
        self.verify_leaf(Hash::leaf(entry), key)
    }

    /// As [`verify`](Self::verify), for an entry of which only the leaf hash is known.
    ///
    /// # Errors
    /// As those of [`verify`](Self::verify).
    pub fn verify_leaf(&self, leaf: Hash, key: &VerifierKey) -> Result<Checkpoint, LogProofError> {
        let checkpoint = Checkpoint::open(&self.checkpoint, key)?;
        verify_inclusion(leaf, self.index, &checkpoint.head, &self.hashes)
            .map_err(|error| LogProofError::NotIncluded { index: self.index, error })?;
        Ok(checkpoint)
    }
}

impl fmt::Display for LogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", base64_encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        for hash in &self.hashes {
            writeln!(f, "{}", hash.to_base64())?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}
