//! Published collections as static files, so that a directory or a content network alone can serve readers.
//!
//! ```text
//! collections/BUCKET/COLLECTION/changeset-TIMESTAMP.json    never changes; TIMESTAMP is that of the metadata
//! collections/BUCKET/COLLECTION/changeset.json              the newest of them
//! collections/monitor/changes.json                          what is published, in the monitor's words
//! collections/published.json                                the same for the publisher
//! ```
//!
//! They are written in this order, by one node at a time, after the commit. A crash in between leaves files that
//! verify, and the next look goes on. Nothing is published that its own signature does not cover, nothing that is
//! older than what is there, and nothing that not everybody may read: when that changes, the files go.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use countersign_store::{CollectionsTx, FileName, FileWriter, FilesError, ObjectRow};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::changeset::{Document, Which, objects, readers};
use super::monitor::{Entry, collections_at, entry, records_of};
use crate::collections::error::Error;
use crate::collections::signer;
use crate::collections::uri::{ListUri, ObjectUri};
use crate::collections::who::EVERYONE;
use crate::context::Context;
use crate::lease::{self, Lease};

/// What this node knows of published files.
#[derive(Debug, Default)]
pub(crate) struct State {
    wake: Arc<Notify>,
    /// What was published when this node looked last.
    known: Mutex<Option<Published>>,
    /// What is not to be published, and was said once: it is not signed as it is, or older than the files.
    left_out: Mutex<Published>,
}

/// What is published, by the URI of the collection.
type Published = BTreeMap<String, Version>;

/// Which state of a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Version {
    /// The timestamp of its records.
    timestamp: i64,
    /// That of its metadata, where the signature is.
    last_modified: i64,
}

impl Version {
    /// Whether something would go backwards.
    fn is_before(self, other: Self) -> bool {
        self.timestamp < other.timestamp || self.last_modified < other.last_modified
    }
}

/// Why files could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    #[error(transparent)]
    Collections(#[from] Error),
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error("`{0}` is not what was published")]
    Index(&'static str),
}

impl From<crate::Error> for PublishError {
    fn from(error: crate::Error) -> Self {
        Self::Collections(error.into())
    }
}

impl From<countersign_store::StoreError> for PublishError {
    fn from(error: countersign_store::StoreError) -> Self {
        Self::Collections(error.into())
    }
}

/// How often a node looks without being told.
const PERIOD: Duration = Duration::from_secs(30);

/// Between two looks there is at least this much time.
const SPACING: Duration = Duration::from_millis(500);

const INDEX: &str = "collections/published.json";
const MONITOR: &str = "collections/monitor/changes.json";

/// Versions of a collection that are kept.
const VERSIONS: usize = 10;

/// Tells the publisher that something may be new.
pub(super) fn wake(ctx: &Context) {
    ctx.collections.reading.publisher.wake.notify_one();
}

/// Starts the publisher of this node.
pub(crate) fn start(ctx: &Context) -> JoinHandle<()> {
    // The task holds the context weakly, so that it does not keep a dropped deployment alive.
    let weak = ctx.downgrade();
    let wake = Arc::clone(&ctx.collections.reading.publisher.wake);
    tokio::spawn(async move {
        loop {
            let Some(ctx) = Context::upgrade(&weak) else { return };
            if ctx.begun.load(Ordering::Acquire)
                && let Err(error) = publish(&ctx).await
            {
                tracing::warn!(%error, "published collections could not be written to files now");
            }
            drop(ctx);
            tokio::time::sleep(SPACING).await;
            let _ = tokio::time::timeout(PERIOD, wake.notified()).await;
        }
    })
}

