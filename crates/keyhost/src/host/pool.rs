//! A fixed set of threads that do the work, and where their answers go.

use std::collections::VecDeque;
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::backlog::Backlog;
use crate::failpoint;
use crate::wire::{self, HostError, Response};

/// A piece of work.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// Threads that take jobs in the order they came.
pub(super) struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
    outbox: Arc<Outbox>,
    /// While it is large, answers gather: another job is sure to end soon, and flushes.
    backlog: Option<Arc<Backlog>>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    idle: usize,
    closed: bool,
}

impl Pool {
    /// Starts `count` threads called `name`.
    pub(super) fn start(
        name: &str,
        count: usize,
        outbox: &Arc<Outbox>,
        backlog: Option<Arc<Backlog>>,
    ) -> Result<Self, HostError> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            work: Condvar::new(),
            outbox: Arc::clone(outbox),
            backlog,
        });
        let mut threads = Vec::new();
        for _ in 0..count {
            let shared = Arc::clone(&shared);
            let thread = thread::Builder::new()
                .name(name.to_owned())
                .stack_size(512 << 10)
                .spawn(move || shared.run())
                .map_err(|e| HostError::Internal(e.to_string()))?;
            threads.push(thread);
        }
        Ok(Self { shared, threads })
    }

    /// Adds a job.
    pub(super) fn push(&self, job: Job) {
        let mut queue = lock(&self.shared.queue);
        queue.jobs.push_back(job);
        if queue.idle > 0 {
            drop(queue);
            self.shared.work.notify_one();
        }
    }

    /// Jobs that wait.
    pub(super) fn waiting(&self) -> usize {
        lock(&self.shared.queue).jobs.len()
    }

    /// Finishes all jobs and ends the threads.
    pub(super) fn stop(&mut self) {
        lock(&self.shared.queue).closed = true;
        self.shared.work.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run(&self) {
        loop {
            let job = {
                let mut queue = lock(&self.queue);
                loop {
                    if let Some(job) = queue.jobs.pop_front() {
                        break job;
                    }
                    if queue.closed {
                        return;
                    }
                    queue.idle += 1;
                    queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
                    queue.idle -= 1;
                }
            };
            job();
            match &self.backlog {
                Some(backlog) if !backlog.is_low() => self.outbox.flush_if_due(),
                _ => self.outbox.flush(),
            }
        }
    }
}

/// Answers on their way to the front. Whoever has one adds it; one thread at a time writes all there are.
pub(super) struct Outbox {
    pending: Mutex<Pending>,
    socket: Mutex<UnixStream>,
}

#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    answers: usize,
    /// When the first of them came.
    since: Option<Instant>,
}

/// So many answers, or the first of them for so long, gather while there is much to sign: the front, which
/// wakes up for each write, then serves several at a time.
const GATHERED: usize = 12;
const GATHERING: Duration = Duration::from_millis(2);

impl Outbox {
    pub(super) fn new(socket: UnixStream) -> Self {
        Self { pending: Mutex::default(), socket: Mutex::new(socket) }
    }

    /// Adds an answer to request `id`.
    pub(super) fn add(&self, id: u64, response: &Response) {
        failpoint::pass("before-answer");
        let mut pending = lock(&self.pending);
        if wire::encode(id, response, &mut pending.bytes).is_err() {
            let too_large = Response::Refused(HostError::Internal("the answer is too large".into()));
            let _ = wire::encode(id, &too_large, &mut pending.bytes);
        }
        pending.answers += 1;
        pending.since.get_or_insert_with(Instant::now);
    }

    /// Writes what is pending if it is much or has waited long.
    pub(super) fn flush_if_due(&self) {
        let due = {
            let pending = lock(&self.pending);
            pending.answers >= GATHERED || pending.since.is_some_and(|since| since.elapsed() >= GATHERING)
        };
        if due {
            self.flush();
        }
    }

    /// Writes what is pending. A thread that finds another one writing leaves its answers to that one.
    pub(super) fn flush(&self) {
        while !lock(&self.pending).bytes.is_empty() {
            let Ok(mut socket) = self.socket.try_lock() else { return };
            let mut bytes = std::mem::take(&mut *lock(&self.pending)).bytes;
            // A front that is gone is noticed by the reader; there is nobody to tell here.
            let _ = socket.write_all(&bytes);
            wire::wipe(&mut bytes);
        }
    }
}

/// A lock whose data stay sound when a holder panics: nothing here is left half done.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
