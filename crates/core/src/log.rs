//! The signing log, read: heads, entries with proofs, tiles.
//!
//! The key host writes the log; the front reads its files. Of other nodes' logs the database knows the
//! heads; their entries are read where they are kept.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use countersign_keyhost::wire::HeadNote;
use countersign_model::entry::Entry;
use countersign_model::{Action, Name, RequestId, Resource};
use countersign_store::{HeadChange, LogHead};
use countersign_tlog::hash::{HASH_SIZE, Hash};
use countersign_tlog::log_proof::LogProof;
use countersign_tlog::note::SignedNote;
use countersign_tlog::proof::{TileReader, inclusion};
use countersign_tlog::tile::{BundleId, Resource as LogPath, TileId, parse_bundle_start, push_entry};
use serde::Serialize;

use crate::caller::Caller;
use crate::context::Context;
use crate::error::Error;
use crate::pipeline;
use crate::publication::is_publication_log;

/// The logs that a caller may read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogList {
    /// In the order of their origins.
    pub logs: Vec<LogDocument>,
}

/// The head of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogDocument {
    /// The node whose log it is.
    pub origin: String,
    /// Entries in it.
    pub size: u64,
    /// Root hash, hex.
    pub root: String,
    /// What signs its checkpoints: a verifier key (C2SP signed-note).
    pub public_key: String,
}

/// An entry and the proof that it is in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EntryDocument {
    /// Its number, from 0.
    pub index: u64,
    /// The entry.
    pub entry: Entry,
    /// Its leaf hash, hex.
    pub leaf: String,
    /// A text in `tlog-proof@v1` form.
    pub proof: String,
}

/// The entries of one request, or some of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FoundEntries {
    /// In the order of their log.
    pub entries: Vec<FoundEntry>,
    /// Where to go on, if not all logs were searched to their beginning.
    pub next: Option<SearchPlace>,
}

/// How far a search has come: the entries of `origin` before `index`, and the logs after it, are to be
/// searched. Text form `ORIGIN/INDEX`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct SearchPlace {
    /// The log.
    pub origin: Name,
    /// The oldest entry of it that was searched.
    pub index: u64,
}

impl From<SearchPlace> for String {
    fn from(place: SearchPlace) -> Self {
        format!("{}/{}", place.origin, place.index)
    }
}

impl std::str::FromStr for SearchPlace {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let place = || {
            let (origin, index) = text.split_once('/')?;
            Some(Self { origin: origin.parse().ok()?, index: index.parse().ok()? })
        };
        place().ok_or_else(|| Error::invalid("after", "`after` is not the `next` of an answer"))
    }
}

/// An entry and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FoundEntry {
    /// The log.
    pub origin: Name,
    /// Its number, from 0.
    pub index: u64,
    /// The entry.
    pub entry: Entry,
}

/// How long one call searches for the entries of a request: a few million of them.
const SEARCH_TIME: Duration = Duration::from_secs(2);

/// The most entries of one request that are given at a time: a batch has at most 1000.
const MOST_FOUND: usize = 1000;

/// The verifier key of this node's log; empty while a locked key host has never been open.
pub fn verifier_key(ctx: &Context) -> &str {
    ctx.log.verifier_key.get().map_or("", String::as_str)
}

/// The heads of all logs that `caller` may read. That of this node covers every answered entry.
///
/// # Errors
/// When the database does not answer.
pub async fn heads(ctx: &Context, caller: &Caller) -> Result<LogList, Error> {
    let own = known_head(ctx).await?;
    let mut logs: Vec<LogDocument> = ctx
        .store
        .log_heads()
        .await?
        .into_iter()
        .filter(|head| head.origin != ctx.node.as_str() && !is_publication_log(&head.origin))
        .map(|head| LogDocument {
            origin: head.origin,
            size: head.size,
            root: hex::encode(head.root),
            public_key: head.verifier_key,
        })
        .collect();
    logs.push(LogDocument {
        origin: ctx.node.to_string(),
        size: own.size,
        root: hex::encode(own.root),
        public_key: verifier_key(ctx).to_owned(),
    });
    logs.retain(|log| pipeline::may(ctx, caller, Action::LogRead, &Resource::log(&log.origin)));
    logs.sort_by(|a, b| a.origin.cmp(&b.origin));
    Ok(LogList { logs })
}

