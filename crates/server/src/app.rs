//! The application: what handlers share, and the service around all routes.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::task::{Context as TaskContext, Poll};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::response::Response;
use countersign_core::{Code, Context};
use countersign_model::RequestId;
use futures_util::FutureExt as _;
use http::{HeaderName, HeaderValue, Method};
use tower::{Layer, Service};

use crate::auth::Peer;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::problem::{self, Problem};
use crate::rate::Rates;
use crate::surfaces;
use crate::surfaces::appliance::authenticator::BalenaCloud;
use crate::tasks::Tasks;

/// What handlers share. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Shared>);

/// See [`App`].
pub struct Shared {
    /// The open deployment.
    pub ctx: Context,
    /// The configuration.
    pub config: Config,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Work that goes on when its client has gone.
    pub tasks: Tasks,
    /// What the collections surface keeps between requests.
    pub collections: surfaces::collections::State,
    /// How often each token writes tags.
    pub tag_writes: Rates,
    /// What the Autograph surface keeps between requests.
    pub autograph: countersign_core::autograph::Autograph,
    /// The largest body of the Autograph surface, in bytes.
    pub autograph_body: u64,
    /// Who judges the appliance's keys; `None`: our own tokens.
    pub balena_cloud: Option<BalenaCloud>,
    /// The API description, as JSON.
    pub openapi: OnceLock<bytes::Bytes>,
}

impl App {
    /// Takes what handlers share.
    pub fn new(ctx: Context, config: Config) -> Self {
        Self(Arc::new(Shared {
            ctx,
            autograph: config.autograph().surface(),
            autograph_body: config.autograph().body(),
            balena_cloud: BalenaCloud::of(&config.appliance()),
            collections: surfaces::collections::State::default(),
            tag_writes: Rates::new(config.tags().writes_per_minute),
            config,
            metrics: Arc::new(Metrics::default()),
            tasks: Tasks::default(),
            openapi: OnceLock::new(),
        }))
    }

    /// All routes, with the service around them.
    pub fn front(&self) -> Front {
        let (router, openapi) = surfaces::routes(&self.config).split_for_parts();
        let description = openapi.to_json().unwrap_or_default();
        let _ = self.openapi.set(description.into());
        let ctx = self.ctx.clone();
        let router = router.with_state(self.clone());
        let mut front = Front::new(router, Arc::clone(&self.metrics), move || ctx.request_id());
        if !self.config.native.enabled {
            let others: Router<Self> = surfaces::routes_but_native(&self.config).into();
            front.for_network = around(others.with_state(self.clone()));
        }
        front
    }
}

impl std::ops::Deref for App {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// What the service around the routes knows of a request; in the request's extensions.
#[derive(Clone, Debug)]
pub struct Meta(Arc<MetaParts>);

/// See [`Meta`].
#[derive(Debug)]
pub struct MetaParts {
    /// The client's own id for the request, or a new one.
    pub request_id: RequestId,
    /// How the request came.
    pub peer: Peer,
    route: OnceLock<MatchedPath>,
}

impl std::ops::Deref for Meta {
    type Target = MetaParts;
    fn deref(&self) -> &MetaParts {
        &self.0
    }
}

/// The service around all routes: request ids, refusals in one form, panics, metrics, the access log.
///
/// Written by hand instead of as a stack of layers: it is passed by every signature.
#[derive(Clone)]
pub struct Front {
    router: Router,
    /// What the network reaches: the same, but for surfaces that are switched off.
    for_network: Router,
    metrics: Arc<Metrics>,
    new_id: Arc<dyn Fn() -> RequestId + Send + Sync>,
}

impl Front {
    /// Puts the service around `router`.
    pub fn new(
        router: Router,
        metrics: Arc<Metrics>,
        new_id: impl Fn() -> RequestId + Send + Sync + 'static,
    ) -> Self {
        let router = around(router);
        Self { for_network: router.clone(), router, metrics, new_id: Arc::new(new_id) }
    }

