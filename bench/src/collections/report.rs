//! The numbers, next to what is wanted and to what the peer has.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::Asked;
use crate::bare::Bare;
use crate::kind::Kind;
use crate::load::Outcome;
use crate::report::us;

/// All that was measured about collections.
#[derive(Default, Serialize)]
pub struct Report {
    /// The machine.
    pub cores: usize,
    pub databases: Vec<Database>,
    /// Through the Autograph surface.
    pub signatures: Vec<Signatures>,
    /// The peer on this machine.
    pub kinto: Option<Kinto>,
}

/// Everything on one database.
#[derive(Serialize)]
pub struct Database {
    pub engine: &'static str,
    pub rates: Vec<Rate>,
    pub times: Vec<Time>,
}

/// Requests of one kind, sent as fast as they are answered.
#[derive(Serialize)]
pub struct Rate {
    pub what: &'static str,
    pub connections: usize,
    /// Records, or whatever one request has of them, a second.
    pub per_second: f64,
    /// Of a request.
    pub p50_us: f64,
    pub p99_us: f64,
    /// CPU time of all processes of the server for one of them.
    pub cpu_us: Option<f64>,
    pub wanted: Option<f64>,
    /// As it was published of the peer: on PostgreSQL, or on its memory.
    pub published: Option<f64>,
    /// How many processes waited for a core, in the last minute.
    pub load: f64,
}

impl Rate {
    pub(super) fn of(asked: &Asked, outcome: &Outcome, cpu: Option<Duration>) -> Self {
        Self {
            what: asked.what,
            connections: asked.connections,
            per_second: outcome.rate() * asked.items as f64,
            p50_us: us(outcome.quantile(0.5)),
            p99_us: us(outcome.quantile(0.99)),
            cpu_us: cpu.map(|cpu| us(cpu) / (outcome.latencies.len() * asked.items) as f64),
            wanted: asked.wanted,
            published: asked.published,
            load: load(),
        }
    }
}

/// One thing that takes its time.
#[derive(Default, Serialize)]
pub struct Time {
    pub what: String,
    /// The median of those that were measured.
    pub ms: f64,
    pub worst_ms: Option<f64>,
    pub wanted: Option<f64>,
    /// As it was published of the peer on PostgreSQL.
    pub published: Option<f64>,
    /// The most memory of all processes together until then, in bytes.
    pub peak: Option<u64>,
}

/// `POST /sign/data` with so many items in a request.
#[derive(Serialize)]
pub struct Signatures {
    pub kind: Kind,
    pub items: usize,
    pub connections: usize,
    pub per_second: f64,
    /// Of a request.
    pub p50_us: f64,
    pub p99_us: f64,
    /// CPU time of all processes of the server for one signature.
    pub cpu_us: f64,
    pub bare: Bare,
    /// As in [`Rate::load`].
    pub load: f64,
}

/// The peer on its memory backend.
#[derive(Serialize)]
pub struct Kinto {
    pub rates: Vec<Rate>,
}

/// Processes that run or wait to, on average of a minute; nothing if nobody says.
pub fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or_default()
}

/// The most memory that a signature may take.
const MOST_MEMORY: f64 = 200.0;

impl Report {
    /// Whether everything that was measured meets its target.
    pub fn is_good(&self) -> bool {
        self.targets().iter().all(|target| target.is_met())
    }

    fn targets(&self) -> Vec<Target> {
        let mut targets = Vec::new();
        for database in &self.databases {
            let name = |what: &str, unit: &str| format!("{}: {what}{unit}", database.engine);
            for rate in &database.rates {
                let wanted = rate.wanted.map(Wanted::AtLeast);
                let what = name(rate.what, "/s");
                targets.extend(wanted.map(|wanted| Target { what, wanted, got: rate.per_second }));
            }
            for time in &database.times {
                let wanted = time.wanted.map(Wanted::AtMost);
                let what = name(&time.what, ", ms");
                targets.extend(wanted.map(|wanted| Target { what, wanted, got: time.ms }));
            }
            if let Some(peak) = database.times.iter().filter_map(|time| time.peak).max() {
                let wanted = Wanted::AtMost(MOST_MEMORY);
                targets.push(Target { what: name("memory, MB", ""), wanted, got: peak as f64 / 1e6 });
            }
        }
        targets
    }

