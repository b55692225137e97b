//! Canonical JSON as TUF signs it (the OLPC dialect; specification 4.2.1).
//!
//! No white space, members sorted by the code points of their names, integers only. In strings `"` and `\` are
//! escaped and **nothing else**: line feeds and other control characters stand raw, so what is signed may not
//! be valid JSON. Strings are not normalised.

use std::borrow::Cow;
use std::io::Write as _;

use countersign_model::digest;
use countersign_model::strict_json;
use serde_json::{Map, Value};

/// How deep a document may be nested: less than what readers of JSON take, so that what was built can be read.
pub const MAX_DEPTH: usize = 100;

/// A value that cannot be signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotCanonical {
    /// A fraction, an exponent, or an integer that cannot be kept exactly.
    #[error("the number `{number}` is not an integer between -2^63 and 2^64 - 1")]
    Number {
        /// The number as it was read.
        number: String,
    },
    /// Objects in objects in objects.
    #[error("the value is nested deeper than {MAX_DEPTH} levels")]
    Depth,
}

/// Why a text is not a document that can be signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Not JSON, nested too deeply, or with a member that is there twice.
    #[error("not JSON without duplicate members: {0}")]
    Json(String),
    /// JSON that cannot be signed.
    #[error(transparent)]
    NotCanonical(#[from] NotCanonical),
}

/// Reads JSON that can be signed: no member twice, no floats, at most [`MAX_DEPTH`] levels.
///
/// Integers from -2^63 to 2^64 - 1 are kept exactly. Others are refused, never rounded: a document is not signed
/// or accepted with another number than its author wrote.
///
/// # Errors
/// [`ReadError`].
pub fn read(text: &[u8]) -> Result<Value, ReadError> {
    let value = strict_json::parse(text).map_err(|error| ReadError::Json(error.to_string()))?;
    check(&value)?;
    Ok(value)
}

/// Looks whether `value` has a canonical form.
///
/// # Errors
/// [`NotCanonical`].
pub fn check(value: &Value) -> Result<(), NotCanonical> {
    check_below(value, 0)
}

/// [`check`] for a value that will stand in a document below `levels` others.
///
/// # Errors
/// [`NotCanonical`].
pub(crate) fn check_below(value: &Value, levels: usize) -> Result<(), NotCanonical> {
    match value {
        Value::Number(number) if number.is_f64() => Err(NotCanonical::Number { number: number.to_string() }),
        Value::Array(_) | Value::Object(_) if levels == MAX_DEPTH => Err(NotCanonical::Depth),
        Value::Array(items) => items.iter().try_for_each(|item| check_below(item, levels + 1)),
        Value::Object(members) => members.values().try_for_each(|item| check_below(item, levels + 1)),
        _ => Ok(()),
    }
}

/// The bytes that are signed for `value`.
///
/// # Errors
/// [`NotCanonical`].
pub fn encode(value: &Value) -> Result<Vec<u8>, NotCanonical> {
    check(value)?;
    Ok(encode_checked(value))
}

/// SHA-256 of [`encode`].
///
/// # Errors
/// [`NotCanonical`].
pub fn sha256(value: &Value) -> Result<[u8; 32], NotCanonical> {
    Ok(digest::sha256(&encode(value)?))
}

/// [`encode`] for a value that [`check`] has seen.
pub(crate) fn encode_checked(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write(value, write_string, &mut out);
    out
}

/// [`encode_checked`] for an object.
pub(crate) fn encode_members(members: &Map<String, Value>) -> Vec<u8> {
    let mut out = Vec::new();
    write_object(members, write_string, &mut out);
    out
}

/// `value` as JSON in the order of its canonical form and without white space: what a file has where its canonical
/// form is signed. The two differ in strings alone, by the escapes of control characters; see [`of_compact`].
pub fn compact(value: &Value) -> String {
    let mut out = Vec::new();
    write(value, write_json_string, &mut out);
    String::from_utf8(out).expect("JSON is UTF-8: it was written from texts")
}

/// The canonical form of a text that [`compact`] wrote, or that was put together from such texts: escapes in strings
/// become the characters that they stand for, except for `"` and `\`. Costs one look at a text without escapes.
///
/// It is no reader: of what is not such a text nothing is found out, and what is no escape stays as it is.
pub fn of_compact(text: &str) -> Cow<'_, str> {
    let Some(mut at) = text.find('\\') else { return Cow::Borrowed(text) };
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    loop {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let length = match unescape(escape) {
            Some((character @ ('"' | '\\'), length)) => {
                out.extend(['\\', character]);
                length
            }
            Some((character, length)) => {
                out.push(character);
                length
            }
            None => {
                out.push('\\');
                1
            }
        };
        rest = &escape[length..];
        match rest.find('\\') {
            Some(next) => at = next,
            None => break,
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The character that the escape at the beginning of `text` stands for, and how many bytes the escape has.
fn unescape(text: &str) -> Option<(char, usize)> {
    let character = match text.as_bytes().get(1)? {
        same @ (b'"' | b'\\' | b'/') => char::from(*same),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unescape_unit(text),
        _ => return None,
    };
    Some((character, 2))
}

/// [`unescape`] for `\uXXXX`, or two of them that are one character.
fn unescape_unit(text: &str) -> Option<(char, usize)> {
    let unit = |text: &str| {
        let digits = text.strip_prefix("\\u")?.get(..4)?;
        digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
    };
    let first = unit(text)?;
    match char::from_u32(first.into()) {
        Some(character) => Some((character, 6)),
        None => {
            let second = unit(text.get(6..)?)?;
            let character = char::decode_utf16([first, second]).next()?.ok()?;
            Some((character, 12))
        }
    }
}

/// Writes a string with its quotes.
type WriteString = fn(&str, &mut Vec<u8>);

fn write(value: &Value, string: WriteString, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => {
            // Writing to memory cannot fail.
            let _ = write!(out, "{number}");
        }
        Value::String(text) => string(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write(item, string, out);
            }
            out.push(b']');
        }
        Value::Object(members) => write_object(members, string, out),
    }
}

/// UTF-8 sorts as code points do, and so does the map; unless a feature of its crate that keeps the order of
/// writing is turned on somewhere.
fn write_object(members: &Map<String, Value>, string: WriteString, out: &mut Vec<u8>) {
    let mut sorted: Vec<_> = members.iter().collect();
    if !sorted.is_sorted_by_key(|(name, _)| name.as_bytes()) {
        sorted.sort_by_key(|(name, _)| name.as_bytes());
    }
    out.push(b'{');
    for (i, (name, member)) in sorted.into_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        string(name, out);
        out.push(b':');
        write(member, string, out);
    }
    out.push(b'}');
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(&[b'\\', rest[at]]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// RFC 8259: control characters are escaped too.
fn write_json_string(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("writing text to memory cannot fail");
}
