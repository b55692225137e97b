//! What changed where: the newest timestamp of every published collection, for readers who poll one URL.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use countersign_store::{CollectionsTx, PageOrder, PageQuery};
use jiff::Timestamp;
use md5::{Digest as _, Md5};
use serde::Serialize;

use super::query::Query;
use crate::collections::error::Error;
use crate::collections::signer::resource::Place;
use crate::collections::uri::{ListUri, ObjectUri};
use crate::context::Context;

/// Of one collection: where it is, and when its records were changed last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The same for ever: from the host and the collection's URI.
    pub id: String,
    /// The timestamp of its records.
    pub last_modified: i64,
    /// The bucket.
    pub bucket: String,
    /// The collection.
    pub collection: String,
    /// Where it is served.
    pub host: String,
}

/// All published collections, the newest first.
#[derive(Debug, Default)]
pub struct Monitor {
    /// One entry a collection.
    pub entries: Vec<Entry>,
    /// The newest timestamp; 0 if nothing is published.
    pub timestamp: i64,
}

/// What the monitor's changeset is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// 200.
    Changes {
        /// The document.
        body: Bytes,
        /// For `Last-Modified`.
        timestamp: i64,
    },
    /// 307 to the same URL without `_since`: it is older than 21 days. To be kept for a day.
    WithoutSince,
    /// 307 to the same URL with `_expected` without its quotes.
    UnquotedExpected(String),
    /// 204: what is expected was there before what the reader has. To be kept for a day.
    BackInTime,
}

/// A `_since` that is older is not worth a URL of its own.
const OLDEST_SINCE: i64 = 21 * 86_400_000;

/// `GET /buckets/monitor/collections/changes/changeset`. For everybody.
///
/// # Errors
/// When the database does not answer.
pub async fn changeset(ctx: &Context, query: &Query) -> Result<Reply, Error> {
    if let Some(reply) = elsewhere(query, ctx.now()) {
        return Ok(reply);
    }
    let monitor = current(ctx).await?;
    let mut body = String::with_capacity(64 + 160 * monitor.entries.len());
    let _ =
        write!(body, r#"{{"metadata":{{"bucket":"monitor"}},"timestamp":{},"changes":"#, monitor.timestamp);
    body.push_str(&monitor.json(query)?);
    body.push('}');
    Ok(Reply::Changes { body: body.into(), timestamp: monitor.timestamp })
}

/// `GET /buckets/monitor/collections/changes/records`, for old readers: the entries as a JSON list, and the
/// timestamp for `ETag`. Who has this timestamp already (`If-None-Match`) gets an empty list.
///
/// # Errors
/// When the database does not answer.
pub async fn records(ctx: &Context, query: &Query, seen: Option<i64>) -> Result<(String, i64), Error> {
    let monitor = current(ctx).await?;
    let json = if seen == Some(monitor.timestamp) { "[]".into() } else { monitor.json(query)? };
    Ok((json, monitor.timestamp))
}

/// What needs no look at the collections.
fn elsewhere(query: &Query, now: Timestamp) -> Option<Reply> {
    if let Some(bare) = query.expected.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        return Some(Reply::UnquotedExpected(bare.to_owned()));
    }
    let since = query.since?;
    if since < now.as_millisecond() - OLDEST_SINCE {
        return Some(Reply::WithoutSince);
    }
    let expected = query.expected_timestamp()?;
    (0 < expected && expected < since).then_some(Reply::BackInTime)
}

impl Monitor {
    /// The entries that are asked for, as JSON.
    fn json(&self, query: &Query) -> Result<String, Error> {
        let is = |wanted: &Option<String>, text: &str| wanted.as_deref().is_none_or(|wanted| wanted == text);
        let wanted = self.entries.iter().filter(|entry| {
            query.since.is_none_or(|since| entry.last_modified > since)
                && is(&query.bucket, &entry.bucket)
                && is(&query.collection, &entry.collection)
        });
        let entries: Vec<&Entry> = wanted.take(query.limit.map_or(usize::MAX, |n| n as usize)).collect();
        Ok(serde_json::to_string(&entries).map_err(|error| crate::Error::Internal(error.to_string()))?)
    }

    /// The newest timestamp of those that are announced: all but what is named a preview.
    pub(super) fn announced(&self) -> i64 {
        let hidden =
            |entry: &Entry| entry.bucket.contains("-preview") || entry.collection.contains("-preview");
        self.entries.iter().find(|entry| !hidden(entry)).map_or(0, |entry| entry.last_modified)
    }
}

/// All published collections as they are now.
///
/// # Errors
/// When the database does not answer.
pub async fn current(ctx: &Context) -> Result<Arc<Monitor>, Error> {
    // It is small: where other nodes write too, it is read again rather than compared.
    ctx.collections.reading.monitor.get(ctx.shared, || load(ctx)).await
}

