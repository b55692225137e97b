//! Roots that several people sign over days: the first one, and those after it.

use countersign_core::tuf::request::{BootstrapDelegation, Request};
use countersign_core::tuf::task::{self, TaskState};
use countersign_core::tuf::{self, online, read};
use countersign_core::{keys, log};
use serde_json::{Value, json};

use crate::support::House;
use crate::tuf_people::*;

fn sign(role: &str, keyid: &str, sig: &str) -> Request {
    Request::SignMetadata { role: role.into(), keyid: keyid.into(), sig: sig.into() }
}

fn delete(role: &str) -> Request {
    Request::DeleteSignMetadata { role: role.into(), proof: None }
}

fn update(root: Value) -> Request {
    Request::MetadataUpdate { root }
}

/// The task's result: `SUCCESS` with message and details, or what is refused.
async fn says(house: &House, request: Request) -> Value {
    let view = done(house, request).await;
    let result = view.result.unwrap();
    match view.state {
        TaskState::Success => json!([result["message"], result["details"]]),
        TaskState::Errored => json!([result["message"], result["error"]]),
        other => panic!("{other:?}: {result}"),
    }
}

async fn state(house: &House) -> Value {
    read::bootstrap(&house.ctx).await.unwrap().data
}

/// A repository whose root 1 these people have signed.
async fn with_root<'a>(house: &House, people: &[&'a Person], threshold: u64) -> Root<'a> {
    let root = Root::first(&house.ctx, people, threshold).await;
    succeeded(&done(house, bootstrap(root.by(people), bins(4))).await);
    root
}

#[tokio::test]
async fn a_first_root_waits_for_its_signatures_and_until_then_nothing_is_public() {
    for house in House::on_both().await {
        let (alice, bob, carol) = (Person::ed25519(1), Person::p256(), Person::rsa());
        let stranger = Person::ed25519(9);
        assert_eq!(state(&house).await, json!({"bootstrap": false}));
        let root = Root::first(&house.ctx, &[&alice, &bob, &carol], 2).await;
        let document = root.by(&[&alice]);

        let first = done(&house, bootstrap(document.clone(), bins(4))).await;
        let pending = json!({"bootstrap": "Root v1 is pending signature"});
        assert_eq!(succeeded(&first), ("Bootstrap Processed".into(), pending));
        assert_eq!(state(&house).await, json!({"bootstrap": false, "state": "signing", "id": first.id}));
        let answer = read::bootstrap(&house.ctx).await.unwrap();
        assert_eq!(answer.message, "System LOCKED for bootstrap.");
        let shown = read::signing(&house.ctx).await.unwrap().unwrap();
        assert_eq!(shown["metadata"], json!({"root": document}));

        assert_eq!(
            says(&house, stranger.signs("root", &document)).await,
            json!(["Signature Failed", "Invalid signature"])
        );
        let wrong = sign("root", &bob.keyid, &alice.text(b"something else"));
        assert_eq!(says(&house, wrong).await, json!(["Signature Failed", "Invalid signature"]));
        assert_eq!(
            says(&house, alice.signs("targets", &document)).await,
            json!(["Signature Failed", "No signatures pending for targets"])
        );
        // Again: replaced, not counted twice.
        assert_eq!(
            says(&house, alice.signs("root", &document)).await,
            json!(["Signature Processed", {"bootstrap": "Root v1 is pending signatures"}])
        );
        for file in ["1.root.json", "timestamp.json", "1.targets.json", "1.snapshot.json", "1.bins-0.json"] {
            assert!(!is_public(&house.ctx, file).await, "{file}");
        }

        // The process goes on where it was.
        let house = house.again().await;
        assert_eq!(
            says(&house, bob.signs("root", &document)).await,
            json!(["Signature Processed", {"bootstrap": "Bootstrap Finished"}])
        );
        assert_eq!(state(&house).await, json!({"bootstrap": true, "state": "finished", "id": first.id}));
        assert_eq!(read::signing(&house.ctx).await.unwrap(), None);
        let client = client(&house.ctx, 1).await.unwrap();
        assert_eq!(client.root().version(), 1);
        assert_eq!(client.root().signed()["x-example-note"], "ceremony \"one\" \\ é");
        assert_eq!(client.snapshot().unwrap().snapshot().unwrap().meta.len(), 5);
        house.end().await;
    }
}

