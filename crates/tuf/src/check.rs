//! What a repository accepts from the people who run it. Clients are more lenient: see [`crate::client`].
//!
//! - [`root`]: a new root, signatures for it, and what takes the place of a pending one.
//! - [`delegation`]: custom delegated roles.
//! - [`artifact`]: a target file.
//!
//! The texts of refusals are what RSTUF's command line shows, where RSTUF has the same refusal.

pub mod artifact;
pub mod delegation;
pub mod root;

use self::artifact::MAX_PATH;
use crate::expires::MAX_DAYS;
use crate::key::KeyError;
use crate::metadata::MetadataError;
use crate::root::{Keys, Role};
use crate::shape::Members;

/// The longest file that a client takes for a root, in bytes (python-tuf's default).
pub const MAX_ROOT: usize = 512_000;
/// The longest file that a client takes for a targets role, in bytes (python-tuf's default).
pub const MAX_TARGETS: usize = 5_000_000;
/// The longest file that a client takes for a snapshot, in bytes (python-tuf's default).
pub const MAX_SNAPSHOT: usize = 2_000_000;

/// Why metadata or a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Not metadata.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// Nobody has signed.
    #[error("Metadata requires at least one valid signature")]
    NoSignature,
    /// The first root has a signature that does not verify, or by a key that may not sign it.
    #[error("Bootstrap has invalid signature(s)")]
    BootstrapSignature,
    /// Later metadata has one.
    #[error("Metadata has invalid signature(s)")]
    MetadataSignature,
    /// A single signature does not verify, or is by a key that may not sign.
    #[error("Invalid signature")]
    Signature,
    /// Not the next version.
    #[error("Failed to verify the trust: Expected root version {wanted} instead got version {got}")]
    Version {
        /// The next version.
        wanted: u64,
        /// What it is.
        got: u64,
    },
    /// The content is what is pending already.
    #[error("Metadata cannot be patched - new metadata same as the old one")]
    Same,
    /// The content was taken back in this round of signing.
    #[error("Metadata cannot be patched - this metadata was withdrawn")]
    Withdrawn,
    /// It expires before it is published.
    #[error("The metadata has expired: it expires at {expires}")]
    Expired {
        /// When.
        expires: String,
    },
    /// Clients want three parts.
    #[error("`spec_version` must have three parts, such as 1.0.31")]
    SpecVersion,
    /// Files are served under names with their version only.
    #[error("`consistent_snapshot` must be true")]
    ConsistentSnapshot,
    /// A role of root that is none.
    #[error("Root has a role `{0}`, which clients refuse")]
    ForeignRole(String),
    /// A member that is neither of the specification nor an extension.
    #[error("`{0}` is not a member of TUF metadata; an extension is called x-VENDOR-NAME")]
    ForeignMember(String),
    /// More signatures than keys.
    #[error("Role `{role}` needs {threshold} signatures but has {keys} keys")]
    Threshold {
        /// The role.
        role: String,
        /// How many must sign.
        threshold: u64,
        /// How many can.
        keys: usize,
    },
    /// A role names a key that is not there.
    #[error("Role `{role}` names the key `{keyid}`, which is not among the keys")]
    MissingKey {
        /// The role.
        role: String,
        /// The key's id.
        keyid: String,
    },
    /// A key that could never count.
    #[error("The key `{keyid}` of role `{role}` cannot be used: {source}")]
    UnusableKey {
        /// The role.
        role: String,
        /// The key's id.
        keyid: String,
        /// What is wrong.
        source: KeyError,
    },
    /// One public key under two ids: its owner would count twice.
    #[error("The keys `{first}` and `{second}` of role `{role}` are the same public key")]
    SameKey {
        /// The role.
        role: String,
        /// One id.
        first: String,
        /// The other id.
        second: String,
    },
    /// An id that means another key in the trusted root.
    #[error("The key id `{0}` names another key in the trusted root")]
    ReusedKeyId(String),
    /// An online role names a key that the server does not have.
    #[error("The key `{keyid}` of role `{role}` is not an online key of this server")]
    UnknownOnlineKey {
        /// The role.
        role: String,
        /// The key's id.
        keyid: String,
    },
    /// Clients would not download it.
    #[error("Role `{role}` would be {bytes} bytes long; clients take {limit}")]
    TooLarge {
        /// The role.
        role: String,
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
    /// More than anybody needs, and each takes time.
    #[error("Role `{of}` would have {count} {what}; {limit} are the most")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The role.
        of: String,
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The id of the online key is that of another key.
    #[error("The id `{0}` names the online key and another key")]
    KeyId(String),
    /// A role's name that is not one.
    #[error("`{0}` cannot be a role's name: letters, digits, `_` and `-`, not beginning with a digit")]
    RoleName(String),
    /// A role without paths, or with one that is none.
    #[error("Role `{0}` has no paths, or an empty one, or one of more than {MAX_PATH} bytes")]
    Paths(String),
    /// A lifetime that is none.
    #[error("The expiration of role `{role}` must be from 1 to {MAX_DAYS} days")]
    Days {
        /// The role.
        role: String,
    },
}

