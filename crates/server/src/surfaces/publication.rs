//! The publication log, as C2SP `tlog-tiles` and in JSON, below the prefix of each surface that publishes.
//!
//! ```text
//! checkpoint  tile/LEVEL/NNN  tile/entries/NNN          for tlog clients
//! key                                                    the verifier key of the checkpoints, as text
//! entries?start=A&end=B                                  {"start":A,"entries":[BASE64…]}, B too, at most 1000
//! inclusion?index=I[&size=N]                             {"leaf":I,"size":N,"hashes":[BASE64…]}
//! consistency?first=A[&second=B]                         {"leaf":A,"size":B,"hashes":[BASE64…]}
//! ```
//!
//! Anonymous, also for pages of other sites. Refusals are `{"code":STATUS,"error":WORD,"message":TEXT}`, as
//! clients of tags and of attestations read them.

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::get;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use countersign_core::publication as core;
use countersign_core::{Code, Error};
use countersign_model::digest::sha256;
use countersign_tlog::tile::Resource;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RETRY_AFTER,
};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use serde::{Deserialize, Serialize};
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::HttpMethod;
use utoipa_axum::router::OpenApiRouter;

use crate::accept::Accepted;
use crate::app::App;
use crate::call::query;
use crate::described::{Asker, Described, describe};
use crate::problem::Problem;
use crate::tiled::{self, Audience, Lasts};

/// The routes below `prefix`, such as `/tags/log`.
pub fn routes(prefix: &'static str) -> OpenApiRouter<App> {
    let route = get(read).fallback(refuse_method);
    OpenApiRouter::with_openapi(description(prefix)).route(&format!("{prefix}/{{*path}}"), route)
}

/// What the API description says below `prefix`.
fn description(prefix: &'static str) -> OpenApi {
    let mut paths = describe("publication", RESOURCES);
    paths.paths.paths =
        paths.paths.paths.into_iter().map(|(path, item)| (prefix.to_owned() + &path, item)).collect();
    paths
}

const fn resource_of(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    query: &'static [&'static str],
    kind: &'static [&'static str],
) -> Described {
    let (method, who, takes) = (HttpMethod::Get, Asker::Anybody, [].as_slice());
    Described { method, path, id, summary, who, query, takes, gives: (200, kind) }
}

#[rustfmt::skip]
const RESOURCES: &[Described] = &[
    resource_of("/checkpoint", "get_publication_checkpoint", "Gives the newest checkpoint, as a signed note.", &[], &["text/plain"]),
    resource_of("/tile/{path}", "get_publication_tile", "Gives a tile of hashes, or a bundle of entries (C2SP tlog-tiles).", &[], &["application/octet-stream"]),
    resource_of("/key", "get_publication_key", "Gives the verifier key of the checkpoints.", &[], &["text/plain"]),
    resource_of("/entries", "get_publication_entries", "Gives entries from `start` to `end`.", &["start", "end"], &["application/json"]),
    resource_of("/inclusion", "prove_publication_inclusion", "Proves that an entry is in the log.", &["index", "size"], &["application/json"]),
    resource_of("/consistency", "prove_publication_consistency", "Proves that nothing was taken back.", &["first", "second"], &["application/json"]),
];

