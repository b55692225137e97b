//! What bounds the TUF service, and what the log says of what people change.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use countersign_core::tuf::request::{BootstrapDelegation, Delegations, Request};
use countersign_core::tuf::{Error, Settings, gc, host, read, task};
use countersign_core::{Code, log, startup};
use countersign_store::{NewTufTask, TaskChange};
use futures_util::stream;
use serde_json::{Value, json};

use crate::support::{House, options};
use crate::tuf_people::*;
use crate::tuf_publish::*;

async fn with(house: House, settings: Settings) -> House {
    let House { dir, ctx, database } = house;
    ctx.shutdown().await;
    let mut options = options(dir.path(), database.as_ref());
    options.tuf = settings;
    let ctx = startup::open(options).await.unwrap();
    House { dir, ctx, database }
}

async fn upload(house: &House, path: &str, content: &'static [u8]) -> Result<String, Error> {
    let body = stream::iter([Ok(Bytes::from_static(content))]);
    let sha256 = countersign_model::digest::sha256(content);
    let length = content.len() as u64;
    Ok(host::upload(&house.ctx, &caller(house), path, length, sha256, body).await?.id)
}

#[tokio::test]
async fn all_target_files_take_no_more_than_they_may() {
    for house in House::on_both().await {
        let house = with(house, Settings { hosted_bytes: 10, ..Settings::default() }).await;
        with_bins(&house, &Person::ed25519(1), 2).await;
        for _ in 0..2 {
            succeeded(&end_of(&house.ctx, &upload(&house, "six", b"123456").await.unwrap()).await);
        }
        let refused = upload(&house, "five", b"12345").await.unwrap_err();
        assert!(matches!(refused, Error::Conflict { .. }), "{refused}");
        succeeded(&end_of(&house.ctx, &upload(&house, "four", b"1234").await.unwrap()).await);
        house.end().await;
    }
}

#[tokio::test]
async fn uploads_leave_the_disk_its_reserve_and_are_few_at_a_time() {
    let house = House::new(None).await;
    let house = with(house, Settings { reserve_bytes: u64::MAX / 2, ..Settings::default() }).await;
    with_bins(&house, &Person::ed25519(1), 2).await;
    match upload(&house, "a", b"a").await {
        Err(Error::Other(full)) => assert_eq!(full.code(), Code::StorageFull),
        other => panic!("{other:?}"),
    }
    let house = with(house, Settings::default()).await;
    let mut slow = Vec::new();
    let begun = Arc::new(AtomicUsize::new(0));
    for number in 0..32 {
        let (ctx, caller) = (house.ctx.clone(), caller(&house));
        let (path, begun) = (format!("slow/{number}"), Arc::clone(&begun));
        let body = stream::once(async move {
            begun.fetch_add(1, Ordering::SeqCst);
            std::future::pending().await
        });
        slow.push(tokio::spawn(async move {
            host::upload(&ctx, &caller, &path, 9, [0; 32], Box::pin(body)).await.map(drop)
        }));
    }
    let all = async {
        while begun.load(Ordering::SeqCst) < 32 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), all).await.unwrap();
    match upload(&house, "one/more", b"x").await {
        Err(Error::Unavailable(why)) => assert_eq!(why, "32 files are being uploaded"),
        other => panic!("{other:?}"),
    }
    slow.iter().for_each(tokio::task::JoinHandle::abort);
    for task in slow {
        let _ = task.await;
    }
    succeeded(&end_of(&house.ctx, &upload(&house, "one/more", b"x").await.unwrap()).await);
    house.end().await;
}

#[tokio::test]
async fn tasks_that_ended_long_ago_are_forgotten_without_anybody_asking() {
    for house in House::on_both().await {
        with_bins(&house, &Person::ed25519(1), 2).await;
        let now = house.ctx.now();
        let mut tx = house.ctx.store().tuf_write().await.unwrap();
        for (id, days) in [("old", 31), ("young", 29)] {
            let then = now - jiff::SignedDuration::from_hours(24 * days);
            let (kind, request, caller) = ("add_artifacts".into(), "{}".into(), "{}".into());
            tx.add_task(&NewTufTask { id: id.into(), kind, request, caller, now: then }).await.unwrap();
            let result = Some("{\"status\":true,\"message\":\"m\"}".into());
            let ended = TaskChange { id: id.into(), state: "SUCCESS".into(), result };
            tx.set_tasks(&[ended], then).await.unwrap();
        }
        tx.commit().await.unwrap();
        house.ctx.tuf().look_again();
        let forgotten = async {
            while task::get(&house.ctx, "old", Duration::ZERO).await.unwrap().state.is_final() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), forgotten).await.unwrap();
        assert!(task::get(&house.ctx, "young", Duration::ZERO).await.unwrap().state.is_final());
        house.end().await;
    }
}

