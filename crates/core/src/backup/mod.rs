//! Backups: create, verify by a restore drill, restore.
//!
//! A backup is one encrypted file with the database, the data keys under the backup's passphrase, the
//! configuration and the log as it is published. With file and passphrase a deployment can be made again,
//! private keys included, so making one is an entry in the log and takes the right to `policy:write`.
//!
//! A restore never writes on the old log: the directory keeps it to be read, and begins a log of its own
//! under a new origin, whose first entry names the old origin, size and root. The old log's signing key is
//! not in a backup.

mod crypt;
pub mod records;

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign_keyhost::client::SignJob;
use countersign_keyhost::seal::{DataKeys, SealFile, SealKey, SealSource};
use countersign_keyhost::wire::{Check, HostError, WrappedDataKey};
use countersign_model::policy::Policy;
use countersign_model::{
    Action, Format, KeyName, Name, Resource, Scheme, Surface, ToSign, strict_json, time,
};
use countersign_store::{DataKey, LogHead, Store, StoreConfig, StoreError};
use countersign_tlog::checkpoint::Checkpoint;
use countersign_tlog::hash::{HASH_SIZE, Hash};
use countersign_tlog::note::{SignedNote, VerifierKey};
use countersign_tlog::proof::{self, TileReader as _};
use countersign_tlog::tile::{BundleId, Resource as LogPath, TileId, parse_bundle_start};
use countersign_tlog::tree::Tree;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use crate::Secret;
use crate::caller::Caller;
use crate::context::{Context, SystemClock};
use crate::error::Error;
use crate::log::{self, Reader};
use crate::pipeline;
use crate::publication;
use crate::random;
use crate::snapshot::{Key, KeyState};
use crate::startup::{self, OpenOptions, StartError};
use crypt::{SealedReader, SealedWriter};
use records::{Record, Records};

pub use crypt::Header;

/// Why a backup could not be made or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// A passphrase that can be guessed.
    #[error("the passphrase of a backup has at least {SHORTEST} characters")]
    ShortPassphrase,
    /// Another file, or one of a version that is not known.
    #[error("not a backup")]
    NotABackup,
    /// Not the passphrase of this backup, or its first part is damaged.
    #[error("the passphrase is wrong, or the backup is damaged")]
    WrongPassphrase,
    /// Changed or cut off.
    #[error("the backup is damaged or incomplete: {0}")]
    Damaged(&'static str),
    /// More than a backup can hold.
    #[error("too large for a backup")]
    TooLarge,
    /// The file cannot be read.
    #[error("the backup cannot be read: {0}")]
    Read(#[source] io::Error),
    /// The file cannot be written.
    #[error("the backup cannot be written: {0}")]
    Write(#[source] io::Error),
    /// There is something already where it should go.
    #[error("the directory `{}` is not empty", .0.display())]
    NotEmpty(PathBuf),
    /// A file of the data directory cannot be read or written.
    #[error("cannot use `{}`: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The log in the backup is not what its checkpoint says.
    #[error("the log in the backup is not the one of its checkpoint: {0}")]
    Log(String),
    /// A key in the backup does not work.
    #[error("key `{key}` does not work: {why}")]
    Key {
        /// The key.
        key: KeyName,
        /// In words.
        why: String,
    },
    /// A use-case failed.
    #[error(transparent)]
    Core(#[from] Error),
    /// The restored directory does not open.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl BackupError {
    /// One sentence that says what to do.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::ShortPassphrase => "use a sentence, and keep it apart from the backup".into(),
            Self::NotABackup => "give the file that `countersign backup create` wrote".into(),
            Self::WrongPassphrase => "check the passphrase, then the file".into(),
            Self::Damaged(_) | Self::Log(_) | Self::Key { .. } => "use another backup".into(),
            Self::NotEmpty(_) => "restore into a new directory".into(),
            Self::TooLarge | Self::Read(_) | Self::Write(_) | Self::File { .. } => return None,
            Self::Core(error) => return error.hint(),
            Self::Start(error) => return error.hint(),
        })
    }
}

impl From<StoreError> for BackupError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::BadBackup { .. } => Self::Damaged("the database's lines"),
            other => Self::Core(other.into()),
        }
    }
}

