//! Changes to delegations.

use countersign_tuf::edit::{Change, Failure, put_roles, remove_roles, replace_key};
use serde_json::{Value, json};

use crate::support::Signer;

fn role(name: &str, keys: &[&Signer]) -> Value {
    let keyids: Vec<&str> = keys.iter().map(|signer| signer.keyid.as_str()).collect();
    json!({"name": name, "keyids": keyids, "threshold": 1, "terminating": true, "paths": ["*"], "x-a-b": name})
}

fn delegations(keys: &[&Signer], roles: &[Value]) -> Value {
    let keys: serde_json::Map<String, Value> =
        keys.iter().map(|signer| (signer.keyid.clone(), signer.object.clone())).collect();
    json!({"keys": keys, "roles": roles, "x-kept-beside": [1]})
}

#[test]
fn roles_are_added_updated_and_deleted_one_by_one() {
    let (ana, bo) = (Signer::ed25519(1), Signer::ed25519(2));
    let current = delegations(&[&ana], &[role("a", &[&ana]), role("b", &[&ana])]);

    let asked = delegations(&[&bo], &[role("a", &[&bo]), role("c", &[&bo])]);
    let added = put_roles(&current, &asked, Change::Add);
    let wanted = delegations(&[&ana, &bo], &[role("a", &[&ana]), role("b", &[&ana]), role("c", &[&bo])]);
    assert_eq!(added.delegations, wanted);
    assert_eq!((added.done, added.failed), (vec!["c".to_owned()], vec![("a".to_owned(), Failure::Exists)]));

    let updated = put_roles(&current, &asked, Change::Update);
    let wanted = delegations(&[&ana, &bo], &[role("a", &[&bo]), role("b", &[&ana])]);
    assert_eq!(updated.delegations, wanted, "in its old place");
    assert_eq!(updated.failed, [("c".to_owned(), Failure::Unknown)]);

    let removed = remove_roles(&wanted, &["b".into(), "x".into()]);
    assert_eq!(removed.delegations, delegations(&[&bo], &[role("a", &[&bo])]), "its key is gone with it");
    assert_eq!(removed.failed, [("x".to_owned(), Failure::Unknown)]);
}

#[test]
fn a_key_id_that_others_use_does_not_change_its_key() {
    let (ana, bo) = (Signer::ed25519(1), Signer::ed25519(2));
    let current = delegations(&[&ana], &[role("a", &[&ana]), role("b", &[&ana])]);
    let mut asked = delegations(&[&ana], &[role("c", &[&ana])]);
    asked["keys"][&ana.keyid] = bo.object.clone();
    let refused = put_roles(&current, &asked, Change::Add);
    assert_eq!((refused.delegations, refused.failed), (current, vec![("c".to_owned(), Failure::KeyId)]));

    let alone = delegations(&[&ana], &[role("a", &[&ana])]);
    asked["roles"][0]["name"] = json!("a");
    let changed = put_roles(&alone, &asked, Change::Update);
    assert_eq!(changed.delegations["keys"][&ana.keyid], bo.object, "nobody else uses it");
}

#[test]
fn a_rotated_online_key_is_replaced_wherever_it_is() {
    let (ana, old, new) = (Signer::ed25519(1), Signer::ed25519(9), Signer::ed25519(10));
    let current = delegations(&[&ana, &old], &[role("a", &[&ana, &old]), role("b", &[&old])]);
    let wanted = delegations(&[&ana, &new], &[role("a", &[&ana, &new]), role("b", &[&new])]);
    assert_eq!(replace_key(&current, &old.keyid, (&new.keyid, &new.object)), wanted);
    assert_eq!(replace_key(&wanted, &old.keyid, (&new.keyid, &new.object)), wanted, "once only");

    let bins = |online: &Signer| countersign_tuf::build::bins(&online.keyid, &online.object, 4);
    assert_eq!(replace_key(&bins(&old), &old.keyid, (&new.keyid, &new.object)), bins(&new));
}
