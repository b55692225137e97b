//! Answers of the native surface.

use axum::body::Body;
use axum::response::Response;
use countersign_core::{Code, LogRef, Logged};
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

use crate::problem::Problem;

/// Says where the entry of a signature or a change of trust stands: `ORIGIN INDEX`.
const LOG: HeaderName = HeaderName::from_static("countersign-log");

/// `document` as JSON.
pub(super) fn json(status: StatusCode, document: &impl Serialize) -> Result<Response, Problem> {
    let body = serde_json::to_vec(document)
        .map_err(|_| Problem::new(Code::Internal, "the answer could not be written"))?;
    Ok(bytes(status, "application/json", body))
}

/// What was changed, as JSON, and where its entry stands.
pub(super) fn logged<T: Serialize>(status: StatusCode, logged: &Logged<T>) -> Result<Response, Problem> {
    let mut response = json(status, &logged.value)?;
    if let Some(log) = &logged.log {
        note_log(&mut response, log);
    }
    Ok(response)
}

/// `body` as it is.
pub(super) fn bytes(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Adds the header that says where the entry stands.
pub(super) fn note_log(response: &mut Response, log: &LogRef) {
    if let Ok(value) = HeaderValue::try_from(format!("{} {}", log.origin, log.index)) {
        response.headers_mut().insert(LOG, value);
    }
}
