//! The bootstrap, and the lifetimes of roles.

use axum::extract::{Request, State};
use axum::response::Response;
use countersign_core::tuf::read;
use http::StatusCode;

use super::bodies;
use super::call::{DOCUMENT, SMALL, answer, as_task};
use super::error::Refusal;
use super::scope::{self, Scope};
use crate::app::App;

/// `GET bootstrap`: how far it is.
pub async fn bootstrap(State(app): State<App>, request: Request) -> Result<Response, Refusal> {
    scope::caller(&app, &request.into_parts().0, &[Scope::ReadBootstrap])?;
    let read::Answer { data, message } = read::bootstrap(&app.ctx).await?;
    Ok(answer(StatusCode::OK, Some(data), message))
}

/// `POST bootstrap`: the settings and the first root.
pub async fn start(State(app): State<App>, request: Request) -> Result<Response, Refusal> {
    let needs = ([Scope::WriteBootstrap].as_slice(), DOCUMENT);
    as_task(&app, request, needs, bodies::bootstrap, "Bootstrap accepted.").await
}

/// `GET config`: all settings.
pub async fn config(State(app): State<App>, request: Request) -> Result<Response, Refusal> {
    scope::caller(&app, &request.into_parts().0, &[Scope::ReadSettings])?;
    let settings = read::config(&app.ctx).await?;
    Ok(answer(StatusCode::OK, Some(settings), "Current Settings"))
}

/// `PUT config`: lifetimes.
pub async fn configure(State(app): State<App>, request: Request) -> Result<Response, Refusal> {
    let needs = ([Scope::WriteSettings].as_slice(), SMALL);
    as_task(&app, request, needs, bodies::config, "Settings successfully submitted.").await
}
