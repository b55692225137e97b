//! Changesets that many ask for.

use std::sync::Arc;

use countersign_core::collections::reading;
use serde_json::{Value, json};

use super::Person;
use crate::support::House;

const RECORDS: &str = "/buckets/b/collections/c/records";

#[tokio::test]
async fn what_is_kept_for_readers_does_not_grow_with_what_they_make_up() {
    for house in House::on_both().await {
        let admin = Person::admin(&house);
        admin.makes_a_collection().await;
        for (id, time) in [("a", 1_000), ("b", 2_000), ("c", 3_000)] {
            admin.put(&format!("{RECORDS}/{id}"), json!({"last_modified": time})).await;
        }
        admin.delete(&format!("{RECORDS}/b?last_modified=2500")).await;
        let read = async |query: &str| {
            let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap());
            let mut query: Vec<_> = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            query.push(("_expected".into(), "0".into()));
            reading::changeset(&house.ctx, &admin.who, "b", "c", &query).await.unwrap()
        };
        let ids = |changeset: &Arc<reading::Changeset>| -> Vec<String> {
            let document: Value = serde_json::from_slice(&changeset.body).unwrap();
            let changes = document["changes"].as_array().unwrap();
            changes.iter().map(|change| change["id"].as_str().unwrap().to_owned()).collect()
        };
        for (since, same, wanted) in [
            (0_i64, 999_i64, &["c", "b", "a"][..]),
            (1_000, 2_000, &["c", "b"]),
            (2_500, 2_999, &["c"]),
            (3_000, 9_999_999_999_999, &[]),
        ] {
            let one = read(&format!("_since={since}")).await;
            assert_eq!(ids(&one), wanted, "{since}");
            for other in [same, since, same] {
                assert!(Arc::ptr_eq(&one, &read(&format!("_since={other}")).await), "{other}");
            }
        }
        let part = read("_limit=1").await;
        assert_eq!(ids(&part), ["c"]);
        assert!(!Arc::ptr_eq(&part, &read("_limit=1").await), "a part is not kept");
        assert_eq!(ids(&read("_limit=1&_since=1500").await), ["c"]);
        let before = read("_since=1500").await;
        admin.put(&format!("{RECORDS}/d"), json!({})).await;
        let after = read("_since=1500").await;
        assert_eq!((ids(&after).len(), Arc::ptr_eq(&before, &after)), (3, false));
        house.end().await;
    }
}
