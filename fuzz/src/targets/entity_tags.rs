//! Lists of entity tags.

use countersign_server::surfaces::tags::entity_tag::EntityTags;
use http::HeaderMap;
use http::header::IF_MATCH;

/// Only what a client wrote out is taken as what it has, unless it wrote `*` and nothing else.
pub fn entity_tags(data: &[u8]) {
    let fields = data.split(|byte| *byte == b'\n').filter_map(|field| field.try_into().ok());
    let headers: HeaderMap = fields.take(100).map(|field| (IF_MATCH, field)).collect();
    let Some(tags) = EntityTags::of(&headers, &IF_MATCH) else { return };
    if tags.any() {
        assert!(headers.get_all(IF_MATCH).iter().any(|field| field.as_bytes().trim_ascii() == b"*"));
    }
    let text = data.to_ascii_lowercase();
    for digest in tags.into_strong() {
        let quoted = format!("\"{}\"", digest.map(|byte| format!("{byte:02x}")).concat());
        assert!(text.windows(quoted.len()).any(|window| window == quoted.as_bytes()));
    }
}
