//! The seal key: unlock a key host that waits for its passphrase, and change the key.

use countersign_keyhost::client::Status;
use countersign_keyhost::wire::HostError;
pub use countersign_keyhost::wire::NewSeal;
use countersign_model::{Action, Resource};
use countersign_store::DataKey;

use crate::caller::Caller;
use crate::context::Context;
use crate::error::Error;
use crate::pipeline;
use crate::{LogRef, Secret};

/// Whether the keys can be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// They can.
    Ready,
    /// The key host waits for the passphrase: see [`unlock`].
    Locked,
    /// The key host does not run, and why.
    Down(String),
}

/// Whether the keys can be opened now.
pub fn state(ctx: &Context) -> State {
    match ctx.key_host.status() {
        Status::Ready(_) => State::Ready,
        Status::Down(HostError::Locked) => State::Locked,
        Status::Down(error) => State::Down(error.to_string()),
    }
}

/// Gives the passphrase to a key host that waits for it.
///
/// # Errors
/// [`Error::WrongPassphrase`]; [`Error::Conflict`] if it is not waited for.
pub async fn unlock(ctx: &Context, passphrase: Secret) -> Result<(), Error> {
    ctx.key_host.unlock(passphrase).await.map_err(|error| match error {
        HostError::Seal(why) => Error::WrongPassphrase(why),
        HostError::Protocol(why) => Error::Conflict(why),
        other => other.into(),
    })
}

/// Puts all data keys under a new seal key. To be run while no other node is up: each would need the new
/// key at once.
///
/// The key host keeps old and new key until the database has the data keys under the new one; after a
/// crash in between it finds out which of them is in force. Where the new one is of another kind than the old,
/// the configuration must name that before the next start.
///
/// # Errors
/// [`Error::NotPermitted`] without `policy:write`. When log, key host or database fail, and
/// [`Error::Conflict`] if the data keys were changed meanwhile; then the old key stays in force.
pub async fn rotate(ctx: &Context, caller: &Caller, to: NewSeal) -> Result<Rotated, Error> {
    let permit = pipeline::authorise(ctx, caller, Action::PolicyWrite, &Resource::policy())?;
    let (wrapped, log) = ctx.key_host.rotate_seal(&permit, &caller.request_id, to).await?;
    ctx.told(&log);
    let mut rows: Vec<DataKey> = ctx.store.data_keys().await?;
    for row in &mut rows {
        let new = wrapped.iter().find(|new| new.id == row.id);
        let missing = || Error::Conflict("a data key was added meanwhile".into());
        row.wrapped = new.ok_or_else(missing)?.wrapped.clone();
    }
    ctx.store.replace_data_keys(&rows).await?;
    let unfinished = ctx.key_host.commit_seal().await.err();
    Ok(Rotated { log, unfinished: unfinished.map(|error| error.to_string()) })
}

/// The data keys are under a new seal key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// The entry that says so.
    pub log: LogRef,
    /// Why the file of the new or the old one is not in its place yet: the next start sees to it.
    pub unfinished: Option<String>,
}
