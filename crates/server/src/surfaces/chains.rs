//! `/chains/…`: the certificate chains of the keys that sign content, for whoever checks a signature.
//!
//! ```text
//! GET /chains/SHA256.pem   a chain, the leaf first: never changes, never goes
//! GET /chains/root.pem     the root's certificate, to be pinned by its SHA-256
//! ```

use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use countersign_core::Code;
use countersign_core::collections::chain;
use http::HeaderValue;
use http::header::ACCESS_CONTROL_ALLOW_ORIGIN;
use utoipa::openapi::path::HttpMethod;
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::described::{Asker, Described, describe};
use crate::problem::Problem;
use crate::tiled::{self, Audience, Lasts};

/// The surface's routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(describe("chains", RESOURCES)).route("/chains/{file}", get(read))
}

#[rustfmt::skip]
const RESOURCES: &[Described] = &[
    Described {
        method: HttpMethod::Get, path: "/chains/{file}", id: "get_chain", who: Asker::Anybody, query: &[], takes: &[],
        summary: "Gives the certificate chain of a key that signs content (`SHA256.pem`), or their root (`root.pem`).",
        gives: (200, &[PEM]),
    },
];

/// As Autograph's chains are served.
const PEM: &str = "application/x-pem-file";

async fn read(
    State(app): State<App>,
    path: Result<Path<String>, axum::extract::rejection::PathRejection>,
) -> Result<Response, Problem> {
    let none = || Problem::new(Code::NotFound, "there is no such chain");
    let Path(file) = path.map_err(|_| none())?;
    let name = file.strip_suffix(".pem").ok_or_else(none)?;
    let (pem, lasts) = match name {
        "root" => (chain::root(&app.ctx).await?, Lasts::Minutes),
        sha256 => (chain::pem(&app.ctx, sha256).await?, Lasts::Always),
    };
    let mut response = tiled::answer(PEM, pem.ok_or_else(none)?, Audience::Public, lasts);
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    Ok(response)
}
