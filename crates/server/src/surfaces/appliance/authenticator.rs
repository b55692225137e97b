//! Whose key stands in `X-API-Key`: one of our own tokens, or a balenaCloud key with access to a fleet.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_core::{Caller, Code, Identity};
use countersign_model::digest::sha256;
use countersign_model::{PrincipalName, Surface};
use http::{Extensions, HeaderMap, StatusCode};
use serde_json::Value;

use super::error::Refusal;
use crate::app::{App, Meta};
use crate::auth::{self, Peer, Shown};
use crate::config::{Appliance, ApplianceAuthenticator};
use crate::problem::Problem;

/// Who asks.
///
/// # Errors
/// 401; 503 if balenaCloud does not answer.
pub async fn caller(app: &App, headers: &HeaderMap, extensions: &Extensions) -> Result<Caller, Refusal> {
    let meta = extensions.get::<Meta>().ok_or_else(|| Problem::new(Code::Internal, "no request id"))?;
    let shown = Shown::api_key(headers).map_err(Refusal::from)?;
    if shown.is_none() && meta.peer == Peer::Network {
        return Err(Refusal::unauthorized("No authorization token provided"));
    }
    if let (Some(cloud), Some(shown)) = (&app.balena_cloud, &shown) {
        let identity = cloud.identify(shown.token(), app.ctx.now().as_second()).await?;
        return Ok(Caller::new(identity, Surface::Appliance, meta.request_id.clone()));
    }
    auth::caller_showing(app, shown, meta, Surface::Appliance).map_err(|problem| match problem.code() {
        Code::BadCredentials | Code::NoCredentials => not_valid(),
        _ => problem.into(),
    })
}

fn not_valid() -> Refusal {
    Refusal::unauthorized("Provided apikey is not valid")
}

/// Asks balenaCloud, or an openBalena, whether a key can read a fleet.
pub struct BalenaCloud {
    /// Without one, every key is refused for the time being.
    client: Option<reqwest::Client>,
    api: String,
    fleet: u64,
    seen: Mutex<HashMap<[u8; 32], Seen>>,
}

/// What was found about a key, by the key's SHA-256.
struct Seen {
    identity: Option<Arc<Identity>>,
    until: Instant,
}

/// How long an answer is believed.
const GOOD_FOR: Duration = Duration::from_secs(60);
const BAD_FOR: Duration = Duration::from_secs(5);
/// Keys that are remembered at most.
const MOST_SEEN: usize = 4096;
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer that is read.
const LONGEST_ANSWER: usize = 1 << 20;
/// A session that is older asks for a new one first.
const SESSION_SECONDS: i64 = 3600;
const CLIENT: &str = concat!("countersign/", env!("CARGO_PKG_VERSION"));

impl BalenaCloud {
    /// As it is configured; `None` where our own tokens are asked.
    pub fn of(config: &Appliance) -> Option<Self> {
        let (ApplianceAuthenticator::BalenaCloud, Some(fleet)) = (config.authenticator, config.fleet_id)
        else {
            return None;
        };
        let api = config.api.as_deref().unwrap_or("https://api.balena-cloud.com");
        // The key goes to that address and to no other.
        let redirects = reqwest::redirect::Policy::none();
        let client = reqwest::Client::builder().timeout(TIMEOUT).redirect(redirects).build();
        let client = client.map_err(|error| tracing::error!(%error, "no HTTP client for balenaCloud")).ok();
        let api = api.trim_end_matches('/').to_owned();
        Some(Self { client, api, fleet, seen: Mutex::default() })
    }

    /// - `now`: Unix seconds.
    async fn identify(&self, key: &str, now: i64) -> Result<Arc<Identity>, Refusal> {
        let hash = sha256(key.as_bytes());
        if let Some(known) = self.known(&hash) {
            return known.ok_or_else(not_valid);
        }
        let identity = self.ask(key, now).await?.map(Arc::new);
        self.remember(hash, identity.clone());
        identity.ok_or_else(not_valid)
    }

