//! The numbers, as tables for people and as one JSON document.

use std::fmt::{self, Write as _};
use std::time::Duration;

use serde::Serialize;

use crate::bare::Bare;
use crate::kind::Kind;

/// All that was measured.
#[derive(Default, Serialize)]
pub struct Report {
    /// The machine.
    pub cores: usize,
    /// Median time of a small write with `fdatasync` where the log is, in microseconds.
    pub fdatasync_us: f64,
    /// Single signatures.
    pub singles: Vec<Single>,
    /// Batches.
    pub batches: Vec<Batch>,
    /// RSA-2048 at half of its highest rate.
    pub half_load: Option<HalfLoad>,
    /// Memory, idle.
    pub memory: Option<Memory>,
    /// Start to ready.
    pub start: Option<Start>,
}

/// Single signatures with one kind of key on so many connections.
#[derive(Serialize)]
pub struct Single {
    pub kind: Kind,
    pub connections: usize,
    pub per_second: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    /// CPU time of all processes of the server for one request.
    pub cpu_us: f64,
    /// CPU time of the load generator for one request, on the same cores.
    pub generator_us: f64,
    pub bare: Bare,
}

impl Single {
    /// CPU time above the bare operation.
    pub fn over_us(&self) -> f64 {
        self.cpu_us - self.bare.us()
    }

    /// CPU time as a multiple of the bare operation's.
    pub fn ratio(&self) -> f64 {
        self.cpu_us / self.bare.us()
    }
}

/// Batches of signatures.
#[derive(Serialize)]
pub struct Batch {
    pub kind: Kind,
    pub items: usize,
    pub connections: usize,
    pub signatures_per_second: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub cpu_us_per_signature: f64,
    pub bare: Bare,
}

/// A steady stream of requests that come when they are due.
#[derive(Serialize)]
pub struct HalfLoad {
    pub kind: Kind,
    pub asked_per_second: f64,
    pub per_second: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub bare: Bare,
}

/// Memory of all processes together, in bytes.
#[derive(Serialize)]
pub struct Memory {
    pub processes: usize,
    pub resident: u64,
    /// With shared pages counted once; absent without the right to look.
    pub proportional: Option<u64>,
}

/// Start to ready.
#[derive(Serialize)]
pub struct Start {
    pub keys: usize,
    /// The median of several starts.
    pub median_ms: f64,
    pub worst_ms: f64,
    /// How fast the keys were made.
    pub keys_made_per_second: f64,
}

/// A goal and what came of it.
struct Target {
    what: String,
    wanted: String,
    got: String,
    met: bool,
}

impl Report {
    /// Whether everything that was measured meets its target.
    pub fn is_good(&self) -> bool {
        self.targets().iter().all(|target| target.met)
    }

    fn single(&self, kind: Kind, connections: usize) -> Option<&Single> {
        self.singles.iter().find(|single| single.kind == kind && single.connections == connections)
    }

    fn targets(&self) -> Vec<Target> {
        let mut targets = Vec::new();
        let mut at_most = |what: String, limit: f64, got: f64, unit: &str| {
            let (wanted, got_text) = (format!("≤ {}{unit}", number(limit)), format!("{}{unit}", number(got)));
            targets.push(Target { what, wanted, got: got_text, met: got <= limit });
        };
        for single in self.singles.iter().filter(|single| single.connections == BUSY) {
            let name = single.kind.name();
            if single.kind.is_curve() {
                at_most(format!("{name}: CPU above the bare operation"), 60.0, single.over_us(), " µs");
            }
            if single.kind == Kind::Rsa2048 {
                at_most(format!("{name}: CPU by the bare operation"), 1.25, single.ratio(), "");
            }
            at_most(format!("{name}: p99 by p50"), 10.0, single.p99_us / single.p50_us, "");
        }
        if let Some(load) = &self.half_load {
            let above = (load.p99_us - load.bare.us()) / 1e3;
            at_most("rsa-2048 at half load: p99 above the bare operation".into(), 5.0, above, " ms");
        }
        if let Some(memory) = &self.memory {
            let bytes = memory.proportional.unwrap_or(memory.resident);
            at_most("memory idle, all processes".into(), 40.0, bytes as f64 / 1e6, " MB");
        }
        if let Some(start) = &self.start {
            at_most(format!("start to ready with {} keys", start.keys), 300.0, start.median_ms, " ms");
        }
        let mut at_least = |what: String, limit: f64, got: f64| {
            let (wanted, got_text) = (format!("≥ {}/s", number(limit)), format!("{}/s", number(got)));
            targets.push(Target { what, wanted, got: got_text, met: got >= limit });
        };
        for (kind, limit) in [(Kind::P256, 18_000.0), (Kind::P384, 11_000.0), (Kind::Rsa2048, 4_300.0)] {
            if let Some(single) = self.single(kind, BUSY) {
                at_least(
                    format!("{}: requests on {BUSY} connections", kind.name()),
                    limit,
                    single.per_second,
                );
            }
        }
        if let Some(single) = self.single(Kind::Rsa2048, BUSY) {
            let bare = self.cores as f64 * 1e6 / single.bare.us();
            at_least("rsa-2048: 0.7 of the bare rate of all cores".into(), 0.7 * bare, single.per_second);
        }
        let best = |kind| {
            let rates =
                self.batches.iter().filter(|batch| batch.kind == kind).map(|b| b.signatures_per_second);
            rates.reduce(f64::max)
        };
        if let Some(rate) = best(Kind::P384) {
            at_least("p384: signatures in batches".into(), 16_000.0, rate);
        }
        for kind in [Kind::P256, Kind::Ed25519] {
            let batch = self.batches.iter().find(|batch| batch.kind == kind);
            if let (Some(batch), Some(rate)) = (batch, best(kind)) {
                let bare = self.cores as f64 * 1e6 / batch.bare.us();
                at_least(format!("{}: 0.5 of the bare rate in batches", kind.name()), 0.5 * bare, rate);
            }
        }
        targets
    }
}

