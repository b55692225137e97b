//! A collection of the bench, and what is sent to it.

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::load;
use crate::server::Server;

/// A collection.
#[derive(Clone, Copy)]
pub struct Place {
    pub bucket: &'static str,
    pub collection: &'static str,
}

/// Nobody signs it.
pub const PLAIN: Place = Place { bucket: "plain", collection: "c" };
/// It is signed into [`DESTINATION`].
pub const SOURCE: Place = Place { bucket: "source", collection: "c" };
pub const DESTINATION: Place = Place { bucket: "destination", collection: "c" };

impl Place {
    /// The path of the collection, below `/v1`.
    pub fn path(self) -> String {
        format!("/buckets/{}/collections/{}", self.bucket, self.collection)
    }

    /// Makes bucket and collection.
    pub fn make(self, server: &Server) -> anyhow::Result<()> {
        server.ask("PUT", &format!("/v1/buckets/{}", self.bucket), "", 201)?;
        server.ask("PUT", &format!("/v1{}", self.path()), "", 201)?;
        Ok(())
    }

    /// The path of a record, below `/v1`.
    pub fn record(self, number: usize) -> String {
        format!("{}/records/{}", self.path(), id(number))
    }

    /// Bodies of `POST /v1/batch` that write so many records, so many at once.
    pub fn batches(self, records: usize, at_once: usize) -> Vec<String> {
        let numbers: Vec<usize> = (0..records).collect();
        numbers.chunks(at_once).map(|some| self.batch(some)).collect()
    }

    fn batch(self, numbers: &[usize]) -> String {
        let requests: Vec<String> = numbers
            .iter()
            .map(|number| {
                let (path, body) = (self.record(*number), body(*number));
                format!(r#"{{"method":"PUT","path":"{path}","body":{body}}}"#)
            })
            .collect();
        format!(r#"{{"requests":[{}]}}"#, requests.join(","))
    }
}

/// Sends one batch, and looks into the answer: each of its requests must be a success.
pub fn check_batch(server: &Server, body: &str) -> anyhow::Result<()> {
    let answer: Value = serde_json::from_str(&server.ask("POST", "/v1/batch", body, 200)?)?;
    let answers = answer["responses"].as_array().context("an answer without responses")?;
    let is_good = |answer: &&Value| !matches!(answer["status"].as_u64(), Some(200 | 201));
    let bad = answers.iter().find(is_good);
    ensure!(bad.is_none(), "in a batch: {}", bad.map(Value::to_string).unwrap_or_default());
    Ok(())
}

/// A request without credentials.
pub fn anonymous(path: &str) -> Vec<u8> {
    load::request_with("GET", path, "Accept: */*", "application/json", b"")
}

/// Ids of the kind that most clients make.
fn id(number: usize) -> String {
    let spread = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{:08x}-{:04x}-4000-8000-{number:012x}", spread >> 32, (spread >> 16) & 0xffff)
}

/// A record of some 230 bytes, as an entry of a list of certificates is.
pub fn body(number: usize) -> String {
    format!(
        r#"{{"data":{{"issuerName":"MGsxCzAJBgNVBAYTAlVTMQ4wDAYDVQQKDAVCZW5jaDEM{number:08}","serialNumber":"{number:032x}","enabled":true,"details":{{"bug":"https://bugs.example.org/{number}","who":"ana","why":"a line of text"}},"n":{number}}}}}"#
    )
}
