//! Requests to others over HTTP. This crate does not speak it: whoever opens a deployment gives it a client, as it
//! gives it a clock.

use std::fmt::Debug;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

/// An answer that is waited for.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Result<HttpAnswer, HttpError>> + Send + 'a>>;

/// Sends requests to others.
pub trait HttpClient: Debug + Send + Sync {
    /// Sends a request and reads the answer whole. Redirects are not followed: what is sent is for that address and
    /// for no other.
    ///
    /// Fails with [`HttpError`] if there is no answer. A refusal is one.
    fn send(&self, request: HttpRequest) -> Answering<'_>;
}

/// A request.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    /// `GET` or `POST`.
    pub method: HttpMethod,
    /// `https://…` or `http://…`.
    pub url: String,
    /// Headers beside those of every request.
    pub headers: Vec<(&'static str, String)>,
    /// The body; empty: none.
    pub body: Bytes,
    /// How long it may take in all.
    pub timeout: Duration,
    /// The longest answer that is read, in bytes.
    pub longest: usize,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpMethod {
    /// Ask for something.
    Get,
    /// Give something.
    Post,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct HttpAnswer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// Nobody is there. Nothing was sent.
    #[error("no connection: {0}")]
    Connect(String),
    /// It took too long.
    #[error("no answer in time")]
    TimedOut,
    /// The answer is longer than what is read.
    #[error("the answer is longer than {longest} bytes")]
    TooLong {
        /// The longest that is read.
        longest: usize,
    },
    /// The connection broke, or what came is not HTTP.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// This deployment was opened without a client.
    #[error("this process sends no requests")]
    NoClient,
}

/// Sends a request by the deployment's client.
///
/// # Errors
/// [`HttpError`].
pub(crate) async fn send(
    ctx: &crate::context::Context,
    request: HttpRequest,
) -> Result<HttpAnswer, HttpError> {
    match &ctx.collections.http {
        Some(client) => client.send(request).await,
        None => Err(HttpError::NoClient),
    }
}
