//! `log`: reads a signing log or the publication log through its public files alone, and believes nothing that
//! it did not check.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_model::{RequestId, strict_json};
use countersign_tlog::checkpoint::Checkpoint;
use countersign_tlog::hash::{Hash, Head};
use countersign_tlog::log_proof::LogProof;
use countersign_tlog::note::{SignedNote, VerifierKey};
use countersign_tlog::proof::{self, TileReader};
use countersign_tlog::tile::{BundleId, TileId, parse_bundle_start, tile_hashes};
use countersign_tlog::tree::{Tree, partial_tile_ids};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::{Api, Request, escape};
use crate::args::{LogCommand, WhichLog};
use crate::context::Context;
use crate::failure::{Failure, Kind, Outcome};
use crate::files::{self, Mode};

/// Runs a command of `log`.
pub async fn run(context: &Context, command: LogCommand) -> Result<Outcome, Failure> {
    match command {
        LogCommand::Head(log) => head(context, &log).await,
        LogCommand::Prove { index, request_id, output, log } => {
            prove(context, index, request_id.as_ref(), output.as_deref(), &log).await
        }
        LogCommand::Verify { proof: Some(proof), entry, log } => {
            verify_proof(context, &proof, entry.as_deref(), &log).await
        }
        LogCommand::Verify { proof: None, log, .. } => verify_whole(context, &log).await,
        LogCommand::Monitor { state, interval, once, log } => {
            monitor(context, &state, Duration::from_secs(interval), once, &log).await
        }
    }
}

async fn head(context: &Context, which: &WhichLog) -> Result<Outcome, Failure> {
    let api = context.api().await?;
    let (origin, key) = choose(context, &api, which).await?;
    let (_, checkpoint) = LogReader::of(&api, &origin, which).checkpoint(&key).await?;
    let Head { size, root } = checkpoint.head;
    let document =
        json!({ "origin": origin, "size": size, "root": root.to_string(), "public_key": key.to_string() });
    // The form of the API's own list, with the one log that was checked.
    let document = json!({ "logs": [document] });
    context
        .out
        .value(&document, |_| format!("origin  {origin}\nsize    {size}\nroot    {root}\nkey     {key}"))?;
    Ok(Outcome::Done)
}

/// Which log is meant, and the key to check it with. A key that the server itself names is only as good as
/// the server: said on standard error.
async fn choose(context: &Context, api: &Api, which: &WhichLog) -> Result<(String, VerifierKey), Failure> {
    if let Some(given) = &which.key {
        let key = given_key(given)?;
        let origin = which.origin.as_ref().map_or_else(|| key.name().to_string(), ToString::to_string);
        return Ok((origin, key));
    }
    if which.publication {
        let answer = api.send(Request::get(&format!("{PUBLICATION}/key"))).await?.good()?;
        let key = parse_key(String::from_utf8_lossy(&answer.body).trim_end())?;
        context.out.say(KEY_OF_SERVER);
        return Ok((key.name().to_string(), key));
    }
    let (origin, key) = match &which.origin {
        None => {
            let log = api.service().await?.log;
            (log.origin, log.public_key)
        }
        Some(origin) => {
            let logs: Value = api.get("/log").await?.json()?;
            let log =
                logs["logs"].as_array().into_iter().flatten().find(|log| log["origin"] == origin.as_str());
            let key = log.and_then(|log| log["public_key"].as_str()).ok_or_else(|| {
                Failure::refused(format!("the server has no log `{origin}`"))
                    .hint("without `--origin`, the log of the node that answers is read")
            })?;
            (origin.to_string(), key.to_owned())
        }
    };
    context.out.say(KEY_OF_SERVER);
    Ok((origin, parse_key(&key)?))
}

const KEY_OF_SERVER: &str =
    "the log's key is taken from the server; give `--key VKEY` to rely on your own copy";

/// Where a server has its publication log.
const PUBLICATION: &str = "/tags/log";

