//! Detached signatures over binary documents.
//!
//! To sign, hash the content with [`hasher`], then [`prepare`], give the bytes to the key,
//! [`Pending::finish`]. To verify, [`DetachedSignature::read`], hash the content with the hash that each
//! signature names, [`DetachedSignature::verify`]. Neither keeps the content in memory.
//!
//! A signature over a digest that somebody else made cannot be had: the standard hashes the signature's own
//! fields behind the content, so the hash must still be open.

use countersign_model::digest::Hasher;
use countersign_model::{Digest, HashAlg, KeyType, RawSignature, Scheme, ToSign};

use crate::armor;
use crate::certificate::{Certificate, NotUsable};
use crate::fingerprint::{Fingerprint, KeyQuery};
use crate::key::FinishError;
use crate::material::{Issuer, scheme};
use crate::packet;
use crate::signature::{Signature, SignatureError};
use crate::unsigned::Unsigned;

/// A hasher for content that is to be signed: SHA-512, which boot loaders have built in.
pub fn hasher() -> Hasher {
    Hasher::new(HashAlg::Sha512)
}

/// The scheme that a key of this type signs documents with: SHA-512, with RSA as PKCS#1 v1.5; Ed25519 signs
/// that digest as its message. `None` for types that OpenPGP keys are not made of here.
pub fn scheme_for(key_type: KeyType) -> Option<Scheme> {
    scheme(key_type, HashAlg::Sha512)
}

/// What [`Self::finish`] needs when the signature has come.
#[derive(Clone, Debug)]
pub struct Pending(Unsigned);

/// Signature of a binary document (RFC 4880, 5.2.1).
const BINARY: u8 = 0x00;

/// Prepares a signature over the content that `content` has hashed; `content` comes from [`hasher`].
///
/// - `created`: Unix seconds.
///
/// Follows RFC 4880, 5.2.3 and 5.2.4. The issuer's key id stands in the unhashed area, the only place where
/// GRUB looks for it.
pub fn prepare(issuer: &Issuer, content: Hasher, created: u32) -> (ToSign, Pending) {
    // An `Issuer` is made for types that have a scheme only.
    let scheme = scheme_for(issuer.public.key_type()).unwrap_or(Scheme::Ed25519);
    let (to_sign, unsigned) = Unsigned::prepare(issuer, scheme, BINARY, created, &[], content);
    (to_sign, Pending(unsigned))
}

impl Pending {
    /// The scheme to sign with.
    pub fn scheme(&self) -> Scheme {
        self.0.scheme()
    }

    /// The signature packet, with its header in the old format, not armored.
    ///
    /// # Errors
    /// [`FinishError::Signature`] if `raw` is not a signature over what was prepared.
    pub fn finish(self, raw: &RawSignature) -> Result<Vec<u8>, FinishError> {
        Ok(self.0.finish(raw)?)
    }
}

/// `packet` as an armored `PGP SIGNATURE` block.
pub fn to_armored(packet: &[u8]) -> String {
    armor::encode(armor::Kind::Signature, packet)
}

/// A signature over a binary document, as found.
#[derive(Clone, Debug)]
pub struct DetachedSignature {
    inner: Signature,
    hash: HashAlg,
}

/// The most signatures that are read from one file.
pub const MAX_SIGNATURES: usize = 16;

/// A signature that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Good {
    /// The certificate's fingerprint.
    pub certificate: Fingerprint,
    /// The fingerprint of the key that signed: the certificate's own, or one of its subkeys'.
    pub key: Fingerprint,
    /// When, in Unix seconds.
    pub signed_at: u32,
}

/// Why a signature is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No certificate that was given has the key.
    #[error("signed by key {0}, which is not among the given keys")]
    UnknownKey(String),
    /// The content was hashed with another hash than the signature names.
    #[error("the content was hashed with {got}, the signature names {wanted}")]
    OtherHash {
        /// The hash given.
        got: HashAlg,
        /// The hash named.
        wanted: HashAlg,
    },
    /// The mathematics say no.
    #[error("the signature is not valid for this key and content")]
    Invalid,
    /// Made later than the time asked about.
    #[error("the signature is from the future: made at {signed_at}, now is {at}")]
    Future {
        /// Unix seconds.
        signed_at: u32,
        /// Unix seconds.
        at: u32,
    },
    /// It says itself how long it is valid, and that is over.
    #[error("the signature expired at {0}")]
    Expired(u64),
    /// The key may not sign, or not at that time.
    #[error(transparent)]
    Key(#[from] NotUsable),
}

impl Refusal {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::UnknownKey(_) => "give the signer's public key, if it is one that you trust",
            Self::OtherHash { .. } => "hash the content with the hash that the signature names",
            Self::Invalid => "the content or the signature was changed: get both again from their origin",
            Self::Future { .. } => "check the clocks of the signer and of this machine",
            Self::Expired(_) | Self::Key(_) => "ask the signer for a new signature",
        }
    }
}

