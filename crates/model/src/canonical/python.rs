//! The dialects of Python's `json.dumps(value, sort_keys=True)`.

use std::convert::Infallible;
use std::fmt::Write as _;

use serde_json::Value;

use super::ascii::Dialect;

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
    let refuse = |float: f64, _: &mut String| Err(NotAnInteger(Value::from(float).to_string()));
    let mut out = String::new();
    Dialect { comma: ", ", colon: ": ", float: refuse }.write(value, &mut out)?;
    Ok(out.into_bytes())
}

/// `value` as Python writes it with `json.dumps(value, sort_keys=True, separators=(",", ":"))`: like [`python`]
/// without the spaces, and with every number that Python's `json` reads as a float as `repr` writes it: `1.0`,
/// `1e+21`, `1e-05`, `-0.0`.
///
/// It is the dialect of collections that were signed in 2016.
pub fn python_compact(value: &Value) -> String {
    let mut out = String::new();
    let dialect: Dialect<Infallible> = Dialect { comma: ",", colon: ":", float: write_repr };
    match dialect.write(value, &mut out) {
        Ok(()) => out,
    }
}

/// `float.__repr__`: the shortest digits that are read as the same number; with an exponent of two digits and
/// more where the point would stand before `0000` or behind sixteen digits.
fn write_repr(float: f64, out: &mut String) -> Result<(), Infallible> {
    if float.is_sign_negative() {
        out.push('-');
    }
    let (digits, exponent) = shortest(float.abs());
    let (first, others) = digits.split_at(1.min(digits.len()));
    match usize::try_from(exponent) {
        _ if !(-4..16).contains(&exponent) => {
            let point = if others.is_empty() { "" } else { "." };
            let sign = if exponent < 0 { '-' } else { '+' };
            let _ = write!(out, "{first}{point}{others}e{sign}{:02}", exponent.abs());
        }
        Err(_) => {
            let zeros = "0".repeat(exponent.unsigned_abs() as usize - 1);
            let _ = write!(out, "0.{zeros}{digits}");
        }
        Ok(exponent) if exponent < others.len() => {
            let (whole, fraction) = digits.split_at(exponent + 1);
            let _ = write!(out, "{whole}.{fraction}");
        }
        Ok(exponent) => {
            let zeros = "0".repeat(exponent - others.len());
            let _ = write!(out, "{digits}{zeros}.0");
        }
    }
    Ok(())
}

/// The digits, without zeros at either end, and the power of ten that the first of them counts.
///
/// Where two numbers of as many digits are equally near, Python takes the even one, as this library does; what
/// the standard library writes is the greater one, which [`super::content_signature()`] has.
fn shortest(float: f64) -> (String, i32) {
    let mut buffer = ryu_js::Buffer::new();
    let text = buffer.format(float);
    let (mantissa, power) = text.split_once('e').unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = [whole, fraction].concat();
    let digits = all.trim_start_matches('0');
    // At most 21 digits and an exponent of three.
    let before_point = (whole.len() + digits.len()) as i32 - all.len() as i32;
    let power: i32 = power.parse().unwrap_or_default();
    match digits.trim_end_matches('0') {
        "" => ("0".to_owned(), 0),
        digits => (digits.to_owned(), before_point - 1 + power),
    }
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

    /// Values with what `json.dumps(VALUE, sort_keys=True, separators=(",", ":"))` returns.
    #[test]
    fn the_compact_form_has_floats_as_python_represents_them() {
        for (value, wanted) in [
            (json!([1, [true, null], {"b": false, "a": -2}]), r#"[1,[true,null],{"a":-2,"b":false}]"#),
            (json!([1.0, -0.0, 1.5, 0.1, 100.0]), "[1.0,-0.0,1.5,0.1,100.0]"),
            (json!([1e15, 1e16, 1e21, 1.5e300]), "[1000000000000000.0,1e+16,1e+21,1.5e+300]"),
            (json!([0.0001, 0.00012, 1e-5, 5e-324]), "[0.0001,0.00012,1e-05,5e-324]"),
            (json!([9007199254740993.0, 1234567890123456.7]), "[9007199254740992.0,1234567890123456.8]"),
            (
                json!({"b": 9007199254740993u64, "a": "é😀"}),
                r#"{"a":"\u00e9\ud83d\ude00","b":9007199254740993}"#,
            ),
        ] {
            assert_eq!(python_compact(&value), wanted);
        }
    }
}
