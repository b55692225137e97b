//! Target files that are kept here: uploaded with a token, fetched by everybody.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use countersign_core::tuf::host::{self, Hosted};
use countersign_core::tuf::task::Accepted;
use countersign_tuf::check::artifact::check_path;
use futures_util::{Stream, stream};
use http::header::{
    ACCEPT_RANGES, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH,
    CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, RANGE,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use percent_encoding::percent_decode_str;

use super::bodies;
use super::call::taken;
use super::error::Refusal;
use super::published::{FOR_EVER, knows};
use super::scope::{self, Scope};
use crate::app::App;
use crate::body::Arriving;
use crate::call::unhurried;
use crate::problem::Problem;

const UPLOADS: &str = "/api/v1/targets/";
const FILES: &str = "/targets/";

/// How much of a file is read at a time.
const PIECE: u64 = 1 << 20;

/// `PUT /api/v1/targets/PATH?sha256=HEX&length=N`: stores the file as it arrives and adds the artifact.
pub async fn upload(State(app): State<App>, request: Request) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let caller = scope::caller(&app, &parts, &[Scope::WriteArtifacts])?;
    let path = decoded(parts.uri.path(), UPLOADS);
    let path = path.ok_or_else(|| Refusal::invalid(&bodies::bad_path("path", "the path is not UTF-8")))?;
    let settings = &app.ctx.tuf().settings;
    if !settings.host_targets {
        let error =
            "Target files are not kept here: `[tuf] host_targets` is false. POST artifacts registers a file.";
        return Err(Refusal::because(StatusCode::NOT_FOUND, "Task not accepted.", error));
    }
    check_path(&path).map_err(|fault| Refusal::invalid(&bodies::bad_path("path", &fault.to_string())))?;
    let query = parts.uri.query().unwrap_or_default();
    let (sha256, length) = announced(query, &parts.headers)?;
    let body = Arriving::new(&parts.headers, body, settings.target_bytes)?;
    if length > settings.target_bytes {
        return Err(too_large(settings.target_bytes));
    }
    let failed = Failed::default();
    let pieces = pieces(body, failed.clone());
    let work = {
        let (ctx, path) = (app.ctx.clone(), path.clone());
        async move { host::upload(&ctx, &caller, &path, length, sha256, Box::pin(pieces)).await }
    };
    let done = unhurried(&app, work).await?;
    // What ended the body says more than that it ended.
    if let Some(problem) = failed.take() {
        return Err(problem.into());
    }
    let accepted: Accepted = done?;
    Ok(taken(&accepted, Some(&[path]), "New Artifact(s) successfully submitted."))
}

/// What is said of the file before it comes.
fn announced(query: &str, headers: &HeaderMap) -> Result<([u8; 32], u64), Refusal> {
    let missing = |name| Refusal::invalid(&bodies::missing_in_query(name));
    let bad = |name, why| Refusal::invalid(&bodies::bad_query(name, why));
    let sha256 = bodies::query(query, "sha256").ok_or_else(|| missing("sha256"))?;
    let sha256 = bodies::digest(&sha256).ok_or_else(|| bad("sha256", "a SHA-256 has 64 hex digits"))?;
    let length = bodies::query(query, "length");
    let length = length.or_else(|| Some(headers.get(CONTENT_LENGTH)?.to_str().ok()?.to_owned()));
    let length = length.ok_or_else(|| missing("length"))?;
    let number = length.parse().ok().filter(|_| length.bytes().all(|b| b.is_ascii_digit()));
    Ok((sha256, number.ok_or_else(|| bad("length", "the length is a number of bytes"))?))
}

fn too_large(limit: u64) -> Refusal {
    let detail = format!("the file is over the limit of {limit} bytes");
    Problem::new(countersign_core::Code::TooLarge, detail).close().into()
}

/// Why a body ended early.
#[derive(Clone, Default)]
struct Failed(Arc<Mutex<Option<Problem>>>);

impl Failed {
    fn note(&self, problem: Problem) -> io::Error {
        let error = io::Error::other(problem.detail().to_owned());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(problem);
        error
    }

    fn take(&self) -> Option<Problem> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn pieces(body: Arriving, failed: Failed) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::try_unfold((body, failed), |(mut body, failed)| async move {
        match body.next().await {
            Ok(piece) => Ok(piece.map(|piece| (piece, (body, failed)))),
            Err(problem) => Err(failed.note(problem)),
        }
    })
}

