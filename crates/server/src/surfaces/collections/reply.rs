//! Answers before it is known whether they are sent by themselves or in the answer to a batch.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use countersign_core::collections::call::{Answer, How};
use http::{HeaderName, HeaderValue, StatusCode};
use jiff::Timestamp;
use serde_json::Value;

use super::error::Refusal;

/// An answer: a status, headers with their names as the protocol writes them, and JSON or nothing.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: Vec<(&'static str, String)>,
    /// JSON; empty: nothing.
    pub body: Bytes,
}

impl Reply {
    /// JSON text.
    pub fn json(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self { status, headers: vec![("Content-Type", JSON.into())], body: body.into() }
    }

    /// A JSON value.
    pub fn value(status: StatusCode, body: &Value) -> Self {
        Self::json(status, body.to_string())
    }

    /// No body.
    pub fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }

    /// A redirection with the method kept.
    pub fn moved(location: String) -> Self {
        let mut reply = Self::empty(StatusCode::TEMPORARY_REDIRECT);
        reply.headers.push(("Location", location));
        reply
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Adds `ETag` and `Last-Modified` of a timestamp in milliseconds.
    #[must_use]
    pub fn stamped(self, timestamp: i64) -> Self {
        self.with("ETag", format!("\"{timestamp}\"")).with("Last-Modified", http_date(timestamp))
    }

    /// The answer to an HTTP request.
    pub fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        for (name, value) in self.headers {
            // What is not a header value was made of what a client sent: it is left out.
            if let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&value))
            {
                headers.append(name, value);
            }
        }
        response
    }

    /// Writes the answer as one of those to a batch.
    ///
    /// - `path`: from `/v1` on, without the query.
    pub fn write_in_batch(&self, path: &str, out: &mut Vec<u8>) {
        let mut headers = serde_json::Map::new();
        for (name, value) in &self.headers {
            headers.insert((*name).to_owned(), value.as_str().into());
        }
        headers.insert("Content-Length".into(), self.body.len().to_string().into());
        out.extend_from_slice(format!("{{\"status\":{},\"path\":", self.status.as_u16()).as_bytes());
        out.extend_from_slice(Value::from(path).to_string().as_bytes());
        out.extend_from_slice(b",\"headers\":");
        out.extend_from_slice(Value::Object(headers).to_string().as_bytes());
        out.extend_from_slice(b",\"body\":");
        out.extend_from_slice(if self.body.is_empty() { b"\"\"" } else { &self.body });
        out.push(b'}');
    }
}

/// What an answer of the use-cases needs to know of the request.
pub struct Shown<'a> {
    /// Whether the request was a `HEAD`: nothing but headers is sent.
    pub head: bool,
    /// Whether the request was a `GET` or a `HEAD`.
    pub read: bool,
    /// `Cache-Control` of what is read.
    pub cache: &'a str,
    /// The address of the list, with everything of the query but the token, to which the token is added.
    pub next: &'a dyn Fn(&str) -> String,
    /// For a method that is not possible.
    pub allow: &'a dyn Fn() -> String,
}

impl Reply {
    /// The answer of the use-cases, in the protocol's form.
    pub fn of(answer: Answer, shown: &Shown<'_>) -> Self {
        let mut reply = match answer {
            Answer::Object { how, data, permissions, timestamp } => {
                let status = if how == How::Created { StatusCode::CREATED } else { StatusCode::OK };
                let mut body = String::with_capacity(data.len() + 128);
                body.push('{');
                if let Some(permissions) = permissions {
                    body.push_str("\"permissions\":");
                    body.push_str(&serde_json::to_string(&permissions).unwrap_or_else(|_| "{}".into()));
                    body.push(',');
                }
                body.push_str("\"data\":");
                body.push_str(&data);
                body.push('}');
                Self::json(status, body).stamped(timestamp).cached(shown)
            }
            Answer::List { items, timestamp, next, total } => {
                let body = if shown.head { Bytes::new() } else { list(&items).into() };
                let mut reply = Self::json(StatusCode::OK, body).stamped(timestamp).cached(shown);
                if let Some(token) = next {
                    reply = reply.with("Next-Page", (shown.next)(&token));
                }
                if let Some(total) = total {
                    let total = total.to_string();
                    reply = reply.with("Total-Records", total.clone()).with("Total-Objects", total);
                }
                reply
            }
            Answer::NotModified { timestamp } => Self::empty(StatusCode::NOT_MODIFIED).stamped(timestamp),
            Answer::Refused(error) => {
                let mut reply = Refusal::from(error).reply();
                if reply.status == StatusCode::METHOD_NOT_ALLOWED {
                    reply = reply.with("Allow", (shown.allow)());
                }
                reply
            }
        };
        if shown.head {
            reply.body = Bytes::new();
        }
        reply
    }

