//! The dialect of signed collections: canonicaljson-rs, as Kinto's signer and Firefox have it.

use std::fmt::Write as _;

use serde_json::Value;

use super::ascii::Dialect;

/// Why a value has no text in a dialect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoCanonicalForm {
    /// Not a number of JSON.
    #[error("the number `{0}` has no canonical form")]
    Number(String),
    /// Members given in another order than that of their names, or one given twice.
    #[error("the member `{0}` is given twice or does not come in the order of names")]
    Order(String),
}

const DIALECT: Dialect<NoCanonicalForm> = Dialect { comma: ",", colon: ":", float: write_float };

/// `value` as canonicaljson-rs writes it: no white space, members sorted by the code points of their names,
/// ASCII with `\uXXXX` in lower case for everything else and for DEL. Integers of 64 bits are plain, every other
/// number is its shortest digits with an exponent: `1E0`, `1.5E0`, `-0E0`, `1E21`.
///
/// # Errors
/// [`NoCanonicalForm::Number`]; never for a value that was read from JSON.
pub fn content_signature(value: &Value) -> Result<String, NoCanonicalForm> {
    let mut out = String::new();
    write_content_signature(value, &mut out)?;
    Ok(out)
}

/// Appends what [`content_signature`] returns to `out`. After an error `out` has a part of it.
///
/// # Errors
/// As [`content_signature`].
pub fn write_content_signature(value: &Value, out: &mut String) -> Result<(), NoCanonicalForm> {
    DIALECT.write(value, out)
}

/// Appends an object with these members, which come in the order of their names' code points: for an object
/// that is put together without being copied.
///
/// # Errors
/// [`NoCanonicalForm::Order`], and as [`content_signature`].
pub fn write_content_signature_members<'a>(
    members: impl IntoIterator<Item = (&'a str, &'a Value)>,
    out: &mut String,
) -> Result<(), NoCanonicalForm> {
    let mut last: Option<&str> = None;
    out.push('{');
    for (i, (name, value)) in members.into_iter().enumerate() {
        if last.is_some_and(|last| last >= name) {
            return Err(NoCanonicalForm::Order(name.to_owned()));
        }
        last = Some(name);
        DIALECT.write_member(i, name, value, out)?;
    }
    out.push('}');
    Ok(())
}

fn write_float(float: f64, out: &mut String) -> Result<(), NoCanonicalForm> {
    if !float.is_finite() {
        return Err(NoCanonicalForm::Number(float.to_string()));
    }
    let _ = write!(out, "{float:E}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Values with what `canonicaljson.dumps` of the PyPI package canonicaljson-rs returns.
    #[test]
    fn values_are_written_as_canonicaljson_rs_writes_them() {
        for (value, wanted) in [
            (json!({}), "{}"),
            (json!([1, [true, null], {"b": false, "a": -2}]), r#"[1,[true,null],{"a":-2,"b":false}]"#),
            (json!(u64::MAX), "18446744073709551615"),
            (json!(i64::MIN), "-9223372036854775808"),
            (json!([1.0, 1.5, 0.30000000000000004, -0.0]), "[1E0,1.5E0,3.0000000000000004E-1,-0E0]"),
            (json!([1e21, 5e-324, 1e16, 1e23]), "[1E21,5E-324,1E16,1E23]"),
            (
                json!([9007199254740992.0, 5.684341886080802e-14]),
                "[9.007199254740992E15,5.684341886080802E-14]",
            ),
            (json!("\u{8}\u{c}\n\r\t\"\\/\0\u{1f}"), r#""\b\f\n\r\t\"\\/\u0000\u001f""#),
            (
                json!({"data": [{"id": "x", "t": "é😀\u{2028}\u{7f}/", "last_modified": 1, "a": 1, "A": 2}],
                       "last_modified": "1"}),
                concat!(
                    r#"{"data":[{"A":2,"a":1,"id":"x","last_modified":1,"t":"\u00e9\ud83d\ude00\u2028"#,
                    r#"\u007f/"}],"last_modified":"1"}"#
                ),
            ),
            // U+FFFF comes before U+1F600, though not in UTF-16.
            (json!({"\u{1f600}": 1, "\u{ffff}": 2, "Z": 3}), r#"{"Z":3,"\uffff":2,"\ud83d\ude00":1}"#),
        ] {
            assert_eq!(content_signature(&value).as_deref(), Ok(wanted));
        }
    }

    #[test]
    fn an_object_may_be_given_by_its_members_in_their_order_only() {
        let (one, two) = (json!(1), json!([2]));
        let mut out = String::new();
        write_content_signature_members([("a", &one), ("é", &two)], &mut out).unwrap();
        assert_eq!(out, r#"{"a":1,"\u00e9":[2]}"#);
        for (first, second) in [("b", "a"), ("a", "a"), ("\u{1f600}", "\u{ffff}")] {
            let written = write_content_signature_members([(first, &one), (second, &two)], &mut out);
            assert_eq!(written, Err(NoCanonicalForm::Order(second.into())));
        }
    }
}
