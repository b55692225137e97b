//! The canonical form of TUF metadata made of their text.

use countersign_tuf::canonical;
use serde_json::Value;

/// No text stops it or makes it longer, what is canonical in any other way is so in this one, and the text that it is
/// made of has the same values.
pub fn tuf_text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let made = canonical::of_compact(text);
    assert!(made.len() <= text.len());
    assert!(text.contains('\\') || made == text);

    let Ok(value) = canonical::read(data) else { return };
    let wanted = canonical::encode(&value).expect("it was read, so it can be signed");
    let compact = canonical::compact(&value);
    assert_eq!(canonical::of_compact(&compact).as_bytes(), wanted);
    assert_eq!(canonical::read(compact.as_bytes()).as_ref(), Ok(&value));
    if matches!(value, Value::String(_)) {
        // However its characters are escaped.
        assert_eq!(made.trim_matches([' ', '\t', '\r', '\n']).as_bytes(), wanted);
    }
}
