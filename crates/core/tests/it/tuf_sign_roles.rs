//! Delegated roles that people sign.

use countersign_core::tuf::read;
use countersign_core::tuf::request::{AddArtifacts, Artifact, BootstrapDelegation, Delegations, Request};
use countersign_store::PendingRow;
use serde_json::{Value, json};

use crate::support::House;
use crate::tuf_people::*;

/// Delegations to `team`, whose `keys` people have, and to `auto`, which the server signs.
fn delegations(people: &[&Person], threshold: u64, with_online: Option<&(String, Value)>) -> Value {
    let mut keys: serde_json::Map<String, Value> =
        people.iter().map(|person| (person.keyid.clone(), person.object.clone())).collect();
    let mut keyids: Vec<String> = people.iter().map(|person| person.keyid.clone()).collect();
    if let Some((keyid, object)) = with_online {
        keys.insert(keyid.clone(), object.clone());
        keyids.push(keyid.clone());
    }
    json!({"keys": keys, "roles": [
        {"name": "team", "terminating": true, "threshold": threshold, "keyids": keyids, "paths": ["team/*"],
         "x-rstuf-expire-policy": 7},
        {"name": "auto", "terminating": true, "threshold": 1, "keyids": [], "paths": ["auto/*"],
         "x-rstuf-expire-policy": 7},
    ]})
}

fn add(path: &str) -> Request {
    add_and(path, true)
}

fn add_and(path: &str, publish: bool) -> Request {
    let info = json!({"length": 3, "hashes": {"sha256": "ab".repeat(32)}});
    let info = info.as_object().unwrap().clone();
    let artifacts = vec![Artifact { path: path.into(), info }];
    Request::AddArtifacts(AddArtifacts { artifacts, publish, add_task_id_to_custom: false })
}

async fn with_team(house: &House, alice: &Person, delegations: Value) {
    let root = Root::first(&house.ctx, &[alice], 1).await.by(&[alice]);
    let settings = settings(BootstrapDelegation::Roles(delegations));
    succeeded(&done(house, bootstrap(root, settings)).await);
}

async fn pending(house: &House, role: &str) -> Option<Value> {
    let shown = read::signing(&house.ctx).await.unwrap()?;
    shown["metadata"].get(role).cloned()
}

/// Fault 23.
#[tokio::test]
async fn a_role_that_people_sign_waits_from_its_first_version_on_and_lives_its_days() {
    for house in House::on_both().await {
        let (alice, ana, bo) = (Person::ed25519(1), Person::p256(), Person::rsa());
        with_team(&house, &alice, delegations(&[&ana, &bo], 2, None)).await;
        let shown = read::signing(&house.ctx).await.unwrap().unwrap();
        let team = &shown["metadata"]["team"];
        assert_eq!(team["signatures"], json!([]));
        assert_eq!(team["signed"]["version"], 1);
        let expires: jiff::Timestamp = team["signed"]["expires"].as_str().unwrap().parse().unwrap();
        let days = expires.duration_since(jiff::Timestamp::now()).as_hours();
        assert!((7 * 24 - 1..=7 * 24).contains(&days), "{days}");
        assert!(shown["metadata"].get("auto").is_none());
        assert!(shown["metadata"].get("trusted_root").is_none());
        assert_eq!(shown["metadata"]["trusted_targets"]["signed"]["_type"], "targets");
        assert_eq!(
            shown["status"]["team"]["trusted"],
            json!({"threshold": 2, "have": 0, "missing": [ana.keyid, bo.keyid]})
        );
        let mut reader = client(&house.ctx, 1).await.unwrap();
        assert!(reader.snapshot().unwrap().snapshot().unwrap().role("team").is_none());
        assert!(!find(&house.ctx, &mut reader, "auto/x").await.unwrap());

        let (message, error) = errored(&done(&house, alice.signs("team", team)).await);
        assert_eq!((message.as_str(), error.as_str()), ("Signature Failed", "Invalid signature"));
        let (message, details) = succeeded(&done(&house, ana.signs("team", team)).await);
        assert_eq!(message, "Signature Processed");
        assert_eq!(details, json!({"update": "team v1 is pending signatures"}));
        let (_, details) = succeeded(&done(&house, bo.signs("team", team)).await);
        assert_eq!(details, json!({"update": "Role team signing complete"}));
        assert_eq!(read::signing(&house.ctx).await.unwrap(), None);
        let reader = client(&house.ctx, 1).await.unwrap();
        assert_eq!(reader.snapshot().unwrap().snapshot().unwrap().role("team").unwrap().version, 1);
        let file = file(&house.ctx, "1.team.json").await.unwrap();
        let file: Value = serde_json::from_slice(&file).unwrap();
        assert_eq!(file["signed"], team["signed"], "what people signed");
        house.end().await;
    }
}

