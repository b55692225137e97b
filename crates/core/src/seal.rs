//! The seal key: unlock a key host that waits for its passphrase, and change the key.

use countersign_keyhost::client::Status;
use countersign_keyhost::wire::HostError;
use countersign_store::DataKey;

use crate::Secret;
use crate::context::Context;
use crate::error::Error;

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
/// crash in between it finds out which of them is in force.
///
/// # Errors
/// When key host or database fail, and [`Error::Conflict`] if the data keys were changed meanwhile; then
/// the old key stays in force.
pub async fn rotate(ctx: &Context) -> Result<(), Error> {
    let wrapped = ctx.key_host.rotate_seal().await?;
    let mut rows: Vec<DataKey> = ctx.store.data_keys().await?;
    for row in &mut rows {
        let new = wrapped.iter().find(|new| new.id == row.id);
        let missing = || Error::Conflict("a data key was added meanwhile".into());
        row.wrapped = new.ok_or_else(missing)?.wrapped.clone();
    }
    ctx.store.replace_data_keys(&rows).await?;
    Ok(ctx.key_host.commit_seal().await?)
}
