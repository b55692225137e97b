//! Bundles that Python and OpenSSL made.

use std::path::PathBuf;

use countersign_model::PublicKey;
use countersign_records::tag::{AuthorityName, TagFile, WeakKeys};
use countersign_verify::authority::{Status, judge};
use countersign_verify::bundle::{BundleError, Content, Expired, is_expired, verify};
use jiff::Timestamp;

use crate::support::{fixture, text};

fn bundle(file: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/key-bundles");
    std::fs::read_to_string(root.join(file)).unwrap()
}

fn root(path: &str) -> PublicKey {
    PublicKey::from_pem(&text(path)).unwrap()
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The verdict over a bundle under the Ed25519 root.
fn verdict(bundle: &str, at: &str, seen: Option<u64>, expired: Expired) -> Result<Content, BundleError> {
    verify(bundle.as_bytes(), &root("keys/ed.pub"), time(at), seen, expired)
}

const IN_TIME: &str = "2026-07-02T00:00:00Z";

#[test]
fn a_bundle_under_a_root_of_any_type_is_believed() {
    for (file, path) in
        [("ed.json", "keys/ed.pub"), ("alpha.json", "keys/alpha.pub"), ("echo-384.json", "keys/echo-384.pub")]
    {
        let content =
            verify(bundle(file).as_bytes(), &root(path), time(IN_TIME), None, Expired::Refuse).unwrap();
        assert_eq!(content.version, 7);
        let names: Vec<_> = content.authorities.keys().map(AuthorityName::as_str).collect();
        assert_eq!(names, ["alpha", "bravo", "zulu"]);
    }
}

#[test]
fn tags_are_judged_by_the_keys_of_a_bundle() {
    let content = verdict(&bundle("ed.json"), IN_TIME, None, Expired::Refuse).unwrap();
    let bytes = fixture("example.signed");
    let file = TagFile::parse(&bytes).unwrap();
    let status = |name: &str| {
        let keys = &content.authorities[&name.parse().unwrap()];
        judge(&file, keys, None, time(IN_TIME), WeakKeys::Refuse).status
    };
    assert_eq!(status("alpha"), Status::Valid);
    assert_eq!(status("bravo"), Status::Revoked);
    assert_eq!(status("zulu"), Status::Missing);
}

#[test]
fn a_bundle_under_another_root_or_changed_after_signing_is_refused() {
    let good = bundle("ed.json");
    let other = verify(good.as_bytes(), &root("keys/alpha.pub"), time(IN_TIME), None, Expired::Refuse);
    assert!(matches!(other, Err(BundleError::NotSigned { .. })), "{other:?}");

    for (from, to) in [
        ("\"version\": 7", "\"version\": 8"),
        ("2026-07-08T00:00:00Z", "2036-07-08T00:00:00Z"),
        ("\"alpha\": [", "\"alpha2\": ["),
        ("\"reason\": \"stolen", "\"reason\": \"Stolen"),
        ("\"type\": \"countersign-authorities\"", "\"type\": \"countersign-authorities\", \"x\": 1"),
    ] {
        let changed = good.replace(from, to);
        assert_ne!(changed, good, "{from}");
        let refused = verdict(&changed, IN_TIME, None, Expired::Allow);
        assert!(matches!(refused, Err(BundleError::InvalidSignature { .. })), "{from}: {refused:?}");
    }
}

#[test]
fn the_signature_of_another_key_under_the_name_of_the_root_does_not_count() {
    let id = |path: &str| root(path).id().to_string();
    let renamed = bundle("alpha.json").replacen(
        &format!("\"keyid\": \"{}\"", id("keys/alpha.pub")),
        &format!("\"keyid\": \"{}\"", id("keys/ed.pub")),
        1,
    );
    let refused = verdict(&renamed, IN_TIME, None, Expired::Refuse);
    assert!(matches!(refused, Err(BundleError::InvalidSignature { .. })), "{refused:?}");
}

#[test]
fn an_expired_bundle_is_refused_unless_it_is_allowed() {
    let good = bundle("ed.json");
    for (at, expired) in
        [("2026-07-08T00:00:00.9Z", false), ("2026-07-08T00:00:01Z", true), ("2036-01-01T00:00:00Z", true)]
    {
        let verdict_then = |policy| verdict(&good, at, None, policy);
        assert_eq!(verdict_then(Expired::Refuse).is_err(), expired, "{at}");
        assert_eq!(is_expired(&verdict_then(Expired::Allow).unwrap(), time(at)), expired, "{at}");
    }
    let error = verdict(&good, "2027-01-01T00:00:00Z", None, Expired::Refuse).unwrap_err();
    assert_eq!(error.to_string(), "key bundle expired 2026-07-08T00:00:00Z");
    assert!(error.hint().contains("GET /authorities/bundle"));
}

#[test]
fn an_older_version_than_one_seen_is_refused_whatever_is_allowed() {
    let good = bundle("ed.json");
    for (seen, taken) in [(None, true), (Some(6), true), (Some(7), true), (Some(8), false)] {
        assert_eq!(verdict(&good, IN_TIME, seen, Expired::Allow).is_ok(), taken, "{seen:?}");
    }
    let error = verdict(&good, "2027-01-01T00:00:00Z", Some(8), Expired::Refuse).unwrap_err();
    assert_eq!(error.to_string(), "key bundle has version 7, but version 8 was seen before");
}

#[test]
fn what_is_no_bundle_is_refused() {
    for text in ["", "{}", "[]", "null", "{\"signed\":{},\"signatures\":[]}"] {
        let error = verdict(text, IN_TIME, None, Expired::Refuse).unwrap_err();
        assert!(matches!(error, BundleError::Malformed(_)), "{text}: {error}");
    }
}
