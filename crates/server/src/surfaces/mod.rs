//! Families of endpoints, one folder or file each. They never import each other.

use utoipa::OpenApi as _;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::config::Config;
use crate::described;

pub mod appliance;
pub mod autograph;
pub mod chains;
pub mod collections;
pub mod log;
pub mod native;
pub mod process;
pub mod publication;
pub mod tags;
pub mod tuf;

/// All routes, and their description.
pub fn routes(config: &Config) -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Description::openapi())
        .merge(process::routes())
        .merge(native::routes())
        .merge(log::routes())
        .merge(chains::routes())
        .merge(of_appliance(config))
        .merge(of_autograph(config))
        .merge(of_collections(config))
        .merge(of_tags(config))
        .merge(of_tuf(config))
}

/// The routes that are left where the native surface is switched off.
pub fn routes_but_native(config: &Config) -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .merge(process::routes())
        .merge(log::routes())
        .merge(chains::routes())
        .merge(of_appliance(config))
        .merge(of_autograph(config))
        .merge(of_collections(config))
        .merge(of_tags(config))
        .merge(of_tuf(config))
}

/// The routes of the appliance, if it is switched on.
fn of_appliance(config: &Config) -> OpenApiRouter<App> {
    if config.appliance().enabled { appliance::routes() } else { OpenApiRouter::default() }
}

/// The routes of the collections surface, if it is switched on.
fn of_collections(config: &Config) -> OpenApiRouter<App> {
    if config.collections().enabled { collections::routes() } else { OpenApiRouter::default() }
}

/// The routes of the Autograph surface, if it is switched on.
fn of_autograph(config: &Config) -> OpenApiRouter<App> {
    if config.autograph().enabled { autograph::routes() } else { OpenApiRouter::default() }
}

/// The routes of the TUF surface, if it is switched on.
fn of_tuf(config: &Config) -> OpenApiRouter<App> {
    if config.tuf().enabled { tuf::routes() } else { OpenApiRouter::default() }
}

/// The routes of the tags surface that are switched on.
fn of_tags(config: &Config) -> OpenApiRouter<App> {
    let tags = config.tags();
    let mut routes = OpenApiRouter::default();
    if tags.enabled {
        routes = routes.merge(tags::routes()).merge(publication::routes("/tags/log"));
        if tags.root_forms {
            routes = routes.merge(tags::root_routes());
        }
    }
    routes
}

/// What the description says beside the routes.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Countersign",
        description = "A self-hosted signing authority: keys that never leave, one signing path, and a log of \
                       every signature. Refusals are `application/problem+json`.",
        license(name = "Apache-2.0 OR MIT")
    ),
    paths(native::keys::pem, log::checkpoint, log::tile),
    modifiers(&Credentials),
    security(("token" = [])),
    tags(
        (name = "keys", description = "Make, import, list, retire, revoke and export keys"),
        (name = "signing", description = "Sign and verify"),
        (name = "principals", description = "Who may ask, and their tokens"),
        (name = "policy", description = "Who may do what"),
        (name = "log", description = "The signing log, with proofs"),
        (name = "appliance", description = "Keys and signatures for boards and boot loaders, as balenaSign's clients ask"),
        (name = "autograph", description = "Signatures for clients of Autograph: requests are signed with a Hawk pair"),
        (name = "collections", description = "Records that are reviewed, signed and published, as Kinto's clients ask"),
        (name = "tags", description = "Texts that several authorities sign, by name and version"),
        (name = "tuf", description = "A repository of The Update Framework, as clients of Repository Service for TUF ask"),
        (name = "authorities", description = "Who vouches for tags, with which keys over time"),
        (name = "publication", description = "The log of what was published, with proofs"),
        (name = "process", description = "Health, metrics and this description")
    )
)]
struct Description;

struct Credentials;

impl utoipa::Modify for Credentials {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_with(Default::default);
        components.add_security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
        for (name, scheme) in described::credentials() {
            components.add_security_scheme(name, scheme);
        }
    }
}
