//! Filters, order and pages.

use serde_json::{Value, json};

use super::{Person, ask};
use crate::support::House;

const RECORDS: &str = "/buckets/b/collections/c/records";

async fn with_records(house: &House, count: usize) -> Person<'_> {
    let admin = Person::admin(house);
    admin.makes_a_collection().await;
    let puts = (0..count).map(|i| {
        let data = json!({"n": i % 7, "s": format!("text {i}"), "o": {"even": i % 2 == 0}});
        ask(&format!("PUT {RECORDS}/r{i:03}"), json!({"data": data}))
    });
    assert!(admin.batch(puts.collect()).await.iter().all(|got| got.status() == 201));
    admin
}

#[tokio::test]
async fn lists_are_filtered_and_sorted() {
    for house in House::on_both().await {
        let admin = with_records(&house, 10).await;
        assert_eq!(admin.delete(&format!("{RECORDS}/r009")).await.status(), 200);
        let ids = async |query: &str| admin.get(&format!("{RECORDS}?{query}")).await.ids().join(" ");
        for (query, wanted) in [
            ("", "r008 r007 r006 r005 r004 r003 r002 r001 r000"),
            ("n=1", "r008 r001"),
            ("min_n=5", "r006 r005"),
            ("in_n=0,3&_sort=n,id", "r000 r007 r003"),
            ("_sort=-n&_limit=2", "r006 r005"),
            ("_sort=!!&n=1", "r008 r001"),
            ("like_s=TEXT*7", "r007"),
            ("o.even=true&n=0", "r000"),
            ("has_x=true", ""),
            ("in_id=r003,r009,nope", "r003"),
            ("id=r003&n=4", ""),
            ("exclude_id=r000,r001,r002,r003,r004,r005,r006,r007", "r008"),
            ("not_n=0&max_n=2", "r008 r002 r001"),
            ("_since=0&in_id=r003,r009&_sort=id", "r003 r009"),
            ("_since=0&deleted=true", "r009"),
            ("deleted=true", ""),
            ("_unknown=1&n=6", "r006"),
            ("min_last_modified=0&_sort=id&_limit=1", "r000"),
        ] {
            assert_eq!(ids(query).await, wanted, "{query}");
        }
        let third = admin.get(&format!("{RECORDS}/r003")).await.timestamp();
        assert_eq!(ids(&format!("_since={third}&_sort=last_modified&_limit=2")).await, "r004 r005");
        assert_eq!(ids(&format!("_since=\"{third}\"&n=0")).await, "r007");
        assert_eq!(ids(&format!("_before={third}")).await, "r002 r001 r000");
        assert_eq!(ids(&format!("last_modified={third}")).await, "r003");
        assert_eq!(admin.get(&format!("{RECORDS}?_since=x")).await.status(), 400);

        let total = async |query: &str| {
            let got = admin.ask(&format!("HEAD {RECORDS}?{query}"), Value::Null).await;
            assert!(got.data().as_array().unwrap().is_empty());
            got.total()
        };
        assert_eq!((total("").await, total("n=1").await, total("_limit=2").await), (9, 2, 9));
        assert_eq!((total("_since=0").await, total(&format!("_since={third}")).await), (9, 5));
        house.end().await;
    }
}

#[tokio::test]
async fn only_the_fields_that_are_asked_for_are_sent() {
    let house = House::new(None).await;
    let admin = with_records(&house, 2).await;
    let got = admin.get(&format!("{RECORDS}?_fields=o.even,n&_limit=1")).await.data();
    let time = got[0]["last_modified"].clone();
    assert_eq!(got, json!([{"id": "r001", "last_modified": time, "n": 1, "o": {"even": false}}]));
    let one = admin.get(&format!("{RECORDS}/r001?_fields=s")).await;
    assert_eq!(one.timeless(), json!({"id": "r001", "s": "text 1"}));
    house.end().await;
}

#[tokio::test]
async fn pages_miss_nothing_and_repeat_nothing_while_others_write() {
    for house in House::on_both().await {
        let admin = with_records(&house, 60).await;
        for query in [
            "_limit=7",
            "_limit=7&_sort=n",
            "_limit=7&_sort=-s",
            "_limit=7&_sort=o.even,-n",
            "_limit=7&min_n=0",
        ] {
            let mut seen = Vec::new();
            let mut url = format!("{RECORDS}?{query}");
            let mut turn = 0;
            loop {
                let page = admin.get(&url).await;
                seen.extend(page.ids());
                let Some(token) = page.next() else { break };
                // Meanwhile somebody makes one and deletes one that was seen.
                turn += 1;
                let new = json!({"n": turn % 7, "s": "text", "o": {"even": true}});
                admin.put(&format!("{RECORDS}/x{turn}"), new).await;
                admin.delete(&format!("{RECORDS}/x{}", turn - 3)).await;
                url = format!("{RECORDS}?{query}&_token={token}");
                assert!(turn < 40, "{query}");
            }
            let old: Vec<_> = seen.iter().filter(|id| id.starts_with('r')).cloned().collect();
            let mut unique = old.clone();
            unique.sort();
            unique.dedup();
            assert_eq!((old.len(), unique.len()), (60, 60), "{query}");
            admin.delete(&format!("{RECORDS}?like_id=x*")).await;
        }
        let token = admin.get(&format!("{RECORDS}?_limit=7")).await.next().unwrap();
        for bad in [format!("_sort=n&_token={token}"), "_token=abc".into(), format!("_token=A{token}")] {
            let got = admin.get(&format!("{RECORDS}?{bad}")).await;
            assert_eq!(
                (got.status(), got.refusal().as_str()),
                (400, "querystring: _token has invalid content")
            );
        }
        house.end().await;
    }
}

