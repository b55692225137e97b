//! New roots: what is accepted, and who has signed.

use countersign_tuf::check::Refusal;
use countersign_tuf::check::root::{self, Rules};
use countersign_tuf::key::Key;
use countersign_tuf::metadata::{Document, Kind};
use serde_json::{Map, Value, json};

use crate::repo::root_document;
use crate::support::{Signer, json, now, time};

fn people() -> Vec<Signer> {
    vec![Signer::ed25519(1), Signer::ed25519(2), Signer::ed25519(3)]
}

fn online() -> Signer {
    Signer::ed25519(9)
}

fn first() -> Document {
    root_document(1, &people(), 2, &online())
}

fn judge(new: &Document, trusted: Option<&Document>) -> Result<(), Refusal> {
    root::content(new, Rules { trusted, now: now(), online: &[online().key] }).map(drop)
}

fn first_with(change: impl FnOnce(&mut Map<String, Value>)) -> Result<(), Refusal> {
    judge(&first().edited(change).unwrap(), None)
}

#[test]
fn a_good_first_root_is_accepted() {
    assert_eq!(judge(&first(), None), Ok(()));
    let with_extension = first_with(|signed| drop(signed.insert("x-example-note".into(), json!("x"))));
    assert_eq!(with_extension, Ok(()));
}

#[test]
fn the_roots_that_rstuf_was_sent_are_judged_as_it_judged_them() {
    let payloads = json("payloads.json");
    let document = |name: &str| Document::from_value(payloads[name]["metadata"]["root"].clone()).unwrap();
    let (one, full, update) =
        (document("bootstrap_one_of_two"), document("bootstrap_full"), document("update"));
    let signed = root::signatures(&one, None).unwrap();
    assert!(!signed.is_complete());
    assert_eq!((signed.new.have.len(), signed.new.missing.len(), signed.new.threshold), (1, 2, 2));
    assert!(root::signatures(&full, None).unwrap().is_complete());

    let keys = full.root().unwrap();
    let online: Vec<Key> = keys.role(Kind::Targets).keys(&keys.keys).map(|(_, key)| key.clone()).collect();
    let now = time("2026-11-20T22:00:00Z");
    assert!(root::content(&full, Rules { trusted: None, now, online: &online }).is_ok());
    assert!(root::content(&update, Rules { trusted: Some(&full), now, online: &online }).is_ok());
    let signed = root::signatures(&update, Some(&full)).unwrap();
    assert!(!signed.is_complete(), "a new key has signed, and nobody of the old ones");

    let sign = &payloads["sign"]["signature"];
    let (keyid, sig) = (sign["keyid"].as_str().unwrap(), sign["sig"].as_str().unwrap());
    assert_eq!(root::signature(&one, None, keyid, sig), Ok(()));
    let mut one = one;
    one.put_signature(keyid, sig);
    assert!(root::progress(&one, None).unwrap().is_complete());
}

#[test]
fn a_first_root_that_would_fail_later_is_refused_at_once() {
    let threshold = Refusal::Threshold { role: "root".into(), threshold: 4, keys: 3 };
    assert_eq!(first_with(|s| s["roles"]["root"]["threshold"] = json!(4)), Err(threshold));
    assert_eq!(
        first_with(|s| s["version"] = json!(2)).unwrap_err().to_string(),
        "Failed to verify the trust: Expected root version 1 instead got version 2"
    );
    let expired = first_with(|s| s["expires"] = json!("2026-06-01T12:00:00Z"));
    assert!(matches!(expired, Err(Refusal::Expired { .. })), "at this very second");
    assert_eq!(first_with(|s| s["spec_version"] = json!("1.0")), Err(Refusal::SpecVersion));
    assert_eq!(first_with(|s| s["consistent_snapshot"] = json!(false)), Err(Refusal::ConsistentSnapshot));
    let foreign = first_with(|s| s["roles"]["mirrors"] = json!({"keyids": [], "threshold": 1}));
    assert_eq!(foreign, Err(Refusal::ForeignRole("mirrors".into())));
    for member in ["note", "x-note", "x--note", "X-a-b", "x-a-"] {
        let refused = first_with(|s| drop(s.insert(member.into(), json!(1))));
        assert_eq!(refused, Err(Refusal::ForeignMember(member.into())));
    }
    let missing = first_with(|s| s["roles"]["root"]["keyids"][0] = json!("nobody"));
    assert_eq!(missing, Err(Refusal::MissingKey { role: "root".into(), keyid: "nobody".into() }));
    let large = first_with(|s| drop(s.insert("x-a-b".into(), json!("x".repeat(512_000)))));
    assert!(matches!(large, Err(Refusal::TooLarge { limit: 512_000, .. })));
}

