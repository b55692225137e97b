//! AlgorithmIdentifiers of schemes and hashes, and what a signature by a key looks like.

use const_oid::ObjectIdentifier;
use const_oid::db::{rfc5912, rfc8410};
use countersign_model::{Encoding, HashAlg, KeyType, PublicKey, RawSignature, Scheme};

use crate::asn1;

/// Whether `digestAlgorithms` and `digestAlgorithm` say NULL or nothing after the hash: verifiers take both,
/// and each format's own programs write one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parameters {
    Null,
    Absent,
}

/// The AlgorithmIdentifier of a hash.
pub(crate) fn hash(alg: HashAlg, parameters: Parameters) -> Vec<u8> {
    let oid = asn1::oid(&hash_oid(alg));
    match parameters {
        Parameters::Null => asn1::sequence(&[&oid, asn1::NULL]),
        Parameters::Absent => asn1::sequence(&[&oid]),
    }
}

fn hash_oid(alg: HashAlg) -> ObjectIdentifier {
    match alg {
        HashAlg::Sha256 => rfc5912::ID_SHA_256,
        HashAlg::Sha384 => rfc5912::ID_SHA_384,
        HashAlg::Sha512 => rfc5912::ID_SHA_512,
    }
}

/// The hash that an AlgorithmIdentifier names, with either form of parameters.
pub(crate) fn read_hash(der: &[u8]) -> Option<HashAlg> {
    [HashAlg::Sha256, HashAlg::Sha384, HashAlg::Sha512]
        .into_iter()
        .find(|alg| der == hash(*alg, Parameters::Null) || der == hash(*alg, Parameters::Absent))
}

/// The AlgorithmIdentifier of signatures of `scheme` in certificates (RFC 5280, 4.1.1.2); `None` for
/// schemes that are not used there.
pub(crate) fn signature(scheme: Scheme) -> Option<Vec<u8>> {
    let (oid, parameters): (_, &[u8]) = match scheme {
        Scheme::RsaPkcs1(HashAlg::Sha256) => (rfc5912::SHA_256_WITH_RSA_ENCRYPTION, asn1::NULL),
        Scheme::RsaPkcs1(HashAlg::Sha384) => (rfc5912::SHA_384_WITH_RSA_ENCRYPTION, asn1::NULL),
        Scheme::RsaPkcs1(HashAlg::Sha512) => (rfc5912::SHA_512_WITH_RSA_ENCRYPTION, asn1::NULL),
        Scheme::Ecdsa(HashAlg::Sha256) => (rfc5912::ECDSA_WITH_SHA_256, &[]),
        Scheme::Ecdsa(HashAlg::Sha384) => (rfc5912::ECDSA_WITH_SHA_384, &[]),
        Scheme::Ecdsa(HashAlg::Sha512) => (rfc5912::ECDSA_WITH_SHA_512, &[]),
        Scheme::Ed25519 => (rfc8410::ID_ED_25519, &[]),
        Scheme::RsaPkcs1Raw | Scheme::RsaPss(_) => return None,
    };
    Some(asn1::sequence(&[&asn1::oid(&oid), parameters]))
}

/// The scheme that an AlgorithmIdentifier of [`signature`] names.
pub(crate) fn read_signature(der: &[u8]) -> Option<Scheme> {
    Scheme::ALL.into_iter().find(|scheme| signature(*scheme).as_deref() == Some(der))
}

/// `signatureAlgorithm` of a SignerInfo: for RSA rsaEncryption, the hash stands elsewhere (RFC 3370, 3.2).
pub(crate) fn signer_info_signature(scheme: Scheme) -> Option<Vec<u8>> {
    match scheme {
        Scheme::RsaPkcs1(_) => Some(asn1::sequence(&[&asn1::oid(&rfc5912::RSA_ENCRYPTION), asn1::NULL])),
        Scheme::Ecdsa(_) => signature(scheme),
        _ => None,
    }
}

/// The scheme of a SignerInfo with this `signatureAlgorithm` and hash. RSA may also be named with its
/// hash, as in certificates.
pub(crate) fn read_signer_info_signature(der: &[u8], hash: HashAlg) -> Option<Scheme> {
    [Scheme::RsaPkcs1(hash), Scheme::Ecdsa(hash)].into_iter().find(|scheme| {
        signer_info_signature(*scheme).as_deref() == Some(der) || signature(*scheme).as_deref() == Some(der)
    })
}

/// A signature of another length than those of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a signature by a key of type `{key_type}` has {want} bytes, this one {got}")]
pub struct SignatureLength {
    /// The key's type.
    pub key_type: KeyType,
    /// Bytes of its signatures.
    pub want: usize,
    /// Bytes given.
    pub got: usize,
}

/// The signature as certificates and CMS have it: ECDSA in DER.
pub(crate) fn encode(
    raw: &RawSignature,
    scheme: Scheme,
    key_type: KeyType,
) -> Result<Vec<u8>, SignatureLength> {
    let want = match key_type {
        KeyType::Rsa(bits) => bits.div_ceil(8) as usize,
        KeyType::Ed25519 => 64,
        KeyType::P256 | KeyType::P384 | KeyType::P521 | KeyType::Secp256k1 => {
            2 * key_type.ecdsa_width().unwrap_or(0)
        }
    };
    let got = raw.0.len();
    if got != want {
        return Err(SignatureLength { key_type, want, got });
    }
    Ok(raw.encode(scheme, Encoding::Der))
}

/// The inverse of [`encode`]; `None` if it is not a signature of this key's type.
pub(crate) fn decode(bytes: &[u8], key: &PublicKey) -> Option<RawSignature> {
    RawSignature::decode(bytes, key.key_type().ecdsa_width(), Encoding::Der).ok()
}
