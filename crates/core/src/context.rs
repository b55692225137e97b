//! The open deployment: what every use-case works with.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};
use std::time::Duration;

use countersign_keyhost::client::{KeyHost, LogRef, Status};
use countersign_keyhost::wire::{HeadNote, HostError, Welcome};
use countersign_model::{Clock, KeyName, Name, RequestId};
use countersign_store::{Files, Store};
use jiff::Timestamp;
use tokio::task::JoinHandle;

use crate::background;
use crate::caller::Identity;
use crate::error::Error;
use crate::publication;
use crate::random::RequestIds;
use crate::snapshot::Cache;

/// An open data directory with its database and its key host. Cheap to clone.
#[derive(Clone)]
pub struct Context(Arc<Inner>);

/// Turns in making keys: of those who want one name at the same time, the others wait until it is taken, so
/// that the log has one `key-create` for it. Other names rarely wait.
#[derive(Default)]
pub(crate) struct Naming([tokio::sync::Mutex<()>; 32]);

impl Naming {
    /// Waits for the turn, which lasts until the guard is dropped.
    pub(crate) async fn turn(&self, name: &KeyName) -> tokio::sync::MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let place = hasher.finish() % self.0.len() as u64;
        // Below 32, so it fits.
        self.0[place as usize].lock().await
    }
}

/// What the clones of a [`Context`] share. Its parts are for this crate.
pub struct Inner {
    pub(crate) store: Store,
    /// Whether other nodes may write to the same database.
    pub(crate) shared: bool,
    pub(crate) key_host: KeyHost,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) node: Name,
    pub(crate) data: PathBuf,
    pub(crate) limits: Limits,
    pub(crate) front_sandbox: Vec<String>,
    pub(crate) cache: Cache,
    /// Held from a write to the database until the cache has it, and while the cache is reloaded, so that
    /// a reload never puts back what was just taken away.
    pub(crate) writing: tokio::sync::Mutex<()>,
    pub(crate) naming: Naming,
    /// What clients of the appliance named.
    pub(crate) appliance: crate::appliance::Memory,
    pub(crate) authorities: crate::tags::authorities::State,
    pub(crate) collections: crate::collections::State,
    pub(crate) tuf: crate::tuf::State,
    pub(crate) generation: AtomicI64,
    pub(crate) stale: AtomicBool,
    pub(crate) control: Arc<Identity>,
    pub(crate) request_ids: RequestIds,
    pub(crate) log: LogState,
    /// Where published files are.
    pub(crate) files: Files,
    pub(crate) publication: publication::State,
    /// Whether the first steps of [`crate::startup`] are made; a locked key host delays them.
    pub(crate) begun: AtomicBool,
    pub(crate) tasks: Mutex<Vec<JoinHandle<()>>>,
    /// The data directory is ours while this is open and locked.
    pub(crate) _lock: std::fs::File,
}

/// How long the end of a deployment waits for its parts.
const PATIENCE: Duration = Duration::from_secs(10);

async fn within_patience<T>(what: &str, end: impl Future<Output = T>) {
    if tokio::time::timeout(PATIENCE, end).await.is_err() {
        tracing::warn!("{what}");
    }
}

/// What the configuration limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Whether bare ECDSA and Ed25519 signatures are checked before they are released.
    pub verify_raw: bool,
    /// The most bytes of a streamed body that is hashed as it arrives.
    pub streamed_bytes: u64,
    /// The most bytes of a message that is signed itself (Ed25519).
    pub message_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { verify_raw: false, streamed_bytes: 64 << 30, message_bytes: 64 << 20 }
    }
}

