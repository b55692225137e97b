//! Refusals as the original writes them: a line of text, and the request's id.

use axum::body::Body;
use axum::response::Response;
use countersign_core::autograph::Error;
use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, StatusCode};

use crate::app::Meta;
use crate::problem::Problem;

/// Why a request was refused, as the client is told.
#[derive(Clone, Debug)]
pub struct Refusal {
    status: StatusCode,
    text: String,
    retry_after: Option<u32>,
    close: bool,
}

impl Refusal {
    /// A request that cannot be read or cannot be done.
    pub fn bad_request(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// A request that nobody signed.
    pub fn unauthorized(why: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, format!("authorization verification failed: {why}"))
    }

    fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), retry_after: None, close: false }
    }

    /// Closes the connection after the answer: the rest of the request will not be read.
    #[must_use]
    pub fn close(mut self) -> Self {
        self.close = true;
        self
    }

    /// The answer. As the original does, it ends with the request's id.
    pub fn render(self, meta: Option<&Meta>) -> Response {
        let id = meta.map_or("-", |meta| meta.request_id.as_str());
        let mut response = Response::new(Body::from(format!("{}\r\nrequest-id: {id}\n", self.text)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Hawk"));
        }
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
        let status = match error {
            Error::Core(error) => return Problem::from(error).into(),
            Error::Unauthorized(_) | Error::NotForYou { .. } | Error::NoDefault(_) => {
                StatusCode::UNAUTHORIZED
            }
            Error::Other { .. } => StatusCode::FORBIDDEN,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, error.to_string())
    }
}

/// What every surface shares: bodies, keys that do not sign, and failures inside.
impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self {
            status: problem.status(),
            text: problem.detail().to_owned(),
            retry_after: problem.seconds_to_retry(),
            close: problem.closes(),
        }
    }
}
