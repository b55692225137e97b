//! Publication: what the database says is moving is signed, written, and only then told.
//!
//! ```text
//! plan     what moves, and who signs it     signers  which keys of ours sign a role     text  metadata as text
//! begin    the first publication            rotate   everything with new keys           steps who is told
//! behind   a database older than the files          leave_out  roles that cannot be signed
//! ```
//!
//! ```text
//! delegated roles, in chunks ─▶ targets, snapshot ─▶ (root) ─▶ timestamp ─▶ (root, if keys changed) ─▶ settled
//! ```
//!
//! Every step can be made again with the same result, whatever happened in between: metadata are put together from rows
//! that do not change while they move, and signatures are stored before the file that has them is written. Files that
//! nothing names yet can be written in any order; the timestamp, which names them all, comes when they are durable.
//!
//! When online keys change, what is published is signed with the old keys and with the new ones, and the root that says
//! so comes last: whichever root a client has, what it finds verifies. If the old keys do not sign any more, the root
//! comes right before the timestamp.

mod begin;
mod behind;
mod leave_out;
mod plan;
mod rotate;
pub(super) mod signers;
mod steps;
mod text;

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use countersign_model::digest::sha256;
use countersign_store::{FileName, FilesError, RoleRow, TaskChange, TufTx};
use countersign_tuf::meta::Meta;
use countersign_tuf::metadata::Kind;
use countersign_tuf::names::file_name;
use countersign_tuf::text::SignedText;

pub(super) use begin::{first, move_roles, start_repository};
pub(super) use plan::{delegations_of, delegations_value};
pub(super) use rotate::rotate;
pub use steps::{Step, Steps};

use super::error::Error;
use super::serve;
use super::task::TaskState;
use super::worker::Turn;
use crate::context::Context;
use plan::Plan;
use signers::Signer;

/// Roles that are signed together.
const CHUNK: u32 = 512;
/// Bytes of metadata that are signed together, about.
const CHUNK_BYTES: u64 = 16 << 20;

/// Publishes what is outstanding. Says whether anything was.
///
/// # Errors
/// When a step fails: to be called again.
pub(super) async fn finish(ctx: &Context, turn: &Turn) -> Result<bool, Error> {
    behind::catch_up(ctx, turn).await?;
    let mut tx = ctx.store.tuf_read().await?;
    let plan = Plan::read(ctx, &mut tx).await?;
    let running = tx.tasks_in(TaskState::Running.as_str()).await?;
    let mut done = Done { tasks: running.into_iter().map(|task| task.id).collect(), ..Done::default() };
    drop(tx);
    let Some(plan) = plan else {
        return if done.tasks.is_empty() { Ok(false) } else { settle(ctx, turn, done).await };
    };
    leave_out::unsignable(ctx, turn, &plan).await?;
    let snapshot = signed_files(ctx, turn, &plan, &mut done).await?;
    if !plan.root_last {
        write_roots(ctx, turn, &plan).await?;
    }
    write_timestamp(ctx, turn, &plan, snapshot).await?;
    if plan.root_last {
        write_roots(ctx, turn, &plan).await?;
    }
    done.roles.extend(plan.timestamp.map(|row| (row.name, row.version)));
    done.roots = plan.roots.into_iter().map(|(version, _)| version).collect();
    settle(ctx, turn, done).await
}

/// What a publication made public, and no more than that comes to rest after it.
#[derive(Default)]
struct Done {
    /// Names and versions.
    roles: Vec<(String, u64)>,
    /// Versions.
    roots: Vec<u64>,
    /// Ids of tasks that waited when it began.
    tasks: HashSet<String>,
}

/// A file that is there now.
struct Written {
    role: String,
    version: u64,
    file: Bytes,
}

/// A role that is published.
struct Item {
    role: String,
    version: u64,
    content: Content,
}

enum Content {
    /// Signed by people: the whole file.
    Whole(String),
    /// `signed`, and its signatures as far as they were made before.
    Text { signed: SignedText, signatures: Option<String>, signers: Arc<[Signer]> },
}

/// Writes all files but root and timestamp. Gives the snapshot, if it is among them.
async fn signed_files(
    ctx: &Context,
    turn: &Turn,
    plan: &Plan,
    done: &mut Done,
) -> Result<Option<Bytes>, Error> {
    let mut after: Option<String> = None;
    loop {
        let mut tx = ctx.store.tuf_read().await?;
        let rows = tx.moving(after.as_deref(), CHUNK, CHUNK_BYTES).await?;
        let last = rows.is_empty();
        after = rows.last().map(|row| row.name.clone());
        let short = rows.len() < CHUNK as usize / 2;
        let mut items = delegated(ctx, &mut tx, plan, rows).await?;
        // The top level goes with the last ones: a few roles and all above them are signed at once.
        let is_last = last || (short && tx.moving(after.as_deref(), 1, 0).await?.is_empty());
        if is_last {
            items.extend(top_level(&mut tx, plan).await?);
        }
        drop(tx);
        let files = write(ctx, turn, items).await?;
        done.roles.extend(files.iter().map(|written| (written.role.clone(), written.version)));
        if is_last {
            let snapshot = files.into_iter().find(|written| written.role == Kind::Snapshot.as_str());
            return Ok(snapshot.map(|written| written.file));
        }
    }
}

