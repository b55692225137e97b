//! A server that keeps its word, and servers that do not.

use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use clap::{CommandFactory as _, FromArgMatches as _};
use countersign_keyhost::soft::SoftKey;
use countersign_model::key::PrivateKey as _;
use countersign_model::{KeyType, Scheme};
use countersign_tlog::proof;
use countersign_tlog::tile::TileId;
use serde_json::{Value, json};

use super::*;
use crate::transport::Transport;

/// A log of fewer than 256 entries, and what a server may do to it.
#[derive(Clone)]
struct Log(Arc<Mutex<Inner>>);

struct Inner {
    key: SoftKey,
    leaves: Vec<Vec<u8>>,
    /// Entries are served as if this one were not there.
    left_out: Option<usize>,
}

impl Log {
    fn new(leaves: &[&str]) -> Self {
        let key = SoftKey::generate(KeyType::Ed25519).unwrap();
        let leaves = leaves.iter().map(|leaf| leaf.as_bytes().to_vec()).collect();
        Self(Arc::new(Mutex::new(Inner { key, leaves, left_out: None })))
    }

    fn change(&self, change: impl FnOnce(&mut Inner)) {
        change(&mut self.0.lock().unwrap());
    }

    fn verifier(&self) -> VerifierKey {
        let key = self.0.lock().unwrap().key.public().clone();
        VerifierKey::new("publication-1".parse().unwrap(), key).unwrap()
    }

    fn tree(&self, size: usize) -> Tree {
        let mut tree = Tree::new();
        for entry in &self.0.lock().unwrap().leaves[..size] {
            let _ = tree.append(leaf(entry));
        }
        tree
    }

    fn size(&self) -> usize {
        self.0.lock().unwrap().leaves.len()
    }

    fn checkpoint(&self) -> String {
        let verifier = self.verifier();
        let head = self.tree(self.size()).head();
        let (to_sign, pending) = Checkpoint::new("publication-1", head).prepare(&verifier).unwrap();
        let signature = self.0.lock().unwrap().key.sign(Scheme::Ed25519, &to_sign).unwrap();
        pending.finish(signature).unwrap().to_string()
    }

    fn api(&self) -> Api {
        let router = Router::new()
            .route("/tags/log/checkpoint", get(|State(log): State<Log>| async move { log.checkpoint() }))
            .route("/tags/log/key", get(|State(log): State<Log>| async move { log.verifier().to_string() }))
            .route("/tags/log/consistency", get(consistency))
            .route("/tags/log/entries", get(entries))
            .with_state(self.clone());
        Api::new(Transport::in_process(router))
    }
}

#[derive(Deserialize)]
struct Sizes {
    first: u64,
    second: u64,
}

async fn consistency(State(log): State<Log>, Query(sizes): Query<Sizes>) -> Json<Value> {
    let tiles = log.tree(sizes.second as usize).partial_tiles();
    let read = |id: TileId| {
        let tile = tiles.iter().find(|tile| tile.id.level() == id.level() && tile.id.index() == id.index());
        tile.map(|tile| tile.data.clone()).ok_or("no such tile")
    };
    let hashes = proof::consistency(sizes.first, sizes.second, &read).unwrap();
    Json(json!({ "hashes": hashes.iter().map(Hash::to_base64).collect::<Vec<_>>() }))
}

#[derive(Deserialize)]
struct Range {
    start: usize,
    end: usize,
}

/// Two at a time.
async fn entries(State(log): State<Log>, Query(range): Query<Range>) -> Json<Value> {
    let inner = log.0.lock().unwrap();
    let mut served = inner.leaves.clone();
    if let Some(left_out) = inner.left_out {
        served.remove(left_out);
    }
    let end = served.len().min(range.end + 1).min(range.start + 2);
    let page = served.get(range.start..end).unwrap_or_default();
    Json(
        json!({ "start": range.start, "entries": page.iter().map(|e| STANDARD.encode(e)).collect::<Vec<_>>() }),
    )
}

fn publication<'a>(api: &'a Api, options: &args::SeenLog) -> Result<Publication<'a>, Failure> {
    let words = ["countersign", "--data", "data", "tag", "list"];
    let matches = args::Cli::command().get_matches_from(words);
    let cli = args::Cli::from_arg_matches(&matches).unwrap();
    Publication::new(&Context::new(&cli.global, &matches, Output::Text).unwrap(), api, options)
}

fn options(directory: &Path) -> args::SeenLog {
    args::SeenLog { state: Some(directory.join("seen.json")), log_key: None }
}

