//! `/permissions`: everything that somebody has a permission on of their own.

use std::sync::Arc;

use countersign_store::{ObjectRow, PageQuery};
use serde_json::{Map, Value, json};

use super::Request;
use super::read::canonical;
use crate::collections::call::{Answer, Method, Permissions};
use crate::collections::error::Error;
use crate::collections::query::ListQuery;
use crate::collections::uri::{Kind, ListUri, ObjectUri};
use crate::collections::work::Work;
use crate::collections::{permission, selection};

/// Rows that are looked at together.
const STEP: u32 = 1_000;

/// Lists all objects whose own permissions name one of the caller's principals; an admin has all buckets.
pub(super) async fn list(work: &mut Work<'_>, request: &Request<'_>) -> Result<Answer, Error> {
    if !matches!(request.call.method, Method::Get | Method::Head) {
        return Err(Error::MethodNotAllowed);
    }
    request.require(request.who.user.is_some())?;
    request.well_formed()?;
    let now = work.now().as_millisecond();
    let most = work.ctx.collections.settings.max_fetch_size;
    let query = ListQuery::parse_for(&request.call.query, "/permissions", now, most, "uri")?;
    // All of the database is looked at: by few at a time.
    let scans = Arc::clone(&work.ctx.collections.scans);
    let _turn = scans.acquire().await.map_err(|_| Error::Unavailable("the server ends".into()))?;
    let mut found = Vec::new();
    let mut total = 0;
    let mut offer = |rows: &[ObjectRow]| -> Result<(), Error> {
        for row in rows {
            let Some(entry) = entry(request, row)? else { continue };
            if !query.finds(&entry) {
                continue;
            }
            total += 1;
            let keys = query.sort.keys(&entry);
            if query.is_later(&keys) {
                found.push((keys, entry));
            }
        }
        selection::cut(&query, &mut found);
        Ok(())
    };
    if request.who.admin {
        let buckets = ListUri::buckets().to_string();
        let mut page = PageQuery { limit: STEP, ..PageQuery::default() };
        loop {
            let rows = work.store().await?.page(&buckets, &page).await?;
            offer(&rows.objects)?;
            page.before = rows.objects.last().map(|row| row.last_modified);
            if !rows.more {
                break;
            }
        }
    }
    let mut after: Option<(String, String)> = None;
    loop {
        let last = after.as_ref().map(|(list, id)| (list.as_str(), id.as_str()));
        let mut rows = work.store().await?.scan_naming(last, STEP, &request.principals).await?;
        after = rows.objects.last().map(|row| (row.list.clone(), row.id.clone()));
        if request.who.admin {
            // These were all of them.
            rows.objects.retain(|row| uri_of(row).is_none_or(|uri| uri.kind() != Kind::Bucket));
        }
        offer(&rows.objects)?;
        if !rows.more || after.is_none() {
            break;
        }
    }
    let (entries, next) = selection::page(&query, found, "/permissions", |_| true);
    let total = if request.call.method == Method::Head { Some(total) } else { None };
    let items = if total.is_some() { Vec::new() } else { entries };
    let items: Result<Vec<String>, Error> = items
        .into_iter()
        .map(|entry| {
            let picked = match &query.fields {
                Some(fields) => fields.pick(entry),
                None => entry,
            };
            canonical(&Value::Object(picked))
        })
        .collect();
    Ok(Answer::List { items: items?, timestamp: now, next, total })
}

/// What is said of an object, if it is the caller's.
fn entry(request: &Request<'_>, row: &ObjectRow) -> Result<Option<Map<String, Value>>, Error> {
    let Some(uri) = uri_of(row) else { return Ok(None) };
    let kind = uri.kind();
    let own: Permissions = match &row.permissions {
        Some(text) => serde_json::from_str(text).map_err(|_| crate::collections::object::damaged(&uri))?,
        None => Permissions::new(),
    };
    let names = match kind {
        Kind::Bucket if request.who.admin => permission::names(kind).to_vec(),
        _ => permission::all_of(kind, &own, &request.principals),
    };
    if names.is_empty() {
        return Ok(None);
    }
    let mut entry = Map::new();
    entry.insert("uri".into(), json!(uri.to_string()));
    entry.insert("resource_name".into(), json!(kind.as_str()));
    entry.insert("permissions".into(), json!(names));
    entry.insert("id".into(), json!(uri.id));
    entry.insert("bucket_id".into(), json!(uri.bucket_id()));
    if let Some(collection) = uri.collection_id() {
        entry.insert("collection_id".into(), json!(collection));
    }
    if matches!(kind, Kind::Group | Kind::Record) {
        entry.insert(format!("{}_id", kind.as_str()), json!(uri.id));
    }
    Ok(Some(entry))
}

/// The URI of a bucket, group, collection or record.
fn uri_of(row: &ObjectRow) -> Option<ObjectUri> {
    let mut parts = row.list.split('/').skip(1);
    let list = match (parts.next()?, parts.next(), parts.next(), parts.next(), parts.next()) {
        ("buckets", None, None, None, None) => ListUri::buckets(),
        ("buckets", Some(bucket), Some("groups"), None, None) => ListUri::groups(bucket),
        ("buckets", Some(bucket), Some("collections"), None, None) => ListUri::collections(bucket),
        ("buckets", Some(bucket), Some("collections"), Some(collection), Some("records")) => {
            ListUri::records(bucket, collection)
        }
        _ => return None,
    };
    Some(list.object(row.id.as_str()))
}
