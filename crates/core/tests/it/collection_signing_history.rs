//! What the history says of the records that are copied when something is signed.

use std::collections::BTreeSet;

use countersign_core::collections::settings::{Profile, ResourceSettings};
use countersign_core::collections::writer::execute;
use countersign_core::collections::{Answer, Method, Settings};
use serde_json::{Value, json};

use crate::collection_signing_site::{Site, call, line, on_both, only, settings};

const PLUGIN: &str = "plugin:remote-settings";

/// The entries about records in the history of a bucket, the oldest first, since there were `known`.
async fn told(site: &Site, bucket: &str, known: usize) -> Vec<Value> {
    let history = site.get(&format!("/buckets/{bucket}/history")).await;
    let mut entries: Vec<Value> = history.as_array().unwrap().clone();
    entries.retain(|entry| entry["resource_name"] == "record");
    entries.sort_by_key(|entry| entry["last_modified"].as_i64());
    entries.split_off(known)
}

/// Action and record of each.
fn acts(entries: &[Value]) -> Vec<(&str, &str)> {
    entries.iter().map(|e| (e["action"].as_str().unwrap(), e["record_id"].as_str().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_that_is_copied_has_an_entry_in_the_name_of_the_plugin() {
    for house in on_both(settings()).await {
        let site = Site::of(&house);
        let source = site.make("source").await;
        let destination = "/buckets/destination/collections/c";
        for id in ["a", "b"] {
            site.put(&site.admin(), &format!("{source}/records/{id}"), json!({"n": 1})).await;
        }
        site.status(&site.admin(), &source, "to-sign").await.unwrap();
        let entries = told(&site, "destination", 0).await;
        assert_eq!(acts(&entries), [("create", "a"), ("create", "b")]);
        let uri = format!("{destination}/records/a");
        assert_eq!(
            only(&entries[0], &["user_id", "collection_id", "uri", "target"]),
            json!({"user_id": PLUGIN, "collection_id": "c", "uri": uri,
                   "target": {"data": site.get(&uri).await, "permissions": {}}})
        );

        site.put(&site.admin(), &format!("{source}/records/a"), json!({"n": 2})).await;
        site.delete(&site.admin(), &format!("{source}/records/b")).await.unwrap();
        site.put(&site.admin(), &format!("{source}/records/c"), json!({"n": 3})).await;
        site.status(&site.admin(), &source, "to-sign").await.unwrap();
        let entries = told(&site, "destination", 2).await;
        assert_eq!(acts(&entries), [("create", "c"), ("update", "a"), ("delete", "b")]);
        assert_eq!(entries[1]["target"]["data"], site.get(&uri).await);
        let tombstone = &entries[2]["target"]["data"];
        assert_eq!(only(tombstone, &["id", "deleted"]), json!({"id": "b", "deleted": true}));
        let times: BTreeSet<_> = entries.iter().map(|entry| entry["last_modified"].as_i64()).collect();
        assert_eq!(times.len(), 3);

        // Who signs it again copies nothing.
        site.status(&site.admin(), &source, "to-resign").await.unwrap();
        assert_eq!(told(&site, "destination", 5).await.len(), 0);
        site.delete(&site.admin(), &source).await.unwrap();
        assert_eq!(acts(&told(&site, "destination", 5).await), [("delete", "a"), ("delete", "c")]);
        assert_eq!(told(&site, "source", 0).await.len(), 5, "what people did themselves, and no more");
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_says_who_may_do_what_with_a_copy_that_somebody_had_written_to() {
    for house in on_both(settings()).await {
        let site = Site::of(&house);
        let source = site.make("source").await;
        let copy = "/buckets/destination/collections/c/records/a";
        for id in ["a", "b"] {
            site.put(&site.admin(), &format!("{source}/records/{id}"), json!({})).await;
        }
        site.status(&site.admin(), &source, "to-sign").await.unwrap();
        site.put(&site.admin(), copy, json!({"n": 5})).await;
        for id in ["a", "b"] {
            site.put(&site.admin(), &format!("{source}/records/{id}"), json!({"n": 6})).await;
        }
        site.status(&site.admin(), &source, "to-sign").await.unwrap();
        let entries = told(&site, "destination", 2).await;
        assert_eq!(acts(&entries), [("update", "a"), ("update", "a"), ("update", "b")]);
        let by: Vec<_> = entries.iter().map(|entry| entry["user_id"].as_str().unwrap()).collect();
        assert_eq!(by, ["principal:admin", PLUGIN, PLUGIN]);
        let named = json!({"write": ["principal:admin"]});
        assert_eq!(entries[1]["target"], json!({"data": site.get(copy).await, "permissions": named}));
        assert_eq!(entries[2]["target"]["permissions"], json!({}));
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_is_in_the_history_of_the_bucket_that_it_changes() {
    for house in on_both(settings()).await {
        let site = Site::of(&house);
        let source = site.make("source").await;
        for id in ["a", "b"] {
            site.put(&site.admin(), &format!("{source}/records/{id}"), json!({"n": 1})).await;
        }
        site.status(&site.admin(), &source, "to-sign").await.unwrap();
        let published = told(&site, "destination", 0).await.len();
        site.put(&site.admin(), &format!("{source}/records/a"), json!({"n": 2})).await;
        site.delete(&site.admin(), &format!("{source}/records/b")).await.unwrap();
        site.put(&site.admin(), &format!("{source}/records/c"), json!({})).await;
        site.status(&site.admin(), &source, "to-rollback").await.unwrap();
        let entries = told(&site, "source", 5).await;
        assert_eq!(acts(&entries), [("create", "b"), ("update", "a"), ("delete", "c")]);
        assert!(entries.iter().all(|entry| entry["user_id"] == PLUGIN));
        assert_eq!(entries[1]["target"]["data"], site.get(&format!("{source}/records/a")).await);
        assert_eq!(told(&site, "destination", published).await.len(), 0);
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn collections_of_2016_have_entries_with_the_timestamps_of_their_originals() {
    let line = line("/buckets/source", None, "/buckets/destination");
    let resource = ResourceSettings { profile: Profile::Seed, ..line };
    for house in on_both(Settings { resources: vec![resource], ..Settings::default() }).await {
        let site = Site::of(&house);
        let source = site.make("source").await;
        let record = site.put(&site.admin(), &format!("{source}/records/a"), json!({"n": 1})).await;
        site.status(&site.admin(), &source, "to-sign").await.unwrap();
        site.delete(&site.admin(), &format!("{source}/records/a")).await.unwrap();
        site.status(&site.admin(), &source, "to-sign").await.unwrap();
        let entries = told(&site, "destination", 0).await;
        assert_eq!(acts(&entries), [("create", "a"), ("delete", "a")]);
        assert_eq!(entries[0]["target"]["data"], record);
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_history_nothing_is_told() {
    for house in on_both(Settings { history: false, ..settings() }).await {
        let site = Site::of(&house);
        let source = site.make("source").await;
        site.put(&site.admin(), &format!("{source}/records/a"), json!({"n": 1})).await;
        site.status(&site.admin(), &source, "to-sign").await.unwrap();
        let mut tx = house.ctx.store().collections_read().await.unwrap();
        let page = tx.page("/buckets/destination/history", &Default::default()).await.unwrap();
        assert!(page.objects.is_empty());
        drop(tx);
        house.end().await;
    }
}

/// Whoever signs does not wait for that many.
const MANY: usize = 1203;

#[tokio::test(flavor = "multi_thread")]
async fn many_copies_are_told_of_as_few_are() {
    for house in on_both(settings()).await {
        let site = Site::of(&house);
        let source = site.make("source").await;
        let write = async |data: Value| {
            let body = |n| json!({"data": {"n": n, "as": data}});
            let uri = |n| format!("{source}/records/{n:05}");
            let calls = (0..MANY).map(|n| call(Method::Put, &uri(n), Some(body(n)))).collect();
            let answers = execute(&site.ctx, &site.admin(), calls).await;
            assert!(answers.iter().all(|answer| matches!(answer, Answer::Object { .. })));
        };
        write(json!("new")).await;
        site.status(&site.admin(), &source, "to-sign").await.unwrap();
        let first = site.changeset("/buckets/destination/collections/c", None).await;
        // Entries tell of the records as they were, not as they have become.
        write(json!("\u{e9}\u{1f600}%s")).await;
        site.delete(&site.admin(), &format!("{source}/records/00007")).await.unwrap();
        site.status(&site.admin(), &source, "to-sign").await.unwrap();
        let second = site.changeset("/buckets/destination/collections/c", None).await;

        let entries = told(&site, "destination", 0).await;
        let count = |action: &str| entries.iter().filter(|entry| entry["action"] == action).count();
        assert_eq!(
            [entries.len(), count("create"), count("update"), count("delete")],
            [2 * MANY, MANY, MANY - 1, 1]
        );
        for (state, entries) in [(&first, &entries[..MANY]), (&second, &entries[MANY..])] {
            let mut records = state["changes"].as_array().unwrap().clone();
            records.reverse();
            let told: Vec<_> = entries.iter().filter(|entry| entry["action"] != "delete").collect();
            assert_eq!(told.len(), records.len());
            for (entry, record) in told.iter().zip(&records) {
                assert_eq!(entry["target"], json!({"data": record, "permissions": {}}));
                assert_eq!(entry["user_id"], PLUGIN);
                assert_eq!(entry["record_id"], record["id"]);
            }
        }
        let ids: BTreeSet<_> = entries.iter().map(|entry| entry["id"].to_string()).collect();
        assert_eq!(ids.len(), entries.len());
        house.end().await;
    }
}
