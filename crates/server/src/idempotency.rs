//! `Idempotency-Key`: a request is done once, and its first answer given again.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use axum::body::Body;
use axum::response::Response;
use countersign_core::idempotency::{Begun, IdempotencyKey, StoredAnswer, begin, finish, forget};
use countersign_core::{Caller, Code};
use countersign_model::digest::{sha256, sha256_parts};
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use http_body_util::BodyExt as _;

use crate::app::App;
use crate::auth;
use crate::problem::Problem;

/// The header.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Says that an answer was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// A request that is to be done once.
#[derive(Clone, Debug)]
pub struct Once {
    key: IdempotencyKey,
    fingerprint: [u8; 32],
}

impl Once {
    /// The key of a POST, if it has one.
    ///
    /// # Errors
    /// `invalid-request` if it is malformed or there twice.
    pub fn key(method: &Method, headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Problem> {
        let Some(value) = auth::once(headers, &KEY)?.filter(|_| method == Method::POST) else {
            return Ok(None);
        };
        let key = String::from_utf8_lossy(value.as_bytes()).parse::<IdempotencyKey>()?;
        Ok(Some(key))
    }

    /// A request with its whole body.
    pub fn of(key: IdempotencyKey, method: &Method, uri: &Uri, body: &[u8]) -> Self {
        Self::of_digest(key, method, uri, &sha256(body))
    }

    /// A request of whose body only SHA-256 is known.
    pub fn of_digest(key: IdempotencyKey, method: &Method, uri: &Uri, body: &[u8; 32]) -> Self {
        let parts = [method.as_str().as_bytes(), b"\n", uri.path().as_bytes(), b"\n"];
        let query = uri.query().unwrap_or("").as_bytes();
        let fingerprint = sha256_parts(&[parts.concat().as_slice(), query, b"\n", body]);
        Self { key, fingerprint }
    }
}

/// Does `work`, or gives the answer that it had when it was done first. Answers 5xx are not kept.
///
/// # Errors
/// `idempotency-mismatch` for a key of another request; when the database does not keep the answer.
pub async fn run(
    app: App,
    caller: Caller,
    once: Once,
    work: impl Future<Output = Result<Response, Problem>>,
) -> Result<Response, Problem> {
    let claim = match begin(&app.ctx, &caller.identity, &once.key, once.fingerprint).await? {
        Begun::Replay(answer) => return Ok(replay(answer)),
        Begun::Fresh(claim) => claim,
    };
    let done = AssertUnwindSafe(work).catch_unwind().await;
    let done = done.unwrap_or_else(|_| Err(Problem::new(Code::Internal, "the server failed")));
    let response = match done {
        Ok(response) => response,
        Err(problem) => problem.render(&caller.request_id),
    };
    if response.status().is_server_error() {
        if let Err(error) = forget(&app.ctx, claim).await {
            tracing::warn!(%error, "an idempotency key stays taken until its lease has passed");
        }
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    // The body is in memory already: handlers write documents.
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let headers = parts
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())));
    let answer =
        StoredAnswer { status: parts.status.as_u16(), headers: headers.collect(), body: body.to_vec() };
    // An answer that is not kept is not given: the same request would get another one later.
    finish(&app.ctx, claim, &answer).await?;
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn replay(answer: StoredAnswer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    for (name, value) in &answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}
