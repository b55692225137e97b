//! `POST /v1/batch`: several requests that are done together.
//!
//! ```json
//! {"defaults": {"method": "PUT"}, "requests": [{"path": "/buckets/b", "body": {"data": {}}}]}
//! ```
//!
//! What `defaults` has is added to each request, member by member. Paths may begin with `/v1` or not.

use countersign_core::collections::{Error, Location};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Map, Value};

use super::error::Refusal;

/// One of the requests.
#[derive(Debug, PartialEq)]
pub struct Inner {
    /// How.
    pub method: Method,
    /// Where, after `/v1` and without a slash at the end.
    pub path: String,
    /// The query as it was written; may be empty.
    pub query: String,
    /// Its own headers; credentials among them do not count.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Option<Value>,
}

/// Reads the body of a batch.
///
/// - `most`: how many requests it may have.
/// - `room`: how many bytes the bodies of all requests may have together, with what `defaults` adds to them.
///
/// # Errors
/// 400/107, for the whole batch: nothing of it was done. 413 for more than `room`.
pub fn read(body: Value, most: u32, room: usize) -> Result<Vec<Inner>, Refusal> {
    let mut members = mapping(body, "")?;
    let requests = members.remove("requests");
    let defaults = members.remove("defaults");
    known(&members, "")?;
    let requests = match requests {
        Some(Value::Array(requests)) => requests,
        Some(other) => return Err(invalid("requests", format!("{} is not iterable", quoted(&other)))),
        None => return Err(invalid("requests", "Required".into())),
    };
    if requests.len() > most as usize {
        return Err(invalid("requests", format!("Number of requests is limited to {most}")));
    }
    let defaults = match defaults {
        None => Map::new(),
        Some(defaults) => mapping(defaults, "defaults")?,
    };
    if !defaults.is_empty() {
        let each = Value::Object(defaults.clone()).to_string().len();
        if each.saturating_mul(requests.len()) > room {
            return Err(Error::TooLarge("the defaults are too large for as many requests".into()).into());
        }
    }
    let read = |(index, request)| inner(request, &defaults, index);
    requests.into_iter().enumerate().map(read).collect()
}

fn inner(request: Value, defaults: &Map<String, Value>, index: usize) -> Result<Inner, Refusal> {
    let name = format!("requests.{index}");
    let mut members = mapping(request, &name)?;
    merge(&mut members, defaults);
    let method = method(members.remove("method"), &name)?;
    let (path, query) = path(members.remove("path"), &name)?;
    let headers = headers(members.remove("headers"), &name)?;
    let body = match members.remove("body") {
        None | Some(Value::Null) => None,
        Some(body @ (Value::Object(_) | Value::Array(_))) => Some(body),
        Some(other) => return Err(invalid(&format!("{name}.body"), no_mapping(&other))),
    };
    known(&members, &name)?;
    Ok(Inner { method, path, query, headers, body })
}

/// Adds what `defaults` has and `members` has not.
fn merge(members: &mut Map<String, Value>, defaults: &Map<String, Value>) {
    for (name, default) in defaults {
        match (members.get_mut(name), default) {
            (None, default) => {
                members.insert(name.clone(), default.clone());
            }
            (Some(Value::Object(own)), Value::Object(default)) => merge(own, default),
            (Some(_), _) => {}
        }
    }
}

fn method(method: Option<Value>, name: &str) -> Result<Method, Refusal> {
    const KNOWN: [Method; 7] =
        [Method::GET, Method::HEAD, Method::DELETE, Method::TRACE, Method::POST, Method::PUT, Method::PATCH];
    let Some(method) = method else { return Ok(Method::GET) };
    let known = KNOWN.into_iter().find(|known| method.as_str() == Some(known.as_str()));
    known.ok_or_else(|| {
        let why = format!("{} is not one of GET, HEAD, DELETE, TRACE, POST, PUT, PATCH", quoted(&method));
        invalid(&format!("{name}.method"), why)
    })
}

/// Bytes of a path with its query: as HTTP servers take it by itself.
const LONGEST_PATH: usize = 16 << 10;

fn path(path: Option<Value>, name: &str) -> Result<(String, String), Refusal> {
    let name = format!("{name}.path");
    let path = match path {
        Some(Value::String(path)) => path,
        Some(other) => return Err(invalid(&name, format!("{} is not a string", quoted(&other)))),
        None => return Err(invalid(&name, "Required".into())),
    };
    if path.len() > LONGEST_PATH {
        return Err(invalid(&name, format!("Longer than maximum length {LONGEST_PATH}")));
    }
    if !path.starts_with('/') {
        return Err(invalid(&name, "String does not match expected pattern".into()));
    }
    let (path, query) = path.split_once('?').unwrap_or((&path, ""));
    let below = match path.strip_prefix("/v1") {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => rest,
        _ => path,
    };
    let below = below.trim_end_matches('/');
    let below = if below.is_empty() { "/" } else { below };
    if below == "/batch" {
        return Err(invalid("requests", "Recursive call on /batch endpoint is forbidden.".into()));
    }
    Ok((below.to_owned(), query.to_owned()))
}

