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

use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use countersign_core::Logged;
use countersign_core::tags::bundle::{self as core, BundleDocument};
use countersign_model::{canonical, digest, strict_json};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Map, Value};
use utoipa_axum::router::OpenApiRouter;

use super::authorities::{JSON, answer, note_log, only, pem};
use super::entity_tag::{conditional, unless_known};
use super::error::{Refusal, Words};
use super::input::{Given, bad};
use super::{caller, ceiling, done, once};
use crate::app::App;
use crate::body;

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
        let bundle = core::get(&app.ctx).await?;
        // By its text: two of one version may be signed by different keys.
        Ok(conditional(&parts.headers, &digest::sha256(bundle.document.as_bytes()), of(bundle)))
    };
    words.answer(found.await)
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
    let root = core::root_pem(&app.ctx).await.map(|root| unless_known(&headers, root, pem));
    Words::of(&headers).answer(root.map_err(Refusal::from))
}

/// `POST /authorities/bundle`
async fn install(State(app): State<App>, request: Request) -> Response {
    let words = Words::of(request.headers());
    let installed = async {
        let (parts, body) = request.into_parts();
        let caller = caller(&app, &parts)?;
        let bytes = body::read_json(&parts.headers, body, BUNDLE_BYTES.min(ceiling(&app))).await?;
        let once = once(&parts, &bytes)?;
        let change = Change::read(&bytes)?;
        let (ctx, by) = (app.ctx.clone(), caller.clone());
        let work = async move {
            let Logged { value, log } = match change {
                Change::Install { document, root } => {
                    core::install(&ctx, &by, &document, root.as_deref()).await?
                }
                Change::Uninstall => core::uninstall(&ctx, &by).await?,
            };
            let mut response = of(value);
            note_log(&mut response, log.as_ref());
            Ok(response)
        };
        done(&app, &caller, once, words, work).await
    };
    words.answer(installed.await)
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
