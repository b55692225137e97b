//! Authorities as documents: their keys over time, and the bundle that carries all of them offline.
//!
//! ```text
//! {"name": "jenkins", "keys": [KEY, …], "updated": TIME}          one authority, anonymous, unsigned
//!
//! KEY  {"id": "sha256:…", "algorithm": "rsa-2048", "pem": "-----BEGIN PUBLIC KEY-----…",
//!       "not_before": TIME, "not_after": TIME or null,
//!       "revoked": {"at": TIME, "from": TIME or null, "until": TIME or null, "reason": TEXT} or null}
//!
//! {"signatures": [{"keyid": ID, "sig": BASE64}],                  all authorities, signed by a root key
//!  "signed": {"type": "countersign-authorities", "version": 7, "issued": TIME, "expires": TIME,
//!             "authorities": {"jenkins": [KEY, …]}, "revocations": [REVOCATION, …]}}
//! ```
//!
//! Times are RFC 3339 in UTC, of whole seconds. Unknown members are passed over, but what is signed has them.
//! Whether a key counts for a signature is judged elsewhere: this module only reads and writes.
//!
//! ```
//! use countersign_records::authorities::AuthorityKeys;
//!
//! let document = r#"{"name":"jenkins","keys":[],"updated":"2026-01-02T03:04:05Z"}"#;
//! let authority: AuthorityKeys = serde_json::from_str(document)?;
//! assert_eq!(authority.name.as_str(), "jenkins");
//! # Ok::<(), serde_json::Error>(())
//! ```

mod bundle;
mod key;
mod timestamp;

pub use bundle::{Bundle, Content, MalformedBundle, Pending, Revocation, finish, prepare, root_scheme};
pub use key::{
    AuthorityKey, AuthorityKeys, DuplicateKey, KeyMismatch, KeyRevocation, algorithm_of, key_type_of,
};
