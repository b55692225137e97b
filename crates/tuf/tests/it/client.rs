//! The client's workflow: what is refused, section by section of the specification.

use countersign_tuf::build::{self, Head};
use countersign_tuf::client::{Client, ClientError, Limits, Local, Wanted};
use countersign_tuf::meta::Meta;
use countersign_tuf::metadata::Document;
use countersign_tuf::names::file_name;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::repo::{Repo, find, kept, refresh};
use crate::support::Signer;

/// A repository with one file, and a client that has seen it.
fn seen() -> (Repo, Client) {
    let mut repo = Repo::with_bins();
    repo.put_role("bins-3", &[("a", b"content")], None);
    repo.publish();
    let mut client = repo.client();
    refresh(&mut client, &repo.files).unwrap();
    (repo, client)
}

/// A later client with what `client` has kept.
fn later(client: &Client, repo: &Repo) -> Client {
    let (root, local) = kept(client);
    Client::new(&root, local, repo.now).unwrap()
}

#[test]
fn a_file_is_found_in_its_bin_and_nothing_else_is_fetched() {
    let (repo, mut client) = seen();
    // SHA-256 of `a` begins with ca: the last of four bins.
    assert_eq!(find(&mut client, &repo.files, "a").unwrap().unwrap().length, 7);
    assert_eq!(find(&mut client, &repo.files, "absent"), Ok(None));
    let roles: Vec<&str> = client.trusted().map(|(role, _)| role).collect();
    assert!(roles.starts_with(&["root", "timestamp", "snapshot", "bins-"][..3]) && roles.len() <= 6);
}

#[test]
fn roots_are_followed_one_by_one_5_3() {
    let mut repo = Repo::with_bins();
    repo.next_root(|_| {});
    repo.next_root(|_| {});
    let mut client = repo.client();
    refresh(&mut client, &repo.files).unwrap();
    assert_eq!(client.root().version(), 3);

    let mut skipping = repo.client();
    let third = repo.files["3.root.json"].clone();
    assert!(matches!(skipping.give(third), Err(ClientError::Version { wanted: 2, got: 3, .. })));
    assert_eq!(skipping.root().version(), 1);
}

#[test]
fn a_root_without_the_old_threshold_or_its_own_is_refused_5_3_4() {
    let mut repo = Repo::with_bins();
    let new = Signer::ed25519(70);
    let own = |signed: &mut serde_json::Map<String, Value>| {
        signed["version"] = json!(2);
        signed["keys"][&new.keyid] = new.object.clone();
        signed["roles"]["root"] = json!({"keyids": [new.keyid], "threshold": 1});
    };
    let mut by_new = repo.root.edited(own).unwrap();
    let mut by_old = by_new.clone();
    let mut by_both = by_new.clone();
    new.sign(&mut by_new);
    new.sign(&mut by_both);
    for signer in &repo.root_keys[..2] {
        signer.sign(&mut by_old);
        signer.sign(&mut by_both);
    }
    for bad in [by_new, by_old] {
        repo.files.insert("2.root.json".into(), bad.to_bytes());
        assert!(matches!(refresh(&mut repo.client(), &repo.files), Err(ClientError::Signatures { .. })));
    }
    repo.files.insert("2.root.json".into(), by_both.to_bytes());
    assert_eq!(refresh(&mut repo.client(), &repo.files), Ok(()));
}

#[test]
fn an_expired_root_is_followed_but_not_the_last_one_5_3_10() {
    let mut repo = Repo::with_bins();
    repo.next_root(|signed| signed["expires"] = json!("2020-01-01T00:00:00Z"));
    assert!(matches!(refresh(&mut repo.client(), &repo.files), Err(ClientError::Expired { .. })));
    repo.next_root(|signed| signed["expires"] = json!("2030-01-01T00:00:00Z"));
    assert_eq!(refresh(&mut repo.client(), &repo.files), Ok(()));
}

#[test]
fn versions_of_a_stolen_key_are_forgotten_with_it_5_3_11() {
    let (mut repo, _) = seen();
    repo.timestamp = 1_000_000;
    repo.snapshot = 1_000_000;
    repo.publish();
    let mut client = repo.client();
    refresh(&mut client, &repo.files).unwrap();

    repo.online = Signer::ed25519(10);
    let online = Signer::ed25519(10);
    repo.next_root(|signed| {
        signed["keys"][&online.keyid] = online.object.clone();
        for role in ["timestamp", "snapshot", "targets"] {
            signed["roles"][role]["keyids"] = json!([online.keyid]);
        }
    });
    (repo.timestamp, repo.snapshot) = (3, 3);
    repo.put_role("targets", &[], Some(build::bins(&online.keyid, &online.object, 2)));
    for bin in 0..4 {
        repo.put_role(&format!("bins-{bin}"), &[], None);
    }
    repo.publish();
    assert_eq!(refresh(&mut later(&client, &repo), &repo.files), Ok(()));
}