/// A verifier key, or a file with it.
fn given_key(given: &str) -> Result<VerifierKey, Failure> {
    if Path::new(given).is_file() {
        let bytes = files::read_small(Path::new(given))?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| Failure::unknown(format!("`{given}` has no verifier key: it is not text")))?;
        return parse_key(text.trim());
    }
    parse_key(given)
}

/// Reads a verifier key.
pub fn parse_key(text: &str) -> Result<VerifierKey, Failure> {
    text.parse().map_err(|error: countersign_tlog::note::NoteError| {
        Failure::unknown(error.to_string())
            .hint("a verifier key has the form NAME+ID+KEY; `countersign log head` shows the log's")
    })
}

/// Reads the public files of a log.
pub struct LogReader<'a> {
    api: &'a Api,
    origin: &'a str,
    publication: bool,
}

impl<'a> LogReader<'a> {
    /// The signing log that the server keeps under `origin`.
    pub fn new(api: &'a Api, origin: &'a str) -> Self {
        Self { api, origin, publication: false }
    }

    /// The log that is meant.
    fn of(api: &'a Api, origin: &'a str, which: &WhichLog) -> Self {
        Self { publication: which.publication, ..Self::new(api, origin) }
    }

    fn leaf(&self, entry: &[u8]) -> Hash {
        leaf(entry, self.publication)
    }

    /// The newest checkpoint, checked against the log's key, and the note it came in.
    pub async fn checkpoint(&self, key: &VerifierKey) -> Result<(SignedNote, Checkpoint), Failure> {
        let bytes = self.fetch("checkpoint").await?.ok_or_else(|| {
            Failure::refused(format!("the server has no log `{}`", self.origin))
                .hint("`countersign log head` without `--origin` shows the one it has")
        })?;
        let note = SignedNote::parse(&bytes).map_err(|error| untrue(&error, error.hint()))?;
        let checkpoint =
            Checkpoint::open_as(&note, key, self.origin).map_err(|error| untrue(&error, error.hint()))?;
        Ok((note, checkpoint))
    }

    /// Some of the entries from `first` to the end of a log of `size`: those of one bundle.
    async fn entries(&self, first: u64, size: u64) -> Result<Vec<Vec<u8>>, Failure> {
        let missing = || Failure::refused(format!("the log does not serve entry {first} of {size}"));
        let bundle = BundleId::holding(first, size).ok_or_else(missing)?;
        let full = BundleId::new(bundle.index(), 256);
        let bytes = match self.fetch(&bundle.to_string()).await? {
            Some(bytes) => bytes,
            // A partial bundle may be gone once the full one is there.
            None => match full {
                Some(full) => self.fetch(&full.to_string()).await?.ok_or_else(missing)?,
                None => return Err(missing()),
            },
        };
        let entries =
            parse_bundle_start(&bytes, bundle.width()).map_err(|error| untrue(&error, error.hint()))?;
        // Below 256: the index of the first entry wanted inside its bundle.
        let skip = (first - bundle.index() * 256) as usize;
        Ok(entries.into_iter().skip(skip).map(<[u8]>::to_vec).collect())
    }

    /// A tile, or a wider one of the same place, of which a log of `size` is known to exist.
    async fn tile(&self, id: TileId, size: u64) -> Result<bytes::Bytes, Failure> {
        // As the log has it now, before the full one: the tile may have grown since it was named.
        let now = partial_tile_ids(size).find(|now| now.level() == id.level() && now.index() == id.index());
        for candidate in [Some(id), now, id.full()].into_iter().flatten() {
            if let Some(bytes) = self.fetch(&candidate.to_string()).await? {
                return Ok(bytes);
            }
        }
        Err(Failure::refused(format!("the log does not serve `{id}`, which its checkpoint needs")))
    }

    /// The tiles that are named, for proofs that are made from memory.
    async fn tiles(&self, ids: impl IntoIterator<Item = TileId>, size: u64) -> Result<Fetched, Failure> {
        let mut tiles = BTreeMap::new();
        for id in ids {
            tiles.insert(id, self.tile(id, size).await?.to_vec());
        }
        Ok(Fetched(tiles))
    }

