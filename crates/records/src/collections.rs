//! Collections of records: edited in a source, reviewed, and published signed, so that whoever has a copy can
//! check it offline. Clients are those of Kinto and of Remote Settings.
//!
//! ```text
//! source ──to-review──▶ preview ──to-sign──▶ destination     resource_line: which is which
//!                                                            status: who may ask for which step, and when
//! Content-Signature:␀{"data":[RECORD,…],"last_modified":"1795208700961"}
//!                                                            content_signature: what is signed, and the bundle
//! {"metadata":{"signatures":[BUNDLE,…],…},"timestamp":1795208700961,"changes":[RECORD or TOMBSTONE,…]}
//!                                                            changeset: what a reader gets, and makes of it
//! ```
//!
//! ```
//! use countersign_model::RawSignature;
//! use countersign_records::collections::content_signature::{Mode, Profile, Signer, Writer};
//!
//! # fn at_the_key_host(_: countersign_model::Scheme, _: countersign_model::ToSign) -> RawSignature {
//! #     RawSignature(vec![7; 96])
//! # }
//! let mut message = Writer::new(Profile::Modern, Mode::P384);
//! message.record("a", r#"{"id":"a","last_modified":1795208704639,"v":1}"#)?;
//! let (to_sign, pending) = message.finish(1795208704639);
//! let signature = at_the_key_host(pending.scheme(), to_sign);
//! let bundle = pending.finish(&signature, Signer::default())?;
//! assert_eq!(bundle.signature.len(), 128);
//! // bundle.verify(&public_key, &to_sign)?;
//! # Ok::<(), countersign_records::collections::content_signature::ContentSignatureError>(())
//! ```

pub mod changeset;
pub mod content_signature;
mod float;
pub mod resource_line;
pub mod status;

pub use float::find_float;
