//! Documents as text against documents as values.

use std::collections::{BTreeMap, BTreeSet};

use countersign_tuf::build::{self, Head};
use countersign_tuf::meta::Meta;
use countersign_tuf::metadata::Document;
use countersign_tuf::{canonical, text};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Characters that are written in more than one way, and some that are not.
const TEXT: &str =
    "[\u{0}-\u{2f}\\\\\"/a-zA-Z\u{7f}-\u{a0}é€\u{2028}\u{fb33}\u{fffd}\u{1f600}\u{10ffff}]{0,12}";

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        TEXT.prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            any_members(inner).prop_map(Value::Object),
        ]
    })
}

fn any_members(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::btree_map(TEXT, value, 0..4).prop_map(|members| members.into_iter().collect())
}

fn any_head() -> impl Strategy<Value = Head> {
    (1..u64::MAX, 0..253_402_300_799i64, any::<u32>()).prop_map(|(version, seconds, nanos)| Head {
        version,
        expires: jiff::Timestamp::new(seconds, (nanos % 1_000_000_000) as i32).unwrap(),
    })
}

/// A document with what is in `others` too, which ours has the first word in.
fn with_others(document: Document, others: &Map<String, Value>) -> Document {
    let edited = document.edited(|signed| {
        for (name, value) in others {
            signed.entry(name).or_insert(value.clone());
        }
    });
    edited.unwrap()
}

fn assert_same(text: &text::SignedText, document: &Document) {
    assert_eq!(text.canonical().as_bytes(), document.signed_bytes());
    assert_eq!(text.file("[]").as_bytes(), document.to_bytes());
    assert_eq!(Document::parse(text.file("[]").as_bytes()).unwrap(), *document);
    assert_eq!(text.as_str(), canonical::compact(&Value::Object(document.signed().clone())));
}

proptest! {
    #[test]
    fn targets_are_those_that_are_built_from_values(
        head in any_head(),
        others in any_members(any_value()),
        targets in prop::collection::btree_map(TEXT, (any::<u64>(), any_members(any_value())), 0..6),
    ) {
        let info = |(length, custom): &(u64, _)| {
            json!({"length": length, "hashes": {"sha256": "ab", "blake2b-256": "cd"}, "custom": custom})
        };
        let targets: BTreeMap<String, Value> =
            targets.iter().map(|(path, target)| (path.clone(), info(target))).collect();
        let entries: Vec<_> = targets.iter().map(|(path, info)| text::entry(path, info)).collect();
        let mut others = others;
        // What every document has is ours.
        others.insert("version".into(), json!(0));
        others.insert("targets".into(), json!("none"));
        let document = with_others(build::targets(head, targets, None).unwrap(), &others);
        assert_same(&text::targets(head, &others, &entries.join(",")), &document);
    }

    #[test]
    fn snapshots_are_those_that_are_built_from_values(
        head in any_head(),
        others in any_members(any_value()),
        roles in prop::collection::btree_map(TEXT, 1..u64::MAX, 0..12),
    ) {
        let metas = roles.iter().map(|(role, version)| (role.clone(), Meta::version(*version)));
        let document = with_others(build::snapshot(head, metas).unwrap(), &others);
        assert_same(&text::snapshot(head, &others, roles), &document);
    }

    #[test]
    fn timestamps_are_those_that_are_built_from_values(
        head in any_head(),
        others in any_members(any_value()),
        version in 1..u64::MAX,
        file in prop::option::of(".*"),
    ) {
        let meta = file.map_or(Meta::version(version), |file| Meta::of_file(version, file.as_bytes()));
        let document = with_others(build::timestamp(head, &meta).unwrap(), &others);
        assert_same(&text::timestamp(head, &others, &meta), &document);
    }

    #[test]
    fn the_canonical_form_of_a_text_is_that_of_its_value(value in any_value()) {
        let compact = canonical::compact(&value);
        prop_assert_eq!(&compact, &value.to_string());
        let wanted = String::from_utf8(canonical::encode(&value).unwrap()).unwrap();
        prop_assert_eq!(canonical::of_compact(&compact), wanted);
    }

    #[test]
    fn no_text_stops_it(text in ".*", tail in "(\\\\(u[0-9a-dD]{0,4})?.?)*") {
        let text = text + &tail;
        let made = canonical::of_compact(&text);
        prop_assert!(made.len() <= text.len());
    }
}