    /// A file of the log; `None` if it is not there.
    async fn fetch(&self, path: &str) -> Result<Option<bytes::Bytes>, Failure> {
        let path = match self.publication {
            true => format!("{PUBLICATION}/{path}"),
            false => format!("/log/{}/{path}", escape(self.origin)),
        };
        let answer = self.api.send(Request::get(&path)).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        Ok(Some(answer.good()?.body))
    }

    /// Proves that entry `index` is in the log, with the newest checkpoint.
    pub async fn prove(&self, key: &VerifierKey, index: u64) -> Result<Proven, Failure> {
        let (note, checkpoint) = self.checkpoint(key).await?;
        let size = checkpoint.head.size;
        let needed = proof::inclusion_tiles(index, size)
            .map_err(|error| Failure::refused(error.to_string()).hint(error.hint()))?;
        let tiles = self.tiles(needed, size).await?;
        let hashes = proof::inclusion(index, size, &tiles).map_err(|error| untrue(&error, error.hint()))?;
        let entry = self.entries(index, size).await?.into_iter().next();
        let entry = entry.ok_or_else(|| Failure::refused(format!("the log does not serve entry {index}")))?;
        let proof = LogProof { extra: None, index, hashes, checkpoint: note };
        // What is handed out verifies: a log that lies is found out here.
        proof.verify_leaf(self.leaf(&entry), key).map_err(|error| untrue(&error, error.hint()))?;
        Ok(Proven { leaf: self.leaf(&entry), entry, proof })
    }
}

/// The hash of an entry. In the publication log one that was masked is served as its hash: whether that is
/// true, the root that is signed says.
fn leaf(entry: &[u8], publication: bool) -> Hash {
    let masked = entry.strip_prefix(b"masked:").filter(|_| publication);
    let hash = masked.and_then(|hex| std::str::from_utf8(hex).ok()?.parse().ok());
    hash.unwrap_or_else(|| Hash::leaf(entry))
}

/// An entry and the proof that it is in the log.
pub struct Proven {
    /// The entry: one line of canonical JSON, or `masked:` and its hash.
    pub entry: Vec<u8>,
    /// Its hash.
    pub leaf: Hash,
    /// The proof.
    pub proof: LogProof,
}

/// Tiles in memory.
struct Fetched(BTreeMap<TileId, Vec<u8>>);

impl TileReader for Fetched {
    type Error = &'static str;

    fn read(&self, tile: TileId) -> Result<Vec<u8>, Self::Error> {
        self.0.get(&tile).cloned().ok_or("it was not fetched")
    }
}

/// The log said something that is not true.
fn untrue(error: &impl ToString, hint: &str) -> Failure {
    Failure::refused(error.to_string()).hint(hint)
}

async fn prove(
    context: &Context,
    index: Option<u64>,
    request_id: Option<&RequestId>,
    output: Option<&Path>,
    which: &WhichLog,
) -> Result<Outcome, Failure> {
    let api = context.api().await?;
    let (origin, key) = choose(context, &api, which).await?;
    let index = match (index, request_id) {
        (Some(index), _) => index,
        (None, Some(id)) => find(context, &api, &origin, id).await?,
        (None, None) => return Err(Failure::unknown("give the number of an entry, or `--request-id ID`")),
    };
    let proven = LogReader::of(&api, &origin, which).prove(&key, index).await?;
    let text = proven.proof.to_string();
    match output {
        Some(path) => {
            let beside = entry_beside(path);
            files::write(&beside, &proven.entry, Mode::Public)?;
            files::write(path, text.as_bytes(), Mode::Public)?;
            let (path, beside) = (path.display(), beside.display());
            context.out.say(&format!(
                "wrote `{path}` and `{beside}`; check: countersign log verify {path} --key {key}"
            ));
        }
        None if !context.out.is_json() => {
            context.out.bytes(text.as_bytes())?;
            context.out.say(&format!("entry: {}", String::from_utf8_lossy(&proven.entry)));
        }
        None => {}
    }
    if context.out.is_json() {
        context.out.value(&proof_document(&proven, &text)?, |_| String::new())?;
    }
    Ok(Outcome::Done)
}

