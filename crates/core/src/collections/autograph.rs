//! An Autograph that signs for us, elsewhere and with keys of its own.
//!
//! ```text
//! POST URL/sign/data   [{"input": BASE64, "keyid": ID}, …]      → 201 [{"signature", "x5u", "public_key", …}, …]
//! POST URL/signature   [{"input", "keyid", "hashwith": "sha384"}] → the same, as readers of 2016 have it
//! ```
//!
//! The input is the canonical JSON; the service puts the prefix before it. An answer is believed if it has what was
//! asked for in that order, and if every signature verifies with the public key that came with it, or where none came
//! with that of the chain at `x5u`; where both came, they are the same. Whose key that is says the configuration, if it
//! pins keys or roots, and the chain, to readers who have its root pinned.
//!
//! Nothing is sent from within a transaction: see `remote`.
//!
//! A signature that is made elsewhere has its entry in the log there, and none in ours. What was published by it is in
//! the history of the collection, with who did it.
//!
//! When the chains end that it names is told by [`chain::in_use`](super::chain::in_use), beside our own: see `look`.
//!
//! Nothing is sent to a service that failed five times in a row for half a minute, and then one request
//! ([`CircuitState`]).

pub mod answer;
mod circuit;
mod client;
mod ends;
mod held;
mod judge;
mod look;
mod probe;
mod remote;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use countersign_model::hawk;
use countersign_records::collections::content_signature::Profile;
use serde_json::Value;

use super::outside::HttpError;
use super::settings::{AutographSettings, Settings, Signer};
use crate::context::Context;
use answer::AnswerError;
use circuit::Circuit;
use judge::Judge;

pub use circuit::CircuitState;
pub(super) use ends::in_use;
pub(super) use held::Held;
pub use look::look;
pub(crate) use look::start;
pub(super) use probe::{probe, services};
pub(super) use remote::{MessageId, RemoteSignatures};

/// The longest answer, and the longest chain, that is read.
const LONGEST_ANSWER: usize = 1 << 20;

/// Why an Autograph did not sign.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It failed too often.
    #[error("it failed several times in a row, and is left alone for a while")]
    LeftAlone,
    /// There is no answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// It refuses: the pair is wrong, or may not use the key.
    #[error("it refuses, with status {0}")]
    Refused(u16),
    /// It has trouble of its own.
    #[error("it fails, with status {0}")]
    Failed(u16),
    /// Its answer is not what was asked for.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// The pair or the address cannot be used.
    #[error("the Hawk header: {0}")]
    Hawk(#[from] hawk::HawkError),
    /// Trouble here.
    #[error(transparent)]
    Core(#[from] crate::Error),
}

/// The bodies of requests are filled up to this length, in bytes, where there is more than one content to sign.
const FULL: usize = 8 << 20;

/// What is known of each service.
#[derive(Debug)]
pub(super) struct State {
    services: BTreeMap<String, Service>,
    /// When their chains end.
    seen: ends::Seen,
}

#[derive(Debug, Default)]
struct Service {
    /// How it answered lately.
    circuit: Circuit,
    /// Whether a request that publishes has it for itself.
    held: Arc<tokio::sync::Mutex<()>>,
}

impl State {
    pub(super) fn new(settings: &Settings) -> Self {
        let urls = settings.resources.iter().filter_map(|resource| match &resource.signer {
            Signer::Autograph(autograph) => Some(autograph.url.clone()),
            Signer::Local(_) => None,
        });
        let services: BTreeMap<String, Service> = urls.map(|url| (url, Service::default())).collect();
        for url in services.keys().filter(|url| is_open(url)) {
            tracing::warn!(
                url,
                "this Autograph is reached without TLS: whoever is on the way sees what is to be published, and can \
                 sign in its place unless `public_keys` or `root_sha256` are given"
            );
        }
        Self { services, seen: ends::Seen::default() }
    }
}

/// Whether others can read and change what is sent to an address.
fn is_open(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return false };
    let authority = rest.split('/').next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(literal) => literal.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let is_loopback = host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    host != "localhost" && !is_loopback
}

/// Whether each of the services that are configured is asked now, by its address.
pub fn circuits(ctx: &Context) -> Vec<(String, CircuitState)> {
    let now = Instant::now();
    let services = &ctx.collections.autographs.services;
    services.iter().map(|(url, service)| (url.clone(), service.circuit.state(now))).collect()
}

