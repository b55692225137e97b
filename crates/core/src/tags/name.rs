//! Which names a tag can have.

use std::fmt;
use std::str::FromStr;

use countersign_model::Resource;
use countersign_records::tag::AuthorityName;

use super::Error;

/// Names a tag: 1 to 200 of `A-Z a-z 0-9 . _ @ + -` in segments separated by `/`, beginning with a letter or a
/// digit; no segment is empty or begins with `.`. It does not end in `.sig`, `.sigs` or `.bak`, is not
/// `validate`, `sign` or `bundle`, and its first segment is not `log` or `requests`.
///
/// Such a name is a path, and what is at the path is the tag and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TagName(String);

const RULE: &str = "1 to 200 of `A-Z a-z 0-9 . _ @ + - /`, beginning with a letter or digit, no segment empty or \
                    beginning with `.`; not ending in `.sig`, `.sigs` or `.bak`; not `validate`, `sign`, \
                    `bundle`, `log` or `requests`";

/// The most bytes of a name.
const LONGEST: usize = 200;

impl TagName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What policy knows it as.
    pub fn resource(&self) -> Resource {
        Resource::tag(&self.0)
    }
}

impl FromStr for TagName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let ok = (1..=LONGEST).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.split('/').all(is_segment)
            && ![".sig", ".sigs", ".bak"].into_iter().any(|end| name.ends_with(end))
            && !["validate", "sign", "bundle"].contains(&name)
            && !["log", "requests"].contains(&name.split('/').next().unwrap_or_default());
        if ok {
            Ok(Self(name.to_owned()))
        } else {
            Err(Error::BadTagName(format!("{}: {RULE}", shown(name))))
        }
    }
}

impl fmt::Display for TagName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_segment(segment: &str) -> bool {
    !segment.is_empty() && !segment.starts_with('.') && segment.bytes().all(is_name_byte)
}

fn is_name_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'@' | b'+' | b'-')
}

/// Checks a beginning of names, which may be empty.
///
/// # Errors
/// [`Error::BadTagName`] if no name begins like this.
pub(super) fn check_prefix(prefix: &str) -> Result<(), Error> {
    let ok = prefix.len() <= LONGEST && prefix.bytes().all(|b| is_name_byte(b) || b == b'/');
    if ok { Ok(()) } else { Err(Error::BadTagName(format!("{}: no name begins like this", shown(prefix)))) }
}

/// What the path of a signature, `NAME.AUTHORITY` without `.sig`, can mean: longest NAME first.
pub(super) fn signature_paths(path: &str) -> Vec<(TagName, AuthorityName)> {
    let meaning = |(dot, _): (usize, &str)| Some((path[..dot].parse().ok()?, path[dot + 1..].parse().ok()?));
    path.rmatch_indices('.').take_while(|(dot, _)| path.len() - dot <= 65).filter_map(meaning).collect()
}

/// What a client wrote, so that it can be shown: escaped and cut.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_grammar() {
        for good in [
            "a",
            "bundle-jira-1.0.jar",
            "team/app/1.0+build@2",
            "sign/a",
            "a.sig/b",
            "logs",
            "0/log",
            "a..b",
            &"a".repeat(200),
        ] {
            assert!(good.parse::<TagName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            ".a",
            "_a",
            "-a",
            "/a",
            "a/",
            "a//b",
            "a/.b",
            "a/../b",
            "a b",
            "a%b",
            "a\nb",
            "ä",
            "a.sig",
            "a/b.sig",
            "a.sigs",
            "a.bak",
            "validate",
            "sign",
            "bundle",
            "log",
            "log/checkpoint",
            "requests",
            "requests/1",
            &"a".repeat(201),
        ] {
            assert!(matches!(bad.parse::<TagName>(), Err(Error::BadTagName(_))), "{bad}");
        }
    }

    #[test]
    fn the_path_of_a_signature_can_mean_several_and_the_longest_name_comes_first() {
        let meanings = |path: &str| -> Vec<(String, String)> {
            signature_paths(path).into_iter().map(|(n, a)| (n.to_string(), a.to_string())).collect()
        };
        let pair = |n: &str, a: &str| (n.to_owned(), a.to_owned());
        assert_eq!(meanings("a.b.c"), [pair("a.b", "c"), pair("a", "b.c")]);
        assert_eq!(meanings("x/a-1.0.jenkins"), [pair("x/a-1.0", "jenkins"), pair("x/a-1", "0.jenkins")]);
        assert_eq!(meanings("a.payload"), []);
        assert_eq!(meanings("a"), []);
        assert!(meanings(&format!("a.{}", "b.".repeat(5000))).is_empty());
    }

    #[test]
    fn a_refused_name_is_shown_escaped_and_cut() {
        let error = format!("x\n{}", "y".repeat(500)).parse::<TagName>().unwrap_err().to_string();
        assert!(error.contains("x\\n") && error.len() < 400, "{error}");
    }
}
