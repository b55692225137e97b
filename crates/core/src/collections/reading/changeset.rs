//! A collection as readers get it: its metadata with the signature, and its records.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;

use bytes::Bytes;
use countersign_model::canonical::write_content_signature_members;
use countersign_store::{CollectionStates, CollectionsTx, ObjectRow};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Map, Value};
use tokio::sync::OnceCell;

use crate::collections::call::Permissions;
use crate::collections::error::Error;
use crate::collections::uri::{ListUri, ObjectUri};
use crate::collections::who::Who;
use crate::context::Context;

/// A changeset, ready to be sent.
#[derive(Debug)]
pub struct Changeset {
    /// `{"metadata":{…},"timestamp":…,"changes":[…]}`.
    pub body: Bytes,
    /// When the metadata were changed last: for `Last-Modified`.
    pub last_modified: i64,
    /// The timestamp of the records, which the signature covers.
    pub timestamp: i64,
    gzip: OnceCell<Option<Bytes>>,
    /// Principals of whom one is enough.
    readers: BTreeSet<String>,
    /// What it was made of.
    states: CollectionStates,
}

/// Which records of a changeset are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Which {
    /// Those after this timestamp, and what deleted ones left; `None`: all that there are.
    pub(super) since: Option<i64>,
    /// The newest so many.
    pub(super) limit: Option<u32>,
}

impl Changeset {
    /// The body as gzip; `None` if that is no shorter. Made once.
    pub async fn gzip(&self) -> Option<Bytes> {
        if self.body.len() < WORTH_GZIP {
            return None;
        }
        let body = self.body.clone();
        let make = || async move {
            // Megabytes take a while: not on a thread that serves requests.
            let made = tokio::task::spawn_blocking(move || compress(&body)).await;
            made.ok().flatten()
        };
        self.gzip.get_or_init(make).await.clone()
    }

    /// How many bytes of memory it holds at most.
    pub(super) fn weight(&self) -> usize {
        // Gzip is at least not longer, and in practice a fraction.
        self.body.len() + self.body.len() / 2 + 1024
    }

    /// Whether this is what the database has.
    pub(super) async fn is_current(&self, ctx: &Context, uri: &ObjectUri) -> Result<bool, Error> {
        let states = ctx.store.collections_states(&lists(uri), &objects(uri)).await?;
        Ok(sorted(states) == self.states)
    }

    /// Refuses who may not read.
    pub(super) async fn check_reader(&self, ctx: &Context, who: &Who) -> Result<(), Error> {
        if is_reader(who, &self.readers) {
            return Ok(());
        }
        check_reader(&mut ctx.store.collections_read().await?, who, &self.readers).await
    }
}

/// Shorter bodies are sent as they are.
const WORTH_GZIP: usize = 1024;

fn compress(body: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::default());
    encoder.write_all(body).ok()?;
    let gzip = encoder.finish().ok()?;
    (gzip.len() < body.len()).then(|| gzip.into())
}

/// Whether who asks is one of `readers`, as far as it can be said without looking at groups.
fn is_reader(who: &Who, readers: &BTreeSet<String>) -> bool {
    who.admin || who.own_principals().iter().any(|principal| readers.contains(principal))
}

/// Refuses who is none of `readers`: not known at all, or known and not allowed.
async fn check_reader(tx: &mut CollectionsTx, who: &Who, readers: &BTreeSet<String>) -> Result<(), Error> {
    if is_reader(who, readers) {
        return Ok(());
    }
    if who.user.is_none() {
        return Err(Error::Unauthorized);
    }
    if readers.iter().any(|reader| reader.starts_with('/')) {
        let groups = tx.groups_of(&who.own_principals()).await?;
        if groups.iter().any(|group| readers.contains(group)) {
            return Ok(());
        }
    }
    Err(Error::forbidden())
}

/// The timestamp of the last record up to `since`, or one that is before all records: the same follows both.
pub(super) async fn last_until(ctx: &Context, uri: &ObjectUri, since: i64) -> Result<i64, Error> {
    let mut tx = ctx.store.collections_read().await?;
    Ok(tx.latest_until(&records(uri).to_string(), since).await?.unwrap_or(BEFORE_ALL))
}

/// No record is as old.
const BEFORE_ALL: i64 = -1;

