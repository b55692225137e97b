//! `GET /buckets/B/collections/C/changeset`: a collection whole, or what has changed since, with its signature.

use countersign_core::collections::Who;
use countersign_core::collections::reading::{self, Query};
use http::header::ACCEPT_ENCODING;
use http::{HeaderMap, StatusCode};

use super::asked::Asked;
use super::error::Refusal;
use super::reply::{Reply, http_date};
use crate::app::App;

/// Gives a changeset, as gzip to who takes that.
///
/// # Errors
/// 401, 403 and 404 as for reading the collection; 400 for a malformed query.
pub async fn answer(
    app: &App,
    asked: &Asked,
    who: &Who,
    headers: &HeaderMap,
    bucket: &str,
    collection: &str,
) -> Result<Reply, Refusal> {
    let changeset = reading::changeset(&app.ctx, who, bucket, collection, &asked.query).await?;
    let gzip = if takes_gzip(headers) { changeset.gzip().await } else { None };
    let mut reply = Reply::json(StatusCode::OK, changeset.body.clone());
    if let Some(gzip) = gzip {
        reply.body = gzip;
        reply = reply.with("Content-Encoding", "gzip");
    }
    let cache = cache_control(app, asked, who.user.is_none(), bucket, collection);
    Ok(reply
        .with("Last-Modified", http_date(changeset.last_modified))
        .with("Cache-Control", cache)
        .with("Vary", "Accept-Encoding"))
}

/// `Cache-Control` of a changeset.
///
/// - `anonymous`: whether the reader has shown no good credentials.
pub fn cache_control(app: &App, asked: &Asked, anonymous: bool, bucket: &str, collection: &str) -> String {
    let expected = asked.query.iter().rev().find(|(name, _)| name == "_expected");
    let query =
        Query { expected: expected.map(|(_, value)| value.clone()).unwrap_or_default(), ..Query::default() };
    let age =
        anonymous.then(|| reading::max_age(&app.ctx, bucket, collection, query.is_impatient())).flatten();
    age.map_or_else(|| "no-cache, no-store".into(), |seconds| format!("max-age={seconds}"))
}

/// Whether `Accept-Encoding` names gzip, or anything, without forbidding it.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let mut any = false;
    for value in headers.get_all(ACCEPT_ENCODING) {
        for element in value.to_str().unwrap_or_default().split(',') {
            let (coding, parameters) = element.split_once(';').unwrap_or((element, ""));
            let quality = parameters.trim().strip_prefix("q=").and_then(|q| q.trim().parse::<f32>().ok());
            let wanted = quality.is_none_or(|quality| quality > 0.0);
            match coding.trim().to_ascii_lowercase().as_str() {
                "gzip" | "x-gzip" => return wanted,
                "*" => any = wanted,
                _ => {}
            }
        }
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_who_takes_it() {
        let takes =
            |text: &str| takes_gzip(&HeaderMap::from_iter([(ACCEPT_ENCODING, text.parse().unwrap())]));
        assert!(!takes_gzip(&HeaderMap::new()));
        for good in ["gzip", "br, gzip;q=0.5", "GZIP", "*", "deflate, gzip, br, zstd"] {
            assert!(takes(good), "{good}");
        }
        for bad in ["", "br", "gzip;q=0", "gzip; q=0.0, *", "identity"] {
            assert!(!takes(bad), "{bad}");
        }
    }
}