/// One entry, with the proof that it is in the log.
///
/// # Errors
/// [`Error::NotPermitted`]; [`Error::NotFound`] for a log that is not kept here and for an entry that is
/// not in it; when the files cannot be read.
pub async fn entry(
    ctx: &Context,
    caller: &Caller,
    origin: &Name,
    index: u64,
) -> Result<EntryDocument, Error> {
    pipeline::authorise(ctx, caller, Action::LogRead, &Resource::log(origin.as_str()))?;
    let (mut size, mut note) = head_of(ctx, origin).await?;
    if index >= size && *origin == ctx.node {
        // The head may be an old one, kept while the key host is away: then we cannot tell.
        let head = fresh_head(ctx).await?;
        (size, note) = (head.size, head.note.clone());
    }
    let Some(bundle) = BundleId::holding(index, size) else {
        return Err(Error::NotFound(format!("entry {index} in log `{origin}`, which has {size}")));
    };
    let reader = Reader::new(ctx, origin);
    beside(move || {
        let bytes = reader.bundle(bundle)?;
        let entries = parse_bundle_start(&bytes, bundle.width()).map_err(|_| damaged())?;
        // The bundle holds the entry: its place is the rest of the division by the width of a full one.
        let leaf = *entries.get((index % 256) as usize).ok_or_else(damaged)?;
        let hashes = inclusion(index, size, &reader).map_err(|e| unreadable(&e.to_string()))?;
        let checkpoint = SignedNote::parse(note.as_bytes()).map_err(|_| damaged())?;
        let proof = LogProof { extra: None, index, hashes, checkpoint };
        Ok(EntryDocument {
            index,
            entry: Entry::parse(leaf).map_err(|_| damaged())?,
            leaf: Hash::leaf(leaf).to_string(),
            proof: proof.to_string(),
        })
    })
    .await
}

/// The entries of one request in all logs that are kept here and that `caller` may read: this node's first,
/// each from its newest entry back. A long search is cut into pieces.
///
/// - `after`: where the piece before this one ended.
///
/// # Errors
/// [`Error::NotPermitted`] for who may read none of them; [`Error::InvalidRequest`] for a place in a log that
/// is not among them; and when the files or the database cannot be read.
pub async fn by_request(
    ctx: &Context,
    caller: &Caller,
    id: &RequestId,
    after: Option<SearchPlace>,
) -> Result<FoundEntries, Error> {
    let mut logs = searchable(ctx, caller).await?;
    if let Some(after) = after {
        let place = logs.iter().position(|log| log.origin == after.origin);
        let place = place.ok_or_else(|| Error::invalid("after", "`after` is not the `next` of an answer"))?;
        logs.drain(..place);
        logs[0].size = logs[0].size.min(after.index);
    }
    let id = id.clone();
    beside(move || search(&logs, &id, Instant::now() + SEARCH_TIME)).await
}

/// A log whose files are here.
struct Kept {
    origin: Name,
    size: u64,
    reader: Reader,
}

/// The logs other than this node's whose files are here, by name, and their sizes.
pub(crate) async fn earlier(ctx: &Context) -> Result<Vec<(Name, u64)>, Error> {
    let mut logs = Vec::new();
    for head in ctx.store.log_heads().await? {
        let Ok(origin) = head.origin.parse::<Name>() else { continue };
        if origin != ctx.node && Reader::new(ctx, &origin).dir.is_dir() {
            logs.push((origin, head.size));
        }
    }
    logs.sort();
    Ok(logs)
}

/// The logs that are kept here and that `caller` may read: this node's, then others by name.
async fn searchable(ctx: &Context, caller: &Caller) -> Result<Vec<Kept>, Error> {
    let may_read = |origin: &str| pipeline::may(ctx, caller, Action::LogRead, &Resource::log(origin));
    let mut logs = Vec::new();
    if may_read(ctx.node.as_str()) {
        let size = known_head(ctx).await?.size;
        logs.push(Kept { origin: ctx.node.clone(), size, reader: Reader::new(ctx, &ctx.node) });
    }
    for (origin, size) in earlier(ctx).await? {
        if may_read(origin.as_str()) {
            let reader = Reader::new(ctx, &origin);
            logs.push(Kept { origin, size, reader });
        }
    }
    if logs.is_empty() {
        pipeline::authorise(ctx, caller, Action::LogRead, &Resource::log(ctx.node.as_str()))?;
    }
    Ok(logs)
}

