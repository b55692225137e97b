//! Tags about bytes: a payload that names an artifact by its digest.
//!
//! ```text
//! countersign-tag: 1                     exactly this line makes a payload a head
//! subject: bundle-jira-1.0.jar
//! digest: sha256:<64 hex digits>         of the artifact; of an image, of its manifest or index
//! size: 1234567
//! built-by: jenkins-prd
//! param.JOB: nightly                     a parameter of the job, by its name
//! created: 2026-01-02T03:04:05Z
//! ```
//!
//! One `key: value` a line, each key once, in the order in which they were given; `subject` and `digest` must be
//! there, all else may. Values are UTF-8; control characters are written as `%` and two upper-case hex digits
//! for each byte, and `%` itself as `%25`. Nothing else is escaped, so that a value has one spelling, and no
//! value can begin a line, a key or a signature.
//!
//! ```
//! use countersign_model::HashAlg;
//! use countersign_records::tag::head::Head;
//!
//! let head = Head::new("app.jar", &HashAlg::Sha256.digest(b"bytes of the jar"))?
//!     .with("built-by", "jenkins-prd")?
//!     .with("param.MESSAGE", "done\ndigest: sha256:00")?;
//! let payload = head.to_payload();
//! assert!(payload.as_bytes().ends_with(b"\nparam.MESSAGE: done%0Adigest: sha256:00\n"));
//! assert_eq!(Head::parse(payload.as_bytes())?, head);
//! assert_eq!(head.get("param.MESSAGE"), Some("done\ndigest: sha256:00"));
//! # Ok::<(), countersign_records::tag::head::HeadError>(())
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;

use countersign_model::{Digest, HashAlg, time};
use jiff::Timestamp;

use super::Payload;

/// The first line of a payload that is a head.
const FIRST: &str = "countersign-tag: 1";

/// What a tag says about an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Keys and values as they mean, `subject` and `digest` among them, each key once.
    fields: Vec<(String, String)>,
    /// Where in `fields` a key is, so that very many parameters cost no more.
    places: BTreeMap<String, usize>,
    digest: Digest,
}

/// Why something is not a head.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeadError {
    /// The first line is another one: it is a payload of its own, and may say what it likes.
    #[error("the text is no head of a binary tag: its first line is not `{FIRST}`")]
    NotAHead,
    /// A line that is not `key: value`.
    #[error("line {line} of the tag's head is not `key: value`")]
    Line {
        /// Counted from 1.
        line: usize,
    },
    /// A key that breaks the grammar.
    #[error("bad key in the tag's head: `{key}`")]
    Key {
        /// The key, escaped and cut.
        key: String,
    },
    /// A key that is there already.
    #[error("key `{key}` stands twice in the tag's head")]
    Twice {
        /// The key.
        key: String,
    },
    /// A value that is not written as it must be: a control character, or `%` before anything but the hex
    /// digits of one or of `%`, or not UTF-8.
    #[error("the value in line {line} of the tag's head is not written in its one form")]
    Spelling {
        /// Counted from 1.
        line: usize,
    },
    /// A value that is not what its key says.
    #[error("bad value for `{key}` in the tag's head")]
    Value {
        /// The key.
        key: String,
    },
    /// `subject` or `digest` is not there.
    #[error("the tag's head has no `{key}`")]
    Missing {
        /// The key.
        key: &'static str,
    },
}

impl HeadError {
    /// One sentence for the person who reads the terminal.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotAHead => "it is a text tag: check it with the text at hand, not by an artifact",
            Self::Line { .. } => "one key, a colon, one space, the value; no blank lines",
            Self::Key { .. } => {
                "a letter `a-z`, then `a-z 0-9 . -`; parameters are `param.` and a name of `A-Z a-z 0-9 _ . -`"
            }
            Self::Twice { .. } => "give each key once",
            Self::Spelling { .. } => {
                "control characters are `%` and two upper-case hex digits for each byte, `%` is `%25`, all else \
                 stands as it is"
            }
            Self::Value { .. } => {
                "`digest` is `sha256:` and 64 lower-case hex digits, `size` a number of bytes, `created` a time \
                 such as `2026-01-02T03:04:05Z`; `subject` is not empty"
            }
            Self::Missing { .. } => "a tag about bytes names them: give `subject` and `digest`",
        }
    }
}

impl Head {
    /// A head that names an artifact: `subject` in its publisher's words, `digest` the SHA-256 of its bytes.
    ///
    /// # Errors
    /// [`HeadError::Value`] if the subject is empty or the digest is of another hash.
    pub fn new(subject: &str, digest: &Digest) -> Result<Self, HeadError> {
        let head = Self { fields: Vec::new(), places: BTreeMap::new(), digest: *digest };
        head.with("subject", subject)?.with("digest", &digest.to_string())
    }

    /// Adds a line below the others.
    ///
    /// - `key`: `[a-z][a-z0-9.-]*`, or `param.` and `[A-Za-z0-9_.-]+`.
    /// - `value`: any text. What must not stand in a line is escaped.
    ///
    /// # Errors
    /// [`HeadError::Key`], [`HeadError::Twice`], [`HeadError::Value`].
    pub fn with(mut self, key: &str, value: &str) -> Result<Self, HeadError> {
        check_key(key)?;
        check_value(key, value)?;
        if self.places.insert(key.to_owned(), self.fields.len()).is_some() {
            return Err(HeadError::Twice { key: key.to_owned() });
        }
        self.fields.push((key.to_owned(), value.to_owned()));
        Ok(self)
    }

