//! The front's end: one connection, pipelined, that comes back by itself.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use countersign_model::entry::Op;
use countersign_model::policy::Permit;
use countersign_model::{
    Action, Format, KeyId, KeyName, KeyType, Name, PublicKey, RawSignature, RequestId, Scheme, ToSign,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use crate::archive::{ArchivedKey, PublicPart};
use crate::guardian::{GUARDIAN_COMMAND, receive_socket};
use crate::host::Arguments;
use crate::seal::SealSource;
use crate::wire::{
    self, Cause, Check, FrameReader, HeadNote, Hello, HostError, ImportedKey, KeySpec, NewSeal, Request,
    Response, Secret, SignItem, Welcome, WrappedDataKey,
};

/// What the client asks its owner at each connection.
#[async_trait]
pub trait Home: Send + Sync + 'static {
    /// Origin, data keys and known head, from the database.
    ///
    /// # Errors
    /// In words, if the database does not answer.
    async fn hello(&self) -> Result<Hello, String>;

    /// Keeps what the key host made: a new data key must be stored before anything is sealed under it.
    ///
    /// # Errors
    /// In words, if it could not be stored; the key host is then not used.
    async fn welcomed(&self, welcome: &Welcome) -> Result<(), String>;
}

/// How to start the key host.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The binary that has the hidden subcommands.
    pub program: PathBuf,
    /// The data directory.
    pub data: PathBuf,
    /// Where the seal key comes from.
    pub seal: SealSource,
    /// Threads that sign.
    pub workers: usize,
    /// How long requests may wait without a single answer before the key host counts as hanging and is
    /// replaced: [`PATIENCE`].
    pub patience: Duration,
}

/// Longer than the slowest thing that a key host does, which is to open a key with a costly passphrase.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Whether the key host can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// It can.
    Ready(Welcome),
    /// It cannot, and why.
    Down(HostError),
}

/// A new key.
#[derive(Clone, Debug)]
pub struct MadeKey {
    /// Its public half.
    pub public: PublicKey,
    /// Itself, sealed.
    pub blob: Vec<u8>,
    /// Its entry.
    pub log: LogRef,
}

/// What came out of an archive.
#[derive(Clone, Debug)]
pub struct ArchiveImported {
    /// The keys, sealed.
    pub keys: Vec<ImportedKey>,
    /// What is not secret.
    pub public: PublicPart,
    /// Files that were passed over, for the server's own log.
    pub skipped: Vec<String>,
    /// The first key's entry; those of the others follow.
    pub log: LogRef,
}

/// An archive, encrypted.
#[derive(Clone, Debug)]
pub struct ArchiveExported {
    /// URL-safe base64.
    pub token: String,
    /// Standard base64.
    pub salt: String,
    /// The first key's entry; those of the others follow.
    pub log: LogRef,
}

/// The longest archive that is passed to the key host: what fits in one message.
pub const MAX_ARCHIVE: usize = 64 << 20;

/// One signature to make.
#[derive(Clone, Debug)]
pub struct SignJob {
    /// The sealed key.
    pub blob: Arc<[u8]>,
    /// How the signature will be written.
    pub format: Format,
    /// The scheme.
    pub scheme: Scheme,
    /// The bytes.
    pub to_sign: ToSign,
    /// SHA-256 of what the caller gave; `None` if only a digest was given.
    pub input: Option<[u8; 32]>,
    /// What was named.
    pub subject: Option<String>,
    /// The request.
    pub request_id: RequestId,
    /// Whether the key host checks the signature before release.
    pub check: Check,
}

/// A signature and its entry.
#[derive(Clone, Debug)]
pub struct SignedRef {
    /// The bare signature.
    pub signature: RawSignature,
    /// Its entry.
    pub log: LogRef,
}

/// Where an entry stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRef {
    /// The log.
    pub origin: Name,
    /// The entry, from 0.
    pub index: u64,
}

/// A handle to the key host. Cheap to clone.
#[derive(Clone)]
pub struct KeyHost {
    shared: Arc<Shared>,
}

struct Shared {
    origin: std::sync::OnceLock<Name>,
    next_id: AtomicU64,
    link: Mutex<Link>,
    /// Tells the writer that there is something to send.
    outgoing: Notify,
    status: watch::Sender<Status>,
    unlock: mpsc::Sender<(Secret, oneshot::Sender<Result<(), HostError>>)>,
    child: Mutex<Option<Child>>,
    /// Our end of the guardian's socket: closing it tells the guardian to go.
    guardian: StdUnixStream,
    guardian_gone: watch::Sender<bool>,
    /// Answers so far: how progress is seen.
    answered: AtomicU64,
    /// Why the last entry could not be written.
    log_trouble: Mutex<Option<HostError>>,
    patience: Duration,
}

/// The connection in force: what waits to be sent, and who waits for answers.
#[derive(Default)]
struct Link {
    open: bool,
    buffer: Vec<u8>,
    waiting: HashMap<u64, Waiting>,
    /// What the requests of all who wait, or have ceased to, cost the key host.
    load: Load,
}

