//! Opening a data directory: who owns it, what is in it, and what a new one needs.
//!
//! ```text
//! DATA/host    the key host's own: seal key        DATA/node         this node's name, for ever
//! DATA/log     the signing log, by origin          DATA/admin.token  made at the first start
//! DATA/db      SQLite                              DATA/files        published files
//! DATA/run     lock, control socket, address
//! ```

use std::fs::{DirBuilder, File, OpenOptions as FileOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use countersign_keyhost::client::{Guardian, KeyHost, Launch, PATIENCE, Status};
use countersign_keyhost::sandbox;
use countersign_keyhost::seal::SealSource;
use countersign_keyhost::wire::HostError;
use countersign_model::entry::Op;
use countersign_model::policy::{Permit, Policy};
use countersign_model::token::Token;
use countersign_model::{Action, Clock, Name, PrincipalName, RequestId, Resource, Surface};
use countersign_store::{
    EngineKind, Files, FilesConfig, FilesError, PrincipalRecord, Store, StoreConfig, StoreError, TokenKind,
    TokenRecord,
};
use jiff::SignedDuration;
use zeroize::Zeroizing;

use crate::Secret;
use crate::caller::{Caller, Identity};
use crate::collections::outside::HttpClient;
use crate::context::{Context, Inner, Limits, LogState, Naming, SystemClock};
use crate::error::Error;
use crate::home::StoreHome;
use crate::random::{self, RequestIds};
use crate::snapshot::{Cache, Snapshot};
use crate::{background, collections, log, policy, publication, tuf};

/// What to open, and how.
#[derive(Debug)]
pub struct OpenOptions {
    /// The data directory. Made if it is not there.
    pub data: PathBuf,
    /// `None`: SQLite in the data directory; else `postgres://USER@HOST/DATABASE`.
    pub database: Option<String>,
    /// Where published files are; `None`: in the data directory.
    pub files: Option<FilesConfig>,
    /// How the seal key is kept.
    pub seal: SealSource,
    /// A passphrase that was typed. Used once and not kept.
    pub passphrase: Option<Secret>,
    /// The name of this node; `None`: the one it has, or a random one.
    pub node: Option<Name>,
    /// The program that is the key host.
    pub program: PathBuf,
    /// Threads of the key host that sign.
    pub workers: usize,
    /// What is limited.
    pub limits: Limits,
    /// What the configuration says of collections.
    pub collections: collections::Settings,
    /// What the configuration says of the TUF service.
    pub tuf: tuf::Settings,
    /// What sends requests to others; `None`: nobody is asked, and nobody told.
    pub http: Option<Arc<dyn HttpClient>>,
}

impl OpenOptions {
    /// The defaults for a data directory: SQLite, seal key in a file, as many workers as processors.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            database: None,
            files: None,
            seal: SealSource::File,
            passphrase: None,
            node: None,
            program: std::env::current_exe().unwrap_or_else(|_| "countersign".into()),
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            limits: Limits::default(),
            collections: collections::Settings::default(),
            tuf: tuf::Settings::default(),
            http: None,
        }
    }
}

