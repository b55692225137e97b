//! `/cert`.

use axum::extract::{Path, State};
use axum::response::Response;
use countersign_core::appliance::{self as core, CertificateId, NewCertificate};
use countersign_pki::subject::Subject;
use serde_json::json;

use super::error::Refusal;
use super::posted::{Posted, document, encoded, json, making};
use super::wire;
use crate::app::App;
use crate::body::Place;

/// Makes a certificate.
pub async fn create(State(app): State<App>, posted: Posted) -> Result<Response, Refusal> {
    let (caller, new) = posted.read(|body| new_certificate(&document(body)?)).await?;
    let ctx = app.ctx.clone();
    let pem = making(&app, async move { core::create_certificate(&ctx, &caller, new).await }).await?;
    Ok(json(&json!({ "cert": pem })))
}

/// What to make.
pub(super) fn new_certificate(wanted: &wire::Certificate<'_>) -> Result<NewCertificate, Refusal> {
    if !matches!(wanted.key_length, 2048 | 4096) {
        return Err(Refusal::schema(format!("{} is not one of [2048, 4096]", wanted.key_length)));
    }
    if wanted.days == 0 {
        return Err(Refusal::schema("0 is less than the minimum of 1"));
    }
    let subject: Subject =
        wanted.subject.as_str().parse().map_err(|why: countersign_pki::subject::SubjectError| {
            Refusal::application(http::StatusCode::BAD_REQUEST, why.to_string())
        })?;
    Ok(NewCertificate { id: id(&wanted.cert_id)?, subject, key_length: wanted.key_length, days: wanted.days })
}

/// A certificate's name.
pub(super) fn id(text: &wire::Text<'_>) -> Result<CertificateId, Refusal> {
    Ok(text.as_str().parse::<CertificateId>()?)
}

/// Shows a certificate.
pub async fn show(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let pem = core::certificate_pem(&app.ctx, &id.parse()?, "not found").await?;
    Ok(json(&json!({ "cert": pem })))
}

/// Signs a digest bare.
pub async fn sign(State(app): State<App>, posted: Posted) -> Result<Response, Refusal> {
    let read = |body: &[u8]| {
        let wanted: wire::SignDigest<'_> = document(body)?;
        let mut digest = [0; 32];
        hex::decode_to_slice(wanted.digest.as_str(), &mut digest)
            .map_err(|_| Refusal::schema("'digest' does not match '^[a-fA-F0-9]{64}$'"))?;
        Ok((id(&wanted.cert_id)?, digest))
    };
    let (caller, (id, digest)) = posted.read(read).await?;
    encoded("signature", core::sign_digest(&app.ctx, &caller, &id, digest).await?, Place::default()).await
}