impl DetachedSignature {
    /// Reads all signatures of a file, binary or armored.
    ///
    /// # Errors
    /// [`SignatureError`], if any one of them is not a version 4 signature over a binary document with a hash
    /// that is accepted.
    pub fn read(bytes: &[u8]) -> Result<Vec<Self>, SignatureError> {
        if bytes.len() > armor::MAX_TEXT {
            return Err(SignatureError::Malformed);
        }
        let dearmored;
        let mut rest = bytes;
        if armor::is_armored(bytes) {
            dearmored = armor::decode(armor::Kind::Signature, bytes).ok_or(SignatureError::Malformed)?;
            rest = &dearmored;
        }
        let mut found = Vec::new();
        while !rest.is_empty() {
            let packet = packet::take(&mut rest).map_err(|_| SignatureError::Malformed)?;
            match packet.tag {
                packet::SIGNATURE if found.len() == MAX_SIGNATURES => return Err(SignatureError::TooMany),
                packet::SIGNATURE => found.push(Self::of_packet(&packet)?),
                packet::MARKER | packet::PADDING => {}
                _ => return Err(SignatureError::Malformed),
            }
        }
        if found.is_empty() { Err(SignatureError::Malformed) } else { Ok(found) }
    }

    fn of_packet(packet: &packet::Packet<'_>) -> Result<Self, SignatureError> {
        Self::of_type(packet, BINARY)
    }

    pub(crate) fn of_type(packet: &packet::Packet<'_>, wanted: u8) -> Result<Self, SignatureError> {
        let inner = Signature::of_packet(packet)?;
        if inner.signature_type() != wanted {
            return Err(SignatureError::Type);
        }
        let hash = inner.hash().ok_or(SignatureError::Hash(inner.hash_number()))?;
        Ok(Self { inner, hash })
    }

    /// The hash to hash the content with.
    pub fn hash(&self) -> HashAlg {
        self.hash
    }

    /// When it says it was made, in Unix seconds.
    pub fn created(&self) -> u32 {
        self.inner.created()
    }

    /// A hasher that has hashed `content`, for content that is at hand as a whole.
    pub fn hash_of(&self, content: &[u8]) -> Hasher {
        let mut hasher = Hasher::new(self.hash);
        hasher.update(content);
        hasher
    }

    /// The fingerprint or key id that it names as its issuer's. A hint for finding the key, not a proof.
    pub fn issuer(&self) -> Option<KeyQuery> {
        self.inner.issuer()
    }

    /// Judges the signature over what `content` has hashed.
    ///
    /// - `content`: a hasher of [`Self::hash`].
    /// - `trusted`: the certificates whose signatures are wanted.
    /// - `at`: the time that the question is about, in Unix seconds; usually now.
    ///
    /// # Errors
    /// [`Refusal`] unless a key among `trusted` made the signature and may sign at `at`: its self-signatures
    /// verify, it is neither expired nor revoked, its flags allow signing, and a subkey has signed its binding
    /// back. With several candidates the refusal is the first one's.
    pub fn verify(&self, content: Hasher, trusted: &[Certificate], at: u32) -> Result<Good, Refusal> {
        let digest = self.inner.digest(content);
        if digest.alg() != self.hash {
            return Err(Refusal::OtherHash { got: digest.alg(), wanted: self.hash });
        }
        let signed_at = self.created();
        if signed_at > at {
            return Err(Refusal::Future { signed_at, at });
        }
        if let Some(end) = self.inner.expiry().filter(|end| *end <= u64::from(at)) {
            return Err(Refusal::Expired(end));
        }
        let mut refusal = None;
        for certificate in trusted {
            match self.verify_with(&digest, certificate, at) {
                None => {}
                Some(Ok(good)) => return Ok(good),
                Some(Err(error)) => refusal = refusal.or(Some(error)),
            }
        }
        Err(refusal.unwrap_or_else(|| Refusal::UnknownKey(self.issuer_text())))
    }

    /// `None` if the certificate has no key that the signature names.
    fn verify_with(
        &self,
        digest: &Digest,
        certificate: &Certificate,
        at: u32,
    ) -> Option<Result<Good, Refusal>> {
        let candidates = certificate.keys().filter(|key| self.inner.may_be_by(&key.fingerprint()));
        let mut refusal = None;
        for key in candidates {
            let judged = if self.inner.verify(digest, key.public()) {
                certificate.check_signing(key, self.created(), at).map_err(Refusal::Key).map(|()| Good {
                    certificate: certificate.fingerprint(),
                    key: key.fingerprint(),
                    signed_at: self.created(),
                })
            } else {
                Err(Refusal::Invalid)
            };
            match judged {
                Ok(good) => return Some(Ok(good)),
                Err(error) => refusal = refusal.or(Some(error)),
            }
        }
        refusal.map(Err)
    }

    fn issuer_text(&self) -> String {
        match self.issuer() {
            Some(KeyQuery::Fingerprint(fingerprint)) => fingerprint.to_string(),
            Some(KeyQuery::Long(id)) => hex::encode_upper(id),
            Some(KeyQuery::Short(_)) | None => "without a name".into(),
        }
    }
}
