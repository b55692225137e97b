//! Public keys, and the check of a signature by one.

use std::fmt;
use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest as lc_digest;
use aws_lc_rs::signature::{self as lc, ParsedPublicKey, VerificationAlgorithm};
use const_oid::db::rfc5912::{ID_EC_PUBLIC_KEY, RSA_ENCRYPTION, SECP_256_R_1, SECP_384_R_1, SECP_521_R_1};
use const_oid::db::rfc8410::ID_ED_25519;
use der::asn1::{Any, BitString, ObjectIdentifier};
use der::{Decode as _, Encode as _};
use spki::SubjectPublicKeyInfo;

use crate::digest::{Digest, HashAlg};
use crate::name::KeyId;
use crate::pem;
use crate::scheme::{KeyType, Scheme};
use crate::signing::{RawSignature, ToSign};

const SECP_256_K_1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.10");

type Spki = SubjectPublicKeyInfo<Any, BitString>;

#[derive(der::Sequence)]
struct RsaPublicKey {
    modulus: der::asn1::Uint,
    exponent: der::asn1::Uint,
}

/// A public key as a SubjectPublicKeyInfo (RFC 5280, 4.1.2.7), and what kind it is.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    spki: Vec<u8>,
    key_type: KeyType,
    /// What the verifier takes: the point, the RSAPublicKey, or the 32 bytes of Ed25519.
    bits: Vec<u8>,
}

/// Why bytes are not a public key that we can use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    /// The text is not PEM.
    #[error(transparent)]
    Pem(#[from] pem::PemError),
    /// No block of the text is a public key.
    #[error("no `PUBLIC KEY`, `RSA PUBLIC KEY` or `CERTIFICATE` block")]
    NoKey,
    /// Not DER of a SubjectPublicKeyInfo, or not in its only form.
    #[error("not a SubjectPublicKeyInfo in DER")]
    Der,
    /// A kind of key that is not supported.
    #[error("unsupported kind of key: RSA, P-256, P-384, P-521 and Ed25519 are")]
    Unsupported,
}

