//! Use-cases, no HTTP: what can be asked of the system, one file a family.
//!
//! Every function takes a [`Context`] (the open deployment) and a [`Caller`] (who asks, through which
//! surface, in which request), decides by policy, writes to the signing log before it changes anything,
//! and answers with a document or a typed [`Error`]. A surface parses, makes one call, renders.
//!
//! ```text
//! auth       who is it                       pipeline   policy → Permit → key host
//! keys       make, import, retire, export    signing    one, batch, stream; verify
//! principals people, tokens, Hawk pairs      policy     rules, check, replay
//! log        heads, entries, proofs          idempotency  the first answer again
//! backup     create, verify, restore         startup    open a data directory
//! publication  what was published: the log that everybody may read
//! autograph  requests signed with Hawk
//! certify    certificates, requests for them, OpenPGP keys
//! collections  records that are reviewed, signed and published
//! tuf          metadata that several people sign, artifacts in hash bins, publication
//! ```

pub mod appliance;
pub mod auth;
pub mod autograph;
mod background;
pub mod backup;
pub mod caller;
pub mod certify;
pub mod collections;
pub mod context;
pub mod error;
mod home;
pub mod idempotency;
pub mod keys;
mod lease;
pub mod log;
pub mod page;
pub mod pipeline;
pub mod policy;
pub mod principals;
pub mod publication;
mod random;
pub mod seal;
pub mod signing;
mod snapshot;
pub mod startup;
pub mod tags;
pub mod tuf;

pub use caller::{Caller, Identity, TokenRef};
pub use context::{Context, Limits, SystemClock};
pub use countersign_keyhost::client::LogRef;
pub use countersign_keyhost::seal::SealSource;
pub use countersign_keyhost::wire::Secret;
pub use countersign_store::FilesConfig;
pub use error::{Code, Error};
pub use page::Page;
pub use pipeline::Logged;
