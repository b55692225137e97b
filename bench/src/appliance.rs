//! What the appliance costs: each signer over HTTP next to the bare RSA operation of the same minute, a long module,
//! and the memory of the longest body.

use std::fmt;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::bare::Bare;
use crate::kind::Kind;
use crate::load::{self, Outcome, Pace, Plan, Stop};
use crate::report::us;
use crate::server::Server;

/// Of the published figures of the peer.
const CONNECTIONS: usize = 8;
const PROGRAM: &str = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi";
const MIB: usize = 1 << 20;

/// All that was measured about the appliance.
#[derive(Serialize)]
pub struct Report {
    /// The machine.
    pub cores: usize,
    pub signers: Vec<Signer>,
    pub large: Option<Large>,
}

/// Requests to one route on [`CONNECTIONS`] connections.
#[derive(Serialize)]
pub struct Signer {
    pub route: &'static str,
    pub kind: Kind,
    /// What is signed, in bytes.
    pub payload: usize,
    pub per_second: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    /// CPU time of all processes of the server for one request.
    pub cpu_us: f64,
    pub bare: Bare,
    /// How many times the bare operation it may cost.
    pub wanted: f64,
    /// Requests a second of balenaSign 0.10.0 at as many connections, on an idle machine, as published.
    pub peer_per_second: Option<f64>,
}

impl Signer {
    fn ratio(&self) -> f64 {
        self.cpu_us / self.bare.us()
    }
}

/// Long bodies.
#[derive(Serialize)]
pub struct Large {
    /// Median time to sign a module of 64 MiB, sent and received.
    pub module_ms: f64,
    /// The longest body, in bytes.
    pub body: usize,
    /// How much the most memory of all processes grew over what they had when idle.
    pub grown: u64,
    /// Time of that request.
    pub body_ms: f64,
}

impl Large {
    /// Of the body's length, with 50 MB given away.
    fn times_the_body(&self) -> f64 {
        (self.grown as f64 - 50e6).max(0.0) / self.body as f64
    }
}

struct Case {
    route: &'static str,
    kind: Kind,
    payload: usize,
    body: Vec<u8>,
    wanted: f64,
    peer: Option<f64>,
}

/// Measures a server of its own in `scratch`.
///
/// # Errors
/// If the server does not start, or any answer is not a success.
pub fn measure(program: &Path, seconds: f64, large: bool, scratch: &Path) -> anyhow::Result<Report> {
    let server = Server::start(program, &scratch.join("appliance"))?;
    let mut report =
        Report { cores: thread::available_parallelism()?.get(), signers: Vec::new(), large: None };
    for case in cases(&server)? {
        report.signers.push(signer(&server, seconds, &case)?);
    }
    server.stop()?;
    if large {
        report.large = Some(long_bodies(program, scratch)?);
    }
    Ok(report)
}

