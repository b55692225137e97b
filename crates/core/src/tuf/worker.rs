//! One task after another, and what is due without anybody asking.
//!
//! On SQLite this process is the only one; on PostgreSQL one node at a time has the turn, and gives it back when there
//! is nothing to do. Whatever fails is tried again after a while: what waits stays in the database.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use countersign_keyhost::client::Status;
use countersign_store::{HeldClaim, TufTx};
use futures_util::FutureExt;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::apply::{self, Applied};
use super::attempt;
use super::error::Error;
use super::publish;
use super::schedule;
use crate::context::Context;
use crate::lease::Lease;

/// Whose turn it is, in the database's tasks.
pub(crate) const QUEUE: &str = "tuf";
/// How long a node that says nothing keeps the turn: after its death others wait as long.
const TURN: Duration = Duration::from_secs(15);
/// How often it is looked whether something waits, where other nodes may have submitted it and died.
const SHARED_TICK: Duration = Duration::from_secs(1);
/// The same where this node is the only one: its own submissions ring.
const TICK: Duration = Duration::from_secs(10);
/// While another node has the turn.
const BUSY: Duration = Duration::from_millis(30);
/// While artifacts gather, how often it is looked whether something else waits behind them.
const GATHER: Duration = Duration::from_millis(200);
/// The first pause after a failure, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// The right to change and to publish.
pub(super) struct Turn(Option<Lease>);

impl Turn {
    /// `None` while another node has it.
    async fn take(ctx: &Context) -> Result<Option<Self>, Error> {
        if !ctx.shared {
            return Ok(Some(Self(None)));
        }
        Ok(Lease::take(ctx, QUEUE, TURN).await?.map(|lease| Self(Some(lease))))
    }

    /// To be called before each step that could do harm if two nodes did it.
    ///
    /// # Errors
    /// If another node has it by now: stop.
    pub(super) async fn keep(&self, ctx: &Context) -> Result<(), Error> {
        match &self.0 {
            Some(lease) => Ok(lease.keep(ctx).await?),
            None => Ok(()),
        }
    }

    /// To be called in each transaction that writes by virtue of the turn, right before its commit: however long this
    /// node was asleep since [`Self::keep`], nothing is written if another has the turn by now.
    ///
    /// # Errors
    /// If another node has it: commit nothing.
    pub(super) async fn fence(&self, tx: &mut TufTx) -> Result<(), Error> {
        match &self.0 {
            Some(lease) => Ok(lease.hold_in(tx).await?),
            None => Ok(()),
        }
    }

    /// Keeps others from taking the turn until what is given is dropped: for a file that takes the place of another.
    ///
    /// # Errors
    /// If another node has it: stop.
    pub(super) async fn hold(&self) -> Result<Option<HeldClaim>, Error> {
        match &self.0 {
            Some(lease) => Ok(lease.hold().await?),
            None => Ok(None),
        }
    }

    /// Does `work`, which may take longer than a turn lasts.
    async fn during<T>(
        &self,
        ctx: &Context,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let keeping = async {
            loop {
                tokio::time::sleep(TURN / 3).await;
                self.keep(ctx).await?;
            }
        };
        tokio::select! {
            done = work => done,
            lost = keeping => lost,
        }
    }

    async fn release(self) {
        if let Some(lease) = self.0 {
            lease.release().await;
        }
    }
}

/// What a node remembers between its rounds.
#[derive(Default)]
struct Memory {
    /// Whether all that moves was published, as far as this node knows: not after a start or a failure.
    settled: bool,
    /// When it was looked last what is due.
    scheduled: Option<Instant>,
    /// When artifacts were published last.
    published: Option<Instant>,
    /// The task that is being done.
    current: Option<String>,
}

/// Starts what does the tasks.
pub(crate) fn start(ctx: &Context) -> JoinHandle<()> {
    // The task holds the context weakly, so that it does not keep a dropped deployment alive.
    let weak = ctx.downgrade();
    let bell = Arc::clone(&ctx.tuf.submitted);
    if !ctx.tuf.settings.enabled {
        return tokio::spawn(async {});
    }
    tokio::spawn(async move {
        let mut memory = Memory::default();
        let mut trouble = PAUSE.0;
        loop {
            let Some(ctx) = Context::upgrade(&weak) else { return };
            let tick = if ctx.shared { SHARED_TICK } else { TICK };
            let round = AssertUnwindSafe(round(&ctx, &mut memory)).catch_unwind().await;
            let round =
                round.unwrap_or_else(|_| Err(crate::Error::Internal("a task panicked".into()).into()));
            let pause = match round {
                Ok(Round::Idle) => {
                    trouble = PAUSE.0;
                    tick
                }
                Ok(Round::Busy) => BUSY,
                Err(error) => {
                    memory.settled = false;
                    let pause = trouble;
                    trouble = (trouble * 2).min(PAUSE.1);
                    if give_up(&ctx, memory.current.take(), &error).await { Duration::ZERO } else { pause }
                }
            };
            drop(ctx);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // A failure waits its time, whoever rings.
                () = bell.notified(), if pause == tick => {}
            }
        }
    })
}

/// How a round ended.
enum Round {
    /// Nothing is left to be done.
    Idle,
    /// Another node is at it.
    Busy,
}

