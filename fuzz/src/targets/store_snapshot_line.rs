//! Lines of a snapshot of the database.

use countersign_store::snapshot::Line;

/// What is read as a line is written in one spelling, which reads as the same line.
pub fn store_snapshot_line(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(line) = Line::parse(text) {
        let written = line.to_string();
        let again = Line::parse(&written).expect("a line that was written is read");
        assert_eq!(again.to_string(), written);
    }
}
