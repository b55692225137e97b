//! Refusals as `application/problem+json` (RFC 9457).
//!
//! A handler returns a [`Problem`]; it travels as an extension of an empty response, and the outermost
//! service, which knows the request id, writes the body. So every refusal has the same form, wherever it
//! arose.

use std::borrow::Cow;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use countersign_core::{Code, Error};
use countersign_model::RequestId;
use countersign_model::name::BadName;
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

/// Why a request was refused, in the words that the client gets.
#[derive(Clone, Debug)]
pub struct Problem {
    code: Code,
    detail: String,
    hint: Option<Cow<'static, str>>,
    member: Option<Cow<'static, str>>,
    retry_after: Option<u32>,
    close: bool,
}

impl Problem {
    /// A refusal with the stable name `code`; `detail` names the thing.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), hint: None, member: None, retry_after: None, close: false }
    }

    /// A request that cannot be understood, and the member at fault.
    pub fn invalid(member: &'static str, why: impl Into<String>) -> Self {
        Self::new(Code::InvalidRequest, why).member(member)
    }

    /// A name in a path or body that does not follow its grammar.
    pub fn invalid_name(member: &'static str, error: &BadName) -> Self {
        Self::new(Code::InvalidName, error.to_string()).member(member)
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Names the member at fault.
    #[must_use]
    pub fn member(mut self, member: impl Into<Cow<'static, str>>) -> Self {
        self.member = Some(member.into());
        self
    }

    /// Says after how many seconds a retry may help.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Closes the connection after the answer: the rest of the request will not be read.
    #[must_use]
    pub fn close(mut self) -> Self {
        self.close = true;
        self
    }

    /// The stable name.
    pub fn code(&self) -> Code {
        self.code
    }

    /// What it says.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Seconds after which a retry may help; `None` if it cannot.
    pub fn seconds_to_retry(&self) -> Option<u32> {
        self.retry_after
    }

    /// Whether the connection is closed after the answer.
    pub fn closes(&self) -> bool {
        self.close
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        status(self.code)
    }

    /// The document, as it stands in a body or in a batch's result.
    pub fn document<'a>(&'a self, request_id: &'a RequestId) -> Document<'a> {
        Document {
            kind: format!("urn:countersign:problem:{}", self.code.as_str()),
            title: title(self.code),
            status: self.status().as_u16(),
            detail: &self.detail,
            hint: self.hint.as_deref(),
            request_id: request_id.as_str(),
            member: self.member.as_deref(),
        }
    }

    /// The whole answer.
    pub fn render(&self, request_id: &RequestId) -> Response {
        let body = serde_json::to_vec(&self.document(request_id)).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.close {
            headers.insert(http::header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// The body of a refusal.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<&'a str>,
}

impl Document<'_> {
    /// With a status that the code has not by itself: what the HTTP library refuses has more of them.
    #[must_use]
    pub(crate) fn with_status(self, status: StatusCode) -> Self {
        Self { status: status.as_u16(), ..self }
    }
}

impl IntoResponse for Problem {
    /// An empty answer that carries the problem; see [`finish`].
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status();
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes the body of an answer that carries a [`Problem`]; other answers stay as they are. Headers that
/// were set on the way, such as `Allow`, are kept.
pub fn finish(mut response: Response, request_id: &RequestId) -> Response {
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    let mut written = problem.render(request_id);
    for (name, value) in response.headers() {
        if !matches!(*name, http::header::CONTENT_LENGTH | CONTENT_TYPE) {
            written.headers_mut().insert(name, value.clone());
        }
    }
    *written.extensions_mut() = std::mem::take(response.extensions_mut());
    written
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let code = error.code();
        let mut problem = Self::new(code, error.to_string());
        problem.hint = error.hint().map(Cow::Owned);
        problem.member = error.member().map(Cow::Borrowed);
        problem.retry_after = error.retry_after();
        if code == Code::Internal {
            // What failed inside is for the operator, not for the client.
            tracing::error!(%error, "request failed");
            problem.detail = "the server failed".into();
            problem.hint = Some("tell the operator the request id: the server's log has the reason".into());
        }
        problem
    }
}

fn status(code: Code) -> StatusCode {
    match code {
        Code::MalformedJson
        | Code::InvalidRequest
        | Code::InvalidName
        | Code::MalformedKey
        | Code::AmbiguousInput => StatusCode::BAD_REQUEST,
        Code::NoCredentials | Code::BadCredentials => StatusCode::UNAUTHORIZED,
        Code::NotPermitted => StatusCode::FORBIDDEN,
        Code::NotFound | Code::UnknownKey | Code::UnknownPrincipal => StatusCode::NOT_FOUND,
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Code::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        Code::NameTaken | Code::IdempotencyMismatch | Code::Conflict => StatusCode::CONFLICT,
        Code::KeyRevoked | Code::KeyRetired => StatusCode::GONE,
        Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::SchemeMismatch
        | Code::DigestLength
        | Code::DigestNotSupported
        | Code::MessageTooLong
        | Code::WeakKey
        | Code::KdfTooCostly
        | Code::WrongPassphrase
        | Code::NotExportable
        | Code::FormatNotAllowed
        | Code::LocksOut => StatusCode::UNPROCESSABLE_ENTITY,
        Code::KeyHostUnavailable | Code::LogUnavailable | Code::StorageUnavailable | Code::Overloaded => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        Code::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn title(code: Code) -> &'static str {
    match code {
        Code::MalformedJson => "The body is not JSON",
        Code::InvalidRequest => "The request cannot be understood",
        Code::InvalidName => "A name does not follow the rules",
        Code::MalformedKey => "The key cannot be read",
        Code::AmbiguousInput => "What to sign is not given exactly once",
        Code::NoCredentials => "Credentials are needed",
        Code::BadCredentials => "The credentials are not accepted",
        Code::NotPermitted => "Not permitted",
        Code::NotFound => "Not found",
        Code::UnknownKey => "No such key",
        Code::UnknownPrincipal => "No such principal",
        Code::MethodNotAllowed => "Method not allowed",
        Code::RequestTimeout => "The request came too slowly",
        Code::NameTaken => "The name is taken",
        Code::IdempotencyMismatch => "The idempotency key belongs to another request",
        Code::Conflict => "The state has changed",
        Code::KeyRevoked => "The key is revoked",
        Code::KeyRetired => "The key is retired",
        Code::TooLarge => "The request is too large",
        Code::UnsupportedMediaType => "The content type is not supported",
        Code::RateLimited => "Too many requests",
        Code::SchemeMismatch => "The scheme does not fit",
        Code::DigestLength => "The digest has the wrong length",
        Code::DigestNotSupported => "The scheme takes no digest",
        Code::MessageTooLong => "The message is too long",
        Code::WeakKey => "The key is too weak",
        Code::KdfTooCostly => "The key derivation costs too much",
        Code::WrongPassphrase => "The passphrase is not accepted",
        Code::NotExportable => "The key cannot be exported",
        Code::FormatNotAllowed => "The key does not sign this format",
        Code::LocksOut => "The policy would lock everybody out",
        Code::KeyHostUnavailable => "The key host is not available",
        Code::LogUnavailable => "The signing log is not available",
        Code::StorageUnavailable => "The storage is not available",
        Code::Overloaded => "Too much at a time",
        Code::StorageFull => "The storage is full",
        _ => "Internal error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_the_documented_members() {
        let problem = Problem::invalid("scheme", "`scheme` is unknown").hint("leave it out");
        let id: RequestId = "r-1".parse().unwrap();
        assert_eq!(
            serde_json::to_value(problem.document(&id)).unwrap(),
            serde_json::json!({
                "type": "urn:countersign:problem:invalid-request",
                "title": "The request cannot be understood",
                "status": 400,
                "detail": "`scheme` is unknown",
                "hint": "leave it out",
                "request_id": "r-1",
                "member": "scheme",
            })
        );
    }

    #[test]
    fn a_failure_inside_tells_the_client_nothing_of_it() {
        let problem = Problem::from(Error::Internal("row 7 of /data/db".into()));
        let id: RequestId = "r-1".parse().unwrap();
        let text = serde_json::to_string(&problem.document(&id)).unwrap();
        assert_eq!(problem.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!text.contains("/data"), "{text}");
    }

    #[test]
    fn retryable_failures_say_when_to_try_again() {
        let problem = Problem::from(Error::KeyHostUnavailable("starting".into()));
        let response = problem.render(&"r".parse().unwrap());
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.headers().contains_key(RETRY_AFTER));
    }
}
