//! Signed collections: records edited at a source, reviewed, signed, and copied to a destination that anyone
//! can verify.
//!
//! ```text
//! call       what a client asks, and what it is answered        uri        buckets, groups, collections, records
//! who        the caller            principals  their groups      permission who may do what, and inheritance
//! writer     requests that share a transaction                  apply      what each request does
//! judge      who may not is told before they wait               values     what is looked for in lists
//! work       one transaction's view of the objects              object     one of them; history: what was done
//! query      filter, sort, fields, selection, page_token: lists schema     JSON Schemas of collections
//! accounts   names and passwords                                default_bucket  a bucket of one's own
//! attachment files that belong to records
//! signer     review and signatures                              reading    what anybody may fetch and verify
//! chain      certificates of the keys that sign                 autograph  who signs for us elsewhere
//! webhook    who is told of reviews                             outside    requests to others
//! settings   what the configuration says                        error      why something is refused
//! ```
//!
//! Every request, alone or in a batch, is a list of [`Call`]s that [`execute`](writer::execute) answers: reads in
//! one snapshot, writes in one transaction with everything that follows from them, the signature too.

pub mod accounts;
pub mod apply;
pub mod attachment;
pub mod autograph;
pub mod call;
pub mod chain;
pub mod change;
pub mod default_bucket;
pub mod error;
pub mod fields;
pub mod filter;
mod flush;
mod history;
mod ids;
mod judge;
pub mod object;
pub mod outside;
pub mod page_token;
pub mod permission;
mod principals;
pub mod query;
pub mod reading;
mod schema;
mod selection;
pub mod settings;
pub mod signer;
pub mod sort;
mod state;
pub mod uri;
mod values;
pub mod webhook;
pub mod who;
pub mod work;
pub mod writer;

pub use call::{Answer, Body, Call, Conditions, Method, Target};
pub use error::{Error, Invalid, Location};
pub use flush::flush;
pub use history::iso;
pub use object::Object;
pub use principals::principals_of;
pub use settings::Settings;
pub use state::State;
pub use uri::{Kind, ListUri, ObjectUri};
pub use who::Who;
pub use work::Work;
pub use writer::execute;
