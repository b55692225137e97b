//! Who changes the repository: artifacts come and go, roots and online keys are rotated.

use std::sync::Arc;
use std::time::Duration;

use countersign_tuf::metadata::Document;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::super::people::{Person, plain};
use super::shared::Shared;

pub fn start(shared: &Arc<Shared>, people: [Person; 2]) -> Vec<JoinHandle<()>> {
    let mut tasks = Vec::new();
    for name in ["a", "b", "c"] {
        let shared = Arc::clone(shared);
        tasks.push(tokio::spawn(async move {
            let mut number = 0;
            while !shared.is_stopping() {
                number += 1;
                add(&shared, name, number).await;
            }
        }));
    }
    let removing = Arc::clone(shared);
    tasks.push(tokio::spawn(async move {
        while !removing.is_stopping() {
            remove_one(&removing).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }));
    let bumping = Arc::clone(shared);
    tasks.push(tokio::spawn(async move {
        while !bumping.is_stopping() {
            if let Some(task) = bumping.submit("metadata/online", &json!({"roles": []})).await {
                bumping.succeeds("metadata/online", &task).await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }));
    let rotating = Arc::clone(shared);
    tasks.push(tokio::spawn(async move {
        let mut root = rotating.first_root.clone();
        let mut unknown = false;
        while !rotating.is_stopping() {
            if rotating.may_make_root(root.version() + 1) {
                (root, unknown) = rotate(&rotating, &people, root, unknown).await;
            } else {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }));
    tasks
}

async fn add(shared: &Shared, name: &str, number: u64) {
    let files: Vec<(String, u64)> =
        (0..1 + number % 4).map(|i| (format!("{name}/{number}/{i}"), number)).collect();
    let hash = hex::encode([number as u8; 32]);
    let artifact = |(path, length): &(String, u64)| json!({"path": path, "info": {"length": length, "hashes": {"sha256": hash}}});
    let body = json!({"artifacts": files.iter().map(artifact).collect::<Vec<Value>>()});
    let Some(task) = shared.submit("artifacts/", &body).await else { return };
    if shared.succeeds("artifacts/", &task).await {
        shared.ledger().published.extend(files);
    }
}

async fn remove_one(shared: &Shared) {
    let path = {
        let mut ledger = shared.ledger();
        let count = ledger.published.len();
        if count < 20 {
            return;
        }
        let path = ledger.published.keys().nth(shared.random(0, count as u64) as usize).cloned().unwrap();
        ledger.published.remove(&path);
        path
    };
    let body = json!({"artifacts": [path]});
    let Some(task) = shared.submit("artifacts/delete", &body).await else { return };
    if shared.succeeds("artifacts/delete", &task).await {
        shared.ledger().removed.insert(path);
    }
}

/// Makes the root after `root`, with other online keys every other time. `unknown`: nobody said whether the last one
/// was accepted, so it may come in between. The newest root that is public then, and whether nobody said it now.
async fn rotate(shared: &Shared, people: &[Person; 2], root: Document, unknown: bool) -> (Document, bool) {
    let version = root.version() + 1;
    let online = if version.is_multiple_of(2) { new_online_key(shared, version).await } else { None };
    let next = next_root(people, &root, online);
    let body = json!({"metadata": {"root": next.to_value()}});
    let Some(task) = shared.submit("metadata/", &body).await else {
        tokio::time::sleep(Duration::from_millis(300)).await;
        return (newest(shared, root).await, true);
    };
    let refused = if unknown { "Expected root version" } else { "key host" };
    let succeeded = shared.succeeds_unless("metadata/", &task, refused).await;
    if succeeded {
        let mut ledger = shared.ledger();
        ledger.root = ledger.root.max(version);
    }
    let seen = newest(shared, root).await;
    if succeeded && seen.version() < version {
        shared.surprise(format!("root {version} was acknowledged and is not public"));
    }
    (seen, false)
}

fn next_root(people: &[Person; 2], root: &Document, online: Option<(String, Value)>) -> Document {
    let mut next = root
        .edited(|signed| {
            signed["version"] = json!(root.version() + 1);
            if let Some((keyid, object)) = online {
                let keys = signed["keys"].as_object_mut().unwrap();
                keys.retain(|id, _| people.iter().any(|person| person.keyid == *id));
                keys.insert(keyid.clone(), object);
                for role in ["timestamp", "snapshot", "targets"] {
                    signed["roles"][role]["keyids"] = json!([keyid]);
                }
            }
        })
        .unwrap();
    people.iter().for_each(|person| person.sign(&mut next));
    next
}

async fn new_online_key(shared: &Shared, version: u64) -> Option<(String, Value)> {
    let name = format!("online-{version}-{}", shared.random(0, 1 << 40));
    let body = json!({"name": name, "scheme": "ed25519"});
    let (status, bytes) = shared.send("POST", "/api/v1/keys/online", Some(&body)).await?;
    let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    if status != 201 {
        shared.surprise(format!("keys/online: {status} {answer}"));
        return None;
    }
    Some(plain(&answer["data"]["key"]))
}

/// The newest public root from `root` on.
async fn newest(shared: &Shared, mut root: Document) -> Document {
    loop {
        let name = format!("/metadata/{}.root.json", root.version() + 1);
        match shared.send("GET", &name, None).await {
            Some((200, bytes)) => root = Document::parse(&bytes).unwrap(),
            Some((404, _)) => return root,
            Some((status, _)) => {
                shared.surprise(format!("{name}: {status}"));
                return root;
            }
            None => {}
        }
    }
}
