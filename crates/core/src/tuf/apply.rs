//! Tasks, in the transaction that makes their changes: which of them go together, and which handler each has.

use std::collections::BTreeMap;
use std::sync::Arc;

use countersign_store::{TaskChange, TufTx, WaitingTufTask};
use countersign_tuf::delegation::Delegations;
use countersign_tuf::metadata::Kind;
use jiff::Timestamp;
use serde_json::json;

use super::attempt::{Begun, GROUP_BYTES};
use super::error::Error;
use super::publish::{self, Step};
use super::ready::Ready;
use super::repository::{Bootstrap, Repository};
use super::request::Request;
use super::tally::Tally;
use super::task::{Outcome, TaskState};
use super::worker::Turn;
use super::{artifacts, attempt, delegations, online_task, ready, role, root, settings_task, who};
use crate::caller::Caller;
use crate::context::Context;

/// What a handler works with. It checks first and writes afterwards: one that refuses has written nothing.
pub(super) struct Job<'a> {
    /// The deployment.
    pub ctx: &'a Context,
    /// The transaction. It is committed if the handler does not fail.
    pub tx: &'a mut TufTx,
    /// The state, stored after the handler where it changed it.
    pub repository: &'a mut Repository,
    /// Who asked.
    pub caller: &'a Caller,
    /// The task's id.
    pub task: &'a str,
    /// The present, the same for the whole transaction.
    pub now: Timestamp,
    /// What was read for an earlier task of the group.
    pub known: &'a mut Known,
}

/// What the tasks of a group need alike, and none of them changes.
#[derive(Default)]
pub(super) struct Known {
    delegations: Option<Option<Arc<Delegations>>>,
    ready: Option<Arc<Ready>>,
    /// Roles that people sign and whose content has changed, with who changed it last and by which task. What waits for
    /// signatures is made anew once for all tasks of the group, after the last one.
    pub changed: BTreeMap<String, (Caller, String)>,
    /// What they did to artifacts, for the log.
    pub artifacts: Tally,
}

impl Job<'_> {
    /// The delegations, read once for a group of tasks that do not change them.
    pub(super) async fn delegations(&mut self) -> Result<Option<Arc<Delegations>>, Error> {
        if let Some(known) = &self.known.delegations {
            return Ok(known.clone());
        }
        let read = match self.tx.role(Kind::Targets.as_str()).await? {
            Some(row) => publish::delegations_of(&row)?.map(Arc::new),
            None => None,
        };
        self.known.delegations = Some(read.clone());
        Ok(read)
    }

    /// The roles as they are, to be asked which can be signed; read once for a group.
    pub(super) async fn ready(&mut self) -> Result<Arc<Ready>, Error> {
        if let Some(ready) = &self.known.ready {
            return Ok(Arc::clone(ready));
        }
        let ready = Arc::new(Ready::read(self.tx, self.repository).await?);
        self.known.ready = Some(Arc::clone(&ready));
        Ok(ready)
    }
}

/// What became of the tasks that waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Applied {
    /// None waited.
    Nothing,
    /// Some were done; nothing moves for them.
    Done,
    /// Something moves.
    Moving,
}

/// Whether tasks of this kind go together: they change artifacts only.
pub(super) fn goes_with_others(kind: &str) -> bool {
    matches!(kind, "add_artifacts" | "remove_artifacts" | "publish_artifacts")
}

/// Does the tasks that waited longest: as many as may go together.
///
/// - `current`: the id of the task that is being done, for who must say why it was not.
///
/// # Errors
/// When a handler fails: then nothing of them was done.
pub(super) async fn next(ctx: &Context, turn: &Turn, current: &mut Option<String>) -> Result<Applied, Error> {
    let at_once = match attempt::begin(ctx).await? {
        Begun::Nothing => return Ok(Applied::Nothing),
        Begun::Tasks(at_once) => at_once,
        Begun::Never(id) => {
            tracing::error!(task = id, "a task was begun too often and never ended");
            fail(ctx, &id, "the server began it several times and could not end it").await?;
            return Ok(Applied::Done);
        }
    };
    let mut tx = ctx.store.tuf_write().await?;
    let group = group(tx.waiting_tasks(at_once, GROUP_BYTES).await?);
    if group.is_empty() {
        return Ok(Applied::Nothing);
    }
    let now = ctx.now();
    let mut repository = Repository::load(&mut tx).await?;
    let before = repository.clone();
    let ready = Arc::new(Ready::read(&mut tx, &repository).await?);
    let unready = ready.above(ctx).err();
    let mut known = Known { ready: Some(ready), ..Known::default() };
    let mut changes = Vec::with_capacity(group.len());
    let mut moving = false;
    for WaitingTufTask { task, request } in group {
        *current = Some(task.id.clone());
        let request: Request = serde_json::from_str(&request)
            .map_err(|error| crate::Error::Internal(format!("a task's request cannot be read: {error}")))?;
        let outcome = match &unready {
            Some(why) if ready::needs_keys(&request) => Outcome::refused(&refusal(&request), why),
            _ => {
                let caller = who::of_text(&task.caller)?;
                let job = Job {
                    ctx,
                    tx: &mut tx,
                    repository: &mut repository,
                    caller: &caller,
                    task: &task.id,
                    now,
                    known: &mut known,
                };
                handle(job, request).await?
            }
        };
        free_again(&mut repository, &task.id, &outcome);
        moving |= matches!(outcome, Outcome::Published { .. });
        let (state, result) = outcome.stored();
        changes.push(TaskChange { id: task.id, state: state.as_str().into(), result: Some(result) });
    }
    for (name, (caller, task)) in std::mem::take(&mut known.changed) {
        *current = Some(task.clone());
        let (tx, repository, known) = (&mut tx, &mut repository, &mut known);
        let mut job = Job { ctx, tx, repository, caller: &caller, task: &task, now, known };
        role::changed(&mut job, &[name]).await?;
    }
    *current = None;
    known.artifacts.record(ctx).await?;
    if repository != before {
        repository.save(&mut tx).await?;
    }
    tx.set_tasks(&changes, now).await?;
    moving = moving || tx.is_moving().await?;
    turn.fence(&mut tx).await?;
    tx.commit().await?;
    ctx.tuf.ended.send_modify(|count| *count += 1);
    ctx.tuf.steps.made(Step::Applied)?;
    Ok(if moving { Applied::Moving } else { Applied::Done })
}

