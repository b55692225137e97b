//! `Accept`, as clients send it.

use countersign_server::accept::Accepted;
use http::HeaderMap;
use http::header::ACCEPT;

/// A weight is never more than 1, and a type that is named is accepted with that weight.
pub fn accept_header(data: &[u8]) {
    let fields = data.split(|byte| *byte == b'\n').filter_map(|field| field.try_into().ok());
    let headers: HeaderMap = fields.take(100).map(|field| (ACCEPT, field)).collect();
    let accepted = Accepted::of(&headers);
    for kind in ["application/octet-stream", "application/json"] {
        let (named, quality) = (accepted.named(kind), accepted.quality(kind));
        assert!(named <= 1000 && quality <= 1000);
        assert!(named == 0 || named == quality);
    }
}
