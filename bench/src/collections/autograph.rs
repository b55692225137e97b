//! Signatures for others, through the Autograph surface: each request with a Hawk header of its own.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_model::hawk::{self, Artifacts, Target, Transport};
use serde_json::Value;

use super::report::Signatures;
use super::{Options, progress};
use crate::bare::Bare;
use crate::kind::Kind;
use crate::load::{self, Outcome, Pace, Plan, Stop};
use crate::report::{BUSY, us};
use crate::server::Server;

const PATH: &str = "/sign/data";
const JSON: &str = "application/json";

/// Measures a server of its own.
pub fn measure(options: &Options<'_>) -> anyhow::Result<Vec<Signatures>> {
    let server = Server::start(options.program, &options.scratch.join("autograph"))?;
    let made = server.ask("POST", "/countersign/v1/principals/admin/hawk", "{}", 201)?;
    let made: Value = serde_json::from_str(&made)?;
    let text = |name: &str| made[name].as_str().map(str::to_owned).context("not a Hawk pair");
    let pair = Pair { id: text("id")?, secret: text("secret")? };
    let mut measured = Vec::new();
    for (kind, items) in [(Kind::P384, 1), (Kind::P384, 100), (Kind::Rsa2048, 1), (Kind::Rsa2048, 100)] {
        if items == 1 {
            let body = format!(r#"{{"name":"bench-{0}","type":"{0}"}}"#, kind.name());
            server.ask("POST", "/countersign/v1/keys", &body, 201)?;
        }
        measured.push(signatures(options, &server, &pair, kind, items)?);
    }
    server.stop()?;
    Ok(measured)
}

/// A Hawk id and its secret.
struct Pair {
    id: String,
    secret: String,
}

impl Pair {
    /// Renders requests; none may be sent twice, or much later.
    fn requests(&self, body: &str, count: usize) -> anyhow::Result<Vec<Vec<u8>>> {
        let target = Target::new("POST", PATH, "bench", Transport::Http)?;
        let hash = hawk::payload_hash(JSON, body.as_bytes());
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let render = |number: usize| {
            let nonce = format!("{:x}-{number:x}", now.as_nanos());
            let hash = Some(hash.clone());
            let artifacts = Artifacts { ts: now.as_secs(), nonce, hash, ..Artifacts::default() };
            let header = hawk::header(&self.id, self.secret.as_bytes(), &target, &artifacts)?;
            let credentials = format!("Authorization: {header}");
            Ok(load::request_with("POST", PATH, &credentials, JSON, body.as_bytes()))
        };
        (0..count).map(render).collect()
    }
}

fn signatures(
    options: &Options<'_>,
    server: &Server,
    pair: &Pair,
    kind: Kind,
    items: usize,
) -> anyhow::Result<Signatures> {
    progress(&format!("{} through {PATH}, {items} a request", kind.name()));
    let before = Bare::measure(kind)?;
    let input = STANDARD.encode([0x5a; 300]);
    let item = format!(r#"{{"input":"{input}","keyid":"bench-{}"}}"#, kind.name());
    let body = format!("[{}]", vec![item; items].join(","));
    let [first] = &pair.requests(&body, 1)?[..] else { anyhow::bail!("not one request") };
    let (status, answer) = load::exchange(server.address(), first)?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    ensure!(status == 201, "{status}: {answer}");
    ensure!(answer.matches("\"signature\"").count() == items, "not {items} signatures: {answer}");

    let connections = if items == 1 { BUSY } else { 4 };
    let run = |count: usize| -> anyhow::Result<Outcome> {
        let requests = pair.requests(&body, count)?;
        let stop = Stop::Count(count);
        let plan = Plan { requests: &requests, connections, stop, pace: Pace::Closed };
        load::run(server.address(), &plan)?.all_good()
    };
    // How many there are to be made depends on how fast they go.
    let warm = run((400 / items).max(8))?;
    let count = (warm.rate() * options.seconds) as usize + connections;
    let cpu = server.cpu()?;
    let outcome = run(count)?;
    let cpu: Duration = server.cpu()? - cpu;
    Ok(Signatures {
        kind,
        items,
        connections,
        per_second: outcome.rate() * items as f64,
        p50_us: us(outcome.quantile(0.5)),
        p99_us: us(outcome.quantile(0.99)),
        cpu_us: us(cpu) / (outcome.latencies.len() * items) as f64,
        bare: before.mean(Bare::measure(kind)?),
        load: super::report::load(),
    })
}