/// A root in which these keys sign timestamp, snapshot and targets.
fn online_keys(repo: &mut Repo, keys: &[&Signer]) {
    repo.next_root(|signed| {
        for key in keys {
            signed["keys"][&key.keyid] = key.object.clone();
        }
        let keyids: Vec<&str> = keys.iter().map(|key| key.keyid.as_str()).collect();
        for role in ["timestamp", "snapshot", "targets"] {
            signed["roles"][role]["keyids"] = json!(keyids);
        }
    });
}

#[test]
fn a_key_that_is_taken_away_makes_clients_forget_and_one_that_is_added_does_not_5_3_11() {
    let (stays, other) = (Signer::ed25519(9), Signer::ed25519(10));
    for (before, after, forgotten) in
        [(vec![&stays, &other], vec![&stays], true), (vec![&stays], vec![&stays, &other], false)]
    {
        let (mut repo, _) = seen();
        online_keys(&mut repo, &before);
        (repo.timestamp, repo.snapshot) = (1_000_000, 1_000_000);
        repo.publish();
        let mut client = repo.client();
        refresh(&mut client, &repo.files).unwrap();

        online_keys(&mut repo, &after);
        (repo.timestamp, repo.snapshot) = (3, 3);
        repo.publish();
        assert_eq!(refresh(&mut later(&client, &repo), &repo.files).is_ok(), forgotten);
    }
}

#[test]
fn a_timestamp_does_not_go_back_5_4_3() {
    let (mut repo, client) = seen();
    repo.timestamp -= 2;
    repo.publish();
    let refused = refresh(&mut later(&client, &repo), &repo.files);
    assert!(matches!(refused, Err(ClientError::Rollback { trusted: 2, got: 1, .. })), "{refused:?}");
    // Neither does the snapshot that it names.
    let (mut repo, client) = seen();
    repo.snapshot = 0;
    repo.publish();
    let refused = refresh(&mut later(&client, &repo), &repo.files);
    assert!(matches!(&refused, Err(ClientError::Rollback { role, .. }) if role == "snapshot"), "{refused:?}");
}

#[test]
fn an_expired_timestamp_still_tells_what_was_seen_5_4_3() {
    let (mut repo, client) = seen();
    repo.now += SignedDuration::from_hours(48);
    (repo.timestamp, repo.snapshot) = (0, 0);
    repo.publish();
    let refused = refresh(&mut later(&client, &repo), &repo.files);
    assert!(matches!(refused, Err(ClientError::Rollback { .. })), "{refused:?}");
}

#[test]
fn a_frozen_repository_is_noticed_5_4_4() {
    let (mut repo, client) = seen();
    repo.now += SignedDuration::from_hours(24);
    assert!(matches!(refresh(&mut later(&client, &repo), &repo.files), Err(ClientError::Expired { .. })));
    assert!(matches!(refresh(&mut repo.client(), &repo.files), Err(ClientError::Expired { .. })));
}

#[test]
fn a_snapshot_is_the_file_that_the_timestamp_means_5_5() {
    let (mut repo, _) = seen();
    let older = repo.files["1.snapshot.json"].clone();
    repo.files.insert("2.snapshot.json".into(), older);
    assert!(matches!(refresh(&mut repo.client(), &repo.files), Err(ClientError::Mismatch { .. })));
    // Where the timestamp has no hash, its version tells.
    let mut timestamp = build::timestamp(Head::after(2, repo.now, 1), &Meta::version(2)).unwrap();
    repo.online.sign(&mut timestamp);
    repo.files.insert("timestamp.json".into(), timestamp.to_bytes());
    assert!(matches!(
        refresh(&mut repo.client(), &repo.files),
        Err(ClientError::Version { wanted: 2, got: 1, .. })
    ));
}

#[test]
fn no_role_leaves_the_snapshot_or_goes_back_5_5_5() {
    let (mut repo, client) = seen();
    let bin = repo.roles.remove("bins-0").unwrap();
    repo.publish();
    let refused = refresh(&mut later(&client, &repo), &repo.files);
    assert!(
        matches!(&refused, Err(ClientError::Dropped { role, .. }) if role == "bins-0.json"),
        "{refused:?}"
    );
    assert_eq!(refresh(&mut repo.client(), &repo.files), Ok(()), "who never saw it does not miss it");

    repo.roles.insert("bins-0".into(), bin);
    let first = Document::parse(&repo.files["1.bins-3.json"]).unwrap();
    repo.roles.insert("bins-3".into(), first);
    repo.publish();
    let refused = refresh(&mut later(&client, &repo), &repo.files);
    assert!(
        matches!(&refused, Err(ClientError::Rollback { role, .. }) if role == "bins-3.json"),
        "{refused:?}"
    );
}