/// Searches `logs` one after the other, each from its end back, until `deadline` (but one entry at least, so
/// that whoever goes on comes to an end) or until there are [`MOST_FOUND`].
fn search(logs: &[Kept], id: &RequestId, deadline: Instant) -> Result<FoundEntries, Error> {
    // Quotes inside a text are escaped, so this can only be the member itself.
    let wanted = format!("\"request_id\":\"{id}\"");
    let mut entries = Vec::new();
    for Kept { origin, size, reader } in logs {
        let first = entries.len();
        let mut next = None;
        reader.backwards(*size, u64::MAX, |index, leaf| {
            if std::str::from_utf8(leaf).is_ok_and(|text| text.contains(&wanted)) {
                let found = Entry::parse(leaf).ok();
                entries.extend(found.map(|entry| FoundEntry { origin: origin.clone(), index, entry }));
            }
            // The clock is looked at once a bundle.
            let late = index.is_multiple_of(256) && Instant::now() >= deadline;
            let goes_on = !late && entries.len() < MOST_FOUND;
            if !goes_on {
                next = Some(SearchPlace { origin: origin.clone(), index });
            }
            goes_on
        })?;
        entries[first..].reverse();
        if next.is_some() {
            return Ok(FoundEntries { entries, next });
        }
    }
    Ok(FoundEntries { entries, next: None })
}

/// The signed checkpoint of a log that is kept here. That of this node covers every answered entry.
///
/// Whether the caller may read the log is for the surface to say: it may be open to all.
///
/// # Errors
/// [`Error::NotFound`] for a log that is not kept here; when the key host does not answer.
pub async fn checkpoint(ctx: &Context, origin: &Name) -> Result<String, Error> {
    if *origin == ctx.node {
        return Ok(fresh_head(ctx).await?.note.clone());
    }
    head_of(ctx, origin).await.map(|(_, note)| note)
}

/// The bytes of a tile or a bundle of a log that is kept here. A narrower one than the disk has is cut
/// from it.
///
/// # Errors
/// [`Error::NotFound`] if the log or the tile is not there; when it cannot be read.
pub async fn tile(ctx: &Context, origin: &Name, path: LogPath) -> Result<Vec<u8>, Error> {
    let reader = Reader::new(ctx, origin);
    let read = move || match path {
        LogPath::Tile(id) => reader.read(id).map_err(|e| of_io(&e, &path)),
        LogPath::Entries(id) => reader.narrow_bundle(id),
        LogPath::Checkpoint => Err(Error::NotFound(format!("tile `{path}`"))),
    };
    beside(read).await
}

/// Size and checkpoint of a log that is kept here.
async fn head_of(ctx: &Context, origin: &Name) -> Result<(u64, String), Error> {
    if *origin == ctx.node {
        let head = known_head(ctx).await?;
        return Ok((head.size, head.note.clone()));
    }
    let unknown = || Error::NotFound(format!("log `{origin}` on this node"));
    if !ctx.data.join("log").join(origin.as_str()).is_dir() {
        return Err(unknown());
    }
    let head = ctx.store.log_head(origin.as_str()).await?.ok_or_else(unknown)?;
    Ok((head.size, head.checkpoint))
}

/// The head of this node's log, covering every entry that somebody was told of.
pub(crate) async fn fresh_head(ctx: &Context) -> Result<Arc<HeadNote>, Error> {
    if let Some(head) = covering_head(ctx) {
        return Ok(head);
    }
    let _asking = ctx.log.asking.lock().await;
    if let Some(head) = covering_head(ctx) {
        return Ok(head);
    }
    let head = Arc::new(ctx.key_host.checkpoint().await?);
    *ctx.log.head.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&head));
    Ok(head)
}

