//! Requests that share a transaction.
//!
//! Reads see one snapshot. Writes go through a queue: one task takes all that wait, applies one after the other,
//! writes them at once and answers. So they never collide, each sees those before it, and many cost one sync. A
//! request that is refused is undone in memory; one that fails in a way that may have reached the database is
//! left out, and the others are applied again. A request that signs has a transaction of its own, since a signer
//! may fail; what another service is to sign is signed outside of any transaction (`elsewhere`).

mod elsewhere;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::apply;
use super::autograph::Held;
use super::call::{Answer, Call, Method, Target};
use super::error::Error;
use super::judge::{self, Room};
use super::uri::{Kind, ListUri, ObjectUri};
use super::who::Who;
use super::work::{Mode, Trial, Work};
use super::{accounts, default_bucket, reading, schema, signer};
use crate::context::Context;

/// Answers all calls of one request, in their order: of a batch, or the only one.
///
/// What was begun is done to its end, also if nobody waits for the answer any more.
pub async fn execute(ctx: &Context, who: &Who, calls: Vec<Call>) -> Vec<Answer> {
    if calls.is_empty() {
        return Vec::new();
    }
    if calls.iter().all(|call| !writes(call)) {
        return read(ctx, who, &calls).await;
    }
    let refusals = judge::refusals(ctx, who, &calls).await;
    let left = calls.into_iter().zip(&refusals).filter(|(_, refusal)| refusal.is_none());
    let left: Vec<Call> = left.map(|(call, _)| call).collect();
    let mut answers = write(ctx, who, left).await.into_iter();
    let answer =
        |refusal: Option<Error>| refusal.map_or_else(|| answers.next(), |e| Some(Answer::Refused(e)));
    refusals.into_iter().filter_map(answer).collect()
}

/// Answers calls of which nothing is known yet that refuses them.
async fn write(ctx: &Context, who: &Who, calls: Vec<Call>) -> Vec<Answer> {
    if calls.iter().all(|call| !writes(call)) {
        return read(ctx, who, &calls).await;
    }
    let count = calls.len();
    schema::prepare(&ctx.collections.schemas, &calls).await;
    let calls = accounts::seal_passwords(ctx, who, calls).await;
    match enqueue(ctx, who, calls).await {
        Ok(answers) => answers,
        Err(error) => all(count, &error),
    }
}

/// Whether a call may change something.
pub(super) fn writes(call: &Call) -> bool {
    // Whatever is asked of it, somebody's own bucket comes to be.
    !matches!(call.method, Method::Get | Method::Head) || default_bucket::is_meant(&call.target)
}

async fn read(ctx: &Context, who: &Who, calls: &[Call]) -> Vec<Answer> {
    let work = async {
        if calls.iter().any(asks_for_history) {
            ctx.store().write_due_entries().await?;
        }
        let mut work = Work::begin(ctx, Mode::Read).await?;
        prefetch(&mut work, calls).await?;
        Ok::<_, Error>(work)
    };
    let mut work = match work.await {
        Ok(work) => work,
        Err(error) => return all(calls.len(), &error),
    };
    let mut answers = Vec::with_capacity(calls.len());
    let mut room = Room::default();
    for call in calls {
        let answer = match room.check() {
            Ok(()) => apply::apply(&mut work, who, call).await,
            Err(full) => Err(full),
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) if error.undoes_all() => return all(calls.len(), &error),
            Err(error) => Answer::Refused(error),
        };
        room.take(answer.weight());
        answers.push(answer);
    }
    answers
}

/// Whether the answer has entries that may still have to be written.
fn asks_for_history(call: &Call) -> bool {
    match &call.target {
        Target::Object(uri) => uri.kind() == Kind::History,
        Target::List(list) => list.kind() == Kind::History,
        Target::Permissions => false,
    }
}

