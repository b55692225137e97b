//! Clients that work all the time, note what they were told, and try again when told to.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};
use std::time::Duration;

use countersign_testkit::server::TestServer;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::super::native::b64;

/// A signature that a client holds, with what it was told about it.
pub struct Held {
    pub key: String,
    pub key_id: String,
    pub message: Vec<u8>,
    pub scheme: String,
    pub signature: Value,
    pub origin: String,
    pub index: u64,
    pub request_id: String,
}

/// What clients were told. Only what was acknowledged is in it.
#[derive(Default)]
pub struct Ledger {
    pub signatures: Vec<Held>,
    /// Name and id of the keys that were made.
    pub keys: BTreeMap<String, String>,
    pub revoked_keys: BTreeSet<String>,
    /// Id and text of the tokens that were made.
    pub tokens: BTreeMap<String, String>,
    pub revoked_tokens: BTreeSet<String>,
    /// Version and hash of the last policy.
    pub policy: Option<(u64, String)>,
    /// What was signed once, by idempotency key; the answer, when there was one.
    pub once: BTreeMap<String, Once>,
    pub checkpoints: BTreeMap<u64, Vec<u8>>,
    /// Requests that were not answered, or answered with a code that says so, by that code.
    pub retries: BTreeMap<String, u64>,
    /// Answers that no client should get.
    pub surprises: Vec<String>,
}

/// A request with an idempotency key.
#[derive(Clone)]
pub struct Once {
    pub message: Vec<u8>,
    pub answer: Option<Value>,
}

/// What all clients share.
pub struct Shared {
    client: Client,
    url: RwLock<String>,
    token: String,
    stopping: AtomicBool,
    count: AtomicU64,
    ledger: Mutex<Ledger>,
}

/// Running clients.
pub struct Clients {
    pub shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

/// The keys that everybody signs with, and their types.
pub const KEYS: [(&str, &str); 2] = [("p", "p256"), ("e", "ed25519")];

impl Clients {
    /// Makes the common keys and starts one client or two of each kind.
    pub async fn start(server: &TestServer) -> Self {
        let shared = Arc::new(Shared {
            client: Client::builder().timeout(Duration::from_secs(20)).build().unwrap(),
            url: RwLock::new(server.url.clone()),
            token: server.token.clone(),
            stopping: AtomicBool::new(false),
            count: AtomicU64::new(0),
            ledger: Mutex::default(),
        });
        for (name, key_type) in KEYS {
            let made = super::super::native::make_key(server, name, key_type).await;
            shared.ledger().keys.insert(name.to_owned(), text(&made["id"]));
        }
        let service = server.send(server.anonymous("GET", "/countersign/v1/")).await.unwrap().json();
        let origin = text(&service["log"]["origin"]);
        let each = |work: fn(Arc<Shared>) -> Work| {
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                while !shared.stopping.load(Ordering::Relaxed) {
                    work(Arc::clone(&shared)).await;
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            })
        };
        let mut tasks = vec![
            each(|s| Box::pin(sign_one(s))),
            each(|s| Box::pin(sign_one(s))),
            each(|s| Box::pin(sign_many(s))),
            each(|s| Box::pin(sign_once(s))),
            each(|s| Box::pin(sign_once(s))),
            each(|s| Box::pin(make_and_revoke_keys(s))),
            each(|s| Box::pin(make_and_revoke_tokens(s))),
            each(|s| Box::pin(replace_the_policy(s))),
        ];
        let reader = Arc::clone(&shared);
        tasks.push(tokio::spawn(async move {
            while !reader.stopping.load(Ordering::Relaxed) {
                keep_checkpoint(&reader, &origin).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }));
        Self { shared, tasks }
    }

    /// Ends all clients and returns what they were told. What was begun is finished first, so the server
    /// must be up.
    pub async fn stop(self) -> Ledger {
        self.shared.stopping.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        std::mem::take(&mut *self.shared.ledger())
    }
}

type Work = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// An answer that counts: the request was done, or refused for good.
struct Told {
    status: u16,
    body: Vec<u8>,
    replayed: bool,
}

impl Told {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

impl Shared {
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    /// The server was started again, at another address.
    pub fn moved_to(&self, url: &str) {
        *self.url.write().unwrap() = url.to_owned();
    }

    fn next(&self) -> u64 {
        self.count.fetch_add(1, Ordering::Relaxed)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.url.read().unwrap());
        self.client.request(method, url).bearer_auth(&self.token)
    }