/// Who waits for an answer.
struct Waiting {
    answer: oneshot::Sender<Response>,
    cost: Load,
}

/// Work that was given to the key host and not answered.
#[derive(Clone, Copy, Default)]
struct Load {
    bytes: usize,
    items: usize,
}

impl Link {
    fn take(&mut self, id: u64) -> Option<oneshot::Sender<Response>> {
        let Waiting { answer, cost } = self.waiting.remove(&id)?;
        self.load.bytes -= cost.bytes;
        self.load.items -= cost.items;
        Some(answer)
    }
}

/// Bytes that may wait to be sent. More means that the key host does not keep up: callers are told to
/// come back.
const MAX_BUFFERED: usize = 2 * wire::MAX_FRAME;
/// Work that may be unanswered. The key host takes what it is sent and queues it, and a caller that goes
/// away leaves its request there: without a bound, one that asks and goes could fill its memory.
const MAX_LOAD: Load = Load { bytes: 4 * wire::MAX_FRAME, items: 1 << 16 };

impl KeyHost {
    /// Starts guardian and key host, and waits until the key host is open: [`Guardian::spawn`] and
    /// [`Self::connect`] in one.
    ///
    /// # Errors
    /// As those.
    pub async fn start(launch: Launch, home: Arc<dyn Home>) -> Result<Self, HostError> {
        Self::connect(Guardian::spawn(launch)?, home).await
    }

    /// Waits until the key host that `guardian` started is open.
    ///
    /// A locked key host (it waits for a passphrase) counts as started: see [`Self::status`] and
    /// [`Self::unlock`].
    ///
    /// # Errors
    /// Why the key host refused to open: a wrong seal key, a log that was rolled back, …
    pub async fn connect(guardian: Guardian, home: Arc<dyn Home>) -> Result<Self, HostError> {
        let Guardian { socket: ours, child, patience } = guardian;
        let (status, mut changes) = watch::channel(Status::Down(HostError::Unavailable));
        let (unlock, unlocks) = mpsc::channel(1);
        let shared = Arc::new(Shared {
            origin: std::sync::OnceLock::new(),
            next_id: AtomicU64::new(1),
            link: Mutex::default(),
            outgoing: Notify::new(),
            status,
            unlock,
            child: Mutex::new(Some(child)),
            guardian: ours.try_clone().map_err(cannot_start)?,
            guardian_gone: watch::Sender::new(false),
            answered: AtomicU64::new(0),
            log_trouble: Mutex::default(),
            patience,
        });
        let sockets = receive_sockets(ours)?;
        tokio::spawn(keep_connected(Arc::downgrade(&shared), home, sockets, unlocks));

        let host = Self { shared };
        loop {
            let now = changes.borrow_and_update().clone();
            match now {
                Status::Ready(_) | Status::Down(HostError::Locked) => return Ok(host),
                Status::Down(HostError::Unavailable) => {}
                Status::Down(error) => {
                    host.stop().await;
                    return Err(error);
                }
            }
            if changes.changed().await.is_err() {
                return Err(HostError::Unavailable);
            }
        }
    }

    /// Whether it can be asked now.
    pub fn status(&self) -> Status {
        self.shared.status.borrow().clone()
    }

    /// Makes a key.
    ///
    /// # Errors
    /// [`HostError`].
    pub async fn generate(
        &self,
        permit: &Permit,
        request: &RequestId,
        spec: KeySpec,
        key_type: KeyType,
    ) -> Result<MadeKey, HostError> {
        allows(permit, Action::KeyCreate, Some(&spec.name))?;
        let cause = cause(permit, request);
        self.made(Request::Generate { cause, spec, key_type }).await
    }

    /// Takes in a key from its PEM text.
    ///
    /// # Errors
    /// [`HostError`].
    pub async fn import(
        &self,
        permit: &Permit,
        request: &RequestId,
        spec: KeySpec,
        pem: Secret,
        passphrase: Option<Secret>,
    ) -> Result<MadeKey, HostError> {
        allows(permit, Action::KeyImport, Some(&spec.name))?;
        let cause = cause(permit, request);
        self.made(Request::Import { cause, spec, pem, passphrase }).await
    }

    async fn made(&self, request: Request) -> Result<MadeKey, HostError> {
        match self.ask(&request).await? {
            Response::Key { spki, blob, index } => {
                let public = PublicKey::from_spki(&spki).map_err(|e| HostError::Internal(e.to_string()))?;
                Ok(MadeKey { public, blob, log: self.log_ref(index)? })
            }
            other => Err(unexpected(&other)),
        }
    }

    /// Gives out an exportable key as an `ENCRYPTED PRIVATE KEY` block.
    ///
    /// # Errors
    /// [`HostError`].
    pub async fn export(
        &self,
        permit: &Permit,
        request: &RequestId,
        blob: &[u8],
        passphrase: Secret,
    ) -> Result<(Secret, LogRef), HostError> {
        allows(permit, Action::KeyExport, None)?;
        let (key, cause) = (key_of(permit)?, cause(permit, request));
        match self.ask(&Request::Export { cause, key, blob: blob.to_vec(), passphrase }).await? {
            Response::Exported { pem, index } => Ok((pem, self.log_ref(index)?)),
            other => Err(unexpected(&other)),
        }
    }