#[tokio::test]
async fn artifacts_of_such_a_role_are_public_when_it_is_signed_again() {
    for house in House::on_both().await {
        let (alice, ana) = (Person::ed25519(1), Person::ed25519(3));
        with_team(&house, &alice, delegations(&[&ana], 1, None)).await;
        let first = pending(&house, "team").await.unwrap();
        succeeded(&done(&house, ana.signs("team", &first)).await);

        let (_, details) = succeeded(&done(&house, add("team/one")).await);
        assert_eq!(details["artifact_roles"], json!(["team"]));
        let second = pending(&house, "team").await.unwrap();
        assert_eq!(second["signed"]["version"], 2);
        let mut reader = client(&house.ctx, 1).await.unwrap();
        assert!(!find(&house.ctx, &mut reader, "team/one").await.unwrap());

        // A change makes it anew: what was signed of it is void, and both artifacts come.
        succeeded(&done(&house, add("team/two")).await);
        let (_, error) = errored(&done(&house, ana.signs("team", &second)).await);
        assert_eq!(error, "Invalid signature");
        let third = pending(&house, "team").await.unwrap();
        assert_eq!(third["signed"]["version"], 2, "the version after the public one");
        let paths: Vec<&String> = third["signed"]["targets"].as_object().unwrap().keys().collect();
        assert_eq!(paths, ["team/one", "team/two"]);
        succeeded(&done(&house, ana.signs("team", &third)).await);
        let mut reader = client(&house.ctx, 1).await.unwrap();
        for path in ["team/one", "team/two"] {
            assert!(find(&house.ctx, &mut reader, path).await.unwrap(), "{path}");
        }
        assert_eq!(read::config(&house.ctx).await.unwrap()["team_signing"], Value::Null);
        house.end().await;
    }
}

#[tokio::test]
async fn where_a_role_has_an_online_key_too_the_server_signs_with_the_people() {
    for house in House::on_both().await {
        let (alice, ana) = (Person::ed25519(1), Person::ed25519(3));
        let online = first_online_key(&house.ctx).await;
        with_team(&house, &alice, delegations(&[&ana], 2, Some(&online))).await;
        let first = pending(&house, "team").await.unwrap();
        assert_eq!(first["signatures"][0]["keyid"], json!(online.0));
        let shown = read::signing(&house.ctx).await.unwrap().unwrap();
        assert_eq!(
            shown["status"]["team"]["trusted"],
            json!({"threshold": 2, "have": 1, "missing": [ana.keyid]})
        );
        let (_, details) = succeeded(&done(&house, ana.signs("team", &first)).await);
        assert_eq!(details, json!({"update": "Role team signing complete"}));
        client(&house.ctx, 1).await.unwrap();
        house.end().await;
    }
}

