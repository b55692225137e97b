//! `/countersign/v1/` and `/countersign/v1/whoami`.

use axum::extract::State;
use axum::response::Response;
use countersign_core::{log, principals};
use http::StatusCode;

use super::answer::json;
use super::wire;
use crate::app::App;
use crate::auth::Native;
use crate::problem::Problem;

/// The most items of a batch.
pub const BATCH_ITEMS: u32 = 1000;

/// Says what the service is, to anybody.
#[utoipa::path(
    get, path = "/countersign/v1/", tag = "process", operation_id = "get_service", security(()),
    responses((status = 200, body = wire::Service), (status = "default", body = wire::Problem))
)]
pub async fn describe(State(app): State<App>) -> Result<Response, Problem> {
    let document = wire::Service {
        service: "countersign".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        surfaces: vec!["native".into(), "log".into()],
        limits: wire::ServiceLimits {
            body_bytes: app.config.limits.native_json(),
            streamed_bytes: app.config.limits.streamed(),
            batch_items: BATCH_ITEMS,
        },
        log: wire::ServiceLog {
            origin: app.ctx.node().to_string(),
            public_key: log::verifier_key(&app.ctx).to_owned(),
        },
    };
    json(StatusCode::OK, &document)
}

/// Says who the caller is.
#[utoipa::path(
    get, path = "/countersign/v1/whoami", tag = "principals", operation_id = "whoami",
    responses((status = 200, body = wire::WhoAmI), (status = "default", body = wire::Problem))
)]
pub async fn whoami(Native(caller): Native) -> Result<Response, Problem> {
    json(StatusCode::OK, &principals::whoami(&caller))
}
