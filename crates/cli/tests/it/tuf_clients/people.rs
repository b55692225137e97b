//! People who hold root keys, and what they ask of the service.

use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use countersign_testkit::server::TestServer;
use countersign_tuf::build::{self, Head};
use countersign_tuf::key::default_id;
use countersign_tuf::metadata::{Document, Kind};
use jiff::Timestamp;
use reqwest::RequestBuilder;
use serde_json::{Map, Value, json};

/// Somebody with a key that never comes near the service.
pub struct Person {
    pub keyid: String,
    pub object: Value,
    pair: Ed25519KeyPair,
}

impl Person {
    /// The same key for the same number.
    pub fn new(number: u8) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[number; 32]).unwrap();
        let public = hex::encode(pair.public_key().as_ref());
        let object = json!({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": public}});
        Self { keyid: default_id(&object).unwrap(), object, pair }
    }

    pub fn sign(&self, document: &mut Document) {
        let signature = self.pair.sign(&document.signed_bytes());
        document.put_signature(&self.keyid, &hex::encode(signature.as_ref()));
    }
}

/// A key of the service: its id and the object without what it says for people. Ours have an id that is the hash of
/// exactly this.
pub fn plain(key: &Value) -> (String, Value) {
    let mut object = key.as_object().unwrap().clone();
    let keyid = object.remove("keyid").unwrap().as_str().unwrap().to_owned();
    object.retain(|name, _| !name.starts_with("x-"));
    (keyid, object.into())
}

/// A first root: all of these people, so many of whom must sign; one online key.
pub fn first_root(people: &[Person], threshold: u64, online: &(String, Value)) -> Document {
    let mut keys = Map::from_iter([online.clone()]);
    keys.extend(people.iter().map(|person| (person.keyid.clone(), person.object.clone())));
    let roots = people.iter().map(|person| person.keyid.clone()).collect();
    let online = |kind| (kind, vec![online.0.clone()], 1);
    let roles = [
        (Kind::Root, roots, threshold),
        online(Kind::Timestamp),
        online(Kind::Snapshot),
        online(Kind::Targets),
    ];
    build::root(Head::first(Timestamp::now(), 365), keys, &roles).unwrap()
}

/// The body of POST bootstrap. `delegated`: the member `bins` or `delegations` of the settings.
pub fn bootstrap(root: &Document, delegated: (&str, Value)) -> Value {
    let mut roles = json!({
        "root": {"expiration": 365}, "targets": {"expiration": 365}, "snapshot": {"expiration": 7},
        "timestamp": {"expiration": 1}, "bins": null, "delegations": null,
    });
    roles[delegated.0] = delegated.1;
    json!({"settings": {"roles": roles}, "metadata": {"root": root.to_value()}})
}

/// A request to the service, as its administrator.
pub fn request(server: &TestServer, method: &str, path: &str) -> RequestBuilder {
    server.anonymous(method, &format!("/api/v1/{path}")).bearer_auth(&server.token)
}

/// The answer to a question.
pub async fn ask(server: &TestServer, path: &str) -> Value {
    let answer = server.send(request(server, "GET", path)).await.unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
    answer.json()
}

/// Sends a request and waits for its task, which must succeed; what it says.
pub async fn done(server: &TestServer, method: &str, path: &str, body: &Value) -> Value {
    let answer = server.send(request(server, method, path).json(body)).await.unwrap();
    assert_eq!(answer.status, 202, "{path}: {}", String::from_utf8_lossy(&answer.body));
    let accepted = answer.json();
    let id = accepted["data"]["task_id"].as_str().unwrap();
    for _ in 0..600 {
        let task = ask(server, &format!("task/?task_id={id}")).await;
        match task["data"]["state"].as_str() {
            Some("SUCCESS") => return task["data"]["result"].clone(),
            Some("ERRORED" | "FAILURE") => panic!("{path}: {task}"),
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    panic!("{path}: the task does not end");
}

/// The default online key.
pub async fn online_key(server: &TestServer) -> (String, Value) {
    plain(&ask(server, "keys/online").await["data"]["keys"][0])
}
