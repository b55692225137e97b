//! Names of metadata files, as clients ask for them.

use countersign_server::surfaces::tuf::published::stored_name;

/// A name that was understood is one segment of a path, and is understood again as itself.
pub fn tuf_file_name(data: &[u8]) {
    let Ok(asked) = std::str::from_utf8(data) else { return };
    let Some(stored) = stored_name(asked) else { return };
    assert!(stored.ends_with(".json") && !stored.contains('/') && stored.is_ascii());
    assert_eq!(stored_name(&stored).as_deref(), Some(&*stored));
}