impl From<HostError> for BackupError {
    fn from(error: HostError) -> Self {
        Self::Core(error.into())
    }
}

const SHORTEST: usize = 12;

/// What a backup is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// `backup`.
    pub countersign: String,
    /// 1.
    pub version: u32,
    /// When it was made: RFC 3339.
    pub created: String,
    /// The log in it: its origin.
    pub origin: Name,
    /// Entries in that log.
    pub size: u64,
    /// Its root, hex.
    pub root: String,
    /// Its checkpoint.
    pub checkpoint: String,
    /// The key that signs its checkpoints.
    pub verifier_key: String,
}

const VERSION: u32 = 1;

/// Writes a backup to `out`, which is given back when all is in it: it is for the caller to make it
/// durable and to put it in its place.
///
/// # Errors
/// [`Error::NotPermitted`] without `policy:write`; [`BackupError::ShortPassphrase`]; when log, database or
/// `out` fail. What was written until then is no backup.
pub async fn create<W: Write + Send + 'static>(
    ctx: &Context,
    caller: &Caller,
    passphrase: Secret,
    out: W,
) -> Result<(Manifest, W), BackupError> {
    check_passphrase(&passphrase)?;
    let permit = pipeline::authorise(ctx, caller, Action::PolicyWrite, &Resource::policy())?;
    let (data_keys, logged) =
        ctx.key_host.wrap_for_backup(&permit, &caller.request_id, passphrase.clone()).await?;
    ctx.told(&logged);

    // The state of the database first, the log after it: so the log has an entry for every change.
    let mut export = ctx.store.export().await?;
    let mut first_lines = Vec::new();
    // The first row is read when the second line comes: then the state stands.
    for _ in 0..2 {
        first_lines.extend(export.next_line().await?);
    }
    let head = log::fresh_head(ctx).await?;
    let manifest = Manifest {
        countersign: "backup".into(),
        version: VERSION,
        created: time::seconds(ctx.now()),
        origin: ctx.node.clone(),
        size: head.size,
        root: hex::encode(head.root),
        checkpoint: head.note.clone(),
        verifier_key: log::verifier_key(ctx).to_owned(),
    };

    // Logs that this one continues are kept here, too.
    let kept = |head: &LogHead| ctx.data.join("log").join(&head.origin).is_dir();
    let heads = ctx.store.log_heads().await?.into_iter();
    let mut logs: Vec<(String, u64)> = heads.filter(kept).map(|head| (head.origin, head.size)).collect();
    logs.retain(|(origin, _)| origin != ctx.node.as_str());
    logs.push((ctx.node.to_string(), head.size));

    let mut first = vec![Record::Manifest(json(&manifest)?)];
    for data_key in &data_keys {
        first.push(Record::DataKey(json(data_key)?));
    }
    first.extend(first_lines.into_iter().map(Record::Line));
    let header = Header::new(&random::bytes()?, &random::bytes()?);
    let (sender, records) = mpsc::channel(64);
    let data = ctx.data.clone();
    // `out` may block: it is written to beside the threads that serve requests.
    let writing = tokio::task::spawn_blocking(move || {
        let cipher = header.cipher(&passphrase.0)?;
        let mut writer = BackupWriter { out: SealedWriter::new(out, cipher)?, count: 0 };
        first.iter().try_for_each(|record| writer.add(record))?;
        writer.add_received(records)?;
        writer.add_config(&data)?;
        for (origin, size) in logs {
            writer.add_log(&data, &origin, size)?;
        }
        writer.finish()
    });
    let sent = async {
        while let Some(line) = export.next_line().await? {
            // The writer gave up, and says why.
            if sender.send(Ok(Record::Line(line))).await.is_err() {
                break;
            }
        }
        Ok::<_, StoreError>(())
    }
    .await;
    if let Err(error) = sent {
        // Without this a writer that has less than everything would finish its file.
        let _ = sender.send(Err(error.into())).await;
    }
    drop(sender);
    let out = writing.await.map_err(|_| Error::Internal("writing was cut short".into()))??;
    Ok((manifest, out))
}

