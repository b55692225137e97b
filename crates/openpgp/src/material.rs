//! Key material and bare signatures, between the forms of the model and those of the standard.

use countersign_model::{HashAlg, KeyType, PublicKey, RawSignature, Scheme, ToSign};
use der::Encode as _;
use der::asn1::UintRef;

use crate::fingerprint::Fingerprint;

/// Public key algorithms (RFC 9580, 9.1).
pub(crate) const RSA: u8 = 1;
/// RSA that only signs: an old way to say the same.
pub(crate) const RSA_SIGN: u8 = 3;
pub(crate) const ECDSA: u8 = 19;
/// Ed25519 as GnuPG introduced it: the form that version 4 keys have everywhere.
pub(crate) const EDDSA_LEGACY: u8 = 22;
pub(crate) const ED25519: u8 = 27;

/// Object identifiers of the curves, without tag and length (RFC 9580, 9.2).
const OID_P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const OID_P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const OID_P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];
const OID_ED25519_LEGACY: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01];

/// Who signs: the public key as the standard's packet names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    pub(crate) public: PublicKey,
    pub(crate) fingerprint: Fingerprint,
}

impl Issuer {
    /// The issuer whose key packet has this key and creation time (Unix seconds); `None` for types that
    /// OpenPGP keys are not made of here (secp256k1).
    pub fn new(public: &PublicKey, created: u32) -> Option<Self> {
        let fingerprint = Fingerprint::of_body(&key_body(public, created)?);
        Some(Self { public: public.clone(), fingerprint })
    }

    /// The fingerprint.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The key itself.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }
}

/// The scheme that a key of this type signs OpenPGP digests of `hash` with; `None` for secp256k1.
///
/// Any hash goes with any curve: ECDSA takes the leftmost bits.
pub(crate) fn scheme(key_type: KeyType, hash: HashAlg) -> Option<Scheme> {
    match key_type {
        KeyType::Rsa(_) => Some(Scheme::RsaPkcs1(hash)),
        KeyType::P256 | KeyType::P384 | KeyType::P521 => Some(Scheme::Ecdsa(hash)),
        KeyType::Ed25519 => Some(Scheme::Ed25519),
        KeyType::Secp256k1 => None,
    }
}

/// What the key gets for a digest: Ed25519 signs the digest as its message (RFC 9580, 5.2.3.3).
pub(crate) fn to_sign(scheme: Scheme, digest: countersign_model::Digest) -> ToSign {
    match scheme {
        Scheme::Ed25519 => ToSign::Message(digest.as_bytes().to_vec()),
        _ => ToSign::Digest(digest),
    }
}

/// The number of the algorithm that signatures by this key name.
pub(crate) fn algorithm(key_type: KeyType) -> Option<u8> {
    match key_type {
        KeyType::Rsa(_) => Some(RSA),
        KeyType::P256 | KeyType::P384 | KeyType::P521 => Some(ECDSA),
        KeyType::Ed25519 => Some(EDDSA_LEGACY),
        KeyType::Secp256k1 => None,
    }
}

/// Whether a key of this type makes signatures that name `algorithm`.
pub(crate) fn is_algorithm_of(algorithm: u8, key_type: KeyType) -> bool {
    match key_type {
        KeyType::Rsa(_) => matches!(algorithm, RSA | RSA_SIGN),
        KeyType::Ed25519 => matches!(algorithm, EDDSA_LEGACY | ED25519),
        KeyType::P256 | KeyType::P384 | KeyType::P521 => algorithm == ECDSA,
        KeyType::Secp256k1 => false,
    }
}

/// The body of the public key packet (RFC 4880, 5.5.2): version 4, creation time, algorithm, material.
pub(crate) fn key_body(public: &PublicKey, created: u32) -> Option<Vec<u8>> {
    let mut body = vec![4];
    body.extend_from_slice(&created.to_be_bytes());
    body.push(algorithm(public.key_type())?);
    if let Some((modulus, exponent)) = public.rsa_components() {
        write_mpi(&modulus, &mut body);
        write_mpi(&exponent, &mut body);
    } else if let Some(bytes) = public.ed25519_bytes() {
        body.push(OID_ED25519_LEGACY.len() as u8);
        body.extend_from_slice(OID_ED25519_LEGACY);
        write_mpi(&[&[0x40], bytes.as_slice()].concat(), &mut body);
    } else {
        let oid = match public.key_type() {
            KeyType::P256 => OID_P256,
            KeyType::P384 => OID_P384,
            KeyType::P521 => OID_P521,
            _ => return None,
        };
        body.push(oid.len() as u8);
        body.extend_from_slice(oid);
        write_mpi(point(public)?, &mut body);
    }
    Some(body)
}

/// The uncompressed point: the end of the SubjectPublicKeyInfo.
fn point(public: &PublicKey) -> Option<&[u8]> {
    let length = 1 + 2 * public.key_type().ecdsa_width()?;
    let spki = public.spki();
    spki.get(spki.len().checked_sub(length)?..)
}