/// As `GET /countersign/v1/log/ORIGIN/INDEX` gives it.
fn proof_document(proven: &Proven, text: &str) -> Result<Value, Failure> {
    let entry = match strict_json::parse(&proven.entry) {
        Ok(entry) => entry,
        Err(_) if proven.entry.starts_with(b"masked:") => String::from_utf8_lossy(&proven.entry).into(),
        Err(error) => return Err(Failure::refused(format!("the entry is not JSON: {error}"))),
    };
    Ok(json!({ "index": proven.proof.index, "entry": entry, "leaf": proven.leaf.to_string(), "proof": text }))
}

fn entry_beside(proof: &Path) -> PathBuf {
    files::with_suffix(proof, ".entry")
}

/// The entry that a request caused.
async fn find(context: &Context, api: &Api, origin: &str, id: &RequestId) -> Result<u64, Failure> {
    #[derive(Deserialize)]
    struct Found {
        entries: Vec<Place>,
        next: Option<String>,
    }
    #[derive(Deserialize)]
    struct Place {
        origin: String,
        index: u64,
    }

    let all = format!("/log?request_id={}", escape(id.as_str()));
    let mut path = all.clone();
    loop {
        let found: Found = api.get(&path).await?.json()?;
        let mut here = found.entries.iter().filter(|place| place.origin == origin).map(|place| place.index);
        if let Some(first) = here.next() {
            let more: Vec<String> = here.map(|index| index.to_string()).collect();
            if !more.is_empty() {
                context.out.say(&format!("the request made more than one entry; also: {}", more.join(", ")));
            }
            return Ok(first);
        }
        // A long log is searched in pieces, from its newest entry back.
        let next = found.next.ok_or_else(|| {
            Failure::refused(format!("no entry of request `{id}` in log `{origin}`"))
                .hint("nothing was signed for it")
        })?;
        path = format!("{all}&after={}", escape(&next));
    }
}

async fn verify_proof(
    context: &Context,
    path: &Path,
    entry: Option<&Path>,
    which: &WhichLog,
) -> Result<Outcome, Failure> {
    let key = which.key.as_deref().ok_or_else(|| {
        Failure::unknown("a proof is checked against the log's key, and none is given").hint(
            "`--key VKEY`: keep the one that `countersign log head` shows, from a time when you trust it",
        )
    })?;
    let key = given_key(key)?;
    let entry = entry.map_or_else(|| entry_beside(path), Path::to_owned);
    let (text, entry) = (files::read_small(path)?, files::read_small(&entry)?);
    let checked = LogProof::parse(&text).and_then(|proof| {
        // An editor's line end is not part of the entry.
        let entry = entry.strip_suffix(b"\n").unwrap_or(&entry);
        proof.verify_leaf(leaf(entry, which.publication), &key).map(|checkpoint| (proof.index, checkpoint))
    });
    match checked {
        Ok((index, checkpoint)) => {
            let Checkpoint { origin, head, .. } = checkpoint;
            let document = json!({ "valid": true, "origin": origin, "index": index, "size": head.size });
            context.out.value(&document, |_| {
                format!("valid: entry {index} is in log {origin} of {} entries", head.size)
            })?;
            Ok(Outcome::Done)
        }
        Err(error) => {
            let document = json!({ "valid": false, "reason": error.to_string() });
            context.out.value(&document, |_| format!("invalid: {error}"))?;
            context.out.say(&format!("hint: {}", error.hint()));
            Ok(Outcome::No)
        }
    }
}

