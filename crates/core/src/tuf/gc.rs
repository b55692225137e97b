//! What nobody needs any more: old metadata, target files that no artifact names, tasks that ended long ago.
//!
//! Every root stays for ever. Of other roles the versions stay that a snapshot names which a client may still have: those
//! that were the newest at some time within the longest life of a snapshot or timestamp, however old they are.

use std::collections::HashMap;

use countersign_store::{FileEntry, FileName, HostedRow, TufTx};
use countersign_tuf::metadata::Kind;
use futures_util::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;

use super::error::Error;
use super::repository::Repository;
use super::{journal, resource};
use crate::caller::Caller;
use crate::context::Context;
use crate::pipeline;
use countersign_model::Action;

/// What was removed, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Metadata files.
    pub metadata: u64,
    /// Target files.
    pub targets: u64,
    /// Tasks.
    pub tasks: u64,
    /// Bytes of the files.
    pub bytes: u64,
}

/// How long a file lives at least, whatever the lifetimes of roles are.
const GRACE_DAYS: i64 = 7;
/// How long a task is remembered.
const TASK_DAYS: i64 = 30;
/// How many rows are looked at together.
const PAGE: u32 = 1_000;

/// Removes what nobody needs any more; with `dry_run` only says what.
///
/// # Errors
/// [`Error::Other`] when it is not permitted, and when database or files fail: what was removed until then is gone, and
/// the rest is removed the next time.
pub async fn run(ctx: &Context, caller: &Caller, dry_run: bool) -> Result<Report, Error> {
    pipeline::authorise_person(ctx, caller, Action::TufDelete, &resource())?;
    let mut tx = ctx.store.tuf_read().await?;
    let repository = Repository::load(&mut tx).await?;
    if !repository.bootstrap.is_finished() {
        return Ok(Report::default());
    }
    let current = current(&mut tx).await?;
    drop(tx);
    let lives = ["snapshot", "timestamp"].map(|role| i64::from(repository.days_of(role)));
    let before = days_ago(ctx.now(), lives.into_iter().max().unwrap_or_default().max(GRACE_DAYS));
    if !dry_run {
        let what = format!("gc before {before:.0}");
        journal::record_by(ctx, caller, Action::TufDelete, what).await?;
    }
    let mut report = Report::default();
    metadata(ctx, &current, before, dry_run, &mut report).await?;
    targets(ctx, before, dry_run, &mut report).await?;
    if !dry_run {
        report.tasks = forget_tasks(ctx).await?;
    }
    tracing::info!(?report, dry_run, "what nobody needs any more");
    Ok(report)
}

/// The versions that clients are told of, or soon will be.
async fn current(tx: &mut TufTx) -> Result<HashMap<String, u64>, Error> {
    let mut current: HashMap<String, u64> = tx.versions().await?.into_iter().collect();
    if let Some(snapshot) = tx.role(Kind::Snapshot.as_str()).await? {
        current.insert(snapshot.name, snapshot.version);
    }
    Ok(current)
}

async fn metadata(
    ctx: &Context,
    current: &HashMap<String, u64>,
    before: Timestamp,
    dry_run: bool,
    report: &mut Report,
) -> Result<(), Error> {
    let under: FileName = "metadata".parse().map_err(crate::Error::from)?;
    let reigning = reigning(ctx, &under, before).await?;
    let mut entries = ctx.files().entries(&under);
    while let Some(FileEntry { name, length, written }) =
        entries.try_next().await.map_err(crate::Error::from)?
    {
        if written >= before || !is_old(name.as_str(), current) || !is_replaced(name.as_str(), &reigning) {
            continue;
        }
        report.metadata += 1;
        report.bytes += length;
        if !dry_run {
            ctx.files().delete(&name).await.map_err(crate::Error::from)?;
            ctx.tuf.served.memory.forget(name.as_str().trim_start_matches("metadata/"));
        }
    }
    Ok(())
}

/// Of each role the version that was the newest at `before`: a snapshot of that time names it.
async fn reigning(ctx: &Context, under: &FileName, before: Timestamp) -> Result<HashMap<String, u64>, Error> {
    let mut reigning: HashMap<String, u64> = HashMap::new();
    let mut entries = ctx.files().entries(under);
    while let Some(entry) = entries.try_next().await.map_err(crate::Error::from)? {
        let Some((version, role)) = parts(entry.name.as_str()).filter(|_| entry.written < before) else {
            continue;
        };
        match reigning.get_mut(role) {
            Some(newest) => *newest = version.max(*newest),
            None => drop(reigning.insert(role.to_owned(), version)),
        }
    }
    Ok(reigning)
}

/// Whether another version took its place before that time.
fn is_replaced(name: &str, reigning: &HashMap<String, u64>) -> bool {
    parts(name).is_some_and(|(version, role)| reigning.get(role).is_some_and(|newest| version < *newest))
}

