//! Checkpoints: which log, how large, what root.
//!
//! ```text
//! example.org/log                                   origin
//! 20852163                                          size
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=      root, base64
//! ```
//!
//! The text of a signed note (C2SP `tlog-checkpoint`); more lines may follow, which we never write.

use std::fmt;

use countersign_model::signing::ToSign;

use crate::hash::{Hash, Head, MAX_TREE_SIZE};
use crate::note::{NoteError, Pending, SignedNote, VerifierKey, prepare};
use crate::text::decimal;

/// What a log says about itself at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: not empty, one line, by custom the name of the key that signs it.
    pub origin: String,
    /// Its tree.
    pub head: Head,
    /// Further lines, each not empty, opaque.
    pub extensions: Vec<String>,
}

/// Why a text is no checkpoint, or not one of this log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The note around it is malformed or not signed by the log.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Not lines of origin, size, root, each ended by a line feed and none of them empty.
    #[error("a checkpoint has at least the lines origin, size and root, none of them empty")]
    Lines,
    /// The second line is no size.
    #[error("the size in a checkpoint is a decimal number below 2^63 without leading zeros")]
    Size,
    /// The third line is no root.
    #[error("the root in a checkpoint is the base64 of 32 bytes")]
    Root,
    /// The size is 0 and the root is not that of an empty tree.
    #[error("the checkpoint has no entries but the root of some")]
    EmptyRoot,
    /// Another log's checkpoint.
    #[error("the checkpoint is of log `{got}`, not of `{want}`")]
    Origin {
        /// The origin that was expected.
        want: String,
        /// The origin in the checkpoint.
        got: String,
    },
}

impl CheckpointError {
    /// One sentence for the person who reads the terminal or the log.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Note(note) => note.hint(),
            Self::Origin { .. } => "one key signs one log: do not trust a key that signs another's name",
            Self::Lines | Self::Size | Self::Root | Self::EmptyRoot => {
                "fetch `checkpoint` below the log's prefix again; if it stays so, do not trust the log"
            }
        }
    }
}

impl Checkpoint {
    /// A checkpoint without extensions.
    pub fn new(origin: &str, head: Head) -> Self {
        Self { origin: origin.to_owned(), head, extensions: Vec::new() }
    }

    /// Reads the text of a checkpoint: a note's text, without its signatures.
    ///
    /// # Errors
    /// [`CheckpointError`] unless it is exactly what [`Display`](fmt::Display) writes.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let body = text.strip_suffix('\n').ok_or(CheckpointError::Lines)?;
        let mut lines = body.split('\n');
        let mut line = || lines.next().filter(|l| !l.is_empty()).ok_or(CheckpointError::Lines);
        let (origin, size, root) = (line()?, line()?, line()?);
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if extensions.iter().any(String::is_empty) {
            return Err(CheckpointError::Lines);
        }
        let size = decimal(size).filter(|s| *s <= MAX_TREE_SIZE).ok_or(CheckpointError::Size)?;
        let root = Hash::from_base64(root).map_err(|_| CheckpointError::Root)?;
        if size == 0 && root != Hash::empty_root() {
            return Err(CheckpointError::EmptyRoot);
        }
        Ok(Self { origin: origin.to_owned(), head: Head { size, root }, extensions })
    }

    /// Prepares the checkpoint to be signed by the private half of `key`.
    ///
    /// # Errors
    /// [`CheckpointError`] if origin or extensions cannot be in a checkpoint.
    pub fn prepare(&self, key: &VerifierKey) -> Result<(ToSign, Pending), CheckpointError> {
        let text = self.to_string();
        // A line feed in the origin would make another checkpoint of it.
        if Self::parse(&text)? != *self {
            return Err(CheckpointError::Lines);
        }
        Ok(prepare(&text, key)?)
    }

    /// Verifies a signed checkpoint of the log that signs as `key` and whose origin is the key's name,
    /// and reads it.
    ///
    /// # Errors
    /// [`CheckpointError`] if the signature is missing or wrong, the text malformed, or the origin
    /// another.
    pub fn open(note: &SignedNote, key: &VerifierKey) -> Result<Self, CheckpointError> {
        Self::open_as(note, key, key.name().as_str())
    }

    /// As [`open`](Self::open), for a log whose origin is not the name of its key.
    ///
    /// # Errors
    /// As those of [`open`](Self::open).
    pub fn open_as(note: &SignedNote, key: &VerifierKey, origin: &str) -> Result<Self, CheckpointError> {
        note.verify(key)?;
        let checkpoint = Self::parse(note.text())?;
        if checkpoint.origin != origin {
            let (want, got) = (origin.to_owned(), checkpoint.origin);
            return Err(CheckpointError::Origin { want, got });
        }
        Ok(checkpoint)
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.head.size, self.head.root.to_base64())?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
