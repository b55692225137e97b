//! What tags cost: to validate in process next to the bare operation, to read as a whole process next to a shell
//! with `awk` and `openssl`, to sign and validate over HTTP.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use countersign_model::{PublicKey, RawSignature, Scheme, ToSign};
use countersign_records::tag::{AuthorityName, TagFile, WeakKeys, scheme_for};
use countersign_verify::authority::{AuthorityKey, AuthorityKeys, judge};
use serde::Serialize;

use crate::bare::{Bare, cpu_us};
use crate::kind::Kind;
use crate::load::{self, Outcome, Pace, Plan, Stop};
use crate::report::{BUSY, us};
use crate::server::Server;

/// All that was measured about tags.
#[derive(Serialize)]
pub struct Report {
    /// The machine.
    pub cores: usize,
    /// In process, and as whole processes.
    pub validations: Vec<Validation>,
    /// Over HTTP.
    pub requests: Vec<Request>,
}

/// Validating a file of one signature over 1 KiB.
#[derive(Serialize)]
pub struct Validation {
    pub kind: Kind,
    /// CPU time to read the file and judge the signature, in this process.
    pub cpu_us: f64,
    /// CPU time to hash the payload and check the signature with a key parsed before.
    pub bare_us: f64,
    /// Median time of `countersign tag payload` as a whole process.
    pub process_ms: f64,
    /// Time of one turn of a shell's loop around `awk`, `base64` and `openssl dgst -verify`.
    pub shell_ms: f64,
}

/// Requests to `POST /tags/…` on [`BUSY`] connections.
#[derive(Serialize)]
pub struct Request {
    pub what: &'static str,
    pub kind: Kind,
    pub per_second: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    /// CPU time of all processes of the server for one request.
    pub cpu_us: f64,
    /// CPU time of the signature, or of hashing and checking it, alone.
    pub bare_us: f64,
    /// How many times as many as shell loops do that have all cores.
    pub faster: f64,
}

impl Validation {
    /// How many a core validates in a second.
    fn per_second(&self) -> f64 {
        1e6 / self.cpu_us
    }
}

const KINDS: [Kind; 5] = [Kind::Rsa2048, Kind::Rsa4096, Kind::P256, Kind::P384, Kind::P521];

/// Measures what needs no server.
///
/// # Errors
/// If a tool is missing or anything is not signed or not valid.
pub fn measure(program: &Path, seconds: f64, only: &[Kind], scratch: &Path) -> anyhow::Result<Report> {
    let cores = thread::available_parallelism()?.get();
    let mut report = Report { cores, validations: Vec::new(), requests: Vec::new() };
    for kind in KINDS.into_iter().filter(|kind| only.is_empty() || only.contains(kind)) {
        let signed = Signed::make(kind, scratch)?;
        report.validations.push(validation(program, seconds, cores, &signed)?);
    }
    Ok(report)
}

impl Report {
    /// Measures the same kinds over HTTP, with a server of its own in `scratch`.
    ///
    /// # Errors
    /// If the server does not start, or any answer is not a success.
    pub fn serve(&mut self, program: &Path, seconds: f64, scratch: &Path) -> anyhow::Result<()> {
        let server = Server::start(program, &scratch.join("tags"))?;
        for validation in &self.validations {
            let signed = Signed::make(validation.kind, scratch)?;
            let sign = Peer { bare_us: Bare::measure(signed.kind)?.us(), shell_ms: sign_ms(&signed)? };
            let validate = Peer { bare_us: validation.bare_us, shell_ms: validation.shell_ms };
            self.requests.extend(requests(&server, seconds, self.cores, &signed, [sign, validate])?);
        }
        server.stop()
    }
}

/// What the same costs elsewhere.
#[derive(Clone, Copy)]
struct Peer {
    /// CPU time of the operation alone.
    bare_us: f64,
    /// Time of one turn of a shell's loop.
    shell_ms: f64,
}

