//! Names of metadata files: `VERSION.ROLE.json`, and without a version `timestamp.json`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What clients leave as it is in a role's name: the unreserved characters of RFC 3986, 2.3.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The name of a file. `version`: `None` for the timestamp, and where snapshots are not consistent.
///
/// The role's name is percent-encoded, so the result is one segment of a path whatever the role is called.
pub fn file_name(role: &str, version: Option<u64>) -> String {
    let role = utf8_percent_encode(role, ENCODED);
    match version {
        Some(version) => format!("{version}.{role}.json"),
        None => format!("{role}.json"),
    }
}