    /// Adds the artifact's size in bytes.
    ///
    /// # Errors
    /// [`HeadError::Twice`].
    pub fn with_size(self, bytes: u64) -> Result<Self, HeadError> {
        self.with("size", &bytes.to_string())
    }

    /// Adds the time at which the tag was made, cut to the second.
    ///
    /// # Errors
    /// [`HeadError::Twice`].
    pub fn with_created(self, created: Timestamp) -> Result<Self, HeadError> {
        self.with("created", &time::seconds(created))
    }

    /// Whether a payload is a head, or claims to be one: by its first line.
    pub fn is_head(payload: &[u8]) -> bool {
        payload.split(|b| *b == b'\n').next() == Some(FIRST.as_bytes())
    }

    /// Reads a payload that is a head and nothing else.
    ///
    /// # Errors
    /// [`HeadError`]; [`HeadError::NotAHead`] if [`is_head`](Self::is_head) says so.
    pub fn parse(payload: &[u8]) -> Result<Self, HeadError> {
        if !Self::is_head(payload) {
            return Err(HeadError::NotAHead);
        }
        let mut fields = Vec::new();
        let lines = payload.strip_suffix(b"\n").unwrap_or(payload).split(|b| *b == b'\n');
        for (line, text) in (1..).zip(lines).skip(1) {
            let text = std::str::from_utf8(text).map_err(|_| HeadError::Spelling { line })?;
            let (key, written) = text.split_once(": ").ok_or(HeadError::Line { line })?;
            fields.push((key, unescape(written).ok_or(HeadError::Spelling { line })?));
        }
        let find = |wanted: &'static str| {
            let found = fields.iter().find(|(key, _)| *key == wanted);
            found.map(|(_, value)| value.as_str()).ok_or(HeadError::Missing { key: wanted })
        };
        find("subject")?;
        let digest = digest_of(find("digest")?).ok_or(HeadError::Value { key: "digest".into() })?;
        let empty = Self { fields: Vec::new(), places: BTreeMap::new(), digest };
        fields.iter().try_fold(empty, |head, (key, value)| head.with(key, value))
    }

    /// What the artifact is called.
    pub fn subject(&self) -> &str {
        self.get("subject").unwrap_or_default()
    }

    /// SHA-256 of the artifact's bytes.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The artifact's size in bytes, if it is said.
    pub fn size(&self) -> Option<u64> {
        self.get("size")?.parse().ok()
    }

    /// The value of a key, `param.NAME` for a parameter.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.places.get(key).and_then(|place| self.fields.get(*place)).map(|(_, value)| value.as_str())
    }

    /// All keys with their values, in the order of their lines.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The payload to sign.
    pub fn to_payload(&self) -> Payload {
        let mut text = format!("{FIRST}\n");
        for (key, value) in &self.fields {
            text.push_str(key);
            text.push_str(": ");
            escape(value, &mut text);
            text.push('\n');
        }
        Payload::of_head(text)
    }
}

fn check_key(key: &str) -> Result<(), HeadError> {
    let ok = match key.strip_prefix("param.") {
        Some(name) => {
            let named = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
            !name.is_empty() && name.bytes().all(named)
        }
        None => {
            let further = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-');
            key.starts_with(|c: char| c.is_ascii_lowercase()) && key.bytes().all(further)
        }
    };
    // The first line is no field: a second one would be a head in a head.
    if ok && key != "countersign-tag" {
        return Ok(());
    }
    Err(HeadError::Key { key: key.chars().take(80).flat_map(char::escape_debug).collect() })
}

fn check_value(key: &str, value: &str) -> Result<(), HeadError> {
    let ok = match key {
        "subject" => !value.is_empty(),
        "digest" => digest_of(value).is_some(),
        "size" => value.parse::<u64>().is_ok_and(|size| size.to_string() == value),
        "created" => value.parse::<Timestamp>().is_ok_and(|created| time::seconds(created) == value),
        _ => true,
    };
    if ok { Ok(()) } else { Err(HeadError::Value { key: key.to_owned() }) }
}

/// The digest in `sha256:HEX`, lower case.
fn digest_of(text: &str) -> Option<Digest> {
    text.parse().ok().filter(|digest: &Digest| digest.alg() == HashAlg::Sha256)
}

fn escape(value: &str, out: &mut String) {
    for c in value.chars() {
        if c.is_control() || c == '%' {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                let _ = write!(out, "%{byte:02X}");
            }
        } else {
            out.push(c);
        }
    }
}

/// The value that [`escape`] writes like this; `None` if it writes none like this.
fn unescape(written: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(written.len());
    let mut rest = written.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            let (digits, after) = after.split_first_chunk::<2>()?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = after;
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    let value = String::from_utf8(bytes).ok()?;
    let mut again = String::with_capacity(written.len());
    escape(&value, &mut again);
    (again == written).then_some(value)
}
