//! `/bootstrap`.

use axum::extract::State;
use axum::response::Response;
use countersign_core::appliance::{self as core, Bootstrap, BootstrapCertificates};
use serde_json::json;

use super::certificates::new_certificate;
use super::error::Refusal;
use super::openpgp::new_key;
use super::posted::{Posted, document, json, making};
use super::wire;
use crate::app::App;

/// Makes a product's whole key set, or nothing of it.
pub async fn bootstrap(State(app): State<App>, posted: Posted) -> Result<Response, Refusal> {
    let (caller, wanted) = posted.read(|body| read(&document(body)?)).await?;
    let ctx = app.ctx.clone();
    let made = making(&app, async move { core::bootstrap(&ctx, &caller, wanted).await }).await?;
    let mut certificates = json!({ "pk": made.pk, "kek": made.kek, "kmod": made.kmod });
    if let Some(db) = made.db {
        certificates["db"] = db.into();
    }
    // The description of the original calls the trees by one pair of names, its program by the other.
    Ok(json(&json!({
        "gpg": { "fingerprint": made.openpgp },
        "rsa": { "fingerprint": made.rsa },
        "hab": { "pki_id": made.hab },
        "pkiHab": { "pki_id": made.hab },
        "ahab": { "pki_id": made.ahab },
        "pkiAhab": { "pki_id": made.ahab },
        "certificates": certificates,
    })))
}

fn read(wanted: &wire::Bootstrap<'_>) -> Result<Bootstrap, Refusal> {
    let certificates = &wanted.certificates;
    Ok(Bootstrap {
        openpgp: new_key(&wanted.gpg)?,
        hab: wanted.hab.into(),
        ahab: wanted.ahab.into(),
        certificates: BootstrapCertificates {
            pk: new_certificate(&certificates.pk)?,
            kek: new_certificate(&certificates.kek)?,
            kmod: new_certificate(&certificates.kmod)?,
            db: certificates.db.as_ref().map(new_certificate).transpose()?,
        },
    })
}
