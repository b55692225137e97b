//! `/authorities`: who vouches, with which keys over time.
//!
//! ```text
//! GET  /authorities/              all, with the keys in use          POST  make one: {"name","algorithm",…}
//! GET  /authorities/NAME          its keys                           POST  NAME/rotate  a new key in use
//! GET  /authorities/NAME.pub      the key in use, PEM; ?key=ID       POST  NAME/keys    register a key of elsewhere
//!                                                                    POST  NAME/revoke  {"key","reason",…}
//! ```
//!
//! Changes are for who has `authority:write` on `authority:NAME`; they answer with the authority as it is then,
//! and with the place of their entry in the signing log.

use std::future::Future;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::{MethodRouter, any, get, post};
use countersign_core::tags::Error;
use countersign_core::tags::authorities::{
    self as core, Authority, KeyUse, NewAuthority, Register, Revoke, Rotate,
};
use countersign_core::{Caller, Code, LogRef, Logged};
use countersign_model::{KeyId, KeyType, PrincipalName};
use countersign_records::authorities::key_type_of;
use countersign_records::tag::AuthorityName;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;

use super::entity_tag::unless_known;
use super::error::{Refusal, Words};
use super::input::{Given, bad};
use super::stateless::LOG;
use super::{caller, ceiling, done, once, refuse_method};
use crate::app::App;
use crate::body::{self, Arriving};
use crate::problem::Problem;

/// The surface's routes below `/authorities`.
pub(super) fn routes() -> OpenApiRouter<App> {
    let all = || only(get(list).post(create), "GET, HEAD, POST");
    OpenApiRouter::default()
        .route("/authorities", all())
        .route("/authorities/", all())
        .route("/authorities/{name}", only(get(show), "GET, HEAD"))
        .route("/authorities/{name}/rotate", only(post(rotate), "POST"))
        .route("/authorities/{name}/keys", only(post(register), "POST"))
        .route("/authorities/{name}/revoke", only(post(revoke), "POST"))
        .route("/authorities/{name}/", any(nothing))
        .route("/authorities/{name}/{other}", any(nothing))
        .route("/authorities/{name}/{other}/{*rest}", any(nothing))
}

/// A route that refuses other methods in the words of this surface.
pub(super) fn only(route: MethodRouter<App>, allow: &'static str) -> MethodRouter<App> {
    route.fallback(async move |headers: HeaderMap| refuse_method(&headers, allow))
}

async fn nothing(headers: HeaderMap) -> Response {
    Words::of(&headers).answer(Err(Error::NotFound("such path".into()).into()))
}

type NamePath = Result<Path<String>, axum::extract::rejection::PathRejection>;

fn path_text(path: NamePath) -> Result<String, Refusal> {
    Ok(path.map(|Path(text)| text).map_err(|_| Error::BadAuthorityName("it is not UTF-8".into()))?)
}

fn path_name(path: NamePath) -> Result<AuthorityName, Refusal> {
    Ok(path_text(path)?.parse().map_err(Error::from)?)
}

/// `GET /authorities/`
async fn list(State(app): State<App>, headers: HeaderMap) -> Response {
    Words::of(&headers).answer(shown(&headers, &core::list(&app.ctx)))
}

/// `GET /authorities/NAME` and `GET /authorities/NAME.pub`: no authority's name ends in `.pub`.
async fn show(State(app): State<App>, path: NamePath, request: Request) -> Response {
    let shown = |path| {
        let text = path_text(path)?;
        let mut given = Given::query(request.uri())?;
        let Some(stem) = text.strip_suffix(".pub") else {
            given.done()?;
            let name: AuthorityName = text.parse().map_err(Error::from)?;
            return shown(request.headers(), &core::known(&app.ctx, &name)?.document());
        };
        let key = given.text("key")?.map(|id| id.parse::<KeyId>()).transpose();
        let key = key.map_err(|error| bad(error.to_string()))?;
        given.done()?;
        let name: AuthorityName = stem.parse().map_err(Error::from)?;
        Ok(unless_known(request.headers(), core::public_pem(&app.ctx, &name, key.as_ref())?, pem))
    };
    Words::of(request.headers()).answer(shown(path))
}

