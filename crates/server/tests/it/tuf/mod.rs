//! The TUF surface: what the contract says of each request.

mod exchanges;
mod published;
mod replay;
mod signers;
mod signing;
mod tokens;

use std::time::{Duration, Instant};

use countersign_model::digest::sha256;
use serde_json::{Value, json};

use crate::support::House;
use signers::Signer;

/// Asks as `admin`, and gives the document of an answer with this status.
async fn tell(house: &House, method: &str, path: &str, body: Value, status: u16) -> Value {
    let path = format!("/api/v1/{path}");
    house.ask(method, &path).json(body).send().await.expect(status)
}

async fn show(house: &House, path: &str) -> Value {
    house.ask("GET", &format!("/api/v1/{path}")).send().await.expect(200)
}

/// Waits until a task is done, and gives what it says.
async fn done(house: &House, accepted: &Value) -> Value {
    let id = accepted["data"]["task_id"].as_str().unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = show(house, &format!("task/?task_id={id}")).await;
        assert_eq!(answer["message"], "Task state.");
        assert_eq!(answer["data"]["task_id"], id);
        let state = answer["data"]["state"].as_str().unwrap();
        if matches!(state, "SUCCESS" | "ERRORED" | "FAILURE") {
            return answer["data"].clone();
        }
        assert!(Instant::now() < until, "{answer}");
    }
}

/// Waits for a success, and gives its details.
async fn succeeds(house: &House, accepted: &Value) -> Value {
    let done = done(house, accepted).await;
    assert_eq!(done["state"], "SUCCESS", "{done}");
    assert_eq!(done["result"]["status"], true);
    done["result"]["details"].clone()
}

/// Waits for a refusal, and gives why.
async fn errs(house: &House, accepted: &Value) -> String {
    let done = done(house, accepted).await;
    assert_eq!((&done["state"], &done["result"]["status"]), (&json!("ERRORED"), &json!(false)), "{done}");
    done["result"]["error"].as_str().unwrap().to_owned()
}

/// The server's own key, as it stands in metadata, with its id.
async fn online_key(house: &House) -> Value {
    show(house, "keys/online").await["data"]["keys"][0].clone()
}

/// The settings of a repository with this many bins.
fn settings(bins: u32) -> Value {
    json!({"roles": {
        "root": {"expiration": 365},
        "targets": {"expiration": 365},
        "snapshot": {"expiration": 7},
        "timestamp": {"expiration": 1},
        "bins": {"expiration": 30, "number_of_delegated_bins": bins},
        "delegations": null,
    }})
}

/// A repository with four bins, whose root one person has signed.
async fn repository(house: &House) -> Signer {
    let ana = Signer::ed25519(1);
    let root = signers::signed_by(&signers::root(1, &[&ana], 1, &online_key(house).await), &[&ana]);
    let body = json!({"settings": settings(4), "metadata": {"root": root}});
    let accepted = tell(house, "POST", "bootstrap/", body, 202).await;
    let details = succeeds(house, &accepted).await;
    let id = accepted["data"]["task_id"].as_str().unwrap();
    assert_eq!(details, json!({"bootstrap": format!("Bootstrap finished {id}")}));
    ana
}

/// An artifact with these bytes.
fn artifact(path: &str, bytes: &[u8]) -> Value {
    json!({"path": path, "info": {"length": bytes.len(), "hashes": {"sha256": hex::encode(sha256(bytes))}}})
}

/// A published metadata file.
async fn file(house: &House, name: &str) -> Value {
    let path = format!("/metadata/{name}");
    house.ask_as_nobody("GET", &path).send().await.expect(200)
}