    /// Takes in all keys of an archive of the appliance, or none. Nothing is stored: that is for the caller, in
    /// one transaction.
    ///
    /// - `permit`: for `key:import`, asked by the appliance.
    /// - `salt`: base64 text; `token`: URL-safe base64 text. Both are passed on unread.
    ///
    /// # Errors
    /// [`HostError::WrongPassphrase`] if passphrase or token are wrong, [`HostError::EmptyArchive`];
    /// [`HostError::BadArchive`] and [`HostError::WeakKey`] for what is in it, or a token that is too large.
    pub async fn archive_import(
        &self,
        permit: &Permit,
        request: &RequestId,
        passphrase: Secret,
        salt: Vec<u8>,
        token: Vec<u8>,
    ) -> Result<ArchiveImported, HostError> {
        allows(permit, Action::KeyImport, None)?;
        if token.len() > MAX_ARCHIVE || salt.len() > MAX_ARCHIVE - token.len() {
            return Err(HostError::BadArchive(format!("the archive has more than {MAX_ARCHIVE} bytes")));
        }
        let cause = cause(permit, request);
        match self.ask(&Request::ArchiveImport { cause, passphrase, salt, token }).await? {
            Response::ArchiveImported { keys, public, skipped, index } => {
                Ok(ArchiveImported { keys, public, skipped, log: self.log_ref(index)? })
            }
            other => Err(unexpected(&other)),
        }
    }

    /// Gives out keys of the appliance as an archive that the original can import.
    ///
    /// - `permit`: for `key:export`, asked by the appliance.
    /// - `keys`: where each stands in the archive, and its sealed key.
    /// - `public`: what stands beside them; the certificates and OpenPGP packets of `keys` must be among it.
    ///
    /// # Errors
    /// [`HostError::NotExportable`], [`HostError::BadBlob`] for a key under another's name;
    /// [`HostError::BadArchive`] if keys and `public` do not go together or are too many.
    pub async fn archive_export(
        &self,
        permit: &Permit,
        request: &RequestId,
        passphrase: Secret,
        keys: Vec<(ArchivedKey, Vec<u8>)>,
        public: PublicPart,
    ) -> Result<ArchiveExported, HostError> {
        allows(permit, Action::KeyExport, None)?;
        let keys = keys.into_iter().map(|(key, blob)| (key, serde_bytes::ByteBuf::from(blob))).collect();
        let cause = cause(permit, request);
        match self.ask(&Request::ArchiveExport { cause, passphrase, keys, public }).await? {
            Response::ArchiveExported { token, salt, index } => {
                Ok(ArchiveExported { token, salt, log: self.log_ref(index)? })
            }
            other => Err(unexpected(&other)),
        }
    }

    /// Makes one signature.
    ///
    /// # Errors
    /// [`HostError`].
    pub async fn sign(&self, permit: &Permit, job: SignJob) -> Result<SignedRef, HostError> {
        let (blob, item) = sign_item(permit, job, 0)?;
        let request =
            Request::Sign { blobs: vec![serde_bytes::ByteBuf::from(blob.to_vec())], items: vec![item] };
        self.signed(&request).await?.pop().unwrap_or_else(|| Err(HostError::Protocol("no answer".into())))
    }

    /// Makes many signatures with one durable write; one that fails does not touch the others.
    ///
    /// # Errors
    /// [`HostError`], if nothing was asked at all. The inner results are in the order of the jobs.
    pub async fn sign_batch(
        &self,
        jobs: Vec<(Permit, SignJob)>,
    ) -> Result<Vec<Result<SignedRef, HostError>>, HostError> {
        let mut blobs: Vec<Arc<[u8]>> = Vec::new();
        let mut places: HashMap<usize, u32> = HashMap::new();
        let mut items = Vec::with_capacity(jobs.len());
        for (permit, job) in jobs {
            // The same key is the same allocation: the cache hands out one.
            let place = *places.entry(job.blob.as_ptr().addr()).or_insert(blobs.len() as u32);
            let (blob, item) = sign_item(&permit, job, place)?;
            if place as usize == blobs.len() {
                blobs.push(blob);
            }
            items.push(item);
        }
        let blobs = blobs.iter().map(|b| serde_bytes::ByteBuf::from(b.to_vec())).collect();
        let count = items.len();
        let results = self.signed(&Request::Sign { blobs, items }).await?;
        if results.len() == count { Ok(results) } else { Err(HostError::Protocol("answers missing".into())) }
    }

    async fn signed(&self, request: &Request) -> Result<Vec<Result<SignedRef, HostError>>, HostError> {
        let origin = self.origin()?;
        match self.ask(request).await? {
            Response::Signed(results) => Ok(results
                .into_iter()
                .map(|result| {
                    result.map(|signed| SignedRef {
                        signature: RawSignature(signed.signature),
                        log: LogRef { origin: origin.clone(), index: signed.index },
                    })
                })
                .collect()),
            other => Err(unexpected(&other)),
        }
    }

