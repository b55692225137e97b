//! Who was found good a moment ago, and how many passwords are looked at at the same time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::password;
use crate::collections::error::Error;
use crate::random;

/// What the process knows of passwords: for some good pairs, a keyed hash.
pub(crate) struct Memory {
    key: hmac::Key,
    good: Mutex<HashMap<[u8; 32], Instant>>,
    /// Counts how often accounts were changed: what was read before is not remembered after.
    epoch: AtomicU64,
    turns: Arc<Semaphore>,
}

/// How long a good pair is remembered.
const LIFE: Duration = Duration::from_secs(60);

/// Pairs that are remembered at most.
const MOST: usize = 10_000;

/// Passwords that are hashed at the same time: each takes 19 MiB and a processor.
const AT_ONCE: usize = 4;

/// How long somebody waits for their turn.
const PATIENCE: Duration = Duration::from_secs(10);

impl Memory {
    pub(crate) fn new() -> Result<Self, crate::Error> {
        Ok(Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &random::bytes::<32>()?),
            good: Mutex::default(),
            epoch: AtomicU64::new(0),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        })
    }

    /// What a pair is remembered by. Names have no NUL.
    pub(super) fn pair(&self, name: &str, password: &str) -> [u8; 32] {
        let text = Zeroizing::new(format!("{name}\0{password}"));
        let mut pair = [0; 32];
        pair.copy_from_slice(hmac::sign(&self.key, text.as_bytes()).as_ref());
        pair
    }

    pub(super) fn remembers(&self, pair: &[u8; 32]) -> bool {
        let good = self.good.lock().unwrap_or_else(PoisonError::into_inner);
        good.get(pair).is_some_and(|since| since.elapsed() < LIFE)
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Remembers a pair that was found good by what was read in `epoch`.
    pub(super) fn remember(&self, pair: [u8; 32], epoch: u64) {
        let mut good = self.good.lock().unwrap_or_else(PoisonError::into_inner);
        if good.len() >= MOST {
            good.retain(|_, since| since.elapsed() < LIFE);
        }
        if good.len() < MOST && self.epoch() == epoch {
            good.insert(pair, Instant::now());
        }
    }

    pub(super) fn forget(&self) {
        let mut good = self.good.lock().unwrap_or_else(PoisonError::into_inner);
        self.epoch.fetch_add(1, Ordering::AcqRel);
        good.clear();
    }

    /// The hash of a new password.
    pub(super) async fn seal(&self, password: String) -> Result<String, Error> {
        let salt = random::bytes::<16>()?;
        let sealed = self.beside(password, move |password| password::hash(password, &salt)).await?;
        sealed.ok_or_else(|| Error::Other(crate::Error::Internal("a password could not be hashed".into())))
    }

    pub(super) async fn verify(&self, hash: Option<String>, password: String) -> Result<bool, Error> {
        self.beside(password, move |password| password::verify(hash.as_deref(), password)).await
    }

    /// Does what takes long beside the threads that serve requests.
    async fn beside<T: Send + 'static>(
        &self,
        password: String,
        work: impl FnOnce(&str) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let password = Zeroizing::new(password);
        let turn = Arc::clone(&self.turns).acquire_owned();
        let busy = || Error::Unavailable("too many passwords are being looked at".into());
        let turn = tokio::time::timeout(PATIENCE, turn).await.map_err(|_| busy())?.map_err(|_| busy())?;
        // The turn ends with the work, also if nobody waits for it any more.
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&password)
        });
        done.await.map_err(|_| Error::Other(crate::Error::Internal("a password could not be hashed".into())))
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Memory(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_before_a_change_is_not_remembered_after_it() {
        let memory = Memory::new().unwrap();
        let pair = memory.pair("ana", "secret");
        let epoch = memory.epoch();
        memory.remember(pair, epoch);
        assert!(memory.remembers(&pair));
        assert!(!memory.remembers(&memory.pair("ana", "other")));
        memory.forget();
        assert!(!memory.remembers(&pair));
        memory.remember(pair, epoch);
        assert!(!memory.remembers(&pair));
    }
}
