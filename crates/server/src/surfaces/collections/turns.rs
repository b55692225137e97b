//! How many requests are worked on at a time: who writes waits for others who write, and nobody else does.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::error::{RETRY_SECONDS, Refusal};

/// A permit for each request that is worked on.
pub struct Turns {
    reads: Semaphore,
    writes: Semaphore,
}

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// It changes nothing.
    Read,
    /// It may change something.
    Write,
}

/// Requests that are worked on at a time; others wait.
const READS: usize = 512;
const WRITES: usize = 256;

/// How long a request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(15);

impl Default for Turns {
    fn default() -> Self {
        Self { reads: Semaphore::new(READS), writes: Semaphore::new(WRITES) }
    }
}

impl Turns {
    /// A turn to be worked on.
    ///
    /// # Errors
    /// 503 after [`PATIENCE`].
    pub async fn take(&self, work: Work) -> Result<SemaphorePermit<'_>, Refusal> {
        let turns = match work {
            Work::Read => &self.reads,
            Work::Write => &self.writes,
        };
        let turn = tokio::time::timeout(PATIENCE, turns.acquire()).await;
        turn.ok().and_then(Result::ok).ok_or_else(|| Refusal::unavailable(RETRY_SECONDS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn readers_do_not_wait_for_who_writes() {
        let turns = Turns::default();
        let mut writing = Vec::new();
        for _ in 0..WRITES {
            writing.push(turns.take(Work::Write).await.unwrap());
        }
        assert!(turns.take(Work::Read).await.is_ok());
        assert_eq!(turns.take(Work::Write).await.unwrap_err().reply().status, 503);
        writing.pop();
        assert!(turns.take(Work::Write).await.is_ok());
    }
}
