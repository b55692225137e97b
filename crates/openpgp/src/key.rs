//! New keys: public key, one user id, and the key's own certification of both.
//!
//! [`prepare`], give the bytes to the key, [`Pending::finish`]. The result is a [`Certificate`] without
//! subkeys and without expiry, which certifies and signs.

use countersign_model::digest::Hasher;
use countersign_model::public_key::VerifyError;
use countersign_model::{HashAlg, KeyType, PublicKey, RawSignature, Scheme, ToSign};

use crate::certificate::{Certificate, CertificateError};
use crate::fingerprint::Fingerprint;
use crate::material::{Issuer, key_body, scheme};
use crate::packet;
use crate::subpacket;
use crate::unsigned::Unsigned;
use crate::user_id::UserId;

/// Why no key is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A type of key that OpenPGP keys are not made of here.
    #[error(
        "no OpenPGP key is made of a key of type `{0}`: RSA, P-256, P-384, P-521 and Ed25519 can be used"
    )]
    Type(KeyType),
}

/// Why an artifact is not finished.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FinishError {
    /// The bare signature is not one over what was prepared.
    #[error("the signature that came is not one over what was prepared: {0}")]
    Signature(#[from] VerifyError),
    /// What was made is not read again.
    #[error("the finished key is not read again: {0}")]
    Certificate(#[from] CertificateError),
}

/// What [`Pending::finish`] needs when the signature has come.
#[derive(Clone, Debug)]
pub struct Pending {
    key_body: Vec<u8>,
    user_id: UserId,
    unsigned: Unsigned,
}

/// Positive certification of a user id (RFC 4880, 5.2.1).
const POSITIVE_CERTIFICATION: u8 = 0x13;

/// Prepares a key: what is to be signed by it, and what will be needed then.
///
/// - `public`: RSA, P-256, P-384, P-521 or Ed25519.
/// - `created`: Unix seconds; part of the fingerprint.
///
/// # Errors
/// [`KeyError::Type`] for secp256k1.
///
/// Follows RFC 4880, 5.2.4 and 12.1.
pub fn prepare(public: &PublicKey, user_id: &UserId, created: u32) -> Result<(ToSign, Pending), KeyError> {
    let refused = KeyError::Type(public.key_type());
    let key_body = key_body(public, created).ok_or(refused)?;
    let issuer = Issuer { public: public.clone(), fingerprint: Fingerprint::of_body(&key_body) };
    let scheme = scheme(public.key_type(), HashAlg::Sha512).ok_or(refused)?;

    let mut hasher = Hasher::new(HashAlg::Sha512);
    hash_key(&mut hasher, &key_body);
    hash_user_id(&mut hasher, user_id.as_str().as_bytes());
    let (to_sign, unsigned) =
        Unsigned::prepare(&issuer, scheme, POSITIVE_CERTIFICATION, created, &SELF_CERTIFICATION, hasher);
    Ok((to_sign, Pending { key_body, user_id: user_id.clone(), unsigned }))
}

/// Hashed subpackets besides issuer and time: flags certify and sign; SHA-512, SHA-384, SHA-256; modification
/// detection, which every reader has.
const SELF_CERTIFICATION: [(u8, &[u8]); 3] = [
    (subpacket::KEY_FLAGS, &[0x03]),
    (subpacket::PREFERRED_HASHES, &[10, 9, 8]),
    (subpacket::FEATURES, &[0x01]),
];

/// A key as it is hashed into certifications (RFC 4880, 5.2.4).
pub(crate) fn hash_key(hasher: &mut Hasher, body: &[u8]) {
    hasher.update(&[0x99]);
    hasher.update(&(body.len() as u16).to_be_bytes());
    hasher.update(body);
}

/// A user id as it is hashed into certifications (RFC 4880, 5.2.4).
pub(crate) fn hash_user_id(hasher: &mut Hasher, id: &[u8]) {
    hasher.update(&[0xb4]);
    hasher.update(&(id.len() as u32).to_be_bytes());
    hasher.update(id);
}

impl Pending {
    /// The scheme to sign with.
    pub fn scheme(&self) -> Scheme {
        self.unsigned.scheme()
    }

    /// The fingerprint that the key will have.
    pub fn fingerprint(&self) -> Fingerprint {
        self.unsigned.issuer().fingerprint
    }

    /// Puts the packets together.
    ///
    /// # Errors
    /// [`FinishError`] if `raw` is not a signature over what was prepared.
    pub fn finish(self, raw: &RawSignature) -> Result<Certificate, FinishError> {
        let certification = self.unsigned.finish(raw)?;
        let mut packets = Vec::new();
        packet::write(packet::PUBLIC_KEY, &self.key_body, &mut packets);
        packet::write(packet::USER_ID, self.user_id.as_str().as_bytes(), &mut packets);
        packets.extend_from_slice(&certification);
        Ok(Certificate::from_packets(&packets)?)
    }
}
