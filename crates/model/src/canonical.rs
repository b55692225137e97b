//! Canonical JSON: one byte string for one value, so that it can be signed.
//!
//! [`rfc8785`] is the dialect of the signing log, the policy hash and our own documents, [`python()`] that of
//! attestations and key bundles, [`content_signature()`] that of collections and of their records as they are
//! stored, [`python_compact`] that of collections that were signed in 2016.

mod ascii;
mod content_signature;
mod python;

pub use content_signature::{
    NoCanonicalForm, content_signature, write_content_signature, write_content_signature_members,
};
pub use python::{NotAnInteger, python, python_compact};
use serde_json::{Number, Value};

/// `value` by the JSON Canonicalization Scheme (RFC 8785): no white space, members sorted by the UTF-16
/// code units of their names, numbers as ECMAScript writes them, UTF-8.
pub fn rfc8785(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write_value(value, &mut out);
    out
}

fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => out.extend_from_slice(number_text(number).as_bytes()),
        Value::String(text) => write_string(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_value(item, out);
            }
            out.push(b']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push(b'{');
            for (i, (name, member)) in members.into_iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_string(name, out);
                out.push(b':');
                write_value(member, out);
            }
            out.push(b'}');
        }
    }
}

/// RFC 8785, 3.2.2.2: serde_json escapes exactly what has to be.
fn write_string(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("writing text to memory cannot fail");
}

/// RFC 8785, 3.2.2.3: every number is an IEEE 754 double, written as `Number.prototype.toString` does.
fn number_text(number: &Number) -> String {
    ryu_js::Buffer::new().format(number.as_f64().unwrap_or(0.0)).to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(json: &str) -> String {
        String::from_utf8(rfc8785(&serde_json::from_str(json).unwrap())).unwrap()
    }

    #[test]
    fn the_example_of_rfc_8785() {
        let given = r#"{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],
            "string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}"#;
        let wanted = "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\
            \"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}";
        assert_eq!(text(given), wanted);
    }

    #[test]
    fn names_are_sorted_by_utf_16_code_units() {
        // U+1F600 is D83D DE00 in UTF-16 and comes before U+FB33; by code points it would come after.
        assert_eq!(text("{\"\u{fb33}\":1,\"\u{1f600}\":2}"), "{\"\u{1f600}\":2,\"\u{fb33}\":1}");
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::hash_map(".*", inner, 0..6)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_value_is_written_as_the_reference_writes_it(value in any_json()) {
            let wanted = serde_json_canonicalizer::to_vec(&value).unwrap();
            prop_assert_eq!(rfc8785(&value), wanted);
        }

        #[test]
        fn any_double_is_written_as_the_reference_writes_it(bits in any::<u64>()) {
            let double = f64::from_bits(bits);
            prop_assume!(double.is_finite());
            let value = Value::from(double);
            prop_assert_eq!(rfc8785(&value), serde_json_canonicalizer::to_vec(&value).unwrap());
        }
    }
}
