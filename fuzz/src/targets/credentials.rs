//! Credentials in the headers of a request: a line is the value of `Authorization`, the next of `X-API-Key`.

use countersign_server::auth::Shown;
use http::{HeaderMap, HeaderValue};

/// Whatever was sent is read without a panic, and shows a token that was in it.
pub fn credentials(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for (name, line) in ["authorization", "x-api-key"].iter().zip(data.splitn(2, |b| *b == b'\n')) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(*name, value);
        }
    }
    if let Ok(Some(shown)) = Shown::read(&headers) {
        let _ = shown.presented();
    }
}
