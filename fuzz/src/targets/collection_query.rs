//! Queries of lists: filters, order, fields, limits.

use countersign_core::collections::query::ListQuery;
use serde_json::{Map, Value};

/// The first line is the query, `name=value&…`, the second an object that it may find. Reading takes no more than
/// what is there, and whatever is found comes neither before nor after itself.
pub fn collection_query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (query, object) = text.split_once('\n').unwrap_or((text, "{}"));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let pairs: Vec<(String, String)> =
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let Ok(query) = ListQuery::parse(&pairs, "/buckets", 1_795_208_538_930, 10_000) else { return };
    assert!(query.limit <= 10_000);
    let object: Map<String, Value> = serde_json::from_str(object).unwrap_or_default();
    let _ = query.finds(&object);
    let keys = query.sort.keys(&object);
    assert_eq!(keys.len(), query.sort.len());
    assert!(query.sort.compare(&keys, &keys).is_eq());
    if let Some(fields) = &query.fields {
        assert!(fields.pick(object.clone()).len() <= object.len());
    }
}
