//! The TUF repository service: metadata that several people sign over days, artifacts in hash bins, publication.
//!
//! ```text
//! request     what clients ask, as it is stored with a task      task        durable work, and what became of it
//! worker      one task after another, artifacts in groups        repository  the state that tasks change
//! root        new roots: submitted, signed, overridden, stopped  challenge   proof of possession
//! role        delegated roles that wait for signatures           delegations which roles there are
//! artifacts   added and removed                                  settings    lifetimes
//! online      keys of ours, and new versions signed with them    schedule    new versions before old ones end
//! publish     sign, write, and only then tell                    serve       what anybody may fetch
//! read        state, settings and what waits for signatures      host        target files kept here
//! adopt       a repository that was made elsewhere               gc          what nobody needs any more
//! ```
//!
//! A request becomes a [`task`]; the [`worker`], one at a time for a repository, takes it, changes the database in one
//! transaction, and then [`publish`]es: every step can be repeated, so that after a crash it goes on where it was.
//! Offline keys never come here; online ones are the surface's, in the key host.

pub mod error;
pub mod repository;
pub mod request;
pub mod settings;
mod state;
pub mod task;

pub use error::Error;
pub use settings::Settings;
pub use state::State;
