//! Signing a collection: all of it new, then after one change; and how much memory that takes.

use std::time::{Duration, Instant};

use anyhow::ensure;

use super::place::{self, DESTINATION, SOURCE};
use super::report::{Database, Time};
use super::{Options, progress, start};
use crate::load::{self, Pace, Plan, Stop};
use crate::report::us;
use crate::server::Server;

/// Changes that are signed one after the other.
const CHANGES: usize = 9;

/// Measures a collection of so many records on a server of its own.
pub fn measure(
    options: &Options<'_>,
    engine: &'static str,
    url: Option<&str>,
    records: usize,
    measured: &mut Database,
) -> anyhow::Result<()> {
    progress(&format!("{engine}: writing {records} records"));
    let name = format!("sign-{records}");
    let server = start(options, engine, &name, url)?;
    SOURCE.make(&server)?;
    let bodies = SOURCE.batches(records, 200);
    place::check_batch(&server, &bodies[0])?;
    let requests: Vec<_> = bodies.iter().map(|body| server.request("POST", "/v1/batch", body)).collect();
    let stop = Stop::Count(requests.len());
    let plan = Plan { requests: &requests, connections: 4, stop, pace: Pace::Closed };
    load::run(server.address(), &plan)?.all_good()?;
    server.stop()?;

    // As it is after a start: the most memory is then that of the signature.
    let data = options.scratch.join(format!("{}-{name}", engine.to_lowercase()));
    let server = Server::start(options.program, &data)?;
    let is_large = records > 10_000;
    progress(&format!("{engine}: signing {records} new records"));
    let all = sign(&server)?;
    // It is written to files after it was answered.
    std::thread::sleep(Duration::from_secs(3));
    let peak = server.peak()?;
    measured.times.push(Time {
        what: format!("sign {records} new"),
        ms: all,
        wanted: is_large.then_some(5_000.0),
        published: (!is_large).then_some(32_000.0),
        peak: Some(peak),
        ..Time::default()
    });

    progress(&format!("{engine}: signing one change in {records}"));
    let mut times = Vec::new();
    for change in 0..CHANGES {
        let (path, body) = (SOURCE.record(change * 997 % records), place::body(records + change));
        server.ask("PUT", &format!("/v1{path}"), &body, 200)?;
        times.push(sign(&server)?);
    }
    times.sort_by(f64::total_cmp);
    measured.times.push(Time {
        what: format!("sign one change in {records}"),
        ms: times[CHANGES / 2],
        worst_ms: times.last().copied(),
        wanted: Some(if is_large { 250.0 } else { 30.0 }),
        published: (!is_large).then_some(470.0),
        peak: Some(server.peak()?),
    });
    // Last: what readers fetch is kept in memory.
    check(&server, records)?;
    server.stop()
}

/// Asks for a signature. Milliseconds from the first byte sent to the last received.
fn sign(server: &Server) -> anyhow::Result<f64> {
    // What is done in the background after a write is not what is measured.
    std::thread::sleep(Duration::from_millis(100));
    let body = r#"{"data":{"status":"to-sign"}}"#;
    let begun = Instant::now();
    server.ask("PATCH", &format!("/v1{}", SOURCE.path()), body, 200)?;
    Ok(us(begun.elapsed()) / 1e3)
}

/// Whether all was published.
fn check(server: &Server, records: usize) -> anyhow::Result<()> {
    let request = place::anonymous(&format!("/v1{}/changeset?_expected=0", DESTINATION.path()));
    let (status, body) = load::exchange(server.address(), &request)?;
    ensure!(status == 200, "{status}: {}", String::from_utf8_lossy(&body));
    let changeset: serde_json::Value = serde_json::from_slice(&body)?;
    let published = changeset["changes"].as_array().map(Vec::len);
    ensure!(published == Some(records), "{published:?} of {records} records were published");
    Ok(())
}