/// Creation time and key of a public key packet's body; `None` for what is not checked here: other versions
/// and algorithms, and keys that the verifier refuses.
pub(crate) fn read_key_body(body: &[u8]) -> Option<(u32, PublicKey)> {
    let (head, mut rest) = body.split_first_chunk::<6>()?;
    let [4, created @ .., algorithm] = *head else { return None };
    let rest = &mut rest;
    let public = match algorithm {
        RSA | RSA_SIGN => {
            let (modulus, exponent) = (take_mpi(rest)?, take_mpi(rest)?);
            PublicKey::from_rsa_public_key(&rsa_public_key(modulus, exponent)?).ok()?
        }
        ECDSA => {
            let key_type = match take_oid(rest)? {
                OID_P256 => KeyType::P256,
                OID_P384 => KeyType::P384,
                OID_P521 => KeyType::P521,
                _ => return None,
            };
            PublicKey::from_point(key_type, take_mpi(rest)?).ok()?
        }
        EDDSA_LEGACY => {
            let (OID_ED25519_LEGACY, [0x40, point @ ..]) = (take_oid(rest)?, take_mpi(rest)?) else {
                return None;
            };
            PublicKey::from_ed25519(point.try_into().ok()?).ok()?
        }
        ED25519 => PublicKey::from_ed25519(std::mem::take(rest).try_into().ok()?).ok()?,
        _ => return None,
    };
    rest.is_empty().then_some((u32::from_be_bytes(created), public))
}

/// PKCS#1 `RSAPublicKey` (RFC 8017, A.1.1).
fn rsa_public_key(modulus: &[u8], exponent: &[u8]) -> Option<Vec<u8>> {
    #[derive(der::Sequence)]
    struct RsaPublicKey<'a> {
        modulus: UintRef<'a>,
        exponent: UintRef<'a>,
    }
    let (modulus, exponent) = (UintRef::new(modulus).ok()?, UintRef::new(exponent).ok()?);
    RsaPublicKey { modulus, exponent }.to_der().ok()
}

/// Appends a multiprecision integer (RFC 4880, 3.2): exact bit length, no leading zero octets.
pub(crate) fn write_mpi(number: &[u8], out: &mut Vec<u8>) {
    let zeros = number.iter().take_while(|b| **b == 0).count();
    let digits = &number[zeros..];
    let bits = digits.first().map_or(0, |first| digits.len() * 8 - first.leading_zeros() as usize);
    out.extend_from_slice(&(bits as u16).to_be_bytes());
    out.extend_from_slice(digits);
}

/// Takes a multiprecision integer in its only form off `bytes`.
pub(crate) fn take_mpi<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (bits, rest) = bytes.split_first_chunk::<2>()?;
    let bits = usize::from(u16::from_be_bytes(*bits));
    let (number, rest) = rest.split_at_checked(bits.div_ceil(8))?;
    let exact = number.first().is_none_or(|first| number.len() * 8 - first.leading_zeros() as usize == bits);
    if !exact {
        return None;
    }
    *bytes = rest;
    Some(number)
}

fn take_oid<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = bytes.split_first()?;
    let (oid, rest) = rest.split_at_checked(usize::from(*length))?;
    *bytes = rest;
    Some(oid)
}

/// Appends the bare signature as a signature packet has it: one MPI for RSA, `r` and `s` for the others.
pub(crate) fn write_signature(key_type: KeyType, raw: &RawSignature, out: &mut Vec<u8>) {
    match key_type {
        KeyType::Rsa(_) => write_mpi(&raw.0, out),
        _ => {
            let (r, s) = raw.0.split_at(raw.0.len() / 2);
            write_mpi(r, out);
            write_mpi(s, out);
        }
    }
}

/// The bare signature from the numbers of a signature packet, which have lost their leading zeros; `None` if
/// they do not fit the key.
pub(crate) fn bare_signature<N: AsRef<[u8]>>(key_type: KeyType, numbers: &[N]) -> Option<RawSignature> {
    let (width, count) = match key_type {
        KeyType::Rsa(bits) => (bits.div_ceil(8) as usize, 1),
        KeyType::Ed25519 => (32, 2),
        curve => (curve.ecdsa_width()?, 2),
    };
    if numbers.len() != count {
        return None;
    }
    let mut raw = vec![0; width * count];
    for (number, slot) in numbers.iter().zip(raw.chunks_exact_mut(width)) {
        let number = number.as_ref();
        let zeros = number.iter().take_while(|b| **b == 0).count();
        let digits = &number[zeros..];
        slot[width.checked_sub(digits.len())?..].copy_from_slice(digits);
    }
    Some(RawSignature(raw))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_integer_is_written_with_its_exact_bits_and_no_leading_zeros() {
        for (number, written) in [
            (&[0x01, 0x00, 0x01][..], &[0, 17, 1, 0, 1][..]),
            (&[0, 0, 0x80], &[0, 8, 0x80]),
            (&[0x7f], &[0, 7, 0x7f]),
            (&[0, 0], &[0, 0]),
        ] {
            let mut out = Vec::new();
            write_mpi(number, &mut out);
            assert_eq!(out, written);
        }
    }

    #[test]
    fn a_bare_signature_gets_its_leading_zeros_back() {
        let mut raw = vec![0x55; 256];
        raw[..3].fill(0);
        let mut out = Vec::new();
        write_signature(KeyType::Rsa(2048), &RawSignature(raw.clone()), &mut out);
        let mut rest = out.as_slice();
        let number = take_mpi(&mut rest).unwrap();
        assert_eq!((number.len(), rest.len()), (253, 0));
        assert_eq!(bare_signature(KeyType::Rsa(2048), &[number]), Some(RawSignature(raw)));
        assert_eq!(bare_signature(KeyType::Rsa(2048), &[[1; 257]]), None);
        assert_eq!(bare_signature(KeyType::P256, &[[1; 32]]), None);
    }
}
