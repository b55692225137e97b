//! `POST /tags/validate` and `POST /tags/sign`: nothing is kept.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use countersign_core::LogRef;
use countersign_core::tags::authorities;
use countersign_core::tags::requests::RequestDocument;
use countersign_core::tags::{self, Error, Form, SignOutcome, Verdict, Who};
use countersign_records::tag::AuthorityName;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

use super::error::{Refusal, Words};
use super::input::{Given, bad};
use super::wire::{SignedDocument, Validation};
use super::{caller, ceiling, count_write, done, once};
use crate::app::App;
use crate::body::Arriving;

/// The authorities whose signatures were found good. Who relies on a payload looks at this.
pub(super) const AUTHORITIES: HeaderName = HeaderName::from_static("countersign-authorities");
/// SHA-256 of the payload in hex.
pub(super) const PAYLOAD_SHA256: HeaderName = HeaderName::from_static("countersign-payload-sha256");
/// Where an entry in the signing log stands: `ORIGIN INDEX`.
pub(super) const LOG: HeaderName = HeaderName::from_static("countersign-log");
/// How many lines of payload were signed: more than one expects are more than one meant to sign.
const PAYLOAD_LINES: HeaderName = HeaderName::from_static("countersign-payload-lines");

/// `POST /tags/validate?authorities=a,b`
pub async fn validate(State(app): State<App>, request: Request) -> Response {
    let words = Words::of(request.headers());
    words.answer(judged(app, request, words, Unnamed::Refuse).await)
}

/// `POST /validate` at the root: without authorities those of all blocks that are there.
pub async fn validate_any(State(app): State<App>, request: Request) -> Response {
    let words = Words::of(request.headers());
    words.answer(judged(app, request, words, Unnamed::Everybody).await)
}

/// What it means that no authorities are mentioned.
#[derive(Clone, Copy)]
enum Unnamed {
    Refuse,
    Everybody,
}

async fn judged(app: App, request: Request, words: Words, unnamed: Unnamed) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let given = Given::query(&parts.uri)?;
    let mut given = given.with_body(&parts.headers, body, ceiling(&app)).await?;
    let who = match (given.authorities()?, unnamed) {
        (Some(names), _) => Who::Named(names),
        (None, Unnamed::Everybody) => Who::Everybody,
        (None, Unnamed::Refuse) => return Err(Error::NoAuthorities.into()),
    };
    let file = given.payload()?.ok_or(Error::Empty)?;
    given.done()?;
    let verdict = tags::validate(&app.ctx, file, who).await?;
    match (verdict.refusal(), words) {
        (refusal, Words::Json) => {
            let status = if refusal.is_none() { StatusCode::OK } else { StatusCode::FORBIDDEN };
            let mut response = document(status, &Validation::of(&verdict));
            if refusal.is_none() {
                add_verdict(response.headers_mut(), &verdict);
            }
            Ok(response)
        }
        (Some(refusal), _) => Err(refusal.into()),
        (None, _) => Ok(payload(verdict)),
    }
}

/// The payload of a verdict that has no refusal.
pub(super) fn payload(verdict: Verdict) -> Response {
    let mut response = text(Bytes::new());
    add_verdict(response.headers_mut(), &verdict);
    let kind = kind_of(&verdict.payload);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    *response.body_mut() = Body::from(verdict.payload);
    response
}

fn add_verdict(headers: &mut HeaderMap, verdict: &Verdict) {
    let names = verdict.judgements.iter().map(|(name, _)| name);
    headers.insert(AUTHORITIES, joined(names));
    add(headers, PAYLOAD_SHA256, &hex::encode(verdict.payload_sha256));
}

/// `POST /tags/sign?authority=a`, and `/sign` at the root.
pub async fn sign(State(app): State<App>, request: Request) -> Response {
    let words = Words::of(request.headers());
    words.answer(signed(app, request, words).await)
}

async fn signed(app: App, request: Request, words: Words) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let mut given = Given::query(&parts.uri)?;
    let caller = caller(&app, &parts)?;
    if given.has("detached") && given.switch("detached")? {
        return detached(app, caller, &parts, given, body, words).await;
    }
    let mut given = given.with_body(&parts.headers, body, ceiling(&app)).await?;
    let once = once(&parts, &given.take_body())?;
    let authorities = given.authorities()?.unwrap_or_default();
    let form = if given.switch("signed")? { Form::Signed } else { Form::Payload };
    let content = given.payload()?;
    given.done()?;
    if authorities.is_empty() {
        return Err(Error::NoAuthority.into());
    }
    let tag = tags::read_text(content.ok_or(Error::Empty)?, form)?;
    // What waits for more voices is kept.
    if authorities.iter().any(|name| needs_voices(&app, name)) {
        count_write(&app, &parts, Some(&caller))?;
    }
    let (ctx, by) = (app.ctx.clone(), caller.clone());
    let work = async move { Ok(sign_outcome(tags::sign(&ctx, &by, tag, &authorities).await?, words)) };
    done(&app, &caller, once, words, work).await
}

