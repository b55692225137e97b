//! A repository on a server of its own, filled through the API.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use countersign_tuf::build::{self, Head};
use countersign_tuf::key::default_id;
use countersign_tuf::metadata::{Document, Kind};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::load;
use crate::server::Server;

/// A server with a finished repository of hash bins.
pub struct Repository {
    pub server: Server,
    /// How many artifacts it has.
    pub artifacts: usize,
    bins: usize,
}

/// Files as they are published now.
pub struct Files {
    pub bins: usize,
    pub bin_path: String,
    pub bin_bytes: u64,
    pub snapshot_path: String,
    pub snapshot_bytes: u64,
}

/// A task may take so long.
const PATIENCE: Duration = Duration::from_secs(600);

impl Repository {
    /// # Errors
    /// If the server does not start or refuses.
    pub fn start(program: &Path, data: &Path, bins: usize) -> anyhow::Result<Self> {
        let server = Server::start(program, data)?;
        let repository = Self { server, artifacts: 0, bins };
        let days = |days: u32| json!({"expiration": days});
        let body = json!({
            "settings": {"roles": {
                "root": days(365), "targets": days(365), "snapshot": days(1), "timestamp": days(1),
                "bins": {"expiration": 1, "number_of_delegated_bins": bins}, "delegations": null,
            }},
            "metadata": {"root": repository.root()?.to_value()},
        });
        repository.done("bootstrap/", &body)?;
        Ok(repository)
    }

    /// A root signed by one key that is then thrown away.
    fn root(&self) -> anyhow::Result<Document> {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())?;
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref())?;
        let public = hex::encode(pair.public_key().as_ref());
        let object = json!({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": public}});
        let keyid = default_id(&object)?;
        let answer: Value = serde_json::from_str(&self.server.ask("GET", "/api/v1/keys/online", "", 200)?)?;
        let mut online = answer["data"]["keys"][0].as_object().context("no online key")?.clone();
        let online_id = online.remove("keyid").context("no key id")?.as_str().unwrap_or_default().to_owned();
        let keys = Map::from_iter([(keyid.clone(), object), (online_id.clone(), online.into())]);
        let online = |kind| (kind, vec![online_id.clone()], 1);
        let roles = [
            (Kind::Root, vec![keyid.clone()], 1),
            online(Kind::Timestamp),
            online(Kind::Snapshot),
            online(Kind::Targets),
        ];
        let mut root = build::root(Head::first(Timestamp::now(), 365), keys, &roles)?;
        root.put_signature(&keyid, &hex::encode(pair.sign(&root.signed_bytes()).as_ref()));
        Ok(root)
    }

    /// Adds so many new artifacts in one request; they are published or staged when this returns.
    pub fn add(&mut self, count: usize, publish: bool) -> anyhow::Result<()> {
        let artifact = |number: usize| {
            let hash = format!("{number:064x}");
            let path =
                format!("packages/{:02x}/project-{}/release-{number}.tar.gz", number % 256, number / 7);
            json!({"path": path, "info": {"length": 1000 + number, "hashes": {"sha256": hash}}})
        };
        let artifacts: Vec<Value> = (self.artifacts..self.artifacts + count).map(artifact).collect();
        self.done("artifacts/", &json!({"artifacts": artifacts, "publish_artifacts": publish}))?;
        self.artifacts += count;
        Ok(())
    }

    /// Publishes what was staged.
    pub fn publish_staged(&self) -> anyhow::Result<()> {
        self.done("artifacts/publish/", &Value::Null)
    }

    /// New versions of a role.
    pub fn bump(&self, role: &str) -> anyhow::Result<()> {
        self.done("metadata/online", &json!({"roles": [role]}))
    }

    /// What a reader finds now.
    pub fn files(&self) -> anyhow::Result<Files> {
        let (_, timestamp) = self.get("/metadata/timestamp.json")?;
        let version = &timestamp["signed"]["meta"]["snapshot.json"]["version"];
        let snapshot_path = format!("/metadata/{version}.snapshot.json");
        let (snapshot_bytes, snapshot) = self.get(&snapshot_path)?;
        let bin = format!("bins-{:0width$x}", 0, width = (self.bins.trailing_zeros() as usize).div_ceil(4));
        let version = &snapshot["signed"]["meta"][format!("{bin}.json")]["version"];
        let bin_path = format!("/metadata/{version}.{bin}.json");
        let (bin_bytes, _) = self.get(&bin_path)?;
        Ok(Files { bins: self.bins, bin_path, bin_bytes, snapshot_path, snapshot_bytes })
    }

    fn get(&self, path: &str) -> anyhow::Result<(u64, Value)> {
        let (status, bytes) = load::exchange(self.server.address(), &load::request("GET", path, "none", ""))?;
        ensure!(status == 200, "{path}: {status}");
        Ok((bytes.len() as u64, serde_json::from_slice(&bytes)?))
    }

    /// Sends a request and waits for the end of its task.
    fn done(&self, path: &str, body: &Value) -> anyhow::Result<()> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let accepted: Value =
            serde_json::from_str(&self.server.ask("POST", &format!("/api/v1/{path}"), &body, 202)?)?;
        let id = accepted["data"]["task_id"].as_str().context("no task")?;
        let begun = Instant::now();
        loop {
            let text = self.server.ask("GET", &format!("/api/v1/task/?task_id={id}"), "", 200)?;
            let task: Value = serde_json::from_str(&text)?;
            match task["data"]["state"].as_str() {
                Some("SUCCESS") => return Ok(()),
                Some("ERRORED" | "FAILURE") => bail!("{path}: {text}"),
                _ => ensure!(begun.elapsed() < PATIENCE, "{path} does not end"),
            }
        }
    }

    /// # Errors
    /// If the server does not end.
    pub fn stop(self) -> anyhow::Result<()> {
        self.server.stop()
    }
}