/// Version and role of a metadata file.
fn parts(name: &str) -> Option<(u64, &str)> {
    let (version, role) = name.strip_prefix("metadata/")?.strip_suffix(".json")?.split_once('.')?;
    Some((version.parse().ok()?, role))
}

/// Whether it is a version of a role that is not the newest. What is not a name of metadata is not ours.
fn is_old(name: &str, current: &HashMap<String, u64>) -> bool {
    let Some((version, role)) = parts(name) else { return false };
    // The version before is kept too: it may be the one that is public while the newest is on its way.
    role != Kind::Root.as_str() && current.get(role).is_some_and(|newest| version.saturating_add(1) < *newest)
}

async fn targets(ctx: &Context, before: Timestamp, dry_run: bool, report: &mut Report) -> Result<(), Error> {
    let mut after: Option<String> = None;
    loop {
        let mut tx = ctx.store.tuf_read().await?;
        let page = tx.hosted(after.as_deref(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.name.clone());
        let old: Vec<HostedRow> = page.into_iter().filter(|file| file.added < before).collect();
        let unnamed = unnamed(&mut tx, old).await?;
        drop(tx);
        for file in unnamed {
            report.targets += 1;
            report.bytes += file.length;
            if !dry_run {
                remove(ctx, &file).await?;
            }
        }
    }
}

/// Those that no artifact names, public or staged.
async fn unnamed(tx: &mut TufTx, files: Vec<HostedRow>) -> Result<Vec<HostedRow>, Error> {
    let paths: Vec<String> = files.iter().map(|file| file.path.clone()).collect();
    let mut named: HashMap<String, Vec<String>> = HashMap::new();
    for artifact in tx.artifacts(&paths).await? {
        let staged = match artifact.staged {
            Some(countersign_store::StagedChange::Put(entry)) => Some(entry),
            _ => None,
        };
        let entries = [artifact.entry, staged].into_iter().flatten();
        named.entry(artifact.path).or_default().extend(entries.filter_map(|entry| sha256_of(&entry)));
    }
    let is_named = |file: &HostedRow| named.get(&file.path).is_some_and(|named| named.contains(&file.sha256));
    Ok(files.into_iter().filter(|file| !is_named(file)).collect())
}

/// The SHA-256 in `"PATH":{…}`.
fn sha256_of(entry: &str) -> Option<String> {
    let entry: Value = serde_json::from_str(&format!("{{{entry}}}")).ok()?;
    let info = entry.as_object()?.values().next()?;
    info["hashes"]["sha256"].as_str().map(str::to_owned)
}

/// Removes a file while nobody can note that it is wanted.
async fn remove(ctx: &Context, file: &HostedRow) -> Result<(), Error> {
    let mut tx = ctx.store.tuf_write().await?;
    if tx.hosted_file(&file.name).await?.as_ref() != Some(file)
        || unnamed(&mut tx, vec![file.clone()]).await?.is_empty()
    {
        return Ok(());
    }
    if let Ok(name) = file.name.parse::<FileName>() {
        ctx.files().delete(&name).await.map_err(crate::Error::from)?;
    }
    tx.remove_hosted(std::slice::from_ref(&file.name)).await?;
    Ok(tx.commit().await?)
}

/// Forgets tasks that ended long ago, and says how many. The schedule does so too.
///
/// # Errors
/// When the database fails.
pub(super) async fn forget_tasks(ctx: &Context) -> Result<u64, Error> {
    let before = days_ago(ctx.now(), TASK_DAYS);
    let mut forgotten = 0;
    loop {
        let mut tx = ctx.store.tuf_write().await?;
        let some = tx.forget_tasks(before, PAGE).await?;
        tx.commit().await?;
        forgotten += some;
        if some < u64::from(PAGE) {
            return Ok(forgotten);
        }
    }
}

fn days_ago(now: Timestamp, days: i64) -> Timestamp {
    now.checked_sub(SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_the_newest_versions_and_those_before_them_are_not_old() {
        let current = HashMap::from([("bins-0".to_owned(), 7), ("snapshot".to_owned(), 9)]);
        for (name, old) in [
            ("metadata/1.root.json", false),
            ("metadata/timestamp.json", false),
            ("metadata/7.bins-0.json", false),
            ("metadata/6.bins-0.json", false),
            ("metadata/5.bins-0.json", true),
            ("metadata/8.bins-0.json", false),
            ("metadata/1.unknown.json", false),
            ("metadata/1.snapshot.json", true),
            ("metadata/x.snapshot.json", false),
            ("metadata/1.snapshot.txt", false),
            ("targets/1.snapshot.json", false),
        ] {
            assert_eq!(is_old(name, &current), old, "{name}");
        }
    }
}
