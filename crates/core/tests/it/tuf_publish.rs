//! Artifacts, from the request to the client.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign_core::tuf::request::{AddArtifacts, Artifact, Request};
use countersign_core::tuf::serve::{self, Form, Gzip};
use countersign_core::tuf::task;
use countersign_tuf::metadata::Document;
use serde_json::{Map, Value, json};

use crate::support::House;
use crate::tuf_people::*;

pub fn artifact(path: &str, content: &str) -> Artifact {
    let hash = hex::encode(countersign_model::digest::sha256(content.as_bytes()));
    let info = json!({"length": content.len(), "hashes": {"sha256": hash}});
    Artifact { path: path.into(), info: info.as_object().unwrap().clone() }
}

pub fn add(paths: &[&str]) -> Request {
    adding(paths.iter().map(|path| artifact(path, path)).collect(), true)
}

pub fn stage(paths: &[&str]) -> Request {
    adding(paths.iter().map(|path| artifact(path, path)).collect(), false)
}

pub fn adding(artifacts: Vec<Artifact>, publish: bool) -> Request {
    Request::AddArtifacts(AddArtifacts { artifacts, publish, add_task_id_to_custom: false })
}

pub fn remove(paths: &[&str]) -> Request {
    Request::RemoveArtifacts { artifacts: paths.iter().map(ToString::to_string).collect(), publish: true }
}

pub fn force(roles: &[&str]) -> Request {
    Request::ForceOnlineMetadataUpdate { roles: roles.iter().map(ToString::to_string).collect() }
}

/// A repository with bins whose root 1 one person has signed.
pub async fn with_bins(house: &House, person: &Person, count: u32) {
    let root = Root::first(&house.ctx, &[person], 1).await;
    succeeded(&done(house, bootstrap(root.by(&[person]), bins(count))).await);
}

/// A metadata file, wherever it is.
pub async fn document(house: &House, name: &str) -> Document {
    Document::parse(&file(&house.ctx, name).await.unwrap_or_else(|| panic!("{name}"))).unwrap()
}

/// The versions that are public: of each role in the snapshot, of snapshot and of timestamp.
pub async fn versions(house: &House) -> BTreeMap<String, u64> {
    let timestamp = document(house, "timestamp.json").await;
    let snapshot = timestamp.timestamp().unwrap().snapshot.version;
    let mut versions =
        BTreeMap::from([("timestamp".into(), timestamp.version()), ("snapshot".into(), snapshot)]);
    let snapshot = document(house, &format!("{snapshot}.snapshot.json")).await;
    for (file, meta) in snapshot.snapshot().unwrap().meta {
        versions.insert(file.trim_end_matches(".json").into(), meta.version);
    }
    versions
}

/// By how much versions have risen.
pub fn risen(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let risen = |(role, version): (&String, &u64)| (role.clone(), version - before.get(role).unwrap_or(&0));
    after.iter().map(risen).filter(|(_, by)| *by > 0).collect()
}

pub fn named(roles: &[(&str, u64)]) -> BTreeMap<String, u64> {
    roles.iter().map(|(role, by)| ((*role).to_owned(), *by)).collect()
}