    /// Writes a change of trust to the log. To be called before the change is made.
    ///
    /// # Errors
    /// [`HostError::Protocol`] if the permit is for another operation or another key; else [`HostError`].
    pub async fn record(
        &self,
        permit: &Permit,
        request: &RequestId,
        op: Op,
        key: Option<(KeyName, KeyId)>,
        subject: Option<String>,
    ) -> Result<LogRef, HostError> {
        allows(permit, recorded(op, permit.action())?, key.as_ref().map(|(name, _)| name))?;
        match self.ask(&Request::Record { cause: cause(permit, request), op, key, subject }).await? {
            Response::Recorded { index } => self.log_ref(index),
            other => Err(unexpected(&other)),
        }
    }

    /// The signed head of the log as it is now; its tiles are on disk when this returns.
    ///
    /// # Errors
    /// [`HostError`].
    pub async fn checkpoint(&self) -> Result<HeadNote, HostError> {
        match self.ask(&Request::Checkpoint).await? {
            Response::Checkpoint(head) => Ok(head),
            other => Err(unexpected(&other)),
        }
    }

    /// Makes a random secret for the credential `id`: itself, to be shown once, and sealed.
    ///
    /// # Errors
    /// [`HostError`].
    pub async fn make_secret(&self, id: &str) -> Result<(Secret, Vec<u8>), HostError> {
        match self.ask(&Request::MakeSecret { id: id.to_owned() }).await? {
            Response::Secret { secret, sealed } => Ok((secret, sealed)),
            other => Err(unexpected(&other)),
        }
    }

    /// Whether `mac` is the HMAC-SHA-256 of one of `texts` under the secret that [`Self::make_secret`] made for
    /// the credential `id`. Takes as long for a credential that is not there.
    ///
    /// - `sealed`: the sealed secret; `None` if there is no such credential: then the answer is no.
    /// - `texts`: at most [`wire::MAX_MAC_TEXTS`].
    ///
    /// # Errors
    /// [`HostError::BadBlob`] if the secret was sealed for another credential; [`HostError`].
    pub async fn check_mac(
        &self,
        id: &str,
        sealed: Option<&[u8]>,
        texts: Vec<Vec<u8>>,
        mac: &[u8],
    ) -> Result<bool, HostError> {
        let request = Request::CheckMac {
            id: id.to_owned(),
            sealed: sealed.map(|sealed| serde_bytes::ByteBuf::from(sealed.to_vec())),
            texts: texts.into_iter().map(serde_bytes::ByteBuf::from).collect(),
            mac: mac.to_vec(),
        };
        match self.ask(&request).await? {
            Response::MacChecked(same) => Ok(same),
            other => Err(unexpected(&other)),
        }
    }

    /// All data keys under the passphrase of a backup. Its entry in the log is written before they leave.
    ///
    /// # Errors
    /// [`HostError`].
    pub async fn wrap_for_backup(
        &self,
        permit: &Permit,
        request: &RequestId,
        passphrase: Secret,
    ) -> Result<(Vec<WrappedDataKey>, LogRef), HostError> {
        allows(permit, Action::PolicyWrite, None)?;
        let cause = cause(permit, request);
        match self.ask(&Request::WrapForBackup { cause, passphrase }).await? {
            Response::BackupKeys { keys, index } => Ok((keys, self.log_ref(index)?)),
            other => Err(unexpected(&other)),
        }
    }

    /// Returns all data keys under a new seal key. To be stored; then [`Self::commit_seal`]. The entry in the
    /// log is written before they leave.
    ///
    /// # Errors
    /// [`HostError`].
    pub async fn rotate_seal(
        &self,
        permit: &Permit,
        request: &RequestId,
        to: NewSeal,
    ) -> Result<(Vec<WrappedDataKey>, LogRef), HostError> {
        allows(permit, Action::PolicyWrite, None)?;
        match self.ask(&Request::RotateSeal { cause: cause(permit, request), to }).await? {
            Response::NewSeal { keys, index } => Ok((keys, self.log_ref(index)?)),
            other => Err(unexpected(&other)),
        }
    }

