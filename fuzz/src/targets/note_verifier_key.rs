//! Verifier keys of notes.

use countersign_tlog::note::VerifierKey;

/// What is read as a verifier key is written again byte by byte.
pub fn note_verifier_key(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(key) = text.parse::<VerifierKey>() {
        assert_eq!(key.to_string(), text);
        assert_eq!(VerifierKey::new(key.name().clone(), key.public_key().clone()), Ok(key));
    }
}