#[tokio::test]
async fn a_task_that_fails_inside_tells_nothing_of_it() {
    for house in House::on_both().await {
        with_bins(&house, &Person::ed25519(1), 2).await;
        let mut tx = house.ctx.store().tuf_write().await.unwrap();
        let (id, kind, request, caller) =
            ("bad".into(), "add_artifacts".into(), "{\"of row 7\":".into(), "{}".into());
        tx.add_task(&NewTufTask { id, kind, request, caller, now: house.ctx.now() }).await.unwrap();
        tx.commit().await.unwrap();
        house.ctx.tuf().look_again();
        let view = end_of(&house.ctx, "bad").await;
        assert_eq!(view.state, task::TaskState::Failure);
        let message = view.result.unwrap()["message"].as_str().unwrap().to_owned();
        assert_eq!(message, "the server failed: its log has the reason, with the id of this task");
        house.end().await;
    }
}

/// A delegation of `paths`, to `people` or, where there are none, to the server.
fn role(name: &str, paths: &str, people: &[&Person]) -> Value {
    let keyids: Vec<&str> = people.iter().map(|person| person.keyid.as_str()).collect();
    json!({"name": name, "terminating": false, "threshold": 1, "keyids": keyids, "paths": [paths],
           "x-rstuf-expire-policy": 7})
}

#[tokio::test]
async fn what_is_public_in_one_role_is_not_taken_out_of_it_by_what_is_kept_back_for_another() {
    for house in House::on_both().await {
        let (alice, ana) = (Person::ed25519(1), Person::ed25519(2));
        let asked = json!({"keys": {}, "roles": [role("front", "front/*", &[]), role("rest", "*/*", &[])]});
        let root = Root::first(&house.ctx, &[&alice], 1).await.by(&[&alice]);
        succeeded(&done(&house, bootstrap(root, settings(BootstrapDelegation::Roles(asked)))).await);
        succeeded(&done(&house, add(&["team/a"])).await);
        let update =
            json!({"keys": {&ana.keyid: ana.object.clone()}, "roles": [role("front", "team/*", &[&ana])]});
        succeeded(&done(&house, Request::MetadataDelegation(Delegations::Update(update))).await);
        let shown = read::signing(&house.ctx).await.unwrap().unwrap();
        succeeded(&done(&house, ana.signs("front", &shown["metadata"]["front"])).await);

        let (message, error) = errored(&done(&house, stage(&["team/a"])).await);
        assert_eq!(message, "Adding artifact(s) Failed");
        let why = "`team/a` is public in the role `rest` and would be the role `front`'s: publish it at once";
        assert_eq!(error, why);
        succeeded(&done(&house, stage(&["team/b"])).await);
        succeeded(&done(&house, force(&["rest"])).await);
        let version = versions(&house).await["rest"];
        let rest = document(&house, &format!("{version}.rest.json")).await;
        assert!(rest.signed()["targets"].get("team/a").is_some());
        house.end().await;
    }
}

/// The subjects of the log's entries about metadata, from the `from`th on.
async fn changes(house: &House, from: usize) -> Vec<String> {
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
    subjects.split_off(from)
}

fn digest(lines: &str) -> String {
    hex::encode(countersign_model::digest::sha256(lines.as_bytes()))
}

#[tokio::test]
async fn the_log_says_who_changed_settings_artifacts_and_versions_and_who_removed_files() {
    for house in House::on_both().await {
        with_bins(&house, &Person::ed25519(1), 2).await;
        let from = changes(&house, 0).await.len();
        succeeded(&done(&house, add(&["a", "b"])).await);
        succeeded(&done(&house, stage(&["c"])).await);
        succeeded(&done(&house, Request::PublishArtifacts).await);
        succeeded(&done(&house, Request::PublishArtifacts).await);
        succeeded(&done(&house, remove(&["b", "none"])).await);
        succeeded(&done(&house, remove(&["none"])).await);
        let expiration = vec![("timestamp".to_owned(), 2), ("bins".to_owned(), 3), ("none".to_owned(), 4)];
        succeeded(&done(&house, Request::UpdateSettings { expiration }).await);
        succeeded(&done(&house, force(&["snapshot"])).await);
        succeeded(&done(&house, force(&[])).await);
        errored(&done(&house, remove(&[])).await);
        gc::run(&house.ctx, &caller(&house), true).await.unwrap();
        gc::run(&house.ctx, &caller(&house), false).await.unwrap();

        let info = |path: &str| serde_json::Value::Object(artifact(path, path).info).to_string();
        let (a, b, c) = (info("a"), info("b"), info("c"));
        let of = |added: u32, removed: u32, lines: &str| {
            format!("artifacts tasks 1 added {added} removed {removed} {}", digest(lines))
        };
        let mut found = changes(&house, from).await;
        let gc = found.pop().unwrap();
        assert!(gc.starts_with("gc before 20") && gc.ends_with('Z'), "{gc}");
        assert_eq!(
            found,
            [
                of(2, 0, &format!("+\"a\":{a}\n+\"b\":{b}\n")),
                of(1, 0, &format!("~+\"c\":{c}\n")),
                of(0, 0, "!\n"),
                of(0, 1, "-\"b\"\n"),
                "settings timestamp 2 bins 3".to_owned(),
                "forced snapshot".to_owned(),
                "forced all".to_owned(),
            ]
        );
        house.end().await;
    }
}
