//! Hawk 1.x: requests that prove by a MAC that their sender has a secret, which is never sent.
//!
//! ```text
//! Authorization: Hawk id="alice", ts="1795208701", nonce="xAbC12", hash="p29i…GYk=", mac="eV81…bCY="
//!
//! mac  = HMAC-SHA-256(key, hawk.1.header ⏎ ts ⏎ nonce ⏎ METHOD ⏎ resource ⏎ host ⏎ port ⏎ hash ⏎ ext ⏎)
//! hash = SHA-256(hawk.1.payload ⏎ media type ⏎ body ⏎)
//! ```
//!
//! with both in base64, and with `app ⏎ dlg ⏎` after `ext` where there is an `app`. Whoever checks a request
//! has three things left to do: compare the clock with [`Header::ts`], remember [`Header::nonce`], and
//! compare [`Header::hash`] with what the [`PayloadHasher`] says of the body.
//!
//! ```
//! use countersign_model::hawk::{self, Artifacts, Header, Target};
//!
//! let target = Target::new("POST", "/sign/data", "127.0.0.1:8000", hawk::Transport::Http)?;
//! let hash = hawk::payload_hash("application/json", b"[]");
//! let artifacts = Artifacts { ts: 1795208701, nonce: "xAbC12".into(), hash: Some(hash), ..Artifacts::default() };
//! let text = hawk::header("alice", b"secret", &target, &artifacts)?;
//!
//! let header = Header::parse(&text)?;
//! assert_eq!(header.id, "alice");
//! assert!(header.is_by(b"secret", &target) && !header.is_by(b"guess", &target));
//! # Ok::<(), hawk::HawkError>(())
//! ```

mod header;
mod mac;
mod target;

pub use header::{Artifacts, Header, ServerHeader, header, server_header};
pub use mac::{PayloadHasher, payload_hash, timestamp_mac};
pub use target::{Target, Transport};

/// The longest header that is read, in bytes, as the reference has it.
pub const MAX_HEADER: usize = 4096;

/// Why a header is not read or not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HawkError {
    /// Another scheme, or none.
    #[error("the `Authorization` header is not of the scheme `Hawk`")]
    Scheme,
    /// More than [`MAX_HEADER`] bytes.
    #[error("the Hawk header is longer than {MAX_HEADER} bytes")]
    TooLong,
    /// Not a list of `name="value"`.
    #[error("the Hawk header is not a list of `name=\"value\"` with commas between")]
    Malformed,
    /// An attribute that Hawk does not have.
    #[error("the Hawk header has an unknown attribute `{0}`")]
    Unknown(String),
    /// An attribute that is there twice.
    #[error("the Hawk header has the attribute `{0}` twice")]
    Twice(&'static str),
    /// An attribute without which it says nothing.
    #[error("the Hawk header has no attribute `{0}`")]
    Missing(&'static str),
    /// An attribute of another form.
    #[error("the attribute `{0}` of the Hawk header is malformed")]
    Attribute(&'static str),
    /// A `Host` that is not a name or an address with a port or none.
    #[error("the host is not a name or an address with a port or none")]
    Host,
    /// A method or a resource with white space in it, or none.
    #[error("the method or the resource has white space in it, or is empty")]
    Target,
}

impl HawkError {
    /// One sentence for the person who reads the terminal or the log.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Scheme => {
                "send `Authorization: Hawk id=\"…\", ts=\"…\", nonce=\"…\", hash=\"…\", mac=\"…\"`"
            }
            Self::TooLong | Self::Malformed | Self::Unknown(_) | Self::Twice(_) => {
                "let a Hawk library write the header, and nothing between change it"
            }
            Self::Missing(_) | Self::Attribute(_) => {
                "`ts` is whole seconds, `mac` and `hash` are base64 of 32 bytes, nothing is empty but `ext`"
            }
            Self::Host => "send `Host: NAME` or `Host: NAME:PORT`",
            Self::Target => "the resource is path and query as they stand in the request",
        }
    }
}

#[cfg(test)]
mod tests;