/// An authority to be made.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    name: String,
    algorithm: String,
    threshold: Option<u32>,
    principals: Option<Vec<String>>,
    #[serde(default)]
    detached: bool,
}

/// `POST /authorities/`
async fn create(State(app): State<App>, request: Request) -> Response {
    let make = |app: App, caller, new: Create| async move {
        let principals = new.principals.map(|names| names.iter().map(|name| principal(name)).collect());
        let new = NewAuthority {
            name: new.name.parse().map_err(Error::from)?,
            algorithm: key_type(&new.algorithm)?,
            threshold: new.threshold.unwrap_or(1),
            principals: principals.transpose()?,
            detached: new.detached,
        };
        let made = core::create(&app.ctx, &caller, new).await?;
        let mut response = changed(StatusCode::CREATED, &made)?;
        // No character of a name must be escaped in a path.
        if let Ok(location) = HeaderValue::try_from(format!("/authorities/{}", made.value.name)) {
            response.headers_mut().insert(LOCATION, location);
        }
        Ok(response)
    };
    change(app, request, of_json, make).await
}

/// A new key.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    algorithm: Option<String>,
    not_after: Option<String>,
    #[serde(default)]
    detached: bool,
}

/// `POST /authorities/NAME/rotate`
async fn rotate(State(app): State<App>, path: NamePath, request: Request) -> Response {
    let read = |headers: &HeaderMap, body: &[u8]| {
        if body.is_empty() { Ok(NewKey::default()) } else { of_json(headers, body) }
    };
    let rotate = |app: App, caller, new: NewKey| async move {
        let rotate = Rotate {
            algorithm: new.algorithm.as_deref().map(key_type).transpose()?,
            not_after: time("not_after", new.not_after)?,
            of: key_use(new.detached),
        };
        changed(StatusCode::OK, &core::rotate(&app.ctx, &caller, &path_name(path)?, rotate).await?)
    };
    change(app, request, read, rotate).await
}

/// A key of elsewhere.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Outside {
    pem: String,
    not_before: Option<String>,
    not_after: Option<String>,
    #[serde(default)]
    detached: bool,
}

/// `POST /authorities/NAME/keys`: a document, or the PEM text itself.
async fn register(State(app): State<App>, path: NamePath, request: Request) -> Response {
    let register = |app: App, caller, outside: Outside| async move {
        let register = Register {
            pem: outside.pem,
            not_before: time("not_before", outside.not_before)?,
            not_after: time("not_after", outside.not_after)?,
            of: key_use(outside.detached),
        };
        let made = core::register(&app.ctx, &caller, &path_name(path)?, register).await?;
        changed(StatusCode::CREATED, &made)
    };
    change(app, request, of_json_or_pem, register).await
}

/// A key that is not to be believed any more.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revocation {
    key: String,
    reason: String,
    from: Option<String>,
    until: Option<String>,
}

/// `POST /authorities/NAME/revoke`
async fn revoke(State(app): State<App>, path: NamePath, request: Request) -> Response {
    let revoke = |app: App, caller, said: Revocation| async move {
        let revoke = Revoke {
            key: said.key.parse::<KeyId>().map_err(|error| bad(error.to_string()))?,
            reason: said.reason,
            from: time("from", said.from)?,
            until: time("until", said.until)?,
        };
        changed(StatusCode::OK, &core::revoke(&app.ctx, &caller, &path_name(path)?, revoke).await?)
    };
    change(app, request, of_json, revoke).await
}

/// The most bytes of a change: a few keys and names.
const CHANGE_BYTES: u64 = 256 << 10;