async fn refuse_method(headers: HeaderMap) -> Response {
    let problem =
        Problem::new(Code::MethodNotAllowed, "that method is not possible here: this log is only read");
    let mut response = Refusal(problem).render(&headers);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

async fn read(
    State(app): State<App>,
    path: Result<Path<String>, axum::extract::rejection::PathRejection>,
    request: Request,
) -> Response {
    let answer = match path {
        // Another surface's prefix may have parameters before: the last one is the path.
        Ok(Path(path)) => resource(&app, &path, request.uri()).await,
        Err(_) => Err(Refusal(Problem::new(Code::NotFound, "the path is not UTF-8"))),
    };
    let mut response = match answer {
        Ok(Answer { kind, body, lasts }) => unless_known(request.headers(), kind, body, lasts),
        Err(refusal) => refusal.render(request.headers()),
    };
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// What is answered, before it is known whether the client has it already.
struct Answer {
    kind: &'static str,
    body: bytes::Bytes,
    lasts: Lasts,
}

async fn resource(app: &App, path: &str, uri: &Uri) -> Result<Answer, Refusal> {
    match path {
        "key" => {
            let key = format!("{}\n", core::verifier_key(&app.ctx).await?);
            Ok(Answer { kind: TEXT, body: key.into(), lasts: Lasts::Minutes })
        }
        "entries" => {
            let Range { start, end } = query(uri)?;
            // Any of them may be masked later.
            json(&core::entries(&app.ctx, start, end).await?, Lasts::Minutes)
        }
        "inclusion" => {
            let Inclusion { index, size } = query(uri)?;
            json(&core::inclusion(&app.ctx, index, size).await?, lasts(size))
        }
        "consistency" => {
            let Consistency { first, second } = query(uri)?;
            json(&core::consistency(&app.ctx, first, second).await?, lasts(second))
        }
        _ => file(app, path).await,
    }
}

async fn file(app: &App, path: &str) -> Result<Answer, Refusal> {
    let bad = |error: countersign_tlog::tile::BadPath| {
        Refusal(Problem::new(Code::NotFound, error.to_string()).hint(error.hint()))
    };
    let path = tiled::resource(path).map_err(bad)?;
    let (body, lasts) = match path {
        Resource::Checkpoint => (core::checkpoint(&app.ctx).await?.into(), Lasts::No),
        Resource::Tile(id) => (core::tile(&app.ctx, id).await?, Lasts::Always),
        // An entry may be masked later: then the bundle is another one.
        Resource::Entries(id) => (core::bundle(&app.ctx, id).await?.into(), Lasts::Minutes),
    };
    Ok(Answer { kind: tiled::kind(&path), body, lasts })
}

const TEXT: &str = "text/plain; charset=utf-8";

/// A proof in a tree that is named never changes.
fn lasts(size: Option<u64>) -> Lasts {
    if size.is_some() { Lasts::Always } else { Lasts::No }
}

fn json(document: &impl Serialize, lasts: Lasts) -> Result<Answer, Refusal> {
    let body = serde_json::to_vec(document).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(Answer { kind: "application/json", body: body.into(), lasts })
}

/// 304 if the client names what it would get.
fn unless_known(headers: &HeaderMap, kind: &'static str, body: bytes::Bytes, lasts: Lasts) -> Response {
    let tag = format!("\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(&sha256(&body)[..16]));
    let known = |value: &HeaderValue| {
        let mut tags = value.to_str().unwrap_or_default().split(',').map(str::trim);
        tags.any(|known| known == "*" || known.trim_start_matches("W/") == tag)
    };
    let known = headers.get_all(IF_NONE_MATCH).iter().any(known);
    let mut response = tiled::answer(kind, body, Audience::Public, lasts);
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Body::empty();
        response.headers_mut().remove(CONTENT_TYPE);
    }
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    start: u64,
    end: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inclusion {
    index: u64,
    size: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Consistency {
    first: u64,
    second: Option<u64>,
}

/// A refusal in the words of this surface's clients.
struct Refusal(Problem);

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self(error.into())
    }
}

#[derive(Serialize)]
struct RefusalDocument<'a> {
    code: u16,
    error: &'static str,
    message: &'a str,
}

impl Refusal {
    /// As JSON, or only the message for who asks for `text/plain`.
    fn render(&self, headers: &HeaderMap) -> Response {
        let Self(problem) = self;
        let status = problem.status();
        let error = if status == StatusCode::BAD_REQUEST { "bad-request" } else { problem.code().as_str() };
        let document = RefusalDocument { code: status.as_u16(), error, message: problem.detail() };
        let accepted = Accepted::of(headers);
        let (kind, body) = if accepted.named("text/plain") > accepted.named("application/json") {
            (TEXT, format!("{}\n", document.message).into_bytes())
        } else {
            ("application/json", serde_json::to_vec(&document).unwrap_or_default())
        };
        let mut response = Response::new(body.into());
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(1));
        }
        response
    }
}