/// Has contents signed by every key of `settings`. For each, in the order given, the bundles in that of the keys.
///
/// - `contents`: canonical JSON, without a prefix.
/// - `deadline`: until when all of it must be there.
///
/// # Errors
/// [`Error`]: there is no signature then, though some may have been made.
pub(super) async fn sign(
    ctx: &Context,
    settings: &AutographSettings,
    profile: Profile,
    contents: &[String],
    deadline: Instant,
) -> Result<Vec<Vec<Value>>, Error> {
    // Made for each address in the configuration.
    let service = ctx.collections.autographs.services.get(&settings.url).ok_or(Error::LeftAlone)?;
    let path = match profile {
        Profile::Modern => "/sign/data",
        Profile::Seed => "/signature",
    };
    let mut judge = Judge::new(ctx, settings, deadline);
    let mut signed = Vec::with_capacity(contents.len());
    let mut rest = contents;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(fitting(rest, settings.key_ids.len()));
        rest = later;
        let body = body(profile, &settings.key_ids, now);
        let answer = client::post(ctx, settings, &service.circuit, path, body, deadline).await?;
        let asked: Vec<String> = now.iter().flat_map(|_| settings.key_ids.iter().cloned()).collect();
        let mut bundles = asked.iter().zip(answer::read(profile, &asked, &answer)?);
        for content in now {
            let mut checked = Vec::with_capacity(settings.key_ids.len());
            for (id, bundle) in bundles.by_ref().take(settings.key_ids.len()) {
                let key = judge.key_of(id, &bundle).await?;
                let bundle = answer::check(profile, id, bundle, &key, content.as_bytes())?;
                let value = serde_json::to_value(&bundle)
                    .map_err(|error| crate::Error::Internal(error.to_string()))?;
                checked.push(value);
            }
            signed.push(checked);
        }
    }
    Ok(signed)
}

/// How many contents go in one request: as many as fit, but one.
fn fitting(contents: &[String], keys: usize) -> usize {
    let mut bytes = 0_usize;
    let fits = contents.iter().take_while(|content| {
        bytes = bytes.saturating_add((content.len() / 3 * 4 + 128).saturating_mul(keys));
        bytes <= FULL
    });
    fits.count().max(1)
}

/// The requests for all contents and keys, written without a second copy of a content in between.
fn body(profile: Profile, key_ids: &[String], contents: &[String]) -> Bytes {
    let encoded = contents.iter().map(|content| content.len().div_ceil(3) * 4 + 128).sum::<usize>();
    let mut body = String::with_capacity(key_ids.len() * encoded + 2);
    for content in contents {
        let input = STANDARD.encode(content);
        for id in key_ids {
            body.push_str(if body.is_empty() { "[" } else { "," });
            // Base64 has nothing to escape.
            body.push_str("{\"input\":\"");
            body.push_str(&input);
            body.push_str("\",\"keyid\":");
            body.push_str(&Value::from(id.as_str()).to_string());
            body.push_str(match profile {
                Profile::Modern => "}",
                Profile::Seed => ",\"hashwith\":\"sha384\",\"signature_encoding\":\"rs_base64url\"}",
            });
        }
    }
    body.push_str(if body.is_empty() { "[]" } else { "]" });
    body.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_asked_for_each_content() {
        let ids = ["a".to_owned(), "\"b\"".to_owned()];
        let contents = ["{}".to_owned(), "[]".to_owned()];
        let modern: Value = serde_json::from_slice(&body(Profile::Modern, &ids, &contents)).unwrap();
        assert_eq!(
            modern,
            serde_json::json!([{"input": "e30=", "keyid": "a"}, {"input": "e30=", "keyid": "\"b\""},
                               {"input": "W10=", "keyid": "a"}, {"input": "W10=", "keyid": "\"b\""}])
        );
        let seed: Value = serde_json::from_slice(&body(Profile::Seed, &ids[..1], &contents[..1])).unwrap();
        assert_eq!(
            seed,
            serde_json::json!([{"input": "e30=", "keyid": "a", "hashwith": "sha384",
                                "signature_encoding": "rs_base64url"}])
        );
        assert_eq!(&body(Profile::Modern, &[], &contents)[..], b"[]");
    }

    #[test]
    fn a_request_has_as_many_contents_as_fit_and_one_that_does_not() {
        let contents = ["x".repeat(FULL / 4), "x".repeat(FULL / 4), "x".repeat(FULL)];
        assert_eq!(fitting(&contents, 1), 2);
        assert_eq!(fitting(&contents, 2), 1);
        assert_eq!(fitting(&contents[2..], 1), 1);
    }

    #[test]
    fn an_address_is_open_if_others_are_on_the_way_and_nothing_is_encrypted() {
        for (url, open) in [
            ("https://h", false),
            ("http://h/base", true),
            ("http://10.0.0.1:80", true),
            ("http://localhost:1/", false),
            ("http://127.0.0.1:8080/x", false),
            ("http://[::1]:8080", false),
            ("http://[2001:db8::1]:8080", true),
            ("http://localhost.example", true),
        ] {
            assert_eq!(is_open(url), open, "{url}");
        }
    }
}
