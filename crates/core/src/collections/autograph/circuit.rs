//! A circuit breaker: who does not answer is left alone for a while, and then tried once.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Failures in a row that open it.
const FAILURES: u32 = 5;

/// How long it stays open.
const OPEN: Duration = Duration::from_secs(30);

/// What stands between us and a service.
#[derive(Debug, Default)]
pub(super) struct Circuit(Mutex<State>);

#[derive(Clone, Copy, Debug)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
    },
    /// One request finds out whether it can be closed.
    Trial,
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

/// Whether a service is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CircuitState {
    /// It is.
    Closed,
    /// It is tried with one request, or will be with the next.
    HalfOpen,
    /// It is left alone.
    Open,
}

/// The right to one request. Dropped without a word, a trial has failed.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    circuit: &'a Circuit,
    settled: bool,
}

impl Circuit {
    /// The right to send a request now; `None` while the service is left alone.
    pub(super) fn turn(&self, now: Instant) -> Option<Turn<'_>> {
        let mut state = self.lock();
        match *state {
            State::Closed { .. } => {}
            State::Open { until } if now >= until => *state = State::Trial,
            State::Open { .. } | State::Trial => return None,
        }
        Some(Turn { circuit: self, settled: false })
    }

    pub(super) fn state(&self, now: Instant) -> CircuitState {
        match *self.lock() {
            State::Closed { .. } => CircuitState::Closed,
            State::Open { until } if now < until => CircuitState::Open,
            State::Open { .. } | State::Trial => CircuitState::HalfOpen,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, now: Instant) {
        let mut state = self.lock();
        *state = match *state {
            State::Closed { failures } if failures + 1 < FAILURES => State::Closed { failures: failures + 1 },
            // Requests that were under way when it opened do not keep it open for longer.
            State::Open { until } => State::Open { until },
            State::Closed { .. } | State::Trial => State::Open { until: now + OPEN },
        };
    }
}

impl Turn<'_> {
    /// The service answered, be it with a refusal.
    pub(super) fn answered(mut self) {
        self.settled = true;
        *self.circuit.lock() = State::default();
    }

    /// It did not, or only to say that it has trouble.
    pub(super) fn failed(mut self, now: Instant) {
        self.settled = true;
        self.circuit.failed(now);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let mut state = self.circuit.lock();
        if matches!(*state, State::Trial) {
            *state = State::Open { until: Instant::now() + OPEN };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(circuit: &Circuit, now: Instant) {
        for _ in 0..FAILURES {
            circuit.turn(now).unwrap().failed(now);
        }
    }

    #[test]
    fn five_failures_in_a_row_open_it_for_half_a_minute() {
        let (circuit, start) = (Circuit::default(), Instant::now());
        for _ in 0..4 {
            circuit.turn(start).unwrap().failed(start);
        }
        circuit.turn(start).unwrap().answered();
        assert_eq!(circuit.state(start), CircuitState::Closed, "they were not in a row");
        open(&circuit, start);
        assert_eq!(circuit.state(start), CircuitState::Open);
        assert!(circuit.turn(start + OPEN - Duration::from_millis(1)).is_none());
        assert_eq!(circuit.state(start + OPEN), CircuitState::HalfOpen);
    }

    #[test]
    fn then_one_request_is_tried_and_decides_for_all() {
        let (circuit, start) = (Circuit::default(), Instant::now());
        open(&circuit, start);
        let later = start + OPEN;
        let trial = circuit.turn(later).unwrap();
        assert!(circuit.turn(later).is_none(), "there is one trial");
        trial.failed(later);
        assert_eq!(circuit.state(later), CircuitState::Open);
        let later = later + OPEN;
        circuit.turn(later).unwrap().answered();
        assert_eq!(circuit.state(later), CircuitState::Closed);
        assert!(circuit.turn(later).is_some() && circuit.turn(later).is_some());
    }

    #[test]
    fn a_trial_that_is_given_up_has_failed_and_no_other_request_has() {
        let (circuit, start) = (Circuit::default(), Instant::now());
        for _ in 0..2 * FAILURES {
            drop(circuit.turn(start));
        }
        assert_eq!(circuit.state(start), CircuitState::Closed);
        open(&circuit, start);
        drop(circuit.turn(start + OPEN));
        assert_eq!(circuit.state(Instant::now()), CircuitState::Open);
    }
}
