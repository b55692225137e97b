//! Private keys from PEM: PKCS#8 (RFC 5208), encrypted PKCS#8 (PBES2, RFC 8018), PKCS#1 (RFC 8017, A.1.2)
//! and SEC1 (RFC 5915).

use aws_lc_rs::signature::{EcdsaKeyPair, RsaKeyPair};
use countersign_model::KeyType;
use countersign_model::key::KeyError;
use countersign_model::pem::{self, Block};
use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, OctetStringRef, UintRef};
use der::{Decode as _, Sequence, Tagged as _};
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef};

use super::{Inner, SoftKey, ecdsa_algorithm};

/// Why a text is not a private key that can be imported. Never shows any of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// Not PEM, or not a private key inside.
    #[error("not a private key in PEM: {0}")]
    Malformed(String),
    /// The block is encrypted and there is no passphrase.
    #[error("the private key is encrypted and no passphrase was given")]
    Encrypted,
    /// The passphrase does not open it.
    #[error("the passphrase does not open the private key")]
    WrongPassphrase,
    /// The key derivation is too costly to try.
    #[error("the key derivation of the encrypted key is too costly: {0}")]
    KdfTooCostly(String),
    /// Too weak to sign with.
    #[error("weak key: {0}")]
    Weak(String),
    /// A kind of key that is not supported.
    #[error("unsupported kind of private key: {0}")]
    Unsupported(String),
}

impl ImportError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "`openssl pkey -in FILE` shows whether it is one",
            Self::Encrypted | Self::WrongPassphrase => "give the passphrase that the key was encrypted with",
            Self::KdfTooCostly(_) => "encrypt it again: `openssl pkcs8 -topk8 -iter 600000 -in FILE`",
            Self::Weak(_) => "make a new key: `countersign key create`",
            Self::Unsupported(_) => "RSA, P-256, P-384, P-521 and Ed25519 keys can be imported",
        }
    }
}

const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSASSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// Reads the first private key of a PEM text. An `EC PARAMETERS` block is passed over.
///
/// # Errors
/// [`ImportError`].
pub fn from_pem(text: &str, passphrase: Option<&[u8]>) -> Result<SoftKey, ImportError> {
    if text.contains("Proc-Type: 4,ENCRYPTED") {
        let why = "the old OpenSSL encryption (`Proc-Type: 4,ENCRYPTED`); use PKCS#8";
        return Err(ImportError::Unsupported(why.into()));
    }
    let blocks = pem::blocks(text).map_err(|e| ImportError::Malformed(e.to_string()))?;
    let block = blocks
        .iter()
        .find(|block| block.label != "EC PARAMETERS")
        .ok_or_else(|| ImportError::Malformed("there are only EC parameters".into()))?;
    match block.label.as_str() {
        "PRIVATE KEY" => from_pkcs8(&block.der),
        "ENCRYPTED PRIVATE KEY" => from_encrypted_pkcs8(&block.der, passphrase),
        "RSA PRIVATE KEY" => from_pkcs1(&block.der),
        "EC PRIVATE KEY" => from_sec1(&block.der, curve_of_parameters(&blocks)),
        other => Err(ImportError::Malformed(format!("the block is a `{other}`"))),
    }
}

fn from_pkcs8(der: &[u8]) -> Result<SoftKey, ImportError> {
    let info = PrivateKeyInfoRef::try_from(der).map_err(malformed)?;
    let key_type = match info.algorithm.oid {
        RSA_ENCRYPTION => {
            check_rsa(info.private_key.as_bytes())?;
            // The library reads the size by itself; any size selects RSA.
            KeyType::Rsa(2048)
        }
        RSASSA_PSS => {
            let why = "an RSA key bound to PSS; write it again as rsaEncryption";
            return Err(ImportError::Unsupported(why.into()));
        }
        EC_PUBLIC_KEY => {
            let curve = info.algorithm.parameters_oid().map_err(malformed)?;
            curve_type(curve)?
        }
        ED25519 => KeyType::Ed25519,
        other => return Err(ImportError::Unsupported(format!("algorithm {other}"))),
    };
    SoftKey::from_pkcs8(key_type, der).map_err(key_error)
}

fn from_encrypted_pkcs8(der: &[u8], passphrase: Option<&[u8]>) -> Result<SoftKey, ImportError> {
    let passphrase = passphrase.ok_or(ImportError::Encrypted)?;
    check_kdf_cost(der)?;
    let info = EncryptedPrivateKeyInfoRef::try_from(der).map_err(malformed)?;
    let clear = info.decrypt(passphrase).map_err(|_| ImportError::WrongPassphrase)?;
    from_pkcs8(clear.as_bytes()).map_err(|error| match error {
        // A wrong passphrase leaves valid padding once in 256 times, and noise behind it.
        ImportError::Malformed(_) => ImportError::WrongPassphrase,
        other => other,
    })
}

fn from_pkcs1(der: &[u8]) -> Result<SoftKey, ImportError> {
    check_rsa(der)?;
    let key = RsaKeyPair::from_der(der).map_err(|e| ImportError::Malformed(e.to_string()))?;
    SoftKey::of(Inner::Rsa(Box::new(key))).map_err(key_error)
}

fn from_sec1(der: &[u8], outer: Option<ObjectIdentifier>) -> Result<SoftKey, ImportError> {
    #[derive(Sequence)]
    struct EcPrivateKey<'a> {
        version: u8,
        private_key: &'a OctetStringRef,
        #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
        parameters: Option<ObjectIdentifier>,
        #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
        public_key: Option<BitStringRef<'a>>,
    }
    let key = EcPrivateKey::from_der(der).map_err(malformed)?;
    let curve = key
        .parameters
        .or(outer)
        .ok_or_else(|| ImportError::Unsupported("an EC key that does not name its curve".into()))?;
    let algorithm = ecdsa_algorithm(curve_type(curve)?).expect("`curve_type` gives curves only");
    let key = EcdsaKeyPair::from_private_key_der(algorithm, der)
        .map_err(|e| ImportError::Malformed(e.to_string()))?;
    SoftKey::of(Inner::Ecdsa(Box::new(key))).map_err(key_error)
}

