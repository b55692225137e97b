//! Entries of the signing log, checked offline.
//!
//! Needed are the proof, the entry and the log's verifier key; to bind the entry to a signature also the
//! signature, its key and what it signs. All but the keys may come from anybody.

use countersign_model::entry::{BadEntry, Entry, Op};
use countersign_model::{Encoding, KeyId, PublicKey, Scheme, ToSign};
use countersign_tlog::checkpoint::Checkpoint;
use countersign_tlog::log_proof::{LogProof, LogProofError};
use countersign_tlog::note::VerifierKey;

use crate::raw::{self, RawError};

/// An entry that is shown to be in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenEntry {
    /// What it says.
    pub entry: Entry,
    /// Its number in the log, from 0.
    pub index: u64,
    /// The checkpoint that covers it.
    pub checkpoint: Checkpoint,
}

/// A signature, with all that its entry says about it.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// The public half of the key that signed.
    pub key: &'a PublicKey,
    /// The scheme.
    pub scheme: Scheme,
    /// What was signed, as [`ToSign::of_message`] makes it.
    pub content: &'a ToSign,
    /// The signature.
    pub signature: &'a [u8],
    /// How an ECDSA signature is written.
    pub encoding: Encoding,
}

/// Why a proof and an entry do not show what they should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The proof is malformed or does not lead to a checkpoint of this log.
    #[error(transparent)]
    Proof(#[from] LogProofError),
    /// The leaf is in the log but is no entry of a signing log.
    #[error(transparent)]
    Entry(#[from] BadEntry),
    /// The entry names another node than the one whose log it is in.
    #[error("the entry is of node `{entry}`, but stands in the log of `{origin}`")]
    Node {
        /// What the entry says.
        entry: String,
        /// The log's origin.
        origin: String,
    },
    /// The signature itself does not hold.
    #[error(transparent)]
    Signature(#[from] RawError),
    /// The entry is not that of a signature.
    #[error("the entry is not about a signature")]
    NotASignature,
    /// The entry names another key.
    #[error("the entry is about key `{entry}`, the signature is by `{signature}`")]
    Key {
        /// What the entry says.
        entry: String,
        /// The key of the signature.
        signature: KeyId,
    },
    /// The entry names another scheme.
    #[error("the entry is about a signature with `{entry}`, this one is `{signature}`")]
    Scheme {
        /// What the entry says.
        entry: String,
        /// The scheme of the signature.
        signature: Scheme,
    },
    /// The entry is about other content.
    #[error("the entry is about other content: it says `{entry}`, this is `{signature}`")]
    Content {
        /// What the entry says.
        entry: String,
        /// The fingerprint of what was signed.
        signature: String,
    },
}

impl LogError {
    /// One sentence for the person who reads the terminal or the log.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Proof(error) => error.hint(),
            Self::Signature(error) => error.hint(),
            Self::Entry(_) => "give the entry as the log has it, byte by byte",
            Self::Node { .. } => "the log's writer broke its own rules: do not trust this log",
            Self::NotASignature | Self::Key { .. } | Self::Scheme { .. } | Self::Content { .. } => {
                "take the proof and the entry that came with this signature"
            }
        }
    }
}

/// Checks that `entry` is in the log that signs as `log_key`, and reads it.
///
/// - `proof`: a text in `tlog-proof@v1` form.
/// - `entry`: the leaf's bytes, canonical JSON without a line end.
///
/// # Errors
/// [`LogError::Proof`], [`LogError::Entry`] or [`LogError::Node`].
pub fn entry(proof: &[u8], entry: &[u8], log_key: &VerifierKey) -> Result<ProvenEntry, LogError> {
    let proof = LogProof::parse(proof)?;
    let checkpoint = proof.verify(entry, log_key)?;
    let entry = Entry::parse(entry)?;
    if entry.node.as_str() != checkpoint.origin {
        let (entry, origin) = (entry.node.to_string(), checkpoint.origin);
        return Err(LogError::Node { entry, origin });
    }
    Ok(ProvenEntry { entry, index: proof.index, checkpoint })
}

/// Checks that a signature holds and that the log has its entry.
///
/// # Errors
/// [`LogError`].
pub fn signature(
    signed: &Signed<'_>,
    proof: &[u8],
    entry_bytes: &[u8],
    log_key: &VerifierKey,
) -> Result<ProvenEntry, LogError> {
    raw::verify(signed.key, signed.scheme, signed.content, signed.signature, signed.encoding)?;
    let proven = entry(proof, entry_bytes, log_key)?;
    proven.is_about(signed.key, signed.scheme, signed.content)?;
    Ok(proven)
}

impl ProvenEntry {
    /// Checks that this is the entry of a signature by `key` with `scheme` over `content`.
    ///
    /// The entry is written before the signature is made and does not have it: two signatures by one key over
    /// the same content cannot be told apart by their entries.
    ///
    /// # Errors
    /// [`LogError::NotASignature`], [`LogError::Key`], [`LogError::Scheme`] or [`LogError::Content`].
    pub fn is_about(&self, key: &PublicKey, scheme: Scheme, content: &ToSign) -> Result<(), LogError> {
        let entry = &self.entry;
        if entry.op != Op::Sign {
            return Err(LogError::NotASignature);
        }
        let id = key.id();
        if entry.key_id.as_ref() != Some(&id) {
            return Err(LogError::Key { entry: text(entry.key_id.as_ref()), signature: id });
        }
        if entry.scheme != Some(scheme) {
            return Err(LogError::Scheme { entry: text(entry.scheme.as_ref()), signature: scheme });
        }
        let fingerprint = format!("sha256:{}", hex::encode(content.fingerprint()));
        if entry.to_sign.as_ref() != Some(&fingerprint) {
            return Err(LogError::Content { entry: text(entry.to_sign.as_ref()), signature: fingerprint });
        }
        Ok(())
    }
}

fn text<T: std::fmt::Display>(value: Option<&T>) -> String {
    value.map_or_else(|| "none".to_owned(), T::to_string)
}