/// Loads what the calls are about, and what that is in.
async fn prefetch<'c>(work: &mut Work<'_>, calls: impl IntoIterator<Item = &'c Call>) -> Result<(), Error> {
    let mut objects: Vec<ObjectUri> = Vec::new();
    let mut lists: Vec<ListUri> = Vec::new();
    let mut last: Option<&ListUri> = None;
    for call in calls {
        let list = match &call.target {
            Target::Object(uri) => {
                objects.push(uri.clone());
                &uri.list
            }
            Target::List(list) => list,
            Target::Permissions => continue,
        };
        if last == Some(list) {
            continue;
        }
        last = Some(list);
        let mut parent = list.parent();
        while let Some(uri) = parent {
            parent = uri.list.parent();
            objects.push(uri);
        }
        // An object is shown with a timestamp of its own.
        if writes(call) || matches!(call.target, Target::List(_)) {
            lists.push(list.clone());
        }
    }
    work.prefetch(&objects).await?;
    work.prefetch_timestamps(&lists).await
}

/// The queue of requests that write.
#[derive(Debug)]
pub(super) struct Queue {
    sender: mpsc::Sender<Job>,
    /// Until the writer begins.
    receiver: Mutex<Option<mpsc::Receiver<Job>>>,
}

#[derive(Debug)]
struct Job {
    who: Who,
    calls: Vec<Call>,
    signs: bool,
    /// What it keeps from attempt to attempt.
    trial: Trial,
    /// How often it was attempted and found that something is still to be signed elsewhere.
    attempts: u32,
    /// The services that sign for it and for nobody else until it is done.
    held: Held,
    answers: oneshot::Sender<Vec<Answer>>,
}

/// Requests that wait at most; others wait to wait.
const QUEUE: usize = 256;

/// Requests and calls that share a transaction at most: whoever waits for the database longer than that sees it.
const GROUP_JOBS: usize = 128;
const GROUP_CALLS: usize = 2_000;

/// How long a request waits for a place in the queue.
const PATIENCE: Duration = Duration::from_secs(20);

impl Default for Queue {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        Self { sender, receiver: Mutex::new(Some(receiver)) }
    }
}

async fn enqueue(ctx: &Context, who: &Who, calls: Vec<Call>) -> Result<Vec<Answer>, Error> {
    let signs = calls.iter().any(|call| signer::is_signing(ctx, call));
    let (answers, answered) = oneshot::channel();
    let job = Job {
        who: who.clone(),
        calls,
        signs,
        trial: Trial::default(),
        attempts: 0,
        held: Held::default(),
        answers,
    };
    ctx.collections.writer.sender.send_timeout(job, PATIENCE).await.map_err(|_| {
        Error::Unavailable("Service temporary unavailable due to overloading, please retry later.".into())
    })?;
    answered.await.map_err(|_| Error::Other(crate::Error::Internal("a write ended without an answer".into())))
}

/// Starts the task that writes.
pub(crate) fn start(ctx: &Context) -> JoinHandle<()> {
    let receiver = ctx.collections.writer.receiver.lock().unwrap_or_else(PoisonError::into_inner).take();
    // The task holds the context weakly, so that it does not keep a dropped deployment alive.
    let weak = ctx.downgrade();
    tokio::spawn(async move {
        let Some(mut receiver) = receiver else { return };
        let mut next: Option<Job> = None;
        loop {
            let first = match next.take() {
                Some(job) => job,
                None => match receiver.recv().await {
                    Some(job) => job,
                    None => return,
                },
            };
            let Some(ctx) = Context::upgrade(&weak) else { return };
            let (group, left) = gather(first, &mut receiver);
            next = left;
            // In a task of its own: if it fails to end well, those who wait for it are told, and the next go on.
            if let Err(error) = tokio::spawn(async move { settle(&ctx, group).await }).await {
                tracing::error!(%error, "a group of writes was given up");
            }
        }
    })
}