/// Reads what is to be changed, after it is known who asks, and does it to its end even if the client goes.
async fn change<T, F>(
    app: App,
    request: Request,
    read: impl FnOnce(&HeaderMap, &[u8]) -> Result<T, Refusal>,
    work: impl FnOnce(App, Caller, T) -> F,
) -> Response
where
    F: Future<Output = Result<Response, Refusal>> + Send + 'static,
{
    let words = Words::of(request.headers());
    let changed = async {
        let (parts, body) = request.into_parts();
        let caller = caller(&app, &parts)?;
        let body = Arriving::new(&parts.headers, body, CHANGE_BYTES.min(ceiling(&app)))?.all().await?;
        let once = once(&parts, &body)?;
        let document = read(&parts.headers, &body)?;
        done(&app, &caller, once, words, work(app.clone(), caller.clone(), document)).await
    };
    words.answer(changed.await)
}

/// A document, said to be one.
pub(super) fn of_json<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Refusal> {
    if !body::is_json(headers) {
        return Err(body::unsupported("application/json").into());
    }
    Ok(body::parse(body)?)
}

fn of_json_or_pem(headers: &HeaderMap, body: &[u8]) -> Result<Outside, Refusal> {
    if body::is_json(headers) {
        return of_json(headers, body);
    }
    let pem = String::from_utf8(body.to_vec()).map_err(|_| bad("the body is neither JSON nor PEM".into()))?;
    Ok(Outside { pem, not_before: None, not_after: None, detached: false })
}

fn key_use(detached: bool) -> KeyUse {
    if detached { KeyUse::Detached } else { KeyUse::Tags }
}

fn key_type(algorithm: &str) -> Result<KeyType, Refusal> {
    let words = "`rsa-2048`, `rsa-3072`, `rsa-4096`, `ec-p256`, `ec-p384` or `ec-p521`";
    key_type_of(algorithm).ok_or_else(|| bad(format!("`algorithm` is {words}")))
}

fn principal(name: &str) -> Result<PrincipalName, Refusal> {
    name.parse().map_err(|error: countersign_model::name::BadName| bad(format!("`principals`: {error}")))
}

fn time(member: &str, text: Option<String>) -> Result<Option<Timestamp>, Refusal> {
    let parse = |text: String| {
        text.parse().map_err(|_| bad(format!("`{member}` is not a time such as `2026-01-02T03:04:05Z`")))
    };
    text.map(parse).transpose()
}

/// An authority as it is after a change.
fn changed(status: StatusCode, logged: &Logged<Arc<Authority>>) -> Result<Response, Refusal> {
    let mut response = json(status, &logged.value.document())?;
    note_log(&mut response, logged.log.as_ref());
    Ok(response)
}

/// Says where the entry of a change stands.
pub(super) fn note_log(response: &mut Response, log: Option<&LogRef>) {
    let place = log.map(|log| HeaderValue::try_from(format!("{} {}", log.origin, log.index)));
    if let Some(Ok(place)) = place {
        response.headers_mut().insert(LOG, place);
    }
}

pub(super) const JSON: &str = "application/json";

/// A document. A copy of it is asked about before it is used again.
pub(super) fn json(status: StatusCode, document: &impl Serialize) -> Result<Response, Refusal> {
    Ok(answer(status, JSON, written(document)?))
}

/// A document, unless the client has it.
pub(super) fn shown(headers: &HeaderMap, document: &impl Serialize) -> Result<Response, Refusal> {
    Ok(unless_known(headers, written(document)?, |bytes| answer(StatusCode::OK, JSON, bytes)))
}

fn written(document: &impl Serialize) -> Result<Vec<u8>, Refusal> {
    let unwritten = |_| Problem::new(Code::Internal, "the answer could not be written");
    Ok(serde_json::to_vec(document).map_err(unwritten)?)
}

pub(super) fn pem(text: impl Into<Body>) -> Response {
    answer(StatusCode::OK, "application/x-pem-file", text)
}

pub(super) fn answer(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