#[tokio::test]
async fn a_role_whose_signing_is_stopped_stays_as_it_is_public() {
    for house in House::on_both().await {
        let (alice, ana) = (Person::ed25519(1), Person::ed25519(3));
        with_team(&house, &alice, delegations(&[&ana], 1, None)).await;
        let delete = || Request::DeleteSignMetadata { role: "team".into(), proof: None };
        let (message, details) = succeeded(&done(&house, delete()).await);
        assert_eq!(message, "Deletion of team metadata successful, signing process stopped");
        assert_eq!(details, Value::Null);
        assert_eq!(pending(&house, "team").await, None);
        let error = refused(&house, delete()).await;
        assert_eq!(error.to_string(), "The team role is not in a signing process.");
        // The next change makes it wait again.
        succeeded(&done(&house, add("team/one")).await);
        let again = pending(&house, "team").await.unwrap();
        assert_eq!(again["signed"]["version"], 1);
        succeeded(&done(&house, ana.signs("team", &again)).await);
        let mut reader = client(&house.ctx, 1).await.unwrap();
        assert!(find(&house.ctx, &mut reader, "team/one").await.unwrap());
        house.end().await;
    }
}

/// Fault 8.
#[tokio::test]
async fn names_of_roles_are_exact() {
    for house in House::on_both().await {
        let (alice, ana) = (Person::ed25519(1), Person::ed25519(3));
        with_team(&house, &alice, delegations(&[], 1, None)).await;
        let role = |name: &str| {
            json!({"name": name, "terminating": true, "threshold": 1, "keyids": [ana.keyid],
                   "paths": [format!("{name}/*")], "x-rstuf-expire-policy": 7})
        };
        let roles = json!({"keys": {&ana.keyid: ana.object}, "roles": [role("My_Team"), role("my_team")]});
        let added = done(&house, Request::MetadataDelegation(Delegations::Add(roles))).await;
        assert_eq!(succeeded(&added).1["delegated_roles"], json!(["My_Team", "my_team"]));
        for name in ["My_Team", "my_team"] {
            let document = pending(&house, name).await.unwrap();
            succeeded(&done(&house, ana.signs(name, &document)).await);
            assert!(is_public(&house.ctx, &format!("1.{name}.json")).await);
        }
        let config = read::config(&house.ctx).await.unwrap();
        assert_eq!((&config["my_team_expiration"], &config["auto_expiration"]), (&json!(7), &json!(7)));
        client(&house.ctx, 1).await.unwrap();
        house.end().await;
    }
}

#[tokio::test]
async fn what_is_staged_after_people_were_asked_to_sign_waits_for_the_next_time() {
    for house in House::on_both().await {
        let (alice, ana) = (Person::ed25519(1), Person::ed25519(3));
        with_team(&house, &alice, delegations(&[&ana], 1, None)).await;
        let first = pending(&house, "team").await.unwrap();
        succeeded(&done(&house, add_and("team/late", false)).await);
        assert_eq!(pending(&house, "team").await.unwrap(), first, "nobody asked to publish it");
        succeeded(&done(&house, ana.signs("team", &first)).await);
        let mut reader = client(&house.ctx, 1).await.unwrap();
        assert!(!find(&house.ctx, &mut reader, "team/late").await.unwrap());

        let (_, details) = succeeded(&done(&house, Request::PublishArtifacts).await);
        assert_eq!(details, json!({"artifact_roles": ["team"]}));
        let second = pending(&house, "team").await.unwrap();
        succeeded(&done(&house, ana.signs("team", &second)).await);
        let mut reader = client(&house.ctx, 1).await.unwrap();
        assert!(find(&house.ctx, &mut reader, "team/late").await.unwrap());
        house.end().await;
    }
}

