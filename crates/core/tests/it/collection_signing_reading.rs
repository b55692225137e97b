//! What readers are served: from memory, from files, and never what does not verify.

use std::time::Duration;

use countersign_core::collections::reading::{self, Expected, Query, Reply, monitor};
use countersign_core::collections::signer::refresh;
use countersign_core::collections::{Answer, Error, Method, Settings};
use countersign_core::keys;
use serde_json::{Value, json};

use crate::collection_signing_site::{Site, beside, house, ids, on_both, settings, verify};
use crate::support::{Database, House};

const SOURCE: &str = "/buckets/source/collections/c";
const DESTINATION: &str = "/buckets/destination/collections/c";

fn query(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

async fn sign(site: &Site, id: &str, data: Value) {
    site.put(&site.admin(), &format!("{SOURCE}/records/{id}"), data).await;
    site.status(&site.admin(), SOURCE, "to-sign").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_read_learns_nothing_and_who_may_learns_what_is_wrong() {
    for house in on_both(settings()).await {
        let site = Site::of(&house);
        site.make("source").await;
        let expected = query(&[("_expected", "0")]);
        let read = |who, bucket: &'static str, collection: &'static str, query| {
            let site = site.clone();
            async move {
                let read = reading::changeset(&site.ctx, &who, bucket, collection, query).await;
                read.map(|read| read.timestamp).map_err(|error| match error {
                    Error::Unauthorized => "401".to_owned(),
                    Error::Forbidden(_) => "403".into(),
                    Error::NotFound { id, .. } => format!("404 {id}"),
                    other => other.to_string(),
                })
            }
        };
        let (nobody, bob, admin) = (site.nobody(), site.user("bob"), site.admin());
        for (who, bucket, collection, wanted) in [
            (&nobody, "source", "c", "401"),
            (&bob, "source", "c", "403"),
            (&nobody, "destination", "none", "401"),
            (&bob, "none", "c", "403"),
            (&admin, "destination", "none", "404 none"),
        ] {
            let refused = read(who.clone(), bucket, collection, &expected).await.unwrap_err();
            assert_eq!(refused, wanted, "{bucket}/{collection}");
        }
        let (none, bad) = (query(&[]), query(&[("_expected", "0"), ("_since", "abc")]));
        for (query, wanted) in [
            (&none, "_expected in querystring: Required"),
            (&bad, "_since in querystring: The value should be integer, optionally between double quotes."),
        ] {
            let refused = read(nobody.clone(), "destination", "c", query).await.unwrap_err();
            assert_eq!(refused, wanted);
        }
        assert!(read(admin, "source", "c", &expected).await.is_ok());

        // By a group, which is looked at each time.
        let group = json!({"members": ["account:bob"]});
        site.put(&site.admin(), "/buckets/source/groups/readers", group).await;
        let change = json!({"permissions": {"read": ["/buckets/source/groups/readers"]}});
        site.send(&site.admin(), Method::Patch, SOURCE, Some(change)).await;
        assert!(read(bob.clone(), "source", "c", &expected).await.is_ok());
        site.put(&site.admin(), "/buckets/source/groups/readers", json!({"members": []})).await;
        assert_eq!(read(bob, "source", "c", &expected).await.unwrap_err(), "403");
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changeset_is_what_was_committed_last_also_from_memory() {
    for house in on_both(settings()).await {
        let site = Site::of(&house);
        site.make("source").await;
        for n in 0..20 {
            sign(&site, "r", json!({"n": n, "text": "x".repeat(2000)})).await;
            let read = site.changeset(DESTINATION, None).await;
            assert_eq!(read["changes"][0]["n"], n);
            assert_eq!(read, site.changeset(DESTINATION, None).await);
        }
        assert!(site.verifies(DESTINATION).await);

        let expected = query(&[("_expected", "0")]);
        let read =
            reading::changeset(&site.ctx, &site.nobody(), "destination", "c", &expected).await.unwrap();
        let gzip = read.gzip().await.unwrap();
        let mut unpacked = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&gzip[..]), &mut unpacked).unwrap();
        assert_eq!(unpacked, read.body);
        assert_eq!(Some(read.last_modified), site.get(DESTINATION).await["last_modified"].as_i64());

        for id in ["a", "b", "c"] {
            sign(&site, id, json!({})).await;
        }
        let limited = query(&[("_expected", "0"), ("_limit", "2")]);
        let read = reading::changeset(&site.ctx, &site.nobody(), "destination", "c", &limited).await.unwrap();
        let read: Value = serde_json::from_slice(&read.body).unwrap();
        assert_eq!(ids(&read["changes"]), ["b", "c"], "the newest");
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_node_serves_what_this_one_signed() {
    let house = house(Some(Database::create().await.unwrap()), settings()).await;
    let site = Site::of(&house);
    site.make("source").await;
    let dir = tempfile::tempdir().unwrap();
    let other = site.at(&beside(&house, dir.path(), settings()).await);
    for n in 0..3 {
        sign(&site, "r", json!({"n": n})).await;
        // What is kept is looked at again after 200 ms.
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(other.changeset(DESTINATION, None).await, site.changeset(DESTINATION, None).await);
        assert!(other.verifies(DESTINATION).await);
    }
    sign(&other, "s", json!({})).await;
    assert!(other.verifies(DESTINATION).await, "with the key of both");

    // Also who may read is what was said last, wherever it was said.
    let read = || async {
        let (bob, query) = (other.user("bob"), query(&[("_expected", "0")]));
        reading::changeset(&other.ctx, &bob, "source", "c", &query).await.is_ok()
    };
    let readable = |by: &[&str]| json!({"permissions": {"read": by}});
    other.changeset(DESTINATION, None).await;
    for (by, wanted) in [(&["account:bob"][..], true), (&[], false), (&["account:bob"], true)] {
        site.send(&site.admin(), Method::Put, SOURCE, {
            let mut body = readable(by);
            body["data"] = site.get(SOURCE).await;
            Some(body)
        })
        .await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(read().await, wanted, "{by:?}");
        // The owner reads it, so that it is kept.
        let query = query(&[("_expected", "0")]);
        reading::changeset(&other.ctx, &other.admin(), "source", "c", &query).await.unwrap();
    }
    other.ctx.clone().shutdown().await;
    house.end().await;
}

async fn monitored(site: &Site, pairs: &[(&str, &str)]) -> Reply {
    let query = Query::parse(&query(pairs), Expected::Required).unwrap();
    monitor::changeset(&site.ctx, &query).await.unwrap()
}

fn body(reply: &Reply) -> Value {
    match reply {
        Reply::Changes { body, .. } => serde_json::from_slice(body).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_monitor_shows_what_is_published_the_newest_first() {
    for house in on_both(settings()).await {
        let site = Site::of(&house);
        let empty = body(&monitored(&site, &[("_expected", "0")]).await);
        assert_eq!(empty, json!({"metadata": {"bucket": "monitor"}, "timestamp": 0, "changes": []}));
        site.make("source").await;
        site.make("staging").await;
        sign(&site, "r", json!({})).await;
        let all = body(&monitored(&site, &[("_expected", "0")]).await);
        let places: Vec<_> = all["changes"].as_array().unwrap().iter().map(|e| &e["bucket"]).collect();
        // Those of the same moment are in the order of their names.
        assert_eq!(places, ["destination", "preview", "prod"]);
        let records = site.timestamp(&format!("{DESTINATION}/records")).await;
        assert_eq!(
            (&all["timestamp"], &all["changes"][0]["last_modified"]),
            (&json!(records), &json!(records))
        );
        assert_eq!(reading::broadcast(&site.ctx).await.unwrap(), records);

        let since = (records - 1).to_string();
        let newer = body(&monitored(&site, &[("_expected", "0"), ("_since", &since)]).await);
        assert_eq!(newer["changes"], json!([all["changes"][0]]));
        let one =
            body(&monitored(&site, &[("_expected", "0"), ("bucket", "prod"), ("collection", "c")]).await);
        assert_eq!(one["changes"], json!([all["changes"][2]]));
        assert_eq!(one["timestamp"], all["timestamp"]);

        let (list, timestamp) = monitor::records(&site.ctx, &Query::default(), None).await.unwrap();
        assert_eq!(
            (serde_json::from_str::<Value>(&list).unwrap(), timestamp),
            (all["changes"].clone(), records)
        );
        let (list, _) = monitor::records(&site.ctx, &Query::default(), Some(timestamp)).await.unwrap();
        assert_eq!(list, "[]");

        site.delete(&site.admin(), "/buckets/staging/collections/c").await.unwrap();
        site.delete(&site.admin(), "/buckets/preview").await.unwrap();
        let left = body(&monitored(&site, &[("_expected", "0")]).await);
        let places: Vec<_> = left["changes"].as_array().unwrap().iter().map(|e| &e["bucket"]).collect();
        assert_eq!(places, ["destination", "prod"], "what went with its bucket is not shown");
        house.end().await;
    }
}

/// A published file as JSON.
async fn file(site: &Site, name: &str) -> Option<Value> {
    let bytes = site.ctx.files().get(&name.parse().unwrap()).await.unwrap()?;
    Some(serde_json::from_slice(&bytes).unwrap())
}

/// Waits until a published file says of `pointer` what is wanted.
async fn wait_for(site: &Site, name: &str, pointer: &str, wanted: &Value) -> Value {
    for _ in 0..200 {
        if let Some(value) = file(site, name).await
            && value.pointer(pointer) == Some(wanted)
        {
            return value;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{name}: {:?}", file(site, name).await)
}

const PLAIN: &str = "collections/destination/c/changeset.json";
const CHANGES: &str = "collections/monitor/changes.json";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_is_in_files_too_and_they_verify() {
    for house in on_both(settings()).await {
        let site = Site::of(&house);
        site.make("source").await;
        let key = keys::public_pem(&house.ctx, &"collections/main".parse().unwrap()).unwrap();
        for n in 0..12 {
            sign(&site, "r", json!({"n": n})).await;
            if n % 4 != 3 {
                continue;
            }
            let served = site.changeset(DESTINATION, None).await;
            let published = wait_for(&site, PLAIN, "/changes/0/n", &json!(n)).await;
            assert_eq!(published, served);
            assert!(verify(&published, &key));
            let version =
                format!("collections/destination/c/changeset-{}.json", served["metadata"]["last_modified"]);
            assert_eq!(file(&site, &version).await, Some(served.clone()));
            wait_for(&site, CHANGES, "/changes/0/last_modified", &served["timestamp"]).await;
        }

        // What is not signed as it is stays out.
        let served = site.changeset(DESTINATION, None).await;
        site.put(&site.admin(), &format!("{DESTINATION}/records/x"), json!({})).await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert_eq!(file(&site, PLAIN).await, Some(served));
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_a_crash_kept_from_being_written_are_written_after_the_next_start_and_newer_ones_stay() {
    let house = house(None, settings()).await;
    let site = Site::of(&house);
    site.make("source").await;
    sign(&site, "r", json!({"n": 1})).await;
    let served = wait_for(&site, PLAIN, "/changes/0/n", &json!(1)).await;
    wait_for(&site, CHANGES, "/timestamp", &served["timestamp"]).await;
    let index = "collections/published.json";
    let written = site.ctx.files().get(&index.parse().unwrap()).await.unwrap().unwrap();
    sign(&site, "r", json!({"n": 2})).await;
    let second = wait_for(&site, PLAIN, "/changes/0/n", &json!(2)).await;
    wait_for(&site, CHANGES, "/timestamp", &second["timestamp"]).await;
    drop(site);
    let House { dir, ctx, .. } = house;
    ctx.shutdown().await;
    let put =
        |name: &str, content: &[u8]| std::fs::write(dir.path().join("files").join(name), content).unwrap();
    let plain = || {
        let content = std::fs::read(dir.path().join("files").join(PLAIN)).unwrap();
        serde_json::from_slice::<Value>(&content).unwrap()
    };
    // As if it had crashed after the first of the files of the second version.
    put(PLAIN, served.to_string().as_bytes());
    put(index, &written);

    let open = || {
        let mut options = crate::support::options(dir.path(), None);
        options.collections = settings();
        countersign_core::startup::open(options)
    };
    let ctx = open().await.unwrap();
    for _ in 0..200 {
        if plain()["changes"][0]["n"] == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(plain()["changes"][0]["n"], 2);
    ctx.shutdown().await;

    // As if the database were older than the files.
    let future = json!({"/buckets/destination/collections/c":
                        {"timestamp": 9_000_000_000_000_i64, "last_modified": 9_000_000_000_000_i64}});
    put(index, future.to_string().as_bytes());
    put(PLAIN, b"{}");
    let ctx = open().await.unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(plain(), json!({}), "nothing goes backwards");
    ctx.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_that_have_become_old_are_made_again_by_nobody_in_particular() {
    let settings = Settings { refresh_after: Duration::from_millis(300), ..settings() };
    for house in on_both(settings).await {
        let site = Site::of(&house);
        site.make("source").await;
        sign(&site, "r", json!({})).await;
        site.put(&site.admin(), &format!("{SOURCE}/records/s"), json!({})).await;
        let old = site.changeset(DESTINATION, None).await;
        assert_eq!(refresh::due(&house.ctx).await.unwrap(), []);
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert_eq!(refresh::run(&house.ctx).await.unwrap(), 1);
        assert_eq!(refresh::run(&house.ctx).await.unwrap(), 0);
        let new = site.changeset(DESTINATION, None).await;
        assert!(site.verifies(DESTINATION).await);
        assert_eq!(new["changes"], old["changes"]);
        assert_ne!(new["metadata"]["signature"], old["metadata"]["signature"]);
        let source = site.get(SOURCE).await;
        assert_eq!(source["last_signature_by"], "plugin:remote-settings");
        assert_eq!(
            (&source["status"], &source["last_edit_by"]),
            (&json!("work-in-progress"), &json!("principal:admin"))
        );
        let writers = site.permissions(SOURCE).await["write"].to_string();
        assert!(!writers.contains("plugin"), "{writers}");
        house.end().await;
    }
}

/// `cargo test --release -- --ignored hundred_thousand --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a while; prints what it took"]
async fn a_hundred_thousand_records_are_signed_and_read_on_sqlite() {
    a_hundred_thousand(house(None, settings()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a while; prints what it took"]
async fn a_hundred_thousand_records_are_signed_and_read_on_postgresql() {
    a_hundred_thousand(house(Some(Database::create().await.unwrap()), settings()).await).await;
}

#[expect(clippy::print_stderr, reason = "the figures are what it is for")]
async fn a_hundred_thousand(house: House) {
    let site = Site::of(&house);
    site.make("source").await;
    let began = std::time::Instant::now();
    for batch in 0..500 {
        let calls = (0..200).map(|n| {
            let id = batch * 200 + n;
            let data = json!({"data": {"serial": format!("{id:032x}"), "issuer": "CN=Example", "n": id}});
            let uri = format!("{SOURCE}/records/r{id:06}");
            crate::collection_signing_site::call(Method::Put, &uri, Some(data))
        });
        let answers =
            countersign_core::collections::writer::execute(&site.ctx, &site.admin(), calls.collect()).await;
        assert!(answers.iter().all(|answer| matches!(answer, Answer::Object { .. })));
    }
    let wrote = began.elapsed();
    let began = std::time::Instant::now();
    site.status(&site.admin(), SOURCE, "to-sign").await.unwrap();
    let all = began.elapsed();
    let mut one = Vec::new();
    for n in 0..5 {
        site.put(&site.admin(), &format!("{SOURCE}/records/r000777"), json!({"n": n})).await;
        let began = std::time::Instant::now();
        site.status(&site.admin(), SOURCE, "to-sign").await.unwrap();
        one.push(began.elapsed());
    }
    let began = std::time::Instant::now();
    let read =
        reading::changeset(&site.ctx, &site.nobody(), "destination", "c", &query(&[("_expected", "0")]))
            .await
            .unwrap();
    let (first, bytes) = (began.elapsed(), read.body.len());
    let began = std::time::Instant::now();
    for _ in 0..10_000 {
        reading::changeset(&site.ctx, &site.nobody(), "destination", "c", &query(&[("_expected", "0")]))
            .await
            .unwrap();
    }
    let kept = began.elapsed() / 10_000;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default().to_owned();
    eprintln!(
        "{:?}: written in {wrote:?}; all new signed in {all:?}; one of them in {one:?}; \
         {bytes} bytes read in {first:?}, again in {kept:?}; {peak}",
        house.ctx.store().kind()
    );
    assert!(site.verifies(DESTINATION).await);
    house.end().await;
}