fn check_passphrase(passphrase: &Secret) -> Result<(), BackupError> {
    let long_enough = std::str::from_utf8(&passphrase.0).is_ok_and(|text| text.chars().count() >= SHORTEST);
    if long_enough { Ok(()) } else { Err(BackupError::ShortPassphrase) }
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, BackupError> {
    serde_json::to_vec(value).map_err(|_| BackupError::Damaged("a document"))
}

struct BackupWriter<W: Write> {
    out: SealedWriter<W>,
    count: u64,
}

impl<W: Write> BackupWriter<W> {
    fn add(&mut self, record: &Record) -> Result<(), BackupError> {
        self.count += 1;
        self.out.write(&Zeroizing::new(record.to_bytes()?))
    }

    fn add_received(
        &mut self,
        mut records: mpsc::Receiver<Result<Record, BackupError>>,
    ) -> Result<(), BackupError> {
        while let Some(record) = records.blocking_recv() {
            self.add(&record?)?;
        }
        Ok(())
    }

    fn add_config(&mut self, data: &Path) -> Result<(), BackupError> {
        let path = data.join(CONFIG);
        match std::fs::read(&path) {
            Ok(content) => self.add(&Record::File { path: CONFIG.into(), content }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(BackupError::File { path, source }),
        }
    }

    fn add_log(&mut self, data: &Path, origin: &str, size: u64) -> Result<(), BackupError> {
        let reader = Reader::at(data.join("log").join(origin));
        for path in log_paths(size) {
            let content = match path {
                LogPath::Tile(id) => reader.read(id).map_err(|e| BackupError::Log(e.to_string()))?,
                LogPath::Entries(id) => reader.narrow_bundle(id)?,
                LogPath::Checkpoint => continue,
            };
            self.add(&Record::File { path: format!("log/{origin}/{path}"), content })?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<W, BackupError> {
        self.out.write(&records::end(self.count)?)?;
        self.out.finish()
    }
}

const CONFIG: &str = "countersign.toml";

/// Every tile and bundle of a log of `size` entries.
fn log_paths(size: u64) -> impl Iterator<Item = LogPath> {
    let at_level = move |level: u8| {
        let have = size.checked_shr(8 * u32::from(level)).unwrap_or(0);
        let width = move |index: u64| (have - index * 256).min(256) as u16;
        (0..have.div_ceil(256)).filter_map(move |index| TileId::new(level, index, width(index)))
    };
    let bundles = at_level(0).filter_map(|id| BundleId::new(id.index(), id.width()));
    (0..8).flat_map(at_level).map(LogPath::Tile).chain(bundles.map(LogPath::Entries))
}

/// How the data keys of the restored deployment are to be kept.
#[derive(Debug)]
pub enum RestoredSeal {
    /// Under a new seal key in `DATA/host/seal.key`.
    File,
    /// Under this passphrase.
    Passphrase(Secret),
}

/// Where to restore, and how.
#[derive(Debug)]
pub struct RestoreOptions {
    /// The data directory: empty, or not there.
    pub data: PathBuf,
    /// The database, as in [`OpenOptions`]; it must be empty.
    pub database: Option<String>,
    /// How the data keys are to be kept.
    pub seal: RestoredSeal,
    /// The name of the restored node, which must be a new one; `None`: a random name.
    pub node: Option<Name>,
    /// The configuration, in the place of the one in the backup.
    pub config: Option<Vec<u8>>,
}

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// What it is of.
    pub manifest: Manifest,
    /// The configuration of the deployment, if it had one.
    pub config: Option<Vec<u8>>,
    /// Records in it: rows, files and the like.
    pub records: u64,
}

/// Reads a backup to its end without restoring it: shows that the passphrase is right, and that nothing
/// was cut off or changed. Blocks.
///
/// # Errors
/// [`BackupError`].
pub fn read(passphrase: &Secret, source: impl Read) -> Result<Contents, BackupError> {
    let mut source = io::BufReader::new(source);
    let cipher = Header::read(&mut source)?.cipher(&passphrase.0)?;
    let mut records = Records::new(SealedReader::new(source, cipher));
    let (mut manifest, mut config, mut count) = (None, None, 0);
    while let Some(record) = records.next_record()? {
        count += 1;
        match record {
            Record::Manifest(bytes) => manifest = Some(read_manifest(&bytes)?),
            Record::File { path, content } if path == CONFIG => config = Some(content),
            Record::File { .. } | Record::DataKey(_) | Record::Line(_) => {}
        }
    }
    let manifest = manifest.ok_or(BackupError::Damaged("the manifest"))?;
    Ok(Contents { manifest, config, records: count })
}

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// What the backup said of itself.
    pub manifest: Manifest,
    /// The name of the restored node: the origin of its new log.
    pub node: Name,
    /// Rows of the database.
    pub rows: u64,
    /// Files of the data directory.
    pub files: u64,
}

/// Makes a deployment again from a backup, in an empty directory and an empty database.
///
/// A directory whose restore was cut short does not open: begin again with an empty one.
///
/// # Errors
/// [`BackupError`].
pub async fn restore<R: Read + Send + 'static>(
    options: RestoreOptions,
    passphrase: Secret,
    source: R,
) -> Result<Restored, BackupError> {
    let data = options.data;
    let occupied = std::fs::read_dir(&data).is_ok_and(|mut entries| entries.next().is_some());
    if occupied {
        return Err(BackupError::NotEmpty(data));
    }
    startup::make_directories(&data)?;
    let lock = startup::take_lock(&data)?;
    startup::write_durably(&data.join(startup::RESTORING), b"", 0o600)?;
    let store = Store::open(&StoreConfig::new(startup::database_url(&data, options.database))).await?;

    let secret = passphrase.clone();
    let (sender, mut received) = mpsc::channel(8);
    let reading = tokio::task::spawn_blocking(move || read_records(source, &secret, &sender));
    let mut taken = Taken { config: options.config, ..Taken::default() };
    let mut import = store.import().await?;
    while let Some(record) = received.recv().await {
        match record {
            Record::Line(line) => import.push_line(&line).await?,
            other => taken.take(&data, other)?,
        }
    }
    reading.await.map_err(|_| Error::Internal("reading was cut short".into()))??;
    let rows = import.finish().await?;

    if let Some(content) = taken.config.take() {
        taken.write(data.join(CONFIG), &content)?;
    }
    let manifest = taken.manifest.ok_or(BackupError::Damaged("the manifest"))?;
    let node = match options.node {
        Some(node) if node == manifest.origin => {
            return Err(
                Error::invalid("node", "a restored node needs a new name: an origin never forks").into()
            );
        }
        Some(node) => node,
        None => startup::random_node_name()?,
    };
    let rewrapped = rewrap(&data, taken.data_keys, passphrase, options.seal).await?;
    replace_data_keys(&store, rewrapped).await?;
    settle_log(&store, &data, &manifest, &node).await?;
    store.close().await;

    startup::write_durably(&data.join("node"), format!("{node}\n").as_bytes(), 0o600)?;
    let marker = data.join(startup::RESTORING);
    std::fs::remove_file(&marker).map_err(|source| BackupError::File { path: marker, source })?;
    drop(lock);
    Ok(Restored { manifest, node, rows, files: taken.files })
}

fn read_records(
    mut source: impl Read,
    passphrase: &Secret,
    sender: &mpsc::Sender<Record>,
) -> Result<(), BackupError> {
    let cipher = Header::read(&mut source)?.cipher(&passphrase.0)?;
    let mut records = Records::new(SealedReader::new(source, cipher));
    while let Some(record) = records.next_record()? {
        // The other side gave up and says why.
        if sender.blocking_send(record).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// What was read beside the database.
#[derive(Default)]
struct Taken {
    /// What is to be the configuration instead of the one in the backup.
    config: Option<Vec<u8>>,
    manifest: Option<Manifest>,
    data_keys: Vec<WrappedDataKey>,
    files: u64,
}

impl Taken {
    fn take(&mut self, data: &Path, record: Record) -> Result<(), BackupError> {
        match record {
            Record::Manifest(bytes) if self.manifest.is_none() => {
                self.manifest = Some(read_manifest(&bytes)?);
            }
            Record::DataKey(bytes) => {
                let key = serde_json::from_slice(&bytes).map_err(|_| BackupError::Damaged("a data key"))?;
                self.data_keys.push(key);
            }
            Record::File { path, .. } if path == CONFIG && self.config.is_some() => {}
            Record::File { path, content } => self.write(data.join(safe_path(&path)?), &content)?,
            Record::Manifest(_) | Record::Line(_) => {
                return Err(BackupError::Damaged("the order of records"));
            }
        }
        Ok(())
    }

    fn write(&mut self, path: PathBuf, content: &[u8]) -> Result<(), BackupError> {
        write_file(&path, content).map_err(|source| BackupError::File { path, source })?;
        self.files += 1;
        Ok(())
    }
}

fn read_manifest(bytes: &[u8]) -> Result<Manifest, BackupError> {
    let damaged = || BackupError::Damaged("the manifest");
    let value = strict_json::parse(bytes).map_err(|_| damaged())?;
    let manifest: Manifest = serde_json::from_value(value).map_err(|_| damaged())?;
    if manifest.countersign != "backup" || manifest.version != VERSION {
        return Err(BackupError::NotABackup);
    }
    Ok(manifest)
}

/// The configuration, or a tile or bundle of a log: nothing else can be named.
fn safe_path(path: &str) -> Result<PathBuf, BackupError> {
    if path == CONFIG {
        return Ok(CONFIG.into());
    }
    let parts = path.strip_prefix("log/").and_then(|rest| rest.split_once('/'));
    let parsed = parts.and_then(|(origin, path)| Some((origin.parse::<Name>().ok()?, path.parse().ok()?)));
    match parsed {
        Some((origin, path @ (LogPath::Tile(_) | LogPath::Entries(_)))) => {
            Ok(Path::new("log").join(origin.as_str()).join(path.to_string()))
        }
        _ => Err(BackupError::Damaged("the path of a file")),
    }
}

fn write_file(path: &Path, content: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Takes the data keys from under the backup's passphrase and puts them under the new seal.
async fn rewrap(
    data: &Path,
    wrapped: Vec<WrappedDataKey>,
    passphrase: Secret,
    seal: RestoredSeal,
) -> Result<Vec<WrappedDataKey>, BackupError> {
    let host_dir = data.join("host");
    beside(move || {
        let old = SealKey::Passphrase(Zeroizing::new(passphrase.0.clone()));
        let keys = DataKeys::unwrap(&wrapped, &old).map_err(|_| BackupError::Damaged("the data keys"))?;
        let new = match seal {
            RestoredSeal::File => SealFile::new(&host_dir).create()?,
            RestoredSeal::Passphrase(new) => SealKey::Passphrase(Zeroizing::new(new.0.clone())),
        };
        Ok(keys.wrap(&new)?)
    })
    .await
}

/// The database's rows of data keys, which are under the old seal, with the new wrapping.
async fn replace_data_keys(store: &Store, rewrapped: Vec<WrappedDataKey>) -> Result<(), BackupError> {
    let mut rows: Vec<DataKey> = store.data_keys().await?;
    for row in &mut rows {
        let new = rewrapped.iter().find(|new| new.id == row.id);
        row.wrapped = new.ok_or(BackupError::Damaged("the data keys"))?.wrapped.clone();
    }
    Ok(store.replace_data_keys(&rows).await?)
}

/// Checks the old log against its checkpoint and the database, and notes that the new one continues it.
async fn settle_log(store: &Store, data: &Path, manifest: &Manifest, node: &Name) -> Result<(), BackupError> {
    let heads = store.log_heads().await?;
    let head = head_of(manifest)?;
    let (logs, origin) = (data.join("log"), manifest.origin.to_string());
    beside(move || {
        check_log(&Reader::at(logs.join(&origin)), head.size, &head.root)?;
        for known in heads.into_iter().filter(|known| logs.join(&known.origin).is_dir()) {
            let reader = Reader::at(logs.join(&known.origin));
            if known.origin != origin {
                check_log(&reader, known.size, &Hash::from_bytes(known.root))?;
                continue;
            }
            let root = proof::root(known.size, &reader).map_err(|e| BackupError::Log(e.to_string()))?;
            if known.size > head.size || *root.as_bytes() != known.root {
                return Err(BackupError::Log("the database knows another log".into()));
            }
        }
        Ok(())
    })
    .await?;
    store
        .put_log_head(&LogHead {
            origin: manifest.origin.to_string(),
            size: head.size,
            root: *head.root.as_bytes(),
            checkpoint: manifest.checkpoint.clone(),
            verifier_key: manifest.verifier_key.clone(),
            updated: countersign_model::Clock::now(&SystemClock),
        })
        .await?;
    let subject = format!("{} {} {}", manifest.origin, manifest.size, manifest.root);
    store.meta_set(&format!("{}:{node}", startup::CONTINUES), subject.as_bytes()).await?;
    // What was published after the backup is not in it: going on under the old name would fork that log.
    if store.meta_get(publication::ORIGIN).await?.is_some() {
        store.meta_set(publication::ORIGIN, publication::new_origin()?.as_str().as_bytes()).await?;
    }
    Ok(())
}

/// The head that the manifest's checkpoint signs, which must be the manifest's.
fn head_of(manifest: &Manifest) -> Result<countersign_tlog::hash::Head, BackupError> {
    let bad = |e: &dyn std::fmt::Display| BackupError::Log(e.to_string());
    let key: VerifierKey = manifest.verifier_key.parse().map_err(|e| bad(&e))?;
    let note = SignedNote::parse(manifest.checkpoint.as_bytes()).map_err(|e| bad(&e))?;
    let checkpoint = Checkpoint::open(&note, &key).map_err(|e| bad(&e))?;
    let same = checkpoint.origin == manifest.origin.as_str()
        && checkpoint.head.size == manifest.size
        && checkpoint.head.root.to_string() == manifest.root;
    if same { Ok(checkpoint.head) } else { Err(BackupError::Log("the manifest says otherwise".into())) }
}

/// Makes the tree again from the entries and compares it with the checkpoint and with every tile.
fn check_log(reader: &Reader, size: u64, root: &Hash) -> Result<(), BackupError> {
    let mut tree = Tree::new();
    for path in log_paths(size) {
        let LogPath::Entries(id) = path else { continue };
        let bundle = reader.narrow_bundle(id)?;
        let entries = parse_bundle_start(&bundle, id.width()).map_err(|e| BackupError::Log(e.to_string()))?;
        for entry in entries {
            for tile in tree.append(Hash::leaf(entry)) {
                check_tile(reader, tile.id, &tile.data)?;
            }
        }
    }
    for tile in tree.partial_tiles() {
        check_tile(reader, tile.id, &tile.data)?;
    }
    if tree.root() == *root { Ok(()) } else { Err(BackupError::Log("the root is another".into())) }
}

fn check_tile(reader: &Reader, id: TileId, data: &[u8]) -> Result<(), BackupError> {
    debug_assert_eq!(data.len(), usize::from(id.width()) * HASH_SIZE);
    match reader.read(id) {
        Ok(found) if found == data => Ok(()),
        _ => Err(BackupError::Log(format!("`{id}` is another"))),
    }
}

/// What a drill found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drill {
    /// What was restored.
    pub restored: Restored,
    /// Keys that signed, and whose signature was verified.
    pub working: u64,
    /// Keys that were not tried: revoked, or sealed for formats that cannot be tried.
    pub untried: Vec<KeyName>,
}

/// Restores a backup into a scratch directory, checks the log, signs and verifies with each key, and
/// removes the directory again. Only ciphertext is on the disk meanwhile.
///
/// - `scratch`: a directory that is not there yet.
/// - `program`: the key host, as in [`OpenOptions`].
///
/// # Errors
/// [`BackupError`]: then the backup is not one to rely on.
pub async fn verify<R: Read + Send + 'static>(
    scratch: &Path,
    program: PathBuf,
    passphrase: Secret,
    source: R,
) -> Result<Drill, BackupError> {
    if scratch.exists() {
        return Err(BackupError::NotEmpty(scratch.to_owned()));
    }
    let drill = drill(scratch, program, passphrase, source).await;
    let removed = std::fs::remove_dir_all(scratch);
    let drill = drill?;
    removed.map_err(|source| BackupError::File { path: scratch.to_owned(), source })?;
    Ok(drill)
}

async fn drill<R: Read + Send + 'static>(
    scratch: &Path,
    program: PathBuf,
    passphrase: Secret,
    source: R,
) -> Result<Drill, BackupError> {
    let options = RestoreOptions {
        data: scratch.to_owned(),
        database: None,
        seal: RestoredSeal::Passphrase(passphrase.clone()),
        node: None,
        config: None,
    };
    let restored = restore(options, passphrase.clone(), source).await?;
    let mut options = OpenOptions::new(scratch);
    options.program = program;
    options.seal = SealSource::Prompt;
    options.passphrase = Some(passphrase);
    let ctx = startup::open(options).await?;
    let tried = try_keys(&ctx).await;
    ctx.shutdown().await;
    let (working, untried) = tried?;
    Ok(Drill { restored, working, untried })
}

async fn try_keys(ctx: &Context) -> Result<(u64, Vec<KeyName>), BackupError> {
    let keys: Vec<Arc<Key>> = ctx.cache.read().keys.values().cloned().collect();
    let (mut working, mut untried) = (0, Vec::new());
    for key in keys {
        let revoked = matches!(key.state, KeyState::Revoked { .. });
        if !revoked && try_key(ctx, &key).await? {
            working += 1;
        } else {
            untried.push(key.name.clone());
        }
    }
    Ok((working, untried))
}

/// Signs a text that can stand for nothing else, and throws the signature away. The built-in policy
/// permits it: the drill is about the keys, not about the rules in force.
async fn try_key(ctx: &Context, key: &Key) -> Result<bool, BackupError> {
    let surface = key.name.owner().unwrap_or(Surface::Native);
    let caller = Caller::new(Arc::clone(&ctx.control), surface, ctx.request_id());
    let policy = Policy::builtin();
    let scheme: Scheme = key.key_type.default_scheme();
    let listed = |format: &Format| key.formats.as_ref().is_none_or(|list| list.contains(format));
    let permit = Format::ALL.into_iter().filter(listed).find_map(|format| {
        let (action, resource) = (Action::KeySign, &key.resource);
        caller.ask(action, resource, Some(format), Some(scheme), |ask| policy.permit(ask)).ok()
    });
    let Some((permit, format)) = permit.and_then(|permit| permit.format().map(|format| (permit, format)))
    else {
        return Ok(false);
    };
    let bad = |why: String| BackupError::Key { key: key.name.clone(), why };
    let text = format!("countersign restore drill: this is a signature of nothing\n{}\n", caller.request_id);
    let to_sign = ToSign::of_message(scheme, text.as_bytes());
    let job = SignJob {
        blob: Arc::clone(&key.blob),
        format,
        scheme,
        to_sign: to_sign.clone(),
        input: None,
        subject: Some("restore drill".into()),
        request_id: caller.request_id.clone(),
        check: Check::Always,
    };
    let signed = ctx.key_host.sign(&permit, job).await.map_err(|e| bad(e.to_string()))?;
    let public = key.public()?;
    public.verify(scheme, &to_sign, &signed.signature).map_err(|e| bad(e.to_string()))?;
    Ok(true)
}

/// Runs work that blocks beside the threads that serve requests.
async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackupError> + Send + 'static,
) -> Result<T, BackupError> {
    let cut_short = |_| Error::Internal("work was cut short".into());
    tokio::task::spawn_blocking(work).await.map_err(cut_short)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_configuration_and_files_of_a_log_can_be_named() {
        for good in ["countersign.toml", "log/a/tile/0/000", "log/a/tile/entries/x001/234.p/5"] {
            assert_eq!(safe_path(good).unwrap(), Path::new(good));
        }
        for bad in [
            "",
            "node",
            "/etc/passwd",
            "log/../x",
            "log/a/checkpoint",
            "log/a/key",
            "log/a/../../x",
            "log/../tile/0/000",
            "log/a/tile/0/000/..",
            "log//tile/0/000",
            "host/seal.key",
        ] {
            assert!(safe_path(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_log_of_some_hundred_entries_has_these_files() {
        let paths: Vec<String> = log_paths(600).map(|path| path.to_string()).collect();
        let expected = [
            "tile/0/000",
            "tile/0/001",
            "tile/0/002.p/88",
            "tile/1/000.p/2",
            "tile/entries/000",
            "tile/entries/001",
            "tile/entries/002.p/88",
        ];
        assert_eq!(paths, expected);
        assert_eq!(log_paths(0).count(), 0);
    }
}
