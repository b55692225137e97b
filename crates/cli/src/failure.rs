//! Why a command did not do what it was asked, what to do about it, and the exit code that says so.

use std::fmt::Display;

use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;

/// How a command ended that could tell its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, or the answer is yes: exit code 0.
    Done,
    /// The question was answered, with no: exit code 1.
    No,
}

/// What kind of failure: scripts decide by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The answer is no: invalid, refused, not found. Trying again will not help. Exit code 1.
    Refused,
    /// Wrong usage, or nobody could tell: network, a server in trouble, a file that cannot be read.
    /// Exit code 2.
    Unknown,
}

/// Why a command failed, for the person at the terminal.
#[derive(Debug)]
pub struct Failure {
    /// Refused, or unknown.
    pub kind: Kind,
    /// What happened, to which thing: lower case, no full stop.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// The server's own document about it, which `--json` prints.
    pub document: Option<Bytes>,
}

/// An error document of the native API (RFC 9457) or of the tags API, as far as it is shown.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    title: Option<String>,
    detail: Option<String>,
    /// What the tags API has for a detail.
    message: Option<String>,
    hint: Option<String>,
    request_id: Option<String>,
}

impl Failure {
    /// The answer is no.
    pub fn refused(message: impl Into<String>) -> Self {
        Self { kind: Kind::Refused, message: message.into(), hint: None, document: None }
    }

    /// Nobody could tell, or the command was wrong.
    pub fn unknown(message: impl Into<String>) -> Self {
        Self { kind: Kind::Unknown, message: message.into(), hint: None, document: None }
    }

    /// A file that could not be read or written.
    pub fn file(doing: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::unknown(format!("cannot {doing} `{}`: {error}", path.display()))
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What an answer with an error status says.
    pub fn of_answer(status: StatusCode, body: Bytes) -> Self {
        let problem: Option<Problem> = serde_json::from_slice(&body).ok();
        let document = problem.is_some().then(|| body.clone());
        let problem = problem.unwrap_or_default();
        let mut message = problem
            .detail
            .or(problem.message)
            .or(problem.title)
            .unwrap_or_else(|| format!("the server answered {status} without saying why"));
        if let (true, Some(id)) = (status.is_server_error(), &problem.request_id) {
            message.push_str(&format!(" (request `{id}`)"));
        }
        let hint = match status {
            // The server speaks of headers, which are our business and not the user's.
            StatusCode::UNAUTHORIZED => {
                Some("give a token: `--token-file FILE`, or COUNTERSIGN_TOKEN in the environment".into())
            }
            StatusCode::NOT_FOUND if document.is_none() => {
                Some("is this the address of a countersign server?".into())
            }
            _ => problem.hint,
        };
        Self { kind: kind_of(status), message, hint, document }
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        match self.kind {
            Kind::Refused => 1,
            Kind::Unknown => 2,
        }
    }
}

/// Whether an error status is an answer. Some of the 4xx only say that nobody looked.
fn kind_of(status: StatusCode) -> Kind {
    match status {
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            Kind::Unknown
        }
        status if status.is_client_error() => Kind::Refused,
        _ => Kind::Unknown,
    }
}

/// Adds what was being done to errors of files and libraries, for which nobody could tell.
pub trait OrUnknown<T> {
    /// `message: error`, exit code 2.
    ///
    /// # Errors
    /// The failure, if it is one.
    fn or_unknown(self, message: &str) -> Result<T, Failure>;
}

impl<T, E: Display> OrUnknown<T> for Result<T, E> {
    fn or_unknown(self, message: &str) -> Result<T, Failure> {
        self.map_err(|error| Failure::unknown(format!("{message}: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_1_and_not_knowing_is_2() {
        for (status, code) in [
            (400, 1),
            (401, 1),
            (403, 1),
            (404, 1),
            (409, 1),
            (410, 1),
            (413, 1),
            (422, 1),
            (405, 2),
            (408, 2),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(Failure::of_answer(status, Bytes::new()).code(), code, "{status}");
        }
        for status in [301, 429, 500, 503, 507] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(Failure::of_answer(status, Bytes::new()).code(), 2, "{status}");
        }
    }

    #[test]
    fn the_servers_own_words_are_shown() {
        let body = br#"{"type":"urn:countersign:problem:unknown-key","title":"unknown key","status":404,
            "detail":"no key `release`","hint":"`key list` lists the keys","request_id":"r1"}"#;
        let failure = Failure::of_answer(StatusCode::NOT_FOUND, Bytes::from_static(body));
        assert_eq!(failure.message, "no key `release`");
        assert_eq!(failure.hint.as_deref(), Some("`key list` lists the keys"));
        assert_eq!(failure.document.as_deref(), Some(body.as_slice()));
    }

    #[test]
    fn a_refusal_of_the_tags_api_is_shown_in_its_words() {
        let body = br#"{"code":404,"error":"unknown-tag","message":"there is no tag app-1.0"}"#;
        let failure = Failure::of_answer(StatusCode::NOT_FOUND, Bytes::from_static(body));
        assert_eq!((failure.message.as_str(), failure.hint), ("there is no tag app-1.0", None));
    }

    #[test]
    fn a_server_in_trouble_is_reported_with_the_request() {
        let body = br#"{"detail":"the key host is away","request_id":"r7"}"#;
        let failure = Failure::of_answer(StatusCode::SERVICE_UNAVAILABLE, Bytes::from_static(body));
        assert_eq!(failure.message, "the key host is away (request `r7`)");
    }

    #[test]
    fn an_answer_that_is_no_document_of_ours_still_says_something() {
        let failure = Failure::of_answer(StatusCode::BAD_GATEWAY, Bytes::from_static(b"<html>"));
        assert_eq!(failure.message, "the server answered 502 Bad Gateway without saying why");
        assert!(failure.document.is_none());
    }
}
