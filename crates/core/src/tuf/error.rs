//! Why a request is not accepted: what the surface answers before there is a task.

use super::repository::Bootstrap;

/// A refusal. The surface writes it in the peer's shape.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// 404, `{"detail":{"message":M,"error":E}}`, or only `error`.
    #[error("{error}")]
    WrongState {
        /// What was asked; absent for POST bootstrap.
        message: Option<String>,
        /// Why not.
        error: String,
    },
    /// 409, the same shape: a root is being signed already.
    #[error("{error}")]
    Conflict {
        /// What was asked.
        message: String,
        /// Why not.
        error: String,
    },
    /// 403, the same shape: a proof of possession is required.
    #[error("a proof of possession is required")]
    ProofRequired,
    /// 422, `{"detail":[{"type","loc","msg"}]}`.
    #[error("{}", .0.first().map_or("invalid", |fault| fault.msg.as_str()))]
    Invalid(Vec<BodyFault>),
    /// 503 with `Retry-After`.
    #[error("{0}")]
    Unavailable(String),
    /// Too few of a role's online keys may sign it: `Role bins cannot be signed: key `tuf/online` is revoked`.
    #[error("{0}")]
    NoKeys(String),
    /// What every surface can be told: not permitted, no log, no database.
    #[error(transparent)]
    Other(#[from] crate::Error),
}

/// One fault of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyFault {
    /// As the peer's validator names it: `missing`, `value_error`, `greater_than`, `int_parsing` …
    pub kind: &'static str,
    /// Where: `body`, then names and numbers.
    pub loc: Vec<Place>,
    /// What is wrong, for people. Never the input.
    pub msg: String,
}

/// A step to a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A member.
    Name(String),
    /// An element.
    Index(usize),
}

impl From<countersign_store::StoreError> for Error {
    fn from(error: countersign_store::StoreError) -> Self {
        Self::Other(error.into())
    }
}

impl Error {
    /// 404 with `message`: `error` says which state it is instead, `It requires bootstrap finished. State: signing`.
    pub fn state(message: &str, wanted: &str, bootstrap: &Bootstrap) -> Self {
        Self::WrongState {
            message: Some(message.to_owned()),
            error: format!("{wanted} State: {}", bootstrap.state_text()),
        }
    }
}
