//! `/export` and `/import`.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use countersign_core::Secret;
use countersign_core::appliance::{self as core, Archive};
use http::StatusCode;
use serde_json::json;

use super::error::Refusal;
use super::posted::{Posted, base64_digits, document, json, making};
use super::wire::{Export, Import, Text};
use crate::app::App;

/// Gives out everything, encrypted. Old scripts choose the passphrase: it may be short.
pub async fn export(State(app): State<App>, posted: Posted) -> Result<Response, Refusal> {
    let read = |body: &[u8]| passphrase(document::<Export<'_>>(body)?.key);
    let (caller, passphrase) = posted.read(read).await?;
    let ctx = app.ctx.clone();
    let archive = making(&app, async move { core::export(&ctx, &caller, passphrase).await }).await?;
    Ok(json(&json!({ "data": archive.token, "salt": archive.salt })))
}

/// Takes in everything of an archive, or nothing.
pub async fn import(State(app): State<App>, posted: Posted) -> Result<Response, Refusal> {
    let (caller, (passphrase, archive), place) = posted.read_large(read_import).await?;
    let ctx = app.ctx.clone();
    let work = async move {
        let done = core::import(&ctx, &caller, passphrase, archive).await;
        // The archive is there till now.
        drop(place);
        done
    };
    making(&app, work).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn read_import(body: &[u8]) -> Result<(Secret, Archive), Refusal> {
    let Import { key, data, salt } = document(body)?;
    let passphrase = passphrase(key)?;
    base64_digits("data", data.as_str())?;
    base64_digits("salt", salt.as_str())?;
    Ok((passphrase, Archive { token: data.0.into_owned(), salt: salt.0.into_owned() }))
}

/// A passphrase is limited to the characters of base64, and taken as it stands.
fn passphrase(key: Text<'_>) -> Result<Secret, Refusal> {
    // Before the check: where it fails, the text is wiped, too.
    let secret = Secret(key.0.into_owned().into_bytes());
    base64_digits("key", std::str::from_utf8(&secret.0).unwrap_or_default())?;
    Ok(secret)
}