    /// How many times as fast as the peer on this machine.
    fn over_kinto(&self, rate: &Rate) -> Option<f64> {
        let theirs = self.kinto.as_ref()?.rates.iter().find(|theirs| theirs.what == rate.what)?;
        Some(rate.per_second / theirs.per_second)
    }
}

/// What is to be reached.
struct Target {
    what: String,
    wanted: Wanted,
    got: f64,
}

#[derive(Clone, Copy)]
enum Wanted {
    AtLeast(f64),
    AtMost(f64),
}

impl Target {
    fn is_met(&self) -> bool {
        match self.wanted {
            Wanted::AtLeast(wanted) => self.got >= wanted,
            Wanted::AtMost(wanted) => self.got <= wanted,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted = match self.wanted {
            Wanted::AtLeast(wanted) => format!("≥ {wanted:.0}"),
            Wanted::AtMost(wanted) => format!("≤ {wanted:.0}"),
        };
        let word = if self.is_met() { "met   " } else { "MISSED" };
        write!(f, "{word}  {:<52} {wanted:>12}  {:>12.1}", self.what, self.got)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} cores; Kinto's figures as published: on its memory, on PostgreSQL", self.cores)?;
        for database in &self.databases {
            self.write_database(f, database)?;
        }
        if let Some(kinto) = &self.kinto {
            write_rates(f, "Kinto, in memory", &kinto.rates, |_| None)?;
        }
        if !self.signatures.is_empty() {
            self.write_signatures(f)?;
        }
        writeln!(f)?;
        self.targets().iter().try_for_each(|target| writeln!(f, "{target}"))
    }
}

impl Report {
    fn write_database(&self, f: &mut fmt::Formatter<'_>, database: &Database) -> fmt::Result {
        if !database.rates.is_empty() {
            write_rates(f, database.engine, &database.rates, |rate| self.over_kinto(rate))?;
        }
        if !database.times.is_empty() {
            writeln!(
                f,
                "\n{:<28} {:>9} {:>9} {:>10} {:>8}",
                database.engine, "ms", "worst ms", "memory MB", "Kinto ms"
            )?;
        }
        for time in &database.times {
            writeln!(
                f,
                "{:<28} {:>9.1} {:>9} {:>10} {:>8}",
                time.what,
                time.ms,
                or_dash(time.worst_ms, 1),
                or_dash(time.peak.map(|peak| peak as f64 / 1e6), 0),
                or_dash(time.published, 0)
            )?;
        }
        Ok(())
    }

    fn write_signatures(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:<28} {:>5} {:>9} {:>9} {:>9} {:>8} {:>8} {:>6} {:>6}",
            "POST /sign/data", "items", "/s", "p50 µs", "p99 µs", "CPU µs", "bare µs", "ratio", "load"
        )?;
        for s in &self.signatures {
            let bare = s.bare.us();
            writeln!(
                f,
                "{:<28} {:>5} {:>9.0} {:>9.0} {:>9.0} {:>8.1} {bare:>8.1} {:>6.2} {:>6.1}",
                s.kind.name(),
                s.items,
                s.per_second,
                s.p50_us,
                s.p99_us,
                s.cpu_us,
                s.cpu_us / bare,
                s.load
            )?;
        }
        Ok(())
    }
}

fn write_rates(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    rates: &[Rate],
    faster: impl Fn(&Rate) -> Option<f64>,
) -> fmt::Result {
    writeln!(
        f,
        "\n{title:<28} {:>5} {:>9} {:>9} {:>9} {:>8} {:>6} {:>8} {:>7}",
        "conns", "/s", "p50 µs", "p99 µs", "CPU µs", "load", "Kinto/s", "faster"
    )?;
    for rate in rates {
        let faster = faster(rate).map_or_else(|| "–".to_owned(), |times| format!("{times:.1}×"));
        writeln!(
            f,
            "{:<28} {:>5} {:>9.0} {:>9.0} {:>9.0} {:>8} {:>6.1} {:>8} {faster:>7}",
            rate.what,
            rate.connections,
            rate.per_second,
            rate.p50_us,
            rate.p99_us,
            or_dash(rate.cpu_us, 1),
            rate.load,
            or_dash(rate.published, 0)
        )?;
    }
    Ok(())
}

fn or_dash(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}
