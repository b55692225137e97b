//! Numbers that are written differently by different programs.

use serde_json::Value;

/// Where the first number stands in `value` that is no integer of 64 bits: names and indexes with points
/// between, e.g. `x.y.0.1`; empty if it is `value` itself.
///
/// Kinto's signer counts up to the index: of `{"x":{"y":[1,2.0]}}` it says `x.y.0.1`. This is kept for the first
/// eight items of a list, after that the index stands alone.
///
/// `1.0` and `1e2` are found, and integers below -2^63 or from 2^64: as such a number every reader has them.
pub fn find_float(value: &Value) -> Option<String> {
    let mut path = Vec::new();
    let found = find(value, &mut path);
    found.then(|| {
        path.reverse();
        path.join(".")
    })
}

/// Puts the steps to it on `path`, the last one first.
fn find(value: &Value, path: &mut Vec<String>) -> bool {
    let step = match value {
        Value::Number(number) => return number.is_f64(),
        Value::Array(items) => {
            items.iter().enumerate().find(|(_, item)| find(item, path)).map(|(index, _)| steps_to(index))
        }
        Value::Object(members) => {
            members.iter().find(|(_, member)| find(member, path)).map(|(name, _)| name.clone())
        }
        Value::Null | Value::Bool(_) | Value::String(_) => None,
    };
    let found = step.is_some();
    path.extend(step);
    found
}

fn steps_to(index: usize) -> String {
    let first = if index < 8 { 0 } else { index };
    let steps: Vec<String> = (first..=index).map(|step| step.to_string()).collect();
    steps.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_found_wherever_they_are() {
        for (text, wanted) in [
            (r#"{"x":1.5}"#, Some("x")),
            (r#"{"x":1e2}"#, Some("x")),
            (r#"{"x":{"y":[1,2.0]}}"#, Some("x.y.0.1")),
            (r#"{"a":1,"x":{"y":[[1,2.0]]}}"#, Some("x.y.0.0.1")),
            (r#"{"x":18446744073709551616}"#, Some("x")),
            (r#"{"x":-9223372036854775809}"#, Some("x")),
            ("[0,1,2,3,4,5,6,7,8.5]", Some("8")),
            ("-0.0", Some("")),
            (r#"{"x":18446744073709551615,"y":-9223372036854775808,"z":["1.5",null,true]}"#, None),
        ] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(find_float(&value).as_deref(), wanted, "{text}");
        }
    }
}
