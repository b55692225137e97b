//! Refusals as FastAPI writes them, which the original is made with: `{"detail":…}`.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use countersign_core::Code;
use countersign_core::tuf::Error;
use countersign_core::tuf::error::{BodyFault, Place};
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::problem::Problem;

/// Why a request was refused, as the client is told. Has nothing of the body in it but names of members.
#[derive(Clone, Debug)]
pub struct Refusal {
    status: StatusCode,
    detail: Value,
    retry_after: Option<u32>,
    close: bool,
}

/// How long to wait when something is not available, in seconds.
const SOON: u32 = 1;

impl Refusal {
    fn new(status: StatusCode, detail: Value) -> Self {
        Self { status, detail, retry_after: None, close: false }
    }

    /// A path that is not there.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not Found".into())
    }

    /// A method that a path does not have.
    pub fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed".into())
    }

    /// A range that a file does not have.
    pub fn not_a_range() -> Self {
        Self::new(StatusCode::RANGE_NOT_SATISFIABLE, "Range Not Satisfiable".into())
    }

    /// A body or query that is not what it should be.
    pub fn invalid(faults: &[BodyFault]) -> Self {
        let step = |place: &Place| match place {
            Place::Name(name) => Value::from(name.as_str()),
            Place::Index(index) => Value::from(*index),
        };
        let fault = |fault: &BodyFault| {
            let loc: Vec<Value> = fault.loc.iter().map(step).collect();
            json!({"type": fault.kind, "loc": loc, "msg": fault.msg})
        };
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, faults.iter().map(fault).collect())
    }

    /// A refusal with a reason: what was asked for, and why it is not done.
    pub fn because(status: StatusCode, message: &str, error: &str) -> Self {
        Self::new(status, json!({"message": message, "error": error}))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(json!({"detail": self.detail}).to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // A root that is not there yet will be: no cache may keep that it was not.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
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
        match error {
            Error::WrongState { message: Some(message), error } => {
                Self::because(StatusCode::NOT_FOUND, &message, &error)
            }
            Error::WrongState { message: None, error } => {
                Self::new(StatusCode::NOT_FOUND, json!({"error": error}))
            }
            Error::Conflict { message, error } => Self::because(StatusCode::CONFLICT, &message, &error),
            Error::ProofRequired => {
                let error = "This server asks for a proof of possession: POST metadata/sign/challenge gives the \
                             text that a root key must sign.";
                Self::because(StatusCode::FORBIDDEN, "Proof required.", error)
            }
            Error::Invalid(faults) => Self::invalid(&faults),
            Error::Unavailable(why) => {
                let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, why.into());
                Self { retry_after: Some(SOON), ..refusal }
            }
            Error::Other(error) => Problem::from(error).into(),
            other => Problem::from(countersign_core::Error::Internal(other.to_string())).into(),
        }
    }
}

/// What every surface shares: credentials, bodies, and failures inside.
impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let (status, retry_after) = match problem.status() {
            // Clients take it for a failure that stays.
            StatusCode::TOO_MANY_REQUESTS => (StatusCode::SERVICE_UNAVAILABLE, Some(SOON)),
            status => (status, problem.seconds_to_retry()),
        };
        let detail = match problem.code() {
            Code::NotPermitted => json!({"message": "Not permitted.", "error": problem.detail()}),
            _ => problem.detail().into(),
        };
        Self { status, detail, retry_after, close: problem.closes() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(refusal: Refusal) -> (u16, String) {
        (refusal.status.as_u16(), refusal.detail.to_string())
    }

    #[test]
    fn each_refusal_has_the_form_that_clients_of_the_original_print() {
        let state = Error::WrongState { message: Some("Task not accepted.".into()), error: "E".into() };
        assert_eq!(shown(state.into()), (404, r#"{"error":"E","message":"Task not accepted."}"#.into()));
        let only_error = Error::WrongState { message: None, error: "E".into() };
        assert_eq!(shown(only_error.into()), (404, r#"{"error":"E"}"#.into()));
        let fault = BodyFault {
            kind: "missing",
            loc: vec![Place::Name("body".into()), Place::Index(0), Place::Name("path".into())],
            msg: "Field required".into(),
        };
        let expected = r#"[{"loc":["body",0,"path"],"msg":"Field required","type":"missing"}]"#;
        assert_eq!(shown(Error::Invalid(vec![fault]).into()), (422, expected.into()));
        assert_eq!(shown(Refusal::not_found()), (404, "\"Not Found\"".into()));
    }

    #[test]
    fn nobody_is_told_429_and_a_failure_inside_tells_nothing_of_itself() {
        let refusal = Refusal::from(Problem::new(Code::RateLimited, "too many"));
        assert_eq!((refusal.status.as_u16(), refusal.retry_after), (503, Some(SOON)));
        let inside = countersign_core::Error::Internal("row 7 of /data/db".into());
        let (status, detail) = shown(Error::Other(inside).into());
        assert_eq!(status, 500);
        assert!(!detail.contains("/data"), "{detail}");
    }
}