/// Why a signature does not verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The scheme is not one of the key's.
    #[error("scheme `{0}` does not fit a key of type `{1}`")]
    SchemeMismatch(Scheme, KeyType),
    /// A digest of another hash, or a digest where the message is needed.
    #[error("scheme `{0}` cannot check what was given")]
    Unsuitable(Scheme),
    /// The mathematics say no.
    #[error("the signature is not valid for this key and content")]
    Invalid,
}

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// [`PublicKeyError::Der`] for anything but its one DER form, so that a key has one id;
    /// [`PublicKeyError::Unsupported`] for other algorithms, curves, compressed points, and RSA outside
    /// 1024 to 8192 bits. Whether RSA below 2048 bits is *accepted* is for the caller: [`Self::is_weak`].
    pub fn from_spki(der: &[u8]) -> Result<Self, PublicKeyError> {
        let spki = Spki::from_der(der).map_err(|_| PublicKeyError::Der)?;
        if spki.to_der().map_err(|_| PublicKeyError::Der)? != der {
            return Err(PublicKeyError::Der);
        }
        let bits = spki.subject_public_key.as_bytes().ok_or(PublicKeyError::Der)?;
        let key_type = match spki.algorithm.oid {
            RSA_ENCRYPTION => rsa_type(bits)?,
            ID_EC_PUBLIC_KEY => {
                let curve = spki.algorithm.parameters.as_ref().ok_or(PublicKeyError::Unsupported)?;
                let curve: ObjectIdentifier = curve.decode_as().map_err(|_| PublicKeyError::Unsupported)?;
                match curve {
                    SECP_256_R_1 => KeyType::P256,
                    SECP_384_R_1 => KeyType::P384,
                    SECP_521_R_1 => KeyType::P521,
                    SECP_256_K_1 => KeyType::Secp256k1,
                    _ => return Err(PublicKeyError::Unsupported),
                }
            }
            ID_ED_25519 if spki.algorithm.parameters.is_none() && bits.len() == 32 => KeyType::Ed25519,
            _ => return Err(PublicKeyError::Unsupported),
        };
        let key = Self { spki: der.to_vec(), key_type, bits: bits.to_vec() };
        // Parsing by the verifier proves that a point is on its curve.
        key.parse_for(key_type.default_scheme())?;
        Ok(key)
    }

    /// Reads the first public key of a PEM text: a `PUBLIC KEY`, an `RSA PUBLIC KEY`, or the key of a
    /// `CERTIFICATE` (whose signature is not looked at). A `PUBLIC KEY` wins over what stands before it.
    ///
    /// # Errors
    /// [`PublicKeyError`].
    pub fn from_pem(text: &str) -> Result<Self, PublicKeyError> {
        let blocks = pem::blocks(text)?;
        let find = |label: &str| blocks.iter().find(|block| block.label == label);
        if let Some(block) = find("PUBLIC KEY") {
            Self::from_spki(&block.der)
        } else if let Some(block) = find("RSA PUBLIC KEY") {
            Self::from_rsa_public_key(&block.der)
        } else if let Some(block) = find("CERTIFICATE") {
            let certificate =
                x509_cert::Certificate::from_der(&block.der).map_err(|_| PublicKeyError::Der)?;
            let spki = certificate.tbs_certificate().subject_public_key_info().to_der();
            Self::from_spki(&spki.map_err(|_| PublicKeyError::Der)?)
        } else {
            Err(PublicKeyError::NoKey)
        }
    }

    /// Reads PKCS#1 `RSAPublicKey` DER (RFC 8017, A.1.1).
    ///
    /// # Errors
    /// [`PublicKeyError`].
    pub fn from_rsa_public_key(der: &[u8]) -> Result<Self, PublicKeyError> {
        Self::build(RSA_ENCRYPTION, Some(Any::null()), der)
    }

    /// The key with these 32 bytes (RFC 8032, 5.1.5).
    ///
    /// # Errors
    /// [`PublicKeyError`] if the verifier does not take them.
    pub fn from_ed25519(bytes: &[u8; 32]) -> Result<Self, PublicKeyError> {
        Self::build(ID_ED_25519, None, bytes)
    }

    /// The key with this uncompressed point (SEC 1, 2.3.3) on the curve of `key_type`.
    ///
    /// # Errors
    /// [`PublicKeyError`] if it is not a point of that curve, or `key_type` is not a curve.
    pub fn from_point(key_type: KeyType, point: &[u8]) -> Result<Self, PublicKeyError> {
        let curve = match key_type {
            KeyType::P256 => SECP_256_R_1,
            KeyType::P384 => SECP_384_R_1,
            KeyType::P521 => SECP_521_R_1,
            KeyType::Secp256k1 => SECP_256_K_1,
            KeyType::Rsa(_) | KeyType::Ed25519 => return Err(PublicKeyError::Unsupported),
        };
        Self::build(ID_EC_PUBLIC_KEY, Some(Any::from(curve)), point)
    }

    fn build(oid: ObjectIdentifier, parameters: Option<Any>, bits: &[u8]) -> Result<Self, PublicKeyError> {
        let spki = Spki {
            algorithm: spki::AlgorithmIdentifier { oid, parameters },
            subject_public_key: BitString::from_bytes(bits).map_err(|_| PublicKeyError::Der)?,
        };
        Self::from_spki(&spki.to_der().map_err(|_| PublicKeyError::Der)?)
    }

    /// The SubjectPublicKeyInfo in DER.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The SubjectPublicKeyInfo as a `PUBLIC KEY` block.
    pub fn to_pem(&self) -> String {
        pem::encode("PUBLIC KEY", &self.spki)
    }

    /// What kind of key it is.
    pub fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// `sha256:HEX` of the SubjectPublicKeyInfo.
    pub fn id(&self) -> KeyId {
        KeyId::of_spki(&self.spki)
    }

    /// The 32 bytes of an Ed25519 key.
    pub fn ed25519_bytes(&self) -> Option<[u8; 32]> {
        if self.key_type == KeyType::Ed25519 { self.bits.as_slice().try_into().ok() } else { None }
    }

    /// Modulus and exponent of an RSA key, big-endian without leading zeros.
    pub fn rsa_components(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        let KeyType::Rsa(_) = self.key_type else { return None };
        let key = RsaPublicKey::from_der(&self.bits).ok()?;
        Some((key.modulus.as_bytes().to_vec(), key.exponent.as_bytes().to_vec()))
    }

    /// X and Y of a key on a curve, big-endian, each as wide as the curve's field.
    pub fn coordinates(&self) -> Option<(&[u8], &[u8])> {
        let width = self.key_type.ecdsa_width()?;
        let (x, y) = self.bits.strip_prefix(&[4])?.split_at_checked(width)?;
        Some((x, y))
    }

    /// RSA below 2048 bits: not made or imported here, accepted in old files only on request.
    pub fn is_weak(&self) -> bool {
        matches!(self.key_type, KeyType::Rsa(bits) if bits < 2048)
    }

    /// Checks one signature. For many with one key, keep a [`Self::verifier`].
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn verify(
        &self,
        scheme: Scheme,
        to_sign: &ToSign,
        signature: &RawSignature,
    ) -> Result<(), VerifyError> {
        self.verifier(scheme)?.verify(to_sign, signature)
    }

    /// A parsed key that checks signatures of `scheme`.
    ///
    /// # Errors
    /// [`VerifyError::SchemeMismatch`].
    pub fn verifier(&self, scheme: Scheme) -> Result<Verifier, VerifyError> {
        let mismatch = VerifyError::SchemeMismatch(scheme, self.key_type);
        if !scheme.fits(self.key_type) {
            return Err(mismatch);
        }
        let inner = match (scheme, self.rsa_components()) {
            (Scheme::RsaPkcs1Raw, Some((modulus, exponent))) => Inner::Unprefixed(UnprefixedRsa {
                len: modulus.len(),
                modulus: num_bigint::BigUint::from_bytes_be(&modulus),
                exponent: num_bigint::BigUint::from_bytes_be(&exponent),
            }),
            _ => Inner::Parsed(self.parse_for(scheme).map_err(|_| mismatch)?),
        };
        Ok(Verifier { scheme, key_type: self.key_type, inner })
    }

    fn parse_for(&self, scheme: Scheme) -> Result<ParsedPublicKey, PublicKeyError> {
        let algorithm = verification_algorithm(scheme, self.key_type).ok_or(PublicKeyError::Unsupported)?;
        ParsedPublicKey::new(algorithm, &self.bits).map_err(|_| PublicKeyError::Unsupported)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}, {})", self.key_type, self.id())
    }
}

