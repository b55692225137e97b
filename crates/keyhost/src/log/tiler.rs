//! Turns what is durable into what readers read: tiles, bundles and checkpoints.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use countersign_model::key::PrivateKey as _;
use countersign_model::{Name, Scheme};
use countersign_tlog::checkpoint::Checkpoint;
use countersign_tlog::hash::Head;
use countersign_tlog::note::VerifierKey;
use countersign_tlog::tile::Tile;

use super::disk::{self, DiskTiles};
use super::{Finished, Then, WIDTH, journal};
use crate::soft::SoftKey;
use crate::wire::{HeadNote, HostError};

enum Work {
    Write(Vec<Finished>),
    Checkpoint {
        head: Head,
        partial: Vec<Finished>,
        then: Then<HeadNote>,
    },
    /// All tiles before entry `first` have come: when they are on the disk, the segments before it can go.
    Retire {
        partial: Vec<Finished>,
        journal_dir: PathBuf,
        first: u64,
    },
}

/// The thread's handle.
pub(super) struct Tiler {
    /// Files that were handed over and are not written yet.
    backlog: Arc<AtomicUsize>,
    work: Option<Sender<Work>>,
    thread: Option<JoinHandle<()>>,
}

/// Files that may wait for a full or a slow disk before no more entries are taken.
const MAX_BACKLOG: usize = 1024;
const RETRY: Duration = Duration::from_secs(1);

pub(super) fn start(
    disk: DiskTiles,
    key: SoftKey,
    verifier: VerifierKey,
    origin: Name,
) -> Result<Tiler, HostError> {
    let (work, queue) = channel();
    let backlog = Arc::new(AtomicUsize::new(0));
    let waiting = VecDeque::new();
    let mut state = State { disk, key, verifier, origin, backlog: Arc::clone(&backlog), waiting, last: None };
    let thread = thread::Builder::new()
        .name("tiles".into())
        .stack_size(512 << 10)
        .spawn(move || state.run(&queue))
        .map_err(|e| HostError::Internal(e.to_string()))?;
    Ok(Tiler { backlog, work: Some(work), thread: Some(thread) })
}

impl Tiler {
    /// Whether so many files wait that no more entries can be taken.
    pub(super) fn is_behind(&self) -> bool {
        self.backlog.load(Ordering::Relaxed) > MAX_BACKLOG
    }

    pub(super) fn write(&self, files: Vec<Finished>) {
        self.backlog.fetch_add(files.len(), Ordering::Relaxed);
        self.send(Work::Write(files));
    }

    pub(super) fn checkpoint(&self, head: Head, tiles: Vec<Tile>, bundle: Vec<u8>, then: Then<HeadNote>) {
        let mut partial: Vec<Finished> = tiles.into_iter().map(Finished::tile).collect();
        let width = (head.size % WIDTH) as u16;
        if width > 0 {
            match Finished::bundle(head.size / WIDTH, width, bundle) {
                Ok(bundle) => partial.push(bundle),
                Err(error) => return then(Err(error)),
            }
        }
        self.send(Work::Checkpoint { head, partial, then });
    }

    pub(super) fn retire(&self, tiles: Vec<Tile>, journal_dir: PathBuf, first: u64) {
        let partial = tiles.into_iter().map(Finished::tile).collect();
        self.send(Work::Retire { partial, journal_dir, first });
    }

    pub(super) fn stop(&mut self) {
        self.work = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    fn send(&self, work: Work) {
        if let Some(sender) = &self.work
            && let Err(refused) = sender.send(work)
            && let Work::Checkpoint { then, .. } = refused.0
        {
            then(Err(HostError::Unavailable));
        }
    }
}

struct State {
    disk: DiskTiles,
    key: SoftKey,
    verifier: VerifierKey,
    origin: Name,
    backlog: Arc<AtomicUsize>,
    /// Files that could not be written yet, oldest first.
    waiting: VecDeque<Finished>,
    last: Option<HeadNote>,
}

impl State {
    fn run(&mut self, queue: &Receiver<Work>) {
        loop {
            let work = match queue.recv_timeout(RETRY) {
                Ok(work) => work,
                Err(RecvTimeoutError::Timeout) => {
                    let _ = self.flush();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            };
            match work {
                Work::Write(files) => {
                    self.waiting.extend(files);
                    let _ = self.flush();
                }
                Work::Checkpoint { head, partial, then } => then(self.checkpoint(head, &partial)),
                Work::Retire { partial, journal_dir, first } => {
                    // A failure keeps the segments: they are replayed at the next start.
                    let _ = self.retire(&partial, &journal_dir, first);
                }
            }
        }
    }

    /// Writes what waits. The journal still has all of it, so nothing is lost if this fails.
    fn flush(&mut self) -> io::Result<()> {
        let mut result = Ok(());
        while let Some(file) = self.waiting.front() {
            result = self.disk.write_once(file);
            if result.is_err() {
                break;
            }
            self.waiting.pop_front();
            self.backlog.fetch_sub(1, Ordering::Relaxed);
        }
        result
    }

    fn checkpoint(&mut self, head: Head, partial: &[Finished]) -> Result<HeadNote, HostError> {
        if let Some(last) = &self.last
            && last.size == head.size
        {
            return Ok(last.clone());
        }
        let failed = |e: io::Error| match e.kind() {
            io::ErrorKind::StorageFull => HostError::LogFull,
            _ => HostError::Log(format!("the log's tiles cannot be written: {e}")),
        };
        self.flush().map_err(failed)?;
        for file in partial {
            self.disk.write_once(file).map_err(failed)?;
        }
        let note = self.sign(head)?;
        disk::replace(&self.disk.dir().join("checkpoint"), note.as_bytes()).map_err(failed)?;
        let note = HeadNote { size: head.size, root: *head.root.as_bytes(), note };
        self.last = Some(note.clone());
        Ok(note)
    }

    /// The one signature without an entry: what it says is the log itself.
    fn sign(&self, head: Head) -> Result<String, HostError> {
        let internal = |e: &dyn std::fmt::Display| HostError::Internal(format!("checkpoint: {e}"));
        let checkpoint = Checkpoint::new(self.origin.as_str(), head);
        let (to_sign, pending) = checkpoint.prepare(&self.verifier).map_err(|e| internal(&e))?;
        let raw = self.key.sign(Scheme::Ed25519, &to_sign).map_err(|e| internal(&e))?;
        let note = pending.finish(raw).map_err(|e| internal(&e))?;
        note.verify(&self.verifier).map_err(|_| HostError::NotVerified)?;
        Ok(note.to_string())
    }

    fn retire(&mut self, partial: &[Finished], journal_dir: &std::path::Path, first: u64) -> io::Result<()> {
        self.flush()?;
        for file in partial {
            self.disk.write_once(file)?;
        }
        rustix::fs::syncfs(File::open(self.disk.dir())?)?;
        journal::remove_before(journal_dir, first)
    }
}
