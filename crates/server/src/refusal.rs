//! Refusals of what is not a request: the HTTP library answers them with a status and nothing else, before
//! any of our code runs.
//!
//! Until a connection has brought its first request, whatever the library writes can only be such a refusal:
//! it is kept back, and a problem document is sent in its place. On a connection that has had a request the
//! library's empty answer stands: there it cannot be told from the bytes of an answer of ours.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use countersign_core::Code;
use countersign_model::RequestId;
use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::problem::Problem;

/// A stream that keeps back what is written to it before it was asked for anything.
pub struct Unasked<S> {
    stream: S,
    asked: Arc<AtomicBool>,
    kept: Vec<u8>,
}

/// Bytes that are kept: a status line is far shorter.
const MOST_KEPT: usize = 256;

impl<S> Unasked<S> {
    /// Wraps `stream`. `asked` becomes true with the first request.
    pub fn new(stream: S, asked: Arc<AtomicBool>) -> Self {
        Self { stream, asked, kept: Vec::new() }
    }

    /// The stream, and the status that the HTTP library wanted to refuse with.
    pub fn into_parts(self) -> (S, Option<StatusCode>) {
        // `HTTP/1.1 400 …`
        let status = self.kept.get(9..12).and_then(|digits| StatusCode::from_bytes(digits).ok());
        (self.stream, status)
    }

    /// How many of `bytes` are kept; `None` when they are to be written.
    fn keep(&mut self, bytes: &[u8]) -> Option<usize> {
        if self.asked.load(Ordering::Relaxed) {
            return None;
        }
        let room = MOST_KEPT.saturating_sub(self.kept.len()).min(bytes.len());
        self.kept.extend_from_slice(&bytes[..room]);
        Some(bytes.len())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Unasked<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Unasked<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.keep(buf) {
            Some(count) => Poll::Ready(Ok(count)),
            None => Pin::new(&mut self.stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = bufs.iter().find(|buf| !buf.is_empty()).map_or(&[][..], |buf| buf);
        match self.keep(first) {
            Some(count) => Poll::Ready(Ok(count)),
            None => Pin::new(&mut self.stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// What to say in place of an empty answer.
pub fn problem_of(status: StatusCode) -> Problem {
    match status {
        StatusCode::REQUEST_TIMEOUT => {
            Problem::new(Code::RequestTimeout, "the head of the request came too slowly")
        }
        StatusCode::URI_TOO_LONG => Problem::new(Code::TooLarge, "the path of the request is too long"),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            Problem::new(Code::TooLarge, "the head of the request is too large")
                .hint("a head has at most 64 KiB and 100 headers")
        }
        _ => Problem::new(Code::InvalidRequest, "this is not a request in HTTP/1.1")
            .hint("the path must be percent-encoded; `https://` is not spoken where there is no TLS"),
    }
}

/// A whole answer with `status`, after which the connection is closed.
pub fn answer(status: StatusCode, problem: &Problem, request_id: &RequestId) -> Vec<u8> {
    let document = problem.document(request_id).with_status(status);
    let body = serde_json::to_string(&document).unwrap_or_default();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\n\
         countersign-request-id: {request_id}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn only_what_is_written_before_the_first_request_is_kept_back() {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        let asked = Arc::new(AtomicBool::new(false));
        let mut stream = Unasked::new(ours, Arc::clone(&asked));
        stream.write_all(b"HTTP/1.1 431 Request Header Fields Too Large\r\n").await.unwrap();
        stream.write_all(&[b'x'; 1000]).await.unwrap();
        asked.store(true, Ordering::Relaxed);
        stream.write_all(b"an answer").await.unwrap();
        let (stream, status) = stream.into_parts();
        assert_eq!(status, Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
        drop(stream);
        let mut got = String::new();
        theirs.read_to_string(&mut got).await.unwrap();
        assert_eq!(got, "an answer");
    }
}