/// Why a data directory could not be opened. Nothing was changed that a second attempt would miss.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A file or directory cannot be used.
    #[error("cannot {what} `{path}`: {source}", path = path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another process has it open.
    #[error("the data directory `{}` is in use by another process", .0.display())]
    InUse(PathBuf),
    /// A restore into it was cut short.
    #[error("a restore into `{}` was cut short", .0.display())]
    HalfRestored(PathBuf),
    /// The node has another name already.
    #[error("this data directory belongs to node `{have}`, not `{want}`")]
    OtherNode {
        /// The name in the directory.
        have: Name,
        /// The name in the configuration.
        want: Name,
    },
    /// The file with the node's name has none.
    #[error("`{}` does not hold the name of a node", .0.display())]
    BadNode(PathBuf),
    /// The database cannot be used.
    #[error("database: {0}")]
    Store(#[from] StoreError),
    /// The place of published files cannot be used.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The key host refuses.
    #[error("key host: {0}")]
    KeyHost(#[from] HostError),
    /// A first step failed.
    #[error(transparent)]
    Other(#[from] Error),
}

impl StartError {
    /// One sentence that says what to do.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::File { .. } => "check owner and mode: the directory must be ours, mode 0700".into(),
            Self::InUse(_) => "stop the other process, or let the command speak to it".into(),
            Self::HalfRestored(_) => "remove the directory and restore again".into(),
            Self::OtherNode { .. } => {
                "leave `node` out of the configuration: a log keeps its origin for ever".into()
            }
            Self::BadNode(_) => {
                "restore it: it is the name of the directory below `log` that is newest".into()
            }
            Self::Store(error) => return error.hint().map(str::to_owned),
            Self::Files(error) => return error.hint().map(str::to_owned),
            Self::KeyHost(HostError::LogRolledBack(_)) => {
                "do not sign on: restore the log's files, or `countersign backup restore`".into()
            }
            Self::KeyHost(HostError::Seal(_)) => {
                "give the seal key of this deployment: without it no key can be opened".into()
            }
            Self::KeyHost(_) => return None,
            Self::Other(error) => return error.hint(),
        })
    }
}

/// A data directory that is ours, with a key host starting in it: what comes before there are threads.
///
/// The front confines itself between [`prepare`] and [`Prepared::open`]: landlock binds the thread that asks
/// for it and those that it starts later.
pub struct Prepared {
    data: PathBuf,
    lock: File,
    node: Name,
    database: String,
    files: FilesConfig,
    passphrase: Option<Secret>,
    limits: Limits,
    collections: collections::Settings,
    tuf: tuf::Settings,
    http: Option<Arc<dyn HttpClient>>,
    guardian: Guardian,
    sandbox: Vec<String>,
}

/// Takes the data directory, makes what is missing in it, and starts the key host. Does not wait for it.
///
/// # Errors
/// [`StartError`]; nothing is left running.
pub fn prepare(options: OpenOptions) -> Result<Prepared, StartError> {
    make_directories(&options.data)?;
    // One spelling of the path for both processes, whatever directory they are in.
    let data = options.data.canonicalize().map_err(file("find", &options.data))?;
    let lock = take_lock(&data)?;
    if data.join(RESTORING).exists() {
        return Err(StartError::HalfRestored(data));
    }
    let node = node_name(&data, options.node)?;
    let database = database_url(&data, options.database);
    let files = options.files.unwrap_or_else(|| FilesConfig::Directory(data.join("files")));
    let launch = Launch {
        program: options.program,
        data: data.clone(),
        seal: options.seal,
        workers: options.workers,
        patience: PATIENCE,
    };
    let guardian = Guardian::spawn(launch)?;
    Ok(Prepared {
        data,
        lock,
        node,
        database,
        files,
        passphrase: options.passphrase,
        limits: options.limits,
        collections: options.collections,
        tuf: options.tuf,
        http: options.http,
        guardian,
        sandbox: vec!["warning: this process is not confined".into()],
    })
}

/// Opens a deployment: [`prepare`] and [`Prepared::open`] in one, for processes that do not confine
/// themselves.
///
/// # Errors
/// [`StartError`]; nothing is left running.
pub async fn open(options: OpenOptions) -> Result<Context, StartError> {
    prepare(options)?.open().await
}

impl Prepared {
    /// Whether this directory was served before. What the first start makes beside the directories of
    /// `DATA` cannot be made by a confined process.
    pub fn has_begun(&self) -> bool {
        self.data.join(BEGUN).exists()
    }

    /// Gives up this thread's access to the keys' directory and to writing the log, and that of all
    /// threads that it starts from now on. Best effort: [`Context::front_sandbox`] says what came of it.
    pub fn confine(&mut self) {
        let (host, log) = (self.data.join("host"), self.data.join("log"));
        self.sandbox.clear();
        sandbox::confine_front(&host, &log, &self.data, &mut self.sandbox);
    }

