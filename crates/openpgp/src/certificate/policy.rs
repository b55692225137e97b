//! What the keys of a certificate may do at a given time.

use countersign_model::digest::Hasher;

use super::{Certificate, ComponentKey, Subkey, User};
use crate::fingerprint::Fingerprint;
use crate::key::{hash_key, hash_user_id};
use crate::signature::Signature;

/// Why a key of a certificate does not count as a signer at the time asked about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotUsable {
    /// No signature of the primary key says what the key is for.
    #[error("key {0} has no valid signature of its own that says what it is for")]
    NoSelfSignature(Fingerprint),
    /// Revoked by its owner.
    #[error("key {0} is revoked")]
    Revoked(Fingerprint),
    /// Past its time.
    #[error("key {key} expired at {at}")]
    Expired {
        /// The key.
        key: Fingerprint,
        /// Unix seconds.
        at: u64,
    },
    /// Its flags do not say that it signs data.
    #[error("key {0} is not for signing")]
    NotForSigning(Fingerprint),
    /// A subkey that does not say itself that it belongs to the primary key.
    #[error("subkey {0} has not signed its binding to the primary key")]
    NoBackSignature(Fingerprint),
    /// The signature claims to be older than the key.
    #[error("key {0} was made later than the signature")]
    Younger(Fingerprint),
}

impl ComponentKey {
    fn check_expiry(&self, lifetime: Option<u32>, at: u32) -> Result<(), NotUsable> {
        let end = lifetime.map(|seconds| u64::from(self.created) + u64::from(seconds));
        match end.filter(|end| *end <= u64::from(at)) {
            Some(at) => Err(NotUsable::Expired { key: self.fingerprint, at }),
            None => Ok(()),
        }
    }
}

impl Certificate {
    /// Whether signatures by the primary key count at `at` (Unix seconds).
    ///
    /// # Errors
    /// [`NotUsable`].
    pub fn check(&self, at: u32) -> Result<(), NotUsable> {
        self.check_signing(&self.primary, at, at)
    }

    /// Whether `key`, one of [`Self::keys`], may have signed data at `signed_at`, asked at `at`.
    pub(crate) fn check_signing(&self, key: &ComponentKey, signed_at: u32, at: u32) -> Result<(), NotUsable> {
        if signed_at < key.created {
            return Err(NotUsable::Younger(key.fingerprint));
        }
        let about_primary = self.check_primary(at)?;
        let subkey = self.subkeys.iter().find(|subkey| subkey.key.fingerprint == key.fingerprint);
        let about = match subkey {
            Some(subkey) if key.fingerprint != self.primary.fingerprint => self.check_subkey(subkey, at)?,
            _ => about_primary,
        };
        // Old keys say nothing: then everything is allowed that the algorithm can do.
        if about.allows_signing() == Some(false) {
            return Err(NotUsable::NotForSigning(key.fingerprint));
        }
        match subkey {
            Some(subkey) if key.fingerprint != self.primary.fingerprint => {
                self.check_back_signature(subkey, about, at)
            }
            _ => Ok(()),
        }
    }

    /// Neither revoked nor expired at `at`; returns the self-signature in force.
    fn check_primary(&self, at: u32) -> Result<&Signature, NotUsable> {
        let fingerprint = self.primary.fingerprint;
        let about_key = |hasher: &mut Hasher| hash_key(hasher, &self.primary.body);
        if self.direct.iter().any(|s| {
            s.signature_type() == KEY_REVOCATION && revokes(s, at) && self.is_by_primary(s, about_key)
        }) {
            return Err(NotUsable::Revoked(fingerprint));
        }
        let direct = self.direct.iter().filter(|s| {
            s.signature_type() == DIRECT_KEY && is_in_force(s, at) && self.is_by_primary(s, about_key)
        });
        let certifications = self.users.iter().filter_map(|user| self.certification(user, at));
        let newest = direct
            .chain(certifications)
            .max_by_key(|s| s.created())
            .ok_or(NotUsable::NoSelfSignature(fingerprint))?;
        self.primary.check_expiry(newest.key_lifetime(), at)?;
        Ok(newest)
    }

