//! Names of metadata files: `VERSION.ROLE.json`, and without a version `timestamp.json`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

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

/// The name under which a web server looks for the file that [`file_name`] names: decoded. `None` if nothing in it was
/// encoded, and if it is no name of a file.
pub fn decoded_file_name(name: &str) -> Option<String> {
    let plain = percent_decode_str(name).decode_utf8().ok()?;
    let is_a_name = !plain.contains(['/', '\0']) && !plain.starts_with('.');
    (plain != name && is_a_name).then(|| plain.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decoded_name_is_one_of_a_file() {
        assert_eq!(decoded_file_name(&file_name("our röle", Some(3))).as_deref(), Some("3.our röle.json"));
        for name in ["3.role.json", "3.a%2Fb.json", "%2E%2E", "3.%00.json", "3.%FF.json"] {
            assert_eq!(decoded_file_name(name), None, "{name}");
        }
    }
}