    /// Brings the database up to date, waits for the key host, and at the first start makes the principal
    /// `admin` with its token in `DATA/admin.token`.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running.
    pub async fn open(self) -> Result<Context, StartError> {
        let Self {
            data,
            lock,
            node,
            database,
            files,
            passphrase,
            limits,
            collections,
            tuf,
            http,
            guardian,
            sandbox,
        } = self;
        let collections = collections::State::new(collections, http, Clock::now(&SystemClock))?;
        let files = Files::open(&files)?;
        let store = Store::open(&StoreConfig::new(database)).await?;
        // What this node was doing when it was killed is not being done any more: whoever waits may go on.
        store.idempotency_release(node.as_str()).await?;
        store.release_claims(tuf::worker::QUEUE, node.as_str()).await?;
        let home = StoreHome { store: store.clone(), node: node.clone(), passphrase: Mutex::new(passphrase) };
        // The generation before the load: a change in between is read twice rather than missed.
        let generation = store.generation().await?;
        let snapshot = Snapshot::load(&store, Clock::now(&SystemClock), None).await?;
        let key_host = KeyHost::connect(guardian, Arc::new(home)).await?;
        let parts = Parts {
            data,
            lock,
            node,
            store,
            files,
            key_host,
            generation,
            snapshot,
            limits,
            collections,
            tuf: tuf::State::new(tuf),
            sandbox,
        };
        let key_host = parts.key_host.clone();
        match parts.assemble().await {
            Ok(ctx) => Ok(ctx),
            Err(error) => {
                key_host.stop().await;
                Err(error)
            }
        }
    }
}

/// What a [`Context`] is made of.
struct Parts {
    data: PathBuf,
    lock: File,
    node: Name,
    store: Store,
    files: Files,
    key_host: KeyHost,
    generation: i64,
    snapshot: Snapshot,
    limits: Limits,
    collections: collections::State,
    tuf: tuf::State,
    sandbox: Vec<String>,
}

impl Parts {
    async fn assemble(self) -> Result<Context, StartError> {
        let ctx = Context::new(Inner {
            shared: self.store.kind() == EngineKind::Postgres,
            store: self.store,
            key_host: self.key_host,
            clock: Arc::new(SystemClock),
            node: self.node,
            data: self.data,
            limits: self.limits,
            front_sandbox: self.sandbox,
            cache: Cache::new(self.snapshot),
            writing: tokio::sync::Mutex::new(()),
            naming: Naming::default(),
            appliance: crate::appliance::Memory::default(),
            authorities: Default::default(),
            collections: self.collections,
            tuf: self.tuf,
            generation: AtomicI64::new(self.generation),
            stale: AtomicBool::new(false),
            control: Arc::new(owner()),
            request_ids: RequestIds::new()?,
            log: LogState::default(),
            files: self.files,
            publication: publication::State::default(),
            begun: AtomicBool::new(false),
            tasks: Mutex::new(Vec::new()),
            _lock: self.lock,
        });
        // A locked key host waits for its passphrase: the first steps follow when it has it.
        if ctx.key_host.status() != Status::Down(HostError::Locked) {
            begin_work(&ctx).await?;
        }
        background::start(&ctx);
        Ok(ctx)
    }
}

/// Marks a directory that was served once.
const BEGUN: &str = "run/begun";

/// What must be in the log and in the database before the first request.
pub(crate) async fn begin_work(ctx: &Context) -> Result<(), StartError> {
    let Status::Ready(welcome) = ctx.key_host.status() else {
        return Err(HostError::Unavailable.into());
    };
    ctx.log.told.fetch_max(welcome.log_size, Ordering::AcqRel);
    let _ = ctx.log.verifier_key.set(welcome.verifier_key);
    continue_log(ctx).await?;
    first_start(ctx).await?;
    let begun = ctx.data.join(BEGUN);
    if !begun.exists() {
        write_durably(&begun, b"", 0o600)?;
    }
    log::record_head(ctx).await?;
    collections::signer::keys::make_missing(ctx, &ctx.collections.settings.resources).await?;
    collections::chain::begin(ctx).await;
    tuf::begin::make_missing(ctx).await?;
    ctx.begun.store(true, Ordering::Release);
    Ok(())
}

