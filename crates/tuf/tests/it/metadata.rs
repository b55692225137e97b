//! Documents as values.

use countersign_tuf::expires;
use countersign_tuf::metadata::{Document, Kind, MetadataError};
use serde_json::{Value, json};

use crate::repo::{Repo, target};
use crate::support::{Signer, bytes, json, time};

#[test]
fn every_file_of_rstuf_is_read_and_written_with_the_same_values() {
    for entry in std::fs::read_dir(crate::support::path("metadata")).unwrap() {
        let file = std::fs::read(entry.unwrap().path()).unwrap();
        let document = Document::parse(&file).unwrap();
        let again: Value = serde_json::from_slice(&document.to_bytes()).unwrap();
        assert_eq!(again, serde_json::from_slice::<Value>(&file).unwrap());
        assert!(document.to_bytes().len() < file.len(), "compact");
    }
}

#[test]
fn unknown_members_and_great_integers_survive_every_edit() {
    let mut value = json("payloads.json")["bootstrap_full"]["metadata"]["root"].clone();
    value["signed"]["x-example-note"] = json!({"n": 9_007_199_254_740_993_u64, "deep": [{"x": null}]});
    value["beside"] = json!("kept");
    let document = Document::from_value(value.clone()).unwrap();
    assert_eq!(document.to_value(), value);
    let edited = document.edited(|signed| drop(signed.insert("version".into(), json!(2)))).unwrap();
    assert_eq!(edited.signed()["x-example-note"], value["signed"]["x-example-note"]);
    assert_eq!((edited.version(), edited.signatures().count()), (2, 0));
    assert!(String::from_utf8(edited.signed_bytes()).unwrap().contains("9007199254740993"));
}

#[test]
fn a_signature_is_replaced_not_counted_twice() {
    let mut document = Document::parse(&bytes("metadata/1.root.json")).unwrap();
    let keyid = document.signatures().next().unwrap().keyid.to_owned();
    let before = document.signed_sha256();
    document.put_signature(&keyid, "00");
    document.put_signature("other", "11");
    let all: Vec<_> = document.signatures().map(|s| s.sig.to_owned()).collect();
    assert_eq!((all.len(), all[0].as_str(), all[2].as_str()), (3, "00", "11"));
    document.retain_signatures(|signature| signature.keyid == "other");
    assert_eq!(document.signatures().count(), 1);
    assert_eq!(document.signed_sha256(), before);
}

#[test]
fn malformed_documents_are_refused() {
    let good = json("payloads.json")["bootstrap_full"]["metadata"]["root"].clone();
    assert!(Document::from_value(good.clone()).is_ok());
    let break_at = |pointer: &str, value: Value| {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        Document::from_value(bad)
    };
    for (pointer, value) in [
        ("/signed", json!([])),
        ("/signatures", json!({})),
        ("/signatures/0", json!("x")),
        ("/signatures/0/sig", json!(null)),
        ("/signatures/0/keyid", json!(1)),
        ("/signed/_type", json!("mirrors")),
        ("/signed/version", json!(0)),
        ("/signed/version", json!(-1)),
        ("/signed/version", json!("1")),
        ("/signed/version", json!(1.0)),
        ("/signed/spec_version", json!("2.0.0")),
        ("/signed/spec_version", json!("1")),
        ("/signed/spec_version", json!("1.0.x")),
        ("/signed/expires", json!("2027-11-20T21:45:39+00:00")),
        ("/signed/expires", json!("2027-11-20T21:45:39.5Z")),
        ("/signed/expires", json!("2027-02-30T00:00:00Z")),
        ("/signed/consistent_snapshot", json!("yes")),
        ("/signed/keys", json!([])),
        ("/signed/roles/timestamp", json!(null)),
        ("/signed/roles/root/threshold", json!(0)),
        ("/signed/roles/root/keyids", json!(["a", "a"])),
        ("/signed/x-example-note", json!([0.5])),
    ] {
        assert!(break_at(pointer, value.clone()).is_err(), "{pointer} {value}");
    }
    let mut twice = good.clone();
    let first = twice["signatures"][0].clone();
    twice["signatures"].as_array_mut().unwrap().push(first);
    assert!(matches!(Document::from_value(twice), Err(MetadataError::DuplicateSignature(_))));
    let text = good.to_string().replacen("\"version\":1", "\"version\":1,\"version\":1", 1);
    assert!(matches!(Document::parse(text.as_bytes()), Err(MetadataError::Read(_))));
}

