//! The TUF repository service, as clients of Repository Service for TUF ask, and what it publishes.
//!
//! ```text
//! /api/v1/…        JSON, with a token: bootstrap, config, metadata, delegations, artifacts, task, keys
//! /metadata/NAME   metadata files, for everybody
//! /targets/PATH    target files that are kept here, for everybody
//! ```
//!
//! Each path below `/api/v1` answers with and without a slash at its end. A request is judged in this order: token (401),
//! scope (403), body (422), state (404, 409, 403). What is accepted is a task: 202. Refusals are `{"detail":…}`.

use axum::routing::{MethodRouter, any, delete, get, post, put};
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

mod artifacts;
pub mod bodies;
mod call;
mod delegations;
mod description;
pub mod error;
mod gc;
mod keys;
mod metadata;
pub mod published;
mod repository;
mod scope;
mod signing;
pub mod targets;
mod tasks;

use error::Refusal;

/// The surface's routes.
pub fn routes() -> OpenApiRouter<App> {
    let mut routes = OpenApiRouter::with_openapi(description::description());
    for (path, methods) in table() {
        let methods = methods.fallback(async || Refusal::method_not_allowed());
        routes = routes.route(path, methods.clone()).route(&format!("{path}/"), methods);
    }
    for path in ["/api/v1", "/api/v1/", "/api/v1/{*path}"] {
        routes = routes.route(path, any(async || Refusal::not_found()));
    }
    for (path, methods) in files() {
        routes = routes.route(path, methods.fallback(async || Refusal::method_not_allowed()));
    }
    routes
}

/// Paths and their methods, without the slash at the end.
fn table() -> Vec<(&'static str, MethodRouter<App>)> {
    vec![
        ("/api/v1/bootstrap", get(repository::bootstrap).post(repository::start)),
        ("/api/v1/config", get(repository::config).put(repository::configure)),
        ("/api/v1/metadata", post(metadata::update)),
        ("/api/v1/metadata/online", post(metadata::online)),
        (
            "/api/v1/metadata/sign",
            get(signing::pending).post(signing::sign).patch(signing::override_).merge(delete(signing::stop)),
        ),
        ("/api/v1/metadata/sign/delete", post(signing::stop)),
        ("/api/v1/metadata/sign/challenge", post(signing::challenge)),
        ("/api/v1/delegations", post(delegations::add).put(delegations::update)),
        ("/api/v1/delegations/delete", post(delegations::remove)),
        ("/api/v1/artifacts", post(artifacts::add)),
        ("/api/v1/artifacts/delete", post(artifacts::remove)),
        ("/api/v1/artifacts/publish", post(artifacts::publish)),
        ("/api/v1/task", get(tasks::get)),
        ("/api/v1/gc", post(gc::collect)),
        ("/api/v1/keys/online", get(keys::list).post(keys::create)),
    ]
}

/// Paths with the name of a file in them.
fn files() -> Vec<(&'static str, MethodRouter<App>)> {
    vec![
        ("/api/v1/targets/{*path}", put(targets::upload)),
        ("/metadata/{*name}", get(published::read)),
        ("/targets/{*path}", get(targets::read)),
    ]
}
