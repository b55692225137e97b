//! User ids: `NAME (COMMENT) <EMAIL>`.

use std::fmt;

/// A user id that gpg would make and every tool shows on one line: at most [`MAX_BYTES`] bytes of UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UserId(String);

/// The longest user id that is made, in bytes.
pub const MAX_BYTES: usize = 1024;

/// Why a user id is not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UserIdError {
    /// A part that must be there is empty.
    #[error("{part} is empty")]
    Empty {
        /// `name_real` or `name_email`.
        part: &'static str,
    },
    /// A part holds a character that would change how the whole is read.
    #[error("{part} contains a control character or one of `< > ( )`")]
    Character {
        /// `name_real`, `name_comment` or `name_email`.
        part: &'static str,
    },
    /// The whole is too long.
    #[error("the user id has {got} bytes, at most {MAX_BYTES} are allowed")]
    TooLong {
        /// Its bytes.
        got: usize,
    },
}

impl UserIdError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Empty { .. } => "a key needs a name and an address",
            Self::Character { .. } => "write the plain name, comment and address, without brackets",
            Self::TooLong { .. } => "shorten the name or the comment",
        }
    }
}

impl UserId {
    /// Joins the parts; an empty `comment` is left out with its brackets.
    ///
    /// # Errors
    /// [`UserIdError`] if `name` or `email` is empty, if any part holds a control character or one of
    /// `< > ( )`, or if the whole is too long.
    pub fn new(name: &str, comment: &str, email: &str) -> Result<Self, UserIdError> {
        for (part, text) in [("name_real", name), ("name_comment", comment), ("name_email", email)] {
            let bad =
                |c: char| c.is_control() || matches!(c, '<' | '>' | '(' | ')' | '\u{2028}' | '\u{2029}');
            if text.contains(bad) {
                return Err(UserIdError::Character { part });
            }
            if text.trim().is_empty() && part != "name_comment" {
                return Err(UserIdError::Empty { part });
            }
        }
        let text = match comment {
            "" => format!("{name} <{email}>"),
            _ => format!("{name} ({comment}) <{email}>"),
        };
        if text.len() > MAX_BYTES {
            return Err(UserIdError::TooLong { got: text.len() });
        }
        Ok(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_comment_part_is_left_out_when_it_is_empty() {
        let text = |name, comment, email| UserId::new(name, comment, email).map(|id| id.0);
        assert_eq!(text("A", "", "a@b"), Ok("A <a@b>".into()));
        assert_eq!(text("Zürich CI", "test", "a@b"), Ok("Zürich CI (test) <a@b>".into()));
    }

    #[test]
    fn brackets_and_control_characters_are_refused_in_every_part() {
        for bad in ["a<b", "a>b", "(a", "a)", "a\nb", "a\0", "\u{7f}", "\u{85}"] {
            assert_eq!(UserId::new(bad, "", "x@y"), Err(UserIdError::Character { part: "name_real" }));
            assert_eq!(UserId::new("n", bad, "x@y"), Err(UserIdError::Character { part: "name_comment" }));
            assert_eq!(UserId::new("n", "", bad), Err(UserIdError::Character { part: "name_email" }));
        }
        assert_eq!(UserId::new(" ", "", "x@y"), Err(UserIdError::Empty { part: "name_real" }));
        assert_eq!(UserId::new("n", "", ""), Err(UserIdError::Empty { part: "name_email" }));
        let long = "n".repeat(MAX_BYTES);
        assert!(matches!(UserId::new(&long, "", "x@y"), Err(UserIdError::TooLong { .. })));
    }
}
