//! The dialects of canonical JSON, beside the packages of Python that others sign with.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use countersign_model::canonical::{content_signature, python_compact};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::Value;

/// Reads a value a line; writes it as both packages do, a line each.
const REFERENCE: &str = r#"
import canonicaljson, json, sys
for line in sys.stdin:
    value = json.loads(line)
    print(canonicaljson.dumps(value))
    print(json.dumps(value, sort_keys=True, separators=(",", ":")))
"#;

#[test]
fn any_value_is_written_as_the_packages_of_python_write_it() {
    let mut runner = TestRunner::default();
    let mut values: Vec<Value> =
        (0..600).map(|_| any_json().new_tree(&mut runner).unwrap().current()).collect();
    values.extend((0..6000).map(|_| any_double().new_tree(&mut runner).unwrap().current()));
    values.extend(CORNERS.iter().map(|text| serde_json::from_str::<Value>(text).unwrap()));

    let lines: String = values.iter().map(|value| format!("{value}\n")).collect();
    let written = python(REFERENCE, lines);
    let mut theirs = written.lines();
    for value in &values {
        assert_eq!(content_signature(value).unwrap(), theirs.next().unwrap(), "{value}");
        assert_eq!(python_compact(value), theirs.next().unwrap(), "{value}");
    }
    assert_eq!(theirs.next(), None);
}

const CORNERS: &[&str] = &[
    "[18446744073709551615,-9223372036854775808,9007199254740993]",
    "[0.0001,0.00001,0.00012,1e15,1e16,1e17,123456789012345680.0,9999999999999998.0,1e-7]",
    "[-0.0,0.0,5e-324,1.7976931348623157e308,2.2250738585072014e-308,5.684341886080802e-14]",
    r#"{"\ue000":1,"\ud83d\ude00":2,"\uffff":3,"a":4,"A":5,"":6,"\u007f":7}"#,
];

fn any_double() -> impl Strategy<Value = Value> {
    let bits = any::<u64>().prop_map(f64::from_bits);
    // Those near the places where the ways of writing change, and those with few digits.
    let few = (any::<i32>(), -30i32..30).prop_map(|(digits, power)| f64::from(digits) * 10f64.powi(power));
    prop_oneof![bits, few].prop_filter("finite", |f| f.is_finite()).prop_map(Value::from)
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any_double(),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// What a Python program prints that gets `input`.
fn python(program: &str, input: String) -> String {
    let python = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../test-venv/bin/python");
    let mut child = Command::new(&python)
        .args(["-c", program])
        .env("PYTHONIOENCODING", "utf-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}: run scripts/install-test-tools", python.display()));
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "run scripts/install-test-tools");
    String::from_utf8(output.stdout).unwrap()
}
