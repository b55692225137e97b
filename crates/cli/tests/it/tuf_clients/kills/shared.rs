//! What readers, writers and whoever kills the server know of each other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};
use std::time::{Duration, Instant};

use countersign_testkit::server::TestServer;
use countersign_tuf::metadata::Document;
use serde_json::Value;
use tokio::sync::Notify;

/// How long a task may take to end, kills included.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Default)]
pub struct Ledger {
    /// Path and length of what was acknowledged as published and that nobody asked to remove.
    pub published: BTreeMap<String, u64>,
    /// What was acknowledged as removed.
    pub removed: BTreeSet<String>,
    /// The newest root that was acknowledged.
    pub root: u64,
    /// What should not be.
    pub surprises: Vec<String>,
}

#[derive(Default)]
struct Counts {
    refreshes: AtomicU64,
    no_answers: AtomicU64,
    overtaken: AtomicU64,
    tasks: AtomicU64,
    refused: AtomicU64,
}

pub struct Shared {
    http: reqwest::Client,
    url: RwLock<String>,
    token: String,
    pub first_root: Document,
    /// Rung when something was accepted.
    pub submitted: Notify,
    /// Rung when something was done.
    pub ended: Notify,
    stopping: AtomicBool,
    most_roots: AtomicU64,
    seed: AtomicU64,
    counts: Counts,
    ledger: Mutex<Ledger>,
}

impl Shared {
    pub fn new(server: &TestServer, first_root: Document) -> Arc<Self> {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
        Arc::new(Self {
            http: reqwest::Client::builder().timeout(Duration::from_secs(20)).build().unwrap(),
            url: RwLock::new(server.url.clone()),
            token: server.token.clone(),
            first_root,
            submitted: Notify::new(),
            ended: Notify::new(),
            stopping: AtomicBool::new(false),
            most_roots: AtomicU64::new(1),
            seed: AtomicU64::new(now | 1),
            counts: Counts::default(),
            ledger: Mutex::new(Ledger { root: 1, ..Ledger::default() }),
        })
    }

    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    pub fn surprise(&self, what: String) {
        self.ledger().surprises.push(what);
    }

    pub fn surprises(&self) -> Vec<String> {
        self.ledger().surprises.clone()
    }

    pub fn url(&self) -> String {
        self.url.read().unwrap().clone()
    }

    /// The server was started again, at another address.
    pub fn moved_to(&self, url: &str) {
        *self.url.write().unwrap() = url.to_owned();
    }

    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Roots up to this version may be made now.
    pub fn allow_roots(&self, version: u64) {
        self.most_roots.store(version, Ordering::Relaxed);
    }

    pub fn may_make_root(&self, version: u64) -> bool {
        version <= self.most_roots.load(Ordering::Relaxed)
    }

    /// From `low` to below `high`. It differs from run to run: what matters is when things happen.
    pub fn random(&self, low: u64, high: u64) -> u64 {
        let mut x = self.seed.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        low + (x ^ (x >> 31)) % (high - low)
    }

    pub fn refreshed(&self) {
        self.counts.refreshes.fetch_add(1, Ordering::Relaxed);
    }

    pub async fn no_answer(&self) {
        self.counts.no_answers.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    /// A new root came between two requests of one refresh.
    pub fn overtaken(&self) {
        self.counts.overtaken.fetch_add(1, Ordering::Relaxed);
    }

    pub fn figures(&self) -> String {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (counts, ledger) = (&self.counts, self.ledger());
        format!(
            "{} tasks ended, {} of them refused for want of a key host; {} artifacts published, {} removed, {} \
             roots; {} refreshes, {} overtaken by a root, {} requests without an answer",
            count(&counts.tasks),
            count(&counts.refused),
            ledger.published.len(),
            ledger.removed.len(),
            ledger.root,
            count(&counts.refreshes),
            count(&counts.overtaken),
            count(&counts.no_answers),
        )
    }

    /// Whether everything was done at least a few times.
    pub fn was_used(&self) -> bool {
        let ledger = self.ledger();
        ledger.published.len() > 5 && ledger.root > 2 && self.counts.refreshes.load(Ordering::Relaxed) > 10
    }

    /// Sends once: status and body. `None` if there was no answer, or one that says to try again.
    pub async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Option<(u16, Vec<u8>)> {
        let method = method.parse().unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.url())).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = async {
            let answer = request.send().await.ok()?;
            let status = answer.status().as_u16();
            Some((status, answer.bytes().await.ok()?.to_vec())).filter(|_| status != 503)
        };
        let answer = answer.await;
        if answer.is_none() {
            self.no_answer().await;
        }
        answer
    }

    /// Asks for something to be done. The id of its task, or `None` if nobody knows whether it was accepted.
    pub async fn submit(&self, path: &str, body: &Value) -> Option<String> {
        let (status, bytes) = self.send("POST", &format!("/api/v1/{path}"), Some(body)).await?;
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if status != 202 {
            self.surprise(format!("{path}: {status} {answer}"));
            return None;
        }
        self.submitted.notify_one();
        answer["data"]["task_id"].as_str().map(str::to_owned)
    }

    /// Waits for the end of what was accepted: it comes, whatever happens to the server. Whether it succeeded; it may
    /// be refused for want of a key host.
    pub async fn succeeds(&self, path: &str, task: &str) -> bool {
        self.succeeds_unless(path, task, "key host").await
    }

    /// As [`Self::succeeds`], or is refused for a reason with these words.
    pub async fn succeeds_unless(&self, path: &str, task: &str, refused: &str) -> bool {
        let begun = Instant::now();
        loop {
            let got = self.send("GET", &format!("/api/v1/task/?task_id={task}"), None).await;
            let answer: Value =
                got.map(|(_, bytes)| serde_json::from_slice(&bytes).unwrap_or_default()).unwrap_or_default();
            match answer["data"]["state"].as_str() {
                Some("SUCCESS") => {
                    self.counts.tasks.fetch_add(1, Ordering::Relaxed);
                    self.ended.notify_waiters();
                    return true;
                }
                Some("ERRORED") if answer.to_string().contains(refused) => {
                    self.counts.refused.fetch_add(1, Ordering::Relaxed);
                    self.counts.tasks.fetch_add(1, Ordering::Relaxed);
                    return false;
                }
                Some("ERRORED" | "FAILURE") => {
                    self.surprise(format!("{path}: {answer}"));
                    return false;
                }
                state if begun.elapsed() > PATIENCE => {
                    self.surprise(format!("{path}: task {task} is {state:?} for {PATIENCE:?}: it was lost"));
                    return false;
                }
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }
}
