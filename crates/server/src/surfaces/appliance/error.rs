//! Refusals in the two shapes that the clients know.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use countersign_core::Code;
use countersign_core::appliance::Error;
use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::problem::Problem;

/// Why a request was refused, as the client is told. Has no member that a client could take for a signature.
#[derive(Clone, Debug)]
pub struct Refusal {
    status: StatusCode,
    content_type: &'static str,
    body: Value,
    retry_after: Option<u32>,
    close: bool,
}

impl Refusal {
    /// A refusal of a request that was understood.
    pub fn application(status: StatusCode, error: impl Into<String>) -> Self {
        let body = json!({ "error": error.into() });
        Self { status, content_type: "application/json", body, retry_after: None, close: false }
    }

    /// A refusal of a request that was not.
    pub fn request(status: StatusCode, title: &str, detail: impl Into<String>) -> Self {
        let body = json!({ "type": "about:blank", "title": title, "detail": detail.into(), "status": status.as_u16() });
        Self { status, content_type: "application/problem+json", body, retry_after: None, close: false }
    }

    /// A body that does not follow the schema.
    pub fn schema(detail: impl Into<String>) -> Self {
        Self::request(StatusCode::BAD_REQUEST, "Bad Request", detail)
    }

    /// No key, or one that is not known: both take the same time and say nothing about which keys there are.
    pub fn unauthorized(detail: &str) -> Self {
        Self::request(StatusCode::UNAUTHORIZED, "Unauthorized", detail)
    }

    /// Says after how many seconds a retry may help.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(format!("{:#}\n", self.body)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(why) => Self::application(StatusCode::BAD_REQUEST, why),
            Error::NotFound(what) => Self::application(StatusCode::NOT_FOUND, what),
            Error::Conflict(what) => Self::application(StatusCode::CONFLICT, what),
            Error::Import { title, detail } => Self::request(StatusCode::UNAUTHORIZED, title, detail),
            Error::Core(error) => Problem::from(error).into(),
            other => Problem::from(countersign_core::Error::Internal(other.to_string())).into(),
        }
    }
}

/// What every surface shares: bodies, permissions, and failures inside.
impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let title = problem.status().canonical_reason().unwrap_or("Error");
        let detail = match problem.code() {
            Code::InvalidRequest => as_schema(problem.detail()),
            _ => problem.detail().to_owned(),
        };
        let mut refusal = Self::request(problem.status(), title, detail);
        refusal.retry_after = problem.seconds_to_retry();
        refusal.close = problem.closes();
        refusal
    }
}

/// A missing member in the words of the schema's checker.
fn as_schema(detail: &str) -> String {
    let missing = detail.strip_prefix("the member `").and_then(|rest| rest.strip_suffix("` is missing"));
    missing.map_or_else(|| detail.to_owned(), |name| format!("'{name}' is a required property"))
}
