//! Writing records, and reading what does not change.

use super::place::{self, DESTINATION, PLAIN, SOURCE};
use super::report::Database;
use super::{Asked, Options, Place, rate};
use crate::load;
use crate::report::BUSY;
use crate::server::Server;

/// Records that are written over and over: at first they are made, then replaced.
const RECORDS: usize = 10_000;
/// Records of the changeset that is read.
const READ: usize = 50;

/// Measures on an empty server.
pub fn measure(
    options: &Options<'_>,
    server: &Server,
    share: f64,
    measured: &mut Database,
) -> anyhow::Result<()> {
    PLAIN.make(server)?;
    SOURCE.make(server)?;
    if options.wants("put") {
        for (what, place) in [("put", PLAIN), ("put, to be signed", SOURCE)] {
            let asked = Asked {
                what,
                items: 1,
                connections: BUSY,
                wanted: (place.bucket == PLAIN.bucket).then_some(3_000.0 / share),
                published: Some(if share > 1.0 { 110.0 } else { 530.0 }),
            };
            measured.rates.push(rate(options, server, &puts(server, place), asked)?);
        }
    }
    if options.wants("batch") {
        for (what, items, place) in [
            ("batch of 25", 25, PLAIN),
            ("batch of 200", 200, PLAIN),
            ("batch of 200, to be signed", 200, SOURCE),
        ] {
            let bodies = place.batches(RECORDS, items);
            place::check_batch(server, &bodies[0])?;
            let requests: Vec<_> =
                bodies.iter().map(|body| server.request("POST", "/v1/batch", body)).collect();
            let asked = Asked {
                what,
                items,
                connections: 8,
                wanted: (place.bucket == PLAIN.bucket && items == 200).then_some(20_000.0 / share),
                published: Some(if share > 1.0 { 147.0 } else { 1_020.0 }),
            };
            measured.rates.push(rate(options, server, &requests, asked)?);
        }
    }
    if options.wants("read") {
        measured.rates.extend(reads(options, server)?);
    }
    Ok(())
}

fn puts(server: &Server, place: Place) -> Vec<Vec<u8>> {
    let put = |number| server.request("PUT", &format!("/v1{}", place.record(number)), &place::body(number));
    (0..RECORDS).map(put).collect()
}

/// A changeset that does not change, and one object.
fn reads(options: &Options<'_>, server: &Server) -> anyhow::Result<Vec<super::Rate>> {
    let source = Place { collection: "read", ..SOURCE };
    server.ask("PUT", &format!("/v1{}", source.path()), "", 201)?;
    for body in source.batches(READ, READ) {
        place::check_batch(server, &body)?;
    }
    server.ask("PATCH", &format!("/v1{}", source.path()), r#"{"data":{"status":"to-sign"}}"#, 200)?;

    let destination = Place { collection: "read", ..DESTINATION };
    let changeset = place::anonymous(&format!("/v1{}/changeset?_expected=0", destination.path()));
    let (status, body) = load::exchange(server.address(), &changeset)?;
    anyhow::ensure!(status == 200, "{status}: {}", String::from_utf8_lossy(&body));
    let asked =
        Asked { what: "changeset", items: 1, connections: BUSY, wanted: Some(20_000.0), published: None };
    let changeset = rate(options, server, &[changeset], asked)?;

    let record = server.request("GET", &format!("/v1{}", source.record(7)), "");
    let asked = Asked { what: "get", items: 1, connections: BUSY, wanted: None, published: None };
    Ok(vec![changeset, rate(options, server, &[record], asked)?])
}
