//! JSON patches.

use countersign_core::collections::apply::json_patch as apply;
use serde_json::Value;

/// A JSON list: a document and operations. What comes out of it is bounded by what came in, and is written and read
/// again as it is.
pub fn json_patch(data: &[u8]) {
    let Ok((document, operations)) = serde_json::from_slice::<(Value, Vec<Value>)>(data) else { return };
    let Ok(patched) = apply(document, &operations) else { return };
    let text = patched.to_string();
    assert!(text.len() <= 8 * data.len() + (64 << 20), "{} of {}", text.len(), data.len());
}
