//! What waits for signatures: shown, signed, overridden, stopped.

use axum::extract::{Request, State};
use axum::response::Response;
use countersign_core::tuf::challenge::{self, Issued};
use countersign_core::tuf::read;
use http::StatusCode;
use serde_json::json;

use super::bodies;
use super::call::{DOCUMENT, SMALL, answer, as_task, ask, time};
use super::error::Refusal;
use super::scope::{self, Scope};
use crate::app::App;

/// `GET metadata/sign`: all that is pending.
pub async fn pending(State(app): State<App>, request: Request) -> Result<Response, Refusal> {
    scope::caller(&app, &request.into_parts().0, &[Scope::ReadMetadataSign])?;
    let pending = read::signing(&app.ctx).await?;
    let message = match pending {
        Some(_) => "Metadata role(s) pending signing",
        None => "No metadata pending signing available",
    };
    Ok(answer(StatusCode::OK, pending, message))
}

/// `POST metadata/sign`: one signature.
pub async fn sign(State(app): State<App>, request: Request) -> Result<Response, Refusal> {
    let needs = ([Scope::WriteMetadataSign].as_slice(), SMALL);
    as_task(&app, request, needs, bodies::sign, "Metadata sign accepted.").await
}

/// `PATCH metadata/sign`: another root in the place of the pending one.
pub async fn override_(State(app): State<App>, request: Request) -> Result<Response, Refusal> {
    let needs = ([Scope::WriteMetadataSign, Scope::DeleteMetadataSign].as_slice(), DOCUMENT);
    as_task(&app, request, needs, bodies::override_, "Metadata sign override accepted.").await
}

/// `POST metadata/sign/delete`, `DELETE metadata/sign`: no signing any more.
pub async fn stop(State(app): State<App>, request: Request) -> Result<Response, Refusal> {
    let needs = ([Scope::DeleteMetadataSign].as_slice(), SMALL);
    as_task(&app, request, needs, bodies::stop, "Metadata sign delete accepted.").await
}

/// `POST metadata/sign/challenge`: a text for a proof of possession.
pub async fn challenge(State(app): State<App>, request: Request) -> Result<Response, Refusal> {
    let asked = ask(&app, request, &[Scope::DeleteMetadataSign], SMALL, bodies::challenge).await?;
    let bodies::Challenge { role, operation, new } = asked.body;
    let Issued { nonce, payload, expires } =
        challenge::issue(&app.ctx, &asked.caller, &role, operation, new).await?;
    let data = json!({"nonce": nonce, "payload": payload, "expires": time(expires)});
    Ok(answer(StatusCode::CREATED, Some(data), "Challenge issued."))
}
