//! Work that one node does at a time: a task in the database that is claimed, done and ended.

use std::time::Duration;

use countersign_store::{HeldClaim, NewTask, Store, Task, TufTx};

use crate::context::Context;
use crate::error::Error;

/// For work that keeps its lease as it goes on: whoever says nothing for longer was not running, and after a crash
/// the work rests for this time.
pub(crate) const LENGTH: Duration = Duration::from_secs(60);

/// The right to do one kind of work, until it is given back or its time is over.
pub(crate) struct Lease {
    store: Store,
    task: Option<Task>,
    length: Duration,
}

impl Lease {
    /// Takes the lease on `work`, for as long as `length`; `None` while somebody else has it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn take(
        ctx: &Context,
        work: &'static str,
        length: Duration,
    ) -> Result<Option<Self>, Error> {
        let now = ctx.now();
        let new = NewTask {
            queue: work.to_owned(),
            // One for all: there is one lease.
            key: Some("lease".into()),
            payload: "{}".into(),
            run_at: now,
            // Whoever dies with it, the next one takes it.
            max_attempts: u32::MAX,
        };
        ctx.store.enqueue(&new, now).await?;
        let task = ctx.store.claim(work, now, length, ctx.node.as_str()).await?;
        Ok(task.map(|task| Self { store: ctx.store.clone(), task: Some(task), length }))
    }

    /// Keeps it for as long again. To be called before each step that could do harm if two did it.
    ///
    /// # Errors
    /// If it has passed to somebody else: stop.
    pub(crate) async fn keep(&self, ctx: &Context) -> Result<(), Error> {
        let Some(task) = &self.task else { return Ok(()) };
        Ok(self.store.renew(task.id, task.fence, ctx.now(), self.length).await?)
    }

    /// Makes sure that it is still here, in the transaction that writes what only its holder may write: nobody else
    /// takes it before the end of the transaction.
    ///
    /// # Errors
    /// If it has passed to somebody else: commit nothing.
    pub(crate) async fn hold_in(&self, tx: &mut TufTx) -> Result<(), Error> {
        let Some(task) = &self.task else { return Ok(()) };
        Ok(tx.hold_lease(task.id, task.fence).await?)
    }

    /// Makes sure that it is still here, and that nobody else takes it before what is given is dropped, however late
    /// that is: for a step outside of the database.
    ///
    /// # Errors
    /// If it has passed to somebody else: stop.
    pub(crate) async fn hold(&self) -> Result<Option<HeldClaim>, Error> {
        let Some(task) = &self.task else { return Ok(None) };
        Ok(Some(self.store.hold_claim(task.id, task.fence).await?))
    }

    /// Gives it back.
    pub(crate) async fn release(mut self) {
        if let Some(task) = &self.task {
            finish(&self.store, task).await;
        }
        // Not before: if this is given up in the middle, dropping gives it back.
        self.task = None;
    }
}

async fn finish(store: &Store, task: &Task) {
    // One that has passed to somebody else is left alone.
    if let Err(error) = store.finish(task.id, task.fence).await {
        tracing::debug!(%error, queue = %task.queue, "a lease was not given back");
    }
}

impl Drop for Lease {
    // Work that is given up in the middle, as at the end of the process, does not keep others from it.
    fn drop(&mut self) {
        if let (Some(task), Ok(runtime)) = (self.task.take(), tokio::runtime::Handle::try_current()) {
            let store = self.store.clone();
            runtime.spawn(async move { finish(&store, &task).await });
        }
    }
}
