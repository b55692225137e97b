//! What a TUF repository costs: artifacts in one request until they are published, a million of them in 16 384 bins,
//! one more then, new versions of all bins, readers; how that grows with the repository; next to what was published
//! of the peer, and to the signatures and the bytes alone.

mod limits;
mod report;
mod repository;

use std::path::Path;
use std::time::{Duration, Instant};

use crate::load::{self, Pace, Plan, Stop};
use crate::report::us;
use limits::Limits;
pub use report::Report;
use report::{Rate, Step, Time};
use repository::Repository;

/// What is measured, and with what.
pub struct Options<'a> {
    /// The server's program.
    pub program: &'a Path,
    /// How long each rate is measured.
    pub seconds: f64,
    /// How many artifacts the large repository has.
    pub artifacts: usize,
    /// Only what begins so: `request`, `large`.
    pub only: Option<&'a str>,
    /// Where the data goes.
    pub scratch: &'a Path,
}

/// Bins of the large repository: those of the largest one that was ever planned.
const BINS: usize = 16_384;
/// Artifacts in a request.
const REQUEST: usize = 10_000;
/// How often one artifact is added.
const TIMES: usize = 20;

/// Measures servers of its own, on SQLite.
///
/// # Errors
/// If a server does not start, or any answer is not a success.
pub fn measure(options: &Options<'_>) -> anyhow::Result<Report> {
    let wants = |part: &str| options.only.is_none_or(|only| part.starts_with(only));
    let mut report = Report::new(Limits::measure(options.scratch)?)?;
    if wants("request") {
        requests(options, &mut report)?;
    }
    if wants("large") {
        large(options, &mut report)?;
    }
    Ok(report)
}

/// So many artifacts in one request, until they are published, in 256 bins.
fn requests(options: &Options<'_>, report: &mut Report) -> anyhow::Result<()> {
    let mut repository = Repository::start(options.program, &options.scratch.join("requests"), 256)?;
    for (count, wanted, peer) in [(100, None, 9.6), (1_000, None, 23.0), (REQUEST, Some(2.0), 136.0)] {
        progress(&format!("{count} artifacts in one request"));
        let begun = Instant::now();
        repository.add(count, true)?;
        report.times.push(Time {
            what: format!("{count} artifacts in a request, published"),
            seconds: begun.elapsed().as_secs_f64(),
            wanted,
            peer: Some(peer),
            // Each bin, the snapshot and the timestamp once; an artifact is some 200 bytes.
            bare: Some({
                let files = 256.min(count) + 2;
                report.limits.signatures(files) + report.limits.files(files, (count / files * 200) as u64)
            }),
        });
    }
    repository.stop()
}

/// A repository that grows to all artifacts: at each power of ten one more artifact is timed.
fn large(options: &Options<'_>, report: &mut Report) -> anyhow::Result<()> {
    progress(&format!("{BINS} bins"));
    let begun = Instant::now();
    let mut repository = Repository::start(options.program, &options.scratch.join("large"), BINS)?;
    report.push("bootstrap of 16 384 bins", begun.elapsed(), None, None);
    let mut loading = Duration::ZERO;
    let mut size = 1_000;
    while size <= options.artifacts {
        progress(&format!("{size} artifacts"));
        let begun = Instant::now();
        while repository.artifacts < size {
            repository.add(REQUEST.min(size - repository.artifacts), false)?;
        }
        repository.publish_staged()?;
        loading += begun.elapsed();
        report.growth.push(one_more(&mut repository, report.limits)?);
        size *= 10;
    }
    let files = repository.files()?;
    let bare = report.limits.signatures(files.bins) + report.limits.files(files.bins, files.bin_bytes);
    report.push(
        &format!("{} artifacts loaded and published", options.artifacts),
        loading,
        Some(180.0),
        Some(bare),
    );

    progress("all bins anew");
    let begun = Instant::now();
    repository.bump("bins")?;
    report.push("new versions of 16 384 bins", begun.elapsed(), Some(20.0), Some(bare));
    report.peak = Some(repository.server.peak()?);

    progress("readers");
    for (what, path, wanted, peer) in [
        ("GET timestamp.json", "/metadata/timestamp.json".to_owned(), Some(20_000.0), Some(1_480.0)),
        ("GET a bin", files.bin_path, Some(20_000.0), None),
        ("GET the snapshot", files.snapshot_path, None, None),
    ] {
        report.rates.push(rate(options, &repository, what, &path, wanted, peer)?);
    }
    repository.stop()
}

/// Adds one artifact, many times: the median.
fn one_more(repository: &mut Repository, limits: Limits) -> anyhow::Result<Step> {
    let artifacts = repository.artifacts;
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let begun = Instant::now();
        repository.add(1, true)?;
        times.push(us(begun.elapsed()) / 1e3);
    }
    times.sort_by(f64::total_cmp);
    let files = repository.files()?;
    // Its bin, the snapshot, the timestamp.
    let written =
        limits.files(1, files.bin_bytes) + limits.files(1, files.snapshot_bytes) + limits.files(1, 500);
    Ok(Step {
        artifacts,
        median_ms: times[TIMES / 2],
        worst_ms: times[TIMES - 1],
        bin_bytes: files.bin_bytes,
        snapshot_bytes: files.snapshot_bytes,
        bare_ms: (limits.signatures(3) + written) * 1e3,
    })
}

fn rate(
    options: &Options<'_>,
    repository: &Repository,
    what: &'static str,
    path: &str,
    wanted: Option<f64>,
    peer: Option<f64>,
) -> anyhow::Result<Rate> {
    let requests = [load::request("GET", path, "none", "")];
    let run = |seconds| {
        let stop = Stop::After(Duration::from_secs_f64(seconds));
        let plan = Plan { requests: &requests, connections: 32, stop, pace: Pace::Closed };
        load::run(repository.server.address(), &plan)?.all_good()
    };
    run(options.seconds / 10.0)?;
    let before = repository.server.cpu()?;
    let outcome = run(options.seconds)?;
    let cpu = repository.server.cpu()? - before;
    Ok(Rate {
        what,
        per_second: outcome.rate(),
        p99_us: us(outcome.quantile(0.99)),
        cpu_us: us(cpu) / outcome.latencies.len() as f64,
        wanted,
        peer,
    })
}

fn progress(what: &str) {
    eprintln!("… {what}");
}
