//! The keys that the server signs with.

use axum::extract::{Request, State};
use axum::response::Response;
use countersign_core::tuf::online;
use http::StatusCode;

use super::bodies;
use super::call::{SMALL, answer, ask};
use super::error::Refusal;
use super::scope::{self, Scope};
use crate::app::App;
use crate::call::unhurried;

/// `GET keys/online`: public keys, as they stand in metadata and as PEM.
pub async fn list(State(app): State<App>, request: Request) -> Result<Response, Refusal> {
    scope::caller(&app, &request.into_parts().0, &[Scope::ReadKeys])?;
    Ok(answer(StatusCode::OK, Some(online::list(&app.ctx).await?), "Online keys."))
}

/// `POST keys/online`: a new one.
pub async fn create(State(app): State<App>, request: Request) -> Result<Response, Refusal> {
    let asked = ask(&app, request, &[Scope::WriteKeys], SMALL, bodies::new_key).await?;
    let bodies::NewKey { name, scheme } = asked.body;
    let (ctx, caller) = (app.ctx.clone(), asked.caller);
    let made = async move { online::create(&ctx, &caller, &name, scheme).await };
    let key = unhurried(&app, made).await??;
    Ok(answer(StatusCode::CREATED, Some(key), "Online key created."))
}