#[tokio::test]
async fn a_first_root_with_all_its_signatures_is_in_force_at_once() {
    for house in House::on_both().await {
        let (alice, bob) = (Person::ed25519(1), Person::ed25519(2));
        let root = Root::first(&house.ctx, &[&alice, &bob], 2).await;
        let view = done(&house, bootstrap(root.by(&[&alice, &bob]), bins(16))).await;
        let details = json!({"bootstrap": format!("Bootstrap finished {}", view.id)});
        assert_eq!(succeeded(&view), ("Bootstrap Processed".into(), details));
        client(&house.ctx, 1).await.unwrap();

        let error = refused(&house, bootstrap(root.by(&[&alice, &bob]), bins(16))).await;
        assert_eq!(error.to_string(), "System already has a Metadata. State: finished");
        house.end().await;
    }
}

/// Fault 14.
#[tokio::test]
async fn a_first_root_that_could_never_work_is_refused_and_the_system_is_free_again() {
    for house in House::on_both().await {
        let (alice, bob, stranger) = (Person::ed25519(1), Person::ed25519(2), Person::ed25519(9));
        let good = Root::first(&house.ctx, &[&alice, &bob], 1).await;
        let foreign = (stranger.keyid.clone(), stranger.object.clone());
        let with = |change: &dyn Fn(&mut Value)| {
            let mut signed = good.signed();
            change(&mut signed);
            signed_by(signed, &[&alice])
        };
        let mut broken = good.by(&[&alice]);
        let sig = alice.text(b"x");
        broken["signatures"][0]["sig"] = json!(sig);
        let mut half = good.by(&[&alice, &bob]);
        half["signatures"][1]["sig"] = json!(sig);
        let twin = with(&|signed| {
            // One public key under two ids: its owner would count twice.
            signed["keys"]["twin"] = alice.object.clone();
            signed["roles"]["root"] = json!({"keyids": [alice.keyid, "twin"], "threshold": 2});
        });
        let cases = [
            (good.by(&[]), "Metadata requires at least one valid signature"),
            (broken, "Bootstrap has invalid signature(s)"),
            (half, "Bootstrap has invalid signature(s)"),
            (good.by(&[&stranger]), "Bootstrap has invalid signature(s)"),
            (good.by(&[&alice, &stranger]), "Bootstrap has invalid signature(s)"),
            (
                Root { version: 2, ..good.clone() }.by(&[&alice]),
                "Failed to verify the trust: Expected root version 1 instead got version 2",
            ),
            (Root { expires: in_days(-1), ..good.clone() }.by(&[&alice]), "The metadata has expired"),
            (
                Root { threshold: 3, ..good.clone() }.by(&[&alice]),
                "Role `root` needs 3 signatures but has 2 keys",
            ),
            (Root { online: foreign, ..good.clone() }.by(&[&alice]), "is not an online key of this server"),
            (twin, "are the same public key"),
            (
                with(&|signed| signed["consistent_snapshot"] = json!(false)),
                "`consistent_snapshot` must be true",
            ),
            (with(&|signed| signed["note"] = json!("x")), "`note` is not a member of TUF metadata"),
            (with(&|signed| signed["_type"] = json!("targets")), "`targets` is not there"),
        ];
        for (root, why) in cases {
            let (message, error) = errored(&done(&house, bootstrap(root, bins(4))).await);
            assert_eq!(message, "Bootstrap Failed", "{why}");
            assert!(error.contains(why), "{error}: {why}");
            assert_eq!(state(&house).await, json!({"bootstrap": false}), "{why}");
        }
        let nobody = BootstrapDelegation::Roles(json!({"keys": {}, "roles": [{
            "name": "team", "terminating": true, "threshold": 2, "keyids": [], "paths": ["team/*"],
            "x-rstuf-expire-policy": 7,
        }]}));
        let (_, error) = errored(&done(&house, bootstrap(good.by(&[&alice]), settings(nobody))).await);
        assert_eq!(error, "Role `team` needs 2 signatures but has 1 keys");
        succeeded(&done(&house, bootstrap(good.by(&[&alice]), bins(4))).await);
        house.end().await;
    }
}

