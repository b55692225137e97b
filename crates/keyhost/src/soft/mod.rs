//! Keys in memory, through the same library that verifies: AWS-LC.

mod export;
mod import;
mod unprefixed;

use std::sync::OnceLock;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P256K1_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
    RsaEncoding, RsaKeyPair,
};
use countersign_model::key::{KeyError, PrivateKey};
use countersign_model::public_key::{backend_digest, ecdsa_digest};
use countersign_model::{HashAlg, KeyType, PublicKey, RawSignature, Scheme, ToSign};
use zeroize::Zeroizing;

pub use export::{ExportError, to_encrypted_pem};
pub(crate) use import::RsaPrivateKey;
pub use import::{ImportError, from_pem};
use unprefixed::UnprefixedRsa;

/// A private key in this process's memory.
pub struct SoftKey {
    inner: Inner,
    public: PublicKey,
    /// Made at the first unprefixed signature: hardly any key makes one.
    unprefixed: OnceLock<Option<UnprefixedRsa>>,
}

enum Inner {
    Rsa(Box<RsaKeyPair>),
    Ecdsa(Box<EcdsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
}

impl SoftKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// [`KeyError::Backend`] if the type is not one that keys are made with, or the library fails.
    pub fn generate(key_type: KeyType) -> Result<Self, KeyError> {
        let failed = |_| KeyError::Backend("the library could not make a key".into());
        let inner = match key_type {
            KeyType::Rsa(bits) => {
                let size = match bits {
                    2048 => KeySize::Rsa2048,
                    3072 => KeySize::Rsa3072,
                    4096 => KeySize::Rsa4096,
                    _ => return Err(KeyError::Backend(format!("no keys of type `{key_type}` are made"))),
                };
                Inner::Rsa(Box::new(RsaKeyPair::generate(size).map_err(failed)?))
            }
            KeyType::Ed25519 => Inner::Ed25519(Box::new(Ed25519KeyPair::generate().map_err(failed)?)),
            KeyType::P256 | KeyType::P384 | KeyType::P521 | KeyType::Secp256k1 => {
                let algorithm = ecdsa_algorithm(key_type).expect("these four are curves");
                Inner::Ecdsa(Box::new(EcdsaKeyPair::generate(algorithm).map_err(failed)?))
            }
        };
        Self::of(inner)
    }

    /// Reads a private key from a PEM text: PKCS#8, encrypted PKCS#8, PKCS#1 or SEC1.
    ///
    /// # Errors
    /// [`ImportError`].
    pub fn from_pem(pem: &str, passphrase: Option<&[u8]>) -> Result<Self, ImportError> {
        from_pem(pem, passphrase)
    }

    /// Reads PKCS#8 (RFC 5208) of a key of `key_type`.
    ///
    /// # Errors
    /// [`KeyError::Backend`] if it is not that.
    pub fn from_pkcs8(key_type: KeyType, der: &[u8]) -> Result<Self, KeyError> {
        let rejected = |e: aws_lc_rs::error::KeyRejected| KeyError::Backend(format!("key rejected: {e}"));
        let inner = match key_type {
            KeyType::Rsa(_) => Inner::Rsa(Box::new(RsaKeyPair::from_pkcs8(der).map_err(rejected)?)),
            KeyType::Ed25519 => {
                Inner::Ed25519(Box::new(Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(rejected)?))
            }
            KeyType::P256 | KeyType::P384 | KeyType::P521 | KeyType::Secp256k1 => {
                let algorithm = ecdsa_algorithm(key_type).expect("these four are curves");
                Inner::Ecdsa(Box::new(EcdsaKeyPair::from_pkcs8(algorithm, der).map_err(rejected)?))
            }
        };
        Self::of(inner)
    }

    fn of(inner: Inner) -> Result<Self, KeyError> {
        let public = match &inner {
            Inner::Rsa(key) => PublicKey::from_rsa_public_key(key.public_key().as_ref()),
            Inner::Ecdsa(key) => {
                let point = key.public_key().as_ref();
                let key_type = ecdsa_type(key.algorithm());
                PublicKey::from_point(key_type, point)
            }
            Inner::Ed25519(key) => {
                let bytes = key.public_key().as_ref();
                bytes
                    .try_into()
                    .map_err(|_| countersign_model::public_key::PublicKeyError::Der)
                    .and_then(PublicKey::from_ed25519)
            }
        };
        let public = public.map_err(|e| KeyError::Backend(format!("the key's public half: {e}")))?;
        Ok(Self { inner, public, unprefixed: OnceLock::new() })
    }