fn rsa_type(bits: &[u8]) -> Result<KeyType, PublicKeyError> {
    let key = RsaPublicKey::from_der(bits).map_err(|_| PublicKeyError::Der)?;
    let modulus = key.modulus.as_bytes();
    let size = modulus.len() as u32 * 8 - modulus.first().map_or(0, |b| b.leading_zeros());
    if (1024..=8192).contains(&size) { Ok(KeyType::Rsa(size)) } else { Err(PublicKeyError::Unsupported) }
}

/// Checks signatures of one scheme by one key.
pub struct Verifier {
    scheme: Scheme,
    key_type: KeyType,
    inner: Inner,
}

enum Inner {
    Parsed(ParsedPublicKey),
    Unprefixed(UnprefixedRsa),
}

struct UnprefixedRsa {
    len: usize,
    modulus: num_bigint::BigUint,
    exponent: num_bigint::BigUint,
}

impl Verifier {
    /// Checks `signature` over `to_sign`.
    ///
    /// # Errors
    /// [`VerifyError::Unsuitable`] if `to_sign` is not what the scheme signs, else [`VerifyError::Invalid`].
    pub fn verify(&self, to_sign: &ToSign, signature: &RawSignature) -> Result<(), VerifyError> {
        if !to_sign.suits(self.scheme) {
            return Err(VerifyError::Unsuitable(self.scheme));
        }
        let valid = match (&self.inner, to_sign) {
            (Inner::Unprefixed(rsa), ToSign::Message(message)) => rsa.verify(message, &signature.0),
            (Inner::Unprefixed(_), ToSign::Digest(_)) => false,
            (Inner::Parsed(key), ToSign::Message(message)) => key.verify_sig(message, &signature.0).is_ok(),
            (Inner::Parsed(key), ToSign::Digest(digest)) => {
                let digest = match self.scheme {
                    Scheme::Ecdsa(_) => ecdsa_digest(self.key_type, digest),
                    _ => backend_digest(digest.alg(), digest.as_bytes()),
                };
                digest.is_some_and(|d| key.verify_digest_sig(&d, &signature.0).is_ok())
            }
        };
        if valid { Ok(()) } else { Err(VerifyError::Invalid) }
    }
}

/// The verifiers of one key, each made when a signature of its scheme is checked for the first time: reading a key of
/// RSA takes a third of the time of a check. Clones share them; whoever has another key begins anew.
#[derive(Clone, Default)]
pub struct Verifiers(Arc<[OnceLock<Option<Verifier>>; Scheme::ALL.len()]>);

impl Verifiers {
    /// Checks `signature` over `to_sign`, as [`PublicKey::verify`] does it.
    ///
    /// - `key`: always the same.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn verify(
        &self,
        key: &PublicKey,
        scheme: Scheme,
        to_sign: &ToSign,
        signature: &RawSignature,
    ) -> Result<(), VerifyError> {
        let place = Scheme::ALL.iter().position(|known| *known == scheme);
        let Some(slot) = place.and_then(|place| self.0.get(place)) else {
            return key.verify(scheme, to_sign, signature);
        };
        match slot.get_or_init(|| key.verifier(scheme).ok()) {
            Some(verifier) => verifier.verify(to_sign, signature),
            None => Err(VerifyError::SchemeMismatch(scheme, key.key_type())),
        }
    }
}

impl fmt::Debug for Verifiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifiers(..)")
    }
}

