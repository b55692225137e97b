//! The whole surface in one encrypted archive, in and out, as the original writes and reads it.
//!
//! ```text
//! import   key host opens and seals ─▶ contents: what it stands for ─▶ merge: what is new ─▶ stored at once
//! export   everything stored ─▶ key host unseals, writes, encrypts
//! ```
//! An import takes all or nothing. What is here already and is the same stays as it is, what is here and is
//! another is a conflict, and what the archive does not have is not touched. Who imports or exports needs
//! permission for each key, and for the name `appliance/archive`, which stands for the archive itself.

mod contents;
mod merge;
mod outgoing;
mod trees;

use countersign_keyhost::client::ArchiveImported;
use countersign_keyhost::wire::HostError;
use countersign_model::policy::Permit;
use countersign_model::{Action, KeyName, Resource, Surface};
use countersign_store::ApplianceBatch;

use super::{Error, making};
use crate::Secret;
use crate::caller::Caller;
use crate::context::Context;
use crate::pipeline;

use contents::Found;

/// An encrypted archive, as texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// A Fernet token: URL-safe base64.
    pub token: String,
    /// Standard base64 of 16 bytes.
    pub salt: String,
}

/// Takes in everything of an archive, or nothing.
///
/// - `passphrase`: as bytes, not decoded.
///
/// # Errors
/// [`Error::Import`] for a wrong passphrase, a damaged token and an empty archive; [`Error::Invalid`] for what is
/// in it; [`Error::Conflict`] if it has something else under a name that is taken.
pub async fn import(
    ctx: &Context,
    caller: &Caller,
    passphrase: Secret,
    archive: Archive,
) -> Result<(), Error> {
    let permit = permit(ctx, caller, Action::KeyImport)?;
    let Archive { token, salt } = archive;
    let (salt, token) = (salt.into_bytes(), token.into_bytes());
    let opened = ctx.key_host.archive_import(&permit, &caller.request_id, passphrase, salt, token).await;
    let ArchiveImported { keys, public, skipped, mut log } = opened.map_err(refused)?;
    log.index += (keys.len() as u64).saturating_sub(1);
    ctx.told(&log);

    let now = ctx.now();
    let found = tokio::task::spawn_blocking(move || contents::read(keys, public, now)).await;
    let found = found.map_err(|_| crate::Error::Internal("work was cut short".into()))??;
    for name in found.key_names() {
        authorise(ctx, caller, Action::KeyImport, &name.parse().map_err(internal)?)?;
    }
    for path in skipped.iter().chain(&found.skipped) {
        tracing::info!(request_id = %caller.request_id, path, "a file of the archive was passed over");
    }
    store(ctx, &found).await
}

/// Stores what is new. Another import may store the same between looking and writing: then it is looked again.
async fn store(ctx: &Context, found: &Found) -> Result<(), Error> {
    const TRIES: usize = 3;
    let taken = || "a name of the archive was taken meanwhile".to_owned();
    for _ in 0..TRIES {
        let batch = merge::new_of(ctx, found).await?;
        if batch == ApplianceBatch::default() {
            return Ok(());
        }
        match making::keep(ctx, &batch, taken).await {
            Err(Error::Conflict(_)) => {}
            done => return done,
        }
    }
    Err(Error::Conflict(taken()))
}

/// Gives out everything of the surface, encrypted under a passphrase of any length.
///
/// # Errors
/// [`Error::Invalid`] if there is more than an archive can hold.
pub async fn export(ctx: &Context, caller: &Caller, passphrase: Secret) -> Result<Archive, Error> {
    let permit = permit(ctx, caller, Action::KeyExport)?;
    let outgoing = outgoing::collect(ctx).await?;
    let mut keys = Vec::new();
    for (archived, name) in outgoing.keys {
        authorise(ctx, caller, Action::KeyExport, &name)?;
        let record = ctx.store.key(name.as_str()).await?;
        let record = record.ok_or_else(|| internal(format!("key `{name}` is missing")))?;
        keys.push((archived, record.blob));
    }
    let count = keys.len() as u64;
    let host = &ctx.key_host;
    let sealed = host.archive_export(&permit, &caller.request_id, passphrase, keys, outgoing.public).await;
    let mut sealed = sealed.map_err(refused)?;
    sealed.log.index += count.saturating_sub(1);
    ctx.told(&sealed.log);
    Ok(Archive { token: sealed.token, salt: sealed.salt })
}

/// Permission for archives, which is asked before anything is opened.
fn permit(ctx: &Context, caller: &Caller, action: Action) -> Result<Permit, Error> {
    let archive = KeyName::owned(Surface::Appliance, "archive").map_err(internal)?;
    authorise(ctx, caller, action, &archive)
}

fn authorise(ctx: &Context, caller: &Caller, action: Action, name: &KeyName) -> Result<Permit, Error> {
    Ok(pipeline::authorise(ctx, caller, action, &Resource::key(name))?)
}

fn internal(why: impl std::fmt::Display) -> Error {
    crate::Error::Internal(why.to_string()).into()
}

/// What the key host says of an archive, in this surface's words.
fn refused(error: HostError) -> Error {
    match error {
        HostError::WrongPassphrase(detail) => Error::Import { title: "Invalid Decryption Token", detail },
        HostError::EmptyArchive => Error::Import { title: "Invalid Import", detail: error.to_string() },
        HostError::BadArchive(why) | HostError::WeakKey(why) | HostError::MalformedKey(why) => {
            Error::Invalid(why)
        }
        other => crate::Error::from(other).into(),
    }
}