#[test]
fn a_view_of_another_type_is_refused() {
    let document = Document::parse(&bytes("metadata/timestamp.json")).unwrap();
    assert_eq!(document.kind(), Kind::Timestamp);
    assert_eq!(document.timestamp().unwrap().snapshot.version, 3);
    let wanted = MetadataError::Kind { wanted: Kind::Root, got: Kind::Timestamp };
    assert_eq!(document.root().unwrap_err(), wanted);
    assert!(document.snapshot().is_err() && document.targets().is_err());
}

#[test]
fn an_empty_signature_is_read_and_does_not_count() {
    let mut repo = Repo::with_bins();
    let third = repo.root_keys[2].keyid.clone();
    repo.root.put_signature(&third, "");
    let read = Document::parse(&repo.root.to_bytes()).unwrap();
    let root = read.root().unwrap();
    let tally = countersign_tuf::threshold::Tally::of(&read, &root.keys, root.role(Kind::Root));
    assert_eq!((tally.have.len(), tally.missing, tally.threshold), (2, vec![third], 2));
}

#[test]
fn one_public_key_under_two_ids_counts_once() {
    let (ana, bo, online) = (Signer::ed25519(1), Signer::ed25519(2), Signer::ed25519(9));
    let mut root = crate::repo::root_document(1, &[ana, bo], 2, &online);
    let (ana, bo) = (Signer::ed25519(1), Signer::ed25519(2));
    root = root
        .edited(|signed| {
            signed["keys"]["again"] = signed["keys"][&ana.keyid].clone();
            signed["roles"]["root"]["keyids"].as_array_mut().unwrap().push(json!("again"));
        })
        .unwrap();
    let text = ana.text(&root.signed_bytes());
    root.put_signature(&ana.keyid, &text);
    root.put_signature("again", &text);
    let view = root.root().unwrap();
    let count =
        |root: &Document| countersign_tuf::threshold::Tally::of(root, &view.keys, view.role(Kind::Root));
    assert_eq!(count(&root).have, [ana.keyid.as_str()]);
    assert_eq!(count(&root).missing, [bo.keyid.as_str()], "neither of the ids of who has signed");
    assert!(!count(&root).is_met());
    bo.sign(&mut root);
    assert!(count(&root).is_met());
}

#[test]
fn times_have_one_form_and_are_whole_seconds() {
    assert_eq!(expires::after(time("2026-02-28T10:00:00.999Z"), 1), time("2026-03-01T10:00:00Z"));
    assert_eq!(expires::render(time("2026-02-28T10:00:00.999Z")), "2026-02-28T10:00:00Z");
    for bad in
        ["2026-02-28t10:00:00Z", "2026-02-28T10:00:00z", "2026-02-28 10:00:00Z", "2026-02-28T10:00:60Z", ""]
    {
        assert_eq!(expires::parse(bad), None, "{bad}");
    }
    assert!(expires::after(jiff::Timestamp::MAX, 10) == jiff::Timestamp::MAX);
}

#[test]
fn a_role_is_due_when_a_third_of_its_life_is_left() {
    let expires = time("2026-06-04T00:00:00Z");
    assert!(!expires::is_due(expires, 3, time("2026-06-02T23:59:59Z")));
    assert!(expires::is_due(expires, 3, time("2026-06-03T00:00:00Z")));
    assert!(expires::is_due(expires, 3, time("2027-01-01T00:00:00Z")), "long expired");
}

#[test]
fn delegations_are_either_roles_or_bins() {
    let online = Signer::ed25519(9);
    let head = countersign_tuf::build::Head::first(crate::support::now(), 1);
    let make = |delegations: Value| {
        let targets = [("a".to_owned(), target("a", b"x"))];
        countersign_tuf::build::targets(head, targets, Some(delegations))
    };
    let role =
        json!({"name": "r", "keyids": [online.keyid], "threshold": 1, "terminating": false, "paths": ["*"]});
    let bins = countersign_tuf::build::bins(&online.keyid, &online.object, 1);
    let mut both = bins.clone();
    both["roles"] = json!([role]);
    assert!(make(both).is_err());
    assert!(make(json!({"keys": {}})).is_err());
    assert!(make(json!({"keys": {}, "roles": [role, role]})).is_err(), "a name twice");
    for (member, value) in [
        ("name", json!("")),
        ("name", json!("snapshot")),
        ("paths", json!(null)),
        ("paths", json!([1])),
        ("terminating", json!(null)),
        ("path_hash_prefixes", json!(["ab"])),
        ("threshold", json!(0)),
    ] {
        let mut bad = role.clone();
        bad[member] = value;
        assert!(make(json!({"keys": {}, "roles": [bad]})).is_err(), "{member}");
    }
    assert!(make(json!({"keys": {}, "roles": [role]})).is_ok());
}
