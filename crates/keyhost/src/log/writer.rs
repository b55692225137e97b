//! Group commit: whatever waits is written and synced together.

use std::fs::File;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::SystemTime;

use countersign_model::entry::{Entry, MAX_ENTRY_BYTES, Op};
use countersign_model::{Format, KeyId, KeyName, Name, Scheme, time};
use countersign_tlog::tile::push_entry;

use super::journal::{AppendError, Journal};
use super::tiler::{self, Tiler};
use super::{Finished, OpenLog, WIDTH, add};
use crate::backlog::Backlog;
use crate::wire::{Cause, HeadNote, HostError};

/// What is done with the answer, on the log's thread: it must not block.
pub type Then<T> = Box<dyn FnOnce(Result<T, HostError>) + Send>;

/// An entry but for its time and node, which the log adds.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields are those of `Entry`")]
pub struct Draft {
    pub cause: Cause,
    pub op: Op,
    pub format: Option<Format>,
    pub scheme: Option<Scheme>,
    pub key: Option<KeyName>,
    pub key_id: Option<KeyId>,
    pub input: Option<String>,
    pub subject: Option<String>,
    pub to_sign: Option<String>,
}

enum Job {
    Append(Vec<Draft>, Then<u64>),
    Checkpoint(Then<HeadNote>),
    Probe(Then<()>),
}

/// The log's thread. Answers come through the closures that were handed in.
pub struct LogWriter {
    backlog: Arc<Backlog>,
    jobs: Mutex<Option<Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// The most entries and bytes that share one sync, so that one caller's batch cannot hold up all others.
const GROUP_ENTRIES: usize = 4096;
/// A segment is closed at the end of a full bundle beyond this size.
const SEGMENT_BYTES: u64 = 16 << 20;

impl LogWriter {
    /// Starts the threads that write `log`. `signers`: how many threads sign what was logged.
    ///
    /// # Errors
    /// [`HostError::Internal`] if no thread can be started.
    pub fn start(log: OpenLog, signers: usize) -> Result<Self, HostError> {
        let backlog = Arc::new(Backlog::new(signers));
        let (jobs, queue) = channel();
        let tiler = tiler::start(log.disk.clone(), log.key, log.verifier, log.origin.clone())?;
        let mut state = State {
            journal: log.journal,
            journal_dir: log.disk.dir().join("journal"),
            tree: log.tree,
            bundle: log.bundle,
            origin: log.origin,
            tiler,
            segment: 0,
            entries: Vec::new(),
            backlog: Arc::clone(&backlog),
            _lock: log.lock,
        };
        let thread = thread::Builder::new()
            .name("log".into())
            .stack_size(512 << 10)
            .spawn(move || state.run(&queue))
            .map_err(|e| HostError::Internal(e.to_string()))?;
        Ok(Self { backlog, jobs: Mutex::new(Some(jobs)), thread: Mutex::new(Some(thread)) })
    }

    /// Writes entries one after the other; `then` gets the number of the first one, when all are durable.
    pub fn append(&self, entries: Vec<Draft>, then: Then<u64>) {
        self.send(Job::Append(entries, then));
    }

    /// What the signers have ahead of them: they tell, and the log waits a little while it is much.
    pub(crate) fn backlog(&self) -> &Arc<Backlog> {
        &self.backlog
    }

    /// Makes the checkpoint of what is durable, with its tiles on disk.
    pub fn checkpoint(&self, then: Then<HeadNote>) {
        self.send(Job::Checkpoint(then));
    }

    /// Tries whether an entry could be written, without one.
    pub fn probe(&self, then: Then<()>) {
        self.send(Job::Probe(then));
    }

    /// Finishes what was accepted and ends the threads.
    pub fn stop(&self) {
        if let Ok(mut jobs) = self.jobs.lock() {
            *jobs = None;
        }
        let thread = self.thread.lock().ok().and_then(|mut thread| thread.take());
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }

    fn send(&self, job: Job) {
        let refused = match self.jobs.lock() {
            Ok(jobs) => match jobs.as_ref() {
                Some(sender) => sender.send(job).err().map(|e| e.0),
                None => Some(job),
            },
            Err(_) => Some(job),
        };
        match refused {
            Some(Job::Append(_, then)) => then(Err(HostError::Unavailable)),
            Some(Job::Checkpoint(then)) => then(Err(HostError::Unavailable)),
            Some(Job::Probe(then)) => then(Err(HostError::Unavailable)),
            None => {}
        }
    }
}

struct State {
    journal: Journal,
    journal_dir: PathBuf,
    tree: countersign_tlog::tree::Tree,
    bundle: Vec<u8>,
    origin: Name,
    tiler: Tiler,
    /// The first entry of the segment that was begun last, if that was in this run.
    segment: u64,
    /// The group in the making, in the form of a bundle.
    entries: Vec<u8>,
    /// While it is large, entries gather.
    backlog: Arc<Backlog>,
    /// No other process writes this log while this is open.
    _lock: File,
}

/// The end of a bundle within a group: here a new segment can begin, since its tree can be loaded from tiles.
#[derive(Clone, Copy)]
struct Cut {
    /// Entries in the log before it.
    entries: u64,
    /// Bytes of the group before it.
    bytes: usize,
}

fn host_error(error: AppendError) -> HostError {
    match error {
        AppendError::Full => HostError::LogFull,
        AppendError::Failed(why) => HostError::Log(why),
    }
}

impl State {
    fn run(&mut self, queue: &Receiver<Job>) {
        while let Ok(first) = queue.recv() {
            self.backlog.wait_until_low();
            let mut appends = Vec::new();
            let mut count = 0;
            let mut next = Some(first);
            let mut checkpoints = Vec::new();
            let mut probes = Vec::new();
            while let Some(job) = next {
                match job {
                    Job::Append(drafts, then) => {
                        count += drafts.len();
                        appends.push((drafts, then));
                    }
                    Job::Checkpoint(then) => checkpoints.push(then),
                    Job::Probe(then) => probes.push(then),
                }
                next = if count < GROUP_ENTRIES { queue.try_recv().ok() } else { None };
            }
            self.commit(appends);
            for then in checkpoints {
                self.tiler.checkpoint(self.tree.head(), self.tree.partial_tiles(), self.bundle.clone(), then);
            }
            for then in probes {
                then(self.check_tiler().and_then(|()| self.journal.probe().map_err(host_error)));
            }
        }
        self.journal.close();
        self.tiler.stop();
    }

