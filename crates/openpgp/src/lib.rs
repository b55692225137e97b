//! OpenPGP (RFC 4880, RFC 6637, RFC 9580) for keys that live elsewhere: version 4 keys with one user id,
//! detached signatures, and the judgement of both.
//!
//! ```text
//! key        99 01 0d | 04 created(4) 01 n e                 public key
//!            b4 27    | Release key <release@example.org>     user id
//!            89 01 4e | 04 13 01 0a hashed unhashed left16 s  certification of both by the key itself
//!
//! signature  89 01 33 | 04 00 01 0a                           version 4, binary document, RSA, SHA-512
//!                       00 1d  16 21 04 fingerprint(20)       hashed: issuer fingerprint
//!                              05 02 created(4)                       creation time
//!                       00 0a  09 10 key id(8)                unhashed: issuer, where GRUB looks for it
//!                       left16 | MPI of s
//! ```
//! Packet headers are in the old format, as `gpg` writes them.
//!
//! To make a key or a signature: `prepare`, give the bytes to the key, `finish`. What is signed is always
//! SHA-512 of everything; Ed25519 signs that digest as its message.
//!
//! ```
//! use countersign_model::{HashAlg, PublicKey, RawSignature, Scheme, ToSign, digest::Hasher};
//! use countersign_openpgp::{Certificate, DetachedSignature, UserId, detached, key};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
//! # let pair = Ed25519KeyPair::generate()?;
//! # let public = PublicKey::from_ed25519(pair.public_key().as_ref().try_into()?)?;
//! # let at_the_key_host = |_: Scheme, to_sign: &ToSign| RawSignature(pair.sign(to_sign.as_bytes()).as_ref().to_vec());
//! let user = UserId::new("Release key", "", "release@example.org")?;
//! let (to_sign, pending) = key::prepare(&public, &user, 1_795_210_373)?;
//! let raw = at_the_key_host(pending.scheme(), &to_sign);
//! let certificate: Certificate = pending.finish(&raw)?;
//! assert!(certificate.to_armored().starts_with("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n"));
//!
//! // The content may come in pieces: a hasher is all that is kept of it.
//! let mut content = detached::hasher();
//! content.update(b"boot loader configuration");
//! let (to_sign, pending) = detached::prepare(&certificate.issuer(), content, 1_795_210_390);
//! let raw = at_the_key_host(pending.scheme(), &to_sign);
//! let signature: Vec<u8> = pending.finish(&raw)?;
//!
//! let found = DetachedSignature::read(&signature)?;
//! let content = found[0].hash_of(b"boot loader configuration");
//! let good = found[0].verify(content, &[certificate], 1_795_210_400)?;
//! assert_eq!(good.signed_at, 1_795_210_390);
//! # Ok(())
//! # }
//! ```
//!
//! - [`key`]: a new key's packets. [`certificate`]: packets that exist, kept byte for byte, and what they
//!   allow at a given time.
//! - [`detached`]: signatures over a document. [`cleartext`]: a text with its signature behind it.
//!
//! Times are Unix seconds (UTC) in 32 bits, as the standard has them.

mod armor;
pub mod certificate;
pub mod cleartext;
pub mod detached;
mod fingerprint;
pub mod key;
mod material;
mod packet;
mod signature;
mod subpacket;
mod unsigned;
mod user_id;

pub use certificate::{Certificate, CertificateError, NotUsable};
pub use cleartext::ClearSigned;
pub use detached::{DetachedSignature, Good, Refusal};
pub use fingerprint::{BadKeyQuery, Fingerprint, KeyQuery};
pub use key::{FinishError, KeyError};
pub use material::Issuer;
pub use signature::SignatureError;
pub use user_id::{UserId, UserIdError};