#[test]
fn targets_of_another_moment_are_refused_5_6() {
    let (mut repo, _) = seen();
    repo.put_role("targets", &[("evil", b"x")], None);
    let newer = repo.files["2.targets.json"].clone();
    repo.files.insert("1.targets.json".into(), newer);
    assert!(matches!(refresh(&mut repo.client(), &repo.files), Err(ClientError::Mismatch { .. })));
}

#[test]
fn a_changed_file_is_refused_wherever_it_is() {
    let (repo, _) = seen();
    for name in ["timestamp.json", "2.snapshot.json", "1.targets.json"] {
        let mut files = repo.files.clone();
        let text = String::from_utf8(files[name].clone()).unwrap().replace("2026-", "2036-");
        files.insert(name.into(), text.into_bytes());
        let refused = refresh(&mut repo.client(), &files);
        assert!(
            matches!(refused, Err(ClientError::Signatures { .. } | ClientError::Mismatch { .. })),
            "{name} {refused:?}"
        );
        files.insert(name.into(), b"<html>".to_vec());
        assert!(refresh(&mut repo.client(), &files).is_err());
        files.remove(name);
        assert!(matches!(refresh(&mut repo.client(), &files), Err(ClientError::Missing { .. })));
    }
}

#[test]
fn after_a_refusal_the_same_file_can_be_given_right() {
    let (repo, _) = seen();
    let mut client = repo.client();
    client.give_missing().unwrap();
    assert!(client.give(b"{}".to_vec()).is_err());
    assert_eq!(client.needs().unwrap().name, "timestamp.json");
    assert_eq!(refresh(&mut client, &repo.files), Ok(()));
    assert_eq!(client.give(Vec::new()), Err(ClientError::NotAsked));
    assert_eq!(client.give_missing(), Err(ClientError::NotAsked));
}

#[test]
fn no_more_is_read_than_the_limits_say() {
    let (repo, _) = seen();
    let mut client = repo.client();
    let root = Wanted { name: "2.root.json".into(), limit: 512_000, optional: true };
    assert_eq!(client.needs(), Some(root));
    assert!(matches!(client.give(vec![b' '; 512_001]), Err(ClientError::TooLong { limit: 512_000, .. })));
    client.give_missing().unwrap();
    assert_eq!(client.needs().unwrap().limit, 16_384);
    client.give(repo.files["timestamp.json"].clone()).unwrap();
    let length = repo.files["2.snapshot.json"].len() as u64;
    assert_eq!(client.needs().unwrap().limit, length, "the timestamp tells its length");
}

#[test]
fn an_endless_chain_of_roots_ends() {
    let mut repo = Repo::with_bins();
    for _ in 0..5 {
        repo.next_root(|_| {});
    }
    let limits = Limits { rotations: 3, ..Limits::default() };
    let root = &repo.files["1.root.json"];
    let mut client = Client::with_limits(root, Local::default(), repo.now, limits).unwrap();
    refresh(&mut client, &repo.files).unwrap();
    assert_eq!(client.root().version(), 4, "the rest at the next refresh");
}

fn role(name: &str, key: &Signer, terminating: bool, paths: &[&str]) -> Value {
    json!({"name": name, "keyids": [key.keyid], "threshold": 1, "terminating": terminating, "paths": paths})
}

fn delegations(key: &Signer, roles: Vec<Value>) -> Value {
    json!({"keys": {&key.keyid: key.object}, "roles": roles})
}

#[test]
fn delegations_are_asked_in_order_and_a_terminating_one_is_the_last_5_6_7() {
    let mut repo = Repo::new(|key| {
        Some(delegations(
            key,
            vec![
                role("a", key, false, &["x/*"]),
                role("b", key, true, &["x/*"]),
                role("c", key, false, &["*/*"]),
            ],
        ))
    });
    let key = Signer::ed25519(9);
    repo.put_role("a", &[], Some(delegations(&key, vec![role("d", &key, false, &["x/?"])])));
    repo.put_role("b", &[("x/both", b"b")], None);
    repo.put_role("c", &[("x/both", b"ccc"), ("x/last", b"c"), ("y/c", b"c")], None);
    repo.put_role("d", &[("x/1", b"d"), ("x/long", b"not trusted with it")], None);
    repo.publish();
    let mut client = repo.client();
    let mut length = |path: &str| find(&mut client, &repo.files, path).unwrap().map(|file| file.length);
    assert_eq!(length("x/1"), Some(1), "below `a`");
    assert_eq!(length("x/both"), Some(1), "`b` before `c`");
    assert_eq!(length("x/last"), None, "`b` is terminating");
    assert_eq!(length("y/c"), Some(1));
    assert_eq!(length("x/long"), None, "`d` has it, and is not trusted with it");
}

