//! Custom delegated roles.

use axum::extract::{Request, State};
use axum::response::Response;

use super::bodies;
use super::call::{DOCUMENT, as_task};
use super::error::Refusal;
use super::scope::Scope;
use crate::app::App;

const NEEDS: (&[Scope], u64) = (&[Scope::WriteDelegations], DOCUMENT);

/// `POST delegations`: new roles.
pub async fn add(State(app): State<App>, request: Request) -> Result<Response, Refusal> {
    as_task(&app, request, NEEDS, bodies::delegations_add, "Metadata delegation add accepted.").await
}

/// `PUT delegations`: other keys, thresholds, paths or lifetimes.
pub async fn update(State(app): State<App>, request: Request) -> Result<Response, Refusal> {
    as_task(&app, request, NEEDS, bodies::delegations_update, "Metadata delegation update accepted.").await
}

/// `POST delegations/delete`: fewer roles.
pub async fn remove(State(app): State<App>, request: Request) -> Result<Response, Refusal> {
    as_task(&app, request, NEEDS, bodies::delegations_delete, "Metadata delegation delete accepted.").await
}
