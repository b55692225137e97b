//! Health, readiness, metrics, and the description of the API.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use countersign_core::collections::signer::refresh;
use countersign_core::collections::{autograph, chain, webhook};
use countersign_core::pipeline::authorise;
use countersign_core::publication;
use countersign_model::{Action, Resource, Surface};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::{App, Meta};
use crate::auth;
use crate::metrics::{Collections, Publication};
use crate::problem::Problem;

/// The surface's routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(healthz))
        .routes(routes!(readyz))
        .routes(routes!(metrics))
        .routes(routes!(openapi))
        .route("/", get(openapi))
}

fn answer(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Says `ok` while the process lives.
#[utoipa::path(
    get, path = "/healthz", tag = "process", security(()),
    responses((status = 200, body = String, content_type = "text/plain"))
)]
pub async fn healthz() -> Response {
    answer(StatusCode::OK, "text/plain; charset=utf-8", "ok")
}

/// Whether the server can do its work.
#[derive(Serialize, ToSchema)]
pub struct Readiness {
    ready: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
}

/// Says whether the server can do its work.
#[utoipa::path(
    get, path = "/readyz", tag = "process", security(()),
    responses((status = 200, body = Readiness), (status = 503, body = Readiness))
)]
pub async fn readyz(State(app): State<App>) -> Response {
    let reasons = app.ctx.not_ready().await;
    let ready = reasons.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = serde_json::to_vec(&Readiness { ready, reasons }).unwrap_or_default();
    let mut response = answer(status, "application/json", body);
    if !ready {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(1));
    }
    response
}

/// Counts, in the text form of Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "process",
    responses((status = 200, body = String, content_type = "application/openmetrics-text"))
)]
pub async fn metrics(
    State(app): State<App>,
    axum::Extension(meta): axum::Extension<Meta>,
    headers: http::HeaderMap,
) -> Result<Response, Problem> {
    if !app.config.metrics.public {
        let caller = auth::caller_of(&app, &headers, &meta, Surface::Native)?;
        authorise(&app.ctx, &caller, Action::MetricsRead, &Resource::metrics())?;
    }
    let ready = app.ctx.not_ready().await.is_empty();
    let head = app.ctx.store().log_head(app.ctx.node().as_str()).await.ok().flatten();
    let (entries, stopped) = (publication::size(&app.ctx), publication::halt(&app.ctx).is_some());
    app.metrics.collections(&Collections {
        chains: chain::in_use(&app.ctx),
        circuits: autograph::circuits(&app.ctx),
        events: webhook::counts(&app.ctx),
        not_signed_again: refresh::left(&app.ctx),
    });
    let text = app.metrics.encode(ready, head.map(|head| head.size), Publication { entries, stopped });
    Ok(answer(StatusCode::OK, "application/openmetrics-text; version=1.0.0; charset=utf-8", text))
}

/// This description. `GET /` gives it too.
#[utoipa::path(
    get, path = "/openapi.json", tag = "process", security(()),
    responses((status = 200, body = String, content_type = "application/json"))
)]
pub async fn openapi(State(app): State<App>) -> Response {
    answer(StatusCode::OK, "application/json", app.openapi.get().cloned().unwrap_or_default())
}