/// Fetches all entries and all tiles, and recomputes the root.
async fn verify_whole(context: &Context, which: &WhichLog) -> Result<Outcome, Failure> {
    let api = context.api().await?;
    let (origin, key) = choose(context, &api, which).await?;
    let reader = LogReader::of(&api, &origin, which);
    let (_, checkpoint) = reader.checkpoint(&key).await?;
    let want = checkpoint.head;
    let mut tree = Tree::new();
    while tree.size() < want.size {
        for entry in reader.entries(tree.size(), want.size).await? {
            for tile in tree.append(reader.leaf(&entry)) {
                same_tile(&reader, tile.id, &tile.data, want.size).await?;
            }
        }
    }
    for tile in tree.partial_tiles() {
        same_tile(&reader, tile.id, &tile.data, want.size).await?;
    }
    if tree.root() != want.root {
        return Err(Failure::refused(format!(
            "the entries of log `{origin}` do not lead to the root of its checkpoint of {} entries",
            want.size
        ))
        .hint(
            "the log was changed after it was signed: keep what it serves as evidence, and trust a backup",
        ));
    }
    let document =
        json!({ "valid": true, "origin": origin, "size": want.size, "root": want.root.to_string() });
    context.out.value(&document, |_| {
        format!("valid: {} entries of log {origin} lead to the signed root {}", want.size, want.root)
    })?;
    Ok(Outcome::Done)
}

/// A tile must be what its entries make it: proofs are made from tiles.
async fn same_tile(reader: &LogReader<'_>, id: TileId, data: &[u8], size: u64) -> Result<(), Failure> {
    let served = reader.tile(id, size).await?;
    let hashes = tile_hashes(id, &served)
        .map_err(|error| untrue(&error, "fetch it again; if it stays so, the log has lost data"))?;
    let bytes: Vec<u8> = hashes.iter().flat_map(|hash| *hash.as_bytes()).collect();
    if bytes == data {
        return Ok(());
    }
    Err(Failure::refused(format!("`{id}` does not have the hashes of the log's entries"))
        .hint("proofs made from this log would fail: restore its tiles from a backup"))
}

/// What a monitor remembers: its only ground for saying that a log was rewritten.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    key: String,
    checkpoint: String,
}

async fn monitor(
    context: &Context,
    state: &Path,
    interval: Duration,
    once: bool,
    which: &WhichLog,
) -> Result<Outcome, Failure> {
    let api = context.api().await?;
    let (origin, key, mut seen) = begin(context, &api, state, which).await?;
    loop {
        match look(context, &LogReader::of(&api, &origin, which), &key, seen, state).await {
            Ok(now) => seen = now,
            // What the log says is wrong: the end. That nobody answered may pass.
            Err(failure) if once || failure.kind == Kind::Refused => return Err(failure),
            Err(failure) => context.out.say(&format!("will look again: {}", failure.message)),
        }
        if once {
            return Ok(Outcome::Done);
        }
        tokio::time::sleep(interval).await;
    }
}

/// Where the monitor goes on: the state's own log and key, or a new state from the beginning of the log.
async fn begin(
    context: &Context,
    api: &Api,
    file: &Path,
    which: &WhichLog,
) -> Result<(String, VerifierKey, Head), Failure> {
    if !file.exists() {
        let (origin, key) = choose(context, api, which).await?;
        return Ok((origin, key, Head::empty()));
    }
    let bad = |why: String| {
        Failure::unknown(format!("`{}` is not the state of a monitor: {why}", file.display()))
            .hint("name another file to start anew, and keep this one if you suspect the log")
    };
    let state: State =
        serde_json::from_slice(&files::read_small(file)?).map_err(|error| bad(error.to_string()))?;
    let key = parse_key(&state.key)?;
    if which.key.as_deref().map(given_key).transpose()?.is_some_and(|given| given != key) {
        return Err(bad("it was made with another key".to_owned()));
    }
    let note = SignedNote::parse(state.checkpoint.as_bytes()).map_err(|error| bad(error.to_string()))?;
    let origin = note.text().lines().next().unwrap_or_default().to_owned();
    let checkpoint = Checkpoint::open_as(&note, &key, &origin).map_err(|error| bad(error.to_string()))?;
    if which.origin.as_ref().is_some_and(|wanted| wanted.as_str() != origin) {
        return Err(bad(format!("it is about log `{origin}`")));
    }
    Ok((origin, key, checkpoint.head))
}