async fn delegated(
    ctx: &Context,
    tx: &mut TufTx,
    plan: &Plan,
    rows: Vec<RoleRow>,
) -> Result<Vec<Item>, Error> {
    let names: Vec<String> =
        rows.iter().filter(|row| is_whole(row).is_none()).map(|row| row.name.clone()).collect();
    let mut texts = tx.targets_text(&names).await?.into_iter();
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        let content = match is_whole(&row) {
            Some(document) => Content::Whole(document.clone()),
            None => {
                let entries = texts.next().filter(|(name, _)| *name == row.name);
                let (_, entries) =
                    entries.ok_or_else(|| crate::Error::Internal("entries of a role are missing".into()))?;
                let signed = text::targets(&row, &entries)?;
                let signers = needed(&row, plan.delegated(ctx, &row.name))?;
                Content::Text { signed, signatures: row.signatures, signers }
            }
        };
        items.push(Item { role: row.name, version: row.version, content });
    }
    Ok(items)
}

/// The file of a role that people signed.
fn is_whole(row: &RoleRow) -> Option<&String> {
    row.document.as_ref().filter(|_| !row.online)
}

async fn top_level(tx: &mut TufTx, plan: &Plan) -> Result<Vec<Item>, Error> {
    let mut items = Vec::new();
    if let Some(row) = &plan.targets {
        let entries = tx.targets_text(std::slice::from_ref(&row.name)).await?;
        let entries = entries.into_iter().next().map(|(_, entries)| entries).unwrap_or_default();
        items.push(item(row, text::targets(row, &entries)?, plan.top(Kind::Targets))?);
    }
    if let Some(row) = &plan.snapshot {
        let signed = text::snapshot(row, tx.versions().await?)?;
        items.push(item(row, signed, plan.top(Kind::Snapshot))?);
    }
    Ok(items)
}

fn item(row: &RoleRow, signed: SignedText, signers: Result<Arc<[Signer]>, Error>) -> Result<Item, Error> {
    let signers = needed(row, signers)?;
    let content = Content::Text { signed, signatures: row.signatures.clone(), signers };
    Ok(Item { role: row.name.clone(), version: row.version, content })
}

/// What has its signatures is published with them, whatever became of the keys meanwhile.
fn needed(row: &RoleRow, signers: Result<Arc<[Signer]>, Error>) -> Result<Arc<[Signer]>, Error> {
    if row.signatures.is_some() { Ok(signers.unwrap_or_default()) } else { signers }
}

/// Signs what is not signed, stores the signatures, writes the files, and gives each role's.
async fn write(ctx: &Context, turn: &Turn, mut items: Vec<Item>) -> Result<Vec<Written>, Error> {
    sign(ctx, turn, &mut items).await?;
    let mut files = Vec::with_capacity(items.len());
    let mut written = Vec::with_capacity(items.len());
    for item in items {
        let name = metadata(&file_name(&item.role, Some(item.version)))?;
        let file = Bytes::from(match item.content {
            Content::Whole(document) => document,
            Content::Text { signed, signatures, .. } => signed.file(signatures.as_deref().unwrap_or("[]")),
        });
        written.push(Written { role: item.role, version: item.version, file: file.clone() });
        files.push((name, file));
    }
    if files.is_empty() {
        return Ok(written);
    }
    turn.keep(ctx).await?;
    match ctx.files().put_all_new(files).await {
        Err(error @ FilesError::Differs { .. }) => {
            behind::pass_by(ctx, turn, &written).await?;
            return Err(Error::Unavailable(error.to_string()));
        }
        done => done.map_err(unavailable)?,
    }
    ctx.tuf.steps.made(Step::Files(written.iter().map(|written| written.role.clone()).collect()))?;
    Ok(written)
}

async fn sign(ctx: &Context, turn: &Turn, items: &mut [Item]) -> Result<(), Error> {
    drop_bad_signatures(items).await?;
    let mut to_sign = Vec::new();
    let mut unsigned = Vec::new();
    for item in items.iter_mut() {
        let Content::Text { signed, signatures, signers } = &mut item.content else { continue };
        if signatures.is_some() {
            continue;
        }
        to_sign.push(signers::ToSign {
            subject: format!("{} {}", item.version, item.role),
            message: signed.canonical().into_owned().into_bytes(),
            signers: Arc::clone(signers),
        });
        unsigned.push((item.role.clone(), item.version, signatures));
    }
    if to_sign.is_empty() {
        return Ok(());
    }
    let made = signers::sign(ctx, to_sign).await?;
    ctx.tuf.steps.made(Step::Signed(made.len()))?;
    let mut stored = Vec::with_capacity(made.len());
    for ((role, version, place), made) in unsigned.into_iter().zip(made) {
        *place = Some(made.clone());
        stored.push((role, version, made));
    }
    turn.keep(ctx).await?;
    let mut tx = ctx.store.tuf_write().await?;
    if tx.store_signatures(&stored).await? < stored.len() as u64 {
        return Err(Error::Unavailable("roles were changed while they were signed".into()));
    }
    turn.fence(&mut tx).await?;
    tx.commit().await?;
    ctx.tuf.steps.made(Step::Stored)
}