    /// Puts the new seal key in force.
    ///
    /// # Errors
    /// [`HostError`].
    pub async fn commit_seal(&self) -> Result<(), HostError> {
        match self.ask(&Request::CommitSeal).await? {
            Response::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Why the last entry could not be written; `None` if it was written, or [`Self::probe_log`] has found
    /// since that one could be.
    pub fn log_trouble(&self) -> Option<HostError> {
        lock(&self.shared.log_trouble).clone()
    }

    /// Finds out whether the log can be written, without an entry.
    ///
    /// # Errors
    /// [`HostError::Log`], [`HostError::LogFull`]; others if the key host cannot be asked.
    pub async fn probe_log(&self) -> Result<(), HostError> {
        match self.ask(&Request::ProbeLog).await? {
            Response::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Gives the passphrase to a key host that waits for it.
    ///
    /// # Errors
    /// [`HostError::Seal`] if it is wrong; [`HostError::Protocol`] if it is not waited for.
    pub async fn unlock(&self, passphrase: Secret) -> Result<(), HostError> {
        if self.status() != Status::Down(HostError::Locked) {
            return Err(HostError::Protocol("the key host is not locked".into()));
        }
        let (answer, answered) = oneshot::channel();
        self.shared.unlock.send((passphrase, answer)).await.map_err(|_| HostError::Unavailable)?;
        answered.await.map_err(|_| HostError::Unavailable)?
    }

    /// Closes the connection and waits until the processes are gone. Requests that were accepted are
    /// finished first.
    pub async fn stop(&self) {
        close(&self.shared, HostError::Unavailable);
        let child = lock(&self.shared.child).take();
        if let Some(mut child) = child {
            self.shared.status.send_replace(Status::Down(HostError::Internal("stopped".into())));
            self.shared.outgoing.notify_one();
            let _ = self.shared.guardian.shutdown(std::net::Shutdown::Both);
            let _ = tokio::task::spawn_blocking(move || child.wait()).await;
        }
    }

    /// Waits until the guardian is gone, by [`Self::stop`] or by force. Nothing restarts the key host then:
    /// the front should end, too.
    pub async fn gone(&self) {
        let mut gone = self.shared.guardian_gone.subscribe();
        let _ = gone.wait_for(|gone| *gone).await;
    }

    fn origin(&self) -> Result<Name, HostError> {
        self.shared.origin.get().cloned().ok_or(HostError::Unavailable)
    }

    fn log_ref(&self, index: u64) -> Result<LogRef, HostError> {
        Ok(LogRef { origin: self.origin()?, index })
    }

    async fn ask(&self, request: &Request) -> Result<Response, HostError> {
        let (answer, answered) = oneshot::channel();
        {
            let mut link = lock(&self.shared.link);
            if !link.open {
                drop(link);
                return Err(match self.status() {
                    Status::Down(error) => error,
                    Status::Ready(_) => HostError::Unavailable,
                });
            }
            let before = link.buffer.len();
            let Load { bytes, items } = link.load;
            if before > MAX_BUFFERED || bytes > MAX_LOAD.bytes || items > MAX_LOAD.items {
                return Err(HostError::Unavailable);
            }
            let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
            wire::encode(id, request, &mut link.buffer).map_err(|e| HostError::Protocol(e.to_string()))?;
            let items = if let Request::Sign { items, .. } = request { items.len() } else { 1 };
            let cost = Load { bytes: link.buffer.len() - before, items };
            link.load.bytes += cost.bytes;
            link.load.items += cost.items;
            link.waiting.insert(id, Waiting { answer, cost });
        }
        self.shared.outgoing.notify_one();
        let response = answered.await.map_err(|_| HostError::Unavailable)?;
        if let Some(trouble) = trouble_of(request, &response) {
            *lock(&self.shared.log_trouble) = trouble;
        }
        match response {
            Response::Refused(error) => Err(error),
            response => Ok(response),
        }
    }
}

/// What an answer says of the log: an entry was written, or why not. `None`: nothing.
fn trouble_of(request: &Request, response: &Response) -> Option<Option<HostError>> {
    let of_error = |error: &HostError| {
        matches!(error, HostError::Log(_) | HostError::LogFull).then(|| Some(error.clone()))
    };
    match response {
        // Its trouble is with tiles: entries can be written.
        _ if matches!(request, Request::Checkpoint) => None,
        Response::Refused(error) => of_error(error),
        Response::Signed(results) if results.iter().any(Result::is_ok) => Some(None),
        Response::Signed(results) => {
            results.iter().filter_map(|result| result.as_ref().err()).find_map(of_error)
        }
        Response::Key { .. }
        | Response::Exported { .. }
        | Response::Recorded { .. }
        | Response::BackupKeys { .. }
        | Response::NewSeal { .. }
        | Response::ArchiveImported { .. }
        | Response::ArchiveExported { .. } => Some(None),
        Response::Done if matches!(request, Request::ProbeLog) => Some(None),
        _ => None,
    }
}

/// A guardian that was started, and our end of its socket.
///
/// Starting it is a step of its own because the front confines itself next, before it has other threads:
/// what comes before is not confined, the guardian and the key host among it.
pub struct Guardian {
    socket: StdUnixStream,
    child: Child,
    patience: Duration,
}

impl Guardian {
    /// Starts the guardian, which starts the key host. Does not wait.
    ///
    /// # Errors
    /// [`HostError::Internal`] if the program cannot be started.
    pub fn spawn(launch: Launch) -> Result<Self, HostError> {
        let (ours, theirs) = StdUnixStream::pair().map_err(cannot_start)?;
        let arguments = Arguments { data: launch.data, seal: launch.seal, workers: launch.workers };
        let child = Command::new(&launch.program)
            .arg(GUARDIAN_COMMAND)
            .args(arguments.to_words())
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .spawn()
            .map_err(cannot_start)?;
        Ok(Self { socket: ours, child, patience: launch.patience })
    }
}

fn cannot_start(error: std::io::Error) -> HostError {
    HostError::Internal(format!("the key host cannot be started: {error}"))
}

/// A thread that blocks on the guardian's socket and passes on what comes.
fn receive_sockets(guardian: StdUnixStream) -> Result<mpsc::Receiver<StdUnixStream>, HostError> {
    let (send, receive) = mpsc::channel(1);
    std::thread::Builder::new()
        .name("guardian".into())
        .stack_size(256 << 10)
        .spawn(move || {
            while let Ok(socket) = receive_socket(&guardian) {
                if send.blocking_send(socket).is_err() {
                    return;
                }
            }
        })
        .map_err(|e| HostError::Internal(e.to_string()))?;
    Ok(receive)
}

type Unlocks = mpsc::Receiver<(Secret, oneshot::Sender<Result<(), HostError>>)>;

/// Opens each connection that the guardian hands over, and serves it until it breaks.
async fn keep_connected(
    shared: std::sync::Weak<Shared>,
    home: Arc<dyn Home>,
    mut sockets: mpsc::Receiver<StdUnixStream>,
    mut unlocks: Unlocks,
) {
    while let Some(socket) = sockets.recv().await {
        let Some(shared) = shared.upgrade() else { return };
        let connected = async {
            socket.set_nonblocking(true).map_err(|e| HostError::Internal(e.to_string()))?;
            let mut socket = UnixStream::from_std(socket).map_err(|e| HostError::Internal(e.to_string()))?;
            let mut frames = FrameReader::default();
            let welcome = open(&shared, home.as_ref(), &mut socket, &mut frames, &mut unlocks).await?;
            Ok::<_, HostError>((socket, frames, welcome))
        };
        match connected.await {
            Ok((socket, frames, welcome)) => {
                *lock(&shared.link) = Link { open: true, ..Link::default() };
                shared.status.send_replace(Status::Ready(welcome));
                let stopped = serve(&shared, socket, frames).await;
                close(&shared, HostError::Unavailable);
                if stopped.is_break() {
                    shared.guardian_gone.send_replace(true);
                    return;
                }
                tracing::warn!("the key host died; the guardian restarts it");
            }
            Err(_) if lock(&shared.child).is_none() => {
                // Stopped while it waited for its passphrase.
                shared.guardian_gone.send_replace(true);
                return;
            }
            Err(error) => {
                tracing::error!(%error, "the key host did not open");
                close(&shared, error);
                // Dropping the socket ends the key host; the guardian starts another one, more and more
                // slowly, so that a database that comes back is noticed.
            }
        }
    }
    if let Some(shared) = shared.upgrade() {
        close(&shared, HostError::Internal("the guardian is gone".into()));
        shared.guardian_gone.send_replace(true);
    }
}

/// Says hello until the key host opens. A locked one waits for a passphrase.
async fn open(
    shared: &Shared,
    home: &dyn Home,
    socket: &mut UnixStream,
    frames: &mut FrameReader,
    unlocks: &mut Unlocks,
) -> Result<Welcome, HostError> {
    let mut typed = None;
    let mut waiting: Option<oneshot::Sender<Result<(), HostError>>> = None;
    loop {
        let mut hello = home.hello().await.map_err(HostError::Internal)?;
        if typed.is_some() {
            hello.passphrase = typed.take();
        }
        let origin = hello.origin.clone();
        let mut bytes = Vec::new();
        wire::encode(0, &Request::Hello(hello), &mut bytes).map_err(protocol)?;
        let sent = socket.write_all(&bytes).await;
        wire::wipe(&mut bytes);
        sent.map_err(|_| HostError::Unavailable)?;
        let response = read_response(socket, frames).await?;
        match response {
            Response::Welcome(welcome) => {
                home.welcomed(&welcome).await.map_err(HostError::Seal)?;
                let _ = shared.origin.set(origin);
                if let Some(waiting) = waiting.take() {
                    let _ = waiting.send(Ok(()));
                }
                return Ok(welcome);
            }
            Response::Refused(error @ (HostError::Locked | HostError::Seal(_)))
                if error == HostError::Locked || waiting.is_some() =>
            {
                if let Some(waiting) = waiting.take() {
                    let _ = waiting.send(Err(error));
                }
                shared.status.send_replace(Status::Down(HostError::Locked));
                tokio::select! {
                    unlock = unlocks.recv() => {
                        let (passphrase, answer) = unlock.ok_or(HostError::Unavailable)?;
                        typed = Some(passphrase);
                        waiting = Some(answer);
                    }
                    _ = socket.readable() => return Err(HostError::Unavailable),
                    () = no_longer_locked(shared) => return Err(HostError::Unavailable),
                }
            }
            Response::Refused(error) => return Err(error),
            other => return Err(unexpected(&other)),
        }
    }
}

/// Waits until [`KeyHost::stop`] says that nobody waits for a passphrase any more.
async fn no_longer_locked(shared: &Shared) {
    let mut status = shared.status.subscribe();
    let _ = status.wait_for(|status| *status != Status::Down(HostError::Locked)).await;
}

async fn read_response(socket: &mut UnixStream, frames: &mut FrameReader) -> Result<Response, HostError> {
    loop {
        if let Some(frame) = frames.next_frame().map_err(protocol)? {
            return wire::decode(frame).map(|(_, response)| response).map_err(protocol);
        }
        let count = socket.read(frames.space()).await.map_err(|_| HostError::Unavailable)?;
        if count == 0 {
            return Err(HostError::Unavailable);
        }
        frames.filled(count);
    }
}

/// Reads and writes until the connection breaks, or `Break` when the client was stopped.
async fn serve(shared: &Arc<Shared>, socket: UnixStream, frames: FrameReader) -> ControlFlow<()> {
    let (read, write) = socket.into_split();
    tokio::select! {
        () = read_answers(shared, read, frames) => ControlFlow::Continue(()),
        flow = write_requests(shared, write) => flow,
        () = hang(shared) => {
            tracing::error!("the key host does not answer; another one is started");
            let _ = std::io::Write::write(&mut &shared.guardian, &[1]);
            ControlFlow::Continue(())
        }
    }
}

/// Ends when requests wait and none was answered for as long as patience lasts.
async fn hang(shared: &Shared) {
    let mut answered = 0;
    let mut since = Instant::now();
    while since.elapsed() < shared.patience {
        tokio::time::sleep(shared.patience / 10).await;
        let now = shared.answered.load(Ordering::Relaxed);
        if now != answered || lock(&shared.link).waiting.is_empty() {
            answered = now;
            since = Instant::now();
        }
    }
}

async fn read_answers(shared: &Shared, mut socket: OwnedReadHalf, mut frames: FrameReader) {
    let mut answers: Vec<(u64, Response)> = Vec::new();
    loop {
        loop {
            match frames.next_frame().and_then(|frame| frame.map(wire::decode::<Response>).transpose()) {
                Ok(Some(answer)) => answers.push(answer),
                Ok(None) => break,
                Err(error) => {
                    tracing::error!(%error, "the key host's answer cannot be read");
                    return;
                }
            }
        }
        if !answers.is_empty() {
            shared.answered.fetch_add(answers.len() as u64, Ordering::Relaxed);
            let mut link = lock(&shared.link);
            let senders: Vec<_> = answers.drain(..).map(|(id, response)| (link.take(id), response)).collect();
            drop(link);
            for (sender, response) in senders {
                if let Some(sender) = sender {
                    let _ = sender.send(response);
                }
            }
        }
        match socket.read(frames.space()).await {
            Ok(0) | Err(_) => return,
            Ok(count) => frames.filled(count),
        }
    }
}

async fn write_requests(shared: &Shared, mut socket: OwnedWriteHalf) -> ControlFlow<()> {
    let mut spare = Vec::new();
    loop {
        let mut bytes = {
            let mut link = lock(&shared.link);
            if !link.open {
                return ControlFlow::Break(());
            }
            std::mem::replace(&mut link.buffer, std::mem::take(&mut spare))
        };
        if bytes.is_empty() {
            spare = bytes;
            shared.outgoing.notified().await;
            // Requests that came with this one go out in the same write.
            tokio::task::yield_now().await;
            continue;
        }
        let sent = socket.write_all(&bytes).await;
        wire::wipe(&mut bytes);
        bytes.clear();
        if bytes.capacity() < 1 << 20 {
            spare = bytes;
        }
        if sent.is_err() {
            return ControlFlow::Continue(());
        }
    }
}

/// Ends the connection in force: everybody who waits is told to try again.
fn close(shared: &Shared, error: HostError) {
    let mut link = lock(&shared.link);
    link.open = false;
    wire::wipe(&mut link.buffer);
    link.buffer.clear();
    link.waiting.clear();
    link.load = Load::default();
    drop(link);
    shared.status.send_replace(Status::Down(error));
}

fn sign_item(permit: &Permit, job: SignJob, blob: u32) -> Result<(Arc<[u8]>, SignItem), HostError> {
    allows(permit, Action::KeySign, None)?;
    if permit.format() != Some(job.format) || permit.scheme().is_some_and(|scheme| scheme != job.scheme) {
        return Err(HostError::Protocol("the permit is for another format or scheme".into()));
    }
    let item = SignItem {
        blob,
        key: key_of(permit)?,
        cause: cause(permit, &job.request_id),
        format: job.format,
        scheme: job.scheme,
        to_sign: job.to_sign.into(),
        input: job.input,
        subject: job.subject,
        check: job.check,
    };
    Ok((job.blob, item))
}

fn key_of(permit: &Permit) -> Result<KeyName, HostError> {
    permit.resource().as_key().ok_or_else(|| HostError::Protocol("the permit is not for a key".into()))
}

fn cause(permit: &Permit, request: &RequestId) -> Cause {
    Cause {
        principal: permit.caller().clone(),
        surface: permit.surface(),
        policy: permit.policy().to_owned(),
        request_id: request.clone(),
    }
}

/// A permit is for one action on one key: a caller that mixes them up is stopped here.
fn allows(permit: &Permit, action: Action, key: Option<&KeyName>) -> Result<(), HostError> {
    let same_key = key.is_none_or(|key| permit.resource().as_key().as_ref() == Some(key));
    if permit.action() == action && same_key {
        Ok(())
    } else {
        Err(HostError::Protocol("the permit is for something else".into()))
    }
}

/// The action that the permit for recording `op` is for. `given`: the one that it is for, where several may be.
fn recorded(op: Op, given: Action) -> Result<Action, HostError> {
    Ok(match op {
        Op::KeyRetire => Action::KeyRetire,
        Op::KeyRevoke => Action::KeyRevoke,
        Op::PolicySet | Op::LogContinue => Action::PolicyWrite,
        Op::PrincipalCreate | Op::PrincipalDisable | Op::TokenCreate | Op::TokenRevoke => {
            Action::PrincipalWrite
        }
        Op::AuthoritySet => Action::AuthorityWrite,
        Op::TagWrite => Action::TagWrite,
        Op::TufChange if matches!(given, Action::TufSign | Action::TufDelete) => given,
        Op::TufChange => Action::TufWrite,
        // The key host writes these itself, with what they log.
        Op::Sign | Op::KeyCreate | Op::KeyImport | Op::KeyExport | Op::BackupCreate | Op::SealRotate => {
            return Err(HostError::Protocol(format!("{op:?} is not recorded by itself")));
        }
    })
}

fn unexpected(response: &Response) -> HostError {
    let kind = format!("{response:?}");
    let kind = kind.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    HostError::Protocol(format!("an unexpected answer: {kind}"))
}

fn protocol(error: wire::FrameError) -> HostError {
    HostError::Protocol(error.to_string())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long a caller may be asked to wait before trying again.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// A client whose requests are taken at once and never answered.
    fn client() -> KeyHost {
        let (guardian, _) = StdUnixStream::pair().unwrap();
        let link = Link { open: true, ..Link::default() };
        let shared = Shared {
            origin: std::sync::OnceLock::new(),
            next_id: AtomicU64::new(1),
            link: Mutex::new(link),
            outgoing: Notify::new(),
            status: watch::Sender::new(Status::Down(HostError::Unavailable)),
            unlock: mpsc::channel(1).0,
            child: Mutex::default(),
            guardian,
            guardian_gone: watch::Sender::new(false),
            answered: AtomicU64::new(0),
            log_trouble: Mutex::default(),
            patience: PATIENCE,
        };
        KeyHost { shared: Arc::new(shared) }
    }

    /// Asks and goes away; `None` if the request was taken.
    fn ask_and_go(host: &KeyHost) -> Option<HostError> {
        let asked = std::pin::pin!(host.ask(&Request::Checkpoint));
        let answer = asked.poll(&mut Context::from_waker(Waker::noop()));
        lock(&host.shared.link).buffer.clear();
        match answer {
            Poll::Ready(answer) => answer.err(),
            Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn a_change_is_recorded_only_with_the_permit_for_it_and_for_its_key() {
        use countersign_model::policy::{Ask, Policy};
        use countersign_model::{Resource, Surface};

        let host = client();
        let (admin, roles) = ("admin".parse().unwrap(), ["admin".parse().unwrap()]);
        let (mine, other): (KeyName, KeyName) = ("mine".parse().unwrap(), "other".parse().unwrap());
        let permit = Policy::builtin()
            .permit(&Ask {
                caller: &admin,
                judged: &admin,
                roles: &roles,
                narrowing: None,
                surface: Surface::Native,
                action: Action::KeyRetire,
                resource: &Resource::key(&mine),
                format: None,
                scheme: None,
            })
            .unwrap();
        let request = "r".parse().unwrap();
        let key = |name: &KeyName| Some((name.clone(), KeyId::of_spki(b"k")));
        for (op, key) in [
            (Op::KeyRevoke, key(&mine)),
            (Op::KeyRetire, key(&other)),
            (Op::PolicySet, None),
            (Op::LogContinue, None),
            (Op::TokenRevoke, None),
            (Op::TagWrite, None),
            (Op::TufChange, None),
            (Op::Sign, key(&mine)),
            (Op::BackupCreate, None),
            (Op::SealRotate, None),
        ] {
            let refused = host.record(&permit, &request, op, key, None).await;
            assert!(matches!(refused, Err(HostError::Protocol(_))), "{op:?}: {refused:?}");
        }
        assert!(lock(&host.shared.link).buffer.is_empty(), "nothing was sent");
    }

    #[test]
    fn a_request_counts_until_it_is_answered_also_when_nobody_waits_for_it() {
        let host = client();
        for _ in 0..=MAX_LOAD.items {
            assert_eq!(ask_and_go(&host), None);
        }
        assert_eq!(ask_and_go(&host), Some(HostError::Unavailable));
        assert!(lock(&host.shared.link).take(1).is_some());
        assert_eq!(ask_and_go(&host), None);
        assert_eq!(ask_and_go(&host), Some(HostError::Unavailable));
    }
}