/// One look: the newest checkpoint must continue `seen`, and its new entries must lead to it.
async fn look(
    context: &Context,
    reader: &LogReader<'_>,
    key: &VerifierKey,
    seen: Head,
    state: &Path,
) -> Result<Head, Failure> {
    let (note, checkpoint) = reader.checkpoint(key).await?;
    let now = checkpoint.head;
    let evidence = format!("keep `{}` and the log's checkpoint: together they prove it", state.display());
    let mut tree = continue_from(reader, seen, now).await.map_err(|failure| match failure.kind {
        Kind::Refused => failure.hint(evidence.clone()),
        Kind::Unknown => failure,
    })?;
    let mut leaves = Vec::new();
    while tree.size() < now.size {
        for entry in reader.entries(tree.size(), now.size).await? {
            let leaf = reader.leaf(&entry);
            leaves.push(leaf);
            // Full tiles are the log's business; only the root counts here.
            let _ = tree.append(leaf);
        }
    }
    if tree.head() != now {
        return Err(Failure::refused(format!(
            "the new entries of log `{}` do not lead to its checkpoint of {} entries",
            checkpoint.origin, now.size
        ))
        .hint(evidence));
    }
    print_entries(context, reader, seen.size, &leaves).await?;
    let remembered = State { key: key.to_string(), checkpoint: note.to_string() };
    let remembered = serde_json::to_vec(&remembered)
        .map_err(|error| Failure::unknown(format!("cannot write the state: {error}")))?;
    if now != seen || !state.exists() {
        files::write(state, &remembered, Mode::Public)?;
    }
    Ok(now)
}

/// Prints the entries from `first` on, whose hashes are known to be in the signed tree.
///
/// They are fetched again: nothing unchecked is shown, and a long log is not kept in memory.
async fn print_entries(
    context: &Context,
    reader: &LogReader<'_>,
    first: u64,
    leaves: &[Hash],
) -> Result<(), Failure> {
    let size = first + leaves.len() as u64;
    let mut index = first;
    let mut leaves = leaves.iter();
    while index < size {
        for entry in reader.entries(index, size).await? {
            if leaves.next() != Some(&reader.leaf(&entry)) {
                return Err(Failure::refused(format!("the log serves two different entries {index}")));
            }
            context.out.line(&entry_line(index, &entry))?;
            index += 1;
        }
    }
    Ok(())
}

/// The tree that was seen, ready to grow into `now`: from its tiles, which must have the root that was seen.
pub async fn continue_from(reader: &LogReader<'_>, seen: Head, now: Head) -> Result<Tree, Failure> {
    if now.size < seen.size {
        return Err(Failure::refused(format!(
            "the log went back from {} entries to {}",
            seen.size, now.size
        )));
    }
    if now.size == seen.size && now.root != seen.root {
        return Err(Failure::refused(format!("two different logs of {} entries are signed", now.size)));
    }
    let tiles = reader.tiles(partial_tile_ids(seen.size), now.size).await?;
    let tree = Tree::load(seen.size, &tiles).map_err(|error| untrue(&error, error.hint()))?;
    if tree.root() != seen.root {
        return Err(Failure::refused(format!("the first {} entries of the log were changed", seen.size)));
    }
    Ok(tree)
}

/// An entry as one line of JSON, whatever the log serves as an entry.
fn entry_line(index: u64, entry: &[u8]) -> String {
    let entry = strict_json::parse(entry).unwrap_or_else(|_| String::from_utf8_lossy(entry).into());
    json!({ "index": index, "entry": entry }).to_string()
}

#[cfg(test)]
#[path = "log/tests.rs"]
mod tests;