/// As [`fresh_head`], or the last one known while the key host is away.
async fn known_head(ctx: &Context) -> Result<Arc<HeadNote>, Error> {
    match fresh_head(ctx).await {
        Ok(head) => Ok(head),
        Err(error) => last_head(ctx).ok_or(error),
    }
}

fn last_head(ctx: &Context) -> Option<Arc<HeadNote>> {
    ctx.log.head.read().unwrap_or_else(PoisonError::into_inner).clone()
}

fn covering_head(ctx: &Context) -> Option<Arc<HeadNote>> {
    let told = ctx.log.told.load(Ordering::Acquire);
    last_head(ctx).filter(|head| head.size >= told)
}

/// Puts the newest head in the database, where the next start compares it with the log on disk.
pub(crate) async fn record_head(ctx: &Context) -> Result<(), Error> {
    let head = fresh_head(ctx).await?;
    if ctx.log.recorded.load(Ordering::Acquire) == head.size {
        return Ok(());
    }
    let record = LogHead {
        origin: ctx.node.to_string(),
        size: head.size,
        root: head.root,
        checkpoint: head.note.clone(),
        verifier_key: verifier_key(ctx).to_owned(),
        updated: ctx.now(),
    };
    match ctx.store.put_log_head(&record).await? {
        HeadChange::Stored => ctx.log.recorded.store(head.size, Ordering::Release),
        HeadChange::Behind { stored } => {
            tracing::error!(stored, size = head.size, "the database knows a larger log than there is");
        }
    }
    Ok(())
}

/// Reads the files of one log. Blocking.
pub(crate) struct Reader {
    dir: PathBuf,
}

impl Reader {
    pub(crate) fn new(ctx: &Context, origin: &Name) -> Self {
        Self::at(ctx.data.join("log").join(origin.as_str()))
    }

