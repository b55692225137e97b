//! Names of authorities.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::TagError;

/// Names who vouches, and with it the files of their keys: 1 to 64 of `A-Z a-z 0-9 . _ @ + -`, beginning
/// with a letter, a digit or `_`; not `payload`, and without `..`.
///
/// Such a name is one component of a path, hidden from nobody and leading nowhere else.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AuthorityName(String);

impl AuthorityName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name in a header line, if it is one.
    pub(super) fn from_bytes(name: &[u8]) -> Option<Self> {
        std::str::from_utf8(name).ok()?.parse().ok()
    }
}

impl FromStr for AuthorityName {
    type Err = TagError;

    fn from_str(name: &str) -> Result<Self, TagError> {
        let first = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let further = |b: u8| first(b) || matches!(b, b'.' | b'@' | b'+' | b'-');
        let ok = (1..=64).contains(&name.len())
            && name.as_bytes().first().is_some_and(|b| first(*b))
            && name.bytes().all(further)
            && name != "payload"
            && !name.contains("..");
        if ok {
            Ok(Self(name.to_owned()))
        } else {
            let got = name.chars().take(80).flat_map(char::escape_debug).collect();
            Err(TagError::BadName { got })
        }
    }
}

impl TryFrom<String> for AuthorityName {
    type Error = TagError;

    fn try_from(name: String) -> Result<Self, TagError> {
        name.parse()
    }
}

impl From<AuthorityName> for String {
    fn from(name: AuthorityName) -> Self {
        name.0
    }
}

impl fmt::Display for AuthorityName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for AuthorityName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}
