//! Requests that come together.

use serde_json::{Value, json};

use super::{Person, ask};
use crate::support::House;

const RECORDS: &str = "/buckets/b/collections/c/records";

#[tokio::test]
async fn a_refusal_in_a_batch_leaves_the_others() {
    for house in House::on_both().await {
        let admin = Person::admin(&house);
        let put = |path: &str, data: Value| ask(&format!("PUT {path}"), json!({"data": data}));
        let got = admin
            .batch(vec![
                put("/buckets/b", json!({})),
                put("/buckets/b/collections/c", json!({})),
                put(&format!("{RECORDS}/a"), json!({"n": 1})),
                put(&format!("{RECORDS}/b"), json!({"n": 2})).if_match(1),
                put(&format!("{RECORDS}/a"), json!({"id": "wrong"})),
                ask(&format!("PATCH {RECORDS}/a"), json!({"data": {"m": 2}})),
                ask(&format!("GET {RECORDS}/a"), Value::Null),
                ask(&format!("GET {RECORDS}?n=1"), Value::Null),
                ask(&format!("GET {RECORDS}?_limit=-1"), Value::Null),
                ask(&format!("GET {RECORDS}/none"), Value::Null),
                ask(&format!("DELETE {RECORDS}/a"), Value::Null),
                ask(&format!("GET {RECORDS}"), Value::Null),
                put(&format!("{RECORDS}/last"), json!({})),
            ])
            .await;
        let statuses: Vec<_> = got.iter().map(super::Got::status).collect();
        assert_eq!(statuses, [201, 201, 201, 412, 400, 200, 200, 200, 400, 404, 200, 200, 201]);
        assert_eq!(got[6].timeless(), json!({"id": "a", "n": 1, "m": 2}));
        assert_eq!((got[7].ids(), got[11].ids()), (vec!["a".to_owned()], vec![]));
        let times: Vec<_> = [2, 5, 10, 12].iter().map(|at: &usize| got[*at].timestamp()).collect();
        assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
        assert_eq!(admin.get(RECORDS).await.ids(), ["last"]);
        house.end().await;
    }
}

/// So many that they are written while others are applied.
#[tokio::test]
async fn a_long_batch_does_what_its_requests_do_one_after_the_other() {
    const PUTS: i64 = 1_000;
    const DIFFERENT: i64 = 300;
    for house in House::on_both().await {
        let admin = Person::admin(&house);
        admin.makes_a_collection().await;
        let far = admin.put(&format!("{RECORDS}/far"), json!({})).await.timestamp() + 60_000;
        let calls = (0..PUTS).map(|n| {
            let path = format!("PUT {RECORDS}/{:03}", n % DIFFERENT);
            match n % 100 {
                // Nothing has this timestamp.
                50 => ask(&path, json!({"data": {"n": n}})).if_match(1),
                // All want the same.
                99 => ask(&path, json!({"data": {"n": n, "last_modified": far}})),
                _ => ask(&path, json!({"data": {"n": n}})),
            }
        });
        let mut calls: Vec<_> = calls.collect();
        calls.push(ask(&format!("GET {RECORDS}"), Value::Null));
        let got = admin.batch(calls).await;
        let (list, got) = got.split_last().unwrap();
        let expected = |n: i64| match n {
            _ if n % 100 == 50 => 412,
            _ if n < DIFFERENT => 201,
            _ => 200,
        };
        let statuses: Vec<_> = got.iter().map(super::Got::status).collect();
        assert_eq!(statuses, (0..PUTS).map(expected).collect::<Vec<_>>());
        let done = got.iter().filter(|got| got.status() != 412);
        let mut times: Vec<_> = done.map(super::Got::timestamp).collect();
        times.sort_unstable();
        assert!(times.is_sorted_by(|a, b| a < b), "no two have one timestamp");
        assert!(times.contains(&far));

        let mut records: Vec<(String, i64)> = list
            .data()
            .as_array()
            .unwrap()
            .iter()
            .filter(|record| record["id"] != "far")
            .map(|record| (record["id"].as_str().unwrap().into(), record["n"].as_i64().unwrap()))
            .collect();
        records.sort();
        let last_of = |id: i64| (0..PUTS).rev().find(|n| n % DIFFERENT == id && n % 100 != 50).unwrap_or(-1);
        let expected = (0..DIFFERENT).map(|id| (format!("{id:03}"), last_of(id))).filter(|(_, n)| *n >= 0);
        assert_eq!(records, expected.collect::<Vec<_>>());
        assert_eq!(admin.get(RECORDS).await.data(), list.data());
        house.end().await;
    }
}