    pub(crate) fn at(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The bytes of a bundle, or of a wider one in its place.
    fn bundle(&self, id: BundleId) -> Result<Vec<u8>, Error> {
        let full = BundleId::new(id.index(), 256).unwrap_or(id);
        self.widest(&id.to_string(), &full.to_string(), id.width()).map_err(|e| of_io(&e, &id))
    }

    /// The bytes of a bundle, cut from a wider one if need be.
    pub(crate) fn narrow_bundle(&self, id: BundleId) -> Result<Vec<u8>, Error> {
        let bytes = self.bundle(id)?;
        let entries = parse_bundle_start(&bytes, id.width()).map_err(|_| damaged())?;
        let mut bundle = Vec::with_capacity(bytes.len());
        for entry in entries {
            push_entry(&mut bundle, entry).map_err(|_| damaged())?;
        }
        Ok(bundle)
    }

    /// The full file, the file itself, or the narrowest one that is wider: only the widths of published
    /// checkpoints are on disk.
    fn widest(&self, path: &str, full: &str, width: u16) -> io::Result<Vec<u8>> {
        let missing = |e: &io::Error| e.kind() == io::ErrorKind::NotFound;
        match std::fs::read(self.dir.join(full)) {
            Err(e) if missing(&e) => {}
            other => return other,
        }
        match std::fs::read(self.dir.join(path)) {
            Err(e) if missing(&e) => {}
            other => return other,
        }
        let partial = self.dir.join(format!("{full}.p"));
        let widths = std::fs::read_dir(&partial)?.flatten();
        let widths = widths.filter_map(|file| file.file_name().to_str()?.parse::<u16>().ok());
        match widths.filter(|w| *w > width).min() {
            Some(wider) => std::fs::read(partial.join(wider.to_string())),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Shows the last `last` entries before `size` to `visit`, the newest first, until it says `false`.
    pub(crate) fn backwards(
        &self,
        size: u64,
        last: u64,
        mut visit: impl FnMut(u64, &[u8]) -> bool,
    ) -> Result<(), Error> {
        let first = size.saturating_sub(last);
        let mut end = size;
        while end > first {
            // `end` is above 0, so the entry before it is there.
            let bundle = BundleId::holding(end - 1, size).ok_or_else(damaged)?;
            let start = bundle.index() * 256;
            let bytes = self.bundle(bundle)?;
            let entries = parse_bundle_start(&bytes, bundle.width()).map_err(|_| damaged())?;
            for (offset, leaf) in entries.iter().enumerate().rev() {
                let index = start + offset as u64;
                if index < first {
                    return Ok(());
                }
                if !visit(index, leaf) {
                    return Ok(());
                }
            }
            end = start;
        }
        Ok(())
    }
}

impl TileReader for Reader {
    type Error = io::Error;

    fn read(&self, id: TileId) -> io::Result<Vec<u8>> {
        let full = id.full().unwrap_or(id);
        let mut bytes = self.widest(&id.to_string(), &full.to_string(), id.width())?;
        bytes.truncate(usize::from(id.width()) * HASH_SIZE);
        Ok(bytes)
    }
}

fn of_io(error: &io::Error, what: &impl std::fmt::Display) -> Error {
    if error.kind() == io::ErrorKind::NotFound {
        Error::NotFound(format!("`{what}` in the log"))
    } else {
        unreadable(&error.kind().to_string())
    }
}

fn unreadable(why: &str) -> Error {
    Error::Internal(format!("the log's files cannot be read: {why}"))
}

fn damaged() -> Error {
    Error::Internal("a file of the log is damaged".into())
}

/// Runs work on files beside the threads that serve requests.
async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let cut_short = |_| Error::Internal("reading the log was cut short".into());
    tokio::task::spawn_blocking(work).await.map_err(cut_short)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_tlog::tree::Tree;

    /// A log of `size` entries on disk as the key host leaves it: full tiles, and partial ones of the end.
    fn log_on_disk(size: u64) -> (tempfile::TempDir, Reader, Tree) {
        let dir = tempfile::tempdir().unwrap();
        let mut tree = Tree::new();
        let mut tiles = Vec::new();
        for i in 0..size {
            tiles.extend(tree.append(Hash::leaf(format!("entry {i}").as_bytes())));
        }
        tiles.extend(tree.partial_tiles());
        let write = |path: String, data: &[u8]| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, data).unwrap();
        };
        for tile in tiles {
            if tile.id.level() == 0 {
                let id = BundleId::new(tile.id.index(), tile.id.width()).unwrap();
                let mut bundle = Vec::new();
                for i in 0..u64::from(id.width()) {
                    push_entry(&mut bundle, format!("entry {}", id.index() * 256 + i).as_bytes()).unwrap();
                }
                write(id.to_string(), &bundle);
            }
            write(tile.id.to_string(), &tile.data);
        }
        let reader = Reader::at(dir.path().to_owned());
        (dir, reader, tree)
    }

    #[test]
    fn entries_are_read_from_the_newest_back_across_bundles() {
        let (_dir, reader, _) = log_on_disk(600);
        let mut seen = Vec::new();
        reader
            .backwards(600, 300, |index, leaf| {
                assert_eq!(leaf, format!("entry {index}").as_bytes());
                seen.push(index);
                true
            })
            .unwrap();
        assert_eq!(seen, (300..600).rev().collect::<Vec<_>>());

        seen.clear();
        reader
            .backwards(600, 1_000_000, |index, _| {
                seen.push(index);
                index != 590
            })
            .unwrap();
        assert_eq!(seen.last(), Some(&590));
    }

    fn entry_of(request: &str, node: &str, index: u64) -> Vec<u8> {
        let entry = Entry {
            format: None,
            input: None,
            key: None,
            key_id: None,
            node: node.parse().unwrap(),
            op: countersign_model::entry::Op::TokenCreate,
            policy: countersign_model::digest::sha256_text(b"p"),
            principal: "admin".parse().unwrap(),
            request_id: request.parse().unwrap(),
            scheme: None,
            // What only looks like the member is not taken for it.
            subject: Some(format!("\"request_id\":\"wanted\" {index}")),
            surface: countersign_model::Surface::Native,
            time: "2026-01-02T03:04:05.000Z".into(),
            to_sign: None,
            v: 1,
        };
        entry.to_canonical()
    }

