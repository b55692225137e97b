//! The signing appliance, for clients that post JSON with `curl` and take one field of the answer.
//!
//! Every POST needs a key in `X-API-Key`; every GET is anonymous, and a key that is sent along is not looked at.
//! Fields of answers are flat texts: PEM, hex, or base64 in one line. Refusals are `{"error": TEXT}` where the
//! request was understood, else `application/problem+json` with `detail`.
//!
//! ```text
//! /bootstrap  /cert  /gpg  /kmod  /rsa  /secureboot  /imx (also as /nxp)  /import  /export  /health
//! ```

use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, post};
use http::header::LOCATION;
use http::{HeaderValue, StatusCode, Uri};
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

pub mod authenticator;
mod bootstrap;
mod certificates;
mod description;
mod error;
mod modules;
mod openpgp;
mod posted;
mod rsa;
mod secureboot;
mod transfer;
mod trees;
mod wire;

/// The surface's routes. The ones that make keys have time: an RSA-4096 key takes a second.
pub fn routes() -> OpenApiRouter<App> {
    let mut routes = OpenApiRouter::with_openapi(description::description());
    for (path, methods) in table() {
        // A slash at the end is answered with the path that has none, as the clients' libraries know it.
        routes = routes.route(path, methods).route(&format!("{path}/"), axum::routing::any(without_slash));
    }
    routes
}

/// Paths and their methods, in the order of the contract.
fn table() -> Vec<(&'static str, MethodRouter<App>)> {
    vec![
        ("/health", get(health)),
        ("/bootstrap", post(bootstrap::bootstrap)),
        ("/export", post(transfer::export)),
        ("/import", post(transfer::import)),
        ("/gpg/keys", get(openpgp::list)),
        ("/gpg/key", post(openpgp::create)),
        ("/gpg/key/{id}", get(openpgp::show)),
        ("/gpg/sign", post(openpgp::sign)),
        ("/cert", post(certificates::create)),
        ("/cert/sign", post(certificates::sign)),
        ("/cert/{id}", get(certificates::show)),
        ("/kmod/cert/{id}", get(modules::show)),
        ("/kmod/sign", post(modules::sign)),
        ("/secureboot/pk", post(secureboot::sign_pk)),
        ("/secureboot/kek", post(secureboot::sign_kek)),
        ("/secureboot/db", post(secureboot::sign_db)),
        ("/secureboot/dbx", post(secureboot::sign_dbx)),
        ("/secureboot/efi", post(secureboot::sign_program)),
        ("/secureboot/pk/{ids}", get(secureboot::show_pk)),
        ("/secureboot/kek/{ids}", get(secureboot::show_kek)),
        ("/secureboot/db/{ids}", get(secureboot::show_db)),
        ("/rsa/keys", get(rsa::list)),
        ("/rsa/key", post(rsa::create)),
        ("/rsa/key/{id}", get(rsa::show)),
        ("/rsa/sign", post(rsa::sign)),
        ("/imx/pki", post(trees::create)),
        ("/imx/pkis", get(trees::list)),
        ("/imx/efuses/{id}", get(trees::fuses)),
        ("/nxp/pki", post(trees::create)),
        ("/nxp/pkis", get(trees::list)),
        ("/nxp/efuses/{id}", get(trees::fuses)),
    ]
}

/// The proxy in front of the original answers this by itself.
async fn health() -> StatusCode {
    StatusCode::OK
}

async fn without_slash(uri: Uri) -> Response {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut response = StatusCode::TEMPORARY_REDIRECT.into_response();
    if let Ok(path) = HeaderValue::try_from(format!("{}{query}", uri.path().trim_end_matches('/'))) {
        response.headers_mut().insert(LOCATION, path);
    }
    response
}
