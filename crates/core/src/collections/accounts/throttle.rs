//! How many passwords may be tried, of one name and from one place.
//!
//! Each try takes a token, and who was right gets it back: so a password that is guessed is not found, and the few
//! who hash passwords are not kept busy by one who guesses. Whoever was right before is not kept out by others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Tokens that are left.
#[derive(Debug, Default)]
pub(super) struct Throttle(Mutex<HashMap<Key, Bucket>>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Name(String),
    Place(IpAddr),
    /// All those for which there was no room.
    Others,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

/// How many tokens there are at most, and in which time there is another one.
#[derive(Clone, Copy, Debug)]
struct Rate {
    most: f64,
    every: Duration,
}

impl Key {
    fn rate(&self) -> Rate {
        match self {
            Self::Name(_) => Rate { most: 10.0, every: Duration::from_secs(6) },
            // Many may come through one address.
            Self::Place(_) | Self::Others => Rate { most: 100.0, every: Duration::from_millis(100) },
        }
    }
}

impl Bucket {
    fn now(self, rate: Rate, now: Instant) -> f64 {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        (self.left + since / rate.every.as_secs_f64()).min(rate.most)
    }
}

/// Names and places that are known at most.
const MOST: usize = 10_000;

impl Throttle {
    /// Takes a token of the name and one of the place. Whether there were some.
    pub(super) fn take(&self, name: &str, place: Option<IpAddr>, now: Instant) -> bool {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let keys: Vec<Key> = keys(name, place).map(|key| known(&mut buckets, key, now)).collect();
        let left = |key: &Key| buckets.get(key).map_or(key.rate().most, |bucket| bucket.now(key.rate(), now));
        if keys.iter().any(|key| left(key) < 1.0) {
            return false;
        }
        for key in keys {
            let left = buckets.get(&key).map_or(key.rate().most, |bucket| bucket.now(key.rate(), now));
            buckets.insert(key, Bucket { left: left - 1.0, at: now });
        }
        true
    }

    /// Gives back what [`Self::take`] took, for who was right.
    pub(super) fn give_back(&self, name: &str, place: Option<IpAddr>) {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys(name, place) {
            if let Some(bucket) = buckets.get_mut(&key) {
                bucket.left += 1.0;
            }
        }
    }
}

fn keys(name: &str, place: Option<IpAddr>) -> impl Iterator<Item = Key> {
    place.map(Key::Place).into_iter().chain([Key::Name(name.to_owned())])
}

/// The key, if it has a bucket or there is room for one.
fn known(buckets: &mut HashMap<Key, Bucket>, key: Key, now: Instant) -> Key {
    if buckets.len() >= MOST && !buckets.contains_key(&key) {
        buckets.retain(|key, bucket| bucket.now(key.rate(), now) < key.rate().most);
        if buckets.len() >= MOST {
            return Key::Others;
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_tried_ten_times_and_then_now_and_then() {
        let throttle = Throttle::default();
        let start = Instant::now();
        assert!((0..10).all(|_| throttle.take("ana", None, start)));
        assert!(!throttle.take("ana", None, start));
        assert!(throttle.take("bo", None, start), "others are not concerned");
        assert!(throttle.take("ana", None, start + Duration::from_secs(7)));
        assert!(!throttle.take("ana", None, start + Duration::from_secs(7)));
    }

    #[test]
    fn who_is_right_has_lost_nothing() {
        let throttle = Throttle::default();
        let start = Instant::now();
        for _ in 0..50 {
            assert!(throttle.take("ana", None, start));
            throttle.give_back("ana", None);
        }
    }

    #[test]
    fn one_place_tries_a_hundred_names() {
        let throttle = Throttle::default();
        let (start, place) = (Instant::now(), Some(IpAddr::from([192, 0, 2, 1])));
        assert!((0..100).all(|n| throttle.take(&n.to_string(), place, start)));
        assert!(!throttle.take("x", place, start));
        assert!(throttle.take("x", Some(IpAddr::from([192, 0, 2, 2])), start));
    }

    #[test]
    fn names_that_are_made_up_take_no_more_room_than_there_is() {
        let throttle = Throttle::default();
        let start = Instant::now();
        let taken = (0..MOST + 500).filter(|n| throttle.take(&n.to_string(), None, start)).count();
        assert!(throttle.0.lock().unwrap().len() <= MOST + 1);
        assert!(taken < MOST + 500);
    }
}
