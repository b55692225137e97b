//! Many who write at the same time.

use std::collections::BTreeSet;
use std::sync::Arc;

use countersign_store::Writes;
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

/// Makes an object that cannot be read any more.
async fn damage(house: &House, id: &str) {
    let mut tx = house.ctx.store().collections_write().await.unwrap();
    let mut rows = tx.objects(&[(RECORDS.to_owned(), id.to_owned())]).await.unwrap();
    for row in &mut rows {
        row.data = "damaged".into();
    }
    tx.write(&Writes { objects: rows, ..Writes::default() }).await.unwrap();
    tx.commit().await.unwrap();
}

// With one thread, all have put their requests in the queue when the writer looks there: they share a transaction.
#[tokio::test]
async fn a_request_that_fails_is_left_out_and_those_beside_it_are_done() {
    for house in House::on_both().await {
        let admin = Person::admin(&house);
        admin.makes_a_collection().await;
        admin.put(&format!("{RECORDS}/damaged"), json!({})).await;
        damage(&house, "damaged").await;
        let put = |id: String| ask(&format!("PUT {RECORDS}/{id}"), json!({"data": {}}));
        let requests = (0..20).map(|i| {
            let (admin, put) = (&admin, &put);
            async move {
                if i % 7 != 3 {
                    return admin.batch(vec![put(format!("r{i}"))]).await;
                }
                // What comes before the failure, and after it, is undone with it.
                let fails = ask(&format!("PATCH {RECORDS}/damaged"), json!({"data": {"a": 1}}));
                admin.batch(vec![put(format!("before{i}")), fails, put(format!("after{i}"))]).await
            }
        });
        for (i, got) in join_all(requests).await.into_iter().enumerate() {
            let statuses: Vec<_> = got.iter().map(super::Got::status).collect();
            assert_eq!(statuses, if i % 7 == 3 { vec![500; 3] } else { vec![201] }, "{i}");
        }
        let wanted: BTreeSet<String> = (0..20).filter(|i| i % 7 != 3).map(|i| format!("r{i}")).collect();
        admin.delete(&format!("{RECORDS}/damaged")).await;
        assert_eq!(admin.get(RECORDS).await.ids().into_iter().collect::<BTreeSet<_>>(), wanted);
        let told = admin.get("/buckets/b/history?resource_name=record&action=create").await.ids();
        assert_eq!(told.len(), wanted.len() + 1, "the history has nothing of what was undone");
        house.end().await;
    }
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

#[tokio::test]
async fn who_may_not_write_is_told_without_waiting_for_who_does() {
    for house in House::on_both().await {
        let admin = Person::admin(&house);
        admin.makes_a_collection().await;
        let share = json!({"permissions": {"read": ["account:bo"]}});
        admin.ask("PATCH /buckets/b/collections/c", share).await;
        admin.put(&format!("{RECORDS}/a"), json!({})).await;
        // Nobody else can write now.
        let held = house.ctx.store().collections_write().await.unwrap();
        let refused = async {
            let (anonymous, bo) = (Person::anonymous(&house), Person::user(&house, "bo"));
            for (person, status) in [(&anonymous, 401), (&bo, 403)] {
                for request in [
                    format!("DELETE {RECORDS}"),
                    format!("DELETE {RECORDS}/a"),
                    format!("DELETE {RECORDS}?n=1"),
                    "DELETE /buckets/b/history".into(),
                    "DELETE /buckets/none/collections/c/records".into(),
                    format!("POST {RECORDS}"),
                    format!("PUT {RECORDS}/a"),
                    format!("PUT {RECORDS}/new"),
                    format!("PATCH {RECORDS}/a"),
                    "PATCH /buckets/b".into(),
                    "PUT /buckets/new".into(),
                    "PUT /accounts/ana".into(),
                ] {
                    let got = person.ask(&request, json!({"data": {"password": "x"}})).await;
                    assert_eq!(got.status(), status, "{request}");
                }
                let put = || ask(&format!("PUT {RECORDS}/a"), json!({"data": {}}));
                let get = || ask("GET /buckets/b/collections/c", Value::Null);
                let got = person.batch(vec![put(), get(), put()]).await;
                let statuses: Vec<_> = got.iter().map(super::Got::status).collect();
                let read = if status == 403 { 200 } else { 401 };
                assert_eq!(statuses, [status, read, status]);
            }
            assert_eq!(anonymous.get("/buckets/default").await.status(), 401);
        };
        tokio::time::timeout(std::time::Duration::from_secs(4), refused).await.expect("nobody waits");
        drop(held);
        // Who is given a right by an earlier call of a batch has it.
        let give = json!({"permissions": {"write": ["account:bo"]}});
        let group = json!({"data": {"members": ["account:cy"]}, "permissions": {"write": ["account:bo"]}});
        admin.ask("PUT /buckets/b/groups/g", group).await;
        admin
            .ask("PATCH /buckets/b/collections/c", json!({"permissions": {"write": ["/buckets/b/groups/g"]}}))
            .await;
        assert_eq!(admin.ask("PATCH /buckets/b/groups/g", give).await.status(), 200);
        let join = ask("PATCH /buckets/b/groups/g", json!({"data": {"members": ["account:bo"]}}));
        let put = || ask(&format!("PUT {RECORDS}/b"), json!({"data": {}}));
        let got = Person::user(&house, "bo").batch(vec![put(), join, put()]).await;
        let statuses: Vec<_> = got.iter().map(super::Got::status).collect();
        assert_eq!(statuses, [403, 200, 201]);
        house.end().await;
    }
}
