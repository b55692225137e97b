//! Paths of tiles and entry bundles.

use countersign_tlog::tile::Resource;

/// A resource has one path, which leads nowhere else in a directory.
pub fn tile_path(data: &[u8]) {
    let Ok(path) = std::str::from_utf8(data) else { return };
    if let Ok(resource) = path.parse::<Resource>() {
        assert_eq!(resource.to_string(), path);
        assert!(!path.starts_with('/') && !path.contains(".."));
    }
}
