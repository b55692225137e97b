//! A new root, and new versions of what the server signs by itself.

use axum::extract::{Request, State};
use axum::response::Response;

use super::bodies;
use super::call::{DOCUMENT, SMALL, as_task};
use super::error::Refusal;
use super::scope::Scope;
use crate::app::App;

/// `POST metadata`: a new root, with the signatures that there are.
pub async fn update(State(app): State<App>, request: Request) -> Result<Response, Refusal> {
    let needs = ([Scope::WriteMetadata].as_slice(), DOCUMENT);
    as_task(&app, request, needs, bodies::metadata, "Metadata update accepted.").await
}

/// `POST metadata/online`: new versions.
pub async fn online(State(app): State<App>, request: Request) -> Result<Response, Refusal> {
    let needs = ([Scope::WriteMetadata].as_slice(), SMALL);
    as_task(&app, request, needs, bodies::online, "Force online metadata update accepted.").await
}