    fn cached(self, shown: &Shown<'_>) -> Self {
        if shown.read { self.with("Cache-Control", shown.cache) } else { self }
    }
}

fn list(items: &[String]) -> String {
    let length: usize = items.iter().map(|item| item.len() + 1).sum();
    let mut body = String::with_capacity(length + 16);
    body.push_str("{\"data\":[");
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            body.push(',');
        }
        body.push_str(item);
    }
    body.push_str("]}");
    body
}

/// A time in milliseconds as HTTP writes it, in seconds: `Fri, 20 Nov 2026 21:02:21 GMT`.
pub fn http_date(milliseconds: i64) -> String {
    let time = Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::UNIX_EPOCH);
    let whole = Timestamp::from_second(time.as_second()).unwrap_or(Timestamp::UNIX_EPOCH);
    let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
    // Fails for years before 0 or after 9999, which no request gets this far with.
    printer.timestamp_to_rfc9110_string(&whole).unwrap_or_else(|_| "Thu, 01 Jan 1970 00:00:00 GMT".into())
}

/// The type of all documents.
pub const JSON: &str = "application/json";

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_core::collections::Error;

    fn shown(head: bool) -> Shown<'static> {
        Shown {
            head,
            read: true,
            cache: "no-cache, no-store",
            next: &|t| format!("N{t}"),
            allow: &String::new,
        }
    }

    fn header<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
        reply.headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn times_are_cut_to_seconds() {
        assert_eq!(http_date(1_795_208_541_846), "Fri, 20 Nov 2026 21:02:21 GMT");
        assert_eq!(http_date(i64::MIN), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(http_date(1_234_567_890_123), "Fri, 13 Feb 2009 23:31:30 GMT");
    }

    #[test]
    fn an_object_is_in_an_envelope_with_its_stamp() {
        let answer = Answer::Object {
            how: How::Read,
            data: r#"{"id":"a","last_modified":5}"#.into(),
            permissions: Some([("write".to_owned(), ["account:ana".to_owned()].into())].into()),
            timestamp: 5,
        };
        let reply = Reply::of(answer, &shown(false));
        assert_eq!(
            reply.body,
            r#"{"permissions":{"write":["account:ana"]},"data":{"id":"a","last_modified":5}}"#
        );
        assert_eq!(header(&reply, "ETag"), Some("\"5\""));
        assert_eq!(header(&reply, "Cache-Control"), Some("no-cache, no-store"));
    }

    #[test]
    fn the_head_of_a_list_counts_and_says_where_it_goes_on() {
        let list = || Answer::List {
            items: vec!["{}".into()],
            timestamp: 7,
            next: Some("t".into()),
            total: Some(3),
        };
        let reply = Reply::of(list(), &shown(true));
        assert!(reply.body.is_empty());
        assert_eq!(header(&reply, "Total-Records"), Some("3"));
        assert_eq!(header(&reply, "Next-Page"), Some("Nt"));
        assert_eq!(Reply::of(list(), &shown(false)).body, r#"{"data":[{}]}"#);
    }

    #[test]
    fn a_refusal_in_a_batch_is_a_document_and_an_empty_answer_a_text() {
        let mut out = Vec::new();
        Reply::of(Answer::Refused(Error::Unauthorized), &shown(false))
            .write_in_batch("/v1/buckets", &mut out);
        let written: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(written["status"], 401);
        assert_eq!(written["path"], "/v1/buckets");
        assert_eq!(written["body"]["errno"], 104);
        assert_eq!(written["headers"]["WWW-Authenticate"], "Basic realm=\"Realm\"");
        out.clear();
        Reply::empty(StatusCode::NOT_MODIFIED).stamped(1).write_in_batch("/v1/\"", &mut out);
        let written: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!((&written["body"], &written["headers"]["ETag"]), (&"".into(), &"\"1\"".into()));
    }
}
