//! Tasks: what was accepted, and what became of it.

use std::time::Duration;

use countersign_store::{NewTufTask, TufTask, TufTx, Waiting};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::error::Error;
use super::repository::{Bootstrap, Repository};
use super::request::Request;
use super::{accept, who};
use crate::caller::Caller;
use crate::context::Context;
use crate::random;

/// How far a task is. Only the last three end a client's waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TaskState {
    /// It waits. Also of one that never was.
    Pending,
    /// It is worked on.
    Started,
    /// What it changed is being published.
    Running,
    /// Done, durable and served.
    Success,
    /// Refused, or not possible; nothing was changed.
    Errored,
    /// It was not foreseen.
    Failure,
}

impl TaskState {
    /// Whether nothing more will happen.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Success | Self::Errored | Self::Failure)
    }

    /// The state of this name; what is none is pending.
    pub(super) fn of(name: &str) -> Self {
        let all = [Self::Started, Self::Running, Self::Success, Self::Errored, Self::Failure];
        all.into_iter().find(|state| state.as_str() == name).unwrap_or(Self::Pending)
    }

    /// As clients are told and as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Started => "STARTED",
            Self::Running => "RUNNING",
            Self::Success => "SUCCESS",
            Self::Errored => "ERRORED",
            Self::Failure => "FAILURE",
        }
    }
}

/// What a task says when it is done: how the worker's steps end.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Done in this transaction; nothing to be published.
    Done {
        /// `result.message`.
        message: String,
        /// `result.details`; `None` is left out.
        details: Option<Value>,
    },
    /// Done when what this transaction has set moving is public.
    Published {
        /// `result.message`.
        message: String,
        /// `result.details`.
        details: Option<Value>,
    },
    /// Refused; this transaction must have changed nothing for it.
    Refused {
        /// `result.message`, `Signature Failed`.
        message: String,
        /// `result.error`, `Invalid signature`.
        error: String,
    },
}

impl Outcome {
    /// A refusal.
    pub fn refused(message: &str, error: impl std::fmt::Display) -> Self {
        Self::Refused { message: message.to_owned(), error: error.to_string() }
    }
}

/// A request that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// 32 lower-case hex digits.
    pub id: String,
    /// When.
    pub last_update: Timestamp,
}

/// How far a task is, for who asked.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskView {
    /// The task's id.
    pub id: String,
    /// How far it is.
    pub state: TaskState,
    /// `{"task","status","message","error"?,"details"?,"last_update"}`; none before it is worked on.
    pub result: Option<Value>,
}

/// Takes a request: checks that the repository is in a state for it, and stores it durably as a task.
///
/// # Errors
/// [`Error::WrongState`], [`Error::Conflict`], [`Error::ProofRequired`]; [`Error::Other`] when it is not permitted, or
/// the database does not answer.
pub async fn submit(ctx: &Context, caller: &Caller, request: Request) -> Result<Accepted, Error> {
    if !ctx.tuf.settings.enabled {
        return Err(Error::Unavailable("the TUF service is switched off".into()));
    }
    accept::permit(ctx, caller, &request)?;
    let id = new_id()?;
    let text = serde_json::to_string(&request).map_err(|error| crate::Error::Internal(error.to_string()))?;
    let now = ctx.now();
    let mut tx = ctx.store.tuf_write().await?;
    let mut repository = Repository::load(&mut tx).await?;
    accept::check(ctx, &mut tx, &repository, &request).await?;
    room(&mut tx).await?;
    if let Request::Bootstrap(_) = request {
        repository.bootstrap = Bootstrap::Pre(id.clone());
        repository.save(&mut tx).await?;
    }
    let kind = request.task().to_owned();
    tx.add_task(&NewTufTask { id: id.clone(), kind, request: text, caller: who::to_text(caller), now })
        .await?;
    tx.commit().await?;
    ctx.tuf.submitted.notify_one();
    Ok(Accepted { id, last_update: now })
}

/// Tasks that wait at most, and bytes of their requests: what comes above that is asked to come again.
const WAITING: Waiting = Waiting { tasks: 20_000, bytes: 1 << 30 };

