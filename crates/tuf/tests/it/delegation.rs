//! Custom delegated roles.

use countersign_tuf::build::{self, Head};
use countersign_tuf::check::Refusal;
use countersign_tuf::check::delegation::{Accepted, delegations, progress, role_name, signature};
use countersign_tuf::metadata::Document;
use serde_json::{Value, json};

use crate::support::{Signer, json, now};

fn judge(asked: &Value) -> Result<Accepted, Refusal> {
    let online = Signer::ed25519(9);
    delegations(asked, None, (&online.keyid, &online.object))
}

fn role(name: &str, keys: &[&Signer], threshold: u64, paths: Value) -> Value {
    let keyids: Vec<&str> = keys.iter().map(|signer| signer.keyid.as_str()).collect();
    json!({"name": name, "terminating": true, "threshold": threshold, "keyids": keyids, "paths": paths,
        "x-rstuf-expire-policy": 7})
}

fn document(accepted: Accepted) -> Document {
    build::targets(Head::first(now(), 1), [], Some(accepted.delegations)).unwrap()
}

#[test]
fn what_rstuf_was_sent_is_accepted_and_gets_the_online_key() {
    let asked = json("payloads.json")["delegations_add"]["delegations"].clone();
    let accepted = judge(&asked).unwrap();
    assert_eq!(accepted.days, [("team".to_owned(), 7)]);
    let online = Signer::ed25519(9);
    assert_eq!(accepted.delegations["roles"][0]["keyids"], json!([online.keyid]));
    assert_eq!(accepted.delegations["roles"][0].get("x-rstuf-expire-policy"), None, "it is a setting");
    let document = document(accepted);
    let read = document.targets().unwrap().delegations.unwrap();
    assert_eq!(read.home_of("team/a.tgz").as_deref(), Some("team"));
    assert_eq!(read.home_of("other/a.tgz"), None);
}

#[test]
fn the_first_role_with_a_matching_pattern_takes_the_artifact() {
    let (ana, bo) = (Signer::ed25519(1), Signer::ed25519(2));
    let asked = json!({
        "keys": {&ana.keyid: ana.object, &bo.keyid: bo.object},
        "roles": [
            {"name": "a", "terminating": false, "threshold": 2, "keyids": [ana.keyid, bo.keyid],
             "paths": ["x/*", "y"], "x-rstuf-expire-policy": 1},
            role("b", &[&bo], 1, json!(["*/*"])),
            role("c", &[&bo], 1, json!(["*/*", "*"])),
        ],
    });
    let document = document(judge(&asked).unwrap());
    let read = document.targets().unwrap().delegations.unwrap();
    let names = |path| read.roles_for(path).into_iter().map(|child| child.name).collect::<Vec<_>>();
    assert_eq!(names("x/1"), ["a", "b"], "`b` is terminating");
    assert_eq!(names("z/1"), ["b"]);
    assert_eq!(names("y"), ["a", "c"]);
    assert_eq!(read.home_of("y").as_deref(), Some("a"));
    assert_eq!(read.role("a").unwrap().threshold, 2);
    assert!(read.role("d").is_none());
}

#[test]
fn delegations_that_could_never_be_signed_or_found_are_refused() {
    let (ana, bo) = (Signer::ed25519(1), Signer::ed25519(2));
    let asked = |role: Value| {
        let mut keys = json!({&ana.keyid: ana.object, &bo.keyid: bo.object, "again": ana.object});
        keys["s"] = json!({"keytype": "sigstore-oidc", "scheme": "Fulcio", "keyval": {"identity": "a"}});
        judge(&json!({"keys": keys, "roles": [role]})).map(drop)
    };
    let good = || role("dev", &[&ana, &bo], 2, json!(["dev/*"]));
    let with = |member: &str, value: Value| {
        let mut role = good();
        role[member] = value;
        asked(role)
    };
    assert_eq!(asked(good()), Ok(()));
    assert!(matches!(with("threshold", json!(3)), Err(Refusal::Threshold { threshold: 3, keys: 2, .. })));
    assert!(matches!(with("keyids", json!([])), Err(Refusal::Threshold { keys: 1, .. })), "one online key");
    assert!(matches!(with("keyids", json!([ana.keyid, "again"])), Err(Refusal::SameKey { .. })));
    assert!(matches!(with("keyids", json!([ana.keyid, "x"])), Err(Refusal::MissingKey { .. })));
    assert!(matches!(with("keyids", json!([ana.keyid, "s"])), Err(Refusal::UnusableKey { .. })));
    for paths in [json!(null), json!([]), json!([""]), json!("a"), json!([1]), json!(["a".repeat(4097)])] {
        assert_eq!(with("paths", paths), Err(Refusal::Paths("dev".into())));
    }
    assert_eq!(with("paths", json!(["a".repeat(4096)])), Ok(()));
    assert_eq!(with("paths", json!(vec!["a"; 1_000])), Ok(()));
    assert!(matches!(with("paths", json!(vec!["a"; 1_001])), Err(Refusal::TooMany { count: 1_001, .. })));
    for shown_beside in ["trusted_root", "trusted_targets"] {
        assert!(matches!(with("name", json!(shown_beside)), Err(Refusal::RoleName(_))));
    }
    for days in [json!(0), json!(-1), json!(null), json!("7"), json!(40_000)] {
        assert_eq!(with("x-rstuf-expire-policy", days), Err(Refusal::Days { role: "dev".into() }));
    }
    assert!(matches!(with("terminating", json!("yes")), Err(Refusal::Metadata(_))));
    assert!(matches!(with("keyids", json!("all")), Err(Refusal::Metadata(_))));
    let one = role("a", &[], 1, json!(["a"]));
    assert!(judge(&json!({"roles": [one]})).is_ok(), "no keys but the online one");
    assert!(judge(&json!({"keys": {}})).is_err());
    let twice = role("a", &[], 1, json!(["a"]));
    assert!(judge(&json!({"keys": {}, "roles": [twice, twice]})).is_err());
}