/// Whoever owns the data directory is the principal `admin`.
fn owner() -> Identity {
    Identity { principal: PrincipalName::from(admin()), roles: vec![admin()], narrowing: None, token: None }
}

fn admin() -> Name {
    "admin".parse().expect("a constant name")
}

pub(crate) fn make_directories(data: &Path) -> Result<(), StartError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    for part in ["host", "log", "db", "files", "run"] {
        let path = data.join(part);
        builder.create(&path).map_err(file("make", &path))?;
    }
    Ok(())
}

fn file<'a>(what: &'static str, path: &'a Path) -> impl Fn(io::Error) -> StartError + 'a {
    move |source| StartError::File { what, path: path.to_owned(), source }
}

/// Only one process uses a data directory. The lock ends with the process, however it ends.
pub(crate) fn take_lock(data: &Path) -> Result<File, StartError> {
    let path = data.join("run/lock");
    let mut options = FileOptions::new();
    let lock = options
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(file("open", &path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StartError::InUse(data.to_owned())),
        Err(TryLockError::Error(error)) => Err(file("lock", &path)(error)),
    }
}

/// The name in `DATA/node`; a new directory gets the wanted one, or `node-` and 8 random hex digits.
fn node_name(data: &Path, wanted: Option<Name>) -> Result<Name, StartError> {
    let path = data.join("node");
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let have: Name = text.trim_end().parse().map_err(|_| StartError::BadNode(path))?;
            match wanted {
                Some(want) if want != have => Err(StartError::OtherNode { have, want }),
                _ => Ok(have),
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let name = match wanted {
                Some(name) => name,
                None => random_node_name()?,
            };
            write_durably(&path, format!("{name}\n").as_bytes(), 0o600)?;
            Ok(name)
        }
        Err(error) => Err(file("read", &path)(error)),
    }
}

pub(crate) fn random_node_name() -> Result<Name, Error> {
    let digits = hex::encode(random::bytes::<4>()?);
    Ok(format!("node-{digits}").parse().expect("letters, a dash and hex digits"))
}

/// Writes a file so that after a crash there is the old one or the new one.
pub(crate) fn write_durably(path: &Path, content: &[u8], mode: u32) -> Result<(), StartError> {
    let new = path.with_extension("new");
    let write = || {
        let _ = std::fs::remove_file(&new);
        let mut file = FileOptions::new().create_new(true).write(true).mode(mode).open(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&new, path)?;
        match path.parent() {
            Some(parent) => File::open(parent)?.sync_all(),
            None => Ok(()),
        }
    };
    write().map_err(file("write", path))
}

pub(crate) fn database_url(data: &Path, configured: Option<String>) -> String {
    match configured {
        Some(url) if url != "sqlite" => url,
        _ => format!("sqlite:{}", data.join("db/countersign.db").display()),
    }
}

/// A request that the system makes by itself, in the name of who owns the data directory.
fn by_owner(id: &str) -> Caller {
    let id: RequestId = id.parse().expect("a constant request id");
    Caller::new(Arc::new(owner()), Surface::Native, id)
}

/// Before there is a policy in force, the built-in one decides.
fn builtin_permit(caller: &Caller, action: Action, resource: &Resource) -> Result<Permit, Error> {
    caller
        .ask(action, resource, None, None, |ask| Policy::builtin().permit(ask))
        .map_err(|denial| Error::Internal(format!("the built-in policy forbids the first start: {denial}")))
}

/// Marks a deployment whose first start is complete.
const FIRST_START: &str = "first-start";