    /// The bundles of a log in which `wanted` made the entries `at`.
    fn kept(dir: &std::path::Path, origin: &str, size: u64, at: &[u64]) -> Kept {
        let dir = dir.join(origin);
        let mut start = 0;
        while start < size {
            let id = BundleId::holding(start, size).unwrap();
            let mut bundle = Vec::new();
            for index in start..start + u64::from(id.width()) {
                let request = if at.contains(&index) { "wanted" } else { "other" };
                push_entry(&mut bundle, &entry_of(request, origin, index)).unwrap();
            }
            let path = dir.join(id.to_string());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bundle).unwrap();
            start += u64::from(id.width());
        }
        Kept { origin: origin.parse().unwrap(), size, reader: Reader::at(dir) }
    }

    #[test]
    fn a_request_is_found_in_every_log_however_old_and_in_pieces_when_time_is_short() {
        let dir = tempfile::tempdir().unwrap();
        let logs = || {
            [
                kept(dir.path(), "node-b", 1300, &[0, 255, 256, 257, 1299]),
                kept(dir.path(), "node-a", 700, &[3, 699]),
            ]
        };
        let id: RequestId = "wanted".parse().unwrap();
        let place = |found: &FoundEntry| (found.origin.to_string(), found.index);
        let places = |found: &FoundEntries| found.entries.iter().map(place).collect::<Vec<_>>();

        let far = Instant::now() + Duration::from_secs(600);
        let found = search(&logs(), &id, far).unwrap();
        let b = |index| ("node-b".to_owned(), index);
        let a = |index| ("node-a".to_owned(), index);
        assert_eq!(places(&found), [b(0), b(255), b(256), b(257), b(1299), a(3), a(699)]);
        assert_eq!(found.next, None);

        // No time at all: one bundle a piece.
        let mut pieces = Vec::new();
        let mut after: Option<SearchPlace> = None;
        loop {
            let mut logs = logs().into_iter().collect::<Vec<_>>();
            if let Some(after) = &after {
                logs.retain(|log| after.origin.as_str() == "node-b" || log.origin == after.origin);
                logs[0].size = after.index;
            }
            let found = search(&logs, &id, Instant::now()).unwrap();
            pieces.push(places(&found));
            let Some(next) = found.next else { break };
            after = Some(String::from(next).parse().unwrap());
        }
        assert_eq!(pieces.len(), 10);
        assert_eq!(pieces[0], [b(1299)]);
        assert_eq!(pieces.concat().len(), 7);
        assert!("node-b".parse::<SearchPlace>().is_err() && "node-b/x".parse::<SearchPlace>().is_err());
    }

    #[test]
    fn many_entries_of_one_request_come_in_pieces_without_loss() {
        let dir = tempfile::tempdir().unwrap();
        let all: Vec<u64> = (0..1500).collect();
        let mut log = [kept(dir.path(), "node-b", 1500, &all)];
        let id: RequestId = "wanted".parse().unwrap();
        let far = Instant::now() + Duration::from_secs(600);
        let newest = search(&log, &id, far).unwrap();
        let next = newest.next.unwrap();
        assert_eq!((newest.entries.len(), newest.entries[0].index, next.index), (MOST_FOUND, 500, 500));
        log[0].size = next.index;
        let oldest = search(&log, &id, far).unwrap();
        assert_eq!((oldest.entries.len(), oldest.entries[499].index, oldest.next), (500, 499, None));
    }

    #[test]
    fn an_older_head_is_proved_from_wider_tiles() {
        let (_dir, reader, tree) = log_on_disk(600);
        for (index, size) in [(0, 1), (5, 200), (256, 400), (599, 600), (520, 560)] {
            let hashes = inclusion(index, size, &reader).unwrap();
            let root = countersign_tlog::proof::root(size, &reader).unwrap();
            let head = countersign_tlog::hash::Head { size, root };
            let leaf = Hash::leaf(format!("entry {index}").as_bytes());
            countersign_tlog::proof::verify_inclusion(leaf, index, &head, &hashes).unwrap();
        }
        assert_eq!(countersign_tlog::proof::root(600, &reader).unwrap(), tree.root());
    }

    #[test]
    fn a_bundle_that_is_not_there_is_not_found() {
        let (_dir, reader, _) = log_on_disk(10);
        let id = BundleId::new(3, 7).unwrap();
        assert!(matches!(reader.bundle(id), Err(Error::NotFound(_))));
    }
}