/// The number of connections that targets speak of.
pub const BUSY: usize = 32;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} cores, fdatasync {:.0} µs, durable log on", self.cores, self.fdatasync_us)?;
        self.singles(f)?;
        self.batches(f)?;
        if let Some(load) = &self.half_load {
            writeln!(
                f,
                "\nhalf load, {}: {:.0} of {:.0} requests/s, p50 {:.0} µs, p99 {:.0} µs (bare {:.0} µs)",
                load.kind.name(),
                load.per_second,
                load.asked_per_second,
                load.p50_us,
                load.p99_us,
                load.bare.us()
            )?;
        }
        if let Some(memory) = &self.memory {
            let shared = memory.proportional.map_or("not to be seen".into(), mb);
            let (count, resident) = (memory.processes, mb(memory.resident));
            writeln!(f, "\nmemory idle, {count} processes: resident {resident}, shared pages once {shared}")?;
        }
        if let Some(start) = &self.start {
            writeln!(
                f,
                "start to ready with {} keys: median {:.0} ms, worst {:.0} ms (made at {:.0} keys/s)",
                start.keys, start.median_ms, start.worst_ms, start.keys_made_per_second
            )?;
        }
        writeln!(f)?;
        for target in self.targets() {
            let word = if target.met { "met   " } else { "MISSED" };
            writeln!(f, "{word}  {:<52} {:>12}  {:>12}", target.what, target.wanted, target.got)?;
        }
        Ok(())
    }
}

impl Report {
    fn singles(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.singles.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "\n{:<9} {:>5} {:>8} {:>8} {:>8} {:>9} {:>9} {:>9} {:>9} {:>8} {:>6} {:>5}",
            "key",
            "conns",
            "req/s",
            "p50 µs",
            "p99 µs",
            "CPU µs",
            "bare µs",
            "aws-lc",
            "openssl",
            "over µs",
            "ratio",
            "gen"
        )?;
        for single in &self.singles {
            let openssl = single.bare.openssl_us.map_or("-".into(), |us| format!("{us:.1}"));
            writeln!(
                f,
                "{:<9} {:>5} {:>8.0} {:>8.0} {:>8.0} {:>9.1} {:>9.1} {:>9.1} {:>9} {:>8.1} {:>6.2} {:>5.1}",
                single.kind.name(),
                single.connections,
                single.per_second,
                single.p50_us,
                single.p99_us,
                single.cpu_us,
                single.bare.us(),
                single.bare.aws_lc_us,
                openssl,
                single.over_us(),
                single.ratio(),
                single.generator_us,
            )?;
        }
        Ok(())
    }

    fn batches(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.batches.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "\n{:<9} {:>5} {:>5} {:>12} {:>8} {:>8} {:>13} {:>8}",
            "batch of", "items", "conns", "signatures/s", "p50 µs", "p99 µs", "CPU µs/signat", "bare µs"
        )?;
        for batch in &self.batches {
            writeln!(
                f,
                "{:<9} {:>5} {:>5} {:>12.0} {:>8.0} {:>8.0} {:>13.1} {:>8.1}",
                batch.kind.name(),
                batch.items,
                batch.connections,
                batch.signatures_per_second,
                batch.p50_us,
                batch.p99_us,
                batch.cpu_us_per_signature,
                batch.bare.us(),
            )?;
        }
        Ok(())
    }
}

/// Microseconds.
pub fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn mb(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn number(value: f64) -> String {
    let mut text = String::new();
    // Writing to a text does not fail.
    let _ = if value >= 100.0 { write!(text, "{value:.0}") } else { write!(text, "{value:.2}") };
    text
}
