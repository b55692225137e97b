//! `POST gc?dry_run=true`: what nobody needs any more.

use axum::extract::{Request, State};
use axum::response::Response;
use countersign_core::tuf::gc;
use http::StatusCode;
use serde_json::json;

use super::bodies;
use super::call::{SMALL, answer};
use super::error::Refusal;
use super::scope::{self, Scope};
use crate::app::App;
use crate::body::Arriving;
use crate::call::unhurried;

/// Removes old files, or only counts them. Has no body; one that is sent says nothing.
pub async fn collect(State(app): State<App>, request: Request) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let caller = scope::caller(&app, &parts, &[Scope::DeleteArtifacts])?;
    Arriving::new(&parts.headers, body, SMALL)?.held().await?;
    let query = parts.uri.query().unwrap_or_default();
    let dry_run = bodies::query(query, "dry_run").is_some_and(|value| value == "true");
    let ctx = app.ctx.clone();
    let work = async move { gc::run(&ctx, &caller, dry_run).await };
    let report = unhurried(&app, work).await??;
    Ok(answer(StatusCode::OK, Some(json!(report)), "Garbage collected."))
}
