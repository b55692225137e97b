//! `/rsa`.

use axum::extract::{Path, State};
use axum::response::Response;
use countersign_core::appliance as core;
use serde_json::json;

use super::error::Refusal;
use super::openpgp::hex_id;
use super::posted::{Posted, PostedPayload, answering, base64, document, json, making};
use super::wire;
use crate::app::App;

/// Lists ids.
pub async fn list(State(app): State<App>) -> Result<Response, Refusal> {
    Ok(json(&json!({ "keys": core::rsa_ids(&app.ctx).await? })))
}

/// Shows a public key.
pub async fn show(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Refusal> {
    Ok(json(&json!({ "key": core::rsa_pem(&app.ctx, hex_id(&id)?).await? })))
}

/// Makes a key. Whatever the body says, it is RSA-2048.
pub async fn create(State(app): State<App>, posted: Posted) -> Result<Response, Refusal> {
    let (caller, wire::Anything {}) = posted.read(|body| document(body)).await?;
    let ctx = app.ctx.clone();
    let id = making(&app, async move { core::create_rsa_key(&ctx, &caller).await }).await?;
    Ok(json(&json!({ "fingerprint": id })))
}

/// Signs an EEPROM image.
pub async fn sign(State(app): State<App>, PostedPayload(posted): PostedPayload) -> Result<Response, Refusal> {
    let read = |body: &[u8]| {
        let wanted: wire::Sign<'_> = document(body)?;
        let id = hex_id(wanted.key_id.as_str())?.to_owned();
        Ok((id, base64("payload", wanted.payload.as_str())?))
    };
    let (caller, (id, image), place) = posted.read_large(read).await?;
    let ctx = app.ctx.clone();
    let work = async move { core::sign_eeprom(&ctx, &caller, &id, image).await.map(String::into_bytes) };
    answering(&app, "signature", place, work).await
}
