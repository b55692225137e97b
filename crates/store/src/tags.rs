//! Tags: what is signed under a name, in versions.
//!
//! A version's payload never changes. Whoever writes to a tag locks its row for the transaction, names the
//! version that they saw, and adds signatures one by one: so of two writers none loses the other's.

mod lists;
mod record;
mod write;

pub use lists::{TagFilter, TagSummary, TagVersionSummary};
pub use record::{TagHiding, TagRecord, TagSignature};
pub use write::{ExpectedTag, TagWrite, WrittenTag};
