//! Autograph, for clients that post data with a Hawk header and get signatures.
//!
//! Every request but those about health is signed with a Hawk pair and answered once. Refusals are `text/plain`.
//!
//! ```text
//! POST /sign/data  /sign/hash  /sign/file  /sign/files     [{"input", "keyid", "options"}] → 201 [{"signature", …}]
//! POST /signature                                          the same, as the first version of the service had it
//! GET  /auths/{id}/keyids  /__monitor__  /__heartbeat__  /__lbheartbeat__  /__version__
//! ```

use axum::routing::{MethodRouter, get, post};
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

mod description;
mod error;
mod hawk;
mod signing;
mod status;
pub mod wire;

/// The surface's routes.
pub fn routes() -> OpenApiRouter<App> {
    let mut routes = OpenApiRouter::with_openapi(description::description());
    for (path, methods) in table() {
        routes = routes.route(path, methods);
    }
    routes
}

/// Paths and their methods.
fn table() -> Vec<(&'static str, MethodRouter<App>)> {
    vec![
        ("/sign/data", post(signing::data)),
        ("/sign/hash", post(signing::hash)),
        ("/sign/file", post(signing::file)),
        ("/sign/files", post(signing::files)),
        ("/signature", post(signing::seed)),
        ("/auths/{id}/keyids", get(status::keyids)),
        ("/__monitor__", get(status::monitor)),
        ("/__heartbeat__", get(status::heartbeat)),
        ("/__lbheartbeat__", get(status::lbheartbeat)),
        ("/__version__", get(status::version)),
    ]
}