/// A file that `openssl` signed, with its key.
struct Signed {
    kind: Kind,
    folder: PathBuf,
    payload: Vec<u8>,
    file: Vec<u8>,
    key: PublicKey,
}

impl Signed {
    fn make(kind: Kind, scratch: &Path) -> anyhow::Result<Self> {
        let name = kind.name();
        let folder = scratch.join(name);
        fs::create_dir_all(&folder)?;
        let payload = "parameter=value of a job, line by line\n".repeat(27)[..1024 - 1].to_owned() + "\n";
        fs::write(folder.join("payload"), &payload)?;
        let generate = match kind {
            Kind::Rsa2048 => "RSA -pkeyopt rsa_keygen_bits:2048",
            Kind::Rsa4096 => "RSA -pkeyopt rsa_keygen_bits:4096",
            Kind::P256 => "EC -pkeyopt ec_paramgen_curve:P-256",
            Kind::P384 => "EC -pkeyopt ec_paramgen_curve:P-384",
            Kind::P521 => "EC -pkeyopt ec_paramgen_curve:P-521",
            Kind::Ed25519 => "ED25519",
        };
        let script = format!(
            "openssl genpkey -quiet -algorithm {generate} -out {name}.key 2>/dev/null ||
             openssl genpkey -algorithm {generate} -out {name}.key 2>/dev/null
             openssl pkey -in {name}.key -pubout -out {name}.pub
             {{ cat payload; echo '=== SIGNATURE {name}'
                openssl dgst -sha256 -sign {name}.key payload | base64; }} > signed"
        );
        shell(&script, &folder)?;
        let key = PublicKey::from_pem(&fs::read_to_string(folder.join(format!("{name}.pub")))?)?;
        let file = fs::read(folder.join("signed"))?;
        Ok(Self { kind, folder, payload: payload.into_bytes(), file, key })
    }
}

fn validation(program: &Path, seconds: f64, cores: usize, signed: &Signed) -> anyhow::Result<Validation> {
    progress(&format!("validating {}", signed.kind.name()));
    let name: AuthorityName = signed.kind.name().parse()?;
    let epoch = "2026-01-01T00:00:00Z".parse()?;
    let keys = AuthorityKeys::new(name.clone(), vec![AuthorityKey::new(signed.key.clone(), epoch)])?;
    let validate = || {
        let judged = TagFile::parse(&signed.file).map(|f| judge(&f, &keys, None, epoch, WeakKeys::Refuse));
        assert!(judged.is_ok_and(|judgement| judgement.is_valid()), "the tag is not valid");
    };

    let scheme: Scheme = scheme_for(signed.key.key_type()).context("not a key for tags")?;
    let verifier = signed.key.verifier(scheme)?;
    let signature = signature(signed, &name)?;
    let bare = || {
        let content = ToSign::of_message(scheme, &signed.payload);
        assert!(verifier.verify(&content, &signature).is_ok(), "the signature is not valid");
    };

    let time = Duration::from_secs_f64(seconds / 5.0);
    Ok(Validation {
        kind: signed.kind,
        cpu_us: on_all_cores(cores, time, &validate)?,
        bare_us: on_all_cores(cores, time, &bare)?,
        process_ms: process_ms(program, signed)?,
        shell_ms: shell_ms(signed)?,
    })
}

/// The signature in the file, as the verifier takes it.
fn signature(signed: &Signed, name: &AuthorityName) -> anyhow::Result<RawSignature> {
    let tag = countersign_records::tag::Tag::parse(&signed.file)?;
    let block = tag.block(name).context("the file is not signed")?;
    let width = signed.key.key_type().ecdsa_width();
    Ok(RawSignature::decode(block.signature(), width, countersign_model::Encoding::Der)?)
}

/// CPU time of a call in microseconds, with all cores busy as under load.
fn on_all_cores(cores: usize, time: Duration, call: &(dyn Fn() + Sync)) -> anyhow::Result<f64> {
    let times: Vec<f64> = thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(|| cpu_us(time, call))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    ensure!(times.len() == cores, "a validation failed");
    Ok(times.iter().sum::<f64>() / cores as f64)
}

