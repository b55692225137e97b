//! The numbers, next to what is wanted, to what the peer has, and to what no one can be faster than.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::limits::Limits;

/// All that was measured about TUF.
#[derive(Serialize)]
pub struct Report {
    /// The machine.
    pub cores: usize,
    pub limits: Limits,
    pub times: Vec<Time>,
    pub growth: Vec<Step>,
    pub rates: Vec<Rate>,
    /// The most memory of all processes together, in bytes.
    pub peak: Option<u64>,
}

/// One thing that takes its time.
#[derive(Serialize)]
pub struct Time {
    pub what: String,
    pub seconds: f64,
    pub wanted: Option<f64>,
    /// As it was published of the peer, idle, on two cores.
    pub peer: Option<f64>,
    /// The signatures and the bytes alone.
    pub bare: Option<f64>,
}

/// One artifact more, at a size.
#[derive(Serialize)]
pub struct Step {
    pub artifacts: usize,
    pub median_ms: f64,
    pub worst_ms: f64,
    pub bin_bytes: u64,
    pub snapshot_bytes: u64,
    /// Three signatures and three files.
    pub bare_ms: f64,
}

/// Requests of one kind, sent as fast as they are answered.
#[derive(Serialize)]
pub struct Rate {
    pub what: &'static str,
    pub per_second: f64,
    pub p99_us: f64,
    pub cpu_us: f64,
    pub wanted: Option<f64>,
    pub peer: Option<f64>,
}

/// The most memory, in MB, and the longest that one artifact may take in a full repository, in ms.
const MOST_MEMORY: f64 = 600.0;
const ONE_MORE: f64 = 50.0;

impl Report {
    /// Nothing yet.
    ///
    /// # Errors
    /// If nobody says how many cores there are.
    pub fn new(limits: Limits) -> anyhow::Result<Self> {
        let cores = std::thread::available_parallelism()?.get();
        Ok(Self { cores, limits, times: Vec::new(), growth: Vec::new(), rates: Vec::new(), peak: None })
    }

    pub(super) fn push(&mut self, what: &str, time: Duration, wanted: Option<f64>, bare: Option<f64>) {
        self.times.push(Time {
            what: what.to_owned(),
            seconds: time.as_secs_f64(),
            wanted,
            peer: None,
            bare,
        });
    }

    /// Whether everything that was measured meets its target.
    pub fn is_good(&self) -> bool {
        self.targets().iter().all(|target| target.met)
    }

    fn targets(&self) -> Vec<Target> {
        let mut targets = Vec::new();
        let most = |what: String, most: f64, got: f64| Target {
            what,
            wanted: format!("≤ {most:.0}"),
            got,
            met: got <= most,
        };
        for time in &self.times {
            targets.extend(time.wanted.map(|wanted| most(format!("{}, s", time.what), wanted, time.seconds)));
        }
        if let Some(last) = self.growth.last() {
            // The signatures and the files, whatever they cost here, are not ours.
            let what = format!("one more of {}, ms over the bare", last.artifacts);
            targets.push(most(what, ONE_MORE, last.median_ms - last.bare_ms));
        }
        if let Some(peak) = self.peak {
            targets.push(most("memory, MB".into(), MOST_MEMORY, peak as f64 / 1e6));
        }
        for rate in &self.rates {
            let at_least = |wanted: f64| Target {
                what: format!("{}, /s", rate.what),
                wanted: format!("≥ {wanted:.0}"),
                got: rate.per_second,
                met: rate.per_second >= wanted,
            };
            targets.extend(rate.wanted.map(at_least));
        }
        targets
    }
}

struct Target {
    what: String,
    wanted: String,
    got: f64,
    met: bool,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Limits { signature, file, sync, byte, .. } = self.limits;
        writeln!(
            f,
            "{} cores; alone: an Ed25519 signature {:.1} µs, a durable file {:.2} ms, one of many {:.2} ms, {:.0} MB/s",
            self.cores,
            signature * 1e6,
            sync * 1e3,
            file * 1e3,
            1e-6 / byte.max(1e-12)
        )?;
        self.write_times(f)?;
        self.write_growth(f)?;
        self.write_rates(f)?;
        if let Some(peak) = self.peak {
            writeln!(f, "\nmemory of all processes at its highest: {:.0} MB", peak as f64 / 1e6)?;
        }
        writeln!(f)?;
        for Target { what, wanted, got, met } in self.targets() {
            let word = if met { "met   " } else { "MISSED" };
            writeln!(f, "{word}  {what:<52} {wanted:>10}  {got:>12.1}")?;
        }
        Ok(())
    }
}

impl Report {
    fn write_times(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:<46} {:>9} {:>9} {:>7} {:>8} {:>8}",
            "SQLite", "s", "peer s", "faster", "bare s", "× bare"
        )?;
        for time in &self.times {
            writeln!(
                f,
                "{:<46} {:>9.3} {:>9} {:>7} {:>8} {:>8}",
                time.what,
                time.seconds,
                or_dash(time.peer, 1),
                or_dash(time.peer.map(|peer| peer / time.seconds), 0),
                or_dash(time.bare, 3),
                or_dash(time.bare.map(|bare| time.seconds / bare), 1)
            )?;
        }
        Ok(())
    }

    fn write_growth(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.growth.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "\n{:<20} {:>9} {:>9} {:>11} {:>15} {:>8} {:>8}",
            "one more artifact of", "ms", "worst ms", "bin bytes", "snapshot bytes", "bare ms", "× bare"
        )?;
        for step in &self.growth {
            writeln!(
                f,
                "{:<20} {:>9.2} {:>9.2} {:>11} {:>15} {:>8.2} {:>8.1}",
                step.artifacts,
                step.median_ms,
                step.worst_ms,
                step.bin_bytes,
                step.snapshot_bytes,
                step.bare_ms,
                step.median_ms / step.bare_ms
            )?;
        }
        Ok(())
    }

    fn write_rates(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rates.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "\n{:<28} {:>9} {:>9} {:>8} {:>8} {:>7}",
            "32 connections", "/s", "p99 µs", "CPU µs", "peer /s", "faster"
        )?;
        for rate in &self.rates {
            writeln!(
                f,
                "{:<28} {:>9.0} {:>9.0} {:>8.1} {:>8} {:>7}",
                rate.what,
                rate.per_second,
                rate.p99_us,
                rate.cpu_us,
                or_dash(rate.peer, 0),
                or_dash(rate.peer.map(|peer| rate.per_second / peer), 1)
            )?;
        }
        Ok(())
    }
}

fn or_dash(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}