fn needs_voices(app: &App, name: &AuthorityName) -> bool {
    authorities::find(&app.ctx, name).is_some_and(|authority| authority.threshold > 1)
}

fn sign_outcome(outcome: SignOutcome, words: Words) -> Response {
    let made = match outcome {
        SignOutcome::Waiting(request) => return waiting(&request),
        SignOutcome::Signed(made) => made,
    };
    let mut response = match words {
        Words::Json => document(StatusCode::OK, &SignedDocument::of(&made)),
        Words::Text | Words::Usual => text(made.file),
    };
    let headers = response.headers_mut();
    add(headers, PAYLOAD_LINES, &made.lines.to_string());
    headers.insert(AUTHORITIES, joined(made.signatures.iter().map(|made| made.block.authority())));
    add_log(headers, made.signatures.iter().find_map(|made| made.log.as_ref()));
    response
}

/// A bare signature over the bytes of an artifact, by a key that signs nothing else.
async fn detached(
    app: App,
    caller: countersign_core::Caller,
    parts: &Parts,
    mut given: Given,
    body: Body,
    words: Words,
) -> Result<Response, Refusal> {
    let authorities = given.authorities()?.unwrap_or_default();
    given.done()?;
    let name = match authorities.as_slice() {
        [] => return Err(Error::NoAuthority.into()),
        [one] => one.clone(),
        _ => return Err(bad("a detached signature is one authority's".into())),
    };
    let (digest, size) =
        digest_of(Arriving::new(&parts.headers, body, app.config.limits.streamed())?).await?;
    if size == 0 {
        return Err(Error::Empty.into());
    }
    let once = once(parts, &digest)?;
    let (ctx, by) = (app.ctx.clone(), caller.clone());
    let work = async move {
        let made = authorities::sign_detached(&ctx, &by, &name, digest).await?;
        let mut response = octets(made.signature);
        add_log(response.headers_mut(), Some(&made.log));
        Ok(response)
    };
    done(&app, &caller, once, words, work).await
}

/// SHA-256 of a body and its length, without holding it.
pub(super) async fn digest_of(mut body: Arriving) -> Result<([u8; 32], u64), Refusal> {
    let mut hasher = countersign_model::digest::Hasher::new(countersign_model::HashAlg::Sha256);
    let mut size = 0;
    while let Some(bytes) = body.next().await? {
        hasher.update(&bytes);
        size += bytes.len() as u64;
    }
    let digest = hasher.finish().as_bytes().try_into();
    let digest = digest.map_err(|_| Error::BadRequest("the body has no digest".into()))?;
    Ok((digest, size))
}

/// A request that waits for more voices.
pub(super) fn waiting(request: &RequestDocument) -> Response {
    let mut response = document(StatusCode::ACCEPTED, request);
    add(response.headers_mut(), LOCATION, &format!("/tags/requests/{}", request.id));
    response
}

/// A JSON document.
pub(super) fn document(status: StatusCode, document: &impl Serialize) -> Response {
    json_bytes(status, serde_json::to_vec(document).unwrap_or_default())
}

/// A JSON document that is written already.
pub(super) fn json_bytes(status: StatusCode, document: impl Into<Body>) -> Response {
    let mut response = Response::new(document.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// Bytes that are text if they are UTF-8. They are a client's: nobody shall take them for a page.
pub(super) fn text(bytes: impl Into<Bytes>) -> Response {
    let bytes = bytes.into();
    let kind = kind_of(&bytes);
    let mut response = octets(bytes);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Bytes.
pub(super) fn octets(bytes: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Body::from(bytes.into()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn kind_of(bytes: &[u8]) -> &'static str {
    match std::str::from_utf8(bytes) {
        Ok(_) => "text/plain; charset=utf-8",
        Err(_) => "application/octet-stream",
    }
}

pub(super) fn joined<'a>(names: impl Iterator<Item = &'a AuthorityName>) -> HeaderValue {
    let names: Vec<&str> = names.map(AuthorityName::as_str).collect();
    // Names are printable ASCII.
    HeaderValue::from_str(&names.join(",")).unwrap_or(HeaderValue::from_static(""))
}

pub(super) fn add_log(headers: &mut HeaderMap, log: Option<&LogRef>) {
    if let Some(log) = log {
        add(headers, LOG, &format!("{} {}", log.origin, log.index));
    }
}

/// Sets a header whose value is made of names, numbers and digests.
pub(super) fn add(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
