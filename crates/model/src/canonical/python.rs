//! The dialect of Python's `json.dumps(value, sort_keys=True)`.

use std::fmt::Write as _;

use serde_json::Value;

/// A number with a fraction or an exponent, which this dialect is not used for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the number `{0}` is not an integer: signed documents have no others")]
pub struct NotAnInteger(pub String);

/// `value` as Python writes it with `json.dumps(value, sort_keys=True)`: `", "` and `": "` between, members
/// sorted by the code points of their names, ASCII with `\uXXXX` in lower case for everything else and for DEL.
///
/// It is for our own documents, which have no numbers but integers.
///
/// # Errors
/// [`NotAnInteger`].
pub fn python(value: &Value) -> Result<Vec<u8>, NotAnInteger> {
    let mut out = String::new();
    write_value(value, &mut out)?;
    Ok(out.into_bytes())
}

fn write_value(value: &Value, out: &mut String) -> Result<(), NotAnInteger> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) if number.is_f64() => return Err(NotAnInteger(number.to_string())),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) => write_string(text, out),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                write_value(item, out)?;
            }
            out.push(']');
        }
        Value::Object(members) => {
            // The order of UTF-8 bytes is that of code points.
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| name.as_bytes());
            out.push('{');
            for (i, (name, member)) in members.into_iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                write_string(name, out);
                out.push_str(": ");
                write_value(member, out)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            ' '..='~' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Values with what `python3 -c 'import json, sys; print(json.dumps(VALUE, sort_keys=True))'` prints.
    #[test]
    fn values_are_written_as_python_writes_them() {
        for (value, wanted) in [
            (json!({}), "{}"),
            (json!([]), "[]"),
            (json!([1, [true, null], {"b": false, "a": -2}]), r#"[1, [true, null], {"a": -2, "b": false}]"#),
            (json!(u64::MAX), "18446744073709551615"),
            (json!("\u{8}\u{c}\n\r\t\"\\/"), r#""\b\f\n\r\t\"\\/""#),
            (json!("\0\u{1f} ~\u{7f}\u{80}"), r#""\u0000\u001f ~\u007f\u0080""#),
            (json!("\u{fc}\u{20ac}\u{1f600}"), r#""\u00fc\u20ac\ud83d\ude00""#),
            // U+FFFF comes before U+1F600, though not in UTF-16.
            (
                json!({"\u{1f600}": 1, "\u{ffff}": 2, "Z": 3, "a": 4}),
                r#"{"Z": 3, "a": 4, "\uffff": 2, "\ud83d\ude00": 1}"#,
            ),
        ] {
            assert_eq!(String::from_utf8(python(&value).unwrap()).unwrap(), wanted);
        }
    }

    #[test]
    fn numbers_that_are_no_integers_are_refused() {
        assert_eq!(python(&json!({"a": [1.5]})), Err(NotAnInteger("1.5".into())));
        assert!(python(&serde_json::from_str("1e400").unwrap_or(json!(1.0))).is_err());
    }
}
