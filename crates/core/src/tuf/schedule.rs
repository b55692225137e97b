//! New versions before old ones end: at the start, and then every minute.

use std::sync::atomic::Ordering;
use std::time::Duration;

use countersign_store::MovingRoles;
use countersign_tuf::metadata::Kind;
use tokio::time::Instant;

use super::apply::{Job, Known};
use super::error::Error;
use super::ready::Ready;
use super::repository::Repository;
use super::worker::Turn;
use super::{gc, publish, role, who};
use crate::context::Context;

/// How often it is looked what is due.
const PERIOD: Duration = Duration::from_secs(60);

/// Whether it is time to look.
pub(super) fn is_time(ctx: &Context, last: Option<Instant>) -> bool {
    ctx.tuf.look.load(Ordering::Acquire) || is_long_ago(last)
}

/// Not yet at all, after a start, or a minute ago.
fn is_long_ago(last: Option<Instant>) -> bool {
    last.is_none_or(|last| last.elapsed() >= PERIOD)
}

/// Sets moving what is due: of its life a third, or less than an hour, is left. Makes what people sign anew where that is
/// due. Says whether anything moves.
///
/// # Errors
/// When the database fails.
pub(super) async fn run(ctx: &Context, turn: &Turn) -> Result<bool, Error> {
    ctx.tuf.look.store(false, Ordering::Release);
    gc::forget_tasks(ctx).await?;
    if !Repository::load(&mut ctx.store.tuf_read().await?).await?.bootstrap.is_finished() {
        return Ok(false);
    }
    let mut tx = ctx.store.tuf_write().await?;
    let mut repository = Repository::load(&mut tx).await?;
    let now = ctx.now();
    let due = tx.due(now).await?;
    let due = signable(ctx, &Ready::read(&mut tx, &repository).await?, due);
    let caller = who::by_surface(ctx);
    let mut known = Known::default();
    let job = &mut Job {
        ctx,
        tx: &mut tx,
        repository: &mut repository,
        caller: &caller,
        task: "",
        now,
        known: &mut known,
    };
    let moves = !due.is_empty();
    if moves {
        set_moving(job, due).await?;
    }
    let renewed = role::renew(job).await?;
    if moves || renewed {
        turn.fence(&mut tx).await?;
        tx.commit().await?;
    }
    Ok(moves)
}

/// Those that can be signed, with what is above them. One that cannot holds up no other.
fn signable(ctx: &Context, ready: &Ready, due: Vec<String>) -> Vec<String> {
    let (mut able, unable) = ready.able(ctx, due);
    for (role, why) in unable {
        tracing::error!(role, why, "metadata that are about to expire cannot be signed");
    }
    if let Err(why) = ready.above(ctx) {
        if !able.is_empty() {
            tracing::error!(why, "metadata that are about to expire cannot be published");
        }
        able.retain(|role| role == Kind::Timestamp.as_str());
    }
    able
}

/// What is above a role that moves moves with it.
async fn set_moving(job: &mut Job<'_>, due: Vec<String>) -> Result<(), Error> {
    tracing::info!(roles = due.len(), "new versions of metadata that are about to expire");
    if due.iter().all(|role| role == Kind::Timestamp.as_str()) {
        return Ok(job.tx.set_moving(MovingRoles::Named(&due), job.now).await?);
    }
    publish::move_roles(job, due).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_looked_at_the_start_and_then_every_minute() {
        assert!(is_long_ago(None));
        assert!(!is_long_ago(Some(Instant::now())));
        let before = |seconds| Instant::now().checked_sub(Duration::from_secs(seconds));
        assert!(!is_long_ago(before(55)));
        assert!(before(60).is_some() && is_long_ago(before(60)));
    }
}
