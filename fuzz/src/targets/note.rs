//! Signed notes.

use countersign_tlog::note::SignedNote;

/// What is read as a note is written again byte by byte.
pub fn note(data: &[u8]) {
    if let Ok(note) = SignedNote::parse(data) {
        assert_eq!(note.to_string().as_bytes(), data);
        assert!(note.text().ends_with('\n'));
        let again = SignedNote::new(note.text().to_owned(), note.signatures().to_vec());
        assert_eq!(again, Ok(note));
    }
}
