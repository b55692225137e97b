//! Why a request about tags or authorities was refused, in the words of their clients.

use countersign_records::tag::{AuthorityName, TagError};
use countersign_store::StoreError;
use countersign_verify::authority::{Judgement, Status};

/// Why a request about tags or authorities was refused. [`Error::code`] is the word that clients compare;
/// no message has a payload, a token or a path in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each says what it means in its own message")]
pub enum Error {
    #[error("there is no payload: a tag has at least one line of text")]
    Empty,
    #[error("{0}")]
    BadFormat(String),
    #[error("no authority is named: say who must have signed")]
    NoAuthorities,
    #[error("no authority is named: say in whose name to sign")]
    NoAuthority,
    #[error("payload contains {}: line {line}", if *.look_alike { "a line that looks like a signature header" } else { "a signature header line" })]
    HeaderInPayload { line: usize, look_alike: bool },
    #[error("{0}")]
    Ambiguous(String),
    #[error("{0}")]
    BadRequest(String),
    #[error("bad authority name: {0}")]
    BadAuthorityName(String),
    #[error("bad tag name: {0}")]
    BadTagName(String),
    #[error("{message}")]
    InvalidSignature { name: AuthorityName, message: String },
    #[error("not signed by {0}")]
    NotSigned(String),
    #[error("{message}")]
    Revoked { name: AuthorityName, message: String },
    #[error("{message}")]
    ExpiredKey { name: AuthorityName, message: String },
    #[error("{message}")]
    NotYetValid { name: AuthorityName, message: String },
    #[error("{0}")]
    NotAllowed(String),
    #[error("there is no authority {0}")]
    UnknownAuthority(String),
    #[error("there is no tag {0}")]
    UnknownTag(String),
    #[error("there is no {0}")]
    NotFound(String),
    #[error("{0}")]
    Exists(String),
    #[error("{0}")]
    NewVersion(String),
    #[error("{0}")]
    AmbiguousName(String),
    #[error("{0}")]
    PreconditionFailed(String),
    #[error("tag {name} is hidden")]
    Hidden { name: String, by: String, at: jiff::Timestamp },
    #[error("{0}")]
    Gone(String),
    #[error("{what} is over the limit of {limit} bytes")]
    TooLarge { what: &'static str, limit: u64 },
    #[error("the query is over the limit of {limit} bytes: send a body")]
    QueryTooLong { limit: usize },
    #[error("too many writes: at most {per_minute} a minute")]
    RateLimited { per_minute: u32, retry_after: u32 },
    #[error(transparent)]
    Core(#[from] crate::Error),
}

impl Error {
    /// The word that clients compare.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::BadFormat(_) => "bad-format",
            Self::NoAuthorities => "no-authorities",
            Self::NoAuthority => "no-authority",
            Self::HeaderInPayload { .. } => "header-in-payload",
            Self::Ambiguous(_) => "ambiguous",
            Self::BadRequest(_) => "bad-request",
            Self::BadAuthorityName(_) | Self::BadTagName(_) => "bad-name",
            Self::InvalidSignature { .. } => "invalid-signature",
            Self::NotSigned(_) => "not-signed",
            Self::Revoked { .. } => "revoked",
            Self::ExpiredKey { .. } => "expired-key",
            Self::NotYetValid { .. } => "not-yet-valid",
            Self::NotAllowed(_) | Self::Core(crate::Error::NotPermitted { .. }) => "not-allowed",
            Self::UnknownAuthority(_) => "unknown-authority",
            Self::UnknownTag(_) => "unknown-tag",
            Self::NotFound(_) => "not-found",
            Self::Exists(_) => "exists",
            Self::NewVersion(_) => "new-version",
            Self::AmbiguousName(_) => "ambiguous-name",
            Self::PreconditionFailed(_) => "precondition-failed",
            Self::Hidden { .. } => "hidden",
            Self::Gone(_) => "gone",
            Self::TooLarge { .. } => "too-large",
            Self::QueryTooLong { .. } => "too-long",
            Self::RateLimited { .. } => "rate-limited",
            Self::Core(error) => error.code().as_str(),
        }
    }

    /// Seconds after which a retry may help; `None` if it cannot.
    pub fn retry_after(&self) -> Option<u32> {
        match self {
            Self::RateLimited { retry_after, .. } => Some(*retry_after),
            Self::Core(error) => error.retry_after(),
            _ => None,
        }
    }
}

impl Error {
    /// Why the signature of `name` does not count; `None` if it does.
    pub fn of_judgement(name: &AuthorityName, judgement: &Judgement) -> Option<Self> {
        let (name, message) = (name.clone(), judgement.message.clone());
        Some(match judgement.status {
            Status::Valid => return None,
            Status::Invalid => Self::InvalidSignature { name, message },
            Status::Missing => Self::NotSigned(name.to_string()),
            Status::Revoked => Self::Revoked { name, message },
            Status::NotYetValid => Self::NotYetValid { name, message },
            Status::Expired => Self::ExpiredKey { name, message },
            Status::Unknown => Self::UnknownAuthority(name.to_string()),
        })
    }
}

/// What is wrong with a text that was to be read or signed.
impl From<TagError> for Error {
    fn from(error: TagError) -> Self {
        let message = error.to_string();
        match error {
            TagError::Empty => Self::Empty,
            TagError::HeaderLine { line } => Self::HeaderInPayload { line, look_alike: false },
            TagError::LookAlike { line } => Self::HeaderInPayload { line, look_alike: true },
            TagError::BadName { got } => Self::BadAuthorityName(got),
            TagError::NotSigned { name } => Self::NotSigned(name.to_string()),
            TagError::InvalidSignature { name }
            | TagError::WeakKey { name }
            | TagError::UnsupportedKey { name } => Self::InvalidSignature { name, message },
            _ => Self::BadFormat(message),
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Core(error.into())
    }
}
