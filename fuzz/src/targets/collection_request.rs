//! Paths, queries, headers and bodies of requests to collections: the first three lines, and what follows.

use countersign_core::collections::{Method, Target};
use countersign_server::surfaces::collections::{parse, route};
use http::HeaderMap;
use http::header::{CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH};

/// What a path leads to has no id that could be part of another path, and what is malformed is told apart from what
/// is there.
pub fn collection_request(data: &[u8]) {
    let mut lines = data.splitn(4, |byte| *byte == b'\n');
    let mut text = || std::str::from_utf8(lines.next().unwrap_or_default()).unwrap_or_default();
    let (path, query, header) = (text(), text(), text());
    let body = lines.next().unwrap_or_default().to_vec().into();
    let (again, moved) = match route::find(path) {
        route::Found::Moved(to) => (route::find(&to), true),
        found => (found, false),
    };
    assert!(!moved || !matches!(again, route::Found::Moved(_)), "{path:?} is moved twice");
    let mut headers = HeaderMap::new();
    if let Ok(value) = http::HeaderValue::from_str(header) {
        for name in [IF_MATCH, IF_NONE_MATCH, CONTENT_TYPE] {
            headers.insert(name, value.clone());
        }
    }
    let body = parse::body(Method::Patch, &headers, &body);
    let route::Found::At(route::Place::Objects(target)) = again else { return };
    if let Target::Object(uri) = &target {
        let ids = [Some(uri.id.as_str()), uri.bucket_id(), uri.collection_id()];
        assert!(
            ids.into_iter().flatten().all(|id| !id.is_empty() && !id.contains(['/', '\0', '%'])),
            "{uri}"
        );
        if let route::Found::At(route::Place::Objects(same)) = route::find(&uri.to_string()) {
            assert_eq!(same, target);
        }
    }
    let Ok(query) = parse::query(query) else { return };
    let call = parse::call(Method::Patch, target, &headers, query, body);
    if call.conditions.if_match.is_none() && headers.contains_key(IF_MATCH) {
        assert!(call.conditions.malformed.is_some());
    }
}
