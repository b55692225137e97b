//! Names and identifiers. Parsed once at the edge; inside, the type is the proof.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::surface::Surface;

/// A text that does not follow the grammar of the thing it should name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{got}` is not a valid {kind}: {rule}")]
pub struct BadName {
    /// What was expected, e.g. `key name`.
    pub kind: &'static str,
    /// The text that was given, cut to 80 characters.
    pub got: String,
    /// The grammar in words.
    pub rule: &'static str,
}

impl BadName {
    /// A refusal of `got`; control characters are escaped and a long text is cut.
    pub fn new(kind: &'static str, got: &str, rule: &'static str) -> Self {
        let got = got.chars().take(80).flat_map(char::escape_debug).collect();
        Self { kind, got, rule }
    }
}

const NAME_RULE: &str = "1 to 64 of `a-z 0-9 . _ -`, beginning with a letter or digit, not ending in `.pem`";

fn is_name(s: &str) -> bool {
    (1..=64).contains(&s.len())
        && s.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
        && s.as_bytes()[0].is_ascii_alphanumeric()
        && !s.ends_with(".pem")
}

/// Names a principal, a role, a native key or a node: `[a-z0-9][a-z0-9._-]{0,63}`, not ending in `.pem`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// Names a key: a [`Name`], or `SURFACE/ID` for a key that a surface owns.
///
/// `ID` is 1 to 200 of `A-Z a-z 0-9 . _ @ + - /` without empty, `.` or `..` segments: surfaces take
/// their ids from their own clients.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyName(String);

impl KeyName {
    /// The name of `surface`'s key `id`.
    ///
    /// # Errors
    /// [`BadName`] if `id` breaks the grammar.
    pub fn owned(surface: Surface, id: &str) -> Result<Self, BadName> {
        format!("{surface}/{id}").parse()
    }

    /// The surface that owns the key, `None` for a native key.
    pub fn owner(&self) -> Option<Surface> {
        let (surface, _) = self.0.split_once('/')?;
        surface.parse().ok()
    }
}

impl FromStr for KeyName {
    type Err = BadName;
    fn from_str(s: &str) -> Result<Self, BadName> {
        let ok = match s.split_once('/') {
            None => is_name(s),
            Some((surface, id)) => {
                surface.parse::<Surface>().is_ok_and(Surface::owns_keys)
                    && (1..=200).contains(&id.len())
                    && id.split('/').all(|part| {
                        !matches!(part, "" | "." | "..")
                            && part.bytes().all(|b| {
                                b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'@' | b'+' | b'-')
                            })
                    })
            }
        };
        if ok { Ok(Self(s.into())) } else { Err(BadName::new("key name", s, NAME_RULE)) }
    }
}

impl FromStr for Name {
    type Err = BadName;
    fn from_str(s: &str) -> Result<Self, BadName> {
        if is_name(s) { Ok(Self(s.into())) } else { Err(BadName::new("name", s, NAME_RULE)) }
    }
}

/// Who asks: a [`Name`], or `REALM:ID` for a principal that a surface vouches for (`surface:tuf`,
/// `account:alice`, `balena:17`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PrincipalName(String);

impl PrincipalName {
    /// The principal that a surface acts as where it has a permission model of its own.
    pub fn surface(surface: Surface) -> Self {
        Self(format!("surface:{surface}"))
    }
}

impl From<Name> for PrincipalName {
    fn from(name: Name) -> Self {
        Self(name.0)
    }
}

impl FromStr for PrincipalName {
    type Err = BadName;
    fn from_str(s: &str) -> Result<Self, BadName> {
        let ok = match s.split_once(':') {
            None => is_name(s),
            Some((realm, id)) => {
                is_name(realm)
                    && (1..=200).contains(&id.len())
                    && id.bytes().all(|b| b.is_ascii_graphic() && b != b'*')
            }
        };
        let rule = "a name, or `REALM:ID` such as `account:alice`";
        if ok { Ok(Self(s.into())) } else { Err(BadName::new("principal name", s, rule)) }
    }
}

/// Identifies a public key: `sha256:` and the lower-case hex SHA-256 of its SubjectPublicKeyInfo DER.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(String);

impl KeyId {
    /// The id of the key whose SubjectPublicKeyInfo is `spki` (DER).
    pub fn of_spki(spki: &[u8]) -> Self {
        Self(crate::digest::sha256_text(spki))
    }
}

impl FromStr for KeyId {
    type Err = BadName;
    fn from_str(s: &str) -> Result<Self, BadName> {
        let ok = s
            .strip_prefix("sha256:")
            .is_some_and(|h| h.len() == 64 && h.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
        let rule = "`sha256:` and 64 lower-case hex digits";
        if ok { Ok(Self(s.into())) } else { Err(BadName::new("key id", s, rule)) }
    }
}

/// Names one request in answers, in the log and in the server's own log: 1 to 64 of `A-Z a-z 0-9 - _ .`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RequestId(String);

impl FromStr for RequestId {
    type Err = BadName;
    fn from_str(s: &str) -> Result<Self, BadName> {
        let ok = (1..=64).contains(&s.len())
            && s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        let rule = "1 to 64 of `A-Z a-z 0-9 - _ .`";
        if ok { Ok(Self(s.into())) } else { Err(BadName::new("request id", s, rule)) }
    }
}

/// What every text newtype of this module can do.
macro_rules! text_newtype {
    ($($type:ident),*) => {$(
        impl $type {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl TryFrom<String> for $type {
            type Error = BadName;
            fn try_from(s: String) -> Result<Self, BadName> {
                s.parse()
            }
        }
        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0
            }
        }
    )*};
}
text_newtype!(Name, KeyName, PrincipalName, KeyId, RequestId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_grammar() {
        for good in ["a", "release-2026", "0.x_y", &"a".repeat(64)] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in ["", "A", "-a", ".a", "a b", "a/b", "a.pem", "ä", &"a".repeat(65)] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_name_with_a_slash_belongs_to_a_surface() {
        let key: KeyName = "appliance/cert/balenaos-pk".parse().unwrap();
        assert_eq!(key.owner(), Some(Surface::Appliance));
        assert_eq!("release".parse::<KeyName>().unwrap().owner(), None);
        for bad in ["native/a", "nosuch/a", "tuf/", "tuf/../x", "tuf//x", "/x", "tuf/a b"] {
            assert!(bad.parse::<KeyName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_refused_name_is_shown_escaped_and_cut() {
        let error = format!("x\n{}", "y".repeat(500)).parse::<Name>().unwrap_err();
        assert!(error.got.starts_with("x\\n") && error.got.len() < 100);
    }
}
