//! A server of its own for each test, asked without a socket.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use axum::body::Body;
use base64::Engine as _;
use countersign_core::startup::{self, OpenOptions};
use countersign_core::{SealSource, Secret};
use countersign_server::app::{App, Front};
use countersign_server::auth::Peer;
use countersign_server::config::Config;
use countersign_server::listener::Remote;
use countersign_server::outside::Outside;
use countersign_testkit::postgres::Database;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

/// An open deployment in a directory of its own.
pub struct House {
    pub app: App,
    pub front: Front,
    pub admin: String,
    _dir: Option<tempfile::TempDir>,
    _database: Option<Database>,
}

impl House {
    pub async fn open() -> Self {
        Self::with("").await
    }

    /// With a configuration.
    pub async fn with(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let house = Self::over(dir.path(), config, SealSource::File, None).await;
        Self { _dir: Some(dir), ..house }
    }

    /// Over a directory that outlives it.
    pub async fn over(data: &Path, config: &str, seal: SealSource, passphrase: Option<Secret>) -> Self {
        let mut options = OpenOptions::new(data);
        options.seal = seal;
        options.passphrase = passphrase;
        Self::opened(options, config).await
    }

    /// One on SQLite and one on PostgreSQL.
    pub async fn on_both(config: &str) -> [Self; 2] {
        let database = Database::create().await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut options = OpenOptions::new(dir.path());
        options.database = Some(database.url.clone());
        let house = Self::opened(options, config).await;
        [Self::with(config).await, Self { _dir: Some(dir), _database: Some(database), ..house }]
    }

    /// Two nodes on one PostgreSQL.
    pub async fn two_nodes() -> (Self, Self) {
        let database = Database::create().await.unwrap();
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let of = |data: &Path| {
            let mut options = OpenOptions::new(data);
            options.database = Some(database.url.clone());
            options
        };
        let first = Self::opened(of(one.path()), "").await;
        std::fs::create_dir(other.path().join("host")).unwrap();
        std::fs::copy(one.path().join("host/seal.key"), other.path().join("host/seal.key")).unwrap();
        // The first start made the token.
        std::fs::copy(one.path().join("admin.token"), other.path().join("admin.token")).unwrap();
        let second = Self::opened(of(other.path()), "").await;
        (Self { _dir: Some(one), _database: Some(database), ..first }, Self { _dir: Some(other), ..second })
    }

    async fn opened(mut options: OpenOptions, config: &str) -> Self {
        options.program = key_host();
        let data = options.data.clone();
        let config = Config::parse(config).unwrap();
        options.collections = config.collections().settings(&config.reached_at(), &data).unwrap();
        options.tuf = config.tuf().settings();
        options.http = Outside::new().map(|client| Arc::new(client) as _);
        let ctx = startup::open(options).await.unwrap();
        let app = App::new(ctx, config);
        let front = app.front();
        let admin = std::fs::read_to_string(data.join("admin.token")).unwrap().trim().to_owned();
        Self { app, front, admin, _dir: None, _database: None }
    }

    pub async fn close(self) {
        self.app.tasks.end().await;
        self.app.ctx.clone().shutdown().await;
    }

    /// Asks as `admin`.
    pub fn ask<'a>(&'a self, method: &'a str, path: &'a str) -> Ask<'a> {
        self.ask_as(&self.admin, method, path)
    }

    /// Asks with a token.
    pub fn ask_as<'a>(&'a self, token: &str, method: &'a str, path: &'a str) -> Ask<'a> {
        self.ask_as_nobody(method, path).header("authorization", &format!("Bearer {token}"))
    }

    /// Asks without credentials.
    pub fn ask_as_nobody<'a>(&'a self, method: &'a str, path: &'a str) -> Ask<'a> {
        Ask {
            front: &self.front,
            method,
            path,
            headers: Vec::new(),
            body: Vec::new(),
            peer: Peer::Network,
            remote: None,
        }
    }

    /// Makes a key and gives its document.
    pub async fn key(&self, name: &str, key_type: &str) -> Value {
        let made = self.ask("POST", "/countersign/v1/keys").json(json!({"name": name, "type": key_type}));
        made.send().await.expect(201)
    }

    /// Makes a principal with roles, and a token for it.
    pub async fn somebody(&self, name: &str, roles: &[&str]) -> String {
        let principal = json!({"name": name, "roles": roles});
        self.ask("POST", "/countersign/v1/principals").json(principal).send().await.expect(201);
        self.token(name, json!({})).await
    }

    /// Makes a token.
    pub async fn token(&self, owner: &str, token: Value) -> String {
        let path = format!("/countersign/v1/principals/{owner}/tokens");
        let made = self.ask("POST", &path).json(token).send().await.expect(201);
        made["token"].as_str().unwrap().to_owned()
    }
}

/// A request.
pub struct Ask<'a> {
    front: &'a Front,
    method: &'a str,
    path: &'a str,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    peer: Peer,
    remote: Option<Remote>,
}

impl Ask<'_> {
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn over_control(mut self) -> Self {
        self.peer = Peer::Control;
        self
    }

    pub fn from(mut self, address: IpAddr) -> Self {
        self.remote = Some(Remote::new(address));
        self
    }

    pub fn json(self, body: Value) -> Self {
        self.body("application/json", body.to_string())
    }

    pub fn body(self, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        let mut ask = self.header("content-type", kind);
        ask.body = body.into();
        ask
    }

    /// Says another content type of the body, or none.
    pub fn said_to_be(mut self, kind: Option<&str>) -> Self {
        self.headers.retain(|(name, _)| name != "content-type");
        self.headers.extend(kind.map(|kind| ("content-type".to_owned(), kind.to_owned())));
        self
    }

    pub async fn send(self) -> Answer {
        let mut request = Request::builder().method(self.method).uri(self.path);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let length = self.body.len();
        if length > 0 && !self.headers.iter().any(|(name, _)| name == "content-length") {
            request = request.header("content-length", length);
        }
        let mut request = request.body(Body::from(self.body)).unwrap();
        if let Some(remote) = self.remote {
            request.extensions_mut().insert(remote);
        }
        let response = self.front.answer(request, self.peer).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }
}

/// An answer, read whole.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn document(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| Value::String(self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The document of an answer that must have this status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self.document()
    }

    /// A refusal, with what every refusal has.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> Value {
        let problem = self.expect(status);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(problem["type"], format!("urn:countersign:problem:{code}"), "{problem}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["request_id"], self.header("countersign-request-id"));
        assert!(!problem["detail"].as_str().unwrap().is_empty());
        if status == 401 {
            assert_eq!(self.header("www-authenticate"), "Bearer");
        }
        problem
    }
}

pub fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// The key host beside this test program; built if it is not there.
pub fn key_host() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().unwrap().parent().unwrap().join("key-host");
    if !program.exists() {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let args = ["build", "--quiet", "--package", "countersign-keyhost", "--bin", "key-host"];
        assert!(Command::new(cargo).args(args).status().unwrap().success());
    }
    program
}
