//! How much the signers have ahead of them, so that neither the log nor the answers need hurry.
//!
//! A sync costs the same for one entry and for a hundred. While the signers are busy for longer than a sync
//! takes, nothing is gained by syncing now: entries that wait a little share one sync, and all the wake-ups
//! around it. Slow schemes profit, where groups would be small; for fast ones the signers are never ahead.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use countersign_model::KeyType;

/// Work for the signers, by estimate.
pub(crate) struct Backlog {
    micros: Mutex<u64>,
    became_low: Condvar,
    low: u64,
}

/// Work for each signer that a sync, and the way to it, surely fits into.
const LOW_MICROS: u64 = 400;
/// The longest that an entry waits for others.
const MAX_WAIT: Duration = Duration::from_millis(2);

impl Backlog {
    /// Nothing to do yet, for so many signers.
    pub(crate) fn new(signers: usize) -> Self {
        Self { micros: Mutex::new(0), became_low: Condvar::new(), low: LOW_MICROS * signers as u64 }
    }

    /// More work is there.
    pub(crate) fn add(&self, micros: u64) {
        *self.lock() += micros;
    }

    /// Some of it is done.
    pub(crate) fn done(&self, micros: u64) {
        let mut left = self.lock();
        let was_low = *left <= self.low;
        *left = left.saturating_sub(micros);
        let is_low = *left <= self.low;
        drop(left);
        if is_low && !was_low {
            self.became_low.notify_one();
        }
    }

    /// Whether the signers will soon need more.
    pub(crate) fn is_low(&self) -> bool {
        *self.lock() <= self.low
    }

    /// Waits until the signers will soon need more, and no longer than [`MAX_WAIT`].
    pub(crate) fn wait_until_low(&self) {
        let mut left = self.lock();
        if *left <= self.low {
            return;
        }
        let deadline = Instant::now() + MAX_WAIT;
        while *left > self.low {
            let rest = deadline.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return;
            }
            left = self.became_low.wait_timeout(left, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.micros.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// About what a signature costs on a processor of these years, in microseconds.
pub(crate) fn cost(key_type: KeyType) -> u64 {
    match key_type {
        KeyType::Rsa(..=2048) => 300,
        KeyType::Rsa(..=3072) => 900,
        KeyType::Rsa(_) => 1900,
        KeyType::P256 | KeyType::Secp256k1 => 20,
        KeyType::P384 => 80,
        KeyType::P521 => 150,
        KeyType::Ed25519 => 10,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn the_log_waits_while_there_is_much_to_sign_and_not_for_ever() {
        let backlog = Arc::new(Backlog::new(2));
        let begun = Instant::now();
        backlog.add(800);
        backlog.wait_until_low();
        assert!(begun.elapsed() < MAX_WAIT, "800 µs for two signers is little");
        backlog.add(1);
        backlog.wait_until_low();
        assert!(begun.elapsed() >= MAX_WAIT);

        let signer = std::thread::spawn({
            let backlog = Arc::clone(&backlog);
            move || backlog.done(300)
        });
        backlog.wait_until_low();
        signer.join().unwrap();
        assert_eq!(*backlog.lock(), 501);
    }
}
