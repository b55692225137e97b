//! JSON without duplicate members, and the canonical form.

use countersign_model::canonical::rfc8785;
use countersign_model::strict_json;

/// The canonical form of what was read is read as the same value, and is its own canonical form.
pub fn strict_json(data: &[u8]) {
    let Ok(value) = strict_json::parse(data) else { return };
    let canonical = rfc8785(&value);
    let again = strict_json::parse(&canonical).expect("canonical JSON is JSON without duplicates");
    assert_eq!(rfc8785(&again), canonical);
}
