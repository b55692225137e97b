//! A PostgreSQL for tests: the one that `COUNTERSIGN_TEST_POSTGRES` names, or a private one that ends
//! with this process.
//!
//! A test process that starts its own pays about a second for it; `scripts/with-postgres` starts one for
//! all of them.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, anyhow};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

/// An empty database of its own, removed when it is dropped.
pub struct Database {
    /// `postgres://…/NAME`.
    pub url: String,
    name: String,
}

impl Database {
    /// Makes one.
    ///
    /// # Errors
    /// If there is no server, or it refuses.
    pub async fn create() -> anyhow::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "countersign_{}_{}_{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed),
            std::time::SystemTime::UNIX_EPOCH.elapsed()?.as_nanos() % 1_000_000_000,
        );
        administer(format!("create database {name} template template0")).await?;
        let options: PgConnectOptions = server()?.parse()?;
        let url = options.database(&name).to_url_lossy().to_string();
        Ok(Self { url, name })
    }

    /// Ends every connection to it, as a restart of the server would.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn cut_connections(&self) -> anyhow::Result<()> {
        let name = &self.name;
        administer(format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"))
            .await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let sql = format!("drop database if exists {} with (force)", self.name);
        // On a thread of its own: this one may be inside a runtime that cannot be blocked.
        let removal = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(administer(sql))
        });
        // A database that stays goes with its server.
        let _ = removal.join();
    }
}

/// The URL of a server on which databases may be created.
///
/// # Errors
/// If none is named by `COUNTERSIGN_TEST_POSTGRES` and none can be started.
pub fn server() -> anyhow::Result<String> {
    static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
    match SERVER.get_or_init(|| start().map_err(|error| format!("{error:#}"))) {
        Ok(server) => Ok(server.url.clone()),
        Err(error) => Err(anyhow!("no PostgreSQL for tests: {error}")),
    }
}

struct Server {
    url: String,
    /// Ends the server when its standard input ends, which it does with this process.
    _keeper: Option<Child>,
}

fn start() -> anyhow::Result<Server> {
    if let Some(url) = std::env::var("COUNTERSIGN_TEST_POSTGRES").ok().filter(|url| !url.is_empty()) {
        return Ok(Server { url, _keeper: None });
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/with-postgres");
    let mut keeper = Command::new(script)
        .args(["sh", "-c", r#"echo "$COUNTERSIGN_TEST_POSTGRES"; exec >/dev/null; cat"#])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Whoever stops a test stops its process group; the keeper must live to clean up.
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot run {script}"))?;
    let stdout = keeper.stdout.take().context("no standard output")?;
    let mut url = String::new();
    BufReader::new(stdout).read_line(&mut url)?;
    if url.trim().is_empty() {
        let mut reason = String::new();
        if let Some(mut stderr) = keeper.stderr.take() {
            stderr.read_to_string(&mut reason)?;
        }
        keeper.wait()?;
        return Err(anyhow!("scripts/with-postgres: {}", reason.trim()));
    }
    Ok(Server { url: url.trim().into(), _keeper: Some(keeper) })
}

async fn administer(sql: String) -> anyhow::Result<()> {
    let options: PgConnectOptions = server()?.parse()?;
    let mut connection = options.connect().await.context("cannot connect to PostgreSQL")?;
    sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}
