//! Whose key stands in `X-API-Key`: one of our own tokens, or a balenaCloud key with access to a fleet.
//!
//! ```text
//! GET /whoami                    first, where the key is a session of more than an hour: a new session
//! GET /v7/application(FLEET)     may it see the fleet? {"d": [{"app_name": …}]}, else {"d": []} or 401
//! GET /actor/v1/whoami           who is it? {"id": …}
//! ```
//! An API that is older and does not have the second or the third is asked as its own clients do:
//! `/v6/application?$filter=…` and `/user/v1/whoami`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_core::{Caller, Code, Identity};
use countersign_model::digest::sha256;
use countersign_model::{PrincipalName, Surface};
use http::{Extensions, HeaderMap, StatusCode};
use serde_json::Value;
use tokio::sync::Semaphore;

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
    good: Mutex<HashMap<Hash, (Arc<Identity>, Instant)>>,
    /// Apart from the good ones: anybody can send as many bad keys as they like.
    bad: Mutex<HashMap<Hash, Instant>>,
    /// Keys that are asked about now, or wait for it.
    asked: Mutex<HashMap<Hash, Weak<Turn>>>,
    places: Semaphore,
}

/// A key's SHA-256.
type Hash = [u8; 32];

/// Held by who asks about a key; whoever else wants to know waits for the answer.
type Turn = tokio::sync::Mutex<()>;