/// Reads a changeset in one state of the database.
///
/// # Errors
/// [`Error::NotFound`] and [`Error::MissingParent`] for who could read it; else as for who may not read.
pub(super) async fn load(
    ctx: &Context,
    who: &Who,
    uri: &ObjectUri,
    which: Which,
) -> Result<Changeset, Error> {
    let mut tx = ctx.store.collections_read().await?;
    let rows = tx.objects(&objects(uri)).await?;
    let live = |wanted: &ObjectUri| {
        let list = wanted.list.to_string();
        rows.iter().find(|row| row.id == wanted.id && row.list == list && !row.deleted)
    };
    let bucket_uri = ObjectUri::bucket(uri.bucket_id().unwrap_or_default());
    let (bucket, collection) = (live(&bucket_uri), live(uri));
    let readers = readers(bucket)?;
    let (Some(bucket), Some(collection)) = (bucket, collection) else {
        check_reader(&mut tx, who, &readers).await?;
        return Err(match bucket {
            None => Error::MissingParent { resource: "bucket", id: bucket_uri.id },
            Some(_) => Error::NotFound { resource: "collection", id: uri.id.clone() },
        });
    };
    let mut readers = readers;
    readers.extend(self::readers(Some(collection))?);
    check_reader(&mut tx, who, &readers).await?;
    let records = records(uri);
    let timestamp = tx.timestamps(&lists(uri)).await?.first().map(|(_, timestamp)| *timestamp);
    let states = CollectionStates {
        lists: timestamp.map(|timestamp| (records.to_string(), timestamp)).into_iter().collect(),
        objects: [bucket, collection].map(|row| (row.list.clone(), row.id.clone(), row.last_modified)).into(),
    };
    // A list that was never written to has no timestamp of its own yet.
    let timestamp = timestamp.unwrap_or(collection.last_modified);
    let mut document = Document::new(uri, collection, timestamp, which)?;
    let mut body = String::new();
    while let Some(piece) = document.next(&mut tx).await? {
        body.push_str(&piece);
    }
    Ok(Changeset {
        body: body.into(),
        last_modified: collection.last_modified,
        timestamp,
        gzip: OnceCell::new(),
        readers,
        states: sorted(states),
    })
}

/// The document of a collection, piece by piece: what readers verify.
pub(super) struct Document {
    records: String,
    /// What comes before the records.
    head: Option<String>,
    since: Option<i64>,
    /// How many records are to come at most.
    left: Option<u32>,
    /// The timestamp of the last record that was given.
    before: Option<i64>,
    ended: bool,
}

impl Document {
    /// - `collection`: its row.
    /// - `timestamp`: that of its records.
    pub(super) fn new(
        uri: &ObjectUri,
        collection: &ObjectRow,
        timestamp: i64,
        which: Which,
    ) -> Result<Self, Error> {
        let mut head = String::from(r#"{"metadata":"#);
        write_metadata(uri, collection, &mut head)?;
        let _ = write!(head, r#","timestamp":{timestamp},"changes":["#);
        Ok(Self {
            records: records(uri).to_string(),
            head: Some(head),
            since: which.since,
            left: which.limit,
            before: None,
            ended: false,
        })
    }

    /// The next piece, read in the one state of the database that all are read in; `None` after the last.
    pub(super) async fn next(&mut self, tx: &mut CollectionsTx) -> Result<Option<String>, Error> {
        if let Some(head) = self.head.take() {
            return Ok(Some(head));
        }
        if self.ended {
            return Ok(None);
        }
        let limit = self.left.map_or(CHUNK, |left| left.min(CHUNK));
        let chunk = match limit {
            0 => None,
            _ => tx.changes(&self.records, self.since, self.before, limit).await?,
        };
        let Some(chunk) = chunk else {
            self.ended = true;
            return Ok(Some("]}".into()));
        };
        let mut text = chunk.text;
        if self.before.is_some() {
            text.insert(0, ',');
        }
        self.before = Some(chunk.last_modified);
        // A chunk has no more than was asked for.
        let count = u32::try_from(chunk.count).unwrap_or(u32::MAX);
        self.left = self.left.map(|left| left.saturating_sub(count));
        Ok(Some(text))
    }
}

/// Records that the database joins at once.
const CHUNK: u32 = 2_000;

/// The collection as it is, with the bucket that it is in.
fn write_metadata(uri: &ObjectUri, collection: &ObjectRow, out: &mut String) -> Result<(), Error> {
    let damaged = || crate::Error::Internal(format!("the database is damaged: `{uri}` cannot be read"));
    let data: Map<String, Value> = serde_json::from_str(&collection.data).map_err(|_| damaged())?;
    let mut members: BTreeMap<&str, &Value> = data.iter().map(|(k, v)| (k.as_str(), v)).collect();
    let bucket = Value::from(uri.bucket_id().unwrap_or_default());
    members.insert("bucket", &bucket);
    write_content_signature_members(members, out).map_err(|_| damaged())?;
    Ok(())
}

/// Who may read what is in a bucket or collection.
pub(super) fn readers(row: Option<&ObjectRow>) -> Result<BTreeSet<String>, Error> {
    let Some(text) = row.and_then(|row| row.permissions.as_deref()) else { return Ok(BTreeSet::new()) };
    let damaged = |_| crate::Error::Internal("the database is damaged: permissions cannot be read".into());
    let mut permissions: Permissions = serde_json::from_str(text).map_err(damaged)?;
    let mut readers = permissions.remove("read").unwrap_or_default();
    readers.extend(permissions.remove("write").unwrap_or_default());
    Ok(readers)
}

fn records(uri: &ObjectUri) -> ListUri {
    super::monitor::records_of(uri)
}

/// The lists that a changeset is made of.
fn lists(uri: &ObjectUri) -> [String; 1] {
    [records(uri).to_string()]
}

/// The objects that a changeset is made of.
pub(super) fn objects(uri: &ObjectUri) -> [(String, String); 2] {
    let bucket = uri.bucket_id().unwrap_or_default().to_owned();
    [(ListUri::buckets().to_string(), bucket), (uri.list.to_string(), uri.id.clone())]
}

fn sorted(mut states: CollectionStates) -> CollectionStates {
    states.lists.sort_unstable();
    states.objects.sort_unstable();
    states
}
