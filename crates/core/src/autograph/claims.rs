//! Requests that were answered before: each is claimed in the database, and those that come at the same time with
//! one durable write.

use std::sync::{Arc, OnceLock};

use countersign_model::Clock;
use countersign_store::{HawkRequest, Store};
use tokio::sync::{mpsc, oneshot};

use crate::context::Context;
use crate::error::Error;

/// The queue of those who claim.
pub(super) struct Claims {
    queue: OnceLock<mpsc::Sender<Claim>>,
    /// For so long a request must be remembered, in seconds.
    kept: i64,
}

struct Claim {
    request: HawkRequest,
    answer: oneshot::Sender<Result<bool, Error>>,
}

/// The most that are claimed with one write.
const MOST: usize = 256;
/// Seconds between two times of forgetting.
const FORGETTING: i64 = 10;
/// By so many seconds the clocks of two nodes may differ.
const CLOCKS: i64 = 60;

impl Claims {
    pub(super) fn new(skew_seconds: u32) -> Self {
        Self { queue: OnceLock::new(), kept: i64::from(skew_seconds) + CLOCKS }
    }

    /// Whether nobody claimed `request` before. Durable when this returns.
    pub(super) async fn claim(&self, ctx: &Context, request: HawkRequest) -> Result<bool, Error> {
        let queue = self.queue.get_or_init(|| {
            let (queue, claims) = mpsc::channel(2 * MOST);
            // Without the context: the task ends when the queue is let go of.
            tokio::spawn(serve(ctx.store.clone(), Arc::clone(&ctx.clock), self.kept, claims));
            queue
        });
        let gone = || Error::StorageUnavailable("the database does not answer".into());
        let (answer, answered) = oneshot::channel();
        queue.send(Claim { request, answer }).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

/// Claims what waits, all at once; while that is written, the next ones gather.
async fn serve(store: Store, clock: Arc<dyn Clock>, kept: i64, mut claims: mpsc::Receiver<Claim>) {
    let mut waiting = Vec::with_capacity(MOST);
    let mut forgotten = 0;
    while claims.recv_many(&mut waiting, MOST).await > 0 {
        let (requests, answers): (Vec<_>, Vec<_>) =
            waiting.drain(..).map(|claim| (claim.request, claim.answer)).unzip();
        match store.claim_hawk_requests(&requests).await {
            Ok(claimed) => {
                for (answer, claimed) in answers.into_iter().zip(claimed) {
                    // Who has gone does not want to know.
                    let _ = answer.send(Ok(claimed));
                }
            }
            Err(error) => {
                let error = Error::from(error);
                for answer in answers {
                    let _ = answer.send(Err(error.clone()));
                }
            }
        }
        let now = clock.now().as_second();
        if now - forgotten >= FORGETTING {
            forgotten = now;
            if let Err(error) = store.forget_hawk_requests(now - kept).await {
                tracing::warn!(%error, "answered Hawk requests were not forgotten");
            }
        }
    }
}
