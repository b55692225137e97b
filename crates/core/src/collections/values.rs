//! Values of a query that something is looked for in.

use std::borrow::Borrow;
use std::collections::HashSet;

use serde_json::Value;

/// Values in which another one is found at once, however many they are. Numbers are the same as in filters: integers
/// if they are equal, others as doubles.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Values<V: Eq + std::hash::Hash> {
    count: usize,
    integers: HashSet<i128>,
    /// The bits of numbers that are no integers.
    doubles: HashSet<u64>,
    /// The bits of integers as doubles: for who looks for a double.
    rounded: HashSet<u64>,
    /// What is no number.
    others: HashSet<V>,
}

impl<V: Borrow<Value> + Eq + std::hash::Hash> Values<V> {
    /// How many there were.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Those that are no numbers.
    pub(super) fn others(&self) -> impl Iterator<Item = &Value> {
        self.others.iter().map(Borrow::borrow)
    }

    /// Whether `value` is one of them.
    pub(super) fn has(&self, value: &Value) -> bool {
        let Value::Number(number) = value else { return self.others.contains(value) };
        let bits = number.as_f64().unwrap_or(0.0).to_bits();
        match number.as_i128() {
            Some(integer) => self.integers.contains(&integer) || self.doubles.contains(&bits),
            None => self.doubles.contains(&bits) || self.rounded.contains(&bits),
        }
    }
}

impl<V: Borrow<Value> + Eq + std::hash::Hash> FromIterator<V> for Values<V> {
    fn from_iter<I: IntoIterator<Item = V>>(values: I) -> Self {
        let mut set = Self {
            count: 0,
            integers: HashSet::new(),
            doubles: HashSet::new(),
            rounded: HashSet::new(),
            others: HashSet::new(),
        };
        for value in values {
            set.count += 1;
            let Value::Number(number) = value.borrow() else {
                set.others.insert(value);
                continue;
            };
            let bits = number.as_f64().unwrap_or(0.0).to_bits();
            match number.as_i128() {
                Some(integer) => {
                    set.integers.insert(integer);
                    set.rounded.insert(bits);
                }
                None => drop(set.doubles.insert(bits)),
            }
        }
        set
    }
}