impl Refusal {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Version { .. } => "begin with the root that is in force, and count its version up by one",
            Self::Same => "more signatures for the same content go through `POST metadata/sign`",
            Self::Withdrawn => "stop the signing and start it anew to bring withdrawn metadata back",
            Self::NoSignature | Self::BootstrapSignature | Self::MetadataSignature | Self::Signature => {
                "sign the canonical form of exactly this content, with a root key of the old or the new root"
            }
            Self::Expired { .. } => "set `expires` to a time that leaves enough for everyone to sign",
            Self::Threshold { .. } => "add keys or lower the threshold",
            Self::SameKey { .. } => "give each person a key of their own",
            Self::UnknownOnlineKey { .. } => "`GET keys/online` lists the server's keys",
            Self::UnusableKey { source, .. } => source.hint(),
            Self::TooLarge { .. } => "use more bins, or more delegated roles",
            _ => "correct the metadata and send it again",
        }
    }
}

/// Whether a role may live for `days`.
///
/// # Errors
/// [`Refusal::Days`].
pub fn days(role: &str, days: i64) -> Result<u32, Refusal> {
    let valid = u32::try_from(days).ok().filter(|days| (1..=MAX_DAYS).contains(days));
    valid.ok_or_else(|| Refusal::Days { role: shown(role) })
}

/// Whether clients take a targets role of so many bytes.
///
/// # Errors
/// [`Refusal::TooLarge`].
pub fn size(role: &str, bytes: usize, limit: usize) -> Result<(), Refusal> {
    if bytes <= limit { Ok(()) } else { Err(Refusal::TooLarge { role: shown(role), bytes, limit }) }
}

/// Whether every member of `signed` is one of `known` or an extension, `x-VENDOR-NAME`.
///
/// # Errors
/// [`Refusal::ForeignMember`].
pub fn members(signed: &Members, known: &[&str]) -> Result<(), Refusal> {
    let is_extension = |name: &str| {
        let parts = name.strip_prefix("x-").and_then(|rest| rest.split_once('-'));
        parts.is_some_and(|(vendor, name)| !vendor.is_empty() && !name.is_empty())
    };
    match signed.keys().find(|name| !known.contains(&name.as_str()) && !is_extension(name)) {
        None => Ok(()),
        Some(name) => Err(Refusal::ForeignMember(shown(name))),
    }
}

/// Whether a role's keys are there, can be used, differ, and are enough.
fn keys_of(name: &str, role: &Role, keys: &Keys) -> Result<(), Refusal> {
    let mut seen = std::collections::BTreeMap::new();
    for keyid in &role.keyids {
        let Some(key) = keys.get(keyid) else {
            return Err(Refusal::MissingKey { role: shown(name), keyid: shown(keyid) });
        };
        if let Err(source) = key.usable() {
            return Err(Refusal::UnusableKey { role: shown(name), keyid: shown(keyid), source });
        }
        if let Some(first) = seen.insert(key.public_value(), keyid) {
            return Err(Refusal::SameKey { role: shown(name), first: shown(first), second: shown(keyid) });
        }
    }
    if role.threshold > seen.len() as u64 {
        let (threshold, keys) = (role.threshold, seen.len());
        return Err(Refusal::Threshold { role: shown(name), threshold, keys });
    }
    Ok(())
}

/// A name for a message: not all of a long one, and no control characters.
fn shown(name: &str) -> String {
    name.chars().take(80).flat_map(char::escape_debug).collect()
}
