//! An Autograph that signs for us, elsewhere and with keys of its own.
//!
//! ```text
//! POST URL/sign/data   [{"input": BASE64, "keyid": ID}, …]      → 201 [{"signature", "x5u", "public_key", …}, …]
//! POST URL/signature   [{"input", "keyid", "hashwith": "sha384"}] → the same, as readers of 2016 have it
//! ```
//!
//! The input is the canonical JSON; the service puts the prefix before it. An answer is believed if it has what was
//! asked for in that order, and if every signature verifies with the public key that came with it, or where none came
//! with that of the chain at `x5u`. Whose key that is says the chain, to readers who have its root pinned.
//!
//! A signature that is made elsewhere has its entry in the log there, and none in ours. What was published by it is in
//! the history of the collection, with who did it.
//!
//! Nothing is sent to a service that failed five times in a row for half a minute, and then one request
//! ([`CircuitState`]).

pub mod answer;
mod circuit;
mod client;

use std::collections::BTreeMap;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use countersign_model::hawk;
use countersign_records::collections::content_signature::Profile;
use serde_json::Value;

use super::outside::{HttpAnswer, HttpError, HttpMethod, HttpRequest, send};
use super::settings::{AutographSettings, Settings, Signer};
use crate::context::Context;
use answer::AnswerError;
use circuit::Circuit;

pub use circuit::CircuitState;

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

/// What is known of each service: how it answered lately.
#[derive(Debug)]
pub(super) struct State {
    circuits: BTreeMap<String, Circuit>,
}

impl State {
    pub(super) fn new(settings: &Settings) -> Self {
        let urls = settings.resources.iter().filter_map(|resource| match &resource.signer {
            Signer::Autograph(autograph) => Some(autograph.url.clone()),
            Signer::Local(_) => None,
        });
        Self { circuits: urls.map(|url| (url, Circuit::default())).collect() }
    }
}

/// Whether each of the services that are configured is asked now, by its address.
pub fn circuits(ctx: &Context) -> Vec<(String, CircuitState)> {
    let now = Instant::now();
    let circuits = &ctx.collections.autographs.circuits;
    circuits.iter().map(|(url, circuit)| (url.clone(), circuit.state(now))).collect()
}

/// Has a content signed by every key of `settings`. The bundles are in their order.
///
/// - `content`: canonical JSON, without a prefix.
///
/// # Errors
/// [`Error`]: there is no signature then, though some may have been made.
pub(super) async fn sign(
    ctx: &Context,
    settings: &AutographSettings,
    profile: Profile,
    content: String,
) -> Result<Vec<Value>, Error> {
    // Made for each address in the configuration.
    let circuit = ctx.collections.autographs.circuits.get(&settings.url).ok_or(Error::LeftAlone)?;
    let path = match profile {
        Profile::Modern => "/sign/data",
        Profile::Seed => "/signature",
    };
    let body = body(profile, &settings.key_ids, &content);
    let answer = client::post(ctx, settings, circuit, path, body).await?;
    let bundles = answer::read(profile, &settings.key_ids, &answer)?;
    let mut checked = Vec::with_capacity(bundles.len());
    for (id, bundle) in settings.key_ids.iter().zip(bundles) {
        let key = match (answer::key_of(id, &bundle)?, bundle.x5u()) {
            (Some(key), _) => key,
            (None, Some(x5u)) => {
                let pem = chain(ctx, settings, x5u).await?;
                answer::key_of_chain(id, &pem, ctx.now())?
            }
            (None, None) => return Err(AnswerError::NoKey(id.clone()).into()),
        };
        let bundle = answer::check(profile, id, bundle, &key, content.as_bytes())?;
        let value =
            serde_json::to_value(&bundle).map_err(|error| crate::Error::Internal(error.to_string()))?;
        checked.push(value);
    }
    Ok(checked)
}

/// The requests for all keys, written without a second copy of the content in between.
fn body(profile: Profile, key_ids: &[String], content: &str) -> Bytes {
    let input = STANDARD.encode(content);
    let mut body = String::with_capacity(key_ids.len() * (input.len() + 128) + 2);
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
    body.push_str(if body.is_empty() { "[]" } else { "]" });
    body.into()
}

/// Fetches the chain that an answer names instead of a key.
async fn chain(ctx: &Context, settings: &AutographSettings, x5u: &str) -> Result<String, Error> {
    let request = HttpRequest {
        method: HttpMethod::Get,
        url: x5u.to_owned(),
        headers: Vec::new(),
        body: Bytes::new(),
        timeout: settings.timeout,
        longest: LONGEST_ANSWER,
    };
    match send(ctx, request).await? {
        HttpAnswer { status: 200, body } => Ok(String::from_utf8_lossy(&body).into_owned()),
        HttpAnswer { status, .. } => Err(Error::Failed(status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_asked_for_the_same_content() {
        let ids = ["a".to_owned(), "\"b\"".to_owned()];
        let modern: Value = serde_json::from_slice(&body(Profile::Modern, &ids, "{}")).unwrap();
        assert_eq!(
            modern,
            serde_json::json!([{"input": "e30=", "keyid": "a"}, {"input": "e30=", "keyid": "\"b\""}])
        );
        let seed: Value = serde_json::from_slice(&body(Profile::Seed, &ids[..1], "{}")).unwrap();
        assert_eq!(
            seed,
            serde_json::json!([{"input": "e30=", "keyid": "a", "hashwith": "sha384",
                                "signature_encoding": "rs_base64url"}])
        );
        assert_eq!(&body(Profile::Modern, &[], "{}")[..], b"[]");
    }
}
