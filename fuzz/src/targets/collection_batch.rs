//! Bodies of `POST /v1/batch`.

use countersign_server::surfaces::collections::{batch, parse, route};

/// Every request of a batch that is taken has a path below the root, no more bytes come out than went in but for
/// what the defaults add, and a batch is never in a batch.
pub fn collection_batch(data: &[u8]) {
    let Ok(value) = parse::json(data) else { return };
    let Ok(inner) = batch::read(value, 25, 64 << 10) else { return };
    assert!(inner.len() <= 25);
    for inner in inner {
        assert!(inner.path.starts_with('/') && inner.path != "/batch");
        let found = route::find(&inner.path);
        assert!(!matches!(found, route::Found::Moved(_)), "{found:?}");
        let _ = parse::query(&inner.query);
    }
}
