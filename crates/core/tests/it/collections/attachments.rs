//! Files of records.

use countersign_core::collections::attachment::{Upload, attach, detach, file};
use countersign_core::collections::call::IfMatch;
use countersign_core::collections::{Conditions, ObjectUri, Settings};
use countersign_core::startup;
use serde_json::json;

use super::{Got, Person};
use crate::support::{House, options};

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

/// The files that there are.
async fn files(house: &House) -> usize {
    house.ctx.files().list(Some(&"attachments".parse().unwrap())).await.unwrap().len()
}

#[tokio::test]
async fn nothing_is_stored_for_who_is_refused() {
    let house = House::new(None).await;
    let admin = Person::admin(&house);
    admin.makes_a_collection().await;
    admin.put(RECORD, json!({})).await;
    let record = ObjectUri::record("b", "c", "r");
    let stale = Conditions { if_match: Some(IfMatch::Timestamp(1)), ..Conditions::default() };
    let refused = Got(attach(&house.ctx, &admin.who, &record, stale.clone(), upload("x")).await);
    assert_eq!(refused.status(), 412);
    let nowhere = ObjectUri::record("b", "none", "r");
    let refused = Got(attach(&house.ctx, &admin.who, &nowhere, Conditions::default(), upload("x")).await);
    assert_eq!(refused.status(), 404);
    let bo = Person::user(&house, "bo");
    let own = ObjectUri::record("default", "files", "r");
    assert_eq!(Got(attach(&house.ctx, &bo.who, &own, stale, upload("x")).await).status(), 412);
    assert_eq!(files(&house).await, 0);
    let House { dir, ctx, .. } = house;
    ctx.shutdown().await;

    let mut options = options(dir.path(), None);
    options.collections = Settings { default_bucket: false, ..Settings::default() };
    let house = House { ctx: startup::open(options).await.unwrap(), dir, database: None };
    let bo = Person::user(&house, "bo");
    let id = countersign_core::collections::default_bucket::id_of("account:bo");
    for bucket in [id.as_str(), "default"] {
        let record = ObjectUri::record(bucket, "files", "r");
        let refused = Got(attach(&house.ctx, &bo.who, &record, Conditions::default(), upload("x")).await);
        assert_eq!(refused.status(), 403, "{bucket}");
    }
    assert_eq!(files(&house).await, 0);
    house.end().await;
}
