//! Signed collections: records edited at a source, reviewed, signed, and copied to a destination that anyone
//! can verify.
//!
//! ```text
//! call       what a client asks, and what it is answered        uri        buckets, groups, collections, records
//! who        the principals of a request                        permission who may do what, and inheritance
//! work       one transaction's view of the objects              writer     requests that share a transaction
//! settings   what the configuration says                        error      why something is refused
//! ```
//!
//! Every request, alone or in a batch, is a list of [`Call`]s that [`execute`](writer::execute) answers: reads in
//! one snapshot, writes in one transaction with everything that follows from them, the signature too.

pub mod call;
pub mod error;
pub mod settings;
pub mod uri;
pub mod who;

pub use call::{Answer, Body, Call, Conditions, Method, Target};
pub use error::{Error, Invalid, Location};
pub use settings::Settings;
pub use uri::{Kind, ListUri, ObjectUri};
pub use who::Who;
