//! Which tasks are done together, and how often they were begun.
//!
//! A task that ends the process, or blocks it for so long that the database gives up, is there again at the next start,
//! and with it everything behind it. So a task is counted durably before it is begun. One that was begun more than once
//! is done alone, and one that was begun too often is not begun again.

use countersign_store::QueuedTask;

use super::apply;
use super::error::Error;
use crate::context::Context;

/// Bytes of requests that go together, about.
pub(super) const GROUP_BYTES: u64 = 32 << 20;
/// How often a task is begun.
const ATTEMPTS: u64 = 5;
/// How often it is begun together with others.
const TOGETHER: u64 = 2;

/// What is to be done.
pub(super) enum Begun {
    /// None waits.
    Nothing,
    /// As many tasks, those that waited longest.
    Tasks(u32),
    /// The task of this id was begun too often.
    Never(String),
}

/// Looks which tasks are to be done next, and counts that they are begun.
///
/// # Errors
/// When the database fails.
pub(super) async fn begin(ctx: &Context) -> Result<Begun, Error> {
    let at_once = u32::try_from(ctx.tuf.settings.group_of).unwrap_or(u32::MAX).max(1);
    let mut tx = ctx.store.tuf_write().await?;
    let mut queue = tx.queue(at_once).await?;
    queue.truncate(group(&queue));
    let Some(first) = queue.first() else { return Ok(Begun::Nothing) };
    if first.attempts >= ATTEMPTS {
        return Ok(Begun::Never(first.id.clone()));
    }
    let ids: Vec<String> = queue.into_iter().map(|task| task.id).collect();
    tx.count_attempts(&ids).await?;
    tx.commit().await?;
    Ok(Begun::Tasks(u32::try_from(ids.len()).unwrap_or(u32::MAX)))
}

/// How many of the first tasks go together.
fn group(queue: &[QueuedTask]) -> usize {
    let mut bytes = 0u64;
    let together = queue.iter().take_while(|task| {
        bytes = bytes.saturating_add(task.bytes);
        apply::goes_with_others(&task.kind) && task.attempts < TOGETHER && bytes <= GROUP_BYTES
    });
    together.count().max(1)
}

/// What was begun last could not be done, for a reason that is not its own.
pub(super) async fn forgive(ctx: &Context) {
    let forgiven = async {
        let mut tx = ctx.store.tuf_write().await?;
        tx.forgive_attempts().await?;
        tx.commit().await
    };
    if let Err(error) = forgiven.await {
        tracing::debug!(%error, "what was begun in vain counts");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_that_change_artifacts_go_together_unless_they_were_begun_in_vain() {
        let queue = |tasks: &[(&str, u64, u64)]| -> Vec<QueuedTask> {
            let task = |(kind, attempts, bytes): &(&str, u64, u64)| QueuedTask {
                id: String::new(),
                kind: (*kind).to_owned(),
                attempts: *attempts,
                bytes: *bytes,
            };
            tasks.iter().map(task).collect()
        };
        let (add, root) = ("add_artifacts", "metadata_update");
        for (tasks, wanted) in [
            (&[(add, 0, 1), (add, 1, 1), ("publish_artifacts", 0, 1), (root, 0, 1), (add, 0, 1)][..], 3),
            (&[(root, 0, 1), (root, 0, 1)], 1),
            (&[(add, 0, 1), (add, 2, 1), (add, 0, 1)], 1),
            (&[(add, 2, 1), (add, 0, 1)], 1),
            (&[(add, 0, GROUP_BYTES - 1), (add, 0, 1), (add, 0, 1)], 2),
            (&[(add, 0, GROUP_BYTES + 1), (add, 0, 1)], 1),
        ] {
            assert_eq!(group(&queue(tasks)), wanted, "{tasks:?}");
        }
    }
}
