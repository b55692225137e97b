//! What changed where, for readers who poll one address or listen to one channel.

use countersign_core::collections::Who;
use countersign_core::collections::reading::{self, Expected, Query, monitor};
use http::header::IF_NONE_MATCH;
use http::{HeaderMap, StatusCode};

use super::asked::Asked;
use super::error::Refusal;
use super::reply::Reply;
use super::{cache_control, headers};
use crate::app::App;

/// How long a redirection and an answer about the past may be kept.
const DAY: i64 = 86_400;

/// `GET /buckets/monitor/collections/changes/changeset`
///
/// # Errors
/// 400 for a malformed query.
pub async fn changeset(app: &App, asked: &Asked, base: &str) -> Result<Reply, Refusal> {
    let query = Query::parse(&asked.query, Expected::Required)?;
    let now = app.ctx.now().as_millisecond();
    Ok(match monitor::changeset(&app.ctx, &query).await? {
        monitor::Reply::Changes { body, timestamp } => {
            // It is for everybody, whoever asks.
            let cache = super::changeset::cache_control(app, asked, true, "monitor", "changes");
            Reply::json(StatusCode::OK, body)
                .with("Last-Modified", super::reply::http_date(timestamp))
                .with("Cache-Control", cache)
        }
        monitor::Reply::WithoutSince => {
            let location =
                with_query(base, asked, |name, value| (name != "_since").then(|| value.to_owned()));
            headers::moved(location, DAY, now)
        }
        monitor::Reply::UnquotedExpected(bare) => Reply::moved(with_query(base, asked, |name, value| {
            Some(if name == "_expected" { bare.clone() } else { value.to_owned() })
        })),
        monitor::Reply::BackInTime => {
            let kept = headers::moved(String::new(), DAY, now).headers;
            let kept = kept.into_iter().filter(|(name, _)| *name != "Location");
            Reply { headers: kept.collect(), ..Reply::empty(StatusCode::NO_CONTENT) }
        }
    })
}

/// The same address with another query.
fn with_query(base: &str, asked: &Asked, keep: impl Fn(&str, &str) -> Option<String>) -> String {
    let pairs = asked.query.iter().filter_map(|(name, value)| {
        let encoded = |text: &str| percent_encoding::utf8_percent_encode(text, UNRESERVED).to_string();
        Some(format!("{}={}", encoded(name), encoded(&keep(name, value)?)))
    });
    format!("{base}/v1{}?{}", asked.path, pairs.collect::<Vec<_>>().join("&"))
}

/// Everything but letters, digits, `-`, `.`, `_` and `~`.
const UNRESERVED: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// `GET /buckets/monitor/collections/changes/records`, for clients of before: who has it already is given an empty
/// list instead of a 304.
///
/// # Errors
/// 400 for a malformed query.
pub async fn records(app: &App, asked: &Asked, who: &Who, headers: &HeaderMap) -> Result<Reply, Refusal> {
    let query = Query::parse(&asked.query, Expected::Optional)?;
    let seen = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let seen = seen.and_then(|text| text.trim_matches('"').parse().ok());
    let (items, timestamp) = monitor::records(&app.ctx, &query, seen).await?;
    let cache = cache_control(app, asked, who);
    Ok(Reply::json(StatusCode::OK, format!("{{\"data\":{items}}}"))
        .stamped(timestamp)
        .with("Cache-Control", cache))
}

/// `GET /__broadcasts__`
///
/// # Errors
/// When the database does not answer.
pub async fn broadcasts(app: &App) -> Result<Reply, Refusal> {
    let timestamp = reading::broadcast(&app.ctx).await?;
    let document = format!(
        "{{\"broadcasts\":{{\"remote-settings/monitor_changes\":\"\\\"{timestamp}\\\"\"}},\"code\":200}}"
    );
    Ok(Reply::json(StatusCode::OK, document))
}
