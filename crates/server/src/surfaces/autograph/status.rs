//! What can be asked about: one's key ids, whether every signer signs, health and version.

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use countersign_core::autograph as core;
use http::StatusCode;
use serde_json::json;

use super::hawk::{self, aside};
use super::signing::{answering, json};
use super::wire;
use crate::app::{App, no_route};
use crate::call::unhurried;

/// Lists the ids that the client may name as `keyid`.
pub async fn keyids(State(app): State<App>, path: Option<Path<String>>, request: Request) -> Response {
    let known = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    let of = path.map(|Path(id)| id).filter(|id| (1..=255).contains(&id.len()) && id.bytes().all(known));
    let Some(of) = of else { return no_route().await.into_response() };
    answering(request, async |parts, body| {
        let client = hawk::got(&app, parts, body).await?;
        // Every key is looked at.
        let ids = aside(move || core::keyids(&app.autograph, &app.ctx, &client.caller, &client.id, &of));
        let ids = ids.await??;
        json(StatusCode::OK, serde_json::to_vec(&ids))
    })
    .await
}

/// Has a constant text signed by every signer that the client may use.
pub async fn monitor(State(app): State<App>, request: Request) -> Response {
    answering(request, async |parts, body| {
        let client = hawk::got(&app, parts, body).await?;
        let asked = app.clone();
        let (client, prepared) = aside(move || {
            let prepared = core::monitor(&asked.autograph, &asked.ctx, &client.caller, &client.id);
            (client, prepared)
        })
        .await?;
        let (ctx, prepared) = (app.ctx.clone(), prepared?);
        let signed =
            unhurried(&app, async move { core::sign(&ctx, &client.caller, prepared).await }).await??;
        json(StatusCode::CREATED, wire::stream(&signed))
    })
    .await
}

/// Says whether keys and database can be reached, in the original's words.
pub async fn heartbeat(State(app): State<App>) -> Response {
    let keys = app.ctx.welcome().is_some() && app.ctx.key_host().log_trouble().is_none();
    let database = app.ctx.store().ping().await.is_ok();
    let status = if keys && database { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(json!({ "hsmAccessible": keys, "dbAccessible": database }))).into_response()
}

/// Says that the process lives.
pub async fn lbheartbeat() -> &'static str {
    "ohai"
}

/// Says which version this is.
pub async fn version() -> Response {
    let version = env!("CARGO_PKG_VERSION");
    let document = json!({ "source": "countersign", "version": version, "commit": "", "build": "" });
    axum::Json(document).into_response()
}
