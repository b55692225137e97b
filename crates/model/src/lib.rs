//! The vocabulary that every other crate speaks. Pure: no file, socket, clock, randomness or logger.
//!
//! A signature is made in three steps, whatever the standard: a format *prepares* the bytes
//! ([`ToSign`]), a key backend signs them under a [`Scheme`] and returns a [`RawSignature`], and the
//! format *finishes* the artifact. In between stands the policy: nothing reaches a key without a
//! [`policy::Permit`], and only [`policy::Policy`] makes one.
//!
//! ```
//! use countersign_model::{digest::HashAlg, scheme::{KeyType, Scheme}, signing::ToSign};
//!
//! let scheme: Scheme = "ecdsa-sha256".parse()?;
//! assert!(scheme.fits(KeyType::P384));
//! let to_sign = ToSign::of_message(scheme, b"release 1.0");
//! assert!(matches!(to_sign, ToSign::Digest(d) if d.alg() == HashAlg::Sha256));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod action;
pub mod canonical;
pub mod clock;
pub mod digest;
pub mod entry;
pub mod format;
pub mod hawk;
pub mod key;
pub mod name;
pub mod pem;
pub mod policy;
pub mod public_key;
pub mod scheme;
pub mod signing;
pub mod ssh;
pub mod strict_json;
pub mod surface;
pub mod time;
pub mod token;

pub use action::{Action, Resource};
pub use clock::Clock;
pub use digest::{Digest, HashAlg};
pub use format::Format;
pub use name::{KeyId, KeyName, Name, PrincipalName, RequestId};
pub use public_key::PublicKey;
pub use scheme::{KeyType, Scheme};
pub use signing::{Encoding, RawSignature, ToSign};
pub use surface::Surface;
