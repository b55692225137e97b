//! Posting what waits: some at a time, each under a lease, so that no two nodes post the same at the same time.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use countersign_store::{Failed, Task};
use jiff::{SignedDuration, Timestamp};
use tokio::task::{JoinHandle, JoinSet};

use super::{Posting, QUEUE, signature};
use crate::collections::outside::{HttpMethod, HttpRequest, send};
use crate::context::Context;
use crate::error::Error;
use crate::random;

/// How often a node looks for what is due.
const PERIOD: Duration = Duration::from_secs(1);

/// Posted at the same time at most, by a node.
const AT_ONCE: usize = 4;

/// How long a receiver has for its answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Whoever posts for longer was not running.
const LEASE: Duration = Duration::from_secs(60);

/// The pause after the first failure; each one is twice as long, up to the longest.
const FIRST_PAUSE: i64 = 5;
const LONGEST_PAUSE: i64 = 3600;

/// The longest answer that is read: nobody looks at it.
const LONGEST_ANSWER: usize = 64 << 10;

/// What could not be posted is left for the operator this long.
const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Starts what posts. Without webhooks there is nothing to do.
pub(crate) fn start(ctx: &Context) -> JoinHandle<()> {
    // The task holds the context weakly, so that it does not keep a dropped deployment alive.
    let weak = ctx.downgrade();
    let idle = ctx.collections.settings.webhooks.is_empty();
    tokio::spawn(async move {
        if idle {
            return;
        }
        let mut turns = 0_u32;
        loop {
            tokio::time::sleep(PERIOD).await;
            let Some(ctx) = Context::upgrade(&weak) else { return };
            if let Err(error) = deliver_due(&ctx).await {
                tracing::warn!(%error, "events could not be posted now");
            }
            if turns.is_multiple_of(3600)
                && let Err(error) = forget(&ctx).await
            {
                tracing::warn!(%error, "events that nobody took could not be removed");
            }
            turns = turns.wrapping_add(1);
        }
    })
}

async fn forget(ctx: &Context) -> Result<(), Error> {
    let before = ctx.now().checked_sub(KEPT).unwrap_or(Timestamp::MIN);
    ctx.store.forget_dead(QUEUE, before).await?;
    Ok(())
}

/// Posts all that is due, and says how many events were taken.
///
/// # Errors
/// When the database does not answer.
pub async fn deliver_due(ctx: &Context) -> Result<u32, Error> {
    let mut posting = JoinSet::new();
    let mut taken = 0;
    loop {
        while posting.len() < AT_ONCE
            && let Some(task) = ctx.store.claim(QUEUE, ctx.now(), LEASE, ctx.node.as_str()).await?
        {
            let ctx = ctx.clone();
            posting.spawn(async move { settle(&ctx, task).await });
        }
        match posting.join_next().await {
            Some(ended) => taken += u32::from(ended.unwrap_or(false)),
            None => return Ok(taken),
        }
    }
}

/// Posts one, and ends its task or puts it off. Whether it was taken.
async fn settle(ctx: &Context, task: Task) -> bool {
    let counts = &ctx.collections.webhooks;
    let settled = match post(ctx, &task.payload).await {
        Ok(()) => {
            counts.delivered.fetch_add(1, Ordering::Relaxed);
            ctx.store.finish(task.id, task.fence).await.map(|()| true)
        }
        Err(why) => {
            counts.failed.fetch_add(1, Ordering::Relaxed);
            let retry_at = ctx.now().checked_add(pause(task.attempts)).unwrap_or(Timestamp::MAX);
            let failed = ctx.store.fail(task.id, task.fence, &why, retry_at).await;
            match failed {
                Ok(Failed::Dead) => {
                    tracing::error!(error = %why, task = task.id, "an event was not taken for a day")
                }
                Ok(Failed::Retried) => tracing::warn!(error = %why, %retry_at, "an event was not taken"),
                Err(_) => {}
            }
            failed.map(|_| false)
        }
    };
    settled.unwrap_or_else(|error| {
        // It will be posted again, under the same id.
        tracing::warn!(%error, "what became of an event could not be stored");
        false
    })
}

async fn post(ctx: &Context, payload: &str) -> Result<(), String> {
    let Posting { url, message } =
        serde_json::from_str(payload).map_err(|error| format!("the task cannot be read: {error}"))?;
    let webhook = ctx.collections.settings.webhooks.iter().find(|webhook| webhook.url == url);
    let webhook = webhook.ok_or("the webhook is not in the configuration of this node")?;
    let body = serde_json::to_vec(&message).map_err(|error| error.to_string())?;
    let timestamp = ctx.now().as_second();
    let request = HttpRequest {
        method: HttpMethod::Post,
        url,
        headers: vec![
            ("Content-Type", "application/json".into()),
            ("Countersign-Event", message.event),
            ("Countersign-Delivery", message.id),
            ("Countersign-Timestamp", timestamp.to_string()),
            ("Countersign-Signature", signature(webhook.secret.as_bytes(), timestamp, &body)),
        ],
        body: Bytes::from(body),
        timeout: TIMEOUT,
        longest: LONGEST_ANSWER,
    };
    let answer = send(ctx, request).await.map_err(|error| error.to_string())?;
    if (200..300).contains(&answer.status) {
        return Ok(());
    }
    Err(format!("the receiver answered {}", answer.status))
}

/// How long to wait after a number of failures: a tenth more or less, so that not all come back at once.
fn pause(attempts: u32) -> SignedDuration {
    let doublings = attempts.saturating_sub(1).min(16);
    let seconds = (FIRST_PAUSE << doublings).min(LONGEST_PAUSE);
    let part = random::bytes::<1>().map_or(128, |[byte]| i64::from(byte));
    SignedDuration::from_millis(seconds * 900 + seconds * 200 * part / 255)
}

#[cfg(test)]
mod tests {
    use super::super::ATTEMPTS;
    use super::*;

    #[test]
    fn an_event_is_tried_ever_more_rarely_and_for_a_day() {
        for (attempts, seconds) in
            [(1, 5), (2, 10), (5, 80), (10, 2560), (11, 3600), (33, 3600), (u32::MAX, 3600)]
        {
            let pause = pause(attempts).as_millis();
            assert!((seconds * 900..=seconds * 1100).contains(&pause), "{attempts}: {pause}");
        }
        // The last failure is followed by no other try.
        let day: i64 = (1..ATTEMPTS).map(|n| (FIRST_PAUSE << (n - 1).min(16)).min(LONGEST_PAUSE)).sum();
        assert!((23 * 3600..=25 * 3600).contains(&day), "{day}");
    }
}