impl PartialEq for Verifiers {
    /// They follow from the key.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Verifiers {}

impl UnprefixedRsa {
    /// RSAVP1 (RFC 8017, 5.2.2). The usual exponent, 2^16 + 1, is 17 multiplications; the general way makes
    /// tables first that cost more than that.
    fn power(&self, s: &num_bigint::BigUint) -> num_bigint::BigUint {
        if self.exponent != num_bigint::BigUint::from(65_537u32) {
            return s.modpow(&self.exponent, &self.modulus);
        }
        let mut power = s.clone();
        for _ in 0..16 {
            power = &power * &power % &self.modulus;
        }
        power * s % &self.modulus
    }

    /// RFC 8017, 8.2.2, with the message in place of the DigestInfo.
    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        if signature.len() != self.len || message.len() + 11 > self.len {
            return false;
        }
        let s = num_bigint::BigUint::from_bytes_be(signature);
        if s >= self.modulus {
            return false;
        }
        let mut expected = vec![0xff; self.len];
        expected[0] = 0x00;
        expected[1] = 0x01;
        let start = self.len - message.len();
        expected[start - 1] = 0x00;
        expected[start..].copy_from_slice(message);
        self.power(&s) == num_bigint::BigUint::from_bytes_be(&expected)
    }
}

/// The digest as a backend takes it that knows one hash a curve.
///
/// ECDSA uses the leftmost bits of a digest, as many as the order has (FIPS 186-5, 6.4.1), read as a
/// number. So a longer digest may be cut to the curve's own length, and a shorter one may be padded with
/// zeros in front: the signature is the same, and one hash a curve is enough for all.
pub fn ecdsa_digest(key_type: KeyType, digest: &Digest) -> Option<lc_digest::Digest> {
    let own = match key_type {
        KeyType::P256 | KeyType::Secp256k1 => HashAlg::Sha256,
        KeyType::P384 => HashAlg::Sha384,
        KeyType::P521 => HashAlg::Sha512,
        KeyType::Rsa(_) | KeyType::Ed25519 => return None,
    };
    let given = digest.as_bytes();
    if given.len() >= own.digest_len() {
        return backend_digest(own, &given[..own.digest_len()]);
    }
    let mut padded = [0; 64];
    padded[own.digest_len() - given.len()..own.digest_len()].copy_from_slice(given);
    backend_digest(own, &padded[..own.digest_len()])
}

/// The digest in the form that the cryptography library takes.
pub fn backend_digest(alg: HashAlg, bytes: &[u8]) -> Option<lc_digest::Digest> {
    let algorithm = match alg {
        HashAlg::Sha256 => &lc_digest::SHA256,
        HashAlg::Sha384 => &lc_digest::SHA384,
        HashAlg::Sha512 => &lc_digest::SHA512,
    };
    lc_digest::Digest::import_less_safe(bytes, algorithm).ok()
}

fn verification_algorithm(scheme: Scheme, key_type: KeyType) -> Option<&'static dyn VerificationAlgorithm> {
    use HashAlg::{Sha256, Sha384, Sha512};
    let weak = matches!(key_type, KeyType::Rsa(bits) if bits < 2048);
    Some(match (scheme, key_type) {
        (Scheme::RsaPkcs1(Sha256), _) if weak => &lc::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
        (Scheme::RsaPkcs1(Sha512), _) if weak => &lc::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
        (Scheme::RsaPkcs1(Sha256), _) => &lc::RSA_PKCS1_2048_8192_SHA256,
        (Scheme::RsaPkcs1(Sha384), _) => &lc::RSA_PKCS1_2048_8192_SHA384,
        (Scheme::RsaPkcs1(Sha512), _) => &lc::RSA_PKCS1_2048_8192_SHA512,
        (Scheme::RsaPss(Sha256), _) => &lc::RSA_PSS_2048_8192_SHA256,
        (Scheme::RsaPss(Sha384), _) => &lc::RSA_PSS_2048_8192_SHA384,
        (Scheme::RsaPss(Sha512), _) => &lc::RSA_PSS_2048_8192_SHA512,
        (Scheme::Ecdsa(_), KeyType::P256) => &lc::ECDSA_P256_SHA256_FIXED,
        (Scheme::Ecdsa(_), KeyType::P384) => &lc::ECDSA_P384_SHA384_FIXED,
        (Scheme::Ecdsa(_), KeyType::P521) => &lc::ECDSA_P521_SHA512_FIXED,
        (Scheme::Ecdsa(_), KeyType::Secp256k1) => &lc::ECDSA_P256K1_SHA256_FIXED,
        (Scheme::Ed25519, _) => &lc::ED25519,
        _ => return None,
    })
}
