//! Patterns of resources in rules: what matches something is not refused as matching nothing.

use countersign_model::policy::{matches, matches_a_resource};
use countersign_model::{KeyName, Name, PrincipalName, Resource};

/// A pattern in the first line, and a resource in the second.
pub fn resource_pattern(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (pattern, resource) = text.split_once('\n').unwrap_or((text, "policy"));
    let reaches = matches_a_resource(pattern);
    if resource.parse::<Resource>().is_ok() && can_be(resource) && matches(pattern, resource) {
        assert!(reaches, "`{pattern}` matches `{resource}`");
    }
}

/// Whether something can have this name: the text of a resource says less than the names of its kind.
fn can_be(resource: &str) -> bool {
    match resource.split_once(':') {
        Some(("key", name)) => name.parse::<KeyName>().is_ok(),
        Some(("log", name)) => name.parse::<Name>().is_ok(),
        Some(("principal", name)) => name.parse::<PrincipalName>().is_ok(),
        _ => true,
    }
}
