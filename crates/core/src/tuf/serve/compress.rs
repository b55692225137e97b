//! Compressed forms: made when somebody takes them, once for all who ask at the same time, and few at a time: whoever
//! asks for many files costs others nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::{Gzip, LONG};
use crate::tuf::error::Error;

/// How many files are compressed at a time.
const AT_ONCE: usize = 2;
/// Who waits longer gets the file as it is.
const PATIENCE: Duration = Duration::from_millis(500);

/// What is being compressed.
pub(in crate::tuf) struct Compressing {
    room: Arc<Semaphore>,
    /// Of each name who compresses it, and who waits for that.
    names: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Default for Compressing {
    fn default() -> Self {
        Self { room: Arc::new(Semaphore::new(AT_ONCE)), names: Mutex::default() }
    }
}

/// The right to compress a file, or to find it compressed.
struct Turn<'a> {
    of: &'a Compressing,
    name: &'a str,
    lock: Arc<tokio::sync::Mutex<()>>,
}

impl Compressing {
    fn turn<'a>(&'a self, name: &'a str) -> Turn<'a> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let lock = Arc::clone(names.entry(name.to_owned()).or_default());
        Turn { of: self, name, lock }
    }

    /// The compressed form of `bytes`; [`Gzip::Unknown`] if that would take too long now.
    ///
    /// - `known`: what somebody else made meanwhile.
    /// - `keep`: keeps what is made, before anybody else looks.
    pub(super) async fn of(
        &self,
        name: &str,
        bytes: Bytes,
        known: impl Fn() -> Gzip,
        keep: impl FnOnce(&Gzip),
    ) -> Result<Gzip, Error> {
        let turn = self.turn(name);
        let work = async {
            let _mine = turn.lock.lock().await;
            match known() {
                Gzip::Unknown => {}
                known => return Ok(known),
            }
            // The semaphore is never closed.
            let Ok(room) = Arc::clone(&self.room).acquire_owned().await else { return Ok(Gzip::Unknown) };
            let made = made(bytes, room).await?;
            keep(&made);
            Ok(made)
        };
        timeout(PATIENCE, work).await.unwrap_or(Ok(Gzip::Unknown))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut names = self.of.names.lock().unwrap_or_else(PoisonError::into_inner);
        // The table's own and this one.
        if Arc::strong_count(&self.lock) <= 2 {
            names.remove(self.name);
        }
    }
}

/// `room` is taken until it is done, also where nobody waits for it any more.
async fn made(bytes: Bytes, room: OwnedSemaphorePermit) -> Result<Gzip, Error> {
    if bytes.len() <= LONG {
        return Ok(now(&bytes));
    }
    let task = tokio::task::spawn_blocking(move || {
        let _room = room;
        now(&bytes)
    });
    task.await.map_err(|_| crate::Error::Internal("a file could not be compressed".into()).into())
}

/// The compressed form.
pub(super) fn now(bytes: &[u8]) -> Gzip {
    let compressed = || {
        use std::io::Write as _;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).ok()?;
        encoder.finish().ok()
    };
    match compressed().filter(|compressed| compressed.len() < bytes.len() / 10 * 9) {
        Some(compressed) => Gzip::Made(compressed.into()),
        None => Gzip::Useless,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn of_many_who_ask_for_a_file_one_compresses_it_and_nothing_is_left_behind() {
        let compressing = Compressing::default();
        let kept = Mutex::new(Gzip::Unknown);
        let made = AtomicUsize::new(0);
        let ask = || {
            let bytes = Bytes::from(vec![b'x'; 100_000]);
            let known = || kept.lock().unwrap().clone();
            let keep = |gzip: &Gzip| {
                made.fetch_add(1, Ordering::SeqCst);
                *kept.lock().unwrap() = gzip.clone();
            };
            compressing.of("a", bytes, known, keep)
        };
        let asked = futures_util::future::join_all((0..50).map(|_| ask())).await;
        assert!(asked.iter().all(|gzip| matches!(gzip, Ok(Gzip::Made(_)))));
        assert_eq!(made.load(Ordering::SeqCst), 1);
        assert!(compressing.names.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn who_would_wait_too_long_gets_the_file_as_it_is() {
        let compressing = Compressing::default();
        let _all = compressing.room.acquire_many(AT_ONCE as u32).await.unwrap();
        let asked = compressing.of("a", Bytes::from_static(b"x"), || Gzip::Unknown, |_| {}).await;
        assert_eq!(asked.unwrap(), Gzip::Unknown);
        assert!(compressing.names.lock().unwrap().is_empty());
    }
}
