//! Who was found good a moment ago, and how many passwords are looked at at the same time.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::password;
use super::throttle::Throttle;
use crate::collections::error::Error;
use crate::random;

/// What the process knows of passwords: for some good pairs, a keyed hash.
pub(crate) struct Memory {
    key: hmac::Key,
    good: Mutex<HashMap<[u8; 32], Good>>,
    /// Pairs that were good at some time in this process: others who guess do not keep them out.
    trusted: Mutex<HashSet<[u8; 32]>>,
    throttle: Throttle,
    /// Counts how often accounts were changed: what was read before is not remembered after.
    epoch: AtomicU64,
    turns: Arc<Semaphore>,
}

/// A pair that was found good.
#[derive(Clone, Copy)]
struct Good {
    since: Instant,
    /// When the account was last known to be as it was.
    looked: Instant,
    /// The account's `last_modified`.
    version: i64,
}

/// What is known of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Good, as somebody saw a moment ago.
    Good,
    /// Good if the account has this `last_modified` still.
    GoodIf(i64),
    /// Nothing.
    Unknown,
}

/// How long a good pair is remembered.
const LIFE: Duration = Duration::from_secs(60);

/// Where other nodes write too, the account is looked at again after this time.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

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
            trusted: Mutex::default(),
            throttle: Throttle::default(),
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

    /// - `shared`: whether other nodes write to the same database.
    pub(super) fn knows(&self, pair: &[u8; 32], shared: bool) -> Known {
        let good = self.good();
        match good.get(pair) {
            Some(good) if good.since.elapsed() >= LIFE => Known::Unknown,
            Some(good) if shared && good.looked.elapsed() >= LOOK_AGAIN => Known::GoodIf(good.version),
            Some(_) => Known::Good,
            None => Known::Unknown,
        }
    }

    /// The account of a pair was looked at: it is as it was, or the pair is not known any more.
    pub(super) fn looked(&self, pair: &[u8; 32], as_it_was: bool) {
        let mut good = self.good();
        if !as_it_was {
            good.remove(pair);
        } else if let Some(good) = good.get_mut(pair) {
            good.looked = Instant::now();
        }
    }

    /// Whether a password may be tried. Who was right before may always.
    pub(super) fn admits(&self, pair: &[u8; 32], name: &str, place: Option<IpAddr>) -> bool {
        let trusted = self.trusted.lock().unwrap_or_else(PoisonError::into_inner).contains(pair);
        self.throttle.take(name, place, Instant::now()) || trusted
    }

    /// How a try ended.
    pub(super) fn tried(&self, pair: [u8; 32], name: &str, place: Option<IpAddr>, good: bool) {
        let mut trusted = self.trusted.lock().unwrap_or_else(PoisonError::into_inner);
        if !good {
            trusted.remove(&pair);
            return;
        }
        if trusted.len() >= MOST {
            trusted.clear();
        }
        trusted.insert(pair);
        self.throttle.give_back(name, place);
    }

    fn good(&self) -> MutexGuard<'_, HashMap<[u8; 32], Good>> {
        self.good.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Remembers a pair that was found good by what was read in `epoch`.
    ///
    /// - `version`: the account's `last_modified`.
    pub(super) fn remember(&self, pair: [u8; 32], epoch: u64, version: i64) {
        let mut good = self.good();
        if good.len() >= MOST {
            good.retain(|_, good| good.since.elapsed() < LIFE);
        }
        if good.len() < MOST && self.epoch() == epoch {
            let now = Instant::now();
            good.insert(pair, Good { since: now, looked: now, version });
        }
    }

    pub(super) fn forget(&self) {
        let mut good = self.good();
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
        memory.remember(pair, epoch, 1);
        assert_eq!(memory.knows(&pair, false), Known::Good);
        assert_eq!(memory.knows(&memory.pair("ana", "other"), false), Known::Unknown);
        memory.forget();
        assert_eq!(memory.knows(&pair, false), Known::Unknown);
        memory.remember(pair, epoch, 1);
        assert_eq!(memory.knows(&pair, false), Known::Unknown);
    }

    #[test]
    fn where_others_write_too_the_account_is_looked_at_again() {
        let memory = Memory::new().unwrap();
        let pair = memory.pair("ana", "secret");
        memory.remember(pair, memory.epoch(), 7);
        assert_eq!(memory.knows(&pair, true), Known::Good);
        std::thread::sleep(LOOK_AGAIN);
        assert_eq!((memory.knows(&pair, true), memory.knows(&pair, false)), (Known::GoodIf(7), Known::Good));
        memory.looked(&pair, true);
        assert_eq!(memory.knows(&pair, true), Known::Good);
        memory.looked(&pair, false);
        assert_eq!(memory.knows(&pair, true), Known::Unknown);
    }

    #[test]
    fn who_was_right_before_is_not_kept_out_by_who_guesses() {
        let memory = Memory::new().unwrap();
        let pair = |password: &str| memory.pair("ana", password);
        assert!(memory.admits(&pair("secret"), "ana", None));
        memory.tried(pair("secret"), "ana", None, true);
        assert!((0..10).all(|_| memory.admits(&pair("guess"), "ana", None)));
        assert!(!memory.admits(&pair("guess"), "ana", None));
        assert!(memory.admits(&pair("secret"), "ana", None));
        memory.tried(pair("secret"), "ana", None, false);
        assert!(!memory.admits(&pair("secret"), "ana", None), "it is another one by now");
    }
}
