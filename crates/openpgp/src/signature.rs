//! Signature packets as found: what they say, and the mathematics.

use countersign_model::digest::Hasher;
use countersign_model::{Digest, HashAlg, PublicKey};

use crate::fingerprint::{Fingerprint, KeyQuery};
use crate::material::{self, bare_signature, scheme, take_mpi, to_sign};
use crate::packet::{self, Packet};
use crate::subpacket::{self, Area};
use crate::unsigned::{left_bits, trailer};

/// Why bytes are not signatures that can be judged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// Neither signature packets nor armor around them.
    #[error("not an OpenPGP signature")]
    Malformed,
    /// More than any signature file has.
    #[error("more than {max} signatures", max = crate::detached::MAX_SIGNATURES)]
    TooMany,
    /// Not over a binary document.
    #[error("the signature is not one over a binary document")]
    Type,
    /// A version other than 4.
    #[error("the signature is not of version 4")]
    Version,
    /// Not RSA, ECDSA or Ed25519.
    #[error("the signature is of an unsupported algorithm (number {0}): RSA, ECDSA and Ed25519 are accepted")]
    Algorithm(u8),
    /// A hash that nobody should rely on, or that is not known.
    #[error(
        "the signature uses a weak or unknown hash (number {0}): SHA-256, SHA-384 and SHA-512 are accepted"
    )]
    Hash(u8),
    /// It does not say when it was made, where that is covered by the signature.
    #[error("the signature does not say when it was made")]
    NoTime,
    /// It demands to be understood in a point that is not understood.
    #[error("the signature has a critical field that is not understood (number {0})")]
    Critical(u8),
}

/// A signature packet of version 4 (RFC 4880, 5.2.3).
#[derive(Clone, Debug)]
pub(crate) struct Signature {
    /// From the version to the end of the hashed subpackets.
    hashed: Vec<u8>,
    covered: Area,
    /// What anybody could have written.
    uncovered: Area,
    left: [u8; 2],
    numbers: Vec<Vec<u8>>,
    created: u32,
}

/// Bytes of `hashed` before the subpackets: version, type, algorithm, hash, length.
const HEAD: usize = 6;

impl Signature {
    pub(crate) fn of_packet(packet: &Packet<'_>) -> Result<Self, SignatureError> {
        Self::of_body(packet.body)
    }

    fn of_body(body: &[u8]) -> Result<Self, SignatureError> {
        let malformed = SignatureError::Malformed;
        let (head, _) = body.split_first_chunk::<HEAD>().ok_or(malformed.clone())?;
        if head[0] != 4 {
            return Err(SignatureError::Version);
        }
        let length = HEAD + usize::from(u16::from_be_bytes([head[4], head[5]]));
        let (hashed, rest) = body.split_at_checked(length).ok_or(malformed.clone())?;
        let (length, rest) = rest.split_first_chunk::<2>().ok_or(malformed.clone())?;
        let (unhashed, rest) =
            rest.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or(malformed.clone())?;
        let (left, rest) = rest.split_first_chunk::<2>().ok_or(malformed.clone())?;

        let covered = Area::parse(&hashed[HEAD..]).ok_or(malformed.clone())?;
        let uncovered = Area::parse(unhashed).ok_or(malformed.clone())?;
        if let Some(unknown) = covered.not_understood() {
            return Err(SignatureError::Critical(unknown));
        }
        let numbers = read_numbers(head[2], rest)?;
        let created = covered.number(subpacket::CREATED).ok_or(SignatureError::NoTime)?;
        Ok(Self { hashed: hashed.to_vec(), covered, uncovered, left: *left, numbers, created })
    }

    /// The signature inside this one: by a subkey over its primary key. It proves itself, so it may stand where
    /// it is not covered.
    pub(crate) fn embedded(&self) -> Option<Self> {
        let found =
            self.covered.find(subpacket::EMBEDDED).or_else(|| self.uncovered.find(subpacket::EMBEDDED));
        Self::of_body(found?).ok()
    }

    pub(crate) fn signature_type(&self) -> u8 {
        self.hashed[1]
    }

    fn algorithm(&self) -> u8 {
        self.hashed[2]
    }

    pub(crate) fn hash_number(&self) -> u8 {
        self.hashed[3]
    }

    /// The hash, if it is one that is accepted (RFC 4880, 9.4): not MD5, SHA-1, RIPEMD-160, nor what hardly
    /// anybody has.
    pub(crate) fn hash(&self) -> Option<HashAlg> {
        match self.hash_number() {
            8 => Some(HashAlg::Sha256),
            9 => Some(HashAlg::Sha384),
            10 => Some(HashAlg::Sha512),
            _ => None,
        }
    }

