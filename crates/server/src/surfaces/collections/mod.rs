//! `/v1`: signed collections, as the clients of Kinto and Remote Settings ask.
//!
//! ```text
//! request ─▶ route ─▶ who ─▶ body ─▶ parse ─▶ execute ─▶ reply ─▶ headers
//!            404 405         413     400 …    everything that is a rule
//! ```
//!
//! Credentials are `Basic NAME:TOKEN` or `Bearer TOKEN` of a native token, or an account's name and password; bad
//! ones are as none. Refusals are `{"code","errno","error","message","details"}`. A request by itself and one in a
//! batch take the same way.

use axum::body::Body as HttpBody;
use axum::extract::{Request, State as FromApp};
use axum::response::Response;
use axum::routing::any;
use bytes::Bytes;
use countersign_core::Code;
use countersign_core::collections::call::BadBody;
use countersign_core::collections::{Answer, Body, Call, Method, Who, execute};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::body::{Arriving, Place as Room};
use crate::call::unhurried;
use crate::problem::Problem;

mod asked;
mod attachment;
mod auth;
pub mod batch;
mod changeset;
mod description;
mod error;
pub mod form;
mod headers;
mod monitor;
pub mod parse;
mod reply;
mod root;
pub mod route;
mod turns;
mod utilities;

use asked::Asked;
use error::Refusal;
use reply::Reply;
use route::{Found, Place};
use turns::{Turns, Work};

/// The surface's routes.
pub fn routes() -> OpenApiRouter<App> {
    let mut routes = OpenApiRouter::with_openapi(description::description())
        .route("/v1", any(below_v1))
        .route("/v1/", any(below_v1))
        .route("/v1/{*path}", any(below_v1));
    for path in ["/buckets", "/buckets/", "/buckets/{*path}", "/accounts", "/accounts/", "/accounts/{*path}"]
    {
        routes = routes.route(path, any(without_version));
    }
    routes.route("/permissions", any(without_version)).route("/batch", any(without_version))
}

/// What the surface keeps between requests.
#[derive(Default)]
pub struct State {
    turns: Turns,
    heartbeat: utilities::Heartbeat,
}

/// The largest body of a request, files apart.
const MOST_BYTES: u64 = 32 << 20;

/// The answer to a batch has about this many bytes at most.
const MOST_ANSWERED: usize = 64 << 20;

/// Bodies above this many bytes are read beside the threads that serve requests.
const LONG: usize = 128 << 10;

/// How long a redirection may be kept.
const REDIRECT_SECONDS: i64 = 3600;

async fn without_version(FromApp(app): FromApp<App>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let location = format!("{}/v1{path}", headers::base_url(&app, &parts.headers));
    headers::complete(Reply::moved(location), &parts.headers)
}

async fn below_v1(FromApp(app): FromApp<App>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let reply = answer(&app, &parts, body).await.unwrap_or_else(|refusal| refusal.reply());
    headers::complete(reply, &parts.headers)
}

async fn answer(app: &App, parts: &Parts, body: HttpBody) -> Result<Reply, Refusal> {
    let path = parts.uri.path().strip_prefix("/v1").unwrap_or_default();
    let place = match route::find(path) {
        Found::At(place) => place,
        Found::Moved(path) => return Ok(moved(app, parts, &path)),
        Found::BadId => return Err(bad_id()),
        Found::Nowhere => return Err(Refusal::nowhere()),
    };
    if parts.method == http::Method::OPTIONS {
        return headers::preflight(&place, &parts.headers);
    }
    let query = parts.uri.query().unwrap_or_default();
    let mut asked = Asked::new(parts.method.clone(), path, place, query)?;
    let who = auth::who(app, parts).await?;
    match &asked.place {
        Place::Attachment(record) => return attachment::answer(app, parts, body, &asked, who, record).await,
        Place::Batch => return answer_batch(app, parts, body, who).await,
        Place::Objects(_) => {}
        _ => return answer_other(app, parts, &asked, &who).await,
    }
    let (body, room) = read_body(app, parts, body).await?;
    let call = asked.call(&parts.headers, body).ok_or_else(Refusal::nowhere)?;
    let cache = cache_control(app, &asked, &who);
    let answer = done(app, who, vec![call], room).await?.pop();
    let answer = answer.ok_or_else(|| Problem::new(Code::Internal, "no answer"))?;
    Ok(asked.reply(answer, &headers::base_url(app, &parts.headers), &cache))
}

