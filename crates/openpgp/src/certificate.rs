//! Certificates: a public key with its user ids, subkeys, and what was signed about them.
//!
//! The packets are kept byte for byte (but for GnuPG's own trust packets, markers and padding), so that an
//! imported key is exported as it came. What they allow is judged for a given time, by signatures of the key
//! itself only, none of them with a weak hash; a revocation with a weak hash counts without being checked.
//! Revocations by third parties are not known.

mod policy;

use countersign_model::PublicKey;

use crate::armor;
use crate::fingerprint::{Fingerprint, KeyQuery};
use crate::material::{Issuer, read_key_body};
use crate::packet::{self, Packet};
use crate::signature::{Signature, readable};

pub use policy::NotUsable;

/// One public key, its user ids and subkeys.
#[derive(Clone, Debug)]
pub struct Certificate {
    packets: Vec<u8>,
    primary: ComponentKey,
    /// Direct signatures and revocations.
    direct: Vec<Signature>,
    users: Vec<User>,
    subkeys: Vec<Subkey>,
}

/// A primary key or a subkey.
#[derive(Clone, Debug)]
pub struct ComponentKey {
    body: Vec<u8>,
    created: u32,
    public: PublicKey,
    fingerprint: Fingerprint,
}

#[derive(Clone, Debug)]
struct User {
    id: Vec<u8>,
    signatures: Vec<Signature>,
}

#[derive(Clone, Debug)]
struct Subkey {
    key: ComponentKey,
    signatures: Vec<Signature>,
}

/// The most bytes that certificates are read from at once, and the most packets.
pub const MAX_BYTES: usize = armor::MAX_TEXT;
/// See [`MAX_BYTES`].
pub const MAX_PACKETS: usize = 4096;

/// The most signatures that the key itself may have made about one user id or subkey, or about itself: each of
/// them is checked whenever the key is judged.
pub const MAX_OWN_SIGNATURES: usize = 64;

/// User ids with more bytes are kept, and say nothing. GnuPG makes none that are longer.
const MAX_USER_ID: usize = 2048;

/// Why bytes are not a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Neither packets nor a `PGP PUBLIC KEY BLOCK`.
    #[error("not an OpenPGP public key")]
    Malformed,
    /// A secret key: nothing of it is kept or shown.
    #[error("this is an OpenPGP secret key, a public key is expected")]
    Secret,
    /// Not version 4 with RSA, ECDSA over a NIST curve, or Ed25519.
    #[error(
        "an OpenPGP key of an unsupported kind: version 4 with RSA, P-256, P-384, P-521 or Ed25519 is expected"
    )]
    Unsupported,
    /// More than [`MAX_BYTES`] or [`MAX_PACKETS`].
    #[error("too large: at most {MAX_PACKETS} packets in {MAX_BYTES} bytes")]
    TooLarge,
    /// More than [`MAX_OWN_SIGNATURES`].
    #[error("more than {MAX_OWN_SIGNATURES} signatures of the key itself about one of its parts")]
    TooManyOwn,
    /// Several, where one is expected.
    #[error("{0} public keys, where one is expected")]
    Several(usize),
}

impl ComponentKey {
    fn of_body(body: &[u8]) -> Option<Self> {
        let (created, public) = read_key_body(body)?;
        let fingerprint = Fingerprint::of_body(body);
        Some(Self { body: body.to_vec(), created, public, fingerprint })
    }

    /// The fingerprint.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The key itself.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// When it was made, in Unix seconds.
    pub fn created(&self) -> u32 {
        self.created
    }
}