#[tokio::test]
async fn people_are_asked_again_before_what_they_signed_expires() {
    for house in House::on_both().await {
        let (alice, ana) = (Person::ed25519(1), Person::ed25519(3));
        with_team(&house, &alice, delegations(&[&ana], 1, None)).await;
        let first = pending(&house, "team").await.unwrap();
        succeeded(&done(&house, ana.signs("team", &first)).await);
        let mut tx = house.ctx.store().tuf_write().await.unwrap();
        let mut team = tx.role("team").await.unwrap().unwrap();
        team.expires = in_days(2);
        tx.put_roles(&[team]).await.unwrap();
        tx.commit().await.unwrap();

        // It is looked at the start, and then every minute.
        let house = house.again().await;
        let mut second = None;
        for _ in 0..200 {
            second = pending(&house, "team").await;
            if second.is_some() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        let second = second.expect("people are asked");
        assert_eq!(second["signed"]["version"], 2);
        succeeded(&done(&house, ana.signs("team", &second)).await);
        assert!(is_public(&house.ctx, "2.team.json").await);
        house.end().await;
    }
}

/// What waits for `role`, when it is another than `before`.
async fn another_pending(house: &House, role: &str, before: &Value) -> Value {
    for _ in 0..200 {
        if let Some(found) = pending(house, role).await.filter(|found| found != before) {
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("it is not made anew");
}

#[tokio::test]
async fn what_expires_while_it_waits_is_refused_and_made_anew() {
    for house in House::on_both().await {
        let (alice, ana) = (Person::ed25519(1), Person::ed25519(3));
        with_team(&house, &alice, delegations(&[&ana], 1, None)).await;
        let mut expired = pending(&house, "team").await.unwrap();
        expired["signed"]["expires"] = json!("2026-01-01T00:00:00Z");
        let mut tx = house.ctx.store().tuf_write().await.unwrap();
        let row = tx.pending("team").await.unwrap().unwrap();
        tx.put_pending(&PendingRow { document: expired.to_string(), ..row }).await.unwrap();
        tx.commit().await.unwrap();
        let (_, error) = errored(&done(&house, ana.signs("team", &expired)).await);
        assert!(error.ends_with("It is made anew: sign it again"), "{error}");
        let anew = another_pending(&house, "team", &expired).await;
        succeeded(&done(&house, ana.signs("team", &anew)).await);
        assert!(is_public(&house.ctx, "1.team.json").await);
        house.end().await;
    }
}

#[tokio::test]
async fn a_role_that_was_never_signed_waits_again_when_it_is_put_as_it_is() {
    for house in House::on_both().await {
        let (alice, ana) = (Person::ed25519(1), Person::ed25519(3));
        let asked = delegations(&[&ana], 1, None);
        with_team(&house, &alice, asked.clone()).await;
        let first = pending(&house, "team").await.unwrap();
        let put = || Request::MetadataDelegation(Delegations::Update(asked.clone()));
        succeeded(&done(&house, put()).await);
        assert_eq!(pending(&house, "team").await, Some(first), "what waits already keeps its signatures");
        succeeded(&done(&house, Request::DeleteSignMetadata { role: "team".into(), proof: None }).await);
        assert_eq!(pending(&house, "team").await, None);
        succeeded(&done(&house, put()).await);
        let again = pending(&house, "team").await.expect("it waits");
        succeeded(&done(&house, ana.signs("team", &again)).await);
        assert!(is_public(&house.ctx, "1.team.json").await);
        house.end().await;
    }
}

/// What a client that begins now makes of a path of the role.
async fn is_found(house: &House, path: &str) -> bool {
    let mut reader = client(&house.ctx, 1).await.unwrap();
    find(&house.ctx, &mut reader, path).await.is_ok_and(|found| found)
}

/// A delegation is public before what is signed by it.
#[tokio::test]
async fn keys_of_a_role_that_change_one_after_the_other_leave_its_public_version_valid() {
    for house in House::on_both().await {
        let (alice, ana, bo, cy) =
            (Person::ed25519(1), Person::ed25519(3), Person::ed25519(4), Person::ed25519(5));
        with_team(&house, &alice, delegations(&[&ana], 1, None)).await;
        succeeded(&done(&house, add("team/one")).await);
        let signs = async |person: &Person| {
            let document = pending(&house, "team").await.unwrap();
            succeeded(&done(&house, person.signs("team", &document)).await);
            assert!(is_found(&house, "team/one").await, "signed");
        };
        let update = async |people: &[&Person]| {
            let asked = Delegations::Update(delegations(people, 1, None));
            succeeded(&done(&house, Request::MetadataDelegation(asked)).await);
        };
        assert!(!is_found(&house, "team/one").await);
        signs(&ana).await;

        update(&[&ana, &bo]).await;
        assert!(is_found(&house, "team/one").await, "Ana's signature still counts");
        signs(&bo).await;
        update(&[&bo]).await;
        assert!(is_found(&house, "team/one").await, "Bo's does");
        signs(&bo).await;

        update(&[&cy]).await;
        assert!(!is_found(&house, "team/one").await, "at once: what is public has no signature that counts");
        signs(&cy).await;
        house.end().await;
    }
}

/// As where an earlier repository has left it.
#[tokio::test]
async fn what_people_signed_and_cannot_be_published_is_asked_for_again_and_holds_up_nobody() {
    for house in House::on_both().await {
        let (alice, ana) = (Person::ed25519(1), Person::ed25519(3));
        with_team(&house, &alice, delegations(&[&ana], 1, None)).await;
        let first = pending(&house, "team").await.unwrap();
        let dir = house.dir.path().join("files/metadata");
        std::fs::write(dir.join("1.team.json"), "{}").unwrap();
        done(&house, ana.signs("team", &first)).await;
        let second = another_pending(&house, "team", &first).await;
        assert_eq!(second["signed"]["version"], 2);
        succeeded(&done(&house, add("auto/one")).await);
        succeeded(&done(&house, ana.signs("team", &second)).await);
        assert!(is_public(&house.ctx, "2.team.json").await);
        let mut reader = client(&house.ctx, 1).await.unwrap();
        assert!(find(&house.ctx, &mut reader, "auto/one").await.unwrap());
        assert!(!find(&house.ctx, &mut reader, "team/one").await.unwrap(), "it verifies, and lists nothing");
        house.end().await;
    }
}

#[tokio::test]
async fn after_a_restore_people_are_asked_for_the_version_after_the_one_that_clients_have() {
    for house in House::on_both().await {
        let (alice, ana) = (Person::ed25519(1), Person::ed25519(3));
        with_team(&house, &alice, delegations(&[&ana], 1, None)).await;
        let mut shown = pending(&house, "team").await.unwrap();
        succeeded(&done(&house, ana.signs("team", &shown)).await);
        succeeded(&done(&house, add("team/one")).await);
        // As in a backup: version 1 is public, 2 waits.
        let mut tx = house.ctx.store().tuf_read().await.unwrap();
        let rows = tx.role_page(None, 10).await.unwrap();
        let waits = tx.pending("team").await.unwrap().unwrap();
        drop(tx);
        for path in ["team/two", "team/three"] {
            shown = pending(&house, "team").await.unwrap();
            succeeded(&done(&house, ana.signs("team", &shown)).await);
            succeeded(&done(&house, add(path)).await);
        }
        let mut reader = client(&house.ctx, 1).await.unwrap();
        let mut tx = house.ctx.store().tuf_write().await.unwrap();
        tx.put_roles(&rows).await.unwrap();
        tx.put_pending(&waits).await.unwrap();
        tx.commit().await.unwrap();

        let house = house.again().await;
        let waits = serde_json::from_str(&waits.document).unwrap();
        let anew = another_pending(&house, "team", &waits).await;
        assert_eq!(anew["signed"]["version"], 4, "clients have 3");
        succeeded(&done(&house, ana.signs("team", &anew)).await);
        assert!(find(&house.ctx, &mut reader, "team/three").await.is_ok());
        let reader = client(&house.ctx, 1).await.unwrap();
        assert_eq!(reader.snapshot().unwrap().snapshot().unwrap().role("team").unwrap().version, 4);
        house.end().await;
    }
}
