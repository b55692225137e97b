//! The real binary on a data directory of its own, and requests to it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use crate::postgres::Database;

/// What a server keeps its rows in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The embedded one.
    Sqlite,
    /// A database of the server that the test run started.
    Postgres,
}

impl Engine {
    /// Both: every integration test runs on both.
    pub const ALL: [Self; 2] = [Self::Sqlite, Self::Postgres];
}

/// A running `countersign serve`. Ends, with all its processes, when it is dropped.
pub struct TestServer {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    /// The token of the principal `admin`.
    pub token: String,
    data: tempfile::TempDir,
    program: PathBuf,
    environment: Vec<(String, String)>,
    child: Option<Child>,
    client: reqwest::Client,
    _database: Option<Database>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; `null` if it is not.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The text of a header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// The CODE of a problem document, if it is one for this status.
    pub fn problem(&self) -> String {
        let json = self.json();
        let code = json["type"].as_str().and_then(|t| t.strip_prefix("urn:countersign:problem:"));
        let sound = self.header("content-type") == "application/problem+json"
            && json["status"] == self.status
            && json["request_id"].is_string()
            && json["title"].is_string()
            && json["detail"].is_string();
        match code {
            Some(code) if sound => code.to_owned(),
            _ => format!("no problem document: {} {}", self.status, String::from_utf8_lossy(&self.body)),
        }
    }
}

impl TestServer {
    /// Starts `program` on a new data directory.
    ///
    /// # Errors
    /// If it does not become ready.
    pub async fn start(program: impl AsRef<Path>, engine: Engine) -> anyhow::Result<Self> {
        Self::start_with(program, engine, "").await
    }

    /// As [`Self::start`], with a configuration. `[storage] database` is added for PostgreSQL.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_with(
        program: impl AsRef<Path>,
        engine: Engine,
        configuration: &str,
    ) -> anyhow::Result<Self> {
        let data = tempfile::Builder::new().prefix("countersign-").tempdir()?;
        let mut text = configuration.to_owned();
        let database = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => {
                let database = Database::create().await?;
                text.push_str(&format!("\n[storage]\ndatabase = \"{}\"\n", database.url));
                Some(database)
            }
        };
        std::fs::write(data.path().join("countersign.toml"), text)?;
        let mut server = Self {
            url: String::new(),
            token: String::new(),
            data,
            program: program.as_ref().to_owned(),
            environment: Vec::new(),
            child: None,
            client: reqwest::Client::builder().timeout(Duration::from_secs(60)).build()?,
            _database: database,
        };
        server.run().await?;
        server.token = std::fs::read_to_string(server.data().join("admin.token"))?.trim_end().to_owned();
        Ok(server)
    }

    /// The data directory.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// The process that was started: the front.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Sets a variable of the environment for the next [`Self::run`].
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.environment.retain(|(n, _)| n != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Starts the server again on the same directory.
    ///
    /// # Errors
    /// If it does not become ready within 20 seconds; with what it wrote to standard error.
    pub async fn run(&mut self) -> anyhow::Result<()> {
        let address = self.data().join("run/address");
        let _ = std::fs::remove_file(&address);
        let log = std::fs::File::create(self.data().join("stderr"))?;
        let mut command = Command::new(&self.program);
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(self.data())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env_remove("COUNTERSIGN_TOKEN")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        self.child = Some(command.spawn().context("the server cannot be started")?);
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(child) = &mut self.child
                && let Some(status) = child.try_wait()?
            {
                bail!("the server ended with {status}: {}", self.stderr());
            }
            if let Ok(text) = std::fs::read_to_string(&address) {
                self.url = text.trim_end().to_owned();
                let ready = self.client.get(format!("{}/readyz", self.url)).send().await;
                if ready.is_ok_and(|answer| answer.status() == 200) {
                    return Ok(());
                }
            }
            if Instant::now() > deadline {
                bail!("the server did not become ready: {}", self.stderr());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What the server wrote to standard error since it was started.
    pub fn stderr(&self) -> String {
        std::fs::read_to_string(self.data().join("stderr")).unwrap_or_default()
    }

    /// Asks the server to end, and waits.
    ///
    /// # Errors
    /// If it does not end within 20 seconds.
    pub async fn stop(&mut self) -> anyhow::Result<std::process::ExitStatus> {
        let Some(mut child) = self.child.take() else { bail!("the server is not running") };
        Command::new("kill").arg(child.id().to_string()).status()?;
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                child.kill()?;
                bail!("the server did not end: {}", self.stderr());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends the front at once, as a crash would.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// A request without credentials.
    pub fn anonymous(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap_or(Method::GET);
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// A request of `token`'s principal to the native API: `path` is below `/countersign/v1`.
    pub fn request_as(&self, token: &str, method: &str, path: &str) -> RequestBuilder {
        self.anonymous(method, &format!("/countersign/v1{path}")).bearer_auth(token)
    }

    /// A request of `admin` to the native API.
    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.request_as(&self.token, method, path)
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// If there is none.
    pub async fn send(&self, request: RequestBuilder) -> anyhow::Result<Answer> {
        let answer = request.send().await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Ok(Answer { status, headers, body: answer.bytes().await?.to_vec() })
    }

    /// `GET` as `admin`.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(self.request("GET", path)).await
    }

    /// `POST` of a JSON document as `admin`.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.send(self.request("POST", path).json(body)).await
    }

    /// Makes a principal with these roles and returns a token of theirs.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn principal(&self, name: &str, roles: &[&str]) -> anyhow::Result<String> {
        let body = serde_json::json!({"name": name, "roles": roles});
        let made = self.post("/principals", &body).await?;
        if made.status != 201 {
            bail!("principal {name}: {}", made.problem());
        }
        let token = self.post(&format!("/principals/{name}/tokens"), &serde_json::json!({})).await?;
        token.json()["token"].as_str().map(str::to_owned).with_context(|| token.problem())
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
