//! `/authorities/bundle`: all authorities with their keys in one signed document, for use offline.
//!
//! ```text
//! GET  /authorities/bundle           the bundle; `Countersign-Bundle-Stale: true` if the authorities have
//!                                    changed since it was signed elsewhere
//! GET  /authorities/bundle.pub       the key that signs it, PEM
//! GET  /authorities/bundle?draft=1   what is to be signed elsewhere: {"signed": …}, with the next version
//! POST /authorities/bundle           installs one that was signed elsewhere
//! ```
//!
//! A bundle that was signed elsewhere is posted with the public half of its key in a further member `root`, at
//! least the first time: `{"root":PEM,"signed":…,"signatures":[…]}`. It has the next version, or the text of the
//! present one with another signature, and the authorities of now. `{"root":null}` lets the server sign with its
//! own key again. Both are for who has `authority:write` on `authority:bundle`.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use countersign_core::Logged;
use countersign_core::tags::bundle::{self as core, BundleDocument};
use countersign_model::{canonical, digest, strict_json};
use http::header::{ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Map, Value};
use utoipa_axum::router::OpenApiRouter;

use super::authorities::{JSON, answer, note_log, only, pem};
use super::error::{Refusal, Words};
use super::input::{Given, bad};
use super::{caller, ceiling};
use crate::app::App;
use crate::body;
use crate::call::unhurried;

/// The surface's routes of the bundle.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .route("/authorities/bundle", only(get(read).post(install), "GET, HEAD, POST"))
        .route("/authorities/bundle.pub", only(get(root), "GET, HEAD"))
}

/// Says that the authorities have changed since the bundle was signed elsewhere.
const STALE: HeaderName = HeaderName::from_static("countersign-bundle-stale");

/// The most bytes of a bundle that is installed: tens of thousands of keys.
const BUNDLE_BYTES: u64 = 32 << 20;

/// `GET /authorities/bundle`
async fn read(State(app): State<App>, request: Request) -> Response {
    let words = Words::of(request.headers());
    // There is nothing in the body.
    let (parts, _) = request.into_parts();
    let found = async {
        let mut given = Given::query(&parts.uri)?;
        let draft = given.switch("draft")?;
        given.done()?;
        if draft {
            let caller = caller(&app, &parts)?;
            return Ok(answer(StatusCode::OK, JSON, core::draft(&app.ctx, &caller).await?));
        }
        Ok(unless_known(&parts.headers, core::get(&app.ctx).await?))
    };
    words.answer(found.await)
}

fn unless_known(headers: &HeaderMap, bundle: BundleDocument) -> Response {
    // By its text: two of one version may be signed by different keys.
    let tag = format!("\"{}\"", hex::encode(digest::sha256(bundle.document.as_bytes())));
    let known = headers.get_all(IF_NONE_MATCH).iter().any(|value| value.as_bytes() == tag.as_bytes());
    let mut response = of(bundle);
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Body::empty();
    }
    if let Ok(tag) = HeaderValue::try_from(tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

fn of(bundle: BundleDocument) -> Response {
    let mut response = answer(StatusCode::OK, JSON, bundle.document);
    if bundle.stale {
        response.headers_mut().insert(STALE, HeaderValue::from_static("true"));
    }
    response
}

/// `GET /authorities/bundle.pub`
async fn root(State(app): State<App>, headers: HeaderMap) -> Response {
    let root = core::root_pem(&app.ctx).await.map(pem).map_err(Refusal::from);
    Words::of(&headers).answer(root)
}

/// `POST /authorities/bundle`
async fn install(State(app): State<App>, request: Request) -> Response {
    let words = Words::of(request.headers());
    let done = async {
        let (parts, body) = request.into_parts();
        let caller = caller(&app, &parts)?;
        let bytes = body::read_json(&parts.headers, body, BUNDLE_BYTES.min(ceiling(&app))).await?;
        let change = Change::read(&bytes)?;
        let ctx = app.ctx.clone();
        let work = async move {
            match change {
                Change::Install { document, root } => {
                    core::install(&ctx, &caller, &document, root.as_deref()).await
                }
                Change::Uninstall => core::uninstall(&ctx, &caller).await,
            }
        };
        let Logged { value, log } = unhurried(&app, work).await??;
        let mut response = of(value);
        note_log(&mut response, log.as_ref());
        Ok(response)
    };
    words.answer(done.await)
}

/// What is posted.
enum Change {
    /// A bundle, and the key that signed it if that is given.
    Install { document: Vec<u8>, root: Option<String> },
    /// The server signs again.
    Uninstall,
}

impl Change {
    fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        let Ok(Value::Object(mut document)) = strict_json::parse(bytes) else {
            return Err(bad("the body is not a JSON object whose members stand once".into()));
        };
        match document.remove("root") {
            None => Self::install(document, None),
            Some(Value::String(pem)) => Self::install(document, Some(pem)),
            Some(Value::Null) if document.is_empty() => Ok(Self::Uninstall),
            Some(_) => Err(bad("`root` is a public key (PEM), or `null` and nothing beside it".into())),
        }
    }

    fn install(document: Map<String, Value>, root: Option<String>) -> Result<Self, Refusal> {
        let document = canonical::python(&Value::Object(document)).map_err(|error| bad(error.to_string()))?;
        Ok(Self::Install { document: [document.as_slice(), b"\n"].concat(), root })
    }
}