async fn round(ctx: &Context, memory: &mut Memory) -> Result<Round, Error> {
    if !ctx.begun.load(Ordering::Acquire) {
        return Ok(Round::Busy);
    }
    if !is_awaited(ctx, memory).await? {
        return Ok(Round::Idle);
    }
    if !matches!(ctx.key_host.status(), Status::Ready(_)) {
        return Err(Error::Unavailable("the key host is not ready".into()));
    }
    let Some(turn) = Turn::take(ctx).await? else { return Ok(Round::Busy) };
    if ctx.shared {
        // Whoever had the turn may have died in the middle.
        memory.settled = false;
    }
    let done = turn.during(ctx, work(ctx, &turn, memory)).await;
    turn.release().await;
    done.map(|()| Round::Idle)
}

/// Whether there is anything to do: a look that costs no turn.
async fn is_awaited(ctx: &Context, memory: &Memory) -> Result<bool, Error> {
    if (!memory.settled && !ctx.shared) || schedule::is_time(ctx, memory.scheduled) {
        return Ok(true);
    }
    let mut tx = ctx.store.tuf_read().await?;
    Ok(tx.first_waiting().await?.is_some()
        || tx.is_moving().await?
        || !tx.tasks_in(super::task::TaskState::Running.as_str()).await?.is_empty())
}

async fn work(ctx: &Context, turn: &Turn, memory: &mut Memory) -> Result<(), Error> {
    loop {
        let mut stuck = None;
        if !memory.settled {
            match publish::finish(ctx, turn).await {
                Ok(_) => memory.settled = true,
                // A new root may bring another key.
                Err(error) if is_of_a_key(&error) => stuck = Some(error),
                Err(error) => return Err(error),
            }
        }
        if stuck.is_none() && schedule::is_time(ctx, memory.scheduled) {
            memory.settled = !schedule::run(ctx, turn).await?;
            memory.scheduled = Some(Instant::now());
            if !memory.settled {
                continue;
            }
        }
        gather(ctx, memory).await?;
        match (apply::next(ctx, turn, &mut memory.current).await?, stuck) {
            (Applied::Nothing, None) => return Ok(()),
            (Applied::Nothing, Some(stuck)) => return Err(stuck),
            (Applied::Done, _) => {}
            (Applied::Moving, _) => {
                memory.settled = false;
                memory.published = Some(Instant::now());
            }
        }
    }
}

/// Lets artifacts gather, if they were published a moment ago and the configuration says so.
async fn gather(ctx: &Context, memory: &Memory) -> Result<(), Error> {
    let pause = ctx.tuf.settings.group_for;
    let Some(until) = memory.published.filter(|_| !pause.is_zero()).map(|last| last + pause) else {
        return Ok(());
    };
    if until > Instant::now() {
        while until > Instant::now() && only_artifacts_wait(ctx).await? {
            tokio::time::sleep_until(until.min(Instant::now() + GATHER)).await;
        }
    }
    Ok(())
}

/// Whether tasks wait, and all of them only change artifacts: people's signatures and roots are not made to wait.
async fn only_artifacts_wait(ctx: &Context) -> Result<bool, Error> {
    let limit = u32::try_from(ctx.tuf.settings.group_of).unwrap_or(u32::MAX).saturating_add(1);
    let queue = ctx.store.tuf_read().await?.queue(limit).await?;
    let artifacts = queue.iter().filter(|task| apply::goes_with_others(&task.kind)).count();
    // As many as go together need not wait for more.
    Ok(artifacts > 0 && artifacts == queue.len() && artifacts < limit as usize)
}

/// Whether a key refuses, which no repetition helps against.
fn is_of_a_key(error: &Error) -> bool {
    use crate::Error as Core;
    matches!(
        error,
        Error::NoKeys(_)
            | Error::Other(
                Core::KeyRevoked(_)
                    | Core::KeyRetired(_)
                    | Core::UnknownKey(_)
                    | Core::NotPermitted { .. }
                    | Core::SchemeMismatch { .. }
                    | Core::FormatNotAllowed { .. }
            )
    )
}

/// Whether the same task can succeed later.
fn is_passing(error: &Error) -> bool {
    use crate::Error as Core;
    is_from_outside(error) || matches!(error, Error::Other(Core::StorageUnavailable(_) | Core::Conflict(_)))
}

/// Whether it can be no fault of the task that was being done.
fn is_from_outside(error: &Error) -> bool {
    use crate::Error as Core;
    match error {
        Error::Unavailable(_) => true,
        Error::Other(error) => matches!(
            error,
            Core::KeyHostUnavailable(_)
                | Core::LogUnavailable(_)
                | Core::StorageFull(_)
                | Core::PublicationStopped(_)
        ),
        _ => false,
    }
}

/// What who asked is told of a failure. What failed inside is for the operator.
fn said(error: &Error) -> String {
    match error {
        Error::Other(inside) if inside.code() == crate::Code::Internal => {
            "the server failed: its log has the reason, with the id of this task".to_owned()
        }
        error => error.to_string(),
    }
}

/// Says why a round failed. A task that can never be done is ended; whether that was so.
async fn give_up(ctx: &Context, task: Option<String>, error: &Error) -> bool {
    let Some(task) = task.filter(|_| !is_passing(error)) else {
        tracing::warn!(%error, "the TUF service cannot go on now");
        if is_from_outside(error) {
            attempt::forgive(ctx).await;
        }
        return false;
    };
    tracing::error!(%error, task, "a task failed");
    match apply::fail(ctx, &task, &said(error)).await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(%error, "a task's failure could not be recorded");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use countersign_store::StoreError;

    use super::*;

    #[test]
    fn who_loses_the_turn_leaves_the_task_to_whoever_has_it_now() {
        let lost: crate::Error = StoreError::LeaseLost { what: "task 1".into() }.into();
        assert!(is_passing(&lost.into()));
        assert!(!is_passing(&crate::Error::Internal("damaged".into()).into()));
    }
}
