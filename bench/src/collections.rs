//! What signed collections cost: writes one by one and in batches, signing a change, reading a changeset, memory; on
//! SQLite, and on PostgreSQL where there is one; next to a Kinto on this machine where one is installed. Then
//! signatures for others through the Autograph surface, next to the bare operation.

mod autograph;
mod kinto;
mod place;
mod report;
mod signing;
mod writes;

use std::path::Path;
use std::process::Command;

use anyhow::ensure;

use crate::load::{self, Outcome, Pace, Plan, Stop};
use crate::server::Server;
use place::Place;
pub use report::Report;
use report::{Database, Rate};

/// What is measured, and with what.
pub struct Options<'a> {
    /// The server's program.
    pub program: &'a Path,
    /// How long each rate is measured.
    pub seconds: f64,
    /// A PostgreSQL on which databases may be made.
    pub postgres: Option<&'a str>,
    /// The peer's program.
    pub kinto: &'a Path,
    /// How many records the large collection has.
    pub records: usize,
    /// Only what begins so: `put`, `batch`, `sign`, `read`, `autograph`, `kinto`.
    pub only: Option<&'a str>,
    /// Where the data goes.
    pub scratch: &'a Path,
}

impl Options<'_> {
    fn wants(&self, part: &str) -> bool {
        self.only.is_none_or(|only| part.starts_with(only))
    }
}

/// Measures servers of its own.
///
/// # Errors
/// If a server does not start, or any answer is not a success.
pub fn measure(options: &Options<'_>) -> anyhow::Result<Report> {
    let mut report = Report { cores: std::thread::available_parallelism()?.get(), ..Report::default() };
    report.databases.push(database(options, "SQLite", None)?);
    if let Some(url) = options.postgres {
        report.databases.push(database(options, "PostgreSQL", Some(url))?);
    }
    if options.wants("autograph") {
        report.signatures = autograph::measure(options)?;
    }
    if options.wants("kinto") {
        report.kinto = kinto::measure(options)?;
    }
    Ok(report)
}

/// Everything that a database has a part in.
fn database(options: &Options<'_>, engine: &'static str, url: Option<&str>) -> anyhow::Result<Database> {
    let mut measured = Database { engine, rates: Vec::new(), times: Vec::new() };
    // The targets are those of SQLite; on PostgreSQL a third of a rate will do.
    let share = if url.is_some() { 3.0 } else { 1.0 };
    if options.wants("put") || options.wants("batch") || options.wants("read") {
        progress(&format!("{engine}: writing and reading"));
        let server = start(options, engine, "writes", url)?;
        writes::measure(options, &server, share, &mut measured)?;
        server.stop()?;
    }
    if options.wants("sign") {
        for records in [10_000, options.records] {
            signing::measure(options, engine, url, records, &mut measured)?;
        }
    }
    Ok(measured)
}

/// A server on an empty database, which resources of every kind are configured for.
fn start(options: &Options<'_>, engine: &str, name: &str, url: Option<&str>) -> anyhow::Result<Server> {
    let name = format!("{}-{name}", engine.to_lowercase());
    let database = url.map(|url| empty_database(url, &name)).transpose()?;
    let storage = database.map(|url| format!("[storage]\ndatabase = \"{url}\"\n")).unwrap_or_default();
    let data = options.scratch.join(name);
    std::fs::create_dir_all(&data)?;
    std::fs::write(data.join("countersign.toml"), format!("{storage}{CONFIG}"))?;
    Server::start(options.program, &data)
}

const CONFIG: &str = r#"
[collections]
batch_max_requests = 200

[[collections.resource]]
source = "/buckets/source"
destination = "/buckets/destination"
review = false
"#;

/// Makes a database beside the one that `url` names.
fn empty_database(url: &str, name: &str) -> anyhow::Result<String> {
    let name = format!("bench_{}_{}", std::process::id(), name.replace('-', "_"));
    let sql = format!("create database {name}");
    let output = Command::new("psql").args(["-q", "-c", &sql, url]).output()?;
    ensure!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
    let (server, _) = url.rsplit_once('/').unwrap_or((url, ""));
    Ok(format!("{server}/{name}"))
}

/// What the rate of something is, and what it is compared with.
#[derive(Clone, Copy)]
struct Asked {
    what: &'static str,
    /// How many of them one request is.
    items: usize,
    connections: usize,
    wanted: Option<f64>,
    /// What was published of the peer, on its memory backend.
    published: Option<f64>,
}

/// Sends `requests` in turn for the time that was asked for, after a moment to get warm.
fn rate(options: &Options<'_>, server: &Server, requests: &[Vec<u8>], asked: Asked) -> anyhow::Result<Rate> {
    progress(asked.what);
    let run = |seconds| -> anyhow::Result<Outcome> {
        let stop = Stop::After(std::time::Duration::from_secs_f64(seconds));
        let plan = Plan { requests, connections: asked.connections, stop, pace: Pace::Closed };
        load::run(server.address(), &plan)?.all_good()
    };
    run(options.seconds / 10.0)?;
    let before = server.cpu()?;
    let outcome = run(options.seconds)?;
    let cpu = server.cpu()? - before;
    Ok(Rate::of(&asked, &outcome, Some(cpu)))
}

fn progress(what: &str) {
    eprintln!("… {what}");
}
