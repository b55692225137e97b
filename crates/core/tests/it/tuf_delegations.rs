//! Custom delegated roles: added, changed, deleted.

use countersign_core::tuf::request::{BootstrapDelegation, Delegations, Request};
use countersign_tuf::client::{Client, Local};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::House;
use crate::tuf_people::*;
use crate::tuf_publish::*;

fn role(name: &str, paths: &[&str]) -> Value {
    json!({
        "name": name, "terminating": true, "keyids": [], "threshold": 1, "paths": paths,
        "x-rstuf-expire-policy": 7,
    })
}

fn roles(roles: &[Value]) -> Value {
    json!({"keys": {}, "roles": roles})
}

async fn with_roles(house: &House, person: &Person, asked: &[Value]) {
    let root = Root::first(&house.ctx, &[person], 1).await;
    let settings = settings(BootstrapDelegation::Roles(roles(asked)));
    succeeded(&done(house, bootstrap(root.by(&[person]), settings)).await);
}

async fn found(house: &House, path: &str) -> bool {
    let mut client = client(&house.ctx, 1).await.unwrap();
    find(&house.ctx, &mut client, path).await.unwrap()
}

#[tokio::test]
async fn artifacts_go_to_the_first_role_that_takes_them_and_move_when_roles_change() {
    for house in House::on_both().await {
        let alice = Person::ed25519(1);
        with_roles(&house, &alice, &[role("team", &["team/*"]), role("rest", &["*/*"])]).await;
        let (_, details) = succeeded(&done(&house, add(&["team/a", "other/b", "no-directory"])).await);
        assert_eq!(details["invalid_paths"], json!(["no-directory"]));
        assert_eq!(details["artifact_roles"], json!(["team", "rest"]));
        assert!(found(&house, "team/a").await && found(&house, "other/b").await);
        // A client that knows the role that is about to be deleted.
        let old = client(&house.ctx, 1).await.unwrap();
        let known: Vec<(String, Vec<u8>)> =
            old.trusted().map(|(role, bytes)| (role.to_owned(), bytes.to_vec())).collect();
        let kept = |name: &str| known.iter().find(|(role, _)| role == name).map(|(_, bytes)| bytes.clone());

        let delete = |names: &[&str]| {
            let names = names.iter().map(ToString::to_string).collect();
            Request::MetadataDelegation(Delegations::Delete(names))
        };
        let before = versions(&house).await;
        let (message, details) = succeeded(&done(&house, delete(&["team", "nobody"])).await);
        assert_eq!(message, "Metadata Delegation Processed");
        assert_eq!(details["delegated_roles"], json!(["team"]));
        assert_eq!(details["failed_roles"], json!([{"role": "nobody", "reason": "there is no such role"}]));
        let after = versions(&house).await;
        assert_eq!(after["team"], before["team"], "it stays in the snapshot");
        assert_eq!(
            risen(&before, &after),
            named(&[("rest", 1), ("targets", 1), ("snapshot", 1), ("timestamp", 1)])
        );
        assert!(found(&house, "team/a").await, "the role after it takes the path");
        let local = Local {
            timestamp: kept("timestamp"),
            snapshot: kept("snapshot"),
            roles: [("targets".to_owned(), kept("targets").unwrap())].into(),
        };
        let mut reader = Client::new(&kept("root").unwrap(), local, Timestamp::now()).unwrap();
        assert!(find(&house.ctx, &mut reader, "other/b").await.unwrap());

        // It is never signed anew.
        succeeded(&done(&house, force(&[])).await);
        assert_eq!(versions(&house).await["team"], before["team"]);

        let back = Delegations::Add(roles(&[role("team", &["none/*"]), role("rest", &["*/*"])]));
        let (_, details) = succeeded(&done(&house, Request::MetadataDelegation(back)).await);
        assert_eq!(details["delegated_roles"], json!(["team"]));
        assert_eq!(details["failed_roles"][0]["reason"], "the role exists already");
        assert_eq!(versions(&house).await["team"], before["team"] + 1);
        let (_, details) = succeeded(&done(&house, add(&["none/c"])).await);
        assert_eq!(details["artifact_roles"], json!(["rest"]), "the first that takes it");
        let narrow = Delegations::Update(roles(&[role("rest", &["other/*"])]));
        succeeded(&done(&house, Request::MetadataDelegation(narrow)).await);
        assert!(found(&house, "none/c").await, "it is the other role's now");
        assert!(found(&house, "other/b").await);
        assert!(!found(&house, "team/a").await, "nobody takes it any more");
        house.end().await;
    }
}

#[tokio::test]
async fn a_rotation_keeps_every_role_readable() {
    for house in House::on_both().await {
        let alice = Person::ed25519(1);
        with_roles(&house, &alice, &[role("team", &["team/*"])]).await;
        succeeded(&done(&house, add(&["team/a"])).await);
        countersign_core::tuf::online::create(&house.ctx, &caller(&house), "second", "ed25519")
            .await
            .unwrap();
        let mut root = Root::first(&house.ctx, &[&alice], 1).await;
        (root.version, root.online) = (2, online_keys(&house.ctx).await[1].clone());
        let second = root.online.0.clone();
        succeeded(&done(&house, Request::MetadataUpdate { root: root.by(&[&alice]) }).await);
        assert!(found(&house, "team/a").await);
        let targets = document(&house, "2.targets.json").await;
        assert_eq!(targets.signed()["delegations"]["roles"][0]["keyids"], json!([second]));
        house.end().await;
    }
}

#[tokio::test]
async fn bins_take_no_custom_roles() {
    let house = House::new(None).await;
    let alice = Person::ed25519(1);
    with_bins(&house, &alice, 2).await;
    let asked = Delegations::Add(roles(&[role("team", &["team/*"])]));
    let (_, error) = errored(&done(&house, Request::MetadataDelegation(asked)).await);
    assert_eq!(error, "Delegations already using hash-bins, cannot add custom roles");
    house.end().await;
}
