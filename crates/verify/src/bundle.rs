//! Bundles of authorities, checked offline.
//!
//! Needed are the bundle, the public half of the root key, the time, and the highest version seen before.

use countersign_model::{KeyId, PublicKey, ToSign, time};
use countersign_records::authorities::{Bundle, root_scheme};
use jiff::Timestamp;

use crate::raw;

pub use countersign_records::authorities::{Content, MalformedBundle, Revocation};

/// Whether a bundle counts after its time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expired {
    /// It does not.
    #[default]
    Refuse,
    /// It does, for who cannot get a newer one; revocations since then are not in it.
    Allow,
}

/// Why a bundle is not believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// It is not one.
    #[error(transparent)]
    Malformed(#[from] MalformedBundle),
    /// No signature by the root key.
    #[error("key bundle is not signed by the root key `{root}`")]
    NotSigned {
        /// The root key.
        root: KeyId,
    },
    /// A signature in the name of the root key that does not hold.
    #[error("invalid signature by the root key `{root}` of the key bundle")]
    InvalidSignature {
        /// The root key.
        root: KeyId,
    },
    /// It was good up to an earlier time.
    #[error("key bundle expired {}", time::seconds(*.expires))]
    Expired {
        /// Its last second.
        expires: Timestamp,
    },
    /// It is older than one that was seen before.
    #[error("key bundle has version {version}, but version {seen} was seen before")]
    Older {
        /// Its version.
        version: u64,
        /// The highest version that was seen.
        seen: u64,
    },
}

impl BundleError {
    /// One sentence for the person who reads the terminal.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Malformed(error) => error.hint(),
            Self::NotSigned { .. } => "is it the root key of this service? see `GET /authorities/bundle.pub`",
            Self::InvalidSignature { .. } => "the bundle was changed after signing: do not trust it",
            Self::Expired { .. } => {
                "fetch a new one: `GET /authorities/bundle`; what was revoked since is not in this one"
            }
            Self::Older { .. } => {
                "somebody may be hiding a revocation: fetch a new one, `GET /authorities/bundle`"
            }
        }
    }
}

/// Checks a bundle and returns what it says.
///
/// - `root`: the public half of the root key: Ed25519, RSA or ECDSA.
/// - `at`: now.
/// - `seen`: the highest version that this reader has accepted before.
///
/// # Errors
/// [`BundleError`]; what is said about a bundle's content is said after its signature was found good.
pub fn verify(
    bundle: &[u8],
    root: &PublicKey,
    at: Timestamp,
    seen: Option<u64>,
    expired: Expired,
) -> Result<Content, BundleError> {
    let bundle = Bundle::parse(bundle)?;
    check_signature(&bundle, root)?;
    let content = bundle.into_content();
    if let Some(seen) = seen.filter(|seen| content.version < *seen) {
        return Err(BundleError::Older { version: content.version, seen });
    }
    if expired == Expired::Refuse && is_expired(&content, at) {
        return Err(BundleError::Expired { expires: content.expires });
    }
    Ok(content)
}

/// Whether a bundle's last second is over: worth a warning where [`Expired::Allow`] let it through.
pub fn is_expired(content: &Content, at: Timestamp) -> bool {
    at.as_second() > content.expires.as_second()
}

fn check_signature(bundle: &Bundle, root: &PublicKey) -> Result<(), BundleError> {
    let id = root.id();
    let scheme = root_scheme(root.key_type());
    let content = ToSign::of_message(scheme, bundle.signed_bytes());
    let mut named = bundle.signatures().filter(|(key, _)| **key == id).peekable();
    if named.peek().is_none() {
        return Err(BundleError::NotSigned { root: id });
    }
    let holds = |signature| raw::verify(root, scheme, &content, signature, Default::default()).is_ok();
    if named.any(|(_, signature)| holds(signature)) {
        Ok(())
    } else {
        Err(BundleError::InvalidSignature { root: id })
    }
}