    /// The newest certification of a user id by the primary key, unless it was taken back since.
    fn certification<'a>(&self, user: &'a User, at: u32) -> Option<&'a Signature> {
        let about = |hasher: &mut Hasher| {
            hash_key(hasher, &self.primary.body);
            hash_user_id(hasher, &user.id);
        };
        let own = |types: std::ops::RangeInclusive<u8>| {
            user.signatures
                .iter()
                .filter(move |s| types.contains(&s.signature_type()) && is_in_force(s, at))
                .filter(|s| self.is_by_primary(s, about))
                .max_by_key(|s| s.created())
        };
        let newest = own(CERTIFICATIONS)?;
        let revoked = own(CERTIFICATION_REVOCATION..=CERTIFICATION_REVOCATION);
        if revoked.is_some_and(|r| r.created() >= newest.created()) { None } else { Some(newest) }
    }

    /// Bound, neither revoked nor expired at `at`; returns the binding in force.
    fn check_subkey<'a>(&self, subkey: &'a Subkey, at: u32) -> Result<&'a Signature, NotUsable> {
        let fingerprint = subkey.key.fingerprint;
        let about = |hasher: &mut Hasher| {
            hash_key(hasher, &self.primary.body);
            hash_key(hasher, &subkey.key.body);
        };
        if subkey.signatures.iter().any(|s| {
            s.signature_type() == SUBKEY_REVOCATION && revokes(s, at) && self.is_by_primary(s, about)
        }) {
            return Err(NotUsable::Revoked(fingerprint));
        }
        let binding = subkey
            .signatures
            .iter()
            .filter(|s| {
                s.signature_type() == SUBKEY_BINDING && is_in_force(s, at) && self.is_by_primary(s, about)
            })
            .max_by_key(|s| s.created())
            .ok_or(NotUsable::NoSelfSignature(fingerprint))?;
        subkey.key.check_expiry(binding.key_lifetime(), at)?;
        Ok(binding)
    }

    /// Without it somebody could claim another's signing key as a subkey of their own (RFC 4880, 5.2.1).
    fn check_back_signature(&self, subkey: &Subkey, binding: &Signature, at: u32) -> Result<(), NotUsable> {
        let signed_back = binding.embedded().is_some_and(|back| {
            back.signature_type() == PRIMARY_KEY_BINDING
                && is_in_force(&back, at)
                && is_by(&back, &subkey.key, |hasher| {
                    hash_key(hasher, &self.primary.body);
                    hash_key(hasher, &subkey.key.body);
                })
        });
        if signed_back { Ok(()) } else { Err(NotUsable::NoBackSignature(subkey.key.fingerprint)) }
    }

    fn is_by_primary(&self, signature: &Signature, subject: impl Fn(&mut Hasher)) -> bool {
        is_by(signature, &self.primary, subject)
    }
}

/// Signature types (RFC 4880, 5.2.1).
const CERTIFICATIONS: std::ops::RangeInclusive<u8> = 0x10..=0x13;
const SUBKEY_BINDING: u8 = 0x18;
const PRIMARY_KEY_BINDING: u8 = 0x19;
const DIRECT_KEY: u8 = 0x1f;
const KEY_REVOCATION: u8 = 0x20;
const SUBKEY_REVOCATION: u8 = 0x28;
const CERTIFICATION_REVOCATION: u8 = 0x30;

/// Made by `at`, and not over.
fn is_in_force(signature: &Signature, at: u32) -> bool {
    signature.created() <= at && signature.expiry().is_none_or(|end| end > u64::from(at))
}

/// A compromised key was never to be trusted; a retired one was until it retired.
fn revokes(signature: &Signature, at: u32) -> bool {
    !signature.is_soft_revocation() || is_in_force(signature, at)
}

/// Whether `key` made the signature over what `subject` hashes, with a hash that is accepted.
///
/// A revocation with another hash cannot be checked, and counts: better a key too few than one too many.
fn is_by(signature: &Signature, key: &ComponentKey, subject: impl Fn(&mut Hasher)) -> bool {
    if !signature.may_be_by(&key.fingerprint) {
        return false;
    }
    let Some(hash) = signature.hash() else {
        return matches!(
            signature.signature_type(),
            KEY_REVOCATION | SUBKEY_REVOCATION | CERTIFICATION_REVOCATION
        );
    };
    let mut hasher = Hasher::new(hash);
    subject(&mut hasher);
    signature.verify(&signature.digest(hasher), &key.public)
}