fn headers(headers: Option<Value>, name: &str) -> Result<HeaderMap, Refusal> {
    let name = format!("{name}.headers");
    let members = match headers {
        None => return Ok(HeaderMap::new()),
        Some(headers) => mapping(headers, &name)?,
    };
    let mut headers = HeaderMap::new();
    for (header, value) in members {
        let text = match &value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            other => {
                return Err(invalid(
                    &format!("{name}.{header}"),
                    format!("{} is not a string", quoted(other)),
                ));
            }
        };
        let parsed = (HeaderName::from_bytes(header.as_bytes()), HeaderValue::from_str(&text));
        let (Ok(header_name), Ok(value)) = parsed else {
            return Err(invalid(&format!("{name}.{header}"), "this is no header".into()));
        };
        headers.insert(header_name, value);
    }
    Ok(headers)
}

fn mapping(value: Value, name: &str) -> Result<Map<String, Value>, Refusal> {
    match value {
        Value::Object(members) => Ok(members),
        other => Err(invalid(name, no_mapping(&other))),
    }
}

fn no_mapping(value: &Value) -> String {
    format!("{} is not a mapping type: Does not implement dict-like functionality.", quoted(value))
}

/// Refuses members that are left over.
fn known(members: &Map<String, Value>, name: &str) -> Result<(), Refusal> {
    if members.is_empty() {
        return Ok(());
    }
    let shown: Vec<String> =
        members.iter().map(|(name, value)| format!("'{name}': {}", shorten(&value.to_string()))).collect();
    let shown = shorten(&shown.join(", "));
    Err(invalid(name, format!("Unrecognized keys in mapping: \"{{{shown}}}\"")))
}

fn quoted(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{}\"", shorten(text)),
        other => format!("\"{}\"", shorten(&other.to_string())),
    }
}

/// The beginning of a text: answers are short whatever was sent.
fn shorten(text: &str) -> String {
    text.chars().take(200).collect()
}

fn invalid(name: &str, description: String) -> Refusal {
    Error::invalid(Location::Body, name, description).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(body: Value) -> Result<Vec<Inner>, Refusal> {
        super::read(body, 25, 1000)
    }

    fn message(body: Value) -> String {
        let document: Value = serde_json::from_slice(&read(body).unwrap_err().reply().body).unwrap();
        document["message"].as_str().unwrap().to_owned()
    }

    #[test]
    fn defaults_are_added_member_by_member() {
        let read = read(json!({
            "defaults": {"method": "PUT", "path": "/v1/buckets/a", "headers": {"X": "y"}, "body": {"data": {"k": 1, "o": 1}}},
            "requests": [{"body": {"data": {"o": 2}}}, {"method": "GET", "path": "/buckets/b/?_limit=1", "body": null}],
        }))
        .unwrap();
        assert_eq!((read[0].method.as_str(), read[0].path.as_str()), ("PUT", "/buckets/a"));
        assert_eq!(read[0].body, Some(json!({"data": {"k": 1, "o": 2}})));
        assert_eq!(read[0].headers["x"], "y");
        assert_eq!((read[1].path.as_str(), read[1].query.as_str()), ("/buckets/b", "_limit=1"));
        assert_eq!(read[1].body, None);
    }

    #[test]
    fn a_batch_that_is_malformed_is_refused_as_a_whole() {
        let get = json!({"path": "/"});
        let cases = [
            (json!([1]), "\"[1]\" is not a mapping type: Does not implement dict-like functionality."),
            (json!({"foo": 1}), "Unrecognized keys in mapping: \"{'foo': 1}\""),
            (json!({}), "requests in body: Required"),
            (json!({"requests": 1}), "requests in body: \"1\" is not iterable"),
            (json!({"requests": [{}]}), "requests.0.path in body: Required"),
            (
                json!({"requests": [{"path": "buckets"}]}),
                "requests.0.path in body: String does not match expected pattern",
            ),
            (
                json!({"requests": [{"path": format!("/?{}", "x".repeat(16 << 10))}]}),
                "requests.0.path in body: Longer than maximum length 16384",
            ),
            (
                json!({"requests": [{"method": "FOO", "path": "/"}]}),
                "requests.0.method in body: \"FOO\" is not one of GET, HEAD, DELETE, TRACE, POST, PUT, PATCH",
            ),
            (
                json!({"requests": [get, {"path": "/v1/batch/", "method": "POST"}]}),
                "requests in body: Recursive call on /batch endpoint is forbidden.",
            ),
            (json!({"requests": vec![get.clone(); 26]}), "Number of requests is limited to 25"),
            (
                json!({"requests": [{"path": "/", "x": 1}]}),
                "requests.0 in body: Unrecognized keys in mapping: \"{'x': 1}\"",
            ),
            (
                json!({"requests": [{"path": "/", "headers": {"A": "x\ny"}}]}),
                "requests.0.headers.A in body: this is no header",
            ),
        ];
        for (body, expected) in cases {
            assert_eq!(message(body.clone()), expected, "{body}");
        }
        assert_eq!(read(json!({"requests": []})).unwrap(), []);
    }

    #[test]
    fn defaults_do_not_multiply_what_was_sent_without_bound() {
        let body = json!({"defaults": {"body": {"data": {"a": "x".repeat(500)}}}, "requests": vec![json!({"path": "/"}); 3]});
        assert_eq!(read(body).unwrap_err().reply().status, 413);
    }
}