#[test]
fn a_public_key_under_two_ids_of_a_role_is_refused() {
    let refused = first_with(|signed| {
        let keyid = signed["roles"]["root"]["keyids"][0].as_str().unwrap().to_owned();
        signed["keys"]["again"] = signed["keys"][&keyid].clone();
        signed["keys"]["again"]["x-example-name"] = json!("another");
        signed["roles"]["root"]["keyids"].as_array_mut().unwrap().push(json!("again"));
    });
    assert!(matches!(refused, Err(Refusal::SameKey { second, .. }) if second == "again"));
}

#[test]
fn keys_that_cannot_be_verified_are_refused_with_the_reason() {
    let refused = first_with(|signed| {
        signed["keys"]["s"] = json!({"keytype": "sigstore-oidc", "scheme": "Fulcio",
            "keyval": {"identity": "a", "issuer": "b"}});
        signed["roles"]["root"]["keyids"].as_array_mut().unwrap().push(json!("s"));
    });
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("`s`") && text.contains("Sigstore"), "{text}");
}

#[test]
fn online_roles_are_signed_by_the_servers_keys_whatever_they_are_called() {
    let stranger = Signer::ed25519(77);
    let unknown = root_document(1, &people(), 2, &stranger);
    assert!(matches!(judge(&unknown, None), Err(Refusal::UnknownOnlineKey { .. })));

    let renamed = first_with(|signed| {
        let old = online().keyid;
        let mut key = signed["keys"][&old].clone();
        key["x-rstuf-online-key-uri"] = json!("fn:whatever");
        signed["keys"]["mine"] = key;
        for role in ["timestamp", "snapshot", "targets"] {
            signed["roles"][role]["keyids"] = json!(["mine"]);
        }
    });
    assert_eq!(renamed, Ok(()));
}

#[test]
fn the_next_root_is_signed_by_the_old_threshold_and_by_the_new_one() {
    let (ana, bo, cy) = (Signer::ed25519(1), Signer::ed25519(2), Signer::ed25519(3));
    let (dan, eve) = (Signer::ed25519(4), Signer::ed25519(5));
    let trusted = first();
    let mut new = root_document(2, &[Signer::ed25519(4), Signer::ed25519(5)], 2, &online());
    assert_eq!(judge(&new, Some(&trusted)), Ok(()));
    assert_eq!(root::signatures(&new, Some(&trusted)), Err(Refusal::NoSignature));

    dan.sign(&mut new);
    eve.sign(&mut new);
    let signed = root::signatures(&new, Some(&trusted)).unwrap();
    assert!(signed.new.is_met() && !signed.is_complete());
    ana.sign(&mut new);
    let status = root::progress(&new, Some(&trusted)).unwrap().status(2, "2026-06-01T12:00:00Z");
    let wanted = json!({"version": 2, "submitted": "2026-06-01T12:00:00Z",
        "trusted": {"threshold": 2, "have": 1, "missing": [bo.keyid, cy.keyid]},
        "new": {"threshold": 2, "have": 2, "missing": []}});
    assert_eq!(status, wanted);
    bo.sign(&mut new);
    assert!(root::progress(&new, Some(&trusted)).unwrap().is_complete());
}

#[test]
fn every_signature_that_comes_along_is_valid_and_authorised() {
    let (ana, stranger) = (Signer::ed25519(1), Signer::ed25519(50));
    let trusted = first();
    let next = trusted.edited(|signed| signed["version"] = json!(2)).unwrap();
    for (keyid, text) in [
        (stranger.keyid.clone(), stranger.text(&next.signed_bytes())),
        (online().keyid, online().text(&next.signed_bytes())),
        (ana.keyid.clone(), ana.text(b"something else")),
        (ana.keyid.clone(), String::new()),
        (Signer::ed25519(2).keyid, ana.text(&next.signed_bytes())),
    ] {
        let mut new = next.clone();
        ana.sign(&mut new);
        new.put_signature(&keyid, &text);
        assert_eq!(root::signatures(&new, Some(&trusted)), Err(Refusal::MetadataSignature));
        assert_eq!(
            root::signatures(&new, None).unwrap_err().to_string(),
            "Bootstrap has invalid signature(s)"
        );
        let refused = root::signature(&new, Some(&trusted), &keyid, &text).unwrap_err();
        assert_eq!(refused.to_string(), "Invalid signature");
    }
}

#[test]
fn versions_go_up_one_by_one() {
    let trusted = first();
    for (version, accepted) in [(1, false), (2, true), (3, false)] {
        let new = trusted.edited(|signed| signed["version"] = json!(version)).unwrap();
        assert_eq!(judge(&new, Some(&trusted)).is_ok(), accepted, "{version}");
    }
}

