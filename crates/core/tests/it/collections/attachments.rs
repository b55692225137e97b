//! Files of records.

use countersign_core::collections::attachment::{Upload, attach, detach, file};
use countersign_core::collections::{Conditions, ObjectUri};
use serde_json::json;

use super::{Got, Person};
use crate::support::House;

const RECORD: &str = "/buckets/b/collections/c/records/r";

fn upload(content: &'static str) -> Upload {
    Upload {
        filename: "page.HTML".into(),
        mimetype: "text/html".into(),
        content: content.into(),
        data: Some(json!({"n": 1})),
        permissions: None,
    }
}

#[tokio::test]
async fn a_record_says_which_file_it_has() {
    let house = House::new(None).await;
    let admin = Person::admin(&house);
    admin.makes_a_collection().await;
    let share = json!({"permissions": {"record:create": ["account:bo"]}});
    admin.ask("PATCH /buckets/b/collections/c", share).await;
    let (bo, eve) = (Person::user(&house, "bo"), Person::user(&house, "eve"));
    let record = ObjectUri::record("b", "c", "r");
    let upload_by = async |person: &Person<'_>, content| {
        Got(attach(&house.ctx, &person.who, &record, Conditions::default(), upload(content)).await)
    };
    let made = upload_by(&bo, "hello").await;
    assert_eq!(made.status(), 201);
    let attachment = made.data()["attachment"].clone();
    // printf hello | sha256sum
    assert_eq!(attachment["hash"], "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    assert_eq!((&attachment["size"], &attachment["filename"]), (&json!(5), &json!("page.HTML")));
    let location = attachment["location"].as_str().unwrap();
    assert!(location.starts_with("b/c/") && location.ends_with(".html"), "{location}");
    assert_eq!(file(&house.ctx, location).await.unwrap().unwrap(), "hello");
    for none in ["b/c/none", "../secret", ""] {
        assert_eq!(file(&house.ctx, none).await.unwrap(), None);
    }

    assert_eq!(upload_by(&eve, "no").await.status(), 403);
    assert_eq!(upload_by(&bo, "other").await.status(), 200);
    // By hand, nothing but what is there can be written.
    let now = bo.get(RECORD).await.data()["attachment"].clone();
    assert_eq!(bo.put(RECORD, json!({"attachment": now})).await.status(), 200);
    assert_eq!(bo.put(RECORD, json!({"attachment": attachment})).await.status(), 400);
    assert_eq!(admin.put(RECORD, json!({"attachment": attachment})).await.status(), 200);
    let without = Got(detach(&house.ctx, &bo.who, &record, Conditions::default()).await);
    assert_eq!(without.timeless(), json!({"id": "r"}));

    let own = ObjectUri::record("default", "files", "r");
    let made = Got(attach(&house.ctx, &eve.who, &own, Conditions::default(), upload("mine")).await);
    assert_eq!(made.status(), 201);
    house.end().await;
}