/// Writes what is new. Says how many collections were.
///
/// # Errors
/// When database or files do not answer: the next look goes on.
pub(crate) async fn publish(ctx: &Context) -> Result<u32, PublishError> {
    if ctx.collections.resources.is_empty() {
        return Ok(0);
    }
    let state = &ctx.collections.reading.publisher;
    let wanted = current(ctx).await?;
    if lock(&state.known).as_ref().is_some_and(|known| is_done(&wanted, known, &lock(&state.left_out))) {
        return Ok(0);
    }
    let Some(held) = Lease::take(ctx, "collections-files", lease::LENGTH).await? else {
        // Another node is at it, and may have looked before what is new was there.
        wake(ctx);
        return Ok(0);
    };
    let written = write_new(ctx, &held).await;
    held.release().await;
    let (published, count) = written?;
    *lock(&state.known) = Some(published);
    Ok(count)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether all that is wanted was published or left out, and nothing else is there.
fn is_done(wanted: &Published, known: &Published, left_out: &Published) -> bool {
    let settled = |(uri, version)| known.get(uri) == Some(version) || left_out.get(uri) == Some(version);
    wanted.iter().all(settled) && known.keys().all(|uri| wanted.contains_key(uri))
}

/// Remembers what is left out. Whether it was not known.
fn leave_out(ctx: &Context, uri: &str, version: Version) -> bool {
    let before = lock(&ctx.collections.reading.publisher.left_out).insert(uri.to_owned(), version);
    before != Some(version)
}

/// What is in the database for everybody.
async fn current(ctx: &Context) -> Result<Published, Error> {
    let mut uris = Vec::new();
    let mut tx = ctx.store.collections_read().await?;
    for place in ctx.collections.resources.monitored() {
        let collections = collections_at(&mut tx, &place).await?;
        let mut keys: Vec<_> = collections.iter().flat_map(objects).collect();
        keys.sort_unstable();
        keys.dedup();
        let rows = tx.objects(&keys).await?;
        for uri in collections {
            if is_public(&rows, &uri)? {
                uris.push(uri);
            }
        }
    }
    drop(tx);
    let lists: Vec<String> = uris.iter().map(|uri| records_of(uri).to_string()).collect();
    let objects: Vec<_> = uris.iter().map(|uri| (uri.list.to_string(), uri.id.clone())).collect();
    let states = ctx.store.collections_states(&lists, &objects).await?;
    let timestamps: BTreeMap<_, _> = states.lists.into_iter().collect();
    let mut current = Published::new();
    for (list, id, last_modified) in states.objects {
        let uri = format!("{list}/{id}");
        if let Some(timestamp) = timestamps.get(&format!("{uri}/records")) {
            current.insert(uri, Version { timestamp: *timestamp, last_modified });
        }
    }
    Ok(current)
}

/// Whether everybody may read a collection, which with its bucket is among `rows`.
fn is_public(rows: &[ObjectRow], uri: &ObjectUri) -> Result<bool, Error> {
    let buckets = ListUri::buckets().to_string();
    let list = uri.list.to_string();
    for row in rows.iter().filter(|row| !row.deleted) {
        let is_bucket = row.list == buckets && Some(row.id.as_str()) == uri.bucket_id();
        if (is_bucket || row.list == list && row.id == uri.id) && readers(Some(row))?.contains(EVERYONE) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Writes the files of all that is new; the caller holds the lease.
async fn write_new(ctx: &Context, lease: &Lease) -> Result<(Published, u32), PublishError> {
    // Another node may have written since this one looked.
    let mut published = index(ctx).await?;
    let wanted = current(ctx).await?;
    let mut count = 0;
    for (uri, version) in &wanted {
        let old = published.get(uri).copied();
        if old == Some(*version) {
            continue;
        }
        if old.is_some_and(|old| version.is_before(old)) {
            if leave_out(ctx, uri, *version) {
                tracing::error!(collection = %uri, "the files are newer than the database: nothing is written");
            }
            continue;
        }
        lease.keep(ctx).await?;
        if let Some(version) = write(ctx, uri).await? {
            published.insert(uri.clone(), version);
            put(ctx, INDEX, json(&published)?).await?;
            count += 1;
        }
    }
    let gone: Vec<String> = published.keys().filter(|uri| !wanted.contains_key(*uri)).cloned().collect();
    for uri in &gone {
        published.remove(uri);
    }
    lease.keep(ctx).await?;
    if count > 0 || !gone.is_empty() || !ctx.files.exists(&MONITOR.parse()?).await? {
        put(ctx, MONITOR, monitor(ctx, &published)?).await?;
        put(ctx, INDEX, json(&published)?).await?;
    }
    // Only now nobody is told of them.
    for uri in gone.iter().filter_map(|uri| collection_of(uri)) {
        for name in ctx.files.list(Some(&folder(&uri)?)).await? {
            ctx.files.delete(&name).await?;
        }
    }
    Ok((published, count))
}

/// Writes the files of one collection as it is now; `None` if it is not signed as it is.
async fn write(ctx: &Context, uri: &str) -> Result<Option<Version>, PublishError> {
    let Some(collection) = collection_of(uri) else { return Ok(None) };
    let Ok(folder) = folder(&collection) else {
        tracing::warn!(collection = %uri, "the name is too long for a file: it is not published as one");
        return Ok(None);
    };
    let mut tx = ctx.store.collections_read().await?;
    let rows = tx.objects(&objects(&collection)).await?;
    let timestamps = tx.timestamps(&[records_of(&collection).to_string()]).await?;
    let list = collection.list.to_string();
    let row = rows.iter().find(|row| !row.deleted && row.list == list);
    if !is_public(&rows, &collection)? {
        return Ok(None);
    }
    let (Some(row), Some((_, timestamp))) = (row, timestamps.first()) else { return Ok(None) };
    let version = Version { timestamp: *timestamp, last_modified: row.last_modified };
    if !signer::verify(ctx, &mut tx, &collection, row, version.timestamp).await? {
        if leave_out(ctx, uri, version) {
            tracing::warn!(collection = %uri, "it is not signed as it is: it is not written to files");
        }
        return Ok(None);
    }
    let document = Document::new(&collection, row, version.timestamp, Which::default())?;
    let mut files = [
        ctx.files.create(&format!("{folder}/changeset-{}.json", version.last_modified).parse()?)?,
        ctx.files.replace(&format!("{folder}/changeset.json").parse()?)?,
    ];
    let written = write_document(&mut tx, document, &mut files).await;
    drop(tx);
    if written.is_err() {
        for file in &mut files {
            file.give_up().await;
        }
    }
    written?;
    let [version_file, mut newest] = files;
    if let Err(error) = version_file.finish().await {
        newest.give_up().await;
        return Err(error.into());
    }
    newest.finish().await?;
    remove_old(ctx, &folder).await?;
    Ok(Some(version))
}

/// Writes a document to files, of which a piece is in memory at a time.
async fn write_document(
    tx: &mut CollectionsTx,
    mut document: Document,
    files: &mut [FileWriter],
) -> Result<(), PublishError> {
    while let Some(piece) = document.next(tx).await? {
        for file in &mut *files {
            file.write(piece.as_bytes()).await?;
        }
    }
    Ok(())
}

/// Removes all versions but the newest ones.
async fn remove_old(ctx: &Context, folder: &FileName) -> Result<(), FilesError> {
    let mut versions: Vec<(i64, FileName)> = ctx
        .files
        .list(Some(folder))
        .await?
        .into_iter()
        .filter_map(|name| {
            let (_, rest) = name.as_str().rsplit_once("/changeset-")?;
            Some((rest.strip_suffix(".json")?.parse().ok()?, name))
        })
        .collect();
    versions.sort_unstable_by_key(|(timestamp, _)| std::cmp::Reverse(*timestamp));
    for (_, name) in versions.into_iter().skip(VERSIONS) {
        ctx.files.delete(&name).await?;
    }
    Ok(())
}

/// What was published, as the last publisher wrote it down.
async fn index(ctx: &Context) -> Result<Published, PublishError> {
    match ctx.files.get(&INDEX.parse()?).await? {
        None => Ok(Published::new()),
        Some(bytes) => serde_json::from_slice(&bytes).map_err(|_| PublishError::Index(INDEX)),
    }
}

/// The monitor's document, of what is in files.
fn monitor(ctx: &Context, published: &Published) -> Result<Bytes, PublishError> {
    #[derive(Serialize)]
    struct Document {
        metadata: BTreeMap<&'static str, &'static str>,
        timestamp: i64,
        changes: Vec<Entry>,
    }
    let mut changes: Vec<Entry> = published
        .iter()
        .filter_map(|(uri, version)| Some(entry(ctx, &collection_of(uri)?, version.timestamp)))
        .collect();
    changes.sort_by_key(|entry| std::cmp::Reverse(entry.last_modified));
    let timestamp = changes.first().map_or(0, |entry| entry.last_modified);
    json(&Document { metadata: BTreeMap::from([("bucket", "monitor")]), timestamp, changes })
}

fn json(value: &impl Serialize) -> Result<Bytes, PublishError> {
    let json =
        serde_json::to_vec(value).map_err(|error| Error::Other(crate::Error::Internal(error.to_string())));
    Ok(json?.into())
}

async fn put(ctx: &Context, name: &str, content: Bytes) -> Result<(), FilesError> {
    ctx.files.put(&name.parse()?, content).await
}

/// `/buckets/B/collections/C` as a URI.
fn collection_of(uri: &str) -> Option<ObjectUri> {
    let (bucket, collection) = uri.strip_prefix("/buckets/")?.split_once("/collections/")?;
    Some(ObjectUri::collection(bucket, collection))
}

/// Where the files of a collection are.
fn folder(uri: &ObjectUri) -> Result<FileName, FilesError> {
    format!("collections/{}/{}", uri.bucket_id().unwrap_or_default(), uri.id).parse()
}
