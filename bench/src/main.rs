//! What a signature costs over the bare operation: requests a second, latency, CPU time of all processes,
//! memory and start, with the durable log on. `make bench` builds the server and runs this, `make bench BENCH=tags`
//! what tags cost, `make bench BENCH=appliance` what the appliance costs, `make bench BENCH=collections` what signed
//! collections cost, `make bench BENCH=tuf` what a TUF repository costs.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports")]

mod appliance;
mod bare;
mod collections;
mod kind;
mod load;
mod report;
mod server;
mod tags;
mod tuf;

use std::fmt::Display;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::{Parser, Subcommand, ValueEnum as _};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::bare::Bare;
use crate::kind::Kind;
use crate::load::{Outcome, Pace, Plan, Stop};
use crate::report::{BUSY, Batch, HalfLoad, Memory, Report, Single, Start, us};
use crate::server::Server;

/// Measures a server of its own, started on an empty directory.
#[derive(Parser)]
struct Options {
    /// What to measure; without it, signatures through the native API.
    #[command(subcommand)]
    subject: Option<Subject>,
    /// How long each measurement takes.
    #[arg(long, global = true, default_value_t = 5.0)]
    seconds: f64,
    /// Only this kind of key; may be given more than once.
    #[arg(long, global = true)]
    only: Vec<Kind>,
    /// The numbers of connections.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, BUSY])]
    connections: Vec<usize>,
    /// How many keys there are when the start is timed; 0 leaves this out.
    #[arg(long, default_value_t = 10_000)]
    keys: usize,
    /// Leaves out batches, half load and start.
    #[arg(long)]
    singles: bool,
    /// The server's program.
    #[arg(long, global = true, default_value = "target/release/countersign")]
    program: PathBuf,
    /// Where the data goes. It must be on a disk, or the log is not durable.
    #[arg(long, global = true, default_value = "target")]
    directory: PathBuf,
    /// Prints one JSON document instead of tables.
    #[arg(long, global = true)]
    json: bool,
    /// Exits with 1 when a target is missed.
    #[arg(long, global = true)]
    check: bool,
}