#[test]
fn a_terminating_role_ends_the_search_also_for_those_further_up_5_6_7() {
    let mut repo = Repo::new(|key| {
        Some(delegations(key, vec![role("a", key, false, &["*"]), role("c", key, false, &["*"])]))
    });
    let key = Signer::ed25519(9);
    repo.put_role("a", &[], Some(delegations(&key, vec![role("t", &key, true, &["f"])])));
    repo.put_role("t", &[], None);
    repo.put_role("c", &[("f", b"x"), ("g", b"x")], None);
    repo.publish();
    assert_eq!(find(&mut repo.client(), &repo.files, "f"), Ok(None));
    assert!(find(&mut repo.client(), &repo.files, "g").unwrap().is_some());
}

#[test]
fn circles_and_crowds_of_delegations_end() {
    let mut repo = Repo::new(|key| {
        let mut roles = vec![role("a", key, false, &["*"])];
        roles.extend((0..50).map(|i| role(&format!("r{i}"), key, false, &["*"])));
        Some(delegations(key, roles))
    });
    let key = Signer::ed25519(9);
    repo.put_role("a", &[], Some(delegations(&key, vec![role("a", &key, false, &["*"])])));
    for i in 0..50 {
        repo.put_role(&format!("r{i}"), if i == 49 { &[("f", b"x")] } else { &[] }, None);
    }
    repo.publish();
    let mut client = repo.client();
    assert_eq!(find(&mut client, &repo.files, "f"), Ok(None), "thirty-two roles are enough");
    assert_eq!(client.trusted().count(), 3 + 33);
    let all = Limits { delegations: 100, ..Limits::default() };
    let root = &repo.files["1.root.json"];
    let mut client = Client::with_limits(root, Local::default(), repo.now, all).unwrap();
    assert!(find(&mut client, &repo.files, "f").unwrap().is_some());
}

#[test]
fn a_delegated_role_is_signed_by_the_keys_that_delegate_to_it() {
    let stranger = Signer::ed25519(80);
    let mut repo = Repo::new(|key| {
        Some(delegations(key, vec![role("a", key, false, &["*"]), role("b/é", key, false, &["*"])]))
    });
    repo.put_role("b/é", &[("f", b"x")], None);
    let own = std::mem::replace(&mut repo.online, stranger);
    repo.put_role("a", &[("f", b"evil")], None);
    repo.online = own;
    repo.publish();
    let refused = find(&mut repo.client(), &repo.files, "f");
    assert!(matches!(refused, Err(ClientError::Signatures { .. })), "{refused:?}");

    repo.put_role("a", &[], None);
    repo.publish();
    assert_eq!(find(&mut repo.client(), &repo.files, "f").unwrap().unwrap().length, 1);
    assert!(repo.files.contains_key("1.b%2F%C3%A9.json"), "{}", file_name("b/é", Some(1)));

    repo.roles.remove("a");
    repo.publish();
    let refused = find(&mut repo.client(), &repo.files, "f");
    assert_eq!(refused, Err(ClientError::NotInSnapshot { role: "a".into() }));
}

#[test]
fn a_role_that_two_delegate_to_is_verified_for_each() {
    let stranger = Signer::ed25519(80);
    let mut repo = Repo::new(|key| {
        Some(delegations(key, vec![role("a", key, true, &["x/*"]), role("b", key, true, &["y/*"])]))
    });
    let key = Signer::ed25519(9);
    repo.put_role("a", &[], Some(delegations(&key, vec![role("d", &key, false, &["*/*"])])));
    repo.put_role("b", &[], Some(delegations(&stranger, vec![role("d", &stranger, false, &["*/*"])])));
    repo.put_role("d", &[("x/1", b"d"), ("y/1", b"d")], None);
    repo.publish();
    let mut client = repo.client();
    assert!(find(&mut client, &repo.files, "x/1").unwrap().is_some());
    let refused = find(&mut client, &repo.files, "y/1");
    assert!(matches!(refused, Err(ClientError::Signatures { .. })), "{refused:?}");
    assert!(find(&mut client, &repo.files, "x/1").unwrap().is_some(), "still");
}
