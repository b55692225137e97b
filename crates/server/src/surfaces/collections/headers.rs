//! What every answer of this surface has: security headers, what scripts of other origins may read, and the address
//! that the client knows the server by.

use http::header::{ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HOST, ORIGIN};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use countersign_core::collections::{Error, Location};

use super::error::Refusal;
use super::reply::Reply;
use super::route::Place;
use crate::app::App;

/// Headers that scripts of other origins may read.
const EXPOSED: &str = "Retry-After, Alert, Backoff, Content-Length, Content-Type, ETag, Last-Modified, Next-Page, \
                       Total-Records, Total-Objects, Cache-Control, Expires, Pragma";

/// Adds what every answer has.
pub fn complete(reply: Reply, headers: &HeaderMap) -> axum::response::Response {
    let mut response = reply.into_response();
    let added = response.headers_mut();
    added.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    added.insert(
        "content-security-policy",
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; base-uri 'none'; "),
    );
    if headers.contains_key(ORIGIN) {
        added.insert("access-control-allow-origin", HeaderValue::from_static("*"));
        added.insert("access-control-expose-headers", HeaderValue::from_static(EXPOSED));
    }
    response
}

/// `OPTIONS`: what may be asked of `place`, and by scripts of which origins.
///
/// # Errors
/// 400 for a method that the place does not answer.
pub fn preflight(place: &Place, headers: &HeaderMap) -> Result<Reply, Refusal> {
    let reply = Reply::empty(StatusCode::OK).with("Allow", place.allow());
    let Some(method) = headers.get(ACCESS_CONTROL_REQUEST_METHOD) else { return Ok(reply) };
    let known = place.methods().iter().any(|known| known.as_str().as_bytes() == method.as_bytes());
    if !known {
        let name = "Access-Control-Request-Method";
        return Err(Error::invalid(Location::Header, name, "Method not allowed").into());
    }
    let methods: Vec<&str> = place.methods().iter().map(Method::as_str).collect();
    let mut reply = reply
        .with("Access-Control-Allow-Methods", methods.join(","))
        .with("Access-Control-Max-Age", PREFLIGHT_SECONDS.to_string());
    let asked = headers.get(ACCESS_CONTROL_REQUEST_HEADERS).and_then(|value| value.to_str().ok());
    if let Some(asked) = asked {
        reply = reply.with("Access-Control-Allow-Headers", asked);
    }
    Ok(reply)
}

/// How long a browser may rely on what it was told.
const PREFLIGHT_SECONDS: u32 = 3600;

/// A redirection that may be kept for `seconds`.
pub fn moved(location: String, seconds: i64, now: i64) -> Reply {
    Reply::moved(location)
        .with("Cache-Control", format!("max-age={seconds}"))
        .with("Expires", super::reply::http_date(now.saturating_add(seconds.saturating_mul(1000))))
}

/// How the client reaches the server, without a slash at the end: as configured, else by its own `Host`. What may be
/// kept by others names it too: a cache tells hosts apart.
pub fn base_url(app: &App, headers: &HeaderMap) -> String {
    if let Some(url) = &app.config.public_url {
        return url.clone();
    }
    let scheme = if app.config.tls.is_some() { "https" } else { "http" };
    match headers.get(HOST).and_then(|host| host.to_str().ok()).filter(|host| is_host(host)) {
        Some(host) => format!("{scheme}://{host}"),
        None => format!("{scheme}://{}", app.config.listen),
    }
}

/// Whether a `Host` can stand in an address that is given back.
fn is_host(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
    (1..=255).contains(&text.len()) && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn a_script_of_another_origin_is_told_what_it_may_read() {
        let answer = complete(Reply::empty(StatusCode::OK), &of(&[("origin", "http://x")]));
        assert_eq!(answer.headers()["access-control-allow-origin"], "*");
        assert!(answer.headers()["access-control-expose-headers"].to_str().unwrap().contains("Next-Page"));
        let answer = complete(Reply::empty(StatusCode::OK), &of(&[]));
        assert!(!answer.headers().contains_key("access-control-allow-origin"));
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    }

    #[test]
    fn a_preflight_lists_methods_and_gives_back_the_headers_that_were_asked_for() {
        let asked = of(&[
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "content-type,x-y"),
        ]);
        let reply = preflight(&Place::Batch, &asked).unwrap();
        assert!(reply.headers.contains(&("Access-Control-Allow-Methods", "POST".into())));
        assert!(reply.headers.contains(&("Access-Control-Allow-Headers", "content-type,x-y".into())));
        let refused = preflight(&Place::Root, &asked).unwrap_err().reply();
        assert!(
            String::from_utf8_lossy(&refused.body)
                .contains("Access-Control-Request-Method in header: Method not allowed")
        );
    }

    #[test]
    fn only_what_looks_like_a_host_is_given_back() {
        for good in ["127.0.0.1:8888", "sign.example.org", "[::1]:80"] {
            assert!(is_host(good), "{good}");
        }
        for bad in ["", "a b", "a/b", "a\"b", "user@h"] {
            assert!(!is_host(bad), "{bad}");
        }
    }
}
