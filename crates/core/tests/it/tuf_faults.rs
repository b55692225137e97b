//! What one bad role, key or task does to the others: nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use countersign_core::tuf::publish::Step;
use countersign_core::tuf::request::{BootstrapDelegation, Delegations, Request};
use countersign_core::tuf::task::{self, TaskState};
use countersign_core::tuf::{self, online, read};
use countersign_core::{Caller, keys};
use countersign_model::Surface;
use countersign_store::{NewTufTask, RoleRow};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::House;
use crate::tuf_people::*;
use crate::tuf_publish::*;

/// A role with keys of its own, or of the server's default.
fn role(name: &str, keyids: &[&str], paths: &[&str]) -> Value {
    json!({
        "name": name, "terminating": true, "keyids": keyids, "threshold": 1, "paths": paths,
        "x-rstuf-expire-policy": 7,
    })
}

fn asked(keys: &[(&str, &Value)], roles: &[Value]) -> Value {
    let keys: serde_json::Map<String, Value> =
        keys.iter().map(|(keyid, object)| ((*keyid).to_owned(), (*object).clone())).collect();
    json!({"keys": keys, "roles": roles})
}

fn put(delegations: Delegations) -> Request {
    Request::MetadataDelegation(delegations)
}

fn delete(names: &[&str]) -> Request {
    put(Delegations::Delete(names.iter().map(ToString::to_string).collect()))
}

async fn begin(house: &House, person: &Person, delegations: Value) {
    let root = Root::first(&house.ctx, &[person], 1).await;
    let settings = settings(BootstrapDelegation::Roles(delegations));
    succeeded(&done(house, bootstrap(root.by(&[person]), settings)).await);
}

/// A key of the server's: id and object.
async fn key(house: &House, name: &str) -> (String, Value) {
    online::create(&house.ctx, &caller(house), name, "ed25519").await.unwrap();
    let all = online_keys(&house.ctx).await;
    all.into_iter().find(|(_, object)| object["x-rstuf-key-name"] == name).unwrap()
}

async fn revoke(house: &House, name: &str) {
    let caller = Caller { surface: Surface::Native, ..house.owner() };
    keys::revoke(&house.ctx, &caller, &name.parse().unwrap(), "lost".into()).await.unwrap();
}

async fn retire(house: &House, name: &str) {
    let caller = Caller { surface: Surface::Native, ..house.owner() };
    keys::retire(&house.ctx, &caller, &name.parse().unwrap()).await.unwrap();
}

async fn found(house: &House, path: &str) -> bool {
    let mut client = client(&house.ctx, 1).await.unwrap();
    find(&house.ctx, &mut client, path).await.unwrap()
}

async fn pending(house: &House, role: &str) -> Option<Value> {
    let shown = read::signing(&house.ctx).await.unwrap()?;
    shown["metadata"].get(role).cloned()
}

#[tokio::test]
async fn a_role_whose_only_key_is_retired_is_not_taken() {
    for house in House::on_both().await {
        let alice = Person::ed25519(1);
        let (id, object) = key(&house, "x").await;
        retire(&house, "tuf/x").await;
        let bad = asked(&[(&id, &object)], &[role("bad", &[&id], &["bad/*"])]);
        let root = Root::first(&house.ctx, &[&alice], 1).await.by(&[&alice]);
        let request = bootstrap(root, settings(BootstrapDelegation::Roles(bad.clone())));
        let (_, error) = errored(&done(&house, request).await);
        assert!(error.contains("retired"), "{error}");

        begin(&house, &alice, asked(&[], &[role("team", &[], &["team/*"])])).await;
        let (_, details) = succeeded(&done(&house, put(Delegations::Add(bad))).await);
        assert_eq!(details["delegated_roles"], json!([]));
        assert_eq!(details["failed_roles"][0]["role"], "bad");
        let reason = details["failed_roles"][0]["reason"].as_str().unwrap();
        assert!(reason.contains("retired"), "{reason}");
        house.end().await;
    }
}