    /// The key as PKCS#8 DER, for sealing.
    ///
    /// # Errors
    /// [`KeyError::Backend`] if the library cannot write it.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let failed = |_| KeyError::Backend("the library could not write the key".into());
        Ok(Zeroizing::new(match &self.inner {
            Inner::Rsa(key) => {
                AsDer::<Pkcs8V1Der<'_>>::as_der(key.as_ref()).map_err(failed)?.as_ref().to_vec()
            }
            Inner::Ecdsa(key) => key.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
            Inner::Ed25519(key) => key.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
        }))
    }

    fn sign_unprefixed(&self, message: &[u8]) -> Result<RawSignature, KeyError> {
        let Inner::Rsa(key) = &self.inner else {
            return Err(self.mismatch(Scheme::RsaPkcs1Raw));
        };
        let max = key.public_modulus_len() - 11;
        if message.len() > max {
            return Err(KeyError::MessageTooLong { got: message.len(), max });
        }
        let raw = self.unprefixed.get_or_init(|| UnprefixedRsa::from_pkcs8(&self.to_pkcs8().ok()?));
        raw.as_ref()
            .and_then(|raw| raw.sign(message))
            .map(RawSignature)
            .ok_or_else(|| KeyError::Backend("the unprefixed RSA operation failed".into()))
    }

    fn mismatch(&self, scheme: Scheme) -> KeyError {
        KeyError::SchemeMismatch { scheme, key_type: self.public.key_type() }
    }
}

impl PrivateKey for SoftKey {
    fn public(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, scheme: Scheme, to_sign: &ToSign) -> Result<RawSignature, KeyError> {
        if !scheme.fits(self.public.key_type()) {
            return Err(self.mismatch(scheme));
        }
        let failed = |_| KeyError::Backend(format!("the library refused to sign with `{scheme}`"));
        let unsuitable = |why| KeyError::Unsuitable { scheme, why };
        match (to_sign, scheme, &self.inner) {
            (ToSign::Message(message), Scheme::RsaPkcs1Raw, _) => self.sign_unprefixed(message),
            (ToSign::Message(message), Scheme::Ed25519, Inner::Ed25519(key)) => {
                Ok(RawSignature(key.try_sign(message).map_err(failed)?.as_ref().to_vec()))
            }
            (ToSign::Message(_), _, _) => Err(unsuitable("it takes a digest")),
            (ToSign::Digest(_), Scheme::Ed25519 | Scheme::RsaPkcs1Raw, _) => {
                Err(unsuitable("it takes the message, not a digest"))
            }
            (ToSign::Digest(digest), _, _) if scheme.hash() != Some(digest.alg()) => {
                Err(unsuitable("the digest is of another hash"))
            }
            (ToSign::Digest(digest), _, Inner::Rsa(key)) => {
                let encoding = rsa_encoding(scheme).ok_or_else(|| self.mismatch(scheme))?;
                let digest = backend_digest(digest.alg(), digest.as_bytes())
                    .ok_or_else(|| unsuitable("the digest has the wrong length"))?;
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign_digest(encoding, &digest, &mut signature).map_err(failed)?;
                Ok(RawSignature(signature))
            }
            (ToSign::Digest(digest), _, Inner::Ecdsa(key)) => {
                let digest = ecdsa_digest(self.public.key_type(), digest)
                    .ok_or_else(|| unsuitable("the digest has the wrong length"))?;
                Ok(RawSignature(key.sign_digest(&digest).map_err(failed)?.as_ref().to_vec()))
            }
            (ToSign::Digest(_), _, Inner::Ed25519(_)) => Err(self.mismatch(scheme)),
        }
    }
}