async fn look(log: &Log, options: &args::SeenLog) -> Result<u64, Failure> {
    let api = log.api();
    let looked = publication(&api, options)?.look().await?;
    Ok(looked.unwrap().head.size)
}

#[tokio::test]
async fn a_log_that_grows_is_followed() {
    let directory = tempfile::tempdir().unwrap();
    let options = options(directory.path());
    let log = Log::new(&["a", "b", "c"]);
    assert_eq!(look(&log, &options).await.unwrap(), 3);
    assert_eq!(look(&log, &options).await.unwrap(), 3);
    log.change(|log| log.leaves.extend([b"d".to_vec(), b"e".to_vec()]));
    assert_eq!(look(&log, &options).await.unwrap(), 5);
}

#[tokio::test]
async fn a_log_that_went_back_is_refused_and_the_evidence_kept() {
    let directory = tempfile::tempdir().unwrap();
    let options = options(directory.path());
    let log = Log::new(&["a", "b", "c"]);
    look(&log, &options).await.unwrap();
    log.change(|log| drop(log.leaves.pop()));
    let failure = look(&log, &options).await.unwrap_err();
    assert_eq!(failure.code(), 1);
    assert_eq!(failure.message, "the server's publication log went back from 3 entries to 2");
    let evidence = std::fs::read_to_string(directory.path().join("seen.json.evidence")).unwrap();
    assert_eq!(evidence, log.checkpoint());
    // What was seen first stays what counts.
    assert_eq!(look(&log, &options).await.unwrap_err().code(), 1);
}

#[tokio::test]
async fn another_history_is_refused_whether_it_is_longer_or_not() {
    for another in [&["a", "x", "c"][..], &["a", "x", "c", "d"], &["x", "b", "c", "d", "e"]] {
        let directory = tempfile::tempdir().unwrap();
        let options = options(directory.path());
        let log = Log::new(&["a", "b", "c"]);
        look(&log, &options).await.unwrap();
        log.change(|log| log.leaves = another.iter().map(|leaf| leaf.as_bytes().to_vec()).collect());
        let failure = look(&log, &options).await.unwrap_err();
        assert_eq!(failure.code(), 1, "{another:?}");
        assert!(failure.message.contains("different history"), "{}", failure.message);
    }
}

#[tokio::test]
async fn a_log_of_another_key_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = options(directory.path());
    let log = Log::new(&["a"]);
    look(&log, &options).await.unwrap();
    let other = Log::new(&["a"]);
    assert_eq!(look(&other, &options).await.unwrap_err().code(), 1);
    // Saying so does not help: the operator decides what to forget.
    options.log_key = Some(other.verifier().to_string());
    assert_eq!(look(&other, &options).await.unwrap_err().code(), 1);
}

#[tokio::test]
async fn a_log_that_vanished_is_refused_and_one_that_never_was_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let options = options(directory.path());
    let nothing = Api::new(Transport::in_process(Router::new()));
    let empty = publication(&nothing, &options).unwrap().look().await;
    assert!(empty.unwrap().is_none());
    look(&Log::new(&["a"]), &options).await.unwrap();
    let failure = publication(&nothing, &options).unwrap().look().await.unwrap_err();
    assert_eq!(failure.code(), 1);
}

#[tokio::test]
async fn on_a_data_directory_of_ones_own_only_a_state_that_is_named_counts() {
    let log = Log::new(&["a", "b"]);
    let nothing_named = args::SeenLog { state: None, log_key: None };
    assert_eq!(look(&log, &nothing_named).await.unwrap(), 2);
    log.change(|log| drop(log.leaves.pop()));
    assert_eq!(look(&log, &nothing_named).await.unwrap(), 1);
}

#[tokio::test]
async fn entries_are_shown_only_if_they_are_what_was_signed() {
    let directory = tempfile::tempdir().unwrap();
    let options = options(directory.path());
    let masked = format!("masked:{}", Hash::leaf(b"was here"));
    let log = Log::new(&["a", &masked, "c", "d", "e"]);
    let api = log.api();
    let publication = publication(&api, &options).unwrap();
    let covered = publication.look().await.unwrap().unwrap();
    let mut seen = Vec::new();
    publication.read(&covered, |entry| seen.push(entry.to_vec())).await.unwrap();
    assert_eq!(seen, [b"a".to_vec(), masked.into_bytes(), b"c".to_vec(), b"d".to_vec(), b"e".to_vec()]);
    log.change(|log| log.left_out = Some(0));
    assert_eq!(publication.read(&covered, |_| {}).await.unwrap_err().code(), 1);
}