/// How long an answer is believed.
const GOOD_FOR: Duration = Duration::from_secs(60);
const BAD_FOR: Duration = Duration::from_secs(5);
/// Keys of each kind that are remembered at most.
const MOST_SEEN: usize = 4096;
/// Keys that the API is asked about at a time, and how long another one waits for its place.
const MOST_ASKED: usize = 16;
const PATIENCE: Duration = Duration::from_secs(3);
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
        let (good, bad, asked) = (Mutex::default(), Mutex::default(), Mutex::default());
        Some(Self { client, api, fleet, good, bad, asked, places: Semaphore::new(MOST_ASKED) })
    }

    /// - `now`: Unix seconds.
    async fn identify(&self, key: &str, now: i64) -> Result<Arc<Identity>, Refusal> {
        let hash = sha256(key.as_bytes());
        if let Some(known) = self.known(&hash, Instant::now()) {
            return known.ok_or_else(not_valid);
        }
        let turn = self.turn(hash);
        let _turn = turn.lock().await;
        // Whoever had the turn before has the answer, if there was one.
        if let Some(known) = self.known(&hash, Instant::now()) {
            return known.ok_or_else(not_valid);
        }
        let place = tokio::time::timeout(PATIENCE, self.places.acquire()).await;
        let _place = place.map_err(|_| silent(&"too many keys are asked about"))?;
        let identity = self.ask(key, now).await?.map(Arc::new);
        self.remember(hash, identity.clone(), Instant::now());
        identity.ok_or_else(not_valid)
    }

    fn known(&self, hash: &Hash, now: Instant) -> Option<Option<Arc<Identity>>> {
        if let Some((identity, until)) = lock(&self.good).get(hash)
            && now < *until
        {
            return Some(Some(Arc::clone(identity)));
        }
        lock(&self.bad).get(hash).is_some_and(|until| now < *until).then_some(None)
    }

    fn remember(&self, hash: Hash, identity: Option<Arc<Identity>>, now: Instant) {
        match identity {
            Some(identity) => {
                let until = now + GOOD_FOR;
                insert(&mut lock(&self.good), hash, (identity, until), |(_, until)| now < *until);
            }
            None => insert(&mut lock(&self.bad), hash, now + BAD_FOR, |until| now < *until),
        }
    }

    /// The turn to ask about a key.
    fn turn(&self, hash: Hash) -> Arc<Turn> {
        let mut asked = lock(&self.asked);
        if let Some(turn) = asked.get(&hash).and_then(Weak::upgrade) {
            return turn;
        }
        // As many as there are requests waiting, and few others.
        if asked.len() >= 2 * MOST_ASKED {
            asked.retain(|_, turn| turn.strong_count() > 0);
        }
        let turn = Arc::default();
        asked.insert(hash, Arc::downgrade(&turn));
        turn
    }

    /// Whether the key can read the fleet, and whose it is.
    async fn ask(&self, key: &str, now: i64) -> Result<Option<Identity>, Refusal> {
        let fresh;
        let mut key = key;
        if is_old_session(key, now) {
            let Answer::Good(session) = self.get(key, "/whoami").await? else { return Ok(None) };
            fresh = as_text(&session);
            key = &fresh;
        }
        let by_id = format!("/v7/application({})", self.fleet);
        let by_filter = format!("/v6/application?$filter=id%20eq%20'{}'", self.fleet);
        let fleet = self.get_either(key, [&by_id, &by_filter]).await?;
        if !fleet.is_some_and(|fleet| fleet["d"][0]["app_name"].is_string()) {
            return Ok(None);
        }
        let actor = self.get_either(key, ["/actor/v1/whoami", "/user/v1/whoami"]).await?;
        let Some(principal) = actor.and_then(|actor| principal(&actor["id"])) else { return Ok(None) };
        let roles = "appliance".parse().map(|role| vec![role]).unwrap_or_default();
        Ok(Some(Identity { principal, roles, narrowing: None, token: None }))
    }

    /// The JSON of the first of two paths that the API has; `None` if it refuses the key.
    async fn get_either(&self, key: &str, paths: [&str; 2]) -> Result<Option<Value>, Refusal> {
        for path in paths {
            match self.get(key, path).await? {
                Answer::Good(body) => return Ok(serde_json::from_slice(&body).ok()),
                Answer::Refused => return Ok(None),
                Answer::Missing => {}
            }
        }
        Ok(None)
    }

    async fn get(&self, key: &str, path: &str) -> Result<Answer, Refusal> {
        let client = self.client.as_ref().ok_or_else(|| silent(&"there is no HTTP client"))?;
        let request = client.get(format!("{}{path}", self.api));
        let request = request.bearer_auth(key).header("X-Balena-Client", CLIENT);
        let mut response = request.send().await.map_err(|error| silent(&error))?;
        match response.status() {
            status if status.is_success() => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Ok(Answer::Refused),
            StatusCode::NOT_FOUND => return Ok(Answer::Missing),
            status => return Err(silent(&status)),
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| silent(&error))? {
            if body.len() + chunk.len() > LONGEST_ANSWER {
                return Err(silent(&"its answer is too long"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer::Good(body))
    }
}

/// Adds to a memory if it has room; makes room by forgetting what is not good any more.
fn insert<T>(seen: &mut HashMap<Hash, T>, hash: Hash, value: T, is_good: impl Fn(&T) -> bool) {
    if seen.len() >= MOST_SEEN {
        seen.retain(|_, one| is_good(one));
    }
    if seen.len() < MOST_SEEN || seen.contains_key(&hash) {
        seen.insert(hash, value);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the API answers.
enum Answer {
    Good(Vec<u8>),
    /// Not with this key.
    Refused,
    /// It does not know the path.
    Missing,
}

/// A session by itself, or as a JSON text.
fn as_text(body: &[u8]) -> String {
    let json: Option<String> = serde_json::from_slice(body).ok();
    json.unwrap_or_else(|| String::from_utf8_lossy(body).trim().to_owned())
}

/// `balena:ID`; ids are numbers.
fn principal(id: &Value) -> Option<PrincipalName> {
    let id = id.as_u64().map(|id| id.to_string()).or_else(|| id.as_str().map(str::to_owned))?;
    format!("balena:{id}").parse().ok()
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
    fn a_good_answer_is_believed_for_a_minute_and_a_bad_one_for_five_seconds() {
        let config = Appliance {
            authenticator: ApplianceAuthenticator::BalenaCloud,
            fleet_id: Some(7),
            ..Appliance::default()
        };
        let cloud = BalenaCloud::of(&config).unwrap();
        let principal = principal(&5.into()).unwrap();
        let identity = Arc::new(Identity { principal, roles: vec![], narrowing: None, token: None });
        let (good, bad, start) = ([1; 32], [2; 32], Instant::now());
        cloud.remember(good, Some(identity), start);
        cloud.remember(bad, None, start);
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(cloud.known(&good, after(59)).is_some_and(|identity| identity.is_some()));
        assert!(cloud.known(&good, after(60)).is_none());
        assert!(cloud.known(&bad, after(4)).is_some_and(|identity| identity.is_none()));
        assert!(cloud.known(&bad, after(5)).is_none());
        assert!(cloud.known(&[3; 32], start).is_none());
    }

    #[test]
    fn keys_that_are_bad_take_no_room_from_good_ones() {
        let config = Appliance {
            authenticator: ApplianceAuthenticator::BalenaCloud,
            fleet_id: Some(7),
            ..Appliance::default()
        };
        let cloud = BalenaCloud::of(&config).unwrap();
        let now = Instant::now();
        for number in 0..2 * MOST_SEEN {
            cloud.remember(sha256(&number.to_be_bytes()), None, now);
        }
        let principal = principal(&5.into()).unwrap();
        let identity = Arc::new(Identity { principal, roles: vec![], narrowing: None, token: None });
        cloud.remember([1; 32], Some(identity), now);
        assert!(cloud.known(&[1; 32], now).is_some_and(|identity| identity.is_some()));
        assert_eq!(lock(&cloud.bad).len(), MOST_SEEN);
    }

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
