//! Refusals in the form of this surface: `{"code": STATUS, "error": WORD, "message": TEXT}`, or only the text
//! for who asks for `text/plain`.

use std::borrow::Cow;

use axum::body::Body;
use axum::response::Response;
use countersign_core::tags::Error;
use countersign_core::{Code, Error as CoreError};
use countersign_model::time;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Map, Value, json};

use crate::accept::Accepted;
use crate::problem::Problem;

/// Why a request was refused, as the client is told. Has nothing of a payload in it.
#[derive(Clone, Debug)]
pub struct Refusal {
    status: StatusCode,
    error: Cow<'static, str>,
    message: String,
    /// Further members, such as `line`.
    more: Map<String, Value>,
    retry_after: Option<u32>,
    allow: Option<&'static str>,
    close: bool,
}

/// How a client wants to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// As JSON, because the client names it.
    Json,
    /// As plain text, because the client names it.
    Text,
    /// As it is customary: what is asked for as it is, refusals as JSON.
    Usual,
}

impl Words {
    /// By `Accept`.
    pub fn of(headers: &HeaderMap) -> Self {
        let accepted = Accepted::of(headers);
        let (json, text) = (accepted.named("application/json"), accepted.named("text/plain"));
        match (json, text) {
            (0, 0) => Self::Usual,
            (json, text) if json > text => Self::Json,
            _ => Self::Text,
        }
    }

    /// The answer, or the refusal in these words.
    pub fn answer(self, result: Result<Response, Refusal>) -> Response {
        result.unwrap_or_else(|refusal| refusal.render(self))
    }
}

impl Refusal {
    /// A refusal of the surface itself.
    pub fn new(status: StatusCode, error: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            error: Cow::Borrowed(error),
            message: message.into(),
            more: Map::new(),
            retry_after: None,
            allow: None,
            close: false,
        }
    }

    /// A method that a path does not have.
    pub fn method_not_allowed(allow: &'static str) -> Self {
        let message = "that method is not possible here: the header `Allow` lists what is";
        let refusal = Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", message);
        Self { allow: Some(allow), ..refusal }
    }

    /// The whole answer.
    pub fn render(&self, words: Words) -> Response {
        let (kind, body) = match words {
            Words::Text => ("text/plain; charset=utf-8", format!("{}\n", self.message)),
            Words::Json | Words::Usual => {
                let mut document = self.more.clone();
                document.insert("code".into(), self.status.as_u16().into());
                document.insert("error".into(), self.error.as_ref().into());
                document.insert("message".into(), self.message.as_str().into());
                ("application/json", Value::Object(document).to_string())
            }
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if self.close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let error = match error {
            Error::Core(error) if !matches!(error, CoreError::NotPermitted { .. }) => {
                return Problem::from(error).into();
            }
            other => other,
        };
        let mut refusal = Self::new(status(&error), error.code(), error.to_string());
        refusal.retry_after = error.retry_after();
        match &error {
            Error::HeaderInPayload { line, .. } => {
                refusal.more.insert("line".into(), json!(line));
            }
            Error::Hidden { by, at, .. } => {
                refusal.more.insert("by".into(), json!(by));
                refusal.more.insert("at".into(), json!(time::seconds(*at)));
            }
            _ => {}
        }
        refusal
    }
}

/// What every surface shares: credentials, bodies, and failures inside.
impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let error = match problem.code() {
            Code::AmbiguousInput => "ambiguous",
            Code::InvalidRequest => "bad-request",
            code => code.as_str(),
        };
        let mut refusal = Self::new(problem.status(), error, problem.detail());
        refusal.retry_after = problem.seconds_to_retry();
        refusal.close = problem.closes();
        refusal
    }
}

fn status(error: &Error) -> StatusCode {
    match error {
        Error::Empty
        | Error::BadFormat(_)
        | Error::NoAuthorities
        | Error::NoAuthority
        | Error::HeaderInPayload { .. }
        | Error::Ambiguous(_)
        | Error::BadRequest(_)
        | Error::BadAuthorityName(_)
        | Error::BadTagName(_) => StatusCode::BAD_REQUEST,
        Error::InvalidSignature { .. }
        | Error::NotSigned(_)
        | Error::Revoked { .. }
        | Error::ExpiredKey { .. }
        | Error::NotYetValid { .. }
        | Error::NotAllowed(_)
        | Error::Core(_) => StatusCode::FORBIDDEN,
        Error::UnknownAuthority(_) | Error::UnknownTag(_) | Error::NotFound(_) => StatusCode::NOT_FOUND,
        Error::Exists(_) | Error::NewVersion(_) | Error::AmbiguousName(_) => StatusCode::CONFLICT,
        Error::Hidden { .. } | Error::Gone(_) => StatusCode::GONE,
        Error::PreconditionFailed(_) => StatusCode::PRECONDITION_FAILED,
        Error::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Error::QueryTooLong { .. } => StatusCode::URI_TOO_LONG,
        Error::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::ACCEPT;

    fn words(accept: &str) -> Words {
        Words::of(&HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]))
    }

    #[test]
    fn a_client_is_answered_in_the_words_that_it_names() {
        assert_eq!(Words::of(&HeaderMap::new()), Words::Usual);
        assert_eq!(words("*/*"), Words::Usual);
        assert_eq!(words("text/html, */*;q=0.8"), Words::Usual);
        assert_eq!(words("text/plain"), Words::Text);
        assert_eq!(words("application/json"), Words::Json);
        assert_eq!(words("application/json;q=0.5, text/plain"), Words::Text);
    }

    #[test]
    fn a_failure_inside_tells_the_client_nothing_of_it() {
        let refusal = Refusal::from(Error::Core(CoreError::Internal("row 7 of /data/db".into())));
        assert_eq!(refusal.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!refusal.message.contains("/data"), "{}", refusal.message);
    }
}
