//! A database that is older than the files, as after a restore: versions go on after those that clients have seen, and
//! roots that they have seen are in force.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use countersign_store::{Moving, RoleRow};
use countersign_tuf::check;
use countersign_tuf::expires;
use countersign_tuf::metadata::{Document, Kind};
use countersign_tuf::names::file_name;

use super::{Written, is_whole, metadata, rotate};
use crate::context::Context;
use crate::tuf::apply::{Job, Known};
use crate::tuf::error::Error;
use crate::tuf::repository::Repository;
use crate::tuf::worker::Turn;
use crate::tuf::{role, root, serve, who};

/// Looks once after a start whether clients have seen newer metadata than the database knows: a root after the one in
/// force, or a newer timestamp. Then that root is in force, and every role of which they have seen a newer version moves,
/// to a version after it; what people sign waits for them anew.
///
/// # Errors
/// When database or files fail.
pub(super) async fn catch_up(ctx: &Context, turn: &Turn) -> Result<(), Error> {
    if ctx.tuf.caught_up.load(Ordering::Acquire) {
        return Ok(());
    }
    let mut tx = ctx.store.tuf_write().await?;
    let mut repository = Repository::load(&mut tx).await?;
    if repository.bootstrap.is_finished() {
        let caller = who::by_surface(ctx);
        let mut known = Known::default();
        let mut job = Job {
            ctx,
            tx: &mut tx,
            repository: &mut repository,
            caller: &caller,
            task: "",
            now: ctx.now(),
            known: &mut known,
        };
        if go_after(&mut job).await? {
            repository.save(&mut tx).await?;
            turn.fence(&mut tx).await?;
            tx.commit().await?;
        }
    }
    ctx.tuf.caught_up.store(true, Ordering::Release);
    Ok(())
}

/// Says whether anything had to be changed.
async fn go_after(job: &mut Job<'_>) -> Result<bool, Error> {
    let roots = newer_roots(job).await?;
    let known = job.tx.role(Kind::Timestamp.as_str()).await?;
    let seen = document(job.ctx, serve::TIMESTAMP).await?;
    let seen = seen.filter(|seen| known.is_some_and(|known| known.version < seen.version()));
    if let Some(seen) = &seen {
        tracing::warn!(
            seen = seen.version(),
            "the database is older than the published metadata, as after a restore: versions go on after these"
        );
        raise(job, seen).await?;
    }
    let Some((before, newest)) = roots else { return Ok(seen.is_some()) };
    if root::is_signed_otherwise(&before, &newest)? {
        rotate(job, &before, &newest).await?;
    }
    Ok(true)
}

/// Puts in force the roots that are public and the database does not know, each verified by the one before it and by
/// itself. Gives the root that was in force and the one that is now.
async fn newer_roots(job: &mut Job<'_>) -> Result<Option<(Document, Document)>, Error> {
    let before = root::trusted(job).await?.ok_or_else(|| root::damaged("the root in force"))?;
    let mut newest = before.clone();
    loop {
        let version = newest.version().saturating_add(1);
        let name = file_name(Kind::Root.as_str(), Some(version));
        let Some(bytes) = read(job.ctx, &name).await? else { break };
        let Some((next, text)) = follows(&newest, &bytes) else {
            tracing::error!(
                name,
                "a published root is not the one after the root in force: it is not followed"
            );
            break;
        };
        tracing::warn!(name, "a root is public that the database does not know: it is in force");
        job.tx.put_root(version, &text).await?;
        job.tx.set_root_published(version).await?;
        newest = next;
    }
    if newest.version() == before.version() {
        return Ok(None);
    }
    // What waited was to be the root after another one.
    job.tx.remove_pending(root::ROOT).await?;
    job.tx.void_challenges(root::ROOT).await?;
    job.repository.withdrawn.clear();
    job.repository.root_version = newest.version();
    Ok(Some((before, newest)))
}

fn follows(newest: &Document, next: &Bytes) -> Option<(Document, String)> {
    let text = String::from_utf8(next.to_vec()).ok()?;
    let next = Document::parse(next).ok()?;
    let is_next = next.version() == newest.version().saturating_add(1);
    let signed = check::root::progress(&next, Some(newest)).ok()?;
    (is_next && signed.is_complete()).then_some((next, text))
}

