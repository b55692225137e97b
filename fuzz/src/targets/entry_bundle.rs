//! Bundles of log entries.

use countersign_tlog::tile::{parse_bundle, parse_bundle_start, push_entry};

/// The first byte is the number of entries less one, the rest the bundle. What is read as a bundle is
/// written again byte by byte, and is also the start of a longer one.
pub fn entry_bundle(data: &[u8]) {
    let Some((count, bundle)) = data.split_first() else { return };
    let width = u16::from(*count) + 1;
    let start = parse_bundle_start(bundle, width);
    if let Ok(entries) = parse_bundle(bundle, width) {
        let mut written = Vec::new();
        for entry in &entries {
            assert_eq!(push_entry(&mut written, entry), Ok(()));
        }
        assert_eq!(written, bundle);
        assert_eq!(start, Ok(entries));
    }
}
