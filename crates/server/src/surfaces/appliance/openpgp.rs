//! `/gpg`.

use axum::extract::{Path, State};
use axum::response::Response;
use countersign_core::appliance::{self as core, NewOpenPgpKey};
use countersign_openpgp::UserId;
use http::StatusCode;
use serde_json::json;

use super::error::Refusal;
use super::posted::{Posted, PostedPayload, answering, base64, document, json, making};
use super::wire;
use crate::app::App;

/// Lists fingerprints.
pub async fn list(State(app): State<App>) -> Result<Response, Refusal> {
    Ok(json(&json!({ "keys": core::openpgp_fingerprints(&app.ctx).await? })))
}

/// Shows a public key.
pub async fn show(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Refusal> {
    Ok(json(&json!({ "key": core::openpgp_armored(&app.ctx, hex_id(&id)?).await? })))
}

/// A key id as the schema has it.
pub(super) fn hex_id(text: &str) -> Result<&str, Refusal> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text)
    } else {
        Err(Refusal::schema("'key_id' does not match '^[a-fA-F0-9]+$'"))
    }
}

/// Makes a key.
pub async fn create(State(app): State<App>, posted: Posted) -> Result<Response, Refusal> {
    let (caller, new) = posted.read(|body| new_key(&document(body)?)).await?;
    let ctx = app.ctx.clone();
    let fingerprint = making(&app, async move { core::create_openpgp_key(&ctx, &caller, new).await }).await?;
    Ok(json(&json!({ "fingerprint": fingerprint })))
}

/// What to make.
pub(super) fn new_key(wanted: &wire::OpenPgpKey<'_>) -> Result<NewOpenPgpKey, Refusal> {
    if !matches!(wanted.key_length, 2048 | 4096) {
        return Err(Refusal::schema(format!("{} is not one of [2048, 4096]", wanted.key_length)));
    }
    let (name, comment) = (wanted.name_real.as_str(), wanted.name_comment.as_str());
    let user_id = UserId::new(name, comment, wanted.name_email.as_str())
        .map_err(|why| Refusal::application(StatusCode::BAD_REQUEST, why.to_string()))?;
    Ok(NewOpenPgpKey { user_id, key_length: wanted.key_length })
}

/// Signs a document.
pub async fn sign(State(app): State<App>, PostedPayload(posted): PostedPayload) -> Result<Response, Refusal> {
    let read = |body: &[u8]| {
        let wanted: wire::Sign<'_> = document(body)?;
        let id = hex_id(wanted.key_id.as_str())?.to_owned();
        Ok((id, base64("payload", wanted.payload.as_str())?))
    };
    let (caller, (id, content), place) = posted.read_large(read).await?;
    let ctx = app.ctx.clone();
    let work = async move { core::sign_document(&ctx, &caller, &id, content).await };
    answering(&app, "signature", place, work).await
}
