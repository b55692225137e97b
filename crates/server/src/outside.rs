//! Requests to others, for use-cases that ask or tell somebody.

use std::time::Duration;

use countersign_core::collections::outside::{
    Answering, HttpAnswer, HttpClient, HttpError, HttpMethod, HttpRequest,
};

/// Sends requests by HTTP/1.1 or 2, over TLS where the address says so. Connections are kept for the next request.
#[derive(Debug)]
pub struct Outside(reqwest::Client);

/// How long making a connection may take, of the time that a request has.
const CONNECT: Duration = Duration::from_secs(2);

const USER_AGENT: &str = concat!("countersign/", env!("CARGO_PKG_VERSION"));

impl Outside {
    /// The client of a process; `None`, and a line in the log, where TLS cannot be set up.
    pub fn new() -> Option<Self> {
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            // What is sent is for that address and for no other.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(USER_AGENT)
            .build();
        client
            .map_err(|error| tracing::error!(%error, "no HTTP client for requests to others"))
            .ok()
            .map(Self)
    }
}

impl HttpClient for Outside {
    fn send(&self, request: HttpRequest) -> Answering<'_> {
        Box::pin(async move {
            let HttpRequest { method, url, headers, body, timeout, longest } = request;
            let method = match method {
                HttpMethod::Get => reqwest::Method::GET,
                HttpMethod::Post => reqwest::Method::POST,
            };
            let mut request = self.0.request(method, url).timeout(timeout);
            for (name, value) in headers {
                request = request.header(name, value);
            }
            if !body.is_empty() {
                request = request.body(body);
            }
            let mut response = request.send().await.map_err(|error| of(&error))?;
            let status = response.status().as_u16();
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(|error| of(&error))? {
                if body.len() + chunk.len() > longest {
                    return Err(HttpError::TooLong { longest });
                }
                body.extend_from_slice(&chunk);
            }
            Ok(HttpAnswer { status, body })
        })
    }
}

/// With the innermost reason, which says what happened; addresses are the operator's, but may hold a secret.
fn of(error: &reqwest::Error) -> HttpError {
    let mut reason: &dyn std::error::Error = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    let reason = if std::ptr::eq(reason, error as &dyn std::error::Error) {
        "the request could not be sent".to_owned()
    } else {
        reason.to_string()
    };
    if error.is_connect() {
        HttpError::Connect(reason)
    } else if error.is_timeout() {
        HttpError::TimedOut
    } else {
        HttpError::Broken(reason)
    }
}