/// `GET /targets/DIR/SHA256.NAME`. A file never changes under its name. It is something to be saved, not a page of ours.
pub async fn read(State(app): State<App>, request: Request) -> Result<Response, Refusal> {
    let (parts, _) = request.into_parts();
    let name = decoded(parts.uri.path(), FILES).filter(|_| app.ctx.tuf().settings.host_targets);
    let name = name.ok_or_else(Refusal::not_found)?;
    let head = parts.method == Method::HEAD;
    let asked = if head { None } else { one_range(&parts.headers) };
    // How long the file is must be known before the end of a range is.
    let first = match asked {
        Some(Asked::From { first, .. }) => first,
        _ => 0,
    };
    let only_length = head || matches!(asked, Some(Asked::Last(_)));
    let count = if only_length { 1 } else { PIECE };
    let piece = host::fetch(&app.ctx, &name, Some((first, count))).await?;
    let Hosted { length, etag, bytes } = piece.ok_or_else(Refusal::not_found)?;
    let bytes = if only_length { Bytes::new() } else { bytes };

    if knows(&parts.headers, &etag) {
        let mut response = described(Body::empty(), &etag);
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response.headers_mut().remove(CONTENT_TYPE);
        return Ok(response);
    }
    let asked =
        asked.filter(|_| parts.headers.get(IF_RANGE).is_none_or(|tag| tag.as_bytes() == etag.as_bytes()));
    let Some(asked) = asked else {
        // Nothing of what was fetched is used if it is not the beginning.
        let bytes = if first == 0 { bytes } else { Bytes::new() };
        let mut response = described(file(&app, name, bytes, 0, length), &etag);
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        return Ok(response);
    };
    let Some((first, end)) = asked.within(length) else {
        return Ok(unsatisfiable(length));
    };
    let mut response = described(file(&app, name, bytes, first, end), &etag);
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(end - first));
    if let Ok(range) = HeaderValue::try_from(format!("bytes {first}-{}/{length}", end - 1)) {
        headers.insert(CONTENT_RANGE, range);
    }
    Ok(response)
}

fn described(body: Body, etag: &str) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    headers.insert(CACHE_CONTROL, FOR_EVER);
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    if let Ok(etag) = HeaderValue::from_str(etag) {
        headers.insert(ETAG, etag);
    }
    response
}

fn unsatisfiable(length: u64) -> Response {
    use axum::response::IntoResponse as _;
    let mut response = Refusal::not_a_range().into_response();
    if let Ok(range) = HeaderValue::try_from(format!("bytes */{length}")) {
        response.headers_mut().insert(CONTENT_RANGE, range);
    }
    response
}

/// The bytes of `name` from `at` to `end`, of which `bytes` are the first; the rest is read as the client takes it.
fn file(app: &App, name: String, mut bytes: Bytes, at: u64, end: u64) -> Body {
    bytes.truncate(usize::try_from(end - at).unwrap_or(usize::MAX));
    if bytes.len() as u64 == end - at {
        return Body::from(bytes);
    }
    let state = (app.clone(), name, bytes, at);
    Body::from_stream(stream::try_unfold(state, move |(app, name, ready, at)| async move {
        if at == end {
            return Ok(None);
        }
        let mut bytes = ready;
        if bytes.is_empty() {
            let gone = || io::Error::other("the file went while it was read");
            let piece = host::fetch(&app.ctx, &name, Some((at, PIECE.min(end - at)))).await;
            bytes = piece.map_err(io::Error::other)?.ok_or_else(gone)?.bytes;
            if bytes.is_empty() {
                return Err(gone());
            }
        }
        let next = at + bytes.len() as u64;
        Ok(Some((bytes, (app, name, Bytes::new(), next))))
    }))
}

/// What follows `prefix`, decoded. Paths of targets are opaque: decoded once, and nothing else.
fn decoded(path: &str, prefix: &str) -> Option<String> {
    percent_decode_str(path.strip_prefix(prefix)?).decode_utf8().ok().map(|path| path.into_owned())
}

/// A part of a file that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// From a byte to another, that one too, or to the end.
    From { first: u64, last: Option<u64> },
    /// So many at the end.
    Last(u64),
}

impl Asked {
    /// The first byte, and the one after the last. `None`: the file has nothing of it.
    fn within(self, length: u64) -> Option<(u64, u64)> {
        let (first, end) = match self {
            Self::From { first, last } => {
                (first, last.map_or(length, |last| last.saturating_add(1).min(length)))
            }
            Self::Last(count) => (length.saturating_sub(count), length),
        };
        (first < end).then_some((first, end))
    }
}

/// The range that is asked for; none if there are several, or it cannot be read: then the whole is given (RFC 9110,
/// 14.2).
fn one_range(headers: &HeaderMap) -> Option<Asked> {
    let mut fields = headers.get_all(RANGE).iter();
    let field = fields.next().filter(|_| fields.next().is_none())?.to_str().ok()?;
    let (first, last) = field.strip_prefix("bytes=")?.trim().split_once('-')?;
    let number = |text: &str| text.parse::<u64>().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
    if first.is_empty() {
        return number(last).map(Asked::Last);
    }
    let first = number(first)?;
    match last {
        "" => Some(Asked::From { first, last: None }),
        last => {
            number(last).filter(|last| *last >= first).map(|last| Asked::From { first, last: Some(last) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_as_clients_write_it() {
        let read = |text: &str| one_range(&HeaderMap::from_iter([(RANGE, text.parse().unwrap())]));
        for (text, within) in [
            ("bytes=0-", Some((0, 10))),
            ("bytes=4-6", Some((4, 7))),
            ("bytes=4-400", Some((4, 10))),
            ("bytes=-3", Some((7, 10))),
            ("bytes=-30", Some((0, 10))),
            ("bytes=10-", None),
            ("bytes=-0", None),
        ] {
            assert_eq!(read(text).unwrap().within(10), within, "{text}");
        }
        for text in ["bytes=6-4", "bytes=a-b", "lines=1-2", "bytes=0-1,3-4", "bytes=+1-2", "bytes=-"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
