//! `/kmod`.

use axum::extract::{Path, State};
use axum::response::Response;
use countersign_core::appliance as core;
use serde_json::json;

use super::certificates::id;
use super::error::Refusal;
use super::posted::{Posted, base64, document, encoded, json};
use super::wire;
use crate::app::App;

/// Shows a certificate: the same ones as `/cert`.
pub async fn show(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let pem = core::certificate_pem(&app.ctx, &id.parse()?, "does not exist").await?;
    Ok(json(&json!({ "cert": pem })))
}

/// Signs a kernel module.
pub async fn sign(State(app): State<App>, posted: Posted) -> Result<Response, Refusal> {
    let read = |body: &[u8]| {
        let wanted: wire::Sign<'_> = document(body)?;
        Ok((id(&wanted.key_id)?, base64("payload", wanted.payload.as_str())?))
    };
    let (caller, (id, module)) = posted.read(read).await?;
    encoded("signed", core::sign_module(&app.ctx, &caller, &id, module).await?).await
}
