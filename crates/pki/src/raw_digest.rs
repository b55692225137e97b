//! Digests signed bare: EMSA-PKCS1-v1_5 padding of the 32 bytes themselves, without the DigestInfo that says
//! which hash made them.
//!
//! ```text
//! 00 01 FF … FF 00 ‖ digest     raised to the private exponent; as long as the modulus
//! ```
//!
//! What `openssl pkeyutl -sign -inkey KEY` makes of 32 bytes when it is not told a digest, and
//! `openssl pkeyutl -verify` without a digest checks. `openssl dgst -verify` refuses it.

use countersign_model::{KeyType, PublicKey, RawSignature, Scheme, ToSign};

use crate::algorithm::{self, SignatureLength};

/// Why a digest cannot be signed, or a signature is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RawDigestError {
    /// Not an RSA key.
    #[error("bare digests are signed with RSA keys, not with keys of type `{0}`")]
    Key(KeyType),
    /// The answer of the key is no signature of its type.
    #[error(transparent)]
    SignatureLength(#[from] SignatureLength),
    /// The mathematics say no.
    #[error("the signature is not valid for this key and digest")]
    Invalid,
}

impl RawDigestError {
    /// One sentence for the person who reads the terminal or the log.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Key(_) => "use an RSA key",
            Self::SignatureLength(_) => "the key is not the one that was prepared for",
            Self::Invalid => "another key or digest, or a signature that names its hash",
        }
    }
}

/// What [`finish`](Self::finish) will need when the signature is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    key_type: KeyType,
}

/// Prepares a SHA-256 digest to be signed by the private half of `key`.
///
/// # Errors
/// [`RawDigestError::Key`] unless it is an RSA key.
pub fn prepare(digest: [u8; 32], key: &PublicKey) -> Result<(ToSign, Pending), RawDigestError> {
    let key_type = rsa(key)?;
    Ok((ToSign::Message(digest.to_vec()), Pending { key_type }))
}

impl Pending {
    /// The scheme that the key signs with.
    pub fn scheme(&self) -> Scheme {
        Scheme::RsaPkcs1Raw
    }

    /// The signature, as long as the modulus. Does not check it: see [`verify`].
    ///
    /// # Errors
    /// [`RawDigestError::SignatureLength`] if `raw` is not as long as the modulus.
    pub fn finish(self, raw: RawSignature) -> Result<Vec<u8>, RawDigestError> {
        Ok(algorithm::encode(&raw, Scheme::RsaPkcs1Raw, self.key_type)?)
    }
}

/// Checks a signature that [`Pending::finish`] made.
///
/// # Errors
/// [`RawDigestError::Key`], [`RawDigestError::Invalid`].
pub fn verify(signature: &[u8], digest: [u8; 32], key: &PublicKey) -> Result<(), RawDigestError> {
    rsa(key)?;
    key.verify(Scheme::RsaPkcs1Raw, &ToSign::Message(digest.to_vec()), &RawSignature(signature.to_vec()))
        .map_err(|_| RawDigestError::Invalid)
}

fn rsa(key: &PublicKey) -> Result<KeyType, RawDigestError> {
    match key.key_type() {
        rsa @ KeyType::Rsa(_) => Ok(rsa),
        other => Err(RawDigestError::Key(other)),
    }
}
