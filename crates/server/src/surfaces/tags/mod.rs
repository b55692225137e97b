//! `/tags`: texts that several authorities sign, by name and version.
//!
//! Reading is anonymous. Writing and signing take `Authorization: Bearer TOKEN`, or `Basic` with the token as
//! the password; `X-API-Key` is as if absent. Refusals are `{"code","error","message"}`, or the message alone
//! for who accepts `text/plain`; none has a payload in it.

use std::future::Future;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::{MethodRouter, delete, get, post};
use countersign_core::Caller;
use countersign_core::tags::{Error, TagName};
use countersign_model::Surface;
use http::HeaderMap;
use http::request::Parts;
use utoipa_axum::router::OpenApiRouter;

use crate::app::{App, Meta, no_route};
use crate::auth::{self, Shown};
use crate::call::unhurried;
use crate::idempotency::{self, Once};
use crate::listener::Remote;
use crate::problem::Problem;

mod authorities;
mod bundle;
mod description;
pub mod entity_tag;
pub mod error;
pub mod input;
mod requests;
mod stateless;
mod store;
mod wire;

use error::{Refusal, Words};

/// The surface's routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(description::description())
        .route("/tags", list())
        .route("/tags/", list())
        .route("/tags/validate", only_post(post(stateless::validate)))
        .route("/tags/sign", only_post(post(stateless::sign)))
        .merge(requests::routes())
        .merge(authorities::routes())
        .merge(bundle::routes())
        .route("/tags/{*name}", of_tag(get(store::get).post(store::post).put(store::put).delete(store::hide)))
}

/// The short forms at the root, which answer as those under `/tags/`. Every other route wins over them.
pub fn root_routes() -> OpenApiRouter<App> {
    let tag = get(root::get).post(root::post).put(root::put).merge(delete(root::hide));
    OpenApiRouter::default()
        .route("/validate", only_post(post(stateless::validate_any)))
        .route("/sign", only_post(post(stateless::sign)))
        .route("/{name}", of_tag(tag))
}

fn list() -> MethodRouter<App> {
    get(store::list).fallback(async |headers: HeaderMap| refuse_method(&headers, "GET, HEAD"))
}

fn only_post(route: MethodRouter<App>) -> MethodRouter<App> {
    route.fallback(async |headers: HeaderMap| refuse_method(&headers, "POST"))
}

fn of_tag(route: MethodRouter<App>) -> MethodRouter<App> {
    route.fallback(async |headers: HeaderMap| refuse_method(&headers, "GET, HEAD, POST, PUT, DELETE"))
}

fn refuse_method(headers: &HeaderMap, allow: &'static str) -> Response {
    Words::of(headers).answer(Err(Refusal::method_not_allowed(allow)))
}

/// The path of a tag, as it was sent: read late, so that the query's length is looked at first.
type TagPath = Result<Path<String>, axum::extract::rejection::PathRejection>;

fn path_text(path: TagPath) -> Result<String, Refusal> {
    Ok(path.map(|Path(text)| text).map_err(|_| Error::BadTagName("the path is not UTF-8".into()))?)
}

fn tag_name(path: TagPath) -> Result<TagName, Refusal> {
    Ok(path_text(path)?.parse::<TagName>()?)
}

/// Who asks, with good credentials.
fn caller(app: &App, parts: &Parts) -> Result<Caller, Refusal> {
    let meta = parts.extensions.get::<Meta>();
    let meta = meta.ok_or_else(|| Problem::new(countersign_core::Code::Internal, "no request id"))?;
    let shown = Shown::bearer_or_basic(&parts.headers)?;
    Ok(auth::caller_showing(app, shown, meta, Surface::Tags)?)
}

/// The request as one that is done once, if it has an idempotency key.
///
/// # Errors
/// `bad-request` for a key that is malformed or there twice.
fn once(parts: &Parts, body: &[u8]) -> Result<Option<Once>, Refusal> {
    let key = Once::key(&parts.method, &parts.headers)?;
    Ok(key.map(|key| Once::of(key, &parts.method, &parts.uri, body)))
}

/// Does `work` to its end even if the client goes, and with an idempotency key only once.
///
/// # Errors
/// What `work` refuses, and `idempotency-mismatch`.
async fn done(
    app: &App,
    caller: &Caller,
    once: Option<Once>,
    words: Words,
    work: impl Future<Output = Result<Response, Refusal>> + Send + 'static,
) -> Result<Response, Refusal> {
    let Some(once) = once else { return unhurried(app, work).await? };
    let answered = async move { Ok(words.answer(work.await)) };
    Ok(unhurried(app, idempotency::run(app.clone(), caller.clone(), once, answered)).await??)
}

/// Counts a write of `caller`; `None`: of somebody without credentials.
fn count_write(app: &App, parts: &Parts, caller: Option<&Caller>) -> Result<(), Refusal> {
    let who = match caller.map(|caller| (&caller.identity.token, &caller.identity.principal)) {
        None => parts.extensions.get::<Remote>().map_or("-".to_owned(), |remote| format!("at {remote}")),
        Some((Some(token), _)) => format!("token {}", token.id),
        Some((None, principal)) => format!("principal {principal}"),
    };
    let taken = app.tag_writes.take(&who, std::time::Instant::now());
    let per_minute = app.tag_writes.per_minute();
    taken.map_err(|retry_after| Error::RateLimited { per_minute, retry_after }.into())
}

/// The largest body that the server takes, in bytes.
fn ceiling(app: &App) -> u64 {
    u64::from(app.config.limits.body_mib) << 20
}

/// The forms at the root: a tag of one segment, unless that belongs to another protocol.
mod root {
    use super::*;

    /// First segments that are no tags here, whatever is built.
    const RESERVED: &[&str] = &[
        "v1",
        "buckets",
        "accounts",
        "batch",
        "tags",
        "authorities",
        "attestations",
        "metadata",
        "api",
        "log",
        "countersign",
        "console",
        "sign",
        "validate",
        "auths",
        "signature",
        "bootstrap",
        "import",
        "export",
        "gpg",
        "cert",
        "secureboot",
        "kmod",
        "rsa",
        "imx",
        "nxp",
        "health",
        "healthz",
        "readyz",
        "metrics",
        "openapi.json",
        ".well-known",
        "favicon.ico",
        "robots.txt",
        "permissions",
        "chains",
    ];

    pub(super) fn is_reserved(segment: &str) -> bool {
        let dunder = segment.len() > 4 && segment.starts_with("__") && segment.ends_with("__");
        dunder || RESERVED.contains(&segment)
    }

    fn reserved(path: &TagPath) -> bool {
        path.as_ref().is_ok_and(|Path(name)| is_reserved(name))
    }

    macro_rules! at_the_root {
        ($($name:ident),*) => {$(
            pub async fn $name(app: State<App>, path: TagPath, request: Request) -> Response {
                use axum::response::IntoResponse as _;
                if reserved(&path) {
                    return no_route().await.into_response();
                }
                store::$name(app, path, request).await
            }
        )*};
    }
    at_the_root!(get, post, put, hide);
}

#[cfg(test)]
mod tests {
    use super::root::is_reserved;

    #[test]
    fn what_belongs_to_other_protocols_is_no_tag_at_the_root() {
        for segment in ["v1", "buckets", "sign", "healthz", ".well-known", "__heartbeat__"] {
            assert!(is_reserved(segment), "{segment}");
        }
        for segment in ["app", "v2", "signs", "____", "health.txt"] {
            assert!(!is_reserved(segment), "{segment}");
        }
    }
}
