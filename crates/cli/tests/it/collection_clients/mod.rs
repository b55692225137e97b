//! Signed collections as others use them: their clients, their server, their readers, on the real binary and on both
//! databases. What they do is in `tests/clients/collections`; the contract is there as numbered checks.

mod autograph;
mod clients;
mod contract;
mod reader;

use std::path::{Path, PathBuf};
use std::process::Command;

use countersign_testkit::server::{Engine, TestServer};
use serde_json::{Map, Value, json};

use crate::appliance::target;
use crate::native::PROGRAM;

/// What the checks expect to be signed.
const RESOURCES: &str = r#"
[collections]
batch_max_requests = 200

[[collections.resource]]
source = "/buckets/source"
destination = "/buckets/destination"
review = false

[[collections.resource]]
source = "/buckets/staging"
preview = "/buckets/preview"
destination = "/buckets/prod"

[[collections.resource]]
source = "/buckets/twice"
destination = "/buckets/twice-signed"
review = false
keys = ["main", "next"]

[[collections.resource]]
source = "/buckets/seed-source"
destination = "/buckets/seed-destination"
review = false
allow_floats = true
profile = "seed"
"#;

/// A server with these collections.
async fn server(engine: Engine) -> TestServer {
    TestServer::start_with(PROGRAM, engine, RESOURCES).await.unwrap()
}

/// The public key of a native key or, as `collections/NAME`, of one that signs collections.
async fn public_key(server: &TestServer, name: &str) -> String {
    let path = format!("/countersign/v1/keys/{}.pem", name.replace('/', "%2F"));
    let answer = server.send(server.anonymous("GET", &path)).await.unwrap();
    assert_eq!(answer.status, 200, "{name}: {}", answer.problem());
    String::from_utf8(answer.body).unwrap()
}

/// A program of the clients' directory, told of the server.
pub struct Client {
    command: Command,
    name: String,
}

impl Client {
    /// In Python, with the packages of the virtual environment `venv`.
    fn python(venv: &str, name: &str) -> Self {
        Self::python_in("collections", venv, name)
    }

    /// As [`Self::python`], a program of another directory of clients.
    pub fn python_in(clients: &str, venv: &str, name: &str) -> Self {
        let program = target(venv).join("bin/python");
        assert!(program.exists(), "{}: run scripts/install-test-tools", program.display());
        let mut client = Self::new(program, clients, name);
        client.command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONPATH", directory(clients));
        client
    }

    /// In JavaScript.
    fn node(name: &str) -> Self {
        let packages = target("test-node/node_modules");
        assert!(packages.exists(), "{}: run scripts/install-test-tools", packages.display());
        let mut client = Self::new("node".into(), "collections", name);
        client.command.env("NODE_PATH", packages);
        client
    }

    fn new(program: PathBuf, clients: &str, name: &str) -> Self {
        let mut command = Command::new(program);
        command.args(name.split(' ')).current_dir(directory(clients));
        Self { command, name: name.to_owned() }
    }

    /// With a variable of the environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Asks this server as its administrator, and knows the public keys.
    async fn of(self, server: &TestServer) -> Self {
        let mut keys = Map::new();
        for name in ["main", "next"] {
            keys.insert(name.into(), public_key(server, &format!("collections/{name}")).await.into());
        }
        self.env("SERVER", &server.url)
            .env("ADMIN", &format!("admin:{}", server.token))
            .env("KEYS", &Value::from(keys).to_string())
    }

    /// Runs to its end, which must be good.
    pub async fn succeeds(self, server: &TestServer) {
        self.succeeds_or(|| {
            let log = server.stderr();
            let wrong: Vec<&str> = log.lines().filter(|line| line.contains(r#""level":"ERROR""#)).collect();
            wrong.join("\n")
        })
        .await;
    }

    /// Runs to its end without any server; it must be good.
    pub async fn succeeds_alone(self) {
        self.succeeds_or(String::new).await;
    }

    async fn succeeds_or(mut self, log: impl FnOnce() -> String) {
        let output = tokio::task::spawn_blocking(move || (self.command.output().unwrap(), self.name));
        let (output, name) = output.await.unwrap();
        let (printed, errors) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let told: Vec<&str> = printed.lines().filter(|line| !line.starts_with("ok ")).collect();
        assert!(output.status.success(), "{name}: {}\n{errors}\n{}", told.join("\n"), log());
    }
}

fn directory(clients: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(clients)
}

/// A Hawk pair of a new principal who may sign, and a P-384 key for them.
async fn hawk(server: &TestServer, key: &str) -> (String, String) {
    crate::native::make_key(server, key, "p384").await;
    server.principal("kinto", &["signer"]).await.unwrap();
    let pair = server.post("/principals/kinto/hawk", &json!({})).await.unwrap();
    assert_eq!(pair.status, 201, "{}", pair.problem());
    let pair = pair.json();
    (pair["id"].as_str().unwrap().to_owned(), pair["secret"].as_str().unwrap().to_owned())
}