#[tokio::test]
async fn a_list_is_deleted_as_far_as_the_query_finds_it() {
    let house = House::new(None).await;
    let admin = with_records(&house, 10).await;
    let gone = admin.delete(&format!("{RECORDS}?n=1")).await;
    assert_eq!(gone.ids(), ["r008", "r001"]);
    assert!(gone.data().as_array().unwrap().iter().all(|tombstone| tombstone["deleted"] == true));
    assert_eq!(gone.timestamp(), gone.data()[1]["last_modified"].as_i64().unwrap());
    assert_eq!(admin.get(RECORDS).await.timestamp(), gone.timestamp());
    let some = admin.delete(&format!("{RECORDS}?_limit=3")).await;
    assert_eq!((some.ids().len(), some.next().is_some()), (3, true));
    assert_eq!(admin.delete(RECORDS).await.ids().len(), 5);
    assert_eq!(admin.delete(RECORDS).await.ids().len(), 0);
    // One's own only, where one may not write all.
    let share = json!({"permissions": {"record:create": ["account:bo"], "read": ["account:bo"]}});
    admin.ask("PATCH /buckets/b/collections/c", share).await;
    let bo = Person::user(&house, "bo");
    bo.put(&format!("{RECORDS}/mine"), json!({})).await;
    admin.put(&format!("{RECORDS}/other"), json!({})).await;
    assert_eq!(bo.delete(RECORDS).await.ids(), ["mine"]);
    assert_eq!(Person::user(&house, "eve").delete(RECORDS).await.status(), 403);
    house.end().await;
}

#[tokio::test]
async fn who_reads_the_history_is_not_told_who_may_do_what() {
    for house in House::on_both().await {
        let admin = Person::admin(&house);
        admin.makes_a_collection().await;
        admin.ask("PATCH /buckets/b", json!({"permissions": {"read": ["account:bo"]}})).await;
        let share = json!({"permissions": {"write": ["account:cy"], "read": ["account:dee"]}});
        assert_eq!(admin.ask(&format!("PUT {RECORDS}/r"), share).await.status(), 201);
        let (bo, cy) = (Person::user(&house, "bo"), Person::user(&house, "cy"));
        let dee = Person::user(&house, "dee");
        let all = "/buckets/b/history?resource_name=record";
        let permissions = |entry: &Value| entry["target"]["permissions"].clone();
        let whole = permissions(&admin.get(all).await.data()[0]);
        assert!(whole.to_string().contains("dee"), "{whole}");
        for reader in [&bo, &dee] {
            let got = reader.get(all).await.data();
            assert_eq!((got.as_array().unwrap().len(), permissions(&got[0])), (1, json!({})));
            assert_eq!(got[0]["target"]["data"]["id"], "r");
            let some = reader.get("/buckets/b/history?_fields=target.permissions&resource_name=record").await;
            assert!(!some.data().to_string().contains("dee"), "{:?}", some.data());
        }
        let one = admin.get(all).await.ids().remove(0);
        for query in ["", "?_fields=target"] {
            let got = bo.get(&format!("/buckets/b/history/{one}{query}")).await;
            assert_eq!(permissions(&got.data()), json!({}), "{query}");
        }
        let found = bo.get("/buckets/b/history?has_target.permissions.read=true").await;
        assert_eq!(found.ids().len(), 0, "nor by asking whether it is so");
        assert_eq!(permissions(&cy.get(all).await.data()[0]), whole, "cy may write it");
        house.end().await;
    }
}

#[tokio::test]
async fn who_is_named_somewhere_sees_that_whatever_their_name_is() {
    for house in House::on_both().await {
        let admin = with_records(&house, 3).await;
        let odd = "account:\"q\\\u{e9}\u{1f600}".to_owned();
        let share = json!({"permissions": {"read": [odd]}});
        assert_eq!(admin.ask(&format!("PATCH {RECORDS}/r001"), share).await.status(), 200);
        let person = Person::of(&house.ctx, &house, Some(odd), false);
        assert_eq!(person.get(RECORDS).await.ids(), ["r001"]);
        assert_eq!(person.ask(&format!("HEAD {RECORDS}"), Value::Null).await.total(), 1);
        assert_eq!(person.get("/permissions").await.ids(), ["r001"]);
        assert_eq!(person.get("/buckets/b/history").await.ids().len(), 1);
        // A name that begins as another one is somebody else's.
        let other = Person::user(&house, "\"q");
        assert_eq!(other.get(RECORDS).await.status(), 403);
        house.end().await;
    }
}
