//! `/kmod`.

use axum::extract::{Path, State};
use axum::response::Response;
use countersign_core::appliance as core;
use serde_json::json;

use super::certificates::id;
use super::error::Refusal;
use super::posted::{PostedPayload, answering, base64, document, json};
use super::wire;
use crate::app::App;

/// Shows a certificate: the same ones as `/cert`.
pub async fn show(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let pem = core::certificate_pem(&app.ctx, &id.parse()?, "does not exist").await?;
    Ok(json(&json!({ "cert": pem })))
}

/// Signs a kernel module.
pub async fn sign(State(app): State<App>, PostedPayload(posted): PostedPayload) -> Result<Response, Refusal> {
    let read = |body: &[u8]| {
        let wanted: wire::Sign<'_> = document(body)?;
        Ok((id(&wanted.key_id)?, base64("payload", wanted.payload.as_str())?))
    };
    let (caller, (id, module), place) = posted.read_large(read).await?;
    let ctx = app.ctx.clone();
    answering(&app, "signed", place, async move { core::sign_module(&ctx, &caller, &id, module).await }).await
}
