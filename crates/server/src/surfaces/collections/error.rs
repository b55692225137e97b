//! Refusals in the form of this surface: `{"code","errno","error","message","details"}`, of which the last two are
//! not always there.

use countersign_core::Code;
use countersign_core::collections::{Error, Invalid};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::reply::{JSON, Reply};
use crate::problem::Problem;

/// Why a request was refused, as the client is told.
#[derive(Clone, Debug)]
pub struct Refusal {
    status: StatusCode,
    errno: u16,
    error: &'static str,
    message: Option<String>,
    details: Option<Value>,
    headers: Vec<(&'static str, String)>,
    close: bool,
}

impl Refusal {
    fn new(status: StatusCode, errno: u16, message: impl Into<String>) -> Self {
        // 400 has the protocol's own words.
        let error = match status {
            StatusCode::PAYLOAD_TOO_LARGE => "Request Entity Too Large",
            status => status.canonical_reason().unwrap_or("Error"),
        };
        let message = Some(message.into());
        Self { status, errno, error, message, details: None, headers: Vec::new(), close: false }
    }

    /// A path that leads nowhere.
    pub fn nowhere() -> Self {
        Self::new(StatusCode::NOT_FOUND, 111, "The resource you are looking for could not be found.")
    }

    /// A method that a place does not answer.
    pub fn method_not_allowed(allow: String) -> Self {
        let mut refusal = Self::from(Error::MethodNotAllowed);
        refusal.headers.push(("Allow", allow));
        refusal
    }

    /// Something malformed.
    pub fn invalid(invalid: &Invalid) -> Self {
        let mut refusal = Self::new(StatusCode::BAD_REQUEST, 107, invalid.to_string());
        refusal.error = "Invalid parameters";
        let details = json!({
            "location": invalid.location.as_str(),
            "name": invalid.name,
            "description": invalid.description,
        });
        refusal.details = Some(Value::Array(vec![details]));
        refusal
    }

    /// Too much at a time, or a part that does not answer.
    pub fn unavailable(seconds: u32) -> Self {
        let message = "Service temporary unavailable due to overloading or maintenance, please retry later.";
        let mut refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, 201, message);
        refusal.headers.push(("Retry-After", seconds.to_string()));
        refusal
    }

    /// Says what was refused, where the protocol has a place for it.
    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    /// The answer.
    pub fn reply(&self) -> Reply {
        let mut document = Map::new();
        document.insert("code".into(), self.status.as_u16().into());
        document.insert("errno".into(), self.errno.into());
        document.insert("error".into(), self.error.into());
        if let Some(message) = &self.message {
            document.insert("message".into(), message.as_str().into());
        }
        if let Some(details) = &self.details {
            document.insert("details".into(), details.clone());
        }
        let mut reply = Reply::value(self.status, &Value::Object(document));
        debug_assert_eq!(reply.headers[0].1, JSON);
        reply.headers.extend(self.headers.iter().cloned());
        if self.close {
            reply.headers.push(("Connection", "close".into()));
        }
        reply
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Unauthorized => {
                let mut refusal = Self::new(StatusCode::UNAUTHORIZED, 104, message);
                refusal.headers.push(("WWW-Authenticate", "Basic realm=\"Realm\"".into()));
                refusal
            }
            Error::Forbidden(_) => Self::new(StatusCode::FORBIDDEN, 121, message),
            Error::Invalid(invalid) => Self::invalid(&invalid),
            Error::Refused(_) => Self::new(StatusCode::BAD_REQUEST, 109, message),
            Error::NotFound { resource, id } => {
                let mut refusal = Self::new(StatusCode::NOT_FOUND, 110, message);
                refusal.message = None;
                refusal.with_details(json!({"id": id, "resource_name": resource}))
            }
            Error::MissingParent { resource, id } => {
                let mut refusal = Self::new(StatusCode::NOT_FOUND, 111, message);
                refusal.message = None;
                refusal.with_details(json!({"id": id, "resource_name": resource}))
            }
            Error::MethodNotAllowed => Self::new(StatusCode::METHOD_NOT_ALLOWED, 115, message),
            Error::PreconditionFailed { timestamp, existing } => {
                let mut refusal = Self::new(StatusCode::PRECONDITION_FAILED, 114, message);
                refusal.headers = Reply::empty(StatusCode::OK).stamped(timestamp).headers;
                refusal.details = existing.map(|existing| json!({"existing": existing}));
                refusal
            }
            Error::UnsupportedMediaType(_) => {
                let details = json!([{"location": "header", "name": "Content-Type", "description": message}]);
                let mut refusal = Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, 107, message);
                refusal.error = "Invalid parameters";
                refusal.with_details(details)
            }
            Error::TooLarge(_) => Self::new(StatusCode::PAYLOAD_TOO_LARGE, 113, message),
            Error::Unavailable(why) => {
                tracing::warn!(%why, "a request to the collections could not be served");
                Self::unavailable(RETRY_SECONDS)
            }
            Error::Other(error) => Problem::from(error).into(),
            // Whatever is new is a failure until it is given its status here.
            _ => Problem::new(Code::Internal, "the server failed").into(),
        }
    }
}