    fn known(&self, hash: &[u8; 32]) -> Option<Option<Arc<Identity>>> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let found = seen.get(hash)?;
        (Instant::now() < found.until).then(|| found.identity.clone())
    }

    fn remember(&self, hash: [u8; 32], identity: Option<Arc<Identity>>) {
        let now = Instant::now();
        let until = now + if identity.is_some() { GOOD_FOR } else { BAD_FOR };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MOST_SEEN {
            seen.retain(|_, one| now < one.until);
        }
        if seen.len() < MOST_SEEN {
            seen.insert(hash, Seen { identity, until });
        }
    }

    /// Whether the key can read the fleet, and whose it is.
    async fn ask(&self, key: &str, now: i64) -> Result<Option<Identity>, Refusal> {
        let fresh;
        let mut key = key;
        if is_old_session(key, now) {
            match self.get(key, "/whoami").await? {
                Some(Answer::Text(text)) => {
                    fresh = text;
                    key = &fresh;
                }
                _ => return Ok(None),
            }
        }
        let fleet = self.get(key, &format!("/v7/application({})", self.fleet)).await?;
        let sees_fleet = matches!(&fleet, Some(Answer::Json(fleet)) if fleet["d"][0]["app_name"].is_string());
        if !sees_fleet {
            return Ok(None);
        }
        let Some(Answer::Json(actor)) = self.get(key, "/actor/v1/whoami").await? else { return Ok(None) };
        let id = actor["id"].as_u64().map(|id| id.to_string());
        let id = id.or_else(|| actor["id"].as_str().map(str::to_owned));
        let Some(principal) = id.and_then(|id| format!("balena:{id}").parse::<PrincipalName>().ok()) else {
            return Ok(None);
        };
        let roles = "appliance".parse().map(|role| vec![role]).unwrap_or_default();
        Ok(Some(Identity { principal, roles, narrowing: None, token: None }))
    }

    /// `None` if the API refuses the key.
    async fn get(&self, key: &str, path: &str) -> Result<Option<Answer>, Refusal> {
        let client = self.client.as_ref().ok_or_else(|| silent(&"there is no HTTP client"))?;
        let request = client.get(format!("{}{path}", self.api));
        let request = request.bearer_auth(key).header("X-Balena-Client", CLIENT);
        let mut response = request.send().await.map_err(|error| silent(&error))?;
        match response.status() {
            status if status.is_success() => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => return Ok(None),
            status => return Err(silent(&status)),
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| silent(&error))? {
            if body.len() + chunk.len() > LONGEST_ANSWER {
                return Err(silent(&"its answer is too long"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(match serde_json::from_slice(&body) {
            Ok(json) => Some(Answer::Json(json)),
            Err(_) => String::from_utf8(body).ok().map(|text| Answer::Text(text.trim().to_owned())),
        })
    }
}

/// What the API answers.
enum Answer {
    Json(Value),
    /// A session by itself.
    Text(String),
}

/// A failure of the API is no judgement of the key: clients try again.
fn silent(why: &dyn std::fmt::Display) -> Refusal {
    tracing::warn!(error = %why, "balenaCloud could not be asked");
    let detail = "the API key cannot be checked now";
    Refusal::request(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable", detail).retry_after(5)
}

/// Whether a key is a session (a JSON web token) that is older than an hour. Its signature is for the API.
fn is_old_session(key: &str, now: i64) -> bool {
    let mut parts = key.split('.');
    let (Some(_), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok();
    let claims: Option<Value> = claims.and_then(|claims| serde_json::from_slice(&claims).ok());
    claims.and_then(|claims| claims["iat"].as_i64()).is_some_and(|issued| now - issued > SESSION_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_session_has_an_age() {
        let session = |iat: i64| format!("h.{}.s", URL_SAFE_NO_PAD.encode(format!("{{\"iat\":{iat}}}")));
        assert!(!is_old_session("0123456789abcdef", 10_000));
        assert!(!is_old_session(&session(9_000), 10_000));
        assert!(is_old_session(&session(6_000), 10_000));
        for odd in ["", ".", "..", "a.b.c", "a.b.c.d", "h.e30.s"] {
            assert!(!is_old_session(odd, 10_000), "{odd:?}");
        }
    }
}