    /// Writes one group. What is answered with an index is durable; when writing fails, none of it is, but
    /// for what stands before a new segment.
    fn commit(&mut self, group: Vec<(Vec<Draft>, Then<u64>)>) {
        if group.is_empty() {
            return;
        }
        let time = time::millis(jiff::Timestamp::try_from(SystemTime::now()).unwrap_or_default());
        self.entries.clear();
        let mut leaves = Vec::new();
        let mut answers: Vec<(Then<u64>, u64, u64)> = Vec::new();
        let mut next_index = self.tree.size();
        let mut cut = None;
        for (drafts, then) in group {
            let entries: Vec<Vec<u8>> =
                drafts.into_iter().map(|draft| self.entry(draft, &time).to_canonical()).collect();
            if let Some(long) = entries.iter().find(|entry| entry.len() > MAX_ENTRY_BYTES) {
                then(Err(HostError::Protocol(format!("an entry of {} bytes is too long", long.len()))));
                continue;
            }
            let first = next_index;
            for entry in entries {
                // The length was checked just now.
                let _ = push_entry(&mut self.entries, &entry);
                leaves.push(entry);
                next_index += 1;
                if next_index.is_multiple_of(WIDTH) {
                    cut = Some(Cut { entries: next_index, bytes: self.entries.len() });
                }
            }
            answers.push((then, first, next_index));
        }
        let (durable, written) = match self.check_tiler() {
            Err(error) => (self.tree.size(), Err(error)),
            Ok(()) => self.write(cut.filter(|_| self.journal.segment_bytes() > SEGMENT_BYTES), next_index),
        };
        for (then, first, end) in answers {
            then(match &written {
                Err(error) if end > durable => Err(error.clone()),
                _ => Ok(first),
            });
        }
        // Durable and answered: what readers need can follow.
        let count = durable.saturating_sub(self.tree.size());
        for leaf in leaves.iter().take(usize::try_from(count).unwrap_or(usize::MAX)) {
            // It cannot fail: the length was checked above, and a tree of 2^63 leaves is out of reach.
            if let Ok(finished) = add(&mut self.tree, &mut self.bundle, leaf) {
                self.finish(finished);
            }
        }
    }

    /// Refuses when too many tiles wait to be written.
    fn check_tiler(&self) -> Result<(), HostError> {
        if self.tiler.is_behind() {
            return Err(HostError::Log("its tiles cannot be written: the disk is full or too slow".into()));
        }
        Ok(())
    }

    /// Writes the group up to entry `end`, with a new segment at `cut`. Returns the number of entries that
    /// are durable now, and why they are not all.
    fn write(&mut self, cut: Option<Cut>, end: u64) -> (u64, Result<(), HostError>) {
        let mut durable = self.tree.size();
        let mut rest = self.entries.as_slice();
        if let Some(cut) = cut {
            let before;
            (before, rest) = rest.split_at(cut.bytes);
            if let Err(error) = self.journal.append(before) {
                return (durable, Err(host_error(error)));
            }
            durable = cut.entries;
            // If it fails the old segment goes on.
            if self.journal.rotate(cut.entries).is_ok() {
                self.segment = cut.entries;
            }
        }
        if rest.is_empty() {
            return (durable, Ok(()));
        }
        match self.journal.append(rest) {
            Ok(()) => (end, Ok(())),
            Err(error) => (durable, Err(host_error(error))),
        }
    }

    fn finish(&mut self, finished: Vec<Finished>) {
        if finished.is_empty() {
            return;
        }
        self.tiler.write(finished);
        if self.segment == self.tree.size() {
            self.tiler.retire(self.tree.partial_tiles(), self.journal_dir.clone(), self.segment);
        }
    }

    fn entry(&self, draft: Draft, time: &str) -> Entry {
        Entry {
            format: draft.format,
            input: draft.input,
            key: draft.key,
            key_id: draft.key_id,
            node: self.origin.clone(),
            op: draft.op,
            policy: draft.cause.policy,
            principal: draft.cause.principal,
            request_id: draft.cause.request_id,
            scheme: draft.scheme,
            subject: draft.subject,
            surface: draft.cause.surface,
            time: time.to_owned(),
            to_sign: draft.to_sign,
            v: 1,
        }
    }
}