/// All that wait and can share a transaction with `first`, and the first one that cannot.
fn gather(first: Job, receiver: &mut mpsc::Receiver<Job>) -> (Vec<Job>, Option<Job>) {
    let alone = first.signs;
    let mut calls = first.calls.len();
    let mut group = vec![first];
    while !alone && group.len() < GROUP_JOBS && calls < GROUP_CALLS {
        match receiver.try_recv() {
            Ok(job) if job.signs => return (group, Some(job)),
            Ok(job) => {
                calls += job.calls.len();
                group.push(job);
            }
            Err(_) => break,
        }
    }
    (group, None)
}

/// Does the work of a group and answers everybody.
async fn settle(ctx: &Context, mut group: Vec<Job>) {
    let signs = group.iter().any(|job| job.signs);
    while !group.is_empty() {
        match attempt(ctx, &mut group).await {
            Ok(answers) => {
                for (job, answers) in group.drain(..).zip(answers) {
                    // Nobody may be there any more.
                    let _ = job.answers.send(answers);
                }
            }
            Err(Failed::NeedsSignatures(at)) => elsewhere::sign(ctx, group.remove(at)),
            Err(Failed::One(at, error)) => {
                let job = group.remove(at);
                let _ = job.answers.send(all(job.calls.len(), &error));
            }
            Err(Failed::All(error)) => {
                for job in group.drain(..) {
                    let _ = job.answers.send(all(job.calls.len(), &error));
                }
            }
        }
    }
    // The history of many copies is written now that nobody waits for it; else whoever writes next does it.
    if signs && let Err(error) = ctx.store().write_due_entries().await {
        tracing::warn!(%error, "entries of the history are still to be written");
    }
}

/// A transaction that was given up.
enum Failed {
    /// As a whole.
    All(Error),
    /// For the sake of one request.
    One(usize, Error),
    /// For one for which another service has to sign something first.
    NeedsSignatures(usize),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::All(error)
    }
}

async fn attempt(ctx: &Context, group: &mut [Job]) -> Result<Vec<Vec<Answer>>, Failed> {
    let mut work = Work::begin(ctx, Mode::Write).await?;
    prefetch(&mut work, group.iter().flat_map(|job| &job.calls)).await?;
    let mut answers = Vec::with_capacity(group.len());
    for (at, job) in group.iter_mut().enumerate() {
        work.begin_request(std::mem::take(&mut job.trial));
        let performed = perform(&mut work, job).await;
        job.trial = work.end_request();
        let failed = |error| if work.is_lost() { Failed::All(error) } else { Failed::One(at, error) };
        answers.push(performed.map_err(failed)?);
        if !job.trial.signatures.is_complete() {
            return Err(Failed::NeedsSignatures(at));
        }
    }
    signer::events::deliver(&mut work).await?;
    let touched = work.commit().await?;
    reading::forget(ctx, &touched);
    accounts::forget(ctx, &touched);
    Ok(answers)
}

/// Applies the calls of one request: a refusal of one undoes that one.
async fn perform(work: &mut Work<'_>, job: &Job) -> Result<Vec<Answer>, Error> {
    let mut answers = Vec::with_capacity(job.calls.len());
    let mut room = Room::default();
    for call in &job.calls {
        if let Err(full) = room.check() {
            answers.push(Answer::Refused(full));
            continue;
        }
        if work.has_staged() && (apply::queries(call) || signer::queries(work.ctx, call)) {
            work.flush().await?;
        }
        let savepoint = work.savepoint();
        match apply::apply(work, &job.who, call).await {
            Ok(answer) => answers.push(answer),
            Err(error) if error.undoes_all() => return Err(error),
            Err(error) => {
                if work.rollback(savepoint).is_err() {
                    tracing::error!(%error, "a request was refused after it was written");
                    return Err(Error::Other(crate::Error::Internal("a refusal came too late".into())));
                }
                answers.push(Answer::Refused(error));
            }
        }
        room.take(answers.last().map_or(0, Answer::weight));
        work.write_ahead().await?;
    }
    Ok(answers)
}

fn all(count: usize, error: &Error) -> Vec<Answer> {
    (0..count).map(|_| Answer::Refused(error.clone())).collect()
}