fn rsa_encoding(scheme: Scheme) -> Option<&'static dyn RsaEncoding> {
    Some(match scheme {
        Scheme::RsaPkcs1(HashAlg::Sha256) => &RSA_PKCS1_SHA256,
        Scheme::RsaPkcs1(HashAlg::Sha384) => &RSA_PKCS1_SHA384,
        Scheme::RsaPkcs1(HashAlg::Sha512) => &RSA_PKCS1_SHA512,
        Scheme::RsaPss(HashAlg::Sha256) => &RSA_PSS_SHA256,
        Scheme::RsaPss(HashAlg::Sha384) => &RSA_PSS_SHA384,
        Scheme::RsaPss(HashAlg::Sha512) => &RSA_PSS_SHA512,
        Scheme::RsaPkcs1Raw | Scheme::Ecdsa(_) | Scheme::Ed25519 => return None,
    })
}

fn ecdsa_algorithm(key_type: KeyType) -> Option<&'static EcdsaSigningAlgorithm> {
    Some(match key_type {
        KeyType::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
        KeyType::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
        KeyType::P521 => &ECDSA_P521_SHA512_FIXED_SIGNING,
        KeyType::Secp256k1 => &ECDSA_P256K1_SHA256_FIXED_SIGNING,
        KeyType::Rsa(_) | KeyType::Ed25519 => return None,
    })
}

fn ecdsa_type(algorithm: &'static EcdsaSigningAlgorithm) -> KeyType {
    [KeyType::P384, KeyType::P521, KeyType::Secp256k1]
        .into_iter()
        .find(|t| ecdsa_algorithm(*t) == Some(algorithm))
        .unwrap_or(KeyType::P256)
}

/// `N` bytes from the operating system's generator.
///
/// # Errors
/// [`KeyError::Backend`] if there are none to be had.
pub fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, KeyError> {
    use aws_lc_rs::rand::SecureRandom as _;
    let mut bytes = Zeroizing::new([0; N]);
    SystemRandom::new()
        .fill(bytes.as_mut_slice())
        .map_err(|_| KeyError::Backend("no random bytes to be had".into()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_of_every_type_signs_and_verifies_and_survives_pkcs8() {
        for key_type in [KeyType::Rsa(2048), KeyType::P256, KeyType::P384, KeyType::P521, KeyType::Ed25519] {
            let made = SoftKey::generate(key_type).unwrap();
            let key = SoftKey::from_pkcs8(key_type, &made.to_pkcs8().unwrap()).unwrap();
            assert_eq!(key.public(), made.public());
            for scheme in key_type.schemes() {
                let to_sign = ToSign::of_message(scheme, b"message");
                let signature = key.sign(scheme, &to_sign).unwrap();
                key.public().verify(scheme, &to_sign, &signature).unwrap();
                let other = ToSign::of_message(scheme, b"messagf");
                assert!(key.public().verify(scheme, &other, &signature).is_err(), "{scheme}");
                let mut broken = signature.clone();
                broken.0[10] ^= 1;
                assert!(key.public().verify(scheme, &to_sign, &broken).is_err(), "{scheme}");
            }
        }
    }

    #[test]
    fn a_scheme_that_does_not_fit_never_signs() {
        let key = SoftKey::generate(KeyType::P256).unwrap();
        let to_sign = ToSign::of_message(Scheme::Ed25519, b"x");
        let error = key.sign(Scheme::Ed25519, &to_sign).unwrap_err();
        assert!(matches!(error, KeyError::SchemeMismatch { .. }));
        let digest = ToSign::of_message(Scheme::Ecdsa(HashAlg::Sha384), b"x");
        let error = key.sign(Scheme::Ecdsa(HashAlg::Sha256), &digest).unwrap_err();
        assert!(matches!(error, KeyError::Unsuitable { .. }));
    }

    #[test]
    fn an_unprefixed_message_may_fill_the_modulus_less_eleven() {
        let key = SoftKey::generate(KeyType::Rsa(2048)).unwrap();
        let scheme = Scheme::RsaPkcs1Raw;
        for length in [0, 1, 245] {
            let to_sign = ToSign::Message(vec![7; length]);
            let signature = key.sign(scheme, &to_sign).unwrap();
            key.public().verify(scheme, &to_sign, &signature).unwrap();
        }
        let error = key.sign(scheme, &ToSign::Message(vec![7; 246])).unwrap_err();
        assert_eq!(error, KeyError::MessageTooLong { got: 246, max: 245 });
    }
}