    /// Sends once. `None` if there was no answer, or one that says to try again; both are counted.
    async fn send(&self, request: RequestBuilder) -> Option<Told> {
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(_) => return self.try_again("no answer").await,
        };
        let status = answer.status().as_u16();
        let replayed = answer.headers().contains_key("idempotent-replayed");
        let retry_after = answer.headers().contains_key("retry-after");
        let Ok(body) = answer.bytes().await else { return self.try_again("half an answer").await };
        let told = Told { status, body: body.to_vec(), replayed };
        if status < 500 {
            return Some(told);
        }
        let problem = told.json();
        match code(&problem) {
            Some(code @ ("key-host-unavailable" | "storage-unavailable" | "log-unavailable"))
                if status == 503 && retry_after =>
            {
                self.try_again(code).await
            }
            _ => {
                self.surprise(format!("{status} {problem}"));
                self.try_again("something else").await
            }
        }
    }

    async fn try_again(&self, why: &str) -> Option<Told> {
        *self.ledger().retries.entry(why.to_owned()).or_default() += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
        None
    }

    fn surprise(&self, what: String) {
        self.ledger().surprises.push(what);
    }

    /// Notes a signature; `answer` is that of one signature, alone or in a batch.
    fn hold(&self, message: &[u8], answer: &Value) {
        let held = Held {
            key: text(&answer["key"]),
            key_id: text(&answer["key_id"]),
            message: message.to_vec(),
            scheme: text(&answer["scheme"]),
            signature: answer["signature"].clone(),
            origin: text(&answer["log"]["origin"]),
            index: answer["log"]["index"].as_u64().unwrap(),
            request_id: text(&answer["request_id"]),
        };
        self.ledger().signatures.push(held);
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn code(problem: &Value) -> Option<&str> {
    problem["type"].as_str()?.strip_prefix("urn:countersign:problem:")
}

async fn sign_one(shared: Arc<Shared>) {
    let count = shared.next();
    let (key, _) = KEYS[count as usize % KEYS.len()];
    let message = format!("message {count}").into_bytes();
    let path = format!("/countersign/v1/keys/{key}/sign");
    let request = shared.request(Method::POST, &path).json(&json!({"message": b64(&message)}));
    match shared.send(request).await {
        Some(told) if told.status == 200 => shared.hold(&message, &told.json()),
        Some(told) => shared.surprise(format!("sign: {} {}", told.status, told.json())),
        None => {}
    }
}

async fn sign_many(shared: Arc<Shared>) {
    let messages: Vec<Vec<u8>> = (0..20).map(|_| format!("message {}", shared.next()).into_bytes()).collect();
    let item =
        |(i, message): (usize, &Vec<u8>)| json!({"key": KEYS[i % KEYS.len()].0, "message": b64(message)});
    let items: Vec<Value> = messages.iter().enumerate().map(item).collect();
    let request = shared.request(Method::POST, "/countersign/v1/sign").json(&json!({ "items": items }));
    let Some(told) = shared.send(request).await else { return };
    let answer = told.json();
    let Some(results) = answer["results"].as_array().filter(|results| results.len() == messages.len()) else {
        return shared.surprise(format!("batch: {} {answer}", told.status));
    };
    for (message, result) in messages.iter().zip(results) {
        match (result["error"]["status"].as_u64(), code(&result["error"])) {
            (None, _) => shared.hold(message, result),
            (Some(503), Some(code)) => *shared.ledger().retries.entry(code.to_owned()).or_default() += 1,
            _ => shared.surprise(format!("item of a batch: {result}")),
        }
    }
}

/// Asks until there is an answer, and then once more: the second answer is the first.
async fn sign_once(shared: Arc<Shared>) {
    let count = shared.next();
    let name = format!("once-{count}");
    let message = format!("message {count}").into_bytes();
    shared.ledger().once.insert(name.clone(), Once { message: message.clone(), answer: None });
    for _ in 0..2 {
        loop {
            let Some(told) = ask_once(&shared, &name, &message).await else { continue };
            note_once(&shared, &name, told);
            break;
        }
    }
}

async fn ask_once(shared: &Shared, name: &str, message: &[u8]) -> Option<Told> {
    let request = shared
        .request(Method::POST, "/countersign/v1/keys/p/sign")
        .header("idempotency-key", name)
        .json(&json!({"message": b64(message)}));
    shared.send(request).await
}

fn note_once(shared: &Shared, name: &str, told: Told) {
    let answer = told.json();
    if told.status != 200 {
        return shared.surprise(format!("{name}: {} {answer}", told.status));
    }
    let mut ledger = shared.ledger();
    let once = ledger.once.get_mut(name).unwrap();
    let message = once.message.clone();
    let first = once.answer.get_or_insert_with(|| answer.clone());
    if *first != answer {
        let replayed = told.replayed;
        ledger.surprises.push(format!("{name}: two answers were given, the later one replayed: {replayed}"));
    }
    drop(ledger);
    shared.hold(&message, &answer);
}

async fn make_and_revoke_keys(shared: Arc<Shared>) {
    let name = format!("key-{}", shared.next());
    let request = shared.request(Method::POST, "/countersign/v1/keys");
    // A name whose fate is unknown is given up: the next one is another.
    let Some(made) = shared.send(request.json(&json!({"name": name, "type": "ed25519"}))).await else {
        return;
    };
    if made.status != 201 {
        return shared.surprise(format!("{name}: {} {}", made.status, made.json()));
    }
    let count = {
        let mut ledger = shared.ledger();
        ledger.keys.insert(name.clone(), text(&made.json()["id"]));
        ledger.keys.len()
    };
    if count.is_multiple_of(2) {
        return;
    }
    let path = format!("/countersign/v1/keys/{name}/revoke");
    let request = shared.request(Method::POST, &path).json(&json!({"reason": "a test"}));
    match shared.send(request).await {
        Some(told) if told.status == 200 => {
            shared.ledger().revoked_keys.insert(name);
        }
        Some(told) => shared.surprise(format!("revoke {name}: {} {}", told.status, told.json())),
        None => {}
    }
}

async fn make_and_revoke_tokens(shared: Arc<Shared>) {
    let request = shared.request(Method::POST, "/countersign/v1/principals/admin/tokens").json(&json!({}));
    let Some(made) = shared.send(request).await else { return };
    let token = made.json();
    if made.status != 201 {
        return shared.surprise(format!("token: {} {token}", made.status));
    }
    let id = text(&token["id"]);
    let count = {
        let mut ledger = shared.ledger();
        ledger.tokens.insert(id.clone(), text(&token["token"]));
        ledger.tokens.len()
    };
    if count.is_multiple_of(2) {
        return;
    }
    match shared.send(shared.request(Method::DELETE, &format!("/countersign/v1/tokens/{id}"))).await {
        Some(told) if told.status == 204 => {
            shared.ledger().revoked_tokens.insert(id);
        }
        Some(told) => shared.surprise(format!("revoke token: {} {}", told.status, told.json())),
        None => {}
    }
}

/// The only writer of the policy: what is in force is what it put, or what it put without hearing of it.
async fn replace_the_policy(shared: Arc<Shared>) {
    let Some(told) = shared.send(shared.request(Method::GET, "/countersign/v1/policy")).await else { return };
    let policy = told.json();
    let (Some(version), Some(rules)) = (policy["version"].as_u64(), policy["rules"].as_array()) else {
        return shared.surprise(format!("policy: {} {policy}", told.status));
    };
    let mut rules: Vec<Value> = rules.iter().filter(|rule| rule["id"] != "test").cloned().collect();
    rules.push(json!({
        "id": "test", "effect": "allow", "principals": [format!("nobody-{}", shared.next())],
        "actions": ["key:read"], "resources": ["key:none"],
    }));
    let request = shared
        .request(Method::PUT, "/countersign/v1/policy")
        .header("if-match", format!("\"{version}\""))
        .json(&json!({ "rules": rules }));
    let Some(told) = shared.send(request).await else { return };
    let put = told.json();
    match (told.status, put["version"].as_u64(), put["hash"].as_str()) {
        (200, Some(put), Some(hash)) => shared.ledger().policy = Some((put, hash.to_owned())),
        // One of ours was put though its answer was lost: it is seen a moment later.
        (409, ..) => drop(shared.try_again("conflict").await),
        _ => shared.surprise(format!("policy after version {version}: {} {put}", told.status)),
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
}

async fn keep_checkpoint(shared: &Shared, origin: &str) {
    let Some(told) = shared.send(shared.request(Method::GET, &format!("/log/{origin}/checkpoint"))).await
    else {
        return;
    };
    let size = std::str::from_utf8(&told.body).ok().and_then(|note| note.lines().nth(1)?.parse().ok());
    match (told.status, size) {
        (200, Some(size)) => {
            shared.ledger().checkpoints.insert(size, told.body);
        }
        _ => shared.surprise(format!("checkpoint: {}", told.status)),
    }
}
