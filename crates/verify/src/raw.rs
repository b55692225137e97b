//! Bare signatures.

use countersign_model::public_key::VerifyError;
use countersign_model::{Encoding, KeyType, PublicKey, RawSignature, Scheme, ToSign};

/// Why a bare signature does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RawError {
    /// The scheme is not one of the key's.
    #[error("scheme `{scheme}` does not fit a key of type `{key_type}`")]
    SchemeMismatch {
        /// The scheme that was named.
        scheme: Scheme,
        /// The key's type.
        key_type: KeyType,
    },
    /// A digest of another hash than the scheme's, or a digest where the scheme signs the message.
    #[error("scheme `{scheme}` does not sign what was given")]
    Unsuitable {
        /// The scheme that was named.
        scheme: Scheme,
    },
    /// RSA below 2048 bits.
    #[error("a key of type `{key_type}` is too weak to be believed")]
    WeakKey {
        /// The key's type.
        key_type: KeyType,
    },
    /// An ECDSA signature that is not in the encoding that was named.
    #[error("not an ECDSA signature in the form {}", match .encoding { Encoding::Der => "DER", Encoding::Raw => "r‖s" })]
    Encoding {
        /// The encoding that was named.
        encoding: Encoding,
    },
    /// The mathematics say no.
    #[error("the signature is not valid for this key and content")]
    Invalid,
}

impl RawError {
    /// One sentence for the person who reads the terminal or the log.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::SchemeMismatch { .. } => "name the scheme that the key signed with",
            Self::Unsuitable { .. } => "give a digest of the scheme's hash, or the message itself",
            Self::WeakKey { .. } => "RSA keys have at least 2048 bits: ask for a signature by a stronger key",
            Self::Encoding { .. } => "`openssl` writes DER, JOSE and WebCrypto write r‖s",
            Self::Invalid => "the content was changed, or another key or scheme signed it: do not trust it",
        }
    }
}

/// Checks a bare signature.
///
/// - `content`: the message or its digest, as [`ToSign::of_message`] makes it for `scheme`.
/// - `signature`: RSA as long as the modulus, Ed25519 64 bytes, ECDSA in `encoding`.
///
/// # Errors
/// [`RawError`]; only [`RawError::Invalid`] and [`RawError::Encoding`] are about the signature, the others say
/// that it was not looked at.
pub fn verify(
    key: &PublicKey,
    scheme: Scheme,
    content: &ToSign,
    signature: &[u8],
    encoding: Encoding,
) -> Result<(), RawError> {
    if key.is_weak() {
        return Err(RawError::WeakKey { key_type: key.key_type() });
    }
    let verifier = key.verifier(scheme).map_err(of_model)?;
    if !content.suits(scheme) {
        return Err(RawError::Unsuitable { scheme });
    }
    let width = key.key_type().ecdsa_width();
    let signature =
        RawSignature::decode(signature, width, encoding).map_err(|_| RawError::Encoding { encoding })?;
    verifier.verify(content, &signature).map_err(of_model)
}

fn of_model(error: VerifyError) -> RawError {
    match error {
        VerifyError::SchemeMismatch(scheme, key_type) => RawError::SchemeMismatch { scheme, key_type },
        VerifyError::Unsuitable(scheme) => RawError::Unsuitable { scheme },
        VerifyError::Invalid => RawError::Invalid,
    }
}
