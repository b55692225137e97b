//! Entries of the signing log.

use countersign_model::canonical::rfc8785;
use countersign_model::entry::Entry;
use countersign_model::strict_json;

/// What is read as an entry is written again byte by byte, and that is RFC 8785's form.
pub fn log_entry(data: &[u8]) {
    if let Ok(entry) = Entry::parse(data) {
        assert_eq!(entry.to_canonical(), data);
        let value = strict_json::parse(data).expect("an entry is JSON without duplicates");
        assert_eq!(rfc8785(&value), data);
    }
}
