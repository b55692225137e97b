//! A log in memory, served by a stub, read by the commands.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Path as UrlPath;
use axum::http::StatusCode as Status;
use axum::routing::get;
use countersign_model::{PublicKey, RawSignature};
use countersign_tlog::tile::{Resource, push_entry};

use super::*;
use crate::transport::Transport;

/// The private half, which signs by openssl: the test key of RFC 8032, 7.1, test 1.
const PRIVATE: &str =
    "302e020100300506032b6570042204209d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
const PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
const ORIGIN: &str = "node-1";

#[derive(Clone, Default)]
struct TestLog(Arc<Mutex<Vec<Vec<u8>>>>);

impl TestLog {
    fn with(count: usize) -> Self {
        let log = Self::default();
        log.grow(count);
        log
    }

    fn grow(&self, count: usize) {
        let mut entries = self.0.lock().unwrap();
        for _ in 0..count {
            let line = format!("{{\"n\":{}}}", entries.len());
            entries.push(line.into_bytes());
        }
    }

    fn change(&self, index: usize, entry: &str) {
        self.0.lock().unwrap()[index] = entry.as_bytes().to_vec();
    }

    fn forget_last(&self, count: usize) {
        let mut entries = self.0.lock().unwrap();
        let keep = entries.len() - count;
        entries.truncate(keep);
    }

    /// The file at `path`, made from the entries as they are now. Only the newest partial tiles are there.
    fn file(&self, path: &str) -> Option<Vec<u8>> {
        let entries = self.0.lock().unwrap();
        let mut tree = Tree::new();
        let mut tiles = BTreeMap::new();
        for entry in entries.iter() {
            for tile in tree.append(Hash::leaf(entry)) {
                tiles.insert(tile.id, tile.data);
            }
        }
        tiles.extend(tree.partial_tiles().into_iter().map(|tile| (tile.id, tile.data)));
        match path.parse().ok()? {
            Resource::Checkpoint => Some(sign(&Checkpoint::new(ORIGIN, tree.head())).into_bytes()),
            Resource::Tile(id) => tiles.remove(&id),
            Resource::Entries(id) => {
                tiles.get(&id.tile())?;
                let mut bundle = Vec::new();
                let first = id.index() as usize * 256;
                for entry in &entries[first..first + usize::from(id.width())] {
                    push_entry(&mut bundle, entry).unwrap();
                }
                Some(bundle)
            }
        }
    }

    fn api(&self) -> Api {
        let log = self.clone();
        let file = move |UrlPath(path): UrlPath<String>| async move {
            log.file(&path).map_or((Status::NOT_FOUND, Vec::new()), |bytes| (Status::OK, bytes))
        };
        Api::new(Transport::in_process(Router::new().route("/log/node-1/{*path}", get(file))))
    }
}

fn key() -> VerifierKey {
    let bytes: [u8; 32] = hex::decode(PUBLIC).unwrap().try_into().unwrap();
    VerifierKey::new(ORIGIN.parse().unwrap(), PublicKey::from_ed25519(&bytes).unwrap()).unwrap()
}

fn sign(checkpoint: &Checkpoint) -> String {
    let (to_sign, pending) = checkpoint.prepare(&key()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("key"), hex::decode(PRIVATE).unwrap()).unwrap();
    std::fs::write(directory.path().join("text"), to_sign.as_bytes()).unwrap();
    let line = "pkeyutl -sign -keyform DER -inkey key -rawin -in text";
    let output =
        std::process::Command::new("openssl").args(line.split(' ')).current_dir(&directory).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    pending.finish(RawSignature(output.stdout)).unwrap().to_string()
}

struct Watcher {
    directory: tempfile::TempDir,
    context: Context,
}

impl Watcher {
    fn new() -> Self {
        use clap::{CommandFactory as _, FromArgMatches as _};
        let matches = crate::args::Cli::command().get_matches_from(["countersign", "doctor"]);
        let cli = crate::args::Cli::from_arg_matches(&matches).unwrap();
        let context = Context::new(&cli.global, &matches, crate::output::Output::Text).unwrap();
        Self { directory: tempfile::tempdir().unwrap(), context }
    }

    fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// One look at the log; returns how many entries it now has.
    async fn look(&self, log: &TestLog) -> Result<u64, Failure> {
        let api = log.api();
        let which = WhichLog { origin: None, publication: false, key: Some(key().to_string()) };
        let (origin, key, seen) = begin(&self.context, &api, &self.state(), &which).await?;
        let head = look(&self.context, &LogReader::new(&api, &origin), &key, seen, &self.state()).await?;
        Ok(head.size)
    }
}

#[tokio::test]
async fn a_proof_from_the_public_files_verifies_offline() {
    let log = TestLog::with(700);
    let api = log.api();
    for index in [0, 255, 256, 511, 512, 699] {
        let proven = LogReader::new(&api, ORIGIN).prove(&key(), index).await.unwrap();
        assert_eq!(proven.entry, format!("{{\"n\":{index}}}").into_bytes());
        let text = proven.proof.to_string();
        assert!(LogProof::parse(text.as_bytes()).unwrap().verify(&proven.entry, &key()).is_ok());
    }
}

#[tokio::test]
async fn an_entry_beyond_the_end_is_refused() {
    let api = TestLog::with(3).api();
    let failure = LogReader::new(&api, ORIGIN).prove(&key(), 3).await.err().unwrap();
    assert_eq!(failure.code(), 1);
}

#[tokio::test]
async fn a_checkpoint_by_another_key_is_refused() {
    let other = PublicKey::from_ed25519(&[
        0x3d, 0x40, 0x17, 0xc3, 0xe8, 0x43, 0x89, 0x5a, 0x92, 0xb7, 0x0a, 0xa7, 0x4d, 0x1b, 0x7e, 0xbc, 0x9c,
        0x98, 0x2c, 0xcf, 0x2e, 0xc4, 0x96, 0x8c, 0xc0, 0xcd, 0x55, 0xf1, 0x2a, 0xf4, 0x66, 0x0c,
    ]);
    let other = VerifierKey::new(ORIGIN.parse().unwrap(), other.unwrap()).unwrap();
    let api = TestLog::with(3).api();
    let failure = LogReader::new(&api, ORIGIN).checkpoint(&other).await.unwrap_err();
    assert_eq!(failure.code(), 1);
}

#[tokio::test]
async fn a_monitor_follows_a_log_that_grows_past_full_tiles() {
    let (log, watcher) = (TestLog::with(0), Watcher::new());
    for count in [0, 3, 250, 3, 0, 300] {
        log.grow(count);
        let size = log.0.lock().unwrap().len() as u64;
        assert_eq!(watcher.look(&log).await.unwrap(), size);
    }
}

#[tokio::test]
async fn a_monitor_refuses_a_log_that_was_rolled_back() {
    let (log, watcher) = (TestLog::with(10), Watcher::new());
    watcher.look(&log).await.unwrap();
    log.forget_last(1);
    let failure = watcher.look(&log).await.unwrap_err();
    assert_eq!(failure.message, "the log went back from 10 entries to 9");
    assert_eq!(failure.code(), 1);
}

#[tokio::test]
async fn a_monitor_refuses_a_log_that_was_rewritten_and_keeps_its_evidence() {
    let (log, watcher) = (TestLog::with(10), Watcher::new());
    watcher.look(&log).await.unwrap();
    let evidence = std::fs::read(watcher.state()).unwrap();
    log.change(4, "{}");
    assert_eq!(watcher.look(&log).await.unwrap_err().message, "two different logs of 10 entries are signed");
    log.grow(5);
    assert_eq!(watcher.look(&log).await.unwrap_err().message, "the first 10 entries of the log were changed");
    assert_eq!(std::fs::read(watcher.state()).unwrap(), evidence);
}

#[tokio::test]
async fn a_masked_entry_of_the_publication_log_counts_by_its_hash_and_of_no_other_log() {
    let entry = b"{\"n\":1}";
    let masked = format!("masked:{}", Hash::leaf(entry)).into_bytes();
    assert_eq!(leaf(&masked, true), Hash::leaf(entry));
    assert_eq!(leaf(&masked, false), Hash::leaf(&masked));
    for other in [b"masked:".as_slice(), b"masked:00", entry] {
        assert_eq!(leaf(other, true), Hash::leaf(other));
    }
}