fn group(mut waiting: Vec<WaitingTufTask>) -> Vec<WaitingTufTask> {
    let together = waiting.iter().take_while(|waiting| goes_with_others(&waiting.task.kind)).count();
    waiting.truncate(together.max(1));
    waiting
}

async fn handle(mut job: Job<'_>, request: Request) -> Result<Outcome, Error> {
    let job = &mut job;
    match request {
        Request::Bootstrap(request) => root::bootstrap(job, request).await,
        Request::UpdateSettings { expiration } => settings_task::update(job, &expiration).await,
        Request::MetadataUpdate { root } => root::update(job, root).await,
        Request::ForceOnlineMetadataUpdate { roles } => online_task::force(job, &roles).await,
        Request::SignMetadata { role, keyid, sig } => root::sign(job, &role, &keyid, &sig).await,
        Request::DeleteSignMetadata { role, proof } => root::delete(job, &role, proof).await,
        Request::OverrideSignMetadata { root, settings, proof } => {
            root::override_(job, root, settings, proof).await
        }
        Request::MetadataDelegation(request) => delegations::change(job, request).await,
        Request::AddArtifacts(request) => artifacts::add(job, request).await,
        Request::RemoveArtifacts { artifacts, publish } => artifacts::remove(job, artifacts, publish).await,
        Request::PublishArtifacts => artifacts::publish(job).await,
    }
}

/// A bootstrap that was refused leaves the system as it was.
fn free_again(repository: &mut Repository, task: &str, outcome: &Outcome) {
    let refused = matches!(outcome, Outcome::Refused { .. });
    if refused && repository.bootstrap == Bootstrap::Pre(task.to_owned()) {
        repository.bootstrap = Bootstrap::None;
    }
}

/// A task that cannot be done ends, so that those after it can be. One that was done meanwhile, by another node, stays
/// done.
///
/// # Errors
/// When the database fails.
pub(super) async fn fail(ctx: &Context, id: &str, why: &str) -> Result<(), Error> {
    let mut tx = ctx.store.tuf_write().await?;
    let state = tx.task(id).await?.map(|task| TaskState::of(&task.state));
    if !matches!(state, Some(TaskState::Pending | TaskState::Started)) {
        return Ok(());
    }
    let mut repository = Repository::load(&mut tx).await?;
    if repository.bootstrap == Bootstrap::Pre(id.to_owned()) {
        repository.bootstrap = Bootstrap::None;
        repository.save(&mut tx).await?;
    }
    let result = json!({"status": false, "message": why}).to_string();
    let state = TaskState::Failure.as_str().to_owned();
    tx.set_tasks(&[TaskChange { id: id.to_owned(), state, result: Some(result) }], ctx.now()).await?;
    tx.commit().await?;
    ctx.tuf.ended.send_modify(|count| *count += 1);
    Ok(())
}

/// What a task of this kind says when it is refused.
pub(super) fn refusal(request: &Request) -> String {
    match request {
        Request::Bootstrap(_) => "Bootstrap Failed",
        Request::UpdateSettings { .. } => settings_task::REFUSED,
        Request::MetadataUpdate { .. } => "Metadata Update Failed",
        Request::ForceOnlineMetadataUpdate { .. } => online_task::REFUSED,
        Request::SignMetadata { .. } => "Signature Failed",
        Request::DeleteSignMetadata { role, .. } => return format!("Deletion of {role} metadata failed."),
        Request::OverrideSignMetadata { .. } => "Metadata Override Failed",
        Request::MetadataDelegation(_) => delegations::REFUSED,
        Request::AddArtifacts(_) => artifacts::ADD_REFUSED,
        Request::RemoveArtifacts { .. } => artifacts::REMOVE_REFUSED,
        Request::PublishArtifacts => artifacts::PUBLISH_REFUSED,
    }
    .to_owned()
}
