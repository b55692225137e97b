//! Why a repository is not believed.

use crate::hashes::Mismatch;
use crate::metadata::MetadataError;
use crate::threshold::NotMet;

/// Why a file is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Not metadata, or of another type.
    #[error("`{file}` is not the metadata that it should be: {source}")]
    Metadata {
        /// The file.
        file: String,
        /// What is wrong.
        source: MetadataError,
    },
    /// Too few signatures.
    #[error("`{file}` is not signed as it must be: {source}")]
    Signatures {
        /// The file.
        file: String,
        /// What is missing.
        source: NotMet,
    },
    /// Another version than the file that names it says.
    #[error("`{file}` has version {got}, but must have {wanted}")]
    Version {
        /// The file.
        file: String,
        /// The version that it must have.
        wanted: u64,
        /// The version that it has.
        got: u64,
    },
    /// An older version than was seen before.
    #[error("`{file}` names version {got} of `{role}`, but {trusted} was seen before")]
    Rollback {
        /// The file.
        file: String,
        /// The role that falls back.
        role: String,
        /// The version that was seen.
        trusted: u64,
        /// The version that is offered.
        got: u64,
    },
    /// A snapshot without a role that was there.
    #[error("`{file}` lacks `{role}`, which was there before")]
    Dropped {
        /// The snapshot.
        file: String,
        /// What is missing.
        role: String,
    },
    /// No longer valid.
    #[error("`{file}` has expired at {at}")]
    Expired {
        /// The file.
        file: String,
        /// When.
        at: String,
    },
    /// Not the bytes that the file that names it means.
    #[error("`{file}` is not the file that is meant: {source}")]
    Mismatch {
        /// The file.
        file: String,
        /// What differs.
        source: Mismatch,
    },
    /// More bytes than a client reads.
    #[error("`{file}` is longer than {limit} bytes")]
    TooLong {
        /// The file.
        file: String,
        /// How long it may be.
        limit: u64,
    },
    /// A file that must be there.
    #[error("`{file}` is missing")]
    Missing {
        /// The file.
        file: String,
    },
    /// A role that nobody answers for.
    #[error("role `{role}` is delegated to, but is not in the snapshot")]
    NotInSnapshot {
        /// The role.
        role: String,
    },
    /// Bytes without a question.
    #[error("no file was asked for")]
    NotAsked,
}

impl ClientError {
    /// What it means for whoever runs the client.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Expired { .. } => {
                "the repository was not updated in time, or somebody shows you an old one; check your clock"
            }
            Self::Rollback { .. } | Self::Dropped { .. } => {
                "somebody shows you an older repository than you have seen, or it was restored from a backup"
            }
            Self::Version { .. } | Self::Mismatch { .. } => {
                "files of different moments are mixed: try again, then ask who runs the repository"
            }
            Self::Signatures { .. } | Self::Metadata { .. } => {
                "do not use what this repository offers; ask who runs it"
            }
            Self::TooLong { .. } => "raise the limit if the repository is known to be so large",
            Self::Missing { .. } => "try again: the repository may be in the middle of an update",
            Self::NotInSnapshot { .. } => {
                "the repository has delegated to a role that it has not published yet"
            }
            Self::NotAsked => "ask `needs` first",
        }
    }
}
