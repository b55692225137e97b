//! What the surfaces of tiled logs share: one path a resource, and how its bytes are answered.

use axum::body::Body;
use axum::response::Response;
use countersign_tlog::tile::{BadPath, Resource};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

/// Who may keep what is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Everybody.
    Public,
    /// Who asked.
    Private,
}

/// How long what is answered stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasts {
    /// For ever.
    Always,
    /// Some minutes, more or less.
    Minutes,
    /// Not at all: a copy is asked about before it is used.
    No,
}

/// Reads the path of a tile, a bundle or the checkpoint below a log's prefix.
///
/// # Errors
/// [`BadPath`] for anything else.
pub fn resource(path: &str) -> Result<Resource, BadPath> {
    path.parse()
}

/// The type of a file of a log.
pub fn kind(path: &Resource) -> &'static str {
    match path {
        Resource::Checkpoint => "text/plain; charset=utf-8",
        Resource::Tile(_) | Resource::Entries(_) => "application/octet-stream",
    }
}

/// An answer that says how long it may be kept, and by whom.
pub fn answer(kind: &'static str, body: impl Into<Body>, audience: Audience, lasts: Lasts) -> Response {
    let cache = match (lasts, audience) {
        (Lasts::No, _) => "no-cache",
        (Lasts::Always, Audience::Public) => "public, max-age=31536000, immutable",
        (Lasts::Always, Audience::Private) => "private, max-age=31536000, immutable",
        (Lasts::Minutes, Audience::Public) => "public, max-age=300",
        (Lasts::Minutes, Audience::Private) => "private, max-age=300",
    };
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    response
}
