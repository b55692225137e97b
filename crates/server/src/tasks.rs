//! Work that goes on when its client has gone, and is waited for at the end.

use std::convert::Infallible;
use std::future::Future;
use std::sync::{Mutex, PoisonError};

use tokio::sync::mpsc;

/// Keeps count of running work.
pub struct Tasks {
    /// A clone is held by everything that runs; `None` once the end has begun.
    running: Mutex<Option<mpsc::Sender<Infallible>>>,
    ended: Mutex<Option<mpsc::Receiver<Infallible>>>,
}

impl Default for Tasks {
    fn default() -> Self {
        let (running, ended) = mpsc::channel(1);
        Self { running: Mutex::new(Some(running)), ended: Mutex::new(Some(ended)) }
    }
}

impl Tasks {
    /// Runs `work` to its end, whether or not the answer is waited for. `None` if it panicked.
    pub async fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let guard = self.guard();
        let task = tokio::spawn(async move {
            let result = work.await;
            drop(guard);
            result
        });
        task.await.ok()
    }

    /// Something that [`Self::end`] waits for until it is dropped.
    pub fn guard(&self) -> Option<mpsc::Sender<Infallible>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until nothing runs any more.
    pub async fn end(&self) {
        drop(self.running.lock().unwrap_or_else(PoisonError::into_inner).take());
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut ended) = ended {
            let _ = ended.recv().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn work_ends_though_nobody_waits_for_its_answer() {
        let tasks = Arc::new(Tasks::default());
        let done = Arc::new(AtomicBool::new(false));
        let set = Arc::clone(&done);
        let work = async move {
            tokio::time::sleep(Duration::from_secs(5)).await;
            set.store(true, Ordering::SeqCst);
        };
        let waited = tokio::time::timeout(Duration::from_secs(1), tasks.run(work)).await;
        assert!(waited.is_err(), "the client gave up");
        tasks.end().await;
        assert!(done.load(Ordering::SeqCst));
    }
}
