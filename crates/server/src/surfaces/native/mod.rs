//! `/countersign/v1`: keys, signing, principals, policy, the log.
//!
//! Every answer carries the request id; every change of trust and every signature says in the header
//! `Countersign-Log: ORIGIN INDEX` where its entry in the signing log stands.

use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

pub mod certify;
pub mod control;
pub mod keys;
pub mod log;
pub mod policy;
pub mod principals;
pub mod service;
pub mod sign;
pub mod wire;

mod answer;
mod format;

/// The surface's routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(service::describe))
        .routes(routes!(service::whoami))
        .routes(routes!(control::seal))
        .routes(routes!(control::unlock_seal))
        .routes(routes!(control::backup))
        .routes(routes!(keys::create, keys::list))
        .routes(routes!(keys::import))
        .route("/countersign/v1/keys/import", get(keys::get_named_import))
        .routes(routes!(keys::get))
        .routes(routes!(keys::retire))
        .routes(routes!(keys::revoke))
        .routes(routes!(keys::export))
        .routes(routes!(sign::one))
        .routes(routes!(sign::batch))
        .routes(routes!(sign::verify))
        .routes(routes!(certify::self_sign))
        .routes(routes!(certify::request))
        .routes(routes!(certify::issue))
        .routes(routes!(certify::openpgp))
        .routes(routes!(principals::create, principals::list))
        .routes(routes!(principals::get))
        .routes(routes!(principals::disable))
        .routes(routes!(principals::create_token, principals::tokens))
        .routes(routes!(principals::create_hawk))
        .routes(routes!(principals::revoke_token))
        .routes(routes!(policy::get, policy::put))
        .routes(routes!(policy::check))
        .routes(routes!(policy::test))
        .routes(routes!(log::logs))
        .routes(routes!(log::entry))
}