    pub(crate) fn created(&self) -> u32 {
        self.created
    }

    /// When it ceases to be valid by its own words, in Unix seconds.
    pub(crate) fn expiry(&self) -> Option<u64> {
        let seconds = self.covered.number(subpacket::SIGNATURE_LIFETIME).filter(|seconds| *seconds > 0)?;
        Some(u64::from(self.created) + u64::from(seconds))
    }

    /// Seconds after its creation that the key expires; `None`: never.
    pub(crate) fn key_lifetime(&self) -> Option<u32> {
        self.covered.number(subpacket::KEY_LIFETIME).filter(|seconds| *seconds > 0)
    }

    /// Whether the key that this is about may sign data; `None` if nothing is said.
    pub(crate) fn allows_signing(&self) -> Option<bool> {
        const SIGN: u8 = 0x02;
        let flags = self.covered.find(subpacket::KEY_FLAGS)?;
        Some(flags.first().is_some_and(|flags| flags & SIGN != 0))
    }

    /// Whether this revocation leaves what was signed before it in force: superseded or retired (RFC 4880,
    /// 5.2.3.23).
    pub(crate) fn is_soft_revocation(&self) -> bool {
        const SUPERSEDED: u8 = 1;
        const RETIRED: u8 = 3;
        let reason = self.covered.find(subpacket::REVOCATION_REASON);
        matches!(reason.and_then(<[u8]>::first), Some(&SUPERSEDED | &RETIRED))
    }

    pub(crate) fn issuer(&self) -> Option<KeyQuery> {
        let fingerprint = |area: &Area| match area.find(subpacket::ISSUER_FINGERPRINT)? {
            [4, bytes @ ..] => Some(KeyQuery::Fingerprint(<[u8; 20]>::try_from(bytes).ok()?.into())),
            _ => None,
        };
        let key_id = |area: &Area| Some(KeyQuery::Long(area.find(subpacket::ISSUER)?.try_into().ok()?));
        let areas = [&self.covered, &self.uncovered];
        areas.into_iter().find_map(fingerprint).or_else(|| areas.into_iter().find_map(key_id))
    }

    /// Without any issuer named, every key is a candidate.
    pub(crate) fn may_be_by(&self, fingerprint: &Fingerprint) -> bool {
        self.issuer().is_none_or(|issuer| issuer.matches(fingerprint))
    }

    /// The digest that is signed; `subject` has hashed what the signature is about.
    pub(crate) fn digest(&self, mut subject: Hasher) -> Digest {
        subject.update(&self.hashed);
        subject.update(&trailer(self.hashed.len()));
        subject.finish()
    }

    /// The mathematics, by the same library that makes our signatures.
    pub(crate) fn verify(&self, digest: &Digest, public: &PublicKey) -> bool {
        if self.left != left_bits(digest) || !material::is_algorithm_of(self.algorithm(), public.key_type()) {
            return false;
        }
        let raw = bare_signature(public.key_type(), &self.numbers);
        match (raw, scheme(public.key_type(), digest.alg())) {
            (Some(raw), Some(scheme)) => public.verify(scheme, &to_sign(scheme, *digest), &raw).is_ok(),
            _ => false,
        }
    }
}

/// The signature's own numbers: one for RSA, `r` and `s` for the others.
fn read_numbers(algorithm: u8, mut bytes: &[u8]) -> Result<Vec<Vec<u8>>, SignatureError> {
    let count = match algorithm {
        material::RSA | material::RSA_SIGN => 1,
        material::ECDSA | material::EDDSA_LEGACY => 2,
        material::ED25519 => {
            let (r, s) = bytes.split_at_checked(32).ok_or(SignatureError::Malformed)?;
            return Ok(vec![r.to_vec(), s.to_vec()]);
        }
        other => return Err(SignatureError::Algorithm(other)),
    };
    let numbers: Option<Vec<_>> = (0..count).map(|_| take_mpi(&mut bytes).map(<[u8]>::to_vec)).collect();
    numbers.filter(|_| bytes.is_empty()).ok_or(SignatureError::Malformed)
}

/// Signature packets among the packets of a key; what cannot be read is nobody's word.
pub(crate) fn readable(packet: &Packet<'_>) -> Option<Signature> {
    if packet.tag == packet::SIGNATURE { Signature::of_packet(packet).ok() } else { None }
}