/// What every surface shares: credentials, bodies, and failures inside.
impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let status = problem.status();
        let mut refusal = match status {
            StatusCode::UNAUTHORIZED => Error::Unauthorized.into(),
            StatusCode::FORBIDDEN => Error::forbidden().into(),
            StatusCode::PAYLOAD_TOO_LARGE => Self::new(status, 113, problem.detail()),
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::INSUFFICIENT_STORAGE => {
                Self::unavailable(problem.seconds_to_retry().unwrap_or(RETRY_SECONDS))
            }
            status if status.is_client_error() => Self::new(status, 107, problem.detail()),
            _ => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                999,
                "A programmatic error occurred, developers have been informed.",
            ),
        };
        if status == StatusCode::BAD_REQUEST {
            refusal.error = "Invalid parameters";
        }
        refusal.close = problem.closes();
        refusal
    }
}

/// After how many seconds a retry may help, where nothing else says so.
pub const RETRY_SECONDS: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_core::collections::Location;

    fn document(error: Error) -> Value {
        serde_json::from_slice(&Refusal::from(error).reply().body).unwrap()
    }

    /// As fixtures/collections has them.
    #[test]
    fn refusals_are_written_as_clients_know_them() {
        let cases = [
            (
                Error::Unauthorized,
                r#"{"code":401,"errno":104,"error":"Unauthorized","message":"Please authenticate yourself to use this endpoint."}"#,
            ),
            (
                Error::forbidden(),
                r#"{"code":403,"errno":121,"error":"Forbidden","message":"This user cannot access this resource."}"#,
            ),
            (
                Error::Invalid(Invalid {
                    location: Location::Path,
                    name: None,
                    description: "Invalid object id".into(),
                }),
                r#"{"code":400,"errno":107,"error":"Invalid parameters","message":"path: Invalid object id","details":[{"location":"path","name":null,"description":"Invalid object id"}]}"#,
            ),
            (
                Error::invalid(Location::Body, "data", "Provide at least one of data or permissions"),
                r#"{"code":400,"errno":107,"error":"Invalid parameters","message":"Provide at least one of data or permissions","details":[{"location":"body","name":"data","description":"Provide at least one of data or permissions"}]}"#,
            ),
            (
                Error::invalid(Location::Querystring, "_since", "\"abc\" is not a number"),
                r#"{"code":400,"errno":107,"error":"Invalid parameters","message":"_since in querystring: \"abc\" is not a number","details":[{"location":"querystring","name":"_since","description":"\"abc\" is not a number"}]}"#,
            ),
            (
                Error::Refused("Collection already signed".into()),
                r#"{"code":400,"errno":109,"error":"Bad Request","message":"Collection already signed"}"#,
            ),
            (
                Error::NotFound { resource: "record", id: "zzz".into() },
                r#"{"code":404,"errno":110,"error":"Not Found","details":{"id":"zzz","resource_name":"record"}}"#,
            ),
            (
                Error::PreconditionFailed { timestamp: 5, existing: Some(json!({"id": "abc"})) },
                r#"{"code":412,"errno":114,"error":"Precondition Failed","message":"Resource was modified meanwhile","details":{"existing":{"id":"abc"}}}"#,
            ),
            (
                Error::UnsupportedMediaType(
                    "Content-Type header should be one of ['application/json']".into(),
                ),
                r#"{"code":415,"errno":107,"error":"Invalid parameters","message":"Content-Type header should be one of ['application/json']","details":[{"location":"header","name":"Content-Type","description":"Content-Type header should be one of ['application/json']"}]}"#,
            ),
            (
                Error::Unavailable("the key host starts".into()),
                r#"{"code":503,"errno":201,"error":"Service Unavailable","message":"Service temporary unavailable due to overloading or maintenance, please retry later."}"#,
            ),
        ];
        for (error, expected) in cases {
            let expected: Value = serde_json::from_str(expected).unwrap();
            assert_eq!(document(error), expected);
        }
    }

    #[test]
    fn a_failed_precondition_says_what_the_state_is() {
        let reply = Refusal::from(Error::PreconditionFailed { timestamp: 5, existing: None }).reply();
        assert!(reply.headers.contains(&("ETag", "\"5\"".into())));
    }

    #[test]
    fn a_failure_inside_tells_the_client_nothing_of_it() {
        let inside = countersign_core::Error::Internal("row 7 of /data/db".into());
        let text = document(Error::Other(inside)).to_string();
        assert!(text.contains("999") && !text.contains("/data"), "{text}");
    }
}