async fn load(ctx: &Context) -> Result<Monitor, Error> {
    let mut tx = ctx.store.collections_read().await?;
    let mut collections = Vec::new();
    for place in ctx.collections.resources.monitored() {
        collections.extend(collections_at(&mut tx, &place).await?);
    }
    collections.sort_unstable();
    collections.dedup();
    let lists: Vec<String> = collections.iter().map(|uri| records_of(uri).to_string()).collect();
    let timestamps: HashMap<String, i64> = tx.timestamps(&lists).await?.into_iter().collect();
    let mut entries: Vec<Entry> = collections
        .iter()
        .filter_map(|uri| Some(entry(ctx, uri, *timestamps.get(&records_of(uri).to_string())?)))
        .collect();
    entries.sort_unstable_by(|a, b| {
        (b.last_modified, &a.bucket, &a.collection).cmp(&(a.last_modified, &b.bucket, &b.collection))
    });
    let timestamp = entries.first().map_or(0, |entry| entry.last_modified);
    Ok(Monitor { entries, timestamp })
}

/// What the monitor says of a collection.
pub(super) fn entry(ctx: &Context, uri: &ObjectUri, last_modified: i64) -> Entry {
    let host = host(&ctx.collections.settings.public_url);
    Entry {
        id: entry_id(host, uri),
        last_modified,
        bucket: uri.bucket_id().unwrap_or_default().to_owned(),
        collection: uri.id.clone(),
        host: host.to_owned(),
    }
}

/// The list of a collection's records.
pub(super) fn records_of(uri: &ObjectUri) -> ListUri {
    ListUri::records(uri.bucket_id().unwrap_or_default(), &uri.id)
}

/// The collections that exist at a place.
pub(crate) async fn collections_at(tx: &mut CollectionsTx, place: &Place) -> Result<Vec<ObjectUri>, Error> {
    let list = ListUri::collections(&place.bucket);
    let name = list.to_string();
    if let Some(id) = &place.collection {
        let found = tx.objects(&[(name, id.clone())]).await?;
        return Ok(found.into_iter().filter(|row| !row.deleted).map(|row| list.object(row.id)).collect());
    }
    let mut found = Vec::new();
    let mut query = PageQuery { order: PageOrder::ById(None), limit: PAGE, ..PageQuery::default() };
    loop {
        let page = tx.page(&name, &query).await?;
        let last = page.objects.last().map(|row| row.id.clone());
        found.extend(page.objects.into_iter().map(|row| list.object(row.id)));
        if !page.more {
            return Ok(found);
        }
        query.order = PageOrder::ById(last);
    }
}

const PAGE: u32 = 1000;

/// The host, with the port if the URL names one.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}

/// A UUID of the MD5 of host and URI: readers know a collection by it. It is a name and proves nothing.
fn entry_id(host: &str, uri: &ObjectUri) -> String {
    let hex = hex::encode(Md5::digest(format!("{host}{uri}")));
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_have_the_ids_that_the_peer_gives_them() {
        // From captures.
        for (host, collection, id) in [
            ("127.0.0.1:18881", "books", "09ca38d9-b235-10d6-bf41-3382f3514f3e"),
            ("127.0.0.1:18882", "books", "e9039d34-a38d-299c-64ca-0e1f77db0d00"),
        ] {
            assert_eq!(entry_id(host, &ObjectUri::collection("destination", collection)), id);
        }
        assert_eq!(host("https://sign.example.org/v1"), "sign.example.org");
        assert_eq!(host("http://127.0.0.1:8080"), "127.0.0.1:8080");
    }

    #[test]
    fn old_quoted_and_backward_questions_go_elsewhere() {
        let now = Timestamp::from_millisecond(1_795_208_702_495).unwrap();
        let query = |expected: &str, since| Query { expected: expected.into(), since, ..Query::default() };
        for (query, wanted) in [
            (query("0", Some(123)), Some(Reply::WithoutSince)),
            (query("\"123\"", None), Some(Reply::UnquotedExpected("123".into()))),
            (query("1795208701495", Some(1_795_208_702_495)), Some(Reply::BackInTime)),
            (query("0", Some(1_795_208_702_495)), None),
            (query("1795208702496", Some(1_795_208_702_495)), None),
            (query("x", None), None),
        ] {
            assert_eq!(elsewhere(&query, now), wanted, "{query:?}");
        }
    }

    #[test]
    fn previews_are_not_announced() {
        let entry = |bucket: &str, last_modified| Entry {
            id: String::new(),
            last_modified,
            bucket: bucket.into(),
            collection: "c".into(),
            host: String::new(),
        };
        let monitor = Monitor { entries: vec![entry("main-preview", 9), entry("main", 5)], timestamp: 9 };
        assert_eq!(monitor.announced(), 5);
    }
}