async fn raise(job: &mut Job<'_>, timestamp: &Document) -> Result<(), Error> {
    let damaged = |_| crate::Error::Internal("the published timestamp or snapshot is damaged".into());
    let snapshot = timestamp.timestamp().map_err(damaged)?.snapshot.version;
    let mut seen =
        vec![(Kind::Timestamp.to_string(), timestamp.version()), (Kind::Snapshot.to_string(), snapshot)];
    if let Some(snapshot) = document(job.ctx, &file_name(Kind::Snapshot.as_str(), Some(snapshot))).await? {
        for (file, meta) in snapshot.snapshot().map_err(damaged)?.meta {
            seen.extend(file.strip_suffix(".json").map(|role| (role.to_owned(), meta.version)));
        }
    }
    let mut people = Vec::new();
    for some in seen.chunks(1_000) {
        let mut unknown: BTreeMap<String, u64> = some.iter().cloned().collect();
        let names: Vec<String> = unknown.keys().cloned().collect();
        let mut rows = Vec::new();
        for row in job.tx.roles(&names).await? {
            let version = unknown.remove(&row.name).unwrap_or_default();
            if version <= row.version {
                continue;
            }
            if row.online {
                rows.push(renumbered(job.ctx, row, version.saturating_add(1)));
            } else {
                // Theirs is the version after that one, and what waits for them was made for another.
                people.push(row.name.clone());
                rows.push(RoleRow { version, moving: Moving::No, listed: true, ..row });
            }
        }
        // Nobody delegates to them here, but clients refuse a snapshot without them (specification 5.5.5).
        unknown.retain(|name, _| Kind::of_name(name).is_none());
        rows.extend(unknown.into_iter().map(|(name, version)| gone(name, version)));
        job.tx.put_roles(&rows).await?;
    }
    role::changed(job, &people).await?;
    Ok(())
}

/// A role that is in snapshots because it was there once.
fn gone(name: String, version: u64) -> RoleRow {
    RoleRow {
        name,
        version,
        expires: jiff::Timestamp::UNIX_EPOCH,
        days: 1,
        head: None,
        signatures: None,
        moving: Moving::No,
        listed: true,
        online: false,
        document: None,
        bytes: 0,
    }
}

/// Of these files some are there with other content, which clients may have. Their roles get versions of which there is
/// no file yet: those that the server signs now, those that people sign when they have signed it again.
///
/// # Errors
/// When database or files fail.
pub(super) async fn pass_by(ctx: &Context, turn: &Turn, files: &[Written]) -> Result<(), Error> {
    let mut differ = Vec::new();
    for Written { role, version, file } in files {
        let there = read(ctx, &file_name(role, Some(*version))).await?;
        if there.is_some_and(|there| there != file) {
            differ.push((role.clone(), *version));
        }
    }
    tracing::warn!(?differ, "there are files of these versions with other content: they are passed by");
    let mut tx = ctx.store.tuf_write().await?;
    let mut repository = Repository::load(&mut tx).await?;
    let caller = who::by_surface(ctx);
    let mut known = Known::default();
    let job = &mut Job {
        ctx,
        tx: &mut tx,
        repository: &mut repository,
        caller: &caller,
        task: "",
        now: ctx.now(),
        known: &mut known,
    };
    renumber(job, &differ).await?;
    turn.fence(&mut tx).await?;
    Ok(tx.commit().await?)
}

async fn renumber(job: &mut Job<'_>, differ: &[(String, u64)]) -> Result<(), Error> {
    let names: Vec<String> = differ.iter().map(|(role, _)| role.clone()).collect();
    let (mut rows, mut people) = (Vec::new(), Vec::new());
    for row in job.tx.roles(&names).await? {
        if !differ.contains(&(row.name.clone(), row.version)) {
            continue;
        }
        let free = free_version(job.ctx, &row).await?;
        if is_whole(&row).is_some() {
            tracing::error!(role = row.name, "what people signed cannot be published: they are asked again");
            people.push(row.name.clone());
            let version = free.saturating_sub(1);
            rows.push(RoleRow { version, moving: Moving::No, document: None, signatures: None, ..row });
        } else {
            rows.push(renumbered(job.ctx, row, free));
        }
    }
    // They name the others' versions.
    let top = [Kind::Snapshot, Kind::Timestamp].map(|kind| kind.to_string());
    for row in job.tx.roles(&top).await? {
        if row.moving != Moving::No && !names.contains(&row.name) {
            let version = row.version + u64::from(row.moving == Moving::Signed);
            rows.push(renumbered(job.ctx, row, version));
        }
    }
    job.tx.put_roles(&rows).await?;
    role::changed(job, &people).await?;
    Ok(())
}

async fn free_version(ctx: &Context, row: &RoleRow) -> Result<u64, Error> {
    let mut version = row.version;
    let there = async |version| {
        let name = metadata(&file_name(&row.name, Some(version)))?;
        Ok::<_, Error>(ctx.files().exists(&name).await.map_err(crate::Error::from)?)
    };
    while there(version).await? {
        version = version.saturating_add(1);
    }
    Ok(version)
}

fn renumbered(ctx: &Context, row: RoleRow, version: u64) -> RoleRow {
    let expires = expires::after(ctx.now(), row.days);
    RoleRow { version, expires, signatures: None, moving: Moving::ToSign, ..row }
}

async fn document(ctx: &Context, name: &str) -> Result<Option<Document>, Error> {
    let Some(file) = read(ctx, name).await? else { return Ok(None) };
    match Document::parse(&file) {
        Ok(document) => Ok(Some(document)),
        Err(error) => {
            tracing::error!(%error, name, "a published file is damaged");
            Ok(None)
        }
    }
}

async fn read(ctx: &Context, name: &str) -> Result<Option<Bytes>, Error> {
    Ok(ctx.files().get(&metadata(name)?).await.map_err(crate::Error::from)?)
}
