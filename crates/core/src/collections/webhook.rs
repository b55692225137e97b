//! Webhooks: what happened to a review is posted to whoever wants to know.
//!
//! ```text
//! POST URL
//! Countersign-Event: ReviewRequested            Countersign-Delivery: the event's id, the same on every try
//! Countersign-Timestamp: 1795208701             Countersign-Signature: sha256=HEX
//!
//! {"event":"ReviewRequested","id":"…","time":"…","bucket":"staging","collection":"books","user":"account:ana",…}
//! ```
//!
//! The signature is HMAC-SHA-256 with the webhook's secret over the timestamp (Unix seconds, of this try), a point,
//! and the body as it is. A receiver compares it, refuses old timestamps, and takes each id once.
//!
//! An event is a task of the transaction that it tells of: it is told if that is committed, and not if it is not. It
//! is posted until it is answered with 2xx, ever more rarely, for a day; then it is left for the operator. When
//! [`MOST_WAITING`] of them wait, others are counted and dropped: a receiver that is gone never stops a review.
//! They may come in another order than they happened: `time` says which.

mod deliver;
mod message;

use std::sync::atomic::{AtomicU64, Ordering};

use countersign_store::NewTask;
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::settings::WebhookSettings;
use super::signer::events::Event;
use super::work::Work;
use crate::context::Context;
use crate::random;

pub use deliver::deliver_due;
pub(crate) use deliver::start;
pub use message::{Message, signature};

/// The queue of the tasks.
const QUEUE: &str = "collection-webhook";

/// Events that wait at most, of all webhooks together.
pub const MOST_WAITING: u32 = 10_000;

/// An event is tried this often: with the pauses between, a day.
const ATTEMPTS: u32 = 33;

/// What became of events since the start of the process.
#[derive(Debug, Default)]
pub(super) struct State {
    delivered: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

/// What became of events since the start of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Posted, and taken.
    pub delivered: u64,
    /// Tries that were not answered with 2xx.
    pub failed: u64,
    /// Not posted, because too many waited.
    pub dropped: u64,
}

/// What became of events since the start of the process.
pub fn counts(ctx: &Context) -> Counts {
    let State { delivered, failed, dropped } = &ctx.collections.webhooks;
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    Counts { delivered: read(delivered), failed: read(failed), dropped: read(dropped) }
}

/// What is to be posted, and where: the payload of a task. The secret stays in the configuration.
#[derive(Debug, Serialize, Deserialize)]
struct Posting {
    url: String,
    message: Message,
}

/// Adds what is to be posted to the transaction of what happened.
///
/// # Errors
/// Those of any write.
pub(super) async fn enqueue(work: &mut Work<'_>, events: &[Event]) -> Result<(), Error> {
    let ctx = work.ctx;
    let webhooks = &ctx.collections.settings.webhooks;
    let mut tasks = Vec::new();
    for event in events {
        for webhook in webhooks.iter().filter(|webhook| wants(webhook, event)) {
            let id = hex::encode(random::bytes::<16>()?);
            let posting = Posting { url: webhook.url.clone(), message: Message::of(event, id) };
            let payload = serde_json::to_string(&posting)
                .map_err(|error| crate::Error::Internal(format!("an event: {error}")))?;
            let run_at = work.now();
            tasks.push(NewTask { queue: QUEUE.into(), key: None, payload, run_at, max_attempts: ATTEMPTS });
        }
    }
    if tasks.is_empty() {
        return Ok(());
    }
    let now = work.now();
    let tx = work.flush().await?;
    let room = u64::from(MOST_WAITING).saturating_sub(tx.waiting(QUEUE, MOST_WAITING).await?);
    let fits = usize::try_from(room).unwrap_or(usize::MAX).min(tasks.len());
    for task in tasks.drain(..fits) {
        tx.enqueue(&task, now).await?;
    }
    if !tasks.is_empty() {
        ctx.collections.webhooks.dropped.fetch_add(tasks.len() as u64, Ordering::Relaxed);
        tracing::warn!(dropped = tasks.len(), "too many events wait to be posted: nobody is told of these");
    }
    Ok(())
}

fn wants(webhook: &WebhookSettings, event: &Event) -> bool {
    webhook.events.is_empty() || webhook.events.iter().any(|name| name == event.event.as_str())
}