#[tokio::test]
async fn a_role_whose_key_is_revoked_holds_up_no_other_and_can_be_deleted() {
    for house in House::on_both().await {
        let alice = Person::ed25519(1);
        let (id, object) = key(&house, "x").await;
        let roles = [role("bad", &[&id], &["bad/*"]), role("team", &[], &["team/*"])];
        begin(&house, &alice, asked(&[(&id, &object)], &roles)).await;
        succeeded(&done(&house, add(&["bad/a", "team/a"])).await);
        succeeded(&done(&house, stage(&["bad/c", "team/c"])).await);
        revoke(&house, "tuf/x").await;

        let before = versions(&house).await;
        let (message, error) = errored(&done(&house, add(&["bad/b"])).await);
        assert_eq!(message, "Adding artifact(s) Failed");
        assert!(error.contains("Role bad cannot be signed") && error.contains("revoked"), "{error}");
        errored(&done(&house, remove(&["bad/a"])).await);
        errored(&done(&house, force(&["bad"])).await);
        assert_eq!(versions(&house).await, before);

        succeeded(&done(&house, add(&["team/b"])).await);
        let (_, details) = succeeded(&done(&house, Request::PublishArtifacts).await);
        assert_eq!(details["artifact_roles"], json!(["team"]), "what cannot be signed stays staged");
        succeeded(&done(&house, force(&[])).await);
        assert!(
            found(&house, "team/b").await && found(&house, "team/c").await && found(&house, "bad/a").await
        );

        // What is due is signed, but for what cannot be.
        let before = versions(&house).await;
        let mut tx = house.ctx.store().tuf_write().await.unwrap();
        let rows = tx.roles(&["bad".into(), "team".into(), "timestamp".into()]).await.unwrap();
        let soon = Timestamp::now().checked_add(jiff::SignedDuration::from_hours(1)).unwrap();
        let rows: Vec<RoleRow> = rows.into_iter().map(|row| RoleRow { expires: soon, ..row }).collect();
        tx.put_roles(&rows).await.unwrap();
        tx.commit().await.unwrap();
        house.ctx.tuf().look_again();
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if versions(&house).await != before {
                break;
            }
        }
        let wanted = named(&[("team", 1), ("snapshot", 1), ("timestamp", 1)]);
        assert_eq!(risen(&before, &versions(&house).await), wanted);

        succeeded(&done(&house, delete(&["bad"])).await);
        succeeded(&done(&house, force(&[])).await);
        assert!(!found(&house, "bad/a").await && found(&house, "team/a").await);
        house.end().await;
    }
}