#[derive(Clone, Subcommand)]
enum Subject {
    /// The signing appliance: each signer next to the bare operation, and large bodies.
    Appliance {
        /// Leaves out large bodies.
        #[arg(long)]
        small: bool,
    },
    /// Signed collections: writing, signing, reading; a Kinto beside them; signatures for others.
    Collections {
        /// Also on this PostgreSQL, where databases may be made; COUNTERSIGN_TEST_POSTGRES has the same effect.
        #[arg(long)]
        database: Option<String>,
        /// The peer's program.
        #[arg(long, default_value = "target/kinto-venv/bin/kinto")]
        kinto: PathBuf,
        /// How many records the large collection has.
        #[arg(long, default_value_t = 100_000)]
        records: usize,
        /// Only this part: put, batch, read, sign, autograph or kinto.
        #[arg(long)]
        part: Option<String>,
    },
    /// A TUF repository: many artifacts at once, a million of them, one more, new versions of all bins, readers.
    Tuf {
        /// How many artifacts the large repository has; a power of ten.
        #[arg(long, default_value_t = 1_000_000)]
        artifacts: usize,
        /// Only this part: request or large.
        #[arg(long)]
        part: Option<String>,
    },
    /// Tags: validated in process, as a whole process next to a shell with openssl, and over HTTP.
    Tags {
        /// Leaves out HTTP.
        #[arg(long)]
        serverless: bool,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    ensure!(options.program.exists(), "no {}: `make build` makes it", options.program.display());
    let scratch = tempfile::Builder::new().prefix("bench-").tempdir_in(&options.directory)?;
    match options.subject.clone() {
        None => {
            let report = measure(&options, scratch.path())?;
            show(&options, &report, report.is_good())
        }
        Some(Subject::Appliance { small }) => {
            let report = appliance::measure(&options.program, options.seconds, !small, scratch.path())?;
            show(&options, &report, report.is_good())
        }
        Some(Subject::Collections { database, kinto, records, part }) => {
            let database = database.or_else(|| std::env::var("COUNTERSIGN_TEST_POSTGRES").ok());
            let report = collections::measure(&collections::Options {
                program: &options.program,
                seconds: options.seconds,
                postgres: database.as_deref(),
                kinto: &kinto,
                records,
                only: part.as_deref(),
                scratch: scratch.path(),
            })?;
            show(&options, &report, report.is_good())
        }
        Some(Subject::Tuf { artifacts, part }) => {
            let report = tuf::measure(&tuf::Options {
                program: &options.program,
                seconds: options.seconds,
                artifacts,
                only: part.as_deref(),
                scratch: scratch.path(),
            })?;
            show(&options, &report, report.is_good())
        }
        Some(Subject::Tags { serverless }) => {
            let mut report = tags::measure(&options.program, options.seconds, &options.only, scratch.path())?;
            if !serverless {
                report.serve(&options.program, options.seconds, scratch.path())?;
            }
            show(&options, &report, report.is_good())
        }
    }
}

fn show<R: Serialize + Display>(options: &Options, report: &R, good: bool) -> anyhow::Result<ExitCode> {
    if options.json {
        println!("{}", serde_json::to_string_pretty(report)?);
    } else {
        println!("{report}");
    }
    Ok(if good || !options.check { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn measure(options: &Options, scratch: &Path) -> anyhow::Result<Report> {
    let mut report = Report {
        cores: std::thread::available_parallelism()?.get(),
        fdatasync_us: fdatasync_us(scratch)?,
        ..Report::default()
    };
    let server = Server::start(&options.program, &scratch.join("signing"))?;
    let kinds = if options.only.is_empty() { Kind::value_variants() } else { &options.only };
    for kind in kinds {
        make_key(&server, *kind)?;
    }
    std::thread::sleep(Duration::from_secs(1));
    report.memory = Some(memory(&server)?);

    for kind in kinds {
        singles(options, &server, *kind, &mut report)?;
    }
    if !options.singles {
        for kind in [Kind::P384, Kind::P256, Kind::Ed25519] {
            if kinds.contains(&kind) {
                batches(options, &server, kind, &mut report)?;
            }
        }
        let peak = report.singles.iter().find(|s| s.kind == Kind::Rsa2048 && s.connections == BUSY);
        if let Some((rate, bare)) = peak.map(|single| (single.per_second / 2.0, single.bare)) {
            report.half_load = Some(half_load(options, &server, rate, bare)?);
        }
    }
    server.stop()?;
    if !options.singles && options.keys > 0 {
        report.start = Some(start(options, &scratch.join("start"))?);
    }
    Ok(report)
}

fn make_key(server: &Server, kind: Kind) -> anyhow::Result<()> {
    let name = kind.name();
    let body = format!(r#"{{"name":"bench-{name}","type":"{name}"}}"#);
    server.ask("POST", "/countersign/v1/keys", &body, 201)?;
    Ok(())
}

fn singles(options: &Options, server: &Server, kind: Kind, report: &mut Report) -> anyhow::Result<()> {
    let bare = Bare::measure(kind)?;
    let path = format!("/countersign/v1/keys/bench-{}/sign", kind.name());
    let body = format!("{{{}}}", kind.content());
    let answer = server.ask("POST", &path, &body, 200)?;
    ensure!(answer.contains("\"signature\""), "an answer without a signature: {answer}");
    let requests = [server.request("POST", &path, &body)];
    let first = report.singles.len();
    for &connections in &options.connections {
        progress(&format!("{} on {connections} connections", kind.name()));
        let (outcome, cpu, generator) = loaded(options, server, &requests, connections)?;
        let count = outcome.latencies.len() as f64;
        report.singles.push(Single {
            kind,
            connections,
            per_second: outcome.rate(),
            p50_us: us(outcome.quantile(0.5)),
            p99_us: us(outcome.quantile(0.99)),
            cpu_us: us(cpu) / count,
            generator_us: us(generator) / count,
            bare,
        });
    }
    let bare = bare.mean(Bare::measure(kind)?);
    for single in &mut report.singles[first..] {
        single.bare = bare;
    }
    Ok(())
}

fn batches(options: &Options, server: &Server, kind: Kind, report: &mut Report) -> anyhow::Result<()> {
    const ITEMS: usize = 100;
    let bare = Bare::measure(kind)?;
    let item = format!(r#"{{"key":"bench-{}",{}}}"#, kind.name(), kind.content());
    let body = format!(r#"{{"items":[{}]}}"#, vec![item; ITEMS].join(","));
    let answer = server.ask("POST", "/countersign/v1/sign", &body, 200)?;
    let signed = answer.matches("\"signature\"").count();
    ensure!(signed == ITEMS, "{signed} of {ITEMS} items were signed: {answer}");
    let requests = [server.request("POST", "/countersign/v1/sign", &body)];
    for connections in [1, 2, 4] {
        progress(&format!("batches of {ITEMS} {} on {connections} connections", kind.name()));
        let (outcome, cpu, _) = loaded(options, server, &requests, connections)?;
        report.batches.push(Batch {
            kind,
            items: ITEMS,
            connections,
            signatures_per_second: outcome.rate() * ITEMS as f64,
            p50_us: us(outcome.quantile(0.5)),
            p99_us: us(outcome.quantile(0.99)),
            cpu_us_per_signature: us(cpu) / (outcome.latencies.len() * ITEMS) as f64,
            bare,
        });
    }
    Ok(())
}

/// Runs for the time that was asked for, after a moment to get warm: what came of it, and the CPU time that
/// the server and this process spent on it.
fn loaded(
    options: &Options,
    server: &Server,
    requests: &[Vec<u8>],
    connections: usize,
) -> anyhow::Result<(Outcome, Duration, Duration)> {
    let plan = |time| Plan { requests, connections, stop: Stop::After(time), pace: Pace::Closed };
    load::run(server.address(), &plan(Duration::from_millis(300)))?.all_good()?;
    let (server_before, own_before) = (server.cpu()?, own_cpu());
    let time = Duration::from_secs_f64(options.seconds);
    let outcome = load::run(server.address(), &plan(time))?.all_good()?;
    Ok((outcome, server.cpu()? - server_before, own_cpu() - own_before))
}

fn half_load(options: &Options, server: &Server, rate: f64, bare: Bare) -> anyhow::Result<HalfLoad> {
    let kind = Kind::Rsa2048;
    progress(&format!("{} at {rate:.0} requests/s", kind.name()));
    let path = format!("/countersign/v1/keys/bench-{}/sign", kind.name());
    let requests = [server.request("POST", &path, &format!("{{{}}}", kind.content()))];
    let stop = Stop::After(Duration::from_secs_f64(options.seconds));
    let plan = Plan { requests: &requests, connections: BUSY, stop, pace: Pace::PerSecond(rate) };
    let outcome = load::run(server.address(), &plan)?.all_good()?;
    Ok(HalfLoad {
        kind,
        asked_per_second: rate,
        per_second: outcome.rate(),
        p50_us: us(outcome.quantile(0.5)),
        p99_us: us(outcome.quantile(0.99)),
        bare,
    })
}

fn memory(server: &Server) -> anyhow::Result<Memory> {
    let (resident, proportional) = server.memory()?;
    Ok(Memory { processes: server.process_count()?, resident, proportional })
}

/// Makes keys through the API, then times starts on the directory.
fn start(options: &Options, data: &Path) -> anyhow::Result<Start> {
    const STARTS: usize = 7;
    progress(&format!("making {} keys", options.keys));
    let server = Server::start(&options.program, data)?;
    let requests: Vec<Vec<u8>> = (0..options.keys)
        .map(|number| {
            let body = format!(r#"{{"name":"key-{number}","type":"ed25519"}}"#);
            server.request("POST", "/countersign/v1/keys", &body)
        })
        .collect();
    let stop = Stop::Count(requests.len());
    let plan = Plan { requests: &requests, connections: BUSY, stop, pace: Pace::Closed };
    let made = load::run(server.address(), &plan)?.all_good()?;
    server.stop()?;

    progress("starts");
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let server = Server::start(&options.program, data)?;
        times.push(us(server.ready_after) / 1e3);
        server.stop()?;
    }
    times.sort_by(f64::total_cmp);
    Ok(Start {
        keys: options.keys,
        median_ms: times[STARTS / 2],
        worst_ms: times[STARTS - 1],
        keys_made_per_second: made.rate(),
    })
}

/// Median time of a write of 512 bytes that is on the disk when it returns.
fn fdatasync_us(directory: &Path) -> anyhow::Result<f64> {
    let mut file = fs::File::create(directory.join("fdatasync")).context("cannot write to the directory")?;
    let mut times = Vec::new();
    for _ in 0..200 {
        let begun = Instant::now();
        file.write_all(&[7; 512])?;
        file.sync_data()?;
        times.push(us(begun.elapsed()));
    }
    times.sort_by(f64::total_cmp);
    Ok(times[100])
}

fn own_cpu() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

fn progress(what: &str) {
    eprintln!("… {what}");
}
