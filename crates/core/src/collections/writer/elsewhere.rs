//! Requests for which another service signs: tried, so that it is known what must be signed; signed outside of any
//! transaction; and tried again.
//!
//! ```text
//! attempt in a transaction ──▶ all signatures are there: done
//!    ▲      │ some are missing: the transaction is given up
//!    │      ▼
//! in the queue again ◀── all that is missing is signed elsewhere, while others write
//! ```
//!
//! If nothing that matters has changed meanwhile, the second attempt does the same as the first, to the byte, and
//! finds its signatures. Otherwise what is signed is another message, and it goes round once more.

use super::{Job, PATIENCE, all};
use crate::collections::error::Error;
use crate::collections::work::Trial;
use crate::context::Context;

/// How often a request is attempted.
const ATTEMPTS: u32 = 5;

/// Has signed what a request waits for, and puts it in the queue again. Also if nobody waits for it any more.
pub(super) fn sign(ctx: &Context, mut job: Job) {
    job.signs = true;
    let ctx = ctx.clone();
    tokio::spawn(async move {
        let failed = match prepare(&ctx, &mut job).await {
            Ok(()) => match ctx.collections.writer.sender.send_timeout(job, PATIENCE).await {
                Ok(()) => return,
                Err(error) => {
                    job = error.into_inner();
                    busy()
                }
            },
            Err(error) => error,
        };
        // Nobody may be there any more.
        let _ = job.answers.send(all(job.calls.len(), &failed));
    });
}

async fn prepare(ctx: &Context, job: &mut Job) -> Result<(), Error> {
    let services = job.trial.signatures.services();
    if !job.held.covers(&services) && !job.held.take_now(ctx, &services) {
        // Whoever waits holds no contents, and begins as if it came later.
        job.trial = Trial::default();
        let waited = tokio::time::timeout(PATIENCE, job.held.wait(ctx, services)).await;
        return waited.map_err(|_| busy());
    }
    job.attempts += 1;
    if job.attempts == ATTEMPTS {
        tracing::warn!("what another service should sign changed each time before it was signed");
        return Err(Error::Unavailable(
            "What is to be signed changes faster than it is signed; nothing was changed. Retry when fewer write.".into(),
        ));
    }
    job.trial.signatures.fetch(ctx).await.map_err(|(source, error)| {
        tracing::error!(%error, %source, "a collection could not be signed by its Autograph");
        Error::Unavailable("The collection cannot be signed now; nothing was changed.".into())
    })
}

fn busy() -> Error {
    Error::Unavailable("Service temporary unavailable due to overloading, please retry later.".into())
}
