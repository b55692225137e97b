//! A root comes into force.

use countersign_model::Action;
use countersign_tuf::metadata::{Document, Kind};
use countersign_tuf::names::file_name;

use super::{ROOT, damaged, text_of};
use crate::context::Context;
use crate::tuf::apply::Job;
use crate::tuf::error::Error;
use crate::tuf::halt::Halt;
use crate::tuf::journal::{digest, named, record};
use crate::tuf::repository::Bootstrap;
use crate::tuf::request::BootstrapSettings;
use crate::tuf::{publish, serve};

/// What was pending has all its signatures: the first root with the settings that were asked for, or the next one.
/// Gives the words in which a task says so. `action`: the right by which it is done.
pub(super) async fn pending(
    job: &mut Job<'_>,
    action: Action,
    trusted: Option<&Document>,
    new: &Document,
) -> Result<&'static str, Halt> {
    if trusted.is_some() {
        next(job, action, trusted, new).await?;
        return Ok("Metadata update finished");
    }
    let asked = job.repository.asked.clone().ok_or_else(|| damaged("the bootstrap"))?;
    let settings: BootstrapSettings = serde_json::from_value(asked).map_err(|_| damaged("the bootstrap"))?;
    first(job, action, new, &settings).await?;
    Ok("Bootstrap Finished")
}

/// The first root: with it there is a repository.
pub(super) async fn first(
    job: &mut Job<'_>,
    action: Action,
    root: &Document,
    settings: &BootstrapSettings,
) -> Result<(), Halt> {
    // Again: days may have passed.
    check_place(job.ctx, root).await?;
    let id = job.repository.bootstrap.id().unwrap_or(job.task).to_owned();
    put_in_force(job, action, root).await?;
    job.repository.bootstrap = Bootstrap::Finished(id);
    job.repository.asked = None;
    publish::start_repository(job, settings).await?;
    Ok(())
}

/// Whether the files of a new repository can be written: where there are those of another one, which clients may know,
/// its first root could not be.
pub(super) async fn check_place(ctx: &Context, root: &Document) -> Result<(), Halt> {
    let there = async |name: &str| {
        let file = serve::file(name).ok_or_else(|| damaged("a file's name"))?;
        Ok::<_, Error>(ctx.files().get(&file).await.map_err(crate::Error::from)?)
    };
    let first = file_name(ROOT, Some(1));
    let is_other = there(&first).await?.is_some_and(|there| there != root.to_bytes());
    if is_other || there(serve::TIMESTAMP).await?.is_some() {
        let name = if is_other { &first } else { serve::TIMESTAMP };
        return Err(Halt::refused(format!(
            "Metadata of another repository are here (`metadata/{name}`): restore its database, or take them away"
        )));
    }
    Ok(())
}

/// The root after the one in force. What the keys of online roles signed is signed anew where these changed.
pub(super) async fn next(
    job: &mut Job<'_>,
    action: Action,
    trusted: Option<&Document>,
    new: &Document,
) -> Result<(), Halt> {
    let old = trusted.ok_or_else(|| damaged("the root in force"))?;
    put_in_force(job, action, new).await?;
    if is_signed_otherwise(old, new)? {
        publish::rotate(job, old, new).await?;
    }
    Ok(())
}

async fn put_in_force(job: &mut Job<'_>, action: Action, root: &Document) -> Result<(), Halt> {
    let what = format!("{} in force {}", named(ROOT, root), digest(root));
    record(job, action, what).await?;
    job.tx.put_root(root.version(), &text_of(root)?).await?;
    job.repository.root_version = root.version();
    // The round of signing is over.
    job.repository.withdrawn.clear();
    job.tx.remove_pending(ROOT).await?;
    job.tx.void_challenges(ROOT).await?;
    Ok(())
}

/// Whether an online role has other keys, other ids or schemes of the same keys, or another threshold: what it signed
/// before does not verify by the new root.
pub(in crate::tuf) fn is_signed_otherwise(old: &Document, new: &Document) -> Result<bool, Error> {
    let unreadable = |_| damaged("the root in force");
    let (old, new) = (old.root().map_err(unreadable)?, new.root().map_err(unreadable)?);
    Ok([Kind::Timestamp, Kind::Snapshot, Kind::Targets].into_iter().any(|kind| {
        let keys = |root: &countersign_tuf::root::Root| {
            let role = root.role(kind).clone();
            let ids: std::collections::BTreeSet<String> = role.keyids.iter().cloned().collect();
            (ids, role.threshold)
        };
        keys(&old) != keys(&new) || !old.has_same_keys(&new, kind)
    }))
}
