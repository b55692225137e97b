//! What a request about tags says: its query, and its form or document.

use countersign_server::surfaces::tags::input::{Given, Kind};

/// The first line is the query, the second says what the rest is. What is read once is not there twice, and it
/// is no more than was sent.
pub fn tag_request(data: &[u8]) {
    let mut parts = data.splitn(3, |byte| *byte == b'\n');
    let (query, kind, body) = (parts.next(), parts.next(), parts.next().unwrap_or_default());
    let kind = match kind.unwrap_or_default() {
        b"form" => Kind::Form,
        b"json" => Kind::Json,
        _ => Kind::Raw,
    };
    let uri = [b"/tags/a?", query.unwrap_or_default()].concat();
    let Ok(uri) = http::Uri::try_from(uri) else { return };
    let Ok(given) = Given::query(&uri) else { return };
    let Ok(mut given) = given.with_bytes(kind, body.to_vec().into()) else { return };
    assert_eq!(given.take_body(), body);
    if let Ok(Some(payload)) = given.payload() {
        assert!(payload.len() <= data.len());
        assert_eq!(given.payload().ok(), Some(None));
    }
    if let Ok(Some(names)) = given.authorities() {
        assert!((1..names.len()).all(|i| !names[..i].contains(&names[i])));
    }
    if let Ok(job) = given.job() {
        assert!(job.iter().all(|(name, _)| name.starts_with("param.")));
        assert!(!given.has("param.A"));
    }
    let _ = (given.switch("versions"), given.number::<u64>("version"), given.done());
}