/// Whether one task more can wait.
async fn room(tx: &mut TufTx) -> Result<(), Error> {
    let waiting = tx.waiting().await?;
    if waiting.tasks >= WAITING.tasks || waiting.bytes >= WAITING.bytes {
        return Err(Error::Unavailable("too many tasks wait to be done".into()));
    }
    Ok(())
}

/// A random UUID (RFC 9562, version 4) without dashes: where ids are joined to a state, they are told apart at a dash.
fn new_id() -> Result<String, Error> {
    let mut bytes = random::bytes::<16>()?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Ok(hex::encode(bytes))
}

/// How far the task of this id is; one that never was is pending. Waits up to `wait` for it to end.
///
/// # Errors
/// When the database does not answer.
pub async fn get(ctx: &Context, id: &str, wait: Duration) -> Result<TaskView, Error> {
    let until = tokio::time::Instant::now() + wait;
    let mut ended = ctx.tuf.ended.subscribe();
    loop {
        // Before it is looked at: what ends afterwards is noticed.
        ended.borrow_and_update();
        let view = look(ctx, id).await?;
        let now = tokio::time::Instant::now();
        let Some(view) = view.as_ref().filter(|view| !view.state.is_final() && now < until) else {
            let never = || TaskView { id: id.to_owned(), state: TaskState::Pending, result: None };
            return with_progress(ctx, view.unwrap_or_else(never)).await;
        };
        tracing::trace!(id = view.id, "a task is waited for");
        // On a shared database it may be another node that ends it.
        let next = if ctx.shared { until.min(now + LOOK_AGAIN) } else { until };
        let _ = tokio::time::timeout_at(next, ended.changed()).await;
    }
}

/// How often who waits for a task looks, where other nodes may end it.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

async fn look(ctx: &Context, id: &str) -> Result<Option<TaskView>, Error> {
    let task = ctx.store.tuf_read().await?.task(id).await?;
    Ok(task.map(|task| {
        let state = TaskState::of(&task.state);
        TaskView { result: view_of(&task, state), id: task.id, state }
    }))
}

/// Says of a task that is published how far that is: `details` = `{"published_roles","roles_to_publish"}`, a number and
/// names with a comma between each two. Only of what is told, not at each look.
async fn with_progress(ctx: &Context, mut view: TaskView) -> Result<TaskView, Error> {
    if let (TaskState::Running, Some(result)) = (view.state, &mut view.result) {
        let progress = ctx.store.tuf_read().await?.progress(NAMED).await?;
        let mut names = progress.names.join(", ");
        let more = progress.waiting.saturating_sub(progress.names.len() as u64);
        if more > 0 {
            names.push_str(&format!(" and {more} more"));
        }
        result["details"] = json!({"published_roles": progress.signed, "roles_to_publish": names});
    }
    Ok(view)
}

/// Roles that are named to who asks how far a publication is: nobody reads thousands of bins.
const NAMED: u32 = 50;

/// What clients are told. Of a task that is published its end is stored already, but not said.
fn view_of(task: &TufTask, state: TaskState) -> Option<Value> {
    let mut result: Map<String, Value> = match state {
        TaskState::Pending | TaskState::Started => return None,
        TaskState::Running => Map::from_iter([("message".to_owned(), json!("Publishing"))]),
        _ => serde_json::from_str(task.result.as_deref()?).ok()?,
    };
    result.insert("task".to_owned(), json!(task.kind));
    result.insert("last_update".to_owned(), json!(format!("{:.6}", task.updated)));
    Some(Value::Object(result))
}

impl Outcome {
    /// The state of a task that ended so, and the result that is stored: `{"status","message","error"?,"details"?}`.
    pub(super) fn stored(&self) -> (TaskState, String) {
        let (state, result) = match self {
            Self::Done { message, details } => (TaskState::Success, accepted(message, details.as_ref())),
            Self::Published { message, details } => (TaskState::Running, accepted(message, details.as_ref())),
            Self::Refused { message, error } => {
                (TaskState::Errored, json!({"status": false, "message": message, "error": error}))
            }
        };
        (state, result.to_string())
    }
}

fn accepted(message: &str, details: Option<&Value>) -> Value {
    let mut result = json!({"status": true, "message": message});
    if let Some(details) = details {
        result["details"] = details.clone();
    }
    result
}