#[tokio::test]
async fn an_artifact_is_found_by_a_client_when_its_task_has_succeeded_and_not_when_it_is_removed() {
    for house in House::on_both().await {
        let alice = Person::ed25519(1);
        with_bins(&house, &alice, 4).await;
        let before = versions(&house).await;
        assert_eq!(before["bins-3"], 1);

        let added = done(&house, add(&["dist/one", "dist/two", "dist/ä \"b\" \\"])).await;
        let (message, details) = succeeded(&added);
        assert_eq!(message, "Artifact(s) Added");
        assert_eq!(details["added_artifacts"], json!(["dist/one", "dist/two", "dist/ä \"b\" \\"]));
        assert_eq!(details["invalid_paths"], json!([]));
        let mut client = client(&house.ctx, 1).await.unwrap();
        for path in ["dist/one", "dist/two", "dist/ä \"b\" \\"] {
            assert!(find(&house.ctx, &mut client, path).await.unwrap(), "{path}");
        }
        let roles = details["artifact_roles"].as_array().unwrap();
        let mut wanted = named(&[("snapshot", 1), ("timestamp", 1)]);
        wanted.extend(roles.iter().map(|role| (role.as_str().unwrap().to_owned(), 1)));
        assert_eq!(risen(&before, &versions(&house).await), wanted, "only what changed moves");

        let removed = done(&house, remove(&["dist/two", "dist/none"])).await;
        let details = json!({"deleted_artifacts": ["dist/two"], "not_found_artifacts": ["dist/none"]});
        assert_eq!(succeeded(&removed), ("Artifact(s) removed".into(), details));
        let mut client = crate::tuf_people::client(&house.ctx, 1).await.unwrap();
        assert!(!find(&house.ctx, &mut client, "dist/two").await.unwrap());
        assert!(find(&house.ctx, &mut client, "dist/one").await.unwrap());

        let before = versions(&house).await;
        assert_eq!(succeeded(&done(&house, remove(&["dist/none"])).await).0, "Artifact(s) removed");
        assert_eq!(
            errored(&done(&house, remove(&[])).await),
            ("Removing artifact(s) Failed".into(), "At list one artifact is required".into())
        );
        assert_eq!(versions(&house).await, before, "nothing to publish");
        house.end().await;
    }
}

#[tokio::test]
async fn what_is_staged_is_public_when_somebody_publishes_it() {
    for house in House::on_both().await {
        let alice = Person::ed25519(1);
        with_bins(&house, &alice, 2).await;
        let nothing = done(&house, Request::PublishArtifacts).await;
        let none = json!({"artifact_roles": null});
        assert_eq!(succeeded(&nothing), ("Publish Artifacts Processed".into(), none));
        let before = versions(&house).await;

        succeeded(&done(&house, stage(&["a", "b"])).await);
        succeeded(&done(&house, add(&["c"])).await);
        assert_eq!(versions(&house).await["snapshot"], before["snapshot"] + 1);
        let mut first = client(&house.ctx, 1).await.unwrap();
        assert!(!find(&house.ctx, &mut first, "a").await.unwrap());
        assert!(find(&house.ctx, &mut first, "c").await.unwrap());

        let staged = Request::RemoveArtifacts { artifacts: vec!["c".into()], publish: false };
        succeeded(&done(&house, staged).await);
        let (_, details) = succeeded(&done(&house, Request::PublishArtifacts).await);
        assert_eq!(details["artifact_roles"], json!(["bins-0", "bins-1"]));
        let mut second = client(&house.ctx, 1).await.unwrap();
        assert!(find(&house.ctx, &mut second, "a").await.unwrap());
        assert!(find(&house.ctx, &mut second, "b").await.unwrap());
        assert!(!find(&house.ctx, &mut second, "c").await.unwrap());
        house.end().await;
    }
}

#[tokio::test]
async fn the_callers_own_member_of_custom_wins_over_the_tasks_id() {
    let house = House::new(None).await;
    let alice = Person::ed25519(1);
    with_bins(&house, &alice, 2).await;
    let mut own = artifact("own", "x");
    own.info.insert("custom".into(), json!({"added_by_task_id": "mine", "k": "line\n\u{1}"}));
    let request = AddArtifacts {
        artifacts: vec![own, artifact("other", "y")],
        publish: true,
        add_task_id_to_custom: true,
    };
    let added = done(&house, Request::AddArtifacts(request)).await;
    succeeded(&added);
    let mut custom = Map::new();
    for bin in ["2.bins-0.json", "2.bins-1.json"] {
        let Some(file) = file(&house.ctx, bin).await else { continue };
        let document: Value = serde_json::from_slice(&file).unwrap();
        for (path, target) in document["signed"]["targets"].as_object().unwrap() {
            custom.insert(path.clone(), target["custom"].clone());
        }
    }
    let wanted = json!({
        "own": {"added_by_task_id": "mine", "k": "line\n\u{1}"}, "other": {"added_by_task_id": added.id}
    });
    assert_eq!(Value::Object(custom), wanted);
    let mut client = client(&house.ctx, 1).await.unwrap();
    assert!(find(&house.ctx, &mut client, "own").await.unwrap());
    house.end().await;
}

