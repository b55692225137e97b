//! `/tags/requests/ID`: signatures that wait until enough principals agree.
//!
//! ```text
//! GET  /tags/requests/ID           what is to be signed, who agrees, how many must
//! POST /tags/requests/ID/approve   {"payload_sha256":HEX}: says yes; the last yes signs
//! POST /tags/requests/ID/refuse    {"payload_sha256":HEX}: says no, which ends it
//! ```

use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use countersign_core::tags::Error;
use countersign_core::tags::requests::{self as core, Voice};
use http::StatusCode;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;

use super::authorities::{json, of_json, only, shown};
use super::error::{Refusal, Words};
use super::input::bad;
use super::{caller, ceiling, count_write, done, once};
use crate::app::{App, Meta};
use crate::auth::{Peer, Shown};
use crate::body::Arriving;

/// The surface's routes of requests.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .route("/tags/requests/{id}", only(get(read), "GET, HEAD"))
        .route("/tags/requests/{id}/approve", only(post(approve), "POST"))
        .route("/tags/requests/{id}/refuse", only(post(refuse), "POST"))
}

type IdPath = Result<Path<String>, axum::extract::rejection::PathRejection>;

fn id(path: IdPath) -> Result<String, Refusal> {
    Ok(path.map(|Path(id)| id).map_err(|_| Error::NotFound("such request".into()))?)
}

/// `GET /tags/requests/ID`. Who may agree to it and says who they are is shown the payload.
async fn read(State(app): State<App>, path: IdPath, request: Request) -> Response {
    let words = Words::of(request.headers());
    // There is nothing in the body.
    let (parts, _) = request.into_parts();
    let found = async {
        let over_control = parts.extensions.get::<Meta>().is_some_and(|meta| meta.peer == Peer::Control);
        let says_who = over_control || Shown::bearer_or_basic(&parts.headers)?.is_some();
        let caller = says_who.then(|| caller(&app, &parts)).transpose()?;
        shown(&parts.headers, &core::get(&app.ctx, caller.as_ref(), &id(path)?).await?)
    };
    words.answer(found.await)
}

/// What a principal believes to decide on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Decision {
    payload_sha256: String,
}

/// `POST /tags/requests/ID/approve`
async fn approve(State(app): State<App>, path: IdPath, request: Request) -> Response {
    let words = Words::of(request.headers());
    words.answer(voice(app, path, request, Voice::Approve, words).await)
}

/// `POST /tags/requests/ID/refuse`
async fn refuse(State(app): State<App>, path: IdPath, request: Request) -> Response {
    let words = Words::of(request.headers());
    words.answer(voice(app, path, request, Voice::Refuse, words).await)
}

/// The most bytes of a decision.
const DECISION_BYTES: u64 = 4 << 10;

async fn voice(
    app: App,
    path: IdPath,
    request: Request,
    voice: Voice,
    words: Words,
) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let caller = caller(&app, &parts)?;
    count_write(&app, &parts, Some(&caller))?;
    let body = Arriving::new(&parts.headers, body, DECISION_BYTES.min(ceiling(&app)))?.all().await?;
    let once = once(&parts, &body)?;
    let Decision { payload_sha256 } = of_json(&parts.headers, &body)?;
    let digits = payload_sha256.strip_prefix("sha256:").unwrap_or(&payload_sha256);
    let mut digest = [0; 32];
    hex::decode_to_slice(digits, &mut digest).map_err(|_| bad("`payload_sha256` is 64 hex digits".into()))?;
    let (ctx, by, id) = (app.ctx.clone(), caller.clone(), id(path)?);
    let work = async move { json(StatusCode::OK, &core::voice(&ctx, &by, &id, &digest, voice).await?) };
    done(&app, &caller, once, words, work).await
}