fn curve_of_parameters(blocks: &[Block]) -> Option<ObjectIdentifier> {
    let block = blocks.iter().find(|block| block.label == "EC PARAMETERS")?;
    ObjectIdentifier::from_der(&block.der).ok()
}

fn curve_type(curve: ObjectIdentifier) -> Result<KeyType, ImportError> {
    Ok(match curve.to_string().as_str() {
        "1.2.840.10045.3.1.7" => KeyType::P256,
        "1.3.132.0.34" => KeyType::P384,
        "1.3.132.0.35" => KeyType::P521,
        "1.3.132.0.10" => KeyType::Secp256k1,
        other => return Err(ImportError::Unsupported(format!("curve {other}"))),
    })
}

/// RSAPrivateKey (RFC 8017, A.1.2).
#[derive(Sequence)]
pub(crate) struct RsaPrivateKey<'a> {
    pub(crate) version: u8,
    pub(crate) modulus: UintRef<'a>,
    pub(crate) public_exponent: UintRef<'a>,
    pub(crate) private_exponent: UintRef<'a>,
    pub(crate) prime1: UintRef<'a>,
    pub(crate) prime2: UintRef<'a>,
    pub(crate) exponent1: UintRef<'a>,
    pub(crate) exponent2: UintRef<'a>,
    pub(crate) coefficient: UintRef<'a>,
}

/// Refuses what nobody should sign with: fewer than 2048 bits, an exponent that is even or below 65537.
fn check_rsa(pkcs1: &[u8]) -> Result<(), ImportError> {
    let key = RsaPrivateKey::from_der(pkcs1).map_err(malformed)?;
    let modulus = key.modulus.as_bytes();
    let bits = modulus.len() * 8 - modulus.first().map_or(0, |b| b.leading_zeros() as usize);
    if bits < 2048 {
        return Err(ImportError::Weak(format!("RSA with {bits} bits; at least 2048 are asked for")));
    }
    let exponent = key.public_exponent.as_bytes();
    let small = exponent.len() < 3 || (exponent.len() == 3 && exponent < [1, 0, 1].as_slice());
    let even = exponent.last().is_none_or(|b| b % 2 == 0);
    if small || even {
        return Err(ImportError::Weak("the RSA exponent is even or below 65537".into()));
    }
    if bits > 8192 {
        return Err(ImportError::Unsupported(format!("RSA with {bits} bits; at most 8192")));
    }
    Ok(())
}

/// The most that a passphrase may cost: 10 million iterations, or 1 GiB for scrypt.
const MAX_ITERATIONS: u64 = 10_000_000;
const MAX_SCRYPT_BYTES: u128 = 1 << 30;

/// Looks at the cost of the key derivation before any of it is paid. An unknown derivation passes: the
/// library refuses it.
fn check_kdf_cost(der: &[u8]) -> Result<(), ImportError> {
    #[derive(Sequence)]
    struct Algorithm<'a> {
        oid: ObjectIdentifier,
        parameters: AnyRef<'a>,
    }
    #[derive(Sequence)]
    struct Encrypted<'a> {
        algorithm: Algorithm<'a>,
        data: &'a OctetStringRef,
    }
    #[derive(Sequence)]
    struct Pbes2<'a> {
        kdf: Algorithm<'a>,
        cipher: Algorithm<'a>,
    }
    let outer = Encrypted::from_der(der).map_err(malformed)?;
    let scheme: Pbes2<'_> = outer.algorithm.parameters.decode_as().map_err(|_| {
        ImportError::Unsupported("an encryption other than PBES2; use PKCS#8 with PBES2".into())
    })?;
    // Both derivations begin with the salt; then come numbers.
    let numbers: Vec<u128> = integers(scheme.kdf.parameters.value());
    let cost = |what: String| Err(ImportError::KdfTooCostly(what));
    match scheme.kdf.oid.to_string().as_str() {
        "1.2.840.113549.1.5.12" => {
            let iterations = numbers.first().copied().unwrap_or(0);
            if iterations > u128::from(MAX_ITERATIONS) {
                return cost(format!("{iterations} iterations; at most {MAX_ITERATIONS}"));
            }
        }
        "1.3.6.1.4.1.11591.4.11" => {
            let product = numbers.iter().take(3).fold(128u128, |all, n| all.saturating_mul((*n).max(1)));
            if product > MAX_SCRYPT_BYTES {
                return cost(format!("scrypt over {product} bytes; at most {MAX_SCRYPT_BYTES}"));
            }
        }
        _ => {}
    }
    Ok(())
}

/// The INTEGERs among the elements of a SEQUENCE's content; one that is too large counts as the largest.
fn integers(mut content: &[u8]) -> Vec<u128> {
    let mut numbers = Vec::new();
    while let Ok((element, rest)) = AnyRef::from_der_partial(content) {
        if element.tag() == der::Tag::Integer {
            let bytes = element.value();
            let number = if bytes.len() > 16 {
                u128::MAX
            } else {
                bytes.iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
            };
            numbers.push(number);
        }
        content = rest;
    }
    numbers
}

fn malformed(error: impl std::fmt::Display) -> ImportError {
    ImportError::Malformed(error.to_string())
}

fn key_error(error: KeyError) -> ImportError {
    ImportError::Malformed(error.to_string())
}
