//! What was read once and is kept until it changes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;

use crate::collections::error::Error;

/// Where other nodes write to the same database, what is kept is looked at again after this time.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// One value that is read by whoever wants it first; the others wait for it.
#[derive(Debug)]
pub(super) struct Kept<T>(Mutex<Arc<Reading<T>>>);

#[derive(Debug)]
struct Reading<T> {
    value: OnceCell<Arc<T>>,
    begun: Instant,
}

impl<T> Reading<T> {
    fn new() -> Arc<Self> {
        Arc::new(Self { value: OnceCell::new(), begun: Instant::now() })
    }
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::new(Reading::new()))
    }
}

impl<T> Kept<T> {
    /// The value; read with `read` if it is not known, or is from some time ago and `shared` with other nodes.
    ///
    /// # Errors
    /// Those of `read`; then the next one reads.
    pub(super) async fn get<F>(&self, shared: bool, read: impl FnOnce() -> F) -> Result<Arc<T>, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let reading = {
            let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if shared && current.value.initialized() && current.begun.elapsed() > LOOK_AGAIN {
                *current = Reading::new();
            }
            Arc::clone(&current)
        };
        // Who comes after `forget` has another `reading`: what is read here may be older, and is for those who
        // asked before.
        let value = reading.value.get_or_try_init(|| async { read().await.map(Arc::new) }).await?;
        Ok(Arc::clone(value))
    }

    /// Who asks from now on gets what is read from now on.
    pub(super) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Reading::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_read_again_when_it_was_forgotten_or_is_shared_and_old() {
        let kept = Kept::default();
        let get = |shared, n| {
            let kept = &kept;
            async move { *kept.get(shared, || async move { Ok(n) }).await.unwrap() }
        };
        assert_eq!(get(false, 1).await, 1);
        assert_eq!(get(false, 2).await, 1);
        kept.forget();
        assert_eq!(get(false, 3).await, 3);
        assert_eq!(get(true, 4).await, 3);
        tokio::time::sleep(LOOK_AGAIN + Duration::from_millis(50)).await;
        assert_eq!(get(false, 5).await, 3);
        assert_eq!(get(true, 6).await, 6);
    }

    #[tokio::test]
    async fn what_could_not_be_read_is_tried_again() {
        let kept = Kept::default();
        let failed = kept.get(false, || async { Err(Error::Unauthorized) }).await;
        assert!(failed.is_err());
        assert_eq!(*kept.get(false, || async { Ok(7) }).await.unwrap(), 7);
    }
}