impl Certificate {
    /// Reads one certificate, binary or armored.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn read(bytes: &[u8]) -> Result<Self, CertificateError> {
        let mut all = Self::read_all(bytes)?;
        match all.pop() {
            Some(one) if all.is_empty() => Ok(one),
            _ => Err(CertificateError::Several(all.len() + 1)),
        }
    }

    /// Reads a keyring: one certificate or more, binary or armored.
    ///
    /// # Errors
    /// [`CertificateError`], if any of them cannot be read.
    pub fn read_all(bytes: &[u8]) -> Result<Vec<Self>, CertificateError> {
        if bytes.len() > MAX_BYTES {
            return Err(CertificateError::TooLarge);
        }
        if armor::is_armored(bytes) {
            if armor::has(armor::Kind::SecretKey, bytes) {
                return Err(CertificateError::Secret);
            }
            let packets = armor::decode(armor::Kind::PublicKey, bytes).ok_or(CertificateError::Malformed)?;
            return split(&packets);
        }
        split(bytes)
    }

    /// Reads the packets of one certificate, for example of a keybox.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn from_packets(packets: &[u8]) -> Result<Self, CertificateError> {
        if packets.len() > MAX_BYTES {
            return Err(CertificateError::TooLarge);
        }
        let mut all = split(packets)?;
        match all.pop() {
            Some(one) if all.is_empty() => Ok(one),
            _ => Err(CertificateError::Several(all.len() + 1)),
        }
    }

    fn of(packets: &[Packet<'_>]) -> Result<Self, CertificateError> {
        let (first, rest) = packets.split_first().ok_or(CertificateError::Malformed)?;
        let primary = ComponentKey::of_body(first.body).ok_or(CertificateError::Unsupported)?;
        let mut certificate =
            Self { packets: Vec::new(), primary, direct: Vec::new(), users: Vec::new(), subkeys: Vec::new() };
        certificate.packets.extend_from_slice(first.whole);
        let mut target = Target::Direct;
        for packet in rest {
            certificate.packets.extend_from_slice(packet.whole);
            match packet.tag {
                packet::SIGNATURE => {
                    // Others' words are not judged: a key may have collected many of them.
                    let by_primary = |s: &Signature| s.may_be_by(&certificate.primary.fingerprint);
                    let signature = readable(packet).filter(by_primary);
                    let signatures = match target {
                        Target::Direct => Some(&mut certificate.direct),
                        Target::User => certificate.users.last_mut().map(|user| &mut user.signatures),
                        Target::Subkey => certificate.subkeys.last_mut().map(|subkey| &mut subkey.signatures),
                        Target::Unknown => None,
                    };
                    if let (Some(signatures), Some(signature)) = (signatures, signature) {
                        // One that was passed over could be a revocation.
                        if signatures.len() == MAX_OWN_SIGNATURES {
                            return Err(CertificateError::TooManyOwn);
                        }
                        signatures.push(signature);
                    }
                }
                packet::USER_ID if packet.body.len() > MAX_USER_ID => target = Target::Unknown,
                packet::USER_ID => {
                    certificate.users.push(User { id: packet.body.to_vec(), signatures: Vec::new() });
                    target = Target::User;
                }
                packet::PUBLIC_SUBKEY => match ComponentKey::of_body(packet.body) {
                    Some(key) => {
                        certificate.subkeys.push(Subkey { key, signatures: Vec::new() });
                        target = Target::Subkey;
                    }
                    // Of an algorithm that does not sign, or not here.
                    None => target = Target::Unknown,
                },
                _ => target = Target::Unknown,
            }
        }
        Ok(certificate)
    }

    /// The packets, binary.
    pub fn packets(&self) -> &[u8] {
        &self.packets
    }

    /// The packets as a `PGP PUBLIC KEY BLOCK`.
    pub fn to_armored(&self) -> String {
        armor::encode(armor::Kind::PublicKey, &self.packets)
    }

    /// The primary key's fingerprint.
    pub fn fingerprint(&self) -> Fingerprint {
        self.primary.fingerprint
    }

    /// The primary key.
    pub fn primary(&self) -> &ComponentKey {
        &self.primary
    }

    /// The primary key as the issuer of signatures.
    pub fn issuer(&self) -> Issuer {
        Issuer { public: self.primary.public.clone(), fingerprint: self.primary.fingerprint }
    }

    /// The primary key and all subkeys of kinds that can be judged.
    pub fn keys(&self) -> impl Iterator<Item = &ComponentKey> {
        std::iter::once(&self.primary).chain(self.subkeys.iter().map(|subkey| &subkey.key))
    }

    /// The user ids as they stand there; what is not UTF-8 is replaced.
    pub fn user_ids(&self) -> impl Iterator<Item = String> {
        self.users.iter().map(|user| String::from_utf8_lossy(&user.id).into_owned())
    }

    /// Whether `query` names this certificate: by its primary key.
    pub fn answers_to(&self, query: &KeyQuery) -> bool {
        query.matches(&self.primary.fingerprint)
    }
}

/// What the signatures that follow are about.
enum Target {
    Direct,
    User,
    Subkey,
    Unknown,
}

/// Tags of secret keys.
const SECRET_KEY: u8 = 5;
const SECRET_SUBKEY: u8 = 7;

/// Splits packets at the public keys.
fn split(mut bytes: &[u8]) -> Result<Vec<Certificate>, CertificateError> {
    let mut all = Vec::new();
    let mut packets = Vec::new();
    let mut count = 0;
    while !bytes.is_empty() {
        let packet = packet::take(&mut bytes).map_err(|_| CertificateError::Malformed)?;
        count += 1;
        match packet.tag {
            _ if count > MAX_PACKETS => return Err(CertificateError::TooLarge),
            SECRET_KEY | SECRET_SUBKEY => return Err(CertificateError::Secret),
            packet::TRUST | packet::MARKER | packet::PADDING => continue,
            packet::PUBLIC_KEY if !packets.is_empty() => {
                all.push(Certificate::of(&packets)?);
                packets.clear();
            }
            packet::PUBLIC_KEY => {}
            _ if packets.is_empty() => return Err(CertificateError::Malformed),
            _ => {}
        }
        packets.push(packet);
    }
    all.push(Certificate::of(&packets)?);
    Ok(all)
}
