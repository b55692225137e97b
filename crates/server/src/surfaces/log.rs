//! `/log/ORIGIN/…`: the signing logs as C2SP `tlog-tiles`, for any client of such logs.

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use countersign_core::pipeline::authorise;
use countersign_core::{Code, log as core};
use countersign_model::{Action, Name, Resource, Surface};
use countersign_tlog::tile::Resource as LogPath;
use http::HeaderMap;
use utoipa_axum::router::OpenApiRouter;

use crate::app::{App, Meta};
use crate::auth;
use crate::call::name;
use crate::problem::Problem;
use crate::tiled::{self, Audience, Lasts};

/// The surface's routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().route("/log/{origin}/{*path}", get(read))
}

async fn read(
    State(app): State<App>,
    Extension(meta): Extension<Meta>,
    headers: HeaderMap,
    path: Result<Path<(String, String)>, axum::extract::rejection::PathRejection>,
) -> Result<Response, Problem> {
    let no_such = |detail: &str| Problem::new(Code::NotFound, detail);
    let caller = if app.config.log.public {
        None
    } else {
        Some(auth::caller_of(&app, &headers, &meta, Surface::Native)?)
    };
    let Path((origin, path)) = path.map_err(|_| no_such("the path is not UTF-8"))?;
    let origin: Name = name("origin", &origin)?;
    if let Some(caller) = &caller {
        authorise(&app.ctx, caller, Action::LogRead, &Resource::log(origin.as_str()))?;
    }
    let path = tiled::resource(&path).map_err(|error| no_such(&error.to_string()).hint(error.hint()))?;
    let audience = if caller.is_none() { Audience::Public } else { Audience::Private };
    let (body, lasts) = match path {
        // What was answered before is covered: the checkpoint is never an old one.
        LogPath::Checkpoint => (core::checkpoint(&app.ctx, &origin).await?.into_bytes(), Lasts::No),
        LogPath::Tile(_) | LogPath::Entries(_) => (core::tile(&app.ctx, &origin, path).await?, Lasts::Always),
    };
    Ok(tiled::answer(tiled::kind(&path), body, audience, lasts))
}

/// The newest checkpoint of a log, as a signed note.
#[utoipa::path(
    get, path = "/log/{origin}/checkpoint", tag = "log", operation_id = "get_checkpoint",
    params(("origin" = String, Path)),
    responses((status = 200, body = String, content_type = "text/plain"))
)]
#[allow(dead_code, reason = "described only: one route serves the whole tree")]
pub(crate) fn checkpoint() {}

/// A tile of hashes, `LEVEL/NNN`, or a bundle of entries, `entries/NNN` (C2SP tlog-tiles).
#[utoipa::path(
    get, path = "/log/{origin}/tile/{path}", tag = "log", operation_id = "get_tile",
    params(("origin" = String, Path), ("path" = String, Path)),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"))
)]
#[allow(dead_code, reason = "described only: one route serves the whole tree")]
pub(crate) fn tile() {}