/// The same path in the form that has an answer.
fn moved(app: &App, parts: &Parts, path: &str) -> Reply {
    let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let location = format!("{}/v1{path}{query}", headers::base_url(app, &parts.headers));
    headers::moved(location, REDIRECT_SECONDS, app.ctx.now().as_millisecond())
}

fn bad_id() -> Refusal {
    use countersign_core::collections::{Error, Location};
    Error::nameless(Location::Path, "Invalid object id").into()
}

/// What is neither list nor object nor batch: it is only read, but for `POST /__flush__`.
async fn answer_other(app: &App, parts: &Parts, asked: &Asked, who: &Who) -> Result<Reply, Refusal> {
    let _turn = match &asked.place {
        // Whoever asks whether the server is well is told, also if it has much to do.
        Place::Heartbeat | Place::LbHeartbeat | Place::Version => None,
        Place::Flush => Some(app.collections.turns.take(Work::Write).await?),
        _ => Some(app.collections.turns.take(Work::Read).await?),
    };
    let base = || headers::base_url(app, &parts.headers);
    let mut reply = match &asked.place {
        Place::Root => root::document(app, &base(), who).await?,
        Place::Heartbeat => utilities::heartbeat(app).await,
        Place::LbHeartbeat => Reply::json(StatusCode::OK, "{}"),
        Place::Version => utilities::version(),
        Place::Flush => utilities::flush(app, who).await?,
        Place::Broadcasts => monitor::broadcasts(app).await?,
        Place::Changeset { bucket, collection } => {
            changeset::answer(app, asked, who, &parts.headers, bucket, collection).await?
        }
        Place::MonitorChangeset => monitor::changeset(app, asked, &base()).await?,
        Place::MonitorRecords => monitor::records(app, asked, who, &parts.headers).await?,
        Place::File(name) => attachment::file(app, name).await?,
        Place::Batch | Place::Objects(_) | Place::Attachment(_) => return Err(Refusal::nowhere()),
    };
    if asked.method == http::Method::HEAD {
        reply.body = Bytes::new();
    }
    Ok(reply)
}

/// Does what is asked; what changes something to its end, even if the client goes.
async fn done(app: &App, who: Who, calls: Vec<Call>, room: Room) -> Result<Vec<Answer>, Refusal> {
    let reads = calls.iter().all(|call| matches!(call.method, Method::Get | Method::Head));
    let work = {
        let app = app.clone();
        async move {
            let turn = app.collections.turns.take(if reads { Work::Read } else { Work::Write }).await;
            let answers = match turn {
                Ok(_turn) => Ok(execute(&app.ctx, &who, calls).await),
                Err(refusal) => Err(refusal),
            };
            // The bodies, and all that was made of them, are gone now.
            drop(room);
            answers
        }
    };
    if reads { work.await } else { unhurried(app, work).await? }
}

/// A body that was read: why it cannot be understood is told only to who may do what they ask.
type Read = Result<Option<Body>, BadBody>;

async fn read_body(app: &App, parts: &Parts, body: HttpBody) -> Result<(Read, Room), Refusal> {
    let Some(method) = parse::method(&parts.method) else { return Ok((Ok(None), Room::default())) };
    if matches!(method, Method::Get | Method::Head | Method::Delete) {
        return Ok((Ok(None), Room::default()));
    }
    let limit = MOST_BYTES.min(u64::from(app.config.limits.body_mib) << 20);
    let held = Arriving::new(&parts.headers, body, limit)?.held().await?;
    let (bytes, room) = (held.bytes, held.place);
    if bytes.len() <= LONG {
        return Ok((parse::body(method, &parts.headers, &bytes), room));
    }
    let headers: HeaderMap = parts.headers.clone();
    let read = tokio::task::spawn_blocking(move || parse::body(method, &headers, &bytes)).await;
    let read = read.map_err(|_| Problem::new(Code::Internal, "the server failed"))?;
    Ok((read, room))
}

/// One of the requests of a batch, while others are done.
enum Step {
    /// It has its answer.
    Answered(Reply),
    /// It waits for the next answer of the use-cases.
    Called(Asked, String),
    /// It is looked up when everything else is done.
    Other(Asked),
}