#[tokio::test]
async fn what_many_ask_at_once_is_published_together_and_the_last_of_one_path_counts() {
    for house in House::on_both().await {
        let alice = Person::ed25519(1);
        with_bins(&house, &alice, 4).await;
        let before = versions(&house).await;
        let house = Arc::new(house);
        let asking = (0..60).map(|number| {
            let house = Arc::clone(&house);
            tokio::spawn(async move {
                let own = format!("own/{number}");
                let artifacts = vec![artifact(&own, &own), artifact("shared", &own)];
                let view = done(&house, adding(artifacts, true)).await;
                succeeded(&view);
                // Whoever is told finds it.
                let mut client = client(&house.ctx, 1).await.unwrap();
                assert!(find(&house.ctx, &mut client, &own).await.unwrap());
            })
        });
        for asked in asking.collect::<Vec<_>>() {
            asked.await.unwrap();
        }
        let after = versions(&house).await;
        let publications = after["timestamp"] - before["timestamp"];
        assert!(publications < 60, "{publications} publications for 60 requests");
        assert_eq!(after["snapshot"] - before["snapshot"], publications);
        Arc::into_inner(house).unwrap().end().await;
    }
}

#[tokio::test]
async fn new_versions_on_request_are_one_more_of_each_and_named() {
    for house in House::on_both().await {
        let alice = Person::ed25519(1);
        with_bins(&house, &alice, 2).await;
        succeeded(&done(&house, add(&["a"])).await);
        for (asked, wanted) in [
            (&["timestamp"][..], &["timestamp"][..]),
            (&["snapshot"], &["snapshot", "timestamp"]),
            (&["bins"], &["bins-0", "bins-1", "snapshot", "timestamp"]),
            (&["targets", "timestamp", "root"], &["targets", "snapshot", "timestamp"]),
            (&[], &["bins-0", "bins-1", "targets", "snapshot", "timestamp"]),
        ] {
            let before = versions(&house).await;
            let (message, details) = succeeded(&done(&house, force(asked)).await);
            assert_eq!(message, "Force new online metadata update succeeded");
            assert_eq!(details["updated_roles"], json!(wanted));
            let wanted: Vec<_> = wanted.iter().map(|role| (*role, 1)).collect();
            assert_eq!(risen(&before, &versions(&house).await), named(&wanted), "{asked:?}");
            client(&house.ctx, 1).await.unwrap();
        }
        match refused(&house, force(&["nobody"])).await {
            countersign_core::tuf::Error::WrongState { message, error } => {
                assert_eq!(message.as_deref(), Some("Task not accepted."));
                assert!(error.starts_with("Hash bin delegation is used and only"), "{error}");
            }
            other => panic!("{other}"),
        }
        house.end().await;
    }
}

#[tokio::test]
async fn lifetimes_change_from_the_next_version_on() {
    for house in House::on_both().await {
        let alice = Person::ed25519(1);
        with_bins(&house, &alice, 2).await;
        let change = |roles: &[(&str, i64)]| Request::UpdateSettings {
            expiration: roles.iter().map(|(role, days)| ((*role).to_owned(), *days)).collect(),
        };
        let (message, details) =
            succeeded(&done(&house, change(&[("timestamp", 2), ("nobody", 4), ("bins", 9)])).await);
        assert_eq!(message, "Update Settings Succeded");
        assert_eq!(details, json!({"updated_roles": ["timestamp", "bins"], "invalid_roles": ["nobody"]}));
        assert_eq!(
            errored(&done(&house, change(&[])).await),
            ("Update Settings Failed".into(), "No role provided for expiration policy change".into())
        );
        let days = |document: &Document| {
            let left = document.expires().as_second() - jiff::Timestamp::now().as_second();
            (left + 60) / 86_400
        };
        assert_eq!(days(&document(&house, "timestamp.json").await), 1);
        succeeded(&done(&house, force(&[])).await);
        assert_eq!(days(&document(&house, "timestamp.json").await), 2);
        assert_eq!(days(&document(&house, "2.bins-1.json").await), 9);
        house.end().await;
    }
}