/// How far this node's log is, and the last checkpoint.
#[derive(Default)]
pub(crate) struct LogState {
    /// What signs the checkpoints, as a verifier key (C2SP signed-note). Known once the key host is open.
    pub(crate) verifier_key: OnceLock<String>,
    /// Entries that somebody was told of: a checkpoint must cover them.
    pub(crate) told: AtomicU64,
    pub(crate) head: RwLock<Option<Arc<HeadNote>>>,
    /// The size of the last head that the database has.
    pub(crate) recorded: AtomicU64,
    /// Held while the key host makes a checkpoint, so that many readers cause one.
    pub(crate) asking: tokio::sync::Mutex<()>,
}

/// The time of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

impl std::ops::Deref for Context {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Context {
    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// A handle that does not keep a dropped deployment alive.
    pub(crate) fn downgrade(&self) -> Weak<Inner> {
        Arc::downgrade(&self.0)
    }

    pub(crate) fn upgrade(weak: &Weak<Inner>) -> Option<Self> {
        weak.upgrade().map(Self)
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The name of this node: the origin of its log.
    pub fn node(&self) -> &Name {
        &self.node
    }

    /// The data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// What is limited.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What this process gave up when it was confined: a line each, starting with `ok` or `warning`.
    pub fn front_sandbox(&self) -> &[String] {
        &self.front_sandbox
    }

    /// The database.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What is kept for signed collections.
    pub fn collections(&self) -> &crate::collections::State {
        &self.collections
    }

    /// What is kept for the TUF service.
    pub fn tuf(&self) -> &crate::tuf::State {
        &self.tuf
    }

    /// Where published files are.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// The key host.
    pub fn key_host(&self) -> &KeyHost {
        &self.key_host
    }

    /// A new request id.
    pub fn request_id(&self) -> RequestId {
        self.request_ids.next()
    }

    /// What the key host said when it started; `None` while it is down.
    pub fn welcome(&self) -> Option<Welcome> {
        match self.key_host.status() {
            Status::Ready(welcome) => Some(welcome),
            _ => None,
        }
    }

    /// Why the deployment cannot do its work now; nothing if it can.
    pub async fn not_ready(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        match self.key_host.status() {
            Status::Ready(_) => reasons.extend(self.key_host.log_trouble().map(|error| error.to_string())),
            Status::Down(HostError::Locked) => {
                reasons.push("the key host waits for its passphrase: `countersign seal unlock`".into());
            }
            Status::Down(error) => reasons.push(format!("key host: {error}")),
        }
        if reasons.is_empty() && !self.begun.load(Ordering::Acquire) {
            reasons.push("the first start is not complete".into());
        }
        if let Err(error) = self.store.ping().await {
            tracing::warn!(%error, "the database does not answer");
            reasons.push("the database does not answer".into());
        }
        if let Some(halt) = publication::halt(self) {
            reasons.push(format!("publication log: {halt}"));
        }
        reasons
    }

    /// Ends the background tasks, records the last checkpoint, stops the key host, which finishes what it has
    /// accepted, and closes a database of its own: afterwards its files can be copied, moved or replaced.
    pub async fn shutdown(self) {
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in &tasks {
            task.abort();
        }
        // Until they are gone they hold the directory's lock and the database, perhaps in the middle of a transaction.
        within_patience("the background tasks do not end", futures_util::future::join_all(tasks)).await;
        background::store_last_uses(&self).await;
        if matches!(self.key_host.status(), Status::Ready(_)) {
            publication::finish(&self).await;
            background::keep_heads(&self).await;
        }
        self.key_host.stop().await;
        // SQLite clears its write-ahead log when the last connection closes, which would else be at any time from now
        // on. A database server is left to itself: a lease may be on its way back.
        if !self.shared {
            within_patience("the database is still in use", self.store.close()).await;
        }
    }

    /// An entry of this node's log was told to somebody.
    pub(crate) fn told(&self, log: &LogRef) {
        self.log.told.fetch_max(log.index + 1, Ordering::AcqRel);
    }

    /// A write failed in a way that leaves open whether it was made: read everything again.
    pub(crate) fn store_failed(&self, error: impl Into<Error>) -> Error {
        self.stale.store(true, Ordering::Release);
        error.into()
    }
}
