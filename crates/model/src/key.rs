//! The key backend: what holds private keys.

use crate::name::KeyName;
use crate::public_key::PublicKey;
use crate::scheme::{KeyType, Scheme};
use crate::signing::{RawSignature, ToSign};

/// Holds one private key and signs with it; never gives it out.
///
/// A backend does not know what a tag or a TUF role is: framing happens above it. Blocking.
pub trait PrivateKey: Send + Sync {
    /// The public half.
    fn public(&self) -> &PublicKey;

    /// Signs `to_sign` and returns the bare signature.
    ///
    /// # Errors
    /// [`KeyError::SchemeMismatch`] if `scheme` does not fit the key or `to_sign` does not suit it;
    /// never signs in that case. [`KeyError::MessageTooLong`] for `rsa-pkcs1-raw` beyond the
    /// modulus less 11 bytes.
    fn sign(&self, scheme: Scheme, to_sign: &ToSign) -> Result<RawSignature, KeyError>;
}

/// Why a key could not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The scheme is not one of the key's.
    #[error("scheme `{scheme}` does not fit a key of type `{key_type}`")]
    SchemeMismatch {
        /// The scheme asked for.
        scheme: Scheme,
        /// The key's type.
        key_type: KeyType,
    },
    /// What was to be signed is a digest of another hash, or a digest where a message is needed.
    #[error("scheme `{scheme}` cannot sign what was given: {why}")]
    Unsuitable {
        /// The scheme asked for.
        scheme: Scheme,
        /// In words.
        why: &'static str,
    },
    /// More bytes than the padding leaves room for.
    #[error("{got} bytes do not fit: this key signs at most {max} bytes without DigestInfo")]
    MessageTooLong {
        /// Bytes given.
        got: usize,
        /// Modulus length less 11.
        max: usize,
    },
    /// The key's owner or formats, sealed with it, do not allow this.
    #[error("key `{key}` may not sign {what}")]
    NotFor {
        /// The key.
        key: KeyName,
        /// What was asked.
        what: String,
    },
    /// The backend failed; nothing was released.
    #[error("the key backend failed: {0}")]
    Backend(String),
}
