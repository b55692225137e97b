//! Tags: texts that several authorities sign, kept by name and version.
//!
//! ```text
//! authorities  who vouches, with which keys over time; signing in their name
//! requests     what waits until enough principals agree
//! bundle       all keys in one signed document
//! recorded     when a signature was made, as the log says
//! validate     what the signatures in a file are worth
//! sign         a text, which is given back and not kept
//! write        make tags, sign them, hide and restore them
//! read         read, list and find tags
//! artifact     tags about bytes: a payload with a fixed head
//! name, file   which names a tag can have; tags as files and as log entries
//! ```
//!
//! Reading is for everybody; what a caller may write is asked in their own name (`tag:write` on `tag:NAME`,
//! `authority:sign` on `authority:NAME`), and the keys are used in the surface's.

mod artifact;
pub mod authorities;
pub mod bundle;
mod error;
mod file;
mod name;
mod read;
pub mod recorded;
pub mod requests;
mod sign;
mod validate;
mod write;

pub use artifact::NewHead;
pub use countersign_verify::authority::Judgement;
pub use error::Error;
pub use name::TagName;
pub use read::{
    Stored, StoredSignature, TagDocument, TagList, VersionDocument, VersionList, find_by_digest, get,
    get_judged, list, signature, versions,
};
pub use sign::{Form, SignOutcome, SignedText, read as read_text, sign};
pub use validate::{Verdict, Who, validate};
pub use write::{
    Belief, Content, OverOthers, WriteOutcome, Writer, Written, countersign, hide, merge, post, restore,
};

/// The most bytes of a payload: 1 MiB.
pub const MAX_PAYLOAD: usize = 1 << 20;