#[test]
fn a_key_id_does_not_change_its_key() {
    let trusted = first();
    let new = trusted.edited(|signed| {
        signed["version"] = json!(2);
        let keyid = signed["roles"]["root"]["keyids"][0].as_str().unwrap().to_owned();
        signed["keys"][&keyid] = Signer::ed25519(60).object;
    });
    assert!(matches!(judge(&new.unwrap(), Some(&trusted)), Err(Refusal::ReusedKeyId(_))));
}

#[test]
fn what_takes_the_place_of_a_pending_root_is_neither_the_same_nor_withdrawn() {
    let pending = first();
    let mut more_signatures = pending.clone();
    Signer::ed25519(1).sign(&mut more_signatures);
    let same = root::replaces(&more_signatures, &pending, &[]).unwrap_err();
    assert_eq!(same.to_string(), "Metadata cannot be patched - new metadata same as the old one");
    let other = pending.edited(|signed| drop(signed.insert("x-a-b".into(), json!(1)))).unwrap();
    assert_eq!(root::replaces(&other, &pending, &[[0; 32]]), Ok(()));
    let withdrawn = root::replaces(&other, &pending, &[other.signed_sha256()]).unwrap_err();
    assert_eq!(withdrawn.to_string(), "Metadata cannot be patched - this metadata was withdrawn");
}

#[test]
fn a_rotation_of_online_keys_is_seen_by_public_key() {
    let trusted = first();
    let renamed = root_document(2, &people(), 2, &online());
    assert_eq!(root::rotated(&trusted, &renamed), Ok(vec![]));
    let rotated = root_document(2, &people(), 2, &Signer::ed25519(10));
    assert_eq!(root::rotated(&trusted, &rotated), Ok(vec![Kind::Timestamp, Kind::Snapshot, Kind::Targets]));
}

/// An RSA key signs in more than one way.
#[test]
fn the_same_key_with_another_scheme_is_another_key() {
    let rsa = Signer::rsa();
    let mut other = rsa.object.clone();
    other["scheme"] = json!("rsa-pkcs1v15-sha256");
    let other = Key::from_value(&other).unwrap();
    let trusted = root_document(1, &people(), 2, &rsa);
    let judged = |new: &Document| {
        let online = [rsa.key.clone(), other.clone()];
        root::content(new, Rules { trusted: Some(&trusted), now: now(), online: &online }).map(drop)
    };
    let with_id = |id: &str| {
        let new = trusted.edited(|signed| {
            signed["version"] = json!(2);
            let mut object = signed["keys"].as_object_mut().unwrap().remove(&rsa.keyid).unwrap();
            object["scheme"] = json!("rsa-pkcs1v15-sha256");
            signed["keys"][id] = object;
            for role in ["timestamp", "snapshot", "targets"] {
                signed["roles"][role]["keyids"] = json!([id]);
            }
        });
        new.unwrap()
    };
    // Whoever has the old root would verify what is signed under this id by the old scheme.
    assert!(matches!(judged(&with_id(&rsa.keyid)), Err(Refusal::ReusedKeyId(_))));
    let renamed = with_id("another");
    assert_eq!(judged(&renamed), Ok(()));
    assert_eq!(root::rotated(&trusted, &renamed), Ok(vec![Kind::Timestamp, Kind::Snapshot, Kind::Targets]));
}

#[test]
fn a_root_has_no_more_keys_and_comes_with_no_more_signatures_than_can_be_judged_quickly() {
    let with_keys = |count: usize| {
        first_with(|signed| {
            let has = signed["keys"].as_object().unwrap().len();
            for more in has..count {
                let key = json!({"keytype": "k", "scheme": "s", "keyval": {"public": more.to_string()}});
                signed["keys"][format!("k{more}")] = key;
            }
        })
    };
    assert_eq!(with_keys(root::MAX_KEYS), Ok(()));
    let error = with_keys(root::MAX_KEYS + 1).unwrap_err();
    assert_eq!(error.to_string(), "Role `root` would have 257 keys; 256 are the most");
    let with_signatures = |count: usize| {
        let mut root = first();
        (0..count).for_each(|number| root.put_signature(&format!("k{number}"), "00"));
        judge(&root, None)
    };
    assert_eq!(with_signatures(root::MAX_SIGNATURES), Ok(()));
    let error = with_signatures(root::MAX_SIGNATURES + 1).unwrap_err();
    assert_eq!(error.to_string(), "Role `root` would have 65 signatures; 64 are the most");
}
