//! Canonical JSON against three other programs.

use countersign_model::digest::sha256;
use countersign_tuf::canonical::{self, NotCanonical, ReadError};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde::Serialize as _;
use serde_json::{Value, json};

use crate::support::{bytes, python};

/// The vectors as text, since one has an integer that a value cannot hold.
#[test]
fn the_vectors_of_securesystemslib_come_out() {
    let file = String::from_utf8(bytes("canonical.json")).unwrap();
    let big = "10000000000000000000000000";
    let refused = canonical::read(format!("[{big}]").as_bytes());
    assert!(
        matches!(refused, Err(ReadError::NotCanonical(NotCanonical::Number { .. }))),
        "beyond 64 bits: never rounded"
    );

    let vectors: Value = serde_json::from_str(&file.replacen(&format!(",\n   {big}"), "", 1)).unwrap();
    let vectors = vectors.as_array().unwrap();
    assert_eq!(vectors.len(), 9);
    for vector in vectors {
        let encoded = canonical::encode(&vector["value"]).unwrap();
        let wanted = vector["canonical"].as_str().unwrap();
        let (text, has_big) = (wanted.replace(&format!(",{big}"), ""), wanted.contains(big));
        assert_eq!(String::from_utf8(encoded.clone()).unwrap(), text);
        assert!(has_big || hex::encode(sha256(&encoded)) == vector["sha256"], "{wanted}");
    }
}

#[test]
fn integers_are_kept_to_the_last_digit_and_floats_are_refused() {
    let kept = "[9007199254740993,18446744073709551615,-9223372036854775808]";
    assert_eq!(canonical::encode(&canonical::read(kept.as_bytes()).unwrap()).unwrap(), kept.as_bytes());
    for refused in ["1.0", "[1e2]", r#"{"a":{"b":[-0.5]}}"#, "18446744073709551616", "-9223372036854775809"] {
        assert!(matches!(canonical::read(refused.as_bytes()), Err(ReadError::NotCanonical(_))), "{refused}");
    }
    assert!(canonical::encode(&json!({"a": 1.5})).is_err());
}

#[test]
fn duplicate_members_and_what_is_not_json_are_refused() {
    for refused in [&br#"{"a":1,"a":1}"#[..], br#"{"a":1,"\u0061":2}"#, b"{", b"\xff", b"[1] 2", b"NaN"] {
        assert!(matches!(canonical::read(refused), Err(ReadError::Json(_))));
    }
    let nested = |depth: usize| canonical::read(["[".repeat(depth), "]".repeat(depth)].concat().as_bytes());
    assert!(nested(canonical::MAX_DEPTH).is_ok());
    assert_eq!(nested(canonical::MAX_DEPTH + 1), Err(ReadError::NotCanonical(NotCanonical::Depth)));
    assert!(nested(100_000).is_err());
}

fn any_value(name: &'static str, text: &'static str) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(name, inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    /// The other library puts strings in normal form C first, so these are in it; and it sorts names with their
    /// quotes, so no character of these comes before a quote.
    #[test]
    fn any_value_is_written_as_olpc_cjson_writes_it(value in any_value("[#-\\[\\]-~é🔑]{0,4}", "[ -~\n\t\u{1}\u{7f}é€🔑ﾌ]{0,8}")) {
        let mut wanted = Vec::new();
        let mut other =
            serde_json::Serializer::with_formatter(&mut wanted, olpc_cjson::CanonicalFormatter::new());
        value.serialize(&mut other).unwrap();
        prop_assert_eq!(canonical::encode(&value).unwrap(), wanted);
    }
}

#[test]
fn any_value_is_written_as_securesystemslib_writes_it() {
    let mut runner = TestRunner::deterministic();
    let values: Vec<Value> =
        (0..500).map(|_| any_value(".{0,8}", ".{0,8}").new_tree(&mut runner).unwrap().current()).collect();
    let printed = python("canonical.py", &serde_json::to_string(&values).unwrap());
    let wanted: Vec<String> = serde_json::from_str(&printed).unwrap();
    for (value, wanted) in values.iter().zip(wanted) {
        assert_eq!(String::from_utf8(canonical::encode(value).unwrap()).unwrap(), wanted);
    }
}