/// Signatures that an earlier attempt has stored are used again if they are over what is published now. Those that are
/// not are made anew.
async fn drop_bad_signatures(items: &mut [Item]) -> Result<(), Error> {
    let mut stored = Vec::new();
    let mut places = Vec::new();
    for item in items.iter_mut() {
        let Content::Text { signed, signatures, signers } = &mut item.content else { continue };
        // Where the keys that made them sign no more, there is nothing to tell it by, and nobody to sign anew.
        if signers.is_empty() {
            continue;
        }
        let Some(made) = signatures.clone() else { continue };
        let message = signed.canonical().into_owned().into_bytes();
        stored
            .push((signers::ToSign { subject: String::new(), message, signers: Arc::clone(signers) }, made));
        places.push((&item.role, signatures));
    }
    if stored.is_empty() {
        return Ok(());
    }
    for ((role, signatures), good) in places.into_iter().zip(signers::are_good(stored).await?) {
        if !good {
            tracing::error!(role, "stored signatures are not over what is published: it is signed anew");
            *signatures = None;
        }
    }
    Ok(())
}

/// Writes the timestamp, for the snapshot that was just written or the one that there is.
async fn write_timestamp(
    ctx: &Context,
    turn: &Turn,
    plan: &Plan,
    snapshot: Option<Bytes>,
) -> Result<(), Error> {
    let Some(row) = &plan.timestamp else { return Ok(()) };
    let snapshot = match snapshot {
        Some(snapshot) => snapshot,
        None => {
            let name = metadata(&file_name(Kind::Snapshot.as_str(), Some(plan.snapshot_version)))?;
            let there = ctx.files().get(&name).await.map_err(unavailable)?;
            there.ok_or_else(|| Error::Unavailable(format!("the file `{name}` is missing")))?
        }
    };
    let signed = text::timestamp(row, &Meta::of_file(plan.snapshot_version, &snapshot))?;
    let mut items = [item(row, signed, plan.top(Kind::Timestamp))?];
    sign(ctx, turn, &mut items).await?;
    let [Item { content: Content::Text { signed, signatures, .. }, .. }] = items else { return Ok(()) };
    let file = Bytes::from(signed.file(signatures.as_deref().unwrap_or("[]")));
    turn.keep(ctx).await?;
    // It takes the place of another: not of one that another node wrote meanwhile.
    let held = turn.hold().await?;
    ctx.files().put(&metadata(serve::TIMESTAMP)?, file.clone()).await.map_err(unavailable)?;
    drop(held);
    // Before anybody is told: who is told and looks must find it.
    serve::published(ctx, file).await?;
    ctx.tuf.steps.made(Step::Timestamp)
}

async fn write_roots(ctx: &Context, turn: &Turn, plan: &Plan) -> Result<(), Error> {
    for (version, root) in &plan.roots {
        turn.keep(ctx).await?;
        let name = metadata(&file_name(Kind::Root.as_str(), Some(*version)))?;
        ctx.files().put_new(&name, Bytes::from(root.clone())).await.map_err(unavailable)?;
        tracing::info!(version, sha256 = hex::encode(sha256(root.as_bytes())), "a root was published");
        ctx.tuf.steps.made(Step::Root(*version))?;
    }
    Ok(())
}

/// All is public: the database knows it, and the tasks that waited for it have ended.
async fn settle(ctx: &Context, turn: &Turn, done: Done) -> Result<bool, Error> {
    turn.keep(ctx).await?;
    let mut tx = ctx.store.tuf_write().await?;
    let mut waiting = tx.tasks_in(TaskState::Running.as_str()).await?;
    waiting.retain(|task| done.tasks.contains(&task.id));
    let moved = tx.settle(&done.roles).await?;
    for version in &done.roots {
        tx.set_root_published(*version).await?;
    }
    if waiting.is_empty() && moved == 0 && done.roots.is_empty() {
        return Ok(false);
    }
    let success = |id| TaskChange { id, state: TaskState::Success.as_str().into(), result: None };
    let changes: Vec<TaskChange> = waiting.into_iter().map(|task| success(task.id)).collect();
    tx.set_tasks(&changes, ctx.now()).await?;
    turn.fence(&mut tx).await?;
    tx.commit().await?;
    ctx.tuf.ended.send_modify(|count| *count += 1);
    ctx.tuf.steps.made(Step::Settled)?;
    Ok(true)
}

fn metadata(name: &str) -> Result<FileName, Error> {
    serve::file(name).ok_or_else(|| crate::Error::Internal(format!("`{name}` is no name of a file")).into())
}

fn unavailable(error: FilesError) -> Error {
    match error {
        FilesError::Differs { .. } => crate::Error::Internal(error.to_string()).into(),
        error => Error::Unavailable(error.to_string()),
    }
}