/// The built-in policy, the principal `admin` and its token. Each step can be done again after a crash;
/// of nodes that start together each step is done by one.
async fn first_start(ctx: &Context) -> Result<(), StartError> {
    if ctx.store.meta_get(FIRST_START).await?.is_some() {
        return Ok(());
    }
    let caller = by_owner("first-start");
    if ctx.store.current_policy().await?.is_none() {
        store_builtin_policy(ctx, &caller).await?;
    }
    if ctx.store.principal(admin().as_str()).await?.is_none() {
        store_admin(ctx, &caller).await?;
    }
    store_admin_token(ctx, &caller).await?;
    match ctx.store.meta_put_new(FIRST_START, ctx.node.as_str().as_bytes()).await {
        Ok(()) | Err(StoreError::Conflict { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let snapshot = Snapshot::load(&ctx.store, ctx.now(), Some(&ctx.cache)).await?;
    *ctx.cache.write() = snapshot;
    Ok(())
}

async fn record_first(
    ctx: &Context,
    caller: &Caller,
    action: Action,
    resource: &Resource,
    op: Op,
    subject: String,
) -> Result<(), Error> {
    let permit = builtin_permit(caller, action, resource)?;
    crate::pipeline::record(ctx, caller, &permit, op, None, Some(subject)).await.map(drop)
}

async fn store_builtin_policy(ctx: &Context, caller: &Caller) -> Result<(), StartError> {
    let builtin = Policy::builtin();
    let (action, resource) = (Action::PolicyWrite, Resource::policy());
    record_first(ctx, caller, action, &resource, Op::PolicySet, builtin.hash().to_owned()).await?;
    let record = policy::new_record(&builtin, &caller.identity.principal, ctx.now())?;
    unless_another_did(ctx.store.put_policy(0, &record).await.map(drop))
}

async fn store_admin(ctx: &Context, caller: &Caller) -> Result<(), StartError> {
    let (action, resource) = (Action::PrincipalWrite, Resource::principal(admin().as_str()));
    record_first(ctx, caller, action, &resource, Op::PrincipalCreate, admin().to_string()).await?;
    let record = PrincipalRecord {
        name: admin().to_string(),
        roles: vec![admin().to_string()],
        created: ctx.now(),
        disabled: false,
    };
    unless_another_did(ctx.store.insert_principal(&record).await)
}

/// The token is in its file before it is in the database: a token that nobody has would be useless.
async fn store_admin_token(ctx: &Context, caller: &Caller) -> Result<(), StartError> {
    const LIFE: SignedDuration = SignedDuration::from_hours(90 * 24);
    let token = Token::from_random(random::bytes()?, &Zeroizing::new(random::bytes()?));
    let text = Zeroizing::new(format!("{}\n", token.expose()));
    write_durably(&ctx.data.join("admin.token"), text.as_bytes(), 0o600)?;

    let (action, resource) = (Action::PrincipalWrite, Resource::principal(admin().as_str()));
    let subject = format!("{} {}", admin(), token.id());
    record_first(ctx, caller, action, &resource, Op::TokenCreate, subject).await?;
    let now = ctx.now();
    let record = TokenRecord {
        id: token.id().to_owned(),
        principal: admin().to_string(),
        kind: TokenKind::Token,
        hash: token.secret_hash().to_vec(),
        sealed: None,
        label: Some("made at the first start".into()),
        created: now,
        expires: now.checked_add(LIFE).ok(),
        last_used: None,
        revoked: None,
        actions: None,
        resources: None,
    };
    Ok(ctx.store.insert_token(&record).await?)
}

fn unless_another_did(result: Result<(), StoreError>) -> Result<(), StartError> {
    match result {
        Ok(()) | Err(StoreError::Conflict { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Marks a directory whose restore is not complete.
pub(crate) const RESTORING: &str = "run/restoring";

/// What a restore leaves for the first start after it: where the old log ended.
pub(crate) const CONTINUES: &str = "log-continues";

/// The first entry of a log that goes on from another names the other's origin, size and root.
async fn continue_log(ctx: &Context) -> Result<(), StartError> {
    let key = format!("{CONTINUES}:{}", ctx.node);
    let Some(subject) = ctx.store.meta_get(&key).await? else { return Ok(()) };
    let first = ctx.log.told.load(Ordering::Acquire) == 0;
    if first && !subject.is_empty() {
        let caller = by_owner("restore");
        let subject = String::from_utf8_lossy(&subject).into_owned();
        record_first(ctx, &caller, Action::PolicyWrite, &Resource::policy(), Op::LogContinue, subject)
            .await?;
    }
    Ok(())
}
