//! How often somebody may do something: a token bucket each, and one for all who are too many.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Buckets that hold a minute's worth and are filled steadily.
pub struct Rates {
    per_minute: u32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    buckets: HashMap<String, Bucket>,
    /// When full buckets were last forgotten.
    swept: Option<Instant>,
}

/// How much was taken, and when that was.
struct Bucket {
    /// Of what a full bucket holds.
    taken: f64,
    at: Instant,
}

/// At this many buckets those that are full again are forgotten, at most once a second. Whoever comes while
/// there are as many still shares the bucket of [`THE_REST`]: memory does not grow with the number of askers.
const MANY: usize = 4096;

/// Nobody's name.
const THE_REST: &str = "";

impl Rates {
    /// - `per_minute`: how often, and how often at once after a pause.
    pub fn new(per_minute: u32) -> Self {
        Self { per_minute, state: Mutex::default() }
    }

    /// How often.
    pub fn per_minute(&self) -> u32 {
        self.per_minute
    }

    /// Takes one from the bucket of `who`.
    ///
    /// # Errors
    /// The seconds, at least 1, after which there will be one.
    pub fn take(&self, who: &str, now: Instant) -> Result<(), u32> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let who = if state.has_room_for(who, self.per_minute, now) { who } else { THE_REST };
        let bucket = state.buckets.entry(who.to_owned()).or_insert(Bucket { taken: 0.0, at: now });
        let taken = bucket.taken(now, self.per_minute);
        let full = f64::from(self.per_minute);
        if taken + 1.0 > full {
            let seconds = ((taken + 1.0 - full) * 60.0 / full).ceil();
            // At most a minute.
            return Err((seconds as u32).max(1));
        }
        *bucket = Bucket { taken: taken + 1.0, at: now };
        Ok(())
    }
}

impl State {
    fn has_room_for(&mut self, who: &str, per_minute: u32, now: Instant) -> bool {
        if self.buckets.len() < MANY || self.buckets.contains_key(who) {
            return true;
        }
        let just_now = |swept: Instant| now.saturating_duration_since(swept) < SWEEP;
        if !self.swept.is_some_and(just_now) {
            self.swept = Some(now);
            self.buckets.retain(|_, bucket| bucket.taken(now, per_minute) > 0.0);
        }
        self.buckets.len() < MANY
    }
}

/// How often full buckets are looked for.
const SWEEP: Duration = Duration::from_secs(1);

impl Bucket {
    fn taken(&self, now: Instant, per_minute: u32) -> f64 {
        let filled = now.saturating_duration_since(self.at).as_secs_f64() * f64::from(per_minute) / 60.0;
        (self.taken - filled).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_a_minutes_worth_and_fills_steadily() {
        let rates = Rates::new(60);
        let start = Instant::now();
        for _ in 0..60 {
            assert_eq!(rates.take("a", start), Ok(()));
        }
        assert_eq!(rates.take("a", start), Err(1));
        assert_eq!(rates.take("b", start), Ok(()), "everybody has one of their own");
        let later = start + Duration::from_secs(2);
        assert_eq!(
            [rates.take("a", later), rates.take("a", later), rates.take("a", later)],
            [Ok(()), Ok(()), Err(1)]
        );
        let slow = Rates::new(2);
        assert_eq!(
            [slow.take("a", start), slow.take("a", start), slow.take("a", start)],
            [Ok(()), Ok(()), Err(30)]
        );
    }

    #[test]
    fn full_buckets_are_forgotten() {
        let rates = Rates::new(60);
        let start = Instant::now();
        for n in 0..MANY {
            rates.take(&n.to_string(), start).unwrap();
        }
        rates.take("x", start + Duration::from_secs(60)).unwrap();
        assert_eq!(rates.state.lock().unwrap().buckets.len(), 1);
    }

    #[test]
    fn who_comes_when_there_are_too_many_shares_a_bucket() {
        let rates = Rates::new(2);
        let start = Instant::now();
        for n in 0..2 * MANY {
            let _ = rates.take(&n.to_string(), start);
        }
        assert_eq!(rates.state.lock().unwrap().buckets.len(), MANY + 1);
        assert!(rates.take("new", start).is_err());
        assert_eq!(rates.take("7", start), Ok(()), "who was there before has their own");
    }
}
