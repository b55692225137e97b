//! The newest timestamp.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use super::Served;
use crate::tuf::error::Error;

/// What was read or written last.
#[derive(Default)]
pub(in crate::tuf) struct Newest {
    known: RwLock<Option<Served>>,
    /// How often reading has begun.
    begun: AtomicU64,
    /// What the last read gave, and its number. Held while somebody reads.
    last: tokio::sync::Mutex<(u64, Option<Served>)>,
}

impl Newest {
    pub(super) fn known(&self) -> Option<Served> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, served: Served) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(served);
    }

    /// What was read from the files, unless a newer one was written meanwhile.
    pub(super) fn begin_with(&self, served: Served) -> Served {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.get_or_insert(served).clone()
    }

    /// What `read` gives, which begins to read after this was called: of many who ask meanwhile one reads for all.
    ///
    /// - `read`: is given what was read before.
    pub(super) async fn read<R>(
        &self,
        read: impl FnOnce(Option<Served>) -> R,
    ) -> Result<Option<Served>, Error>
    where
        R: Future<Output = Result<Option<Served>, Error>>,
    {
        let before = self.begun.load(Ordering::SeqCst);
        let mut last = self.last.lock().await;
        if last.0 > before {
            return Ok(last.1.clone());
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let served = read(last.1.clone()).await?;
        *last = (number, served.clone());
        Ok(served)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::tuf::serve::Gzip;

    fn served(text: &'static str) -> Served {
        Served { bytes: text.into(), gzip: Gzip::Unknown, etag: String::new(), immutable: false }
    }

    #[test]
    fn what_was_written_is_not_replaced_by_what_was_read_before() {
        let newest = Newest::default();
        newest.set(served("new"));
        assert_eq!(newest.begin_with(served("old")), served("new"));
        assert_eq!(newest.known(), Some(served("new")));
    }

    #[tokio::test]
    async fn many_who_ask_at_once_read_at_most_twice_and_never_what_was_read_before_they_asked() {
        let newest = Arc::new(Newest::default());
        let reads = Arc::new(AtomicU64::new(0));
        let asking = (0..100).map(|_| {
            let (newest, reads) = (Arc::clone(&newest), Arc::clone(&reads));
            tokio::spawn(async move {
                let before = reads.load(Ordering::SeqCst);
                let read = |_| async {
                    tokio::task::yield_now().await;
                    assert!(reads.fetch_add(1, Ordering::SeqCst) >= before);
                    Ok(Some(served("x")))
                };
                newest.read(read).await
            })
        });
        for asked in asking.collect::<Vec<_>>() {
            assert_eq!(asked.await.unwrap().unwrap(), Some(served("x")));
        }
        assert!(reads.load(Ordering::SeqCst) <= 2);
    }
}
