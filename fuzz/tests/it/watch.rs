//! What a test cannot catch by itself: a parser that does not end, and one that takes all memory.

use std::process;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::corpus;

/// Ends the process, and keeps the input, when one input takes longer than it may.
pub struct Watch(Arc<Mutex<Option<Current>>>);

struct Current {
    target: &'static str,
    input: Vec<u8>,
    since: Instant,
}

impl Watch {
    /// Watches until the process ends.
    pub fn start(limit: Duration) -> Self {
        let current = Arc::new(Mutex::new(None::<Current>));
        let watched = Arc::clone(&current);
        thread::spawn(move || {
            loop {
                thread::sleep(Duration::from_secs(1));
                let current = watched.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(current) = current.as_ref().filter(|current| current.since.elapsed() > limit) {
                    let kept = corpus::keep_failure(current.target, &current.input);
                    eprintln!("target `{}` does not end; its input is in {}", current.target, kept.display());
                    process::abort();
                }
            }
        });
        Self(current)
    }

    /// `target` begins with `input`.
    pub fn begin(&self, target: &'static str, input: &[u8]) {
        let current = Current { target, input: input.to_vec(), since: Instant::now() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(current);
    }

    /// It ended.
    pub fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Lets this process have at most `bytes` of memory: one that asks for more ends, with a message.
pub fn limit_memory(bytes: u64) {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::As);
    limit.current = Some(bytes.min(limit.maximum.unwrap_or(bytes)));
    setrlimit(Resource::As, limit).expect("a limit can be lowered");
}
