//! What runs beside the requests: taking over what other nodes wrote, recording how far the log is, and
//! small things that may be late.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use countersign_keyhost::client::Status;
use jiff::Timestamp;

use crate::context::Context;
use crate::error::Error;
use crate::snapshot::{Snapshot, TokenEntry};
use crate::{collections, idempotency, log, publication, startup, tags, tuf};

/// Starts what runs beside the requests.
pub(crate) fn start(ctx: &Context) {
    let every = |period: u64, work: Work| {
        // A task holds the context weakly, so that it does not keep a dropped deployment alive.
        let weak = ctx.downgrade();
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(period));
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let Some(ctx) = Context::upgrade(&weak) else { return };
                match work {
                    Work::Refresh => refresh(&ctx).await,
                    Work::Heads => keep_heads(&ctx).await,
                    Work::Uses => store_last_uses(&ctx).await,
                    Work::Idempotency => idempotency::expire(&ctx).await,
                    Work::Recorded => tags::recorded::follow(&ctx).await,
                    Work::Requests => tags::requests::expire(&ctx).await,
                }
            }
        })
    };
    let tasks = vec![
        every(500, Work::Refresh),
        every(1_000, Work::Heads),
        every(10_000, Work::Uses),
        every(600_000, Work::Idempotency),
        every(2_000, Work::Recorded),
        every(3_600_000, Work::Requests),
        publication::start(ctx),
        collections::writer::start(ctx),
        collections::signer::refresh::start(ctx),
        collections::reading::files::start(ctx),
        collections::chain::start(ctx),
        collections::autograph::start(ctx),
        collections::webhook::start(ctx),
        tuf::worker::start(ctx),
    ];
    ctx.tasks.lock().unwrap_or_else(PoisonError::into_inner).extend(tasks);
}

/// What a background task does each time.
#[derive(Clone, Copy)]
enum Work {
    Refresh,
    Heads,
    Uses,
    Idempotency,
    Recorded,
    Requests,
}

/// Records how far the log is; after a late unlocking, makes the first steps before. Looks whether a log that
/// could not be written can be again: a node that says it is not ready gets no requests that would show it.
pub(crate) async fn keep_heads(ctx: &Context) {
    if let Some(trouble) = ctx.key_host.log_trouble() {
        match ctx.key_host.probe_log().await {
            Ok(()) => tracing::info!("the signing log can be written again"),
            Err(_) => tracing::warn!(error = %trouble, "nothing can be signed"),
        }
    }
    if ctx.begun.load(Ordering::Acquire) {
        if let Err(error) = log::record_head(ctx).await {
            tracing::warn!(%error, "the log's head was not recorded");
        }
    } else if matches!(ctx.key_host.status(), Status::Ready(_))
        && let Err(error) = startup::begin_work(ctx).await
    {
        tracing::error!(%error, "the first start could not be completed");
    }
}

/// Takes over what other nodes wrote.
async fn refresh(ctx: &Context) {
    if let Err(error) = try_refresh(ctx).await {
        tracing::warn!(%error, "changes by other nodes could not be read");
    }
}

/// Takes over what other nodes wrote, now: for who looks for what the database has and the cache has not.
pub(crate) async fn try_refresh(ctx: &Context) -> Result<(), Error> {
    let stale = ctx.stale.load(Ordering::Acquire);
    if !stale && !ctx.shared {
        return Ok(());
    }
    let generation = ctx.store.generation().await?;
    if !stale && generation == ctx.generation.load(Ordering::Acquire) {
        return Ok(());
    }
    let _writing = ctx.writing.lock().await;
    // Of many that wait for it, the first one did it for all.
    if !ctx.stale.load(Ordering::Acquire) && generation == ctx.generation.load(Ordering::Acquire) {
        return Ok(());
    }
    ctx.stale.store(false, Ordering::Release);
    match Snapshot::load(&ctx.store, ctx.now(), Some(&ctx.cache)).await {
        Ok(snapshot) => {
            *ctx.cache.write() = snapshot;
            ctx.generation.store(generation, Ordering::Release);
            Ok(())
        }
        Err(error) => {
            ctx.stale.store(true, Ordering::Release);
            Err(error)
        }
    }
}

/// Writes when tokens were last used, many at once.
pub(crate) async fn store_last_uses(ctx: &Context) {
    let used: Vec<_> = {
        let snapshot = ctx.cache.read();
        let unstored = |(id, entry): (&String, &Arc<_>)| {
            let entry: &Arc<TokenEntry> = entry;
            Some((id.clone(), entry.unstored_use()?, Arc::clone(entry)))
        };
        snapshot.tokens.iter().filter_map(unstored).take(MAX_USES).collect()
    };
    if used.is_empty() {
        return;
    }
    let rows: Vec<(String, Timestamp)> = used.iter().map(|(id, time, _)| (id.clone(), *time)).collect();
    match ctx.store.touch_tokens(&rows).await {
        Ok(()) => used.iter().for_each(|(_, time, entry)| entry.use_is_stored(*time)),
        Err(error) => tracing::warn!(%error, "the last use of tokens was not stored"),
    }
}

const MAX_USES: usize = 1000;
