//! Why a request was refused, and what to do about it.

use countersign_keyhost::wire::HostError;
use countersign_model::digest::DigestError;
use countersign_model::name::BadName;
use countersign_model::policy::Denial;
use countersign_model::{
    Action, Format, HashAlg, KeyName, KeyType, PrincipalName, Resource, Scheme, Surface,
};
use countersign_store::{FilesError, StoreError};

use crate::auth::BadCredentials;
use crate::publication::Halt;

/// Why a request was refused. `Display` names the thing, [`Error::hint`] says what to do; neither has a
/// secret, a path or a request body in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each says what it means in its own message")]
pub enum Error {
    #[error("{why}")]
    InvalidRequest { member: Option<&'static str>, why: String },
    #[error(transparent)]
    InvalidName(#[from] BadName),
    #[error("{0}")]
    MalformedKey(String),
    #[error(transparent)]
    BadCredentials(#[from] BadCredentials),
    #[error("`{principal}` may not `{action}` on `{resource}`: {why}")]
    NotPermitted { principal: PrincipalName, action: Action, resource: Resource, why: Forbidden },
    #[error("there is no {0}")]
    NotFound(String),
    #[error("there is no key `{0}`")]
    UnknownKey(KeyName),
    #[error("there is no principal `{0}`")]
    UnknownPrincipal(PrincipalName),
    #[error("the {kind} name `{name}` is taken")]
    NameTaken { kind: &'static str, name: String },
    #[error("the idempotency key was used before with another request")]
    IdempotencyMismatch,
    #[error("{0}")]
    Conflict(String),
    #[error("key `{0}` is revoked")]
    KeyRevoked(KeyName),
    #[error("key `{0}` is retired")]
    KeyRetired(KeyName),
    #[error("{what} is over the limit of {limit} bytes")]
    TooLarge { what: &'static str, limit: u64 },
    #[error("scheme `{scheme}` does not fit a key of type `{key_type}`")]
    SchemeMismatch { scheme: Scheme, key_type: KeyType },
    #[error("a {got} digest was given, and scheme `{scheme}` signs {want} digests")]
    OtherHash { scheme: Scheme, want: HashAlg, got: HashAlg },
    #[error("a {alg} digest is {want} bytes, this one has {got}", want = alg.digest_len())]
    DigestLength { alg: HashAlg, got: usize },
    #[error("scheme `{0}` signs the message itself and takes no digest")]
    DigestNotSupported(Scheme),
    #[error("{got} bytes do not fit: this key signs at most {max} bytes without DigestInfo")]
    MessageTooLong { got: u64, max: u64 },
    #[error("{0}")]
    WeakKey(String),
    #[error("{0}")]
    KdfTooCostly(String),
    #[error("{0}")]
    WrongPassphrase(String),
    #[error("key `{0}` is not exportable")]
    NotExportable(KeyName),
    #[error("key `{key}` signs no format `{format}`")]
    FormatNotAllowed { key: KeyName, format: Format },
    #[error("format `{format}` is not signed with keys of type `{key_type}`")]
    FormatMismatch { format: Format, key_type: KeyType },
    #[error("a signature of format `{0}` is made of the content, not of its digest")]
    FormatTakesNoDigest(Format),
    #[error("{why}")]
    NotSignable { member: &'static str, why: String, hint: &'static str },
    #[error("nobody could change the policy afterwards")]
    LocksOut,
    #[error("{0}")]
    KeyHostUnavailable(String),
    #[error("{0}")]
    LogUnavailable(String),
    #[error("the publication log stopped: {0}")]
    PublicationStopped(#[from] Halt),
    #[error("the storage is not available: {0}")]
    StorageUnavailable(String),
    #[error("the {0} cannot grow: the disk is full")]
    StorageFull(&'static str),
    #[error("internal error: {0}")]
    Internal(String),
}

/// Why policy, or what stands beside it, forbids something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Forbidden {
    /// The policy says so.
    #[error(transparent)]
    Policy(#[from] Denial),
    /// Nobody can give a role that they do not have.
    #[error("the role `{0}` can be given only by who has it, or by an admin")]
    Role(countersign_model::Name),
    /// Nobody can act as somebody whom a rule lets do more than themselves, or forbids less.
    #[error("by rule `{0}` the other one may do what the caller may not: only an admin can do this")]
    Rule(countersign_model::Name),
    /// Nobody can disable somebody mightier, or revoke their credentials.
    #[error("the other one has the role `{0}` and the caller has not: only an admin can do this")]
    Mightier(countersign_model::Name),
    /// A token that narrows its principal's rights would widen itself by making another.
    #[error("a token that is limited to some actions or resources cannot make credentials or give roles")]
    Widening,
    /// A key of a surface, where the caller's way is another.
    #[error("the key belongs to the surface `{0}` and can be used through it only")]
    OwnedBy(Surface),
}

/// The stable name of a refusal: the last part of a problem's `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "listed with their meaning in docs/surfaces/native.md")]
pub enum Code {
    MalformedJson,
    InvalidRequest,
    InvalidName,
    MalformedKey,
    AmbiguousInput,
    NoCredentials,
    BadCredentials,
    NotPermitted,
    NotFound,
    UnknownKey,
    UnknownPrincipal,
    MethodNotAllowed,
    RequestTimeout,
    NameTaken,
    IdempotencyMismatch,
    Conflict,
    KeyRevoked,
    KeyRetired,
    TooLarge,
    UnsupportedMediaType,
    RateLimited,
    SchemeMismatch,
    DigestLength,
    DigestNotSupported,
    MessageTooLong,
    WeakKey,
    KdfTooCostly,
    WrongPassphrase,
    NotExportable,
    FormatNotAllowed,
    LocksOut,
    Internal,
    KeyHostUnavailable,
    LogUnavailable,
    StorageUnavailable,
    Overloaded,
    StorageFull,
}

impl Code {
    /// The text form, e.g. `unknown-key`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MalformedJson => "malformed-json",
            Self::InvalidRequest => "invalid-request",
            Self::InvalidName => "invalid-name",
            Self::MalformedKey => "malformed-key",
            Self::AmbiguousInput => "ambiguous-input",
            Self::NoCredentials => "no-credentials",
            Self::BadCredentials => "bad-credentials",
            Self::NotPermitted => "not-permitted",
            Self::NotFound => "not-found",
            Self::UnknownKey => "unknown-key",
            Self::UnknownPrincipal => "unknown-principal",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::RequestTimeout => "request-timeout",
            Self::NameTaken => "name-taken",
            Self::IdempotencyMismatch => "idempotency-mismatch",
            Self::Conflict => "conflict",
            Self::KeyRevoked => "key-revoked",
            Self::KeyRetired => "key-retired",
            Self::TooLarge => "too-large",
            Self::UnsupportedMediaType => "unsupported-media-type",
            Self::RateLimited => "rate-limited",
            Self::SchemeMismatch => "scheme-mismatch",
            Self::DigestLength => "digest-length",
            Self::DigestNotSupported => "digest-not-supported",
            Self::MessageTooLong => "message-too-long",
            Self::WeakKey => "weak-key",
            Self::KdfTooCostly => "kdf-too-costly",
            Self::WrongPassphrase => "wrong-passphrase",
            Self::NotExportable => "not-exportable",
            Self::FormatNotAllowed => "format-not-allowed",
            Self::LocksOut => "locks-out",
            Self::Internal => "internal",
            Self::KeyHostUnavailable => "key-host-unavailable",
            Self::LogUnavailable => "log-unavailable",
            Self::StorageUnavailable => "storage-unavailable",
            Self::Overloaded => "overloaded",
            Self::StorageFull => "storage-full",
        }
    }
}

impl Error {
    /// An `invalid-request` that names the member at fault.
    pub(crate) fn invalid(member: &'static str, why: impl Into<String>) -> Self {
        Self::InvalidRequest { member: Some(member), why: why.into() }
    }

    /// The stable name.
    pub fn code(&self) -> Code {
        match self {
            Self::InvalidRequest { .. } | Self::NotSignable { .. } => Code::InvalidRequest,
            Self::InvalidName(_) => Code::InvalidName,
            Self::MalformedKey(_) => Code::MalformedKey,
            Self::BadCredentials(_) => Code::BadCredentials,
            Self::NotPermitted { .. } => Code::NotPermitted,
            Self::NotFound(_) => Code::NotFound,
            Self::UnknownKey(_) => Code::UnknownKey,
            Self::UnknownPrincipal(_) => Code::UnknownPrincipal,
            Self::NameTaken { .. } => Code::NameTaken,
            Self::IdempotencyMismatch => Code::IdempotencyMismatch,
            Self::Conflict(_) => Code::Conflict,
            Self::KeyRevoked(_) => Code::KeyRevoked,
            Self::KeyRetired(_) => Code::KeyRetired,
            Self::TooLarge { .. } => Code::TooLarge,
            Self::SchemeMismatch { .. } | Self::OtherHash { .. } | Self::FormatMismatch { .. } => {
                Code::SchemeMismatch
            }
            Self::DigestLength { .. } => Code::DigestLength,
            Self::DigestNotSupported(_) | Self::FormatTakesNoDigest(_) => Code::DigestNotSupported,
            Self::MessageTooLong { .. } => Code::MessageTooLong,
            Self::WeakKey(_) => Code::WeakKey,
            Self::KdfTooCostly(_) => Code::KdfTooCostly,
            Self::WrongPassphrase(_) => Code::WrongPassphrase,
            Self::NotExportable(_) => Code::NotExportable,
            Self::FormatNotAllowed { .. } => Code::FormatNotAllowed,
            Self::LocksOut => Code::LocksOut,
            Self::KeyHostUnavailable(_) => Code::KeyHostUnavailable,
            Self::LogUnavailable(_) | Self::PublicationStopped(_) => Code::LogUnavailable,
            Self::StorageUnavailable(_) => Code::StorageUnavailable,
            Self::StorageFull(_) => Code::StorageFull,
            Self::Internal(_) => Code::Internal,
        }
    }

    /// The member of the request that is at fault, where there is one.
    pub fn member(&self) -> Option<&'static str> {
        match self {
            Self::InvalidRequest { member, .. } => *member,
            Self::NotSignable { member, .. } => Some(*member),
            _ => None,
        }
    }

    /// Seconds after which a retry may help; `None` if it cannot.
    pub fn retry_after(&self) -> Option<u32> {
        match self {
            Self::KeyHostUnavailable(_) | Self::LogUnavailable(_) | Self::StorageUnavailable(_) => Some(1),
            _ => None,
        }
    }

    /// One sentence that says what to do.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::InvalidRequest { .. } | Self::InvalidName(_) | Self::Internal(_) => return None,
            Self::MalformedKey(_) => {
                "give a private key in PEM: PKCS#8, PKCS#1 or SEC1; `openssl pkey` converts".into()
            }
            Self::BadCredentials(_) => {
                "ask whoever gave you the token for a new one: it may be wrong, expired or revoked".into()
            }
            Self::NotPermitted { action, why, .. } => match why {
                Forbidden::Policy(Denial::OwnedBy(surface)) | Forbidden::OwnedBy(surface) => {
                    format!("ask through the endpoints of `{surface}`")
                }
                Forbidden::Widening | Forbidden::Policy(Denial::Narrowed) => {
                    "use a token without these limits".into()
                }
                Forbidden::Role(_) | Forbidden::Rule(_) | Forbidden::Mightier(_) => "ask an admin".into(),
                _ => format!("an admin can allow `{action}` in a rule; `policy check` explains decisions"),
            },
            Self::NotFound(_) => "check the name; lists show what you may read".into(),
            Self::UnknownKey(_) => "`countersign key list` shows the keys that you may read".into(),
            Self::UnknownPrincipal(_) => "`countersign principal list` shows the principals".into(),
            Self::NameTaken { .. } => "choose another name: names are never used again".into(),
            Self::IdempotencyMismatch => "use a new idempotency key for a new request".into(),
            Self::Conflict(_) => "read the present state again, and repeat the change on it".into(),
            Self::KeyRevoked(_) => "use another key: a revocation is not to be undone".into(),
            Self::KeyRetired(_) => "use the key that took its place: a retired key verifies only".into(),
            Self::TooLarge { .. } => "send the digest instead of the content".into(),
            Self::SchemeMismatch { .. } | Self::OtherHash { .. } => {
                "the key's document lists its `schemes`; leave `scheme` out for the default".into()
            }
            Self::DigestLength { .. } => "give all bytes of the digest in hex".into(),
            Self::DigestNotSupported(_) => "send the message".into(),
            Self::MessageTooLong { .. } => "use a scheme with a hash, such as `rsa-pkcs1-sha256`".into(),
            Self::WeakKey(_) => "make a key of at least 2048 bits with exponent 65537".into(),
            Self::KdfTooCostly(_) => {
                "encrypt the key again with fewer iterations, e.g. `openssl pkcs8 -topk8`".into()
            }
            Self::WrongPassphrase(_) => "check the passphrase".into(),
            Self::NotExportable(_) => "whether a key can be exported is decided when it is made".into(),
            Self::FormatNotAllowed { .. } => "the key's document lists its `formats`".into(),
            Self::FormatMismatch { .. } => "use an RSA key: every format takes `rsa-2048`".into(),
            Self::FormatTakesNoDigest(_) => {
                "send the content, or stream it as `application/octet-stream`".into()
            }
            Self::NotSignable { hint, .. } => (*hint).into(),
            Self::LocksOut => {
                "let another enabled principal have `policy:write` on `policy` before, and keep a rule for it"
                    .into()
            }
            Self::KeyHostUnavailable(_) => {
                "retry: nothing was signed unless the request id is found in the log".into()
            }
            Self::LogUnavailable(_) => {
                "signing stopped, reading goes on; an operator must look at the log's disk".into()
            }
            Self::PublicationStopped(halt) => halt.hint().into(),
            Self::StorageUnavailable(_) => "retry: nothing was kept".into(),
            Self::StorageFull(_) => "an operator must make room on the disk".into(),
        })
    }
}

impl From<DigestError> for Error {
    fn from(error: DigestError) -> Self {
        match error {
            DigestError::Length { alg, got } => Self::DigestLength { alg, got },
            DigestError::Malformed => Self::invalid("digest", error.to_string()),
        }
    }
}

/// Refusals that name no key.
impl From<HostError> for Error {
    fn from(error: HostError) -> Self {
        match error {
            HostError::SchemeMismatch { scheme, key_type } => Self::SchemeMismatch { scheme, key_type },
            HostError::MessageTooLong { got, max } => Self::MessageTooLong { got, max },
            HostError::MalformedKey(why) => Self::MalformedKey(why),
            HostError::WeakKey(why) => Self::WeakKey(why),
            HostError::WrongPassphrase(why) => Self::WrongPassphrase(why),
            HostError::KdfTooCostly(why) => Self::KdfTooCostly(why),
            HostError::LogFull => Self::StorageFull("signing log"),
            HostError::Log(_) | HostError::LogRolledBack(_) => Self::LogUnavailable(error.to_string()),
            HostError::Unavailable | HostError::Locked | HostError::Seal(_) => {
                Self::KeyHostUnavailable(error.to_string())
            }
            // What is left is a fault of ours or of the machine: the front checks before it asks.
            other => Self::Internal(other.to_string()),
        }
    }
}

impl Error {
    /// A refusal by the key host of a request for `key`.
    pub(crate) fn of_host(error: HostError, key: &KeyName) -> Self {
        match error {
            HostError::NotExportable => Self::NotExportable(key.clone()),
            HostError::FormatNotAllowed(format) => Self::FormatNotAllowed { key: key.clone(), format },
            HostError::BadBlob => Self::Internal(format!("key `{key}`: {error}")),
            other => other.into(),
        }
    }
}

impl From<FilesError> for Error {
    fn from(error: FilesError) -> Self {
        match error {
            FilesError::Full { .. } => Self::StorageFull("place of published files"),
            FilesError::Unavailable { .. } => {
                // Which bucket or directory it is, is for the operator.
                tracing::warn!(%error, "published files are not available");
                Self::StorageUnavailable("the place of published files does not answer".into())
            }
            other => Self::Internal(other.to_string()),
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full { .. } => Self::StorageFull("database"),
            StoreError::Unavailable { .. } => Self::StorageUnavailable("the database does not answer".into()),
            // Whoever has the work now goes on with it.
            StoreError::Conflict { .. } | StoreError::LeaseLost { .. } => Self::Conflict(error.to_string()),
            other => Self::Internal(other.to_string()),
        }
    }
}
