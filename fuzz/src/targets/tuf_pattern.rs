//! Path patterns and hash bins.

use countersign_tuf::check::artifact::check_path;
use countersign_tuf::names::file_name;
use countersign_tuf::patterns::Pattern;

/// A line with a pattern, then a path. A pattern matches as many segments as it has, a text without wildcards
/// matches itself and nothing else, and a role's name never leaves its directory.
pub fn tuf_pattern(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (pattern, path) = text.split_once('\n').unwrap_or((text, ""));
    let matches = Pattern::new(pattern).matches(path);
    if matches {
        assert_eq!(pattern.matches('/').count(), path.matches('/').count());
    }
    if !pattern.contains(['*', '?', '[']) {
        assert_eq!(matches, pattern == path);
    }
    if check_path(path).is_ok() {
        assert!(!path.split('/').any(|segment| segment == ".."));
    }
    let name = file_name(path, Some(1));
    assert!(!name.contains(['/', '\\']) && name.is_ascii());
}
