//! The way of a request: token and scope, the body, the use-case, the answer.

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use countersign_core::Caller;
use countersign_core::tuf::error::BodyFault;
use countersign_core::tuf::request::Request as Task;
use countersign_core::tuf::task::{self, Accepted};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::bodies;
use super::error::Refusal;
use super::scope::{self, Scope};
use crate::app::App;
use crate::body::{Arriving, Held, Place};
use crate::call::{beside, unhurried};

/// The largest body with artifacts in it, in bytes.
pub const MANY: u64 = 64 << 20;
/// The largest body with a root or delegations in it: clients take roots of 512 000 bytes and targets of 5 000 000.
pub const DOCUMENT: u64 = 8 << 20;
/// The largest of all others.
pub const SMALL: u64 = 1 << 20;

/// A request that was read.
pub struct Asked<T> {
    /// Who asks.
    pub caller: Caller,
    /// What.
    pub body: T,
    /// Kept until the work is done.
    _place: Place,
}

/// Checks the token, then reads the body with `read`.
///
/// # Errors
/// 401, 403; 408, 413, 422, 503.
pub async fn ask<T: Send + 'static>(
    app: &App,
    request: Request,
    scopes: &[Scope],
    limit: u64,
    read: fn(&[u8]) -> Result<T, Vec<BodyFault>>,
) -> Result<Asked<T>, Refusal> {
    let (parts, body) = request.into_parts();
    let caller = scope::caller(app, &parts, scopes)?;
    let limit = limit.min(u64::from(app.config.limits.body_mib) << 20);
    let Held { bytes, place } = Arriving::new(&parts.headers, body, limit)?.held().await?;
    // As the original does: without a type it is JSON.
    if !bytes.is_empty() && parts.headers.contains_key(CONTENT_TYPE) && !is_json(&parts.headers) {
        return Err(Refusal::invalid(&bodies::not_an_object()));
    }
    let body = beside(bytes, move |bytes| Ok(read(bytes))).await?;
    let body = body.map_err(|faults| Refusal::invalid(&faults))?;
    Ok(Asked { caller, body, _place: place })
}

/// `application/json`, or something that is written in it.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// Hands a request over to be done, even if the client goes.
///
/// # Errors
/// What the use-case refuses.
pub async fn submit(app: &App, caller: Caller, request: Task) -> Result<Accepted, Refusal> {
    let ctx = app.ctx.clone();
    Ok(unhurried(app, async move { task::submit(&ctx, &caller, request).await }).await??)
}

/// Reads a body, submits what it asks for, and answers with the task.
///
/// # Errors
/// As [`ask`] and [`submit`].
pub async fn as_task(
    app: &App,
    request: Request,
    (scopes, limit): (&[Scope], u64),
    read: fn(&[u8]) -> Result<Task, Vec<BodyFault>>,
    message: &str,
) -> Result<Response, Refusal> {
    let Asked { caller, body, _place: place } = ask(app, request, scopes, limit, read).await?;
    let accepted = submit(app, caller, body).await?;
    drop(place);
    Ok(taken(&accepted, None, message))
}

/// 202. `artifacts`: the paths, where the answer has them.
pub fn taken(accepted: &Accepted, artifacts: Option<&[String]>, message: &str) -> Response {
    let mut data = Map::new();
    if let Some(artifacts) = artifacts {
        data.insert("artifacts".into(), json!(artifacts));
    }
    data.insert("task_id".into(), json!(accepted.id));
    data.insert("last_update".into(), json!(time(accepted.last_update)));
    answer(StatusCode::ACCEPTED, Some(Value::Object(data)), message)
}

/// `{"data":…,"message":M}`; without `data` where there is none.
pub fn answer(status: StatusCode, data: Option<Value>, message: &str) -> Response {
    let mut document = Map::new();
    if let Some(data) = data {
        document.insert("data".into(), data);
    }
    document.insert("message".into(), message.into());
    let body: Bytes = Value::Object(document).to_string().into();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A time in microseconds, as clients read it.
pub fn time(time: Timestamp) -> String {
    format!("{time:.6}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_always_has_six_digits_after_the_point() {
        for (given, shown) in [
            ("2026-11-20T21:00:00Z", "2026-11-20T21:00:00.000000Z"),
            ("2026-11-20T21:00:00.12345678Z", "2026-11-20T21:00:00.123456Z"),
        ] {
            assert_eq!(time(given.parse().unwrap()), shown);
        }
    }

    #[test]
    fn json_has_several_names() {
        for (kind, json) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/vnd.x+json", true),
            ("text/json", false),
            ("text/plain", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, kind.parse().unwrap())]);
            assert_eq!(is_json(&headers), json, "{kind}");
        }
    }
}
