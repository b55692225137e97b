//! How the steps of a handler end early.

use countersign_store::StoreError;
use countersign_tuf::check::Refusal;
use countersign_tuf::metadata::MetadataError;

use super::error::Error;
use super::task::Outcome;

/// Why a handler ends without a change.
#[derive(Debug)]
pub(super) enum Halt {
    /// What was asked is refused, in these words.
    Refused(String),
    /// It could not be told: the task is tried again.
    Failed(Error),
}

impl Halt {
    pub(super) fn refused(why: impl ToString) -> Self {
        Self::Refused(why.to_string())
    }

    /// The end of a task that says `message` when it is refused.
    pub(super) fn into_outcome(self, message: &str) -> Result<Outcome, Error> {
        match self {
            Self::Refused(error) => Ok(Outcome::refused(message, error)),
            Self::Failed(error) => Err(error),
        }
    }
}

impl From<Refusal> for Halt {
    fn from(refusal: Refusal) -> Self {
        Self::refused(refusal)
    }
}

impl From<MetadataError> for Halt {
    fn from(error: MetadataError) -> Self {
        Self::refused(error)
    }
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        match error {
            Error::Other(error) => error.into(),
            error => Self::Failed(error),
        }
    }
}

impl From<crate::Error> for Halt {
    fn from(error: crate::Error) -> Self {
        match error {
            crate::Error::NotPermitted { .. } => Self::refused(error),
            error => Self::Failed(error.into()),
        }
    }
}
