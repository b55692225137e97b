//! Many who write at the same time.

use std::sync::Arc;

use countersign_testkit::postgres::Database;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{Person, ask};
use crate::nodes;
use crate::support::House;

const COUNTER: &str = "/buckets/b/collections/c/records/counter";
const RECORDS: &str = "/buckets/b/collections/c/records";

/// Adds one, `times` times, each time only if nobody else did meanwhile.
async fn count(person: &Person<'_>, times: usize) -> usize {
    let mut lost = 0;
    for _ in 0..times {
        loop {
            let now = person.get(COUNTER).await;
            let next = now.data()["n"].as_i64().unwrap() + 1;
            let put = ask(&format!("PUT {COUNTER}"), json!({"data": {"n": next}})).if_match(now.timestamp());
            match person.send(put).await.status() {
                200 => break,
                412 => lost += 1,
                other => panic!("{other}"),
            }
        }
    }
    lost
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_who_compare_and_set_lose_nothing() {
    for house in House::on_both().await {
        let admin = Person::admin(&house);
        admin.makes_a_collection().await;
        admin.put(COUNTER, json!({"n": 0})).await;
        let (one, two) = (Person::admin(&house), Person::admin(&house));
        tokio::join!(count(&one, 200), count(&two, 200));
        assert_eq!(admin.get(COUNTER).await.data()["n"], 400);
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_that_share_a_database_lose_nothing_either() {
    let house = House::new(Some(Database::create().await.unwrap())).await;
    let beside = nodes::beside(&house).await;
    let admin = Person::admin(&house);
    admin.makes_a_collection().await;
    admin.put(COUNTER, json!({"n": 0})).await;
    let there = Person::of(&beside.ctx, &house, Some("principal:admin".into()), true);
    let puts = async |person: &Person<'_>, name: &str| {
        for i in 0..50 {
            assert_eq!(person.put(&format!("{RECORDS}/{name}{i}"), json!({})).await.status(), 201);
        }
    };
    tokio::join!(count(&admin, 100), count(&there, 100), puts(&admin, "a"), puts(&there, "b"));
    assert_eq!(there.get(COUNTER).await.data()["n"], 200);
    assert_eq!(admin.ask(&format!("HEAD {RECORDS}"), Value::Null).await.total(), 101);
    beside.end().await;
    house.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_writes_beside_others_is_never_refused_for_it() {
    for house in House::on_both().await {
        let admin = Person::admin(&house);
        admin.makes_a_collection().await;
        let posts = (0..300).map(async |i: usize| {
            let person = Person::admin(&house);
            let got = match i % 3 {
                0 => person.ask(&format!("POST {RECORDS}"), json!({"data": {"i": i}})).await,
                1 => person.put(&format!("{RECORDS}/r{i}"), json!({"i": i})).await,
                _ => person.put(&format!("{RECORDS}/same"), json!({"i": i})).await,
            };
            assert!(matches!(got.status(), 200 | 201), "{got:?}");
            got.timestamp()
        });
        let mut times = join_all(posts).await;
        times.sort_unstable();
        times.dedup();
        assert_eq!(times.len(), 300);
        assert_eq!(admin.ask(&format!("HEAD {RECORDS}"), Value::Null).await.total(), 201);
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_begun_is_done_although_nobody_waits_for_it() {
    let house = Arc::new(House::new(None).await);
    let admin = Person::admin(&house);
    admin.makes_a_collection().await;
    for i in 0..20 {
        let house = Arc::clone(&house);
        let task =
            tokio::spawn(
                async move { Person::admin(&house).put(&format!("{RECORDS}/r{i}"), json!({})).await },
            );
        tokio::task::yield_now().await;
        task.abort();
    }
    // Whatever was queued comes before this.
    assert_eq!(admin.put(&format!("{RECORDS}/last"), json!({})).await.status(), 201);
    let ids = admin.get(RECORDS).await.ids();
    let history = admin.get("/buckets/b/history?resource_name=record").await.ids();
    assert_eq!(ids.len(), history.len());
    Arc::into_inner(house).unwrap().end().await;
}

/// Prints how long writing takes; run by hand, in release.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "a measurement"]
#[allow(clippy::print_stdout, reason = "it is what the measurement is for")]
async fn writing_is_fast() {
    for house in House::on_both().await {
        let admin = Person::admin(&house);
        admin.makes_a_collection().await;
        let begun = std::time::Instant::now();
        for batch in 0..100 {
            let puts = (0..200).map(|i| {
                let data = json!({"title": "a title", "n": i, "nested": {"a": [1, 2, 3], "b": "text"}});
                ask(&format!("PUT {RECORDS}/b{batch}-{i}"), json!({"data": data}))
            });
            assert!(admin.batch(puts.collect()).await.iter().all(|got| got.status() == 201));
        }
        let batched = 20_000.0 / begun.elapsed().as_secs_f64();
        let begun = std::time::Instant::now();
        let singles = (0..32).map(async |who: usize| {
            let person = Person::admin(&house);
            for i in 0..200 {
                let data = json!({"title": "a title", "n": i});
                assert_eq!(person.put(&format!("{RECORDS}/s{who}-{i}"), data).await.status(), 201);
            }
        });
        join_all(singles).await;
        let single = 6_400.0 / begun.elapsed().as_secs_f64();
        let begun = std::time::Instant::now();
        for _ in 0..1_000 {
            assert_eq!(admin.get(&format!("{RECORDS}/s1-1")).await.status(), 200);
        }
        let read = begun.elapsed().as_secs_f64() * 1_000.0;
        let begun = std::time::Instant::now();
        let page = admin.get(RECORDS).await.ids().len();
        let list = begun.elapsed();
        println!(
            "{:?}: {batched:.0} records/s in batches of 200, {single:.0} single PUTs/s of 32, {read:.0} µs a GET, {page} listed in {list:?}",
            house.ctx.store().kind()
        );
        house.end().await;
    }
}
