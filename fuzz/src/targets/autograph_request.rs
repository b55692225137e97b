//! Requests of Autograph's clients, and the base64 in them.

use countersign_core::autograph::{Content, check_file_name};
use countersign_server::surfaces::autograph::wire::{Bounded, MAX_REQUESTS, Request, SeedRequest, text};

/// A list is read within its bounds; a content decoded in pieces is the one decoded at once.
pub fn autograph_request(data: &[u8]) {
    if let Ok(list) = serde_json::from_slice::<Bounded<Request<'_>, MAX_REQUESTS>>(data) {
        assert!(list.0.len() <= MAX_REQUESTS);
        for request in &list.0 {
            decode(text(&request.input).unwrap_or_default());
            for file in request.files.iter().flat_map(|files| &files.0) {
                decode(&file.content.0);
                if check_file_name(&file.name.0).is_ok() {
                    assert!(!file.name.0.contains(['/', '\0']) && file.name.0.len() <= 256);
                }
            }
        }
    }
    if let Ok(list) = serde_json::from_slice::<Bounded<SeedRequest<'_>, MAX_REQUESTS>>(data) {
        list.0.iter().for_each(|request| decode(text(&request.input).unwrap_or_default()));
    }
}

fn decode(input: &str) {
    let mut pieces = Vec::new();
    let length = Content::Base64(input).each(|piece| pieces.extend_from_slice(piece));
    match (length, Content::Base64(input).bytes()) {
        (Ok(length), Ok(bytes)) => assert!(pieces == bytes && length == bytes.len() as u64),
        (length, bytes) => assert!(length.is_err() && bytes.is_err()),
    }
}