#[tokio::test]
async fn a_key_that_is_revoked_in_the_middle_of_a_publication_leaves_its_role_out() {
    for house in House::on_both().await {
        let alice = Person::ed25519(1);
        let (id, object) = key(&house, "x").await;
        let roles = [role("bad", &[&id], &["bad/*"]), role("team", &[], &["team/*"])];
        begin(&house, &alice, asked(&[(&id, &object)], &roles)).await;
        succeeded(&done(&house, add(&["bad/a", "team/a"])).await);
        let before = versions(&house).await;
        // It stops when rows are changed, and goes on when the key is revoked.
        let stopped = Arc::new(AtomicBool::new(true));
        let stops = Arc::clone(&stopped);
        house.ctx.tuf().steps.watch(move |step| match step {
            Step::Applied if stops.load(Ordering::SeqCst) => Err(tuf::Error::Unavailable("a test".into())),
            _ => Ok(()),
        });
        let accepted = task::submit(&house.ctx, &caller(&house), add(&["bad/b", "team/b"])).await.unwrap();
        for _ in 0..200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            let view = task::get(&house.ctx, &accepted.id, Duration::ZERO).await.unwrap();
            if view.state == TaskState::Running {
                break;
            }
        }
        revoke(&house, "tuf/x").await;
        stopped.store(false, Ordering::SeqCst);
        let (_, error) = errored(&end_of(&house.ctx, &accepted.id).await);
        assert!(error.contains("Role bad cannot be signed"), "{error}");
        for _ in 0..200 {
            if versions(&house).await != before {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let wanted = named(&[("team", 1), ("snapshot", 1), ("timestamp", 1)]);
        assert_eq!(risen(&before, &versions(&house).await), wanted);
        assert!(found(&house, "team/b").await && found(&house, "bad/a").await);

        // With another key what was changed meanwhile comes.
        let roles = [role("bad", &[], &["bad/*"])];
        succeeded(&done(&house, put(Delegations::Update(asked(&[], &roles)))).await);
        assert_eq!(risen(&before, &versions(&house).await)["bad"], 1);
        assert!(found(&house, "bad/b").await);
        house.end().await;
    }
}

#[tokio::test]
async fn a_role_with_two_keys_of_which_one_is_enough_is_signed_by_the_one_that_is_not_retired() {
    for house in House::on_both().await {
        let alice = Person::ed25519(1);
        let (one, two) = (key(&house, "x").await, key(&house, "y").await);
        let roles = [role("team", &[&one.0, &two.0], &["team/*"])];
        begin(&house, &alice, asked(&[(&one.0, &one.1), (&two.0, &two.1)], &roles)).await;
        retire(&house, "tuf/x").await;
        succeeded(&done(&house, add(&["team/a"])).await);
        assert!(found(&house, "team/a").await);
        house.end().await;
    }
}

#[tokio::test]
async fn nothing_is_published_below_its_threshold() {
    for house in House::on_both().await {
        let (alice, ana) = (Person::ed25519(1), Person::ed25519(3));
        let (first, second) = (first_online_key(&house.ctx).await, key(&house, "second").await);
        let mut root = Root::first(&house.ctx, &[&alice], 1).await.signed();
        root["keys"][&second.0] = second.1.clone();
        for role in ["snapshot", "timestamp"] {
            root["roles"][role] = json!({"keyids": [first.0, second.0], "threshold": 2});
        }
        let roles = asked(&[(&ana.keyid, &ana.object)], &[role("team", &[&ana.keyid], &["team/*"])]);
        let settings = settings(BootstrapDelegation::Roles(roles));
        succeeded(&done(&house, bootstrap(signed_by(root, &[&alice]), settings)).await);
        assert_eq!(document(&house, "timestamp.json").await.signatures().count(), 2);

        revoke(&house, "tuf/second").await;
        let before = versions(&house).await;
        let team = pending(&house, "team").await.unwrap();
        let (message, error) = errored(&done(&house, ana.signs("team", &team)).await);
        assert_eq!(message, "Signature Failed");
        assert!(error.contains("Role snapshot cannot be signed"), "{error}");
        assert_eq!(versions(&house).await, before);
        client(&house.ctx, 1).await.unwrap();
        house.end().await;
    }
}

#[tokio::test]
async fn what_is_staged_for_an_online_role_is_not_published_by_a_change_of_its_keys() {
    for house in House::on_both().await {
        let (alice, ana) = (Person::ed25519(1), Person::ed25519(3));
        let roles = [role("team", &[], &["team/*"]), role("people", &[&ana.keyid], &["people/*"])];
        begin(&house, &alice, asked(&[(&ana.keyid, &ana.object)], &roles)).await;
        succeeded(&done(&house, stage(&["team/a"])).await);
        succeeded(&done(&house, add(&["people/a"])).await);
        let (id, object) = key(&house, "x").await;
        let roles = [role("team", &[&id], &["team/*"]), role("people", &[], &["people/*"])];
        succeeded(&done(&house, put(Delegations::Update(asked(&[(&id, &object)], &roles)))).await);
        assert!(!found(&house, "team/a").await, "nobody has published it");
        assert!(found(&house, "people/a").await, "nobody need sign it any more");
        assert_eq!(read::signing(&house.ctx).await.unwrap(), None);
        succeeded(&done(&house, Request::PublishArtifacts).await);
        assert!(found(&house, "team/a").await);
        house.end().await;
    }
}

#[tokio::test]
async fn what_a_deleted_role_leaves_to_people_waits_for_them() {
    for house in House::on_both().await {
        let (alice, ana) = (Person::ed25519(1), Person::ed25519(3));
        let roles = [role("auto", &[], &["dist/*"]), role("people", &[&ana.keyid], &["dist/*"])];
        begin(&house, &alice, asked(&[(&ana.keyid, &ana.object)], &roles)).await;
        let team = pending(&house, "people").await.unwrap();
        succeeded(&done(&house, ana.signs("people", &team)).await);
        succeeded(&done(&house, add(&["dist/a"])).await);
        succeeded(&done(&house, delete(&["auto"])).await);
        assert!(!found(&house, "dist/a").await);
        let waits = pending(&house, "people").await.expect("it waits");
        assert!(waits["signed"]["targets"]["dist/a"].is_object());
        succeeded(&done(&house, ana.signs("people", &waits)).await);
        assert!(found(&house, "dist/a").await);
        house.end().await;
    }
}

#[tokio::test]
async fn roles_are_deleted_only_where_clients_still_take_what_grows() {
    for house in House::on_both().await {
        let alice = Person::ed25519(1);
        let roles = [role("one", &[], &["one/*"]), role("two", &[], &["two/*"]), role("rest", &[], &["*/*"])];
        begin(&house, &alice, asked(&[], &roles)).await;
        for role in ["one", "two"] {
            let artifacts = (0..30).map(|number| {
                let mut artifact = artifact(&format!("{role}/{number}"), "x");
                artifact.info.insert("custom".into(), json!({"x": "x".repeat(100_000)}));
                artifact
            });
            succeeded(&done(&house, adding(artifacts.collect(), true)).await);
        }
        let before = versions(&house).await;
        let (_, error) = errored(&done(&house, delete(&["one", "two"])).await);
        assert!(error.contains("rest"), "{error}");
        assert_eq!(versions(&house).await, before);
        succeeded(&done(&house, delete(&["one"])).await);
        assert!(found(&house, "one/3").await && found(&house, "two/3").await);
        house.end().await;
    }
}

#[tokio::test]
async fn there_are_no_more_roles_than_can_be_handled() {
    let house = House::new(None).await;
    let alice = Person::ed25519(1);
    begin(&house, &alice, asked(&[], &[role("team", &[], &["team/*"])])).await;
    let many = |from: usize, to: usize| -> Vec<Value> {
        (from..to).map(|number| role(&format!("r{number}"), &[], &["x/*"])).collect()
    };
    let (_, error) = errored(&done(&house, put(Delegations::Add(asked(&[], &many(0, 1_001))))).await);
    assert!(error.contains("1000"), "{error}");
    succeeded(&done(&house, put(Delegations::Add(asked(&[], &many(0, 999))))).await);
    let (_, error) = errored(&done(&house, put(Delegations::Add(asked(&[], &many(999, 1_000))))).await);
    assert!(error.contains("1000"), "{error}");
    client(&house.ctx, 1).await.unwrap();
    house.end().await;
}

#[tokio::test]
async fn a_key_of_a_person_cannot_have_the_id_of_the_online_key() {
    for house in House::on_both().await {
        let (alice, ana) = (Person::ed25519(1), Person::ed25519(3));
        let (online, _) = first_online_key(&house.ctx).await;
        let (id, object) = key(&house, "second").await;
        let roles = [role("team", &[&id], &["team/*"]), role("auto", &[], &["auto/*"])];
        // Ana's key, under the id that the next online key will have.
        begin(&house, &alice, asked(&[(&id, &ana.object)], &roles)).await;
        let stolen = asked(&[(&online, &ana.object)], &[role("more", &[&online], &["more/*"])]);
        let (_, error) = errored(&done(&house, put(Delegations::Add(stolen))).await);
        assert!(error.contains("online key"), "{error}");

        let mut root = Root::first(&house.ctx, &[&alice], 1).await;
        (root.version, root.online) = (2, (id, object));
        let (_, error) = errored(&done(&house, Request::MetadataUpdate { root: root.by(&[&alice]) }).await);
        assert!(error.contains("online key"), "{error}");
        root.online.0 = "another-id".into();
        succeeded(&done(&house, Request::MetadataUpdate { root: root.by(&[&alice]) }).await);
        house.end().await;
    }
}

#[tokio::test]
async fn artifacts_of_many_tasks_for_a_role_that_people_sign_wait_together() {
    for house in House::on_both().await {
        let (alice, ana) = (Person::ed25519(1), Person::ed25519(3));
        let roles = [role("people", &[&ana.keyid], &["people/*"])];
        begin(&house, &alice, asked(&[(&ana.keyid, &ana.object)], &roles)).await;
        let paths: Vec<String> = (0..20).map(|number| format!("people/{number}")).collect();
        let caller = caller(&house);
        let tasks = paths.iter().map(|path| task::submit(&house.ctx, &caller, add(&[path])));
        for accepted in futures_util::future::join_all(tasks).await {
            succeeded(&end_of(&house.ctx, &accepted.unwrap().id).await);
        }
        let waits = pending(&house, "people").await.unwrap();
        assert_eq!(waits["signed"]["targets"].as_object().unwrap().len(), paths.len());
        succeeded(&done(&house, ana.signs("people", &waits)).await);
        assert!(found(&house, "people/7").await);
        house.end().await;
    }
}

#[tokio::test]
async fn a_task_that_was_begun_too_often_is_given_up_and_those_behind_it_are_done() {
    for house in House::on_both().await {
        let alice = Person::ed25519(1);
        with_bins(&house, &alice, 2).await;
        let by = serde_json::to_string(&json!({})).unwrap();
        let request = serde_json::to_string(&add(&["a"])).unwrap();
        let mut tx = house.ctx.store().tuf_write().await.unwrap();
        let new = NewTufTask {
            id: "poison".into(),
            kind: "add_artifacts".into(),
            request,
            caller: by,
            now: Timestamp::now(),
        };
        tx.add_task(&new).await.unwrap();
        for _ in 0..5 {
            tx.count_attempts(&["poison".into()]).await.unwrap();
        }
        assert_eq!(tx.queue(10).await.unwrap()[0].attempts, 5);
        tx.commit().await.unwrap();
        succeeded(&done(&house, add(&["b"])).await);
        let view = task::get(&house.ctx, "poison", Duration::ZERO).await.unwrap();
        assert_eq!(view.state, TaskState::Failure);
        house.end().await;
    }
}