/// The median of many runs: start, read key and file, check, write the payload, end.
fn process_ms(program: &Path, signed: &Signed) -> anyhow::Result<f64> {
    const RUNS: usize = 101;
    let program = program.canonicalize()?;
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let begun = Instant::now();
        let output = Command::new(&program)
            .args(["tag", "payload", ".", "signed", signed.kind.name()])
            .current_dir(&signed.folder)
            .stdin(Stdio::null())
            .output()?;
        times.push(us(begun.elapsed()) / 1e3);
        ensure!(output.status.success() && output.stdout == signed.payload, "{output:?}");
    }
    times.sort_by(f64::total_cmp);
    Ok(times[RUNS / 2])
}

/// What a script does to validate that has no other tools.
fn shell_ms(signed: &Signed) -> anyhow::Result<f64> {
    let name = signed.kind.name();
    let turn = format!(
        "  awk '/^=== SIGNATURE /{{exit}}{{print}}' signed > text
           awk 'on{{print}} /^=== SIGNATURE {name}$/{{on=1}}' signed | base64 -d > signature
           openssl dgst -sha256 -verify {name}.pub -signature signature text > /dev/null || exit 1"
    );
    turn_ms(signed, &turn)
}

/// What a script does to sign.
fn sign_ms(signed: &Signed) -> anyhow::Result<f64> {
    let name = signed.kind.name();
    let turn = format!(
        "  {{ cat payload; echo '=== SIGNATURE {name}'
             openssl dgst -sha256 -sign {name}.key payload | base64; }} > made || exit 1"
    );
    turn_ms(signed, &turn)
}

/// Time of one turn of a shell's loop.
fn turn_ms(signed: &Signed, turn: &str) -> anyhow::Result<f64> {
    const TURNS: u32 = 50;
    let script = format!("i=0; while [ $i -lt {TURNS} ]; do\n{turn}\ni=$((i + 1)); done");
    let begun = Instant::now();
    shell(&script, &signed.folder)?;
    Ok(us(begun.elapsed()) / 1e3 / f64::from(TURNS))
}