/// Faults 1 and 19.
#[tokio::test]
async fn of_many_bootstraps_at_once_one_is_taken_and_none_on_a_system_that_has_one() {
    for house in House::on_both().await {
        let alice = Person::ed25519(1);
        let root = Root::first(&house.ctx, &[&alice], 1).await.by(&[&alice]);
        let caller = caller(&house);
        let mut submitted = Vec::new();
        for _ in 0..8 {
            let (ctx, caller, root) = (house.ctx.clone(), caller.clone(), root.clone());
            submitted.push(tokio::spawn(async move {
                task::submit(&ctx, &caller, bootstrap(root, bins(4))).await
            }));
        }
        let mut taken = Vec::new();
        for submitted in submitted {
            match submitted.await.unwrap() {
                Ok(accepted) => taken.push(accepted.id),
                Err(tuf::Error::WrongState { message: None, error }) => {
                    assert!(error.starts_with("System already has a Metadata. State: "), "{error}");
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(taken.len(), 1);
        // Whoever looks sees it, from the first moment on and without exception.
        let held = read::bootstrap(&house.ctx).await.unwrap();
        assert_eq!(held.data["id"], json!(taken[0]));
        let house = house.again().await;
        succeeded(&end_of(&house.ctx, &taken[0]).await);
        for _ in 0..50 {
            assert_eq!(state(&house).await["bootstrap"], true);
        }
        house.end().await;
    }
}

#[tokio::test]
async fn a_bootstrap_that_is_stopped_leaves_the_system_free() {
    for house in House::on_both().await {
        let (alice, bob) = (Person::ed25519(1), Person::ed25519(2));
        let error = refused(&house, delete("root")).await;
        assert!(matches!(&error, tuf::Error::WrongState { message: Some(message), error }
            if message == "No signing process for root." && error == "The root role is not in a signing process."));

        let root = Root::first(&house.ctx, &[&alice, &bob], 2).await;
        succeeded(&done(&house, bootstrap(root.by(&[&alice]), bins(4))).await);
        let said = says(&house, delete("root")).await;
        let message = "Deletion of root metadata successful, signing process stopped";
        assert_eq!(said, json!([message, {"bootstrap": "Bootstrap process has been stopped"}]));
        let answer = read::bootstrap(&house.ctx).await.unwrap();
        assert_eq!(
            (answer.data, answer.message),
            (json!({"bootstrap": false}), "System available for bootstrap.")
        );
        let error = read::signing(&house.ctx).await.unwrap_err();
        assert_eq!(error.to_string(), "Requires bootstrap started. State: None");

        // The same content again is an explicit new start, and is said to be one.
        let again = done(&house, bootstrap(root.by(&[&bob]), bins(4))).await;
        let (_, details) = succeeded(&again);
        let pending = json!({"bootstrap": "Root v1 is pending signature", "previously_withdrawn": true});
        assert_eq!(details, pending);
        assert_eq!(state(&house).await["id"], json!(again.id));
        house.end().await;
    }
}

#[tokio::test]
async fn the_next_root_needs_the_thresholds_of_the_old_one_and_of_its_own() {
    for house in House::on_both().await {
        let (alice, bob, carol, dave) =
            (Person::ed25519(1), Person::p256(), Person::rsa(), Person::ed25519(4));
        let first = with_root(&house, &[&alice, &bob, &carol], 2).await;

        let wrong = Root { version: 3, ..first.clone() }.by(&[&alice, &bob]);
        assert_eq!(
            says(&house, update(wrong)).await,
            json!([
                "Metadata Update Failed",
                "Failed to verify the trust: Expected root version 2 instead got version 3"
            ])
        );
        let second = Root { version: 2, people: vec![&alice, &carol, &dave], ..first.clone() };
        let document = second.by(&[&dave]);
        assert_eq!(
            says(&house, update(document.clone())).await,
            json!(["Metadata Update Processed", {"role": "root", "update": "Root v2 is pending signatures"}])
        );
        assert_eq!(state(&house).await["bootstrap"], true, "the repository goes on");

        // Fault 21: who waits for whom.
        let shown = read::signing(&house.ctx).await.unwrap().unwrap();
        assert_eq!(shown["metadata"]["root"], document);
        assert_eq!(shown["metadata"]["trusted_root"]["signed"], first.signed());
        let status = &shown["status"]["root"];
        assert_eq!(status["version"], 2);
        assert_eq!(
            status["trusted"],
            json!({"threshold": 2, "have": 0, "missing": [alice.keyid, bob.keyid, carol.keyid]})
        );
        assert_eq!(status["new"], json!({"threshold": 2, "have": 1, "missing": [alice.keyid, carol.keyid]}));
        assert!(status["submitted"].as_str().unwrap().ends_with('Z'));

        let waits = json!(["Signature Processed", {"update": "Root v2 is pending signatures"}]);
        assert_eq!(says(&house, alice.signs("root", &document)).await, waits, "its own threshold alone");
        assert!(!is_public(&house.ctx, "2.root.json").await);
        assert_eq!(
            says(&house, carol.signs("root", &document)).await,
            json!(["Signature Processed", {"update": "Metadata update finished"}])
        );
        // A key of the old root alone counts for that one.
        let third = Root { version: 3, people: vec![&alice], threshold: 1, ..first.clone() };
        assert_eq!(
            says(&house, update(third.by(&[&alice, &dave]))).await,
            json!(["Metadata Update Processed", {"role": "root"}])
        );
        let client = client(&house.ctx, 1).await.unwrap();
        assert_eq!(client.root().version(), 3);
        assert_eq!(client.timestamp().unwrap().version(), 1, "online metadata were not touched");
        house.end().await;
    }
}

/// Fault 5.
#[tokio::test]
async fn a_next_root_without_valid_signatures_is_not_kept() {
    for house in House::on_both().await {
        let (alice, bob, stranger) = (Person::ed25519(1), Person::ed25519(2), Person::ed25519(9));
        let first = with_root(&house, &[&alice, &bob], 2).await;
        let second = Root { version: 2, ..first.clone() };
        let reused = Root { version: 2, ..first.clone() };
        let mut other_key = reused.signed();
        other_key["keys"][&alice.keyid] = stranger.object.clone();
        for (root, why) in [
            (second.by(&[]), "Metadata requires at least one valid signature"),
            (second.by(&[&stranger]), "Metadata has invalid signature(s)"),
            (second.by(&[&alice, &stranger]), "Metadata has invalid signature(s)"),
            (Root { expires: in_days(-1), ..second.clone() }.by(&[&alice]), "The metadata has expired"),
            (signed_by(other_key, &[&bob]), "names another key in the trusted root"),
        ] {
            let (message, error) = errored(&done(&house, update(root)).await);
            assert_eq!(message, "Metadata Update Failed");
            assert!(error.contains(why), "{error}");
            assert_eq!(read::signing(&house.ctx).await.unwrap(), None);
        }
        house.end().await;
    }
}

/// Fault 6.
#[tokio::test]
async fn a_second_root_does_not_take_the_place_of_a_pending_one() {
    for house in House::on_both().await {
        let (alice, bob) = (Person::ed25519(1), Person::ed25519(2));
        let first = with_root(&house, &[&alice, &bob], 2).await;
        let second = Root { version: 2, ..first.clone() };
        succeeded(&done(&house, update(second.by(&[&alice]))).await);
        let other = Root { version: 2, expires: in_days(100), ..first.clone() }.by(&[&alice, &bob]);
        match refused(&house, update(other.clone())).await {
            tuf::Error::Conflict { message, error } => {
                assert_eq!(message, "Task not accepted.");
                assert_eq!(error, "The root role is already in a signing process.");
            }
            other => panic!("{other}"),
        }
        let shown = read::signing(&house.ctx).await.unwrap().unwrap();
        assert_eq!(shown["metadata"]["root"], second.by(&[&alice]));

        // Two that are taken before either is done: the second finds the first.
        succeeded(&done(&house, delete("root")).await);
        let caller = caller(&house);
        let both = [second.by(&[&alice]), second.by(&[&bob])];
        let mut ids = Vec::new();
        for root in both {
            if let Ok(accepted) = task::submit(&house.ctx, &caller, update(root)).await {
                ids.push(accepted.id);
            }
        }
        let mut states = Vec::new();
        for id in &ids {
            states.push(end_of(&house.ctx, id).await.state);
        }
        assert_eq!(states.iter().filter(|state| **state == TaskState::Success).count(), 1, "{states:?}");
        house.end().await;
    }
}

#[tokio::test]
async fn an_update_that_is_stopped_leaves_the_root_in_force() {
    for house in House::on_both().await {
        let (alice, bob) = (Person::ed25519(1), Person::ed25519(2));
        let first = with_root(&house, &[&alice, &bob], 2).await;
        let second = Root { version: 2, ..first.clone() };
        succeeded(&done(&house, update(second.by(&[&alice]))).await);
        assert_eq!(
            says(&house, delete("root")).await,
            json!(["Deletion of root metadata successful, signing process stopped", null])
        );
        assert_eq!(read::signing(&house.ctx).await.unwrap(), None);
        let error = says(&house, bob.signs("root", &second.signed_document())).await;
        assert_eq!(error, json!(["Signature Failed", "No signatures pending for root"]));
        assert_eq!(client(&house.ctx, 1).await.unwrap().root().version(), 1);
        let (_, details) = succeeded(&done(&house, update(second.by(&[&alice, &bob]))).await);
        assert_eq!(details, json!({"role": "root", "previously_withdrawn": true}));
        assert_eq!(client(&house.ctx, 1).await.unwrap().root().version(), 2);
        house.end().await;
    }
}

#[tokio::test]
async fn a_root_whose_online_key_was_retired_meanwhile_does_not_come_into_force() {
    for house in House::on_both().await {
        let (alice, bob) = (Person::ed25519(1), Person::ed25519(2));
        let root = Root::first(&house.ctx, &[&alice, &bob], 2).await;
        let document = root.by(&[&alice]);
        succeeded(&done(&house, bootstrap(document.clone(), bins(4))).await);
        let online = "tuf/online".parse().unwrap();
        keys::retire(&house.ctx, &caller(&house), &online).await.unwrap();
        let (message, error) = errored(&done(&house, bob.signs("root", &document)).await);
        assert_eq!(message, "Signature Failed");
        assert!(error.contains("is not an online key of this server"), "{error}");
        let shown = read::signing(&house.ctx).await.unwrap().unwrap();
        assert_eq!(shown["metadata"]["root"], document, "nothing was changed");
        house.end().await;
    }
}

/// Fault 24.
#[tokio::test]
async fn the_log_says_who_submitted_signed_stopped_and_finished_what() {
    for house in House::on_both().await {
        let (alice, bob) = (Person::ed25519(1), Person::ed25519(2));
        let root = Root::first(&house.ctx, &[&alice, &bob], 2).await;
        let one = root.by(&[&alice]);
        let other = Root { expires: in_days(100), ..root.clone() }.by(&[&bob]);
        succeeded(&done(&house, bootstrap(one.clone(), bins(2))).await);
        let patch = Request::OverrideSignMetadata { root: other.clone(), settings: None, proof: None };
        succeeded(&done(&house, patch).await);
        succeeded(&done(&house, delete("root")).await);
        succeeded(&done(&house, bootstrap(one.clone(), bins(2))).await);
        succeeded(&done(&house, bob.signs("root", &one)).await);
        let (one, other) = (digest(&one), digest(&other));
        assert_eq!(
            changes(&house).await,
            [
                format!("root 1 submitted {one}"),
                format!("root 1 override {one} {other}"),
                format!("root 1 stopped {other}"),
                format!("root 1 submitted {one}"),
                format!("root 1 signed {}", bob.keyid),
                format!("root 1 in force {one}"),
            ]
        );
        house.end().await;
    }
}

/// The subjects of the log's entries about metadata.
async fn changes(house: &House) -> Vec<String> {
    let node = house.ctx.node().clone();
    let size = log::heads(&house.ctx, &house.owner()).await.unwrap().logs[0].size;
    let mut subjects = Vec::new();
    for index in 0..size {
        let entry = log::entry(&house.ctx, &house.owner(), &node, index).await.unwrap().entry;
        if serde_json::to_value(entry.op).unwrap() == "tuf-change" {
            assert_eq!(entry.principal.as_str(), "admin");
            subjects.push(entry.subject.unwrap());
        }
    }
    subjects
}

#[tokio::test]
async fn settings_are_told_in_small_letters_and_nothing_internal_is() {
    for house in House::on_both().await {
        let (alice, bob) = (Person::ed25519(1), Person::ed25519(2));
        let error = read::config(&house.ctx).await.unwrap_err();
        assert_eq!(error.to_string(), "It requires bootstrap. State: None");
        let view = done(
            &house,
            bootstrap(Root::first(&house.ctx, &[&alice, &bob], 2).await.by(&[&alice, &bob]), bins(4)),
        )
        .await;
        assert_eq!(
            read::config(&house.ctx).await.unwrap(),
            json!({
                "bootstrap": view.id, "targets_online_key": true, "number_of_delegated_bins": 4, "root_signing": null,
                "root_expiration": 365, "root_threshold": 2, "root_num_keys": 2,
                "targets_expiration": 365, "targets_threshold": 1, "targets_num_keys": 1,
                "snapshot_expiration": 7, "snapshot_threshold": 1, "snapshot_num_keys": 1,
                "timestamp_expiration": 1, "timestamp_threshold": 1, "timestamp_num_keys": 1,
                "bins_expiration": 30, "bins_threshold": 1, "bins_num_keys": 1,
            })
        );
        house.end().await;
    }
}

/// What fits when it is submitted must not be too long with the last signature.
#[tokio::test]
async fn a_signature_that_makes_a_root_longer_than_clients_take_is_refused_when_it_comes() {
    for house in House::on_both().await {
        let (alice, bob, carol) = (Person::ed25519(1), Person::ed25519(2), Person::ed25519(3));
        let root = Root::first(&house.ctx, &[&alice, &bob, &carol], 3).await;
        let long = |length: usize| {
            let mut signed = root.signed();
            signed["x-example-padding"] = json!("x".repeat(length));
            signed_by(signed, &[&alice])
        };
        let length = 512_000 - long(0).to_string().len();
        succeeded(&done(&house, bootstrap(long(length), bins(4))).await);
        let said = says(&house, bob.signs("root", &long(length))).await;
        assert_eq!(said[0], "Signature Failed");
        assert!(said[1].as_str().unwrap().contains("clients take 512000"), "{said}");
        house.end().await;
    }
}

/// One RSA key signs in several ways.
#[tokio::test]
async fn a_root_in_which_only_the_scheme_of_an_online_key_changes_has_everything_signed_anew() {
    for house in House::on_both().await {
        let alice = Person::ed25519(1);
        online::create(&house.ctx, &caller(&house), "rsa", "rsassa-pss-sha256").await.unwrap();
        let mut root = Root::first(&house.ctx, &[&alice], 1).await;
        root.online = online_keys(&house.ctx).await.remove(1);
        succeeded(&done(&house, bootstrap(root.by(&[&alice]), bins(2))).await);

        root.version = 2;
        root.online.1["scheme"] = json!("rsa-pkcs1v15-sha256");
        let said = says(&house, update(root.by(&[&alice]))).await;
        assert!(said[1].as_str().unwrap().contains("names another key"), "{said}");
        root.online.0 = "another-id".into();
        succeeded(&done(&house, update(root.by(&[&alice]))).await);
        let mut client = client(&house.ctx, 1).await.unwrap();
        assert_eq!(client.root().version(), 2);
        for path in ["a", "b", "c", "d"] {
            assert!(!find(&house.ctx, &mut client, path).await.unwrap(), "it verifies, and lists nothing");
        }
        house.end().await;
    }
}

#[tokio::test]
async fn a_repository_does_not_begin_among_the_files_of_another_one() {
    for house in House::on_both().await {
        let alice = Person::ed25519(1);
        let root = Root::first(&house.ctx, &[&alice], 1).await.by(&[&alice]);
        let dir = house.dir.path().join("files/metadata");
        std::fs::create_dir_all(&dir).unwrap();
        for name in ["timestamp.json", "1.root.json"] {
            std::fs::write(dir.join(name), "{}").unwrap();
            let said = says(&house, bootstrap(root.clone(), bins(2))).await;
            assert_eq!(said[0], "Bootstrap Failed");
            assert!(said[1].as_str().unwrap().contains(&format!("`metadata/{name}`")), "{said}");
            assert_eq!(state(&house).await, json!({"bootstrap": false}));
            std::fs::remove_file(dir.join(name)).unwrap();
        }
        succeeded(&done(&house, bootstrap(root, bins(2))).await);
        client(&house.ctx, 1).await.unwrap();
        house.end().await;
    }
}
