//! The timestamp within a record's text: a copy is the text of what is copied, with another one.

/// The text of an object with another `last_modified`.
///
/// - `text`: canonical JSON, as it is stored: no white space, escapes in strings only.
///
/// `None` if it has no such member, or is no such text.
pub(super) fn with_timestamp(text: &str, last_modified: i64) -> Option<String> {
    let (from, to) = value_of(text, "\"last_modified\"")?;
    let mut copy = String::with_capacity(text.len() + 4);
    copy.push_str(text.get(..from)?);
    copy.push_str(&last_modified.to_string());
    copy.push_str(text.get(to..)?);
    Some(copy)
}

/// From where to where the value of the object's own member `name` stands; `name` in its quotes.
fn value_of(text: &str, name: &str) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let mut at = 1;
    if bytes.first() != Some(&b'{') {
        return None;
    }
    loop {
        let key_end = end_of_value(bytes, at)?;
        let key = bytes.get(at..key_end)?;
        // After the colon.
        let from = key_end + 1;
        let to = end_of_value(bytes, from)?;
        if key == name.as_bytes() {
            return Some((from, to));
        }
        if bytes.get(to) != Some(&b',') {
            return None;
        }
        at = to + 1;
    }
}

/// Where the value that begins at `from` ends: at a comma, a colon, or what closes the object around it.
fn end_of_value(bytes: &[u8], from: usize) -> Option<usize> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (i, byte) in bytes.iter().enumerate().skip(from) {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' | b',' | b':' if depth == 0 => return Some(i),
            b'}' | b']' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use countersign_model::canonical::content_signature;
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;

    #[test]
    fn only_the_objects_own_timestamp_is_another_one() {
        for (text, wanted) in [
            (r#"{"id":"x","last_modified":1}"#, r#"{"id":"x","last_modified":77}"#),
            (
                r#"{"a":{"last_modified":1},"b":["last_modified",{"x":"}\"],"}],"id":"x","last_modified":123,"z":1}"#,
                r#"{"a":{"last_modified":1},"b":["last_modified",{"x":"}\"],"}],"id":"x","last_modified":77,"z":1}"#,
            ),
            (
                r#"{"a":"\"last_modified\":1,","last_modified":5,"z":"\\"}"#,
                r#"{"a":"\"last_modified\":1,","last_modified":77,"z":"\\"}"#,
            ),
        ] {
            assert_eq!(with_timestamp(text, 77).as_deref(), Some(wanted));
        }
    }

    #[test]
    fn what_is_no_object_or_has_no_timestamp_is_not_copied() {
        for text in
            ["", "{", "{}", "[]", r#"{"a":1}"#, r#"{"last_modified":"#, r#"{"a":{"last_modified":1}}"#, "x"]
        {
            assert_eq!(with_timestamp(text, 7), None, "{text}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            Just(Value::Null),
        ];
        leaf.prop_recursive(4, 24, 5, |inner| {
            let name = prop_oneof![any::<String>(), Just("last_modified".to_owned())];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::hash_map(name, inner, 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_is_what_would_be_written_with_another_timestamp(
            members in prop::collection::hash_map(any::<String>(), any_json(), 0..6),
            old in any::<i64>(),
            new in any::<i64>(),
        ) {
            let text = |last_modified: i64| {
                let mut object: Map<String, Value> = members.clone().into_iter().collect();
                object.insert("last_modified".into(), last_modified.into());
                content_signature(&Value::Object(object)).unwrap()
            };
            prop_assert_eq!(with_timestamp(&text(old), new), Some(text(new)));
        }

        #[test]
        fn no_text_makes_it_fail_badly(text in ".*", json in any_json()) {
            let _ = with_timestamp(&text, 7);
            let _ = with_timestamp(&json.to_string(), 7);
        }
    }
}
