//! A request with a Hawk header: the header is judged first, then the body is read, and then it counts as answered.

use axum::body::Body;
use countersign_core::autograph::{Autograph, Presented};
use countersign_core::{Caller, Code};
use countersign_model::Surface;
use countersign_model::hawk::{Header, Target, Transport};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::request::Parts;

use super::error::Refusal;
use crate::app::{App, Meta};
use crate::auth;
use crate::body::{self, Arriving, Held};
use crate::problem::Problem;

/// Who asks.
pub struct Client {
    /// With good credentials.
    pub caller: Caller,
    /// The Hawk id, as it was sent.
    pub id: String,
}

/// A request whose body is the one that was signed, for the first time.
pub struct Posted {
    /// Who asks.
    pub client: Client,
    /// The body.
    pub body: Held,
}

/// Bodies above this many bytes are worked on beside the threads that serve requests.
const LONG: usize = 128 << 10;

/// Judges a POST with a JSON body.
///
/// # Errors
/// In this order: 401 for the header; 413 for a body that is too large, 400 for another content type, before it is
/// read; 401 for a body that was not signed, and for a request that was answered already.
pub async fn posted(app: &App, parts: &Parts, body: Body) -> Result<Posted, Refusal> {
    let header = header(parts)?;
    if header.hash().is_none() {
        return Err(Refusal::unauthorized("the Hawk header has no payload hash"));
    }
    let proof = app.autograph.authenticate(&app.ctx, shown(app, parts)?.presented(&header)).await?;

    let limit = app.autograph_body.min(u64::from(app.config.limits.body_mib) << 20);
    let body = Arriving::new(&parts.headers, body, limit)?;
    if !body::is_json(&parts.headers) {
        return Err(Refusal::bad_request("invalid content type, expected application/json").close());
    }
    let body = body.held().await?;
    let (bytes, content_type) = (body.bytes.clone(), content_type(parts).to_owned());
    beside(bytes.len(), move || Autograph::check_body(&header, &content_type, &bytes)).await??;
    let (id, identity) = app.autograph.accept(&app.ctx, proof).await?;
    let caller = Caller::new(identity, Surface::Autograph, meta(parts)?.request_id.clone());
    Ok(Posted { client: Client { caller, id }, body })
}

/// Judges a GET, which must not have a body. A hash of it is looked at if there is one.
///
/// # Errors
/// 400 for a body; 401.
pub async fn got(app: &App, parts: &Parts, body: Body) -> Result<Client, Refusal> {
    let unexpected = || Refusal::bad_request("endpoint received unexpected request body").close();
    let mut body = Arriving::new(&parts.headers, body, 0).map_err(|_| unexpected())?;
    if body.next().await.map_err(|_| unexpected())?.is_some() {
        return Err(unexpected());
    }
    let header = header(parts)?;
    let proof = app.autograph.authenticate(&app.ctx, shown(app, parts)?.presented(&header)).await?;
    if header.hash().is_some() {
        Autograph::check_body(&header, content_type(parts), b"")?;
    }
    let (id, identity) = app.autograph.accept(&app.ctx, proof).await?;
    Ok(Client { caller: Caller::new(identity, Surface::Autograph, meta(parts)?.request_id.clone()), id })
}

/// Runs work on a body of `len` bytes: [`aside`] if that is long.
///
/// # Errors
/// 500 if it is cut short.
pub async fn beside<T: Send + 'static>(
    len: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    if len <= LONG { Ok(work()) } else { aside(work).await }
}

/// Runs work that takes long beside the threads that serve requests.
///
/// # Errors
/// 500 if it is cut short.
pub async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
    let failed = |_| Problem::new(Code::Internal, "the server failed");
    Ok(tokio::task::spawn_blocking(work).await.map_err(failed)?)
}

fn meta(parts: &Parts) -> Result<&Meta, Refusal> {
    let meta = parts.extensions.get::<Meta>();
    Ok(meta.ok_or_else(|| Problem::new(Code::Internal, "no request id"))?)
}

fn content_type(parts: &Parts) -> &str {
    parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn header(parts: &Parts) -> Result<Header, Refusal> {
    let value =
        auth::once(&parts.headers, &AUTHORIZATION).map_err(|why| Refusal::unauthorized(why.detail()))?;
    let value = value.ok_or_else(|| Refusal::unauthorized("missing Authorization header"))?;
    let text = value.to_str().map_err(|_| Refusal::unauthorized("the Authorization header is not text"))?;
    Header::parse(text).map_err(Refusal::unauthorized)
}

/// The request by the names that the server has.
struct Shown(Vec<Target>);

impl Shown {
    fn presented<'a>(&'a self, header: &'a Header) -> Presented<'a> {
        Presented { header, targets: &self.0 }
    }
}

/// A request is signed for the name that the client knows: the one in `Host`, whose port is not said if it is the
/// scheme's own, and that may be a proxy's scheme; or, behind a proxy that writes another `Host`, the public URL.
fn shown(app: &App, parts: &Parts) -> Result<Shown, Refusal> {
    let method = parts.method.as_str();
    let resource = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let mut targets: Vec<Target> = Vec::with_capacity(3);
    let mut add = |host: &str, resource: &str, transport| {
        if let Ok(target) = Target::new(method, resource, host, transport)
            && !targets.contains(&target)
        {
            targets.push(target);
        }
    };
    let host = auth::once(&parts.headers, &HOST).map_err(|why| Refusal::unauthorized(why.detail()))?;
    let host = host.and_then(|value| value.to_str().ok());
    if let Some(host) = host.or_else(|| parts.uri.authority().map(http::uri::Authority::as_str)) {
        add(host, resource, Transport::Http);
        add(host, resource, Transport::Https);
    }
    if let Some((scheme, rest)) = app.config.public_url.as_deref().and_then(|url| url.split_once("://")) {
        let (host, prefix) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let transport = if scheme == "https" { Transport::Https } else { Transport::Http };
        add(host, &format!("{prefix}{resource}"), transport);
    }
    Ok(Shown(targets))
}
