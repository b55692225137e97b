//! Verdicts from bytes, trust anchors and a time. Pure: what a stranger needs to check what was signed
//! here, without asking anybody.
//!
//! - [`raw`]: a bare signature over a message or a digest.
//! - [`tag`]: who signed a tag file, by a key at hand.
//! - [`authority`]: what an authority's signature is worth, by its keys over time and what is revoked.
//! - [`bundle`]: all authorities with their keys, under the signature of a root key.
//! - [`collection`]: a copy of a signed collection, by a pinned root or by a key at hand.
//! - [`format`](mod@format): OpenPGP, CMS, certificates, and what boots: PE images, kernel modules, EFI variables,
//!   Raspberry Pi images.
//! - [`log`]: an entry of the signing log, and that it is the entry of a signature at hand.
//!
//! ```
//! use countersign_model::{Encoding, PublicKey, Scheme, ToSign};
//! use countersign_verify::raw::{self, RawError};
//!
//! let key = PublicKey::from_ed25519(&[
//!     0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a,
//!     0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
//! ])?;
//! let content = ToSign::of_message(Scheme::Ed25519, b"another message");
//! let verdict = raw::verify(&key, Scheme::Ed25519, &content, &[0; 64], Encoding::Der);
//! assert_eq!(verdict, Err(RawError::Invalid));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod authority;
pub mod bundle;
pub mod collection;
pub mod format;
pub mod log;
pub mod raw;
pub mod tag;
