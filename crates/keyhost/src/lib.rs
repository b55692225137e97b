//! The key process: the only code that sees a private key.
//!
//! ```text
//! front ── socket, framed messages ──▶ key host: log durably → sign → verify → answer
//!   └── guardian: starts and restarts the key host, hands its socket over
//! ```
//! - [`soft`]: keys in memory, import and export.
//! - [`seal`]: keys at rest.
//! - [`archive`]: the appliance's keys, all at once, under a passphrase.
//! - [`log`]: the signing log's one writer.
//! - [`host`]: the process itself; [`sandbox`]: what it gives up; [`guardian`]: who restarts it.
//! - [`wire`]: what is said between the processes; `client`: the front's end of it.

pub mod archive;
mod backlog;
#[cfg(feature = "client")]
pub mod client;
pub mod failpoint;
pub mod guardian;
pub mod host;
pub mod log;
pub mod sandbox;
pub mod seal;
pub mod soft;
pub mod wire;