#[tokio::test]
async fn a_role_that_clients_would_not_take_any_more_is_refused_whole() {
    let house = House::new(None).await;
    let alice = Person::ed25519(1);
    with_bins(&house, &alice, 2).await;
    let large = |number: usize| {
        let mut artifact = artifact(&format!("large/{number}"), "x");
        artifact.info.insert("custom".into(), json!({"k": "x".repeat(1 << 20)}));
        artifact
    };
    let before = versions(&house).await;
    let refused = done(&house, adding((0..20).map(large).collect(), true)).await;
    let (message, error) = errored(&refused);
    assert_eq!(message, "Adding artifact(s) Failed");
    assert!(error.contains("clients take 5000000"), "{error}");
    assert_eq!(versions(&house).await, before);
    // The same artifact again and again is one artifact.
    for _ in 0..6 {
        succeeded(&done(&house, adding(vec![large(1)], true)).await);
    }
    client(&house.ctx, 1).await.unwrap();
    house.end().await;
}

#[tokio::test]
async fn what_clients_fetch_is_what_is_in_the_files() {
    for house in House::on_both().await {
        let alice = Person::ed25519(1);
        assert!(serve::metadata(&house.ctx, "timestamp.json", Form::Gzip).await.unwrap().is_none());
        with_bins(&house, &alice, 64).await;
        let plain = serve::metadata(&house.ctx, "1.snapshot.json", Form::Plain).await.unwrap().unwrap();
        assert_eq!(plain.gzip, Gzip::Unknown, "nobody pays for what nobody takes");
        for _ in 0..2 {
            let served = serve::metadata(&house.ctx, "1.snapshot.json", Form::Gzip).await.unwrap().unwrap();
            assert!(served.immutable);
            let mut plain = Vec::new();
            let Gzip::Made(gzip) = &served.gzip else { panic!("{:?}", served.gzip) };
            std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&gzip[..]), &mut plain).unwrap();
            assert_eq!(plain, served.bytes);
        }
        let first = serve::metadata(&house.ctx, "timestamp.json", Form::Gzip).await.unwrap().unwrap();
        assert!(!first.immutable);
        succeeded(&done(&house, force(&["timestamp"])).await);
        let second = serve::metadata(&house.ctx, "timestamp.json", Form::Gzip).await.unwrap().unwrap();
        assert_ne!(first.etag, second.etag);
        for name in ["", "..", "a/b", "3.root.json", "root.json", "nothing", "1.root.json/", "\0"] {
            assert!(serve::metadata(&house.ctx, name, Form::Gzip).await.unwrap().is_none(), "{name:?}");
        }
        let house = house.again().await;
        let third = serve::metadata(&house.ctx, "timestamp.json", Form::Gzip).await.unwrap().unwrap();
        assert_eq!(second, third);
        house.end().await;
    }
}

#[tokio::test]
async fn a_task_that_never_was_is_pending_and_one_that_waits_is_looked_at_until_it_ends() {
    let house = House::new(None).await;
    let never = task::get(&house.ctx, &"0".repeat(32), Duration::from_secs(5)).await.unwrap();
    assert_eq!((never.state, never.result), (task::TaskState::Pending, None));
    let alice = Person::ed25519(1);
    with_bins(&house, &alice, 2).await;
    let accepted = task::submit(&house.ctx, &caller(&house), add(&["a"])).await.unwrap();
    assert!(accepted.id.len() == 32 && accepted.id.bytes().all(|b| b.is_ascii_hexdigit()));
    let begun = Instant::now();
    let view = task::get(&house.ctx, &accepted.id, Duration::from_secs(20)).await.unwrap();
    assert_eq!(view.state, task::TaskState::Success);
    assert!(begun.elapsed() < Duration::from_secs(10));
    let result = view.result.unwrap();
    assert_eq!(result["task"], "add_artifacts");
    let time = result["last_update"].as_str().unwrap();
    assert!(time.len() == 27 && time.ends_with('Z'), "{time}");
    house.end().await;
}
