//! What the dialects that Python's `json` began have in common: ASCII only, members by code points. They
//! differ in what stands between things and in how a number that is no integer is written.

use std::fmt::Write as _;

use serde_json::Value;

/// One such dialect.
pub(super) struct Dialect<E> {
    /// Between two members, and two items.
    pub(super) comma: &'static str,
    /// Between a name and its value.
    pub(super) colon: &'static str,
    /// Writes a number that is not an integer of 64 bits, or refuses it.
    pub(super) float: fn(f64, &mut String) -> Result<(), E>,
}

impl<E> Dialect<E> {
    /// Appends `value` to `out`. What was written before an error stays there.
    pub(super) fn write(&self, value: &Value, out: &mut String) -> Result<(), E> {
        match value {
            Value::Null => out.push_str("null"),
            Value::Bool(true) => out.push_str("true"),
            Value::Bool(false) => out.push_str("false"),
            Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
                Some(float) => return (self.float)(float, out),
                None => {
                    let _ = write!(out, "{number}");
                }
            },
            Value::String(text) => write_string(text, out),
            Value::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push_str(self.comma);
                    }
                    self.write(item, out)?;
                }
                out.push(']');
            }
            Value::Object(members) => {
                out.push('{');
                // The map has them in the order of their UTF-8, which is that of code points, unless a feature
                // of its crate that keeps the order of writing is turned on somewhere.
                if members.keys().is_sorted() {
                    self.write_members(members.iter(), out)?;
                } else {
                    let mut sorted: Vec<_> = members.iter().collect();
                    sorted.sort_by_key(|(name, _)| name.as_bytes());
                    self.write_members(sorted.into_iter(), out)?;
                }
                out.push('}');
            }
        }
        Ok(())
    }

    fn write_members<'a>(
        &self,
        members: impl Iterator<Item = (&'a String, &'a Value)>,
        out: &mut String,
    ) -> Result<(), E> {
        for (i, (name, value)) in members.enumerate() {
            self.write_member(i, name, value, out)?;
        }
        Ok(())
    }

    /// Appends the member with this index of an object.
    pub(super) fn write_member(
        &self,
        index: usize,
        name: &str,
        value: &Value,
        out: &mut String,
    ) -> Result<(), E> {
        if index > 0 {
            out.push_str(self.comma);
        }
        write_string(name, out);
        out.push_str(self.colon);
        self.write(value, out)
    }
}

/// Appends a string with its quotes: `\" \\ \b \f \n \r \t`, and `\uXXXX` in lower case for all else that is
/// not from space to `~`, so also for DEL.
pub(super) fn write_string(text: &str, out: &mut String) {
    out.reserve(text.len() + 2);
    out.push('"');
    let mut rest = text;
    // What needs no escape goes over in pieces: most strings are one.
    while let Some(at) = rest.bytes().position(|byte| !is_plain(byte)) {
        out.push_str(&rest[..at]);
        let mut chars = rest[at..].chars();
        if let Some(c) = chars.next() {
            escape(c, out);
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

fn escape(c: char, out: &mut String) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        _ => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
}