/// The keys, and what is asked of them. A program as Debian ships it, or nothing where there is none.
fn cases(server: &Server) -> anyhow::Result<Vec<Case>> {
    for (id, length) in [("small", 2048), ("large", 4096)] {
        make(
            server,
            "/cert",
            &format!(r#"{{"cert_id":"{id}","subject":"/CN={id}","key_length":{length}}}"#),
        )?;
    }
    let openpgp = make(server, "/gpg/key", r#"{"name_real":"bench","name_email":"bench@example.test"}"#)?;
    let rsa = make(server, "/rsa/key", "{}")?;
    let (openpgp, rsa) = (fingerprint(&openpgp)?, fingerprint(&rsa)?);
    let text = vec![0x5a; 64 << 10];
    let digest = format!(r#"{{"cert_id":"small","digest":"{}"}}"#, "5a".repeat(32));
    let case = |route, kind, payload: &[u8], key: &str, wanted, peer| Case {
        route,
        kind,
        payload: payload.len(),
        body: sign(key, payload),
        wanted,
        peer,
    };
    let mut cases = vec![
        Case {
            route: "/cert/sign",
            kind: Kind::Rsa2048,
            payload: 32,
            body: digest.into_bytes(),
            wanted: 2.0,
            peer: Some(334.0),
        },
        case("/gpg/sign", Kind::Rsa2048, &text, &openpgp, 2.5, Some(121.0)),
        case("/rsa/sign", Kind::Rsa2048, &text, &rsa, 2.5, None),
        // The target names no length: the signature alone, nearly, and with the hashing of a usual module.
        case("/kmod/sign", Kind::Rsa4096, &text[..4 << 10], "large", 1.2, Some(193.0)),
        case("/kmod/sign", Kind::Rsa4096, &text, "large", 1.2, Some(193.0)),
    ];
    match fs::read(PROGRAM) {
        Ok(image) => cases.push(case("/secureboot/efi", Kind::Rsa2048, &image, "small", 4.0, Some(246.0))),
        Err(error) => progress(&format!("left out /secureboot/efi: {PROGRAM}: {error}")),
    }
    Ok(cases)
}

fn sign(key: &str, payload: &[u8]) -> Vec<u8> {
    let mut body = format!(r#"{{"key_id":"{key}","payload":""#);
    body.reserve(payload.len() / 3 * 4 + 16);
    STANDARD.encode_string(payload, &mut body);
    body.push_str(r#""}"#);
    body.into_bytes()
}

fn make(server: &Server, path: &str, body: &str) -> anyhow::Result<String> {
    let (status, answer) =
        load::exchange(server.address(), &server.request_with_key("POST", path, body.as_bytes()))?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    ensure!(status == 200, "POST {path}: {status}\n{answer}");
    Ok(answer)
}

fn fingerprint(answer: &str) -> anyhow::Result<String> {
    let answer: serde_json::Value = serde_json::from_str(answer)?;
    Ok(answer["fingerprint"].as_str().context("an answer without a fingerprint")?.to_owned())
}

fn signer(server: &Server, seconds: f64, case: &Case) -> anyhow::Result<Signer> {
    progress(&format!("{} on {CONNECTIONS} connections", case.route));
    let before = Bare::measure(case.kind)?;
    let requests = [server.request_with_key("POST", case.route, &case.body)];
    let run = |time| -> anyhow::Result<Outcome> {
        let stop = Stop::After(time);
        let plan = Plan { requests: &requests, connections: CONNECTIONS, stop, pace: Pace::Closed };
        load::run(server.address(), &plan)?.all_good()
    };
    run(Duration::from_millis(300))?;
    let begun = server.cpu()?;
    let outcome = run(Duration::from_secs_f64(seconds))?;
    let cpu = server.cpu()? - begun;
    Ok(Signer {
        route: case.route,
        kind: case.kind,
        payload: case.payload,
        per_second: outcome.rate(),
        p50_us: us(outcome.quantile(0.5)),
        p99_us: us(outcome.quantile(0.99)),
        cpu_us: us(cpu) / outcome.latencies.len() as f64,
        bare: before.mean(Bare::measure(case.kind)?),
        wanted: case.wanted,
        peer_per_second: case.peer,
    })
}

/// With a server that has done nothing else, so that its highest memory is that of the body.
fn long_bodies(program: &Path, scratch: &Path) -> anyhow::Result<Large> {
    let server = Server::start(program, &scratch.join("body"))?;
    make(&server, "/cert", r#"{"cert_id":"large","subject":"/CN=large","key_length":4096}"#)?;
    let idle = server.peak()?;
    progress("a body of 512 MiB");
    // Below the limit with its name and key.
    let body = sign("large", &vec![0x5a; 384 * MIB - 1024]);
    let length = body.len();
    let body_ms = timed(&server, body)?;
    let grown = server.peak()? - idle;
    server.stop()?;

    progress("a module of 64 MiB");
    let server = Server::start(program, &scratch.join("module"))?;
    make(&server, "/cert", r#"{"cert_id":"large","subject":"/CN=large","key_length":4096}"#)?;
    let module = sign("large", &vec![0x5a; 64 * MIB]);
    let mut times = (0..5).map(|_| timed(&server, module.clone())).collect::<anyhow::Result<Vec<f64>>>()?;
    times.sort_by(f64::total_cmp);
    server.stop()?;
    Ok(Large { module_ms: times[2], body: length, grown, body_ms })
}

/// Milliseconds from the first byte sent to the last received.
fn timed(server: &Server, body: Vec<u8>) -> anyhow::Result<f64> {
    let request = server.request_with_key("POST", "/kmod/sign", &body);
    drop(body);
    let begun = Instant::now();
    let (status, answer) = load::exchange(server.address(), &request)?;
    let time = begun.elapsed();
    ensure!(status == 200, "{status}: {}", String::from_utf8_lossy(&answer));
    Ok(us(time) / 1e3)
}

fn progress(what: &str) {
    eprintln!("… {what}");
}

impl Report {
    /// Whether everything that was measured meets its target.
    pub fn is_good(&self) -> bool {
        self.targets().iter().all(|(_, wanted, got)| got <= wanted)
    }

    /// What, wanted at most, got.
    fn targets(&self) -> Vec<(String, f64, f64)> {
        let signers = self.signers.iter();
        let mut targets: Vec<_> = signers
            .map(|s| {
                let what = format!(
                    "{} {}, {} bytes: CPU over the bare operation's",
                    s.route,
                    s.kind.name(),
                    s.payload
                );
                (what, s.wanted, s.ratio())
            })
            .collect();
        if let Some(large) = &self.large {
            targets.push(("a module of 64 MiB, ms".to_owned(), 1000.0, large.module_ms));
            targets.push((
                "memory less 50 MB over a body of 512 MiB".to_owned(),
                2.5,
                large.times_the_body(),
            ));
        }
        targets
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} cores, {CONNECTIONS} connections; balenaSign's figures as published\n", self.cores)?;
        writeln!(
            f,
            "{:<16} {:<8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>6} {:>13}",
            "route",
            "key",
            "bytes",
            "req/s",
            "p50 µs",
            "p99 µs",
            "CPU µs",
            "bare µs",
            "ratio",
            "balenaSign/s"
        )?;
        for s in &self.signers {
            let peer = s.peer_per_second.map_or_else(|| "–".to_owned(), |rate| format!("{rate:.0}"));
            writeln!(
                f,
                "{:<16} {:<8} {:>8} {:>8.0} {:>8.0} {:>8.0} {:>8.1} {:>8.1} {:>6.2} {peer:>13}",
                s.route,
                s.kind.name(),
                s.payload,
                s.per_second,
                s.p50_us,
                s.p99_us,
                s.cpu_us,
                s.bare.us(),
                s.ratio(),
            )?;
        }
        if let Some(large) = &self.large {
            writeln!(
                f,
                "\na module of 64 MiB in {:.0} ms; a body of {} MiB in {:.0} ms with {:.0} MB more memory",
                large.module_ms,
                large.body.div_ceil(MIB),
                large.body_ms,
                large.grown as f64 / 1e6
            )?;
        }
        writeln!(f)?;
        for (what, wanted, got) in self.targets() {
            let word = if got <= wanted { "met   " } else { "MISSED" };
            writeln!(f, "{word}  {what:<62} {:>12}  {got:>12.2}", format!("≤ {wanted}"))?;
        }
        Ok(())
    }
}