fn requests(
    server: &Server,
    seconds: f64,
    cores: usize,
    signed: &Signed,
    [sign_peer, validate_peer]: [Peer; 2],
) -> anyhow::Result<[Request; 2]> {
    let name = signed.kind.name();
    let algorithm = countersign_records::authorities::algorithm_of(signed.key.key_type());
    let authority = format!(r#"{{"name":"{name}","algorithm":"{algorithm}"}}"#);
    server.ask("POST", "/authorities/", &authority, 201)?;

    let sign =
        server.request_as("POST", &format!("/tags/sign?authority={name}"), "text/plain", &signed.payload);
    let (status, file) = load::exchange(server.address(), &sign)?;
    ensure!(status == 200, "{status}: {}", String::from_utf8_lossy(&file));
    let validate =
        server.request_as("POST", &format!("/tags/validate?authorities={name}"), "text/plain", &file);
    let (status, payload) = load::exchange(server.address(), &validate)?;
    ensure!(status == 200 && payload == signed.payload, "{status}: {}", String::from_utf8_lossy(&payload));

    Ok([
        loaded(server, seconds, cores, signed.kind, "sign", sign, sign_peer)?,
        loaded(server, seconds, cores, signed.kind, "validate", validate, validate_peer)?,
    ])
}

fn loaded(
    server: &Server,
    seconds: f64,
    cores: usize,
    kind: Kind,
    what: &'static str,
    request: Vec<u8>,
    peer: Peer,
) -> anyhow::Result<Request> {
    progress(&format!("{what} {} on {BUSY} connections", kind.name()));
    let requests = [request];
    let run = |time| -> anyhow::Result<Outcome> {
        let plan =
            Plan { requests: &requests, connections: BUSY, stop: Stop::After(time), pace: Pace::Closed };
        load::run(server.address(), &plan)?.all_good()
    };
    run(Duration::from_millis(300))?;
    let before = server.cpu()?;
    let outcome = run(Duration::from_secs_f64(seconds))?;
    let cpu = server.cpu()? - before;
    Ok(Request {
        what,
        kind,
        per_second: outcome.rate(),
        p50_us: us(outcome.quantile(0.5)),
        p99_us: us(outcome.quantile(0.99)),
        cpu_us: us(cpu) / outcome.latencies.len() as f64,
        bare_us: peer.bare_us,
        faster: outcome.rate() * peer.shell_ms / 1e3 / cores as f64,
    })
}

fn shell(script: &str, folder: &Path) -> anyhow::Result<()> {
    let output = Command::new("sh").args(["-c", script]).current_dir(folder).output()?;
    ensure!(output.status.success(), "sh: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn progress(what: &str) {
    eprintln!("… {what}");
}

impl Report {
    /// Whether everything that was measured meets its target.
    pub fn is_good(&self) -> bool {
        self.targets()
            .iter()
            .all(|(_, wanted, got, at_least)| if *at_least { got >= wanted } else { got <= wanted })
    }

    /// What, wanted, got, and whether more is better.
    fn targets(&self) -> Vec<(String, f64, f64, bool)> {
        let mut targets = Vec::new();
        for validation in &self.validations {
            let name = validation.kind.name();
            if validation.kind == Kind::Rsa2048 {
                targets.push((
                    format!("{name}: validations/s of a core"),
                    5000.0,
                    validation.per_second(),
                    true,
                ));
            }
            targets.push((format!("{name}: `tag payload`, ms"), 10.0, validation.process_ms, false));
        }
        for (kind, wanted) in [(Kind::Rsa2048, 800.0), (Kind::P256, 10_000.0)] {
            let found = self.requests.iter().find(|r| r.kind == kind && r.what == "sign");
            targets.extend(
                found.map(|r| (format!("{}: signed/s over HTTP", kind.name()), wanted, r.per_second, true)),
            );
        }
        targets
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} cores, tags of 1 KiB with one signature\n", self.cores)?;
        writeln!(
            f,
            "{:<9} {:>12} {:>8} {:>8} {:>6} {:>11} {:>9} {:>7}",
            "validate", "/s of a core", "CPU µs", "bare µs", "ratio", "process ms", "shell ms", "faster"
        )?;
        for v in &self.validations {
            writeln!(
                f,
                "{:<9} {:>12.0} {:>8.1} {:>8.1} {:>6.2} {:>11.2} {:>9.2} {:>6.0}×",
                v.kind.name(),
                v.per_second(),
                v.cpu_us,
                v.bare_us,
                v.cpu_us / v.bare_us,
                v.process_ms,
                v.shell_ms,
                v.shell_ms * 1e3 / v.cpu_us,
            )?;
        }
        if !self.requests.is_empty() {
            writeln!(
                f,
                "\n{:<9} {:<9} {:>8} {:>8} {:>8} {:>8} {:>8} {:>6} {:>7}",
                "HTTP", "key", "req/s", "p50 µs", "p99 µs", "CPU µs", "bare µs", "ratio", "faster"
            )?;
        }
        for r in &self.requests {
            writeln!(
                f,
                "{:<9} {:<9} {:>8.0} {:>8.0} {:>8.0} {:>8.1} {:>8.1} {:>6.2} {:>6.0}×",
                r.what,
                r.kind.name(),
                r.per_second,
                r.p50_us,
                r.p99_us,
                r.cpu_us,
                r.bare_us,
                r.cpu_us / r.bare_us,
                r.faster
            )?;
        }
        writeln!(f)?;
        for (what, wanted, got, at_least) in self.targets() {
            let (sign, met) = if at_least { ("≥", got >= wanted) } else { ("≤", got <= wanted) };
            let word = if met { "met   " } else { "MISSED" };
            writeln!(f, "{word}  {what:<52} {:>12}  {got:>12.2}", format!("{sign} {wanted:.0}"))?;
        }
        Ok(())
    }
}
