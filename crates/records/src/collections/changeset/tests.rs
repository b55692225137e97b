use countersign_model::ToSign;
use serde_json::json;

use super::*;
use crate::collections::content_signature::{Mode, PREFIX, Profile};

fn changeset(timestamp: i64, changes: serde_json::Value) -> Changeset {
    let document = json!({"metadata": {"id": "c"}, "timestamp": timestamp, "changes": changes, "extra": 1});
    Changeset::parse(document.to_string().as_bytes()).unwrap()
}

fn content(copy: &LocalCopy) -> String {
    let message = copy.message(Profile::Modern).unwrap();
    String::from_utf8(message.strip_prefix(PREFIX).unwrap().to_vec()).unwrap()
}

#[test]
fn a_copy_follows_the_changes() {
    let mut copy = LocalCopy::new();
    copy.apply(changeset(
        3,
        json!([{"id": "b", "last_modified": 3, "t": "é"}, {"id": "a", "last_modified": 2}]),
    ))
    .unwrap();
    let all = r#"{"data":[{"id":"a","last_modified":2},{"id":"b","last_modified":3,"t":"\u00e9"}],"last_modified":"3"}"#;
    assert_eq!(content(&copy), all);

    copy.apply(changeset(
        6,
        json!([{"id": "b", "last_modified": 6, "deleted": true}, {"id": "c", "last_modified": 5, "f": 1.5},
               {"id": "never", "last_modified": 4, "deleted": true}]),
    ))
    .unwrap();
    let rest = r#"{"data":[{"id":"a","last_modified":2},{"f":1.5E0,"id":"c","last_modified":5}],"last_modified":"6"}"#;
    assert_eq!(content(&copy), rest);
    let seed = r#"[{"id":"a","last_modified":2},{"f":1.5,"id":"c","last_modified":5}]"#;
    assert_eq!(copy.message(Profile::Seed).unwrap(), seed.as_bytes());
    for profile in [Profile::Modern, Profile::Seed] {
        for mode in Mode::ALL {
            let wanted = ToSign::of_message(mode.scheme(), &copy.message(profile).unwrap());
            assert_eq!(copy.to_sign(profile, mode).unwrap(), wanted);
        }
    }

    let before = copy.clone();
    let older = copy.apply(changeset(5, json!([])));
    assert!(matches!(older, Err(ChangesetError::Older { got: 5, have: 6 })));
    assert_eq!(copy, before);
}

#[test]
fn the_payload_of_the_seed_is_as_it_was_observed() {
    let records = r#"{"metadata":{},"timestamp":1795209759154,"changes":[
        {"f":1.0,"g":1e+21,"h":1e-5,"t":"\u00e9\ud83d\ude00","id":"bbbbbbbb-0000-4000-8000-000000000000",
         "last_modified":1795209759075},
        {"n":2,"big":9007199254740993,"id":"aaaaaaaa-0000-4000-8000-000000000000","last_modified":1795209759154}]}"#;
    let mut copy = LocalCopy::new();
    copy.apply(Changeset::parse(records.as_bytes()).unwrap()).unwrap();
    let wanted = concat!(
        r#"[{"big":9007199254740993,"id":"aaaaaaaa-0000-4000-8000-000000000000","last_modified":1795209759154,"n":2},"#,
        r#"{"f":1.0,"g":1e+21,"h":1e-05,"id":"bbbbbbbb-0000-4000-8000-000000000000","#,
        r#""last_modified":1795209759075,"t":"\u00e9\ud83d\ude00"}]"#
    );
    assert_eq!(String::from_utf8(copy.message(Profile::Seed).unwrap()).unwrap(), wanted);
}

#[test]
fn a_changeset_says_one_thing_about_a_record() {
    for (text, wanted) in [
        ("", "not an object"),
        ("[{},1,[]]", "not an object"),
        ("{", "EOF"),
        (r#"{"metadata":{},"timestamp":1}"#, "missing field `changes`"),
        (r#"{"metadata":[],"timestamp":1,"changes":[]}"#, "`metadata` is not an object"),
        (r#"{"metadata":{},"timestamp":"1","changes":[]}"#, "invalid type"),
        (r#"{"metadata":{},"timestamp":-1,"changes":[]}"#, "negative"),
        (r#"{"metadata":{},"timestamp":1.0,"changes":[]}"#, "invalid type"),
        (r#"{"metadata":{"a":1,"a":2},"timestamp":1,"changes":[]}"#, "duplicate member `a`"),
        (r#"{"metadata":{},"timestamp":1,"timestamp":1,"changes":[]}"#, "duplicate field"),
        (
            r#"{"metadata":{},"timestamp":1,"changes":[{"id":"a","last_modified":1,"id":"a"}]}"#,
            "duplicate member",
        ),
        (r#"{"metadata":{},"timestamp":1,"changes":[{"last_modified":1}]}"#, "no text `id`"),
        (r#"{"metadata":{},"timestamp":1,"changes":[{"id":1,"last_modified":1}]}"#, "no text `id`"),
        (r#"{"metadata":{},"timestamp":1,"changes":[{"id":"a"}]}"#, "no number `last_modified`"),
        (r#"{"metadata":{},"timestamp":1,"changes":[1]}"#, "no text `id`"),
        (
            r#"{"metadata":{},"timestamp":1,"changes":[{"id":"a","last_modified":1},{"id":"a","last_modified":1}]}"#,
            "the record `a` twice",
        ),
    ] {
        let error = Changeset::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(wanted), "{text}: {error}");
    }
}

#[test]
fn signatures_are_found_old_and_new() {
    let found = |metadata: serde_json::Value| {
        let all = bundles(metadata.as_object().unwrap());
        all.map(|all| all.into_iter().map(|bundle| bundle.signature).collect::<Vec<_>>())
    };
    let one = json!({"signature": "a"});
    assert_eq!(found(json!({"signature": one})).unwrap(), ["a"]);
    assert_eq!(
        found(json!({"signatures": [one, {"signature": "b"}], "signature": one})).unwrap(),
        ["a", "b"]
    );
    assert_eq!(found(json!({"signatures": [], "signature": one})).unwrap(), ["a"]);
    for none in [json!({}), json!({"signature": null}), json!({"signatures": [1]}), json!({"signatures": []})]
    {
        assert!(matches!(found(none), Err(ChangesetError::Signatures)));
    }
    let many = vec![one; MAX_BUNDLES + 1];
    assert!(matches!(found(json!({"signatures": many})), Err(ChangesetError::TooMany)));
}
