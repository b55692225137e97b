//! Names in the grammar of `openssl req -subj`.

use countersign_pki::subject::Subject;

/// A name that is printed is read as the same name.
pub fn subject(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(subject) = text.parse::<Subject>() {
        assert!(subject.der().len() <= 64 + 16 * text.len());
        assert_eq!(subject.to_string().parse::<Subject>().as_ref(), Ok(&subject));
    }
}