#[test]
fn a_role_may_name_keys_of_the_delegations_in_force() {
    let (ana, online) = (Signer::ed25519(1), Signer::ed25519(9));
    let current = json!({"keys": {&ana.keyid: ana.object}, "roles": []});
    let asked = json!({"keys": {}, "roles": [role("dev", &[&ana], 1, json!(["dev/*"]))]});
    let with = |current| delegations(&asked, current, (&online.keyid, &online.object));
    assert_eq!(with(Some(&current)).unwrap().delegations["keys"][&ana.keyid], ana.object);
    assert!(matches!(with(None), Err(Refusal::MissingKey { .. })));
}

#[test]
fn what_is_nested_too_deeply_for_a_file_is_refused_when_it_is_sent() {
    let online = Signer::ed25519(9);
    let nested = |depth: usize| (1..depth).fold(json!({}), |inner, _| json!({"x": inner}));
    let delegation = |depth: usize| {
        let mut role = role("dev", &[], 1, json!(["dev/*"]));
        role["x-a-b"] = nested(depth);
        delegations(&json!({"roles": [role]}), None, (&online.keyid, &online.object))
    };
    // The document, `signed`, `delegations`, `roles`, the role.
    let accepted = delegation(95).unwrap();
    assert!(build::targets(Head::first(now(), 1), [], Some(accepted.delegations)).is_ok());
    assert!(delegation(96).is_err());

    let artifact = |depth: usize| {
        let info = json!({"length": 0, "hashes": {"other": "00"}, "custom": nested(depth)});
        countersign_tuf::check::artifact::artifact("a", &info)
    };
    let target = artifact(96).unwrap();
    let document = build::targets(Head::first(now(), 1), [("a".to_owned(), target)], None).unwrap();
    assert!(Document::parse(&document.to_bytes()).is_ok());
    assert!(artifact(97).is_err());
}

#[test]
fn names_are_exact_and_cannot_be_paths() {
    for good in ["dev", "My_Team", "a-1", "_", &"x".repeat(128)] {
        assert_eq!(role_name(good), Ok(()), "{good}");
    }
    for bad in [
        "",
        ".",
        "..",
        "a/b",
        "a\\b",
        "1dev",
        "a b",
        "é",
        "root",
        "targets",
        "a.json",
        "a%2f",
        &"x".repeat(129),
    ] {
        assert!(matches!(role_name(bad), Err(Refusal::RoleName(_))), "{bad}");
    }
}

#[test]
fn a_pending_role_takes_signatures_of_its_own_keys_only() {
    let (ana, bo) = (Signer::ed25519(1), Signer::ed25519(2));
    let asked = json!({
        "keys": {&ana.keyid: ana.object, &bo.keyid: bo.object},
        "roles": [role("a", &[&ana], 1, json!(["a"])), role("b", &[&bo], 1, json!(["b"]))],
    });
    let document = document(judge(&asked).unwrap());
    let read = document.targets().unwrap().delegations.unwrap();
    let pending = build::targets(Head::first(now(), 7), [], None).unwrap();
    let text = ana.text(&pending.signed_bytes());
    assert_eq!(progress(&pending, &read, "a").unwrap().missing, [ana.keyid.as_str()]);
    assert_eq!(progress(&pending, &read, "c"), None);
    assert_eq!(signature(&pending, &read, "a", &ana.keyid, &text), Ok(()));
    for (role, keyid, text) in [
        ("b", &ana.keyid, text.as_str()),
        ("a", &bo.keyid, text.as_str()),
        ("c", &ana.keyid, text.as_str()),
        ("a", &ana.keyid, "00"),
    ] {
        assert_eq!(signature(&pending, &read, role, keyid, text), Err(Refusal::Signature));
    }
}