#[tokio::test]
async fn groups_that_a_batch_changes_count_in_it() {
    let house = House::new(None).await;
    let admin = Person::admin(&house);
    admin.makes_a_collection().await;
    let share = json!({"permissions": {"write": ["/buckets/b/groups/g"]}});
    admin.ask("PATCH /buckets/b", share).await;
    let bo = Person::user(&house, "bo");
    let join = json!({"data": {"members": ["account:bo"]}, "permissions": {"write": ["account:bo"]}});
    admin.ask("PUT /buckets/b/groups/g", join).await;
    let record = |id: &str| ask(&format!("PUT {RECORDS}/{id}"), json!({"data": {}}));
    let leave = ask("PATCH /buckets/b/groups/g", json!({"data": {"members": []}}));
    let join = ask("PATCH /buckets/b/groups/g", json!({"data": {"members": ["account:bo"]}}));
    let refused = ask("PATCH /buckets/b/groups/g", json!({"data": {"members": ["system.Everyone"]}}));
    let got = bo.batch(vec![record("a"), leave, record("b"), join, record("b"), refused, record("c")]).await;
    let statuses: Vec<_> = got.iter().map(super::Got::status).collect();
    assert_eq!(statuses, [201, 200, 403, 200, 201, 400, 201]);
    assert_eq!(bo.put(&format!("{RECORDS}/s"), json!({})).await.status(), 201);
    house.end().await;
}

#[tokio::test]
async fn nothing_of_a_batch_remains_when_the_database_fails() {
    let house = House::new(None).await;
    let admin = Person::admin(&house);
    admin.makes_a_collection().await;
    house.ctx.store().close().await;
    let got = admin
        .batch(vec![ask(&format!("PUT {RECORDS}/a"), json!({})), ask(&format!("GET {RECORDS}"), json!({}))])
        .await;
    assert!(got.iter().all(|got| got.status() == 500), "{got:?}");
}

#[tokio::test]
async fn the_answers_to_one_request_are_not_larger_than_can_be_kept() {
    let house = House::new(None).await;
    let admin = Person::admin(&house);
    admin.makes_a_collection().await;
    let text = "x".repeat(8 << 20);
    assert_eq!(admin.put(&format!("{RECORDS}/a"), json!({"text": text})).await.status(), 201);
    let gets = |count: usize| -> Vec<_> {
        (0..count).map(|_| ask(&format!("GET {RECORDS}"), Value::Null)).collect()
    };
    let put = || ask(&format!("PUT {RECORDS}/b"), json!({"data": {}}));
    let statuses = |got: &[super::Got]| got.iter().map(super::Got::status).collect::<Vec<_>>();
    let got = admin.batch(gets(12)).await;
    assert_eq!(statuses(&got), [[200; 8].as_slice(), &[413; 4]].concat());
    // What there is no room for is not done either.
    let mut calls = gets(9);
    calls.push(put());
    let got = admin.batch(calls).await;
    assert_eq!(statuses(&got), [[200; 8].as_slice(), &[413; 2]].concat());
    assert_eq!(admin.get(&format!("{RECORDS}/b")).await.status(), 404);
    house.end().await;
}