async fn answer_batch(app: &App, parts: &Parts, body: HttpBody, who: Who) -> Result<Reply, Refusal> {
    let (body, room) = read_body(app, parts, body).await?;
    let body = body.map_err(bad_body)?.map_or(serde_json::Value::Null, |body| body.value);
    let limit = usize::try_from(MOST_BYTES).unwrap_or(usize::MAX);
    let inner = batch::read(body, app.config.collections().batch_max_requests, limit)?;
    let mut calls = Vec::with_capacity(inner.len());
    let mut steps = Vec::with_capacity(inner.len());
    for inner in inner {
        let path = format!("/v1{}", inner.path);
        steps.push((
            path,
            step(app, &who, inner, &mut calls).unwrap_or_else(|refusal| Step::Answered(refusal.reply())),
        ));
    }
    let answers = if calls.is_empty() { Vec::new() } else { done(app, who.clone(), calls, room).await? };
    if let Some(error) = answers.iter().find_map(undoing) {
        // Nothing of the batch was done: the client may send all of it again.
        return Err(error.into());
    }
    let (base, mut answers) = (headers::base_url(app, &parts.headers), answers.into_iter());
    let mut out = b"{\"responses\":[".to_vec();
    for (index, (path, step)) in steps.into_iter().enumerate() {
        let reply = match step {
            Step::Answered(reply) => reply,
            Step::Called(asked, cache) => match answers.next() {
                Some(answer) => asked.reply(answer, &base, &cache),
                None => Refusal::from(Problem::new(Code::Internal, "no answer")).reply(),
            },
            Step::Other(asked) => {
                let room = MOST_ANSWERED.saturating_sub(out.len());
                other_of_batch(app, parts, &asked, &who, room).await.unwrap_or_else(|refusal| refusal.reply())
            }
        };
        if index > 0 {
            out.push(b',');
        }
        reply.write_in_batch(&path, &mut out);
    }
    out.extend_from_slice(b"]}");
    Ok(Reply::json(StatusCode::OK, out))
}

/// What is read beside lists and objects, if there is room for it in the answer to the batch.
///
/// - `room`: in bytes.
///
/// # Errors
/// 413 if there is not.
async fn other_of_batch(
    app: &App,
    parts: &Parts,
    asked: &Asked,
    who: &Who,
    room: usize,
) -> Result<Reply, Refusal> {
    use countersign_core::collections::Error;
    let full = || Error::TooLarge("The answers are too large: send fewer requests together.".into());
    if room == 0 {
        return Err(full().into());
    }
    let reply = answer_other(app, parts, asked, who).await?;
    if reply.body.len() > room { Err(full().into()) } else { Ok(reply) }
}

fn step(app: &App, who: &Who, inner: batch::Inner, calls: &mut Vec<Call>) -> Result<Step, Refusal> {
    let place = match route::find(&inner.path) {
        Found::At(place @ (Place::Attachment(_) | Place::File(_) | Place::Flush)) => {
            // These are no JSON, or nothing that could be undone.
            return Err(Refusal::method_not_allowed(place.allow()));
        }
        Found::At(place) => place,
        Found::BadId => return Err(bad_id()),
        Found::Moved(_) | Found::Nowhere => return Err(Refusal::nowhere()),
    };
    let mut asked = Asked::new(inner.method, &inner.path, place, &inner.query)?;
    let cache = cache_control(app, &asked, who);
    let body = match (inner.body, parse::method(&asked.method)) {
        (Some(value), Some(method)) => {
            parse::form(method, &inner.headers).map(|form| Some(Body { form, value }))
        }
        _ => Ok(None),
    };
    match asked.call(&inner.headers, body) {
        Some(call) => {
            calls.push(call);
            Ok(Step::Called(asked, cache))
        }
        None => Ok(Step::Other(asked)),
    }
}

fn undoing(answer: &Answer) -> Option<countersign_core::collections::Error> {
    match answer {
        Answer::Refused(error) if error.undoes_all() => Some(error.clone()),
        _ => None,
    }
}

fn bad_body(bad: BadBody) -> Refusal {
    use countersign_core::collections::Error;
    match bad {
        BadBody::Malformed(invalid) => Refusal::invalid(&invalid),
        BadBody::MediaType(why) => Error::UnsupportedMediaType(why).into(),
    }
}

fn cache_control(app: &App, asked: &Asked, who: &Who) -> String {
    asked.cache_control(&app.ctx.collections().settings, who.user.is_none())
}