#[test]
fn each_control_character_stands_raw_however_it_was_escaped() {
    for number in 0u32..0xa0 {
        let character = char::from_u32(number).unwrap();
        let text = format!("a{character}b");
        let wanted = String::from_utf8(canonical::encode(&json!(text)).unwrap()).unwrap();
        let short = serde_json::to_string(&text).unwrap();
        assert_eq!(canonical::of_compact(&short), wanted, "{number:#x}");
        for long in [format!("\"a\\u{number:04x}b\""), format!("\"a\\u{number:04X}b\"")] {
            assert_eq!(canonical::of_compact(&long), wanted, "{long}");
        }
    }
}

#[test]
fn escapes_are_told_from_what_looks_like_them() {
    for (text, wanted) in [
        (r#""\\n""#, r#""\\n""#),
        (r#""\\\n""#, "\"\\\\\n\""),
        (r#""\\u0041""#, r#""\\u0041""#),
        (r#""\"\/\"""#, r#""\"/\"""#),
        (r#""\ud83d\ude00\u00e9""#, "\"😀é\""),
        (r#""\u0022\u005c""#, r#""\"\\""#),
        // Neither is a character alone.
        (r#""\ud83d""#, r#""\ud83d""#),
        (r#""\ude00\ud83d\n""#, "\"\\ude00\\ud83d\n\""),
        (r#""\ud83d\u0041""#, r#""\ud83dA""#),
        (r"\", r"\"),
        (r"\u+123\x", r"\u+123\x"),
        (r"\u00é", r"\u00é"),
    ] {
        assert_eq!(canonical::of_compact(text), wanted, "{text}");
    }
}

#[test]
fn a_text_without_escapes_is_not_copied() {
    let text = text::targets(
        Head::first(jiff::Timestamp::UNIX_EPOCH, 1),
        &Map::new(),
        &text::entry("é", &json!({})),
    );
    assert!(matches!(text.canonical(), std::borrow::Cow::Borrowed(_)));
}

#[test]
fn signatures_are_written_as_a_document_writes_them() {
    let mut document = build::snapshot(Head::first(jiff::Timestamp::UNIX_EPOCH, 1), []).unwrap();
    let text = text::snapshot(Head::first(jiff::Timestamp::UNIX_EPOCH, 1), &Map::new(), []);
    assert_eq!(text.file(&text::signatures([])).as_bytes(), document.to_bytes());
    let pairs = [("\"a\"", "00"), ("b", "")];
    pairs.iter().for_each(|(keyid, sig)| document.put_signature(keyid, sig));
    assert_eq!(text.file(&text::signatures(pairs)).as_bytes(), document.to_bytes());
}

#[test]
fn files_in_a_snapshot_are_sorted_by_their_names() {
    let names = ["a", "a-b", "a.b", "a0", "A", "é", "bins-0"];
    let roles = names.map(|name| (name.to_owned(), 1));
    let text = text::snapshot(Head::first(jiff::Timestamp::UNIX_EPOCH, 1), &Map::new(), roles);
    let places: Vec<_> =
        names.map(|name| format!("\"{name}.json\"")).iter().map(|n| text.as_str().find(n)).collect();
    assert!(places.iter().all(Option::is_some));
    let by_place: BTreeSet<_> = places.iter().zip(names).collect();
    let sorted: Vec<_> = by_place.into_iter().map(|(_, name)| name).collect();
    assert_eq!(sorted, ["A", "a-b", "a.b", "a", "a0", "bins-0", "é"]);
}

#[test]
fn a_snapshot_of_16384_bins_is_as_small_as_it_can_be() {
    let head = Head::first("2026-11-21T00:00:00Z".parse().unwrap(), 1);
    let bins = (0..16_384).map(|bin| (format!("bins-{bin:04x}"), 10));
    let signed = text::snapshot(head, &Map::new(), bins.chain([("targets".to_owned(), 1)]));
    // 32 bytes a bin, with versions of two digits; clients take 2 000 000.
    let rest = r#"{"_type":"snapshot","expires":"2026-11-22T00:00:00Z","meta":{"targets.json":{"version":1}},"spec_version":"1.0.31","version":1}"#;
    assert_eq!(signed.as_str().len(), 16_384 * 32 + rest.len());
}