    /// Answers one request.
    pub async fn answer(&self, mut request: Request, peer: Peer) -> Response {
        let start = Instant::now();
        let request_id = self.request_id(&request);
        let method = request.method().clone();
        let path = tracing::enabled!(target: "countersign::access", tracing::Level::INFO)
            .then(|| request.uri().clone());
        let meta = Meta(Arc::new(MetaParts { request_id, peer, route: OnceLock::new() }));
        request.extensions_mut().insert(meta.clone());

        let router = if peer == Peer::Control { &self.router } else { &self.for_network };
        let answer = AssertUnwindSafe(router.clone().call(request)).catch_unwind().await;
        let response = match answer {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(_) => panicked(),
        };
        let mut response = problem::finish(response, &meta.request_id);
        if let Ok(value) = HeaderValue::from_str(meta.request_id.as_str()) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        if method == Method::HEAD {
            *response.body_mut() = Body::empty();
        }

        let took = start.elapsed();
        let status = response.status().as_u16();
        let line =
            AccessLine { request_id: &meta.request_id, method: &method, path: path.as_ref(), status, took };
        line.write();
        self.metrics.answered(&method, meta.route.get().cloned(), status, took);
        response
    }

    /// All routes as a router whose every request comes from `peer`.
    pub fn into_router(self, peer: Peer) -> Router {
        Router::new().fallback(move |request: Request| {
            let front = self.clone();
            async move { front.answer(request, peer).await }
        })
    }

    fn request_id(&self, request: &Request) -> RequestId {
        let mut given = request.headers().get_all(&REQUEST_ID).iter();
        let one = given.next().filter(|_| given.next().is_none());
        let good = one.and_then(|value| value.to_str().ok()?.parse().ok());
        good.unwrap_or_else(|| self.new_request_id())
    }

    /// An id for a request that brought none.
    pub fn new_request_id(&self) -> RequestId {
        (self.new_id)()
    }
}

/// One line of the access log: refusals at level `info`, everything else at `debug`. Signatures have the
/// signing log; a line for each on top would cost as much as a curve's signature.
struct AccessLine<'a> {
    request_id: &'a RequestId,
    method: &'a Method,
    path: Option<&'a http::Uri>,
    status: u16,
    took: std::time::Duration,
}

impl AccessLine<'_> {
    fn write(&self) {
        let Some(path) = self.path else { return };
        let (request_id, method, path) = (self.request_id.as_str(), self.method.as_str(), path.path());
        let (status, duration_us) = (self.status, u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX));
        if status < 400 {
            tracing::debug!(target: "countersign::access", request_id, method, path, status, duration_us, "request");
        } else {
            tracing::info!(target: "countersign::access", request_id, method, path, status, duration_us, "refused");
        }
    }
}

/// Adds what holds for every route.
fn around(router: Router) -> Router {
    router.method_not_allowed_fallback(method_not_allowed).layer(NoteRoute).fallback(no_route)
}

/// Names one request, in requests and answers.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("countersign-request-id");

/// The refusal of a path that no route has.
pub async fn no_route() -> Problem {
    Problem::new(Code::NotFound, "there is nothing at this path").hint("`GET /openapi.json` lists all paths")
}

async fn method_not_allowed(method: Method) -> Problem {
    let detail = format!("`{}` is not possible here", method.as_str().chars().take(20).collect::<String>());
    Problem::new(Code::MethodNotAllowed, detail).hint("the header `Allow` lists what is")
}

/// The panic's message went to the standard error of the process; the client gets none of it.
fn panicked() -> Response {
    use axum::response::IntoResponse as _;
    tracing::error!("a handler panicked; the request was answered with 500");
    Problem::new(Code::Internal, "the server failed")
        .hint("tell the operator the request id: the server's log has the reason")
        .into_response()
}

/// Notes the route that a request took, for the metrics.
#[derive(Clone, Copy)]
struct NoteRoute;

impl<S> Layer<S> for NoteRoute {
    type Service = NotingRoute<S>;
    fn layer(&self, inner: S) -> NotingRoute<S> {
        NotingRoute(inner)
    }
}

#[derive(Clone)]
struct NotingRoute<S>(S);

impl<S: Service<Request>> Service<Request> for NotingRoute<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> S::Future {
        let extensions = request.extensions();
        if let (Some(meta), Some(route)) = (extensions.get::<Meta>(), extensions.get::<MatchedPath>()) {
            let _ = meta.route.set(route.clone());
        }
        self.0.call(request)
    }
}
