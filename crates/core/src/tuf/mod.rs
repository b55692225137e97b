//! The TUF repository service: metadata that several people sign over days, artifacts in hash bins, publication.
//!
//! ```text
//! request     what clients ask, as it is stored with a task      task        durable work, and what became of it
//! accept      whether the repository is in a state for it        worker      one task after another, artifacts in groups
//! apply       a task in its transaction                          repository  the state that tasks change
//! root        new roots: submitted, signed, overridden, stopped  challenge   proof of possession
//! role        delegated roles that wait for signatures           delegations which roles there are
//! artifacts   added and removed                                  settings_task  lifetimes
//! online      keys of ours                                       online_task new versions signed with them
//! ready       whether they sign                                  schedule    new versions before old ones end
//! attempt     which tasks go together, and how often
//! publish     sign, write, and only then tell                    serve       what anybody may fetch
//! read        state, settings and what waits for signatures      host        target files kept here
//! adopt       a repository that was made elsewhere               gc          what nobody needs any more
//! ```
//!
//! A request becomes a [`task`]; the [`worker`], one at a time for a repository, takes it, changes the database in one
//! transaction, and then [`publish`]es: every step can be repeated, so that after a crash it goes on where it was.
//! Offline keys never come here; online ones are the surface's, in the key host.

mod accept;
pub mod adopt;
mod apply;
mod artifacts;
mod attempt;
pub(crate) mod begin;
pub mod challenge;
mod delegations;
pub mod error;
pub mod gc;
mod halt;
pub mod host;
mod journal;
pub mod online;
mod online_task;
pub mod publish;
pub mod read;
mod ready;
pub mod repository;
pub mod request;
mod role;
mod root;
mod schedule;
pub mod serve;
pub mod settings;
mod settings_task;
mod state;
mod tally;
pub mod task;
mod who;
pub(crate) mod worker;

pub use error::Error;
pub use settings::Settings;
pub use state::State;

/// What policy is asked about: the one repository, `tuf:default`.
pub(crate) fn resource() -> countersign_model::Resource {
    "tuf:default".parse().expect("a constant resource")
}
