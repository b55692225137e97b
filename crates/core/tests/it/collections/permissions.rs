//! Who may do what.

use serde_json::{Value, json};

use super::{Person, permissions};
use crate::support::House;

const RECORDS: &str = "/buckets/b/collections/c/records";

/// Who has a permission somewhere, and what they are answered: 200 or 201, and 403 or 404 for what they may not.
#[tokio::test]
async fn permissions_give_what_the_table_says() {
    let house = House::new(None).await;
    let admin = Person::admin(&house);
    let give = json!({"permissions": {"read": ["account:br"], "write": ["account:bw"], "collection:create": ["account:bc"],
        "group:create": ["account:bg"]}});
    assert_eq!(admin.ask("PUT /buckets/b", give).await.status(), 201);
    let give = json!({"permissions": {"read": ["account:cr"], "write": ["account:cw"], "record:create": ["account:cc"]}});
    assert_eq!(admin.ask("PUT /buckets/b/collections/c", give).await.status(), 201);
    let give = json!({"permissions": {"read": ["account:rr"], "write": ["account:rw"]}});
    assert_eq!(admin.ask(&format!("PUT {RECORDS}/r"), give).await.status(), 201);
    assert_eq!(admin.put(&format!("{RECORDS}/private"), json!({})).await.status(), 201);

    let requests = [
        "GET /buckets/b",
        "GET /buckets/b/collections",
        "GET /buckets/b/groups",
        "PATCH /buckets/b",
        "POST /buckets/b/collections",
        "POST /buckets/b/groups",
        "GET /buckets/b/collections/c",
        "PATCH /buckets/b/collections/c",
        "GET RECORDS",
        "POST RECORDS",
        "GET RECORDS/r",
        "PATCH RECORDS/r",
        "GET RECORDS/private",
        "GET RECORDS/none",
        "DELETE RECORDS/none",
        "GET /buckets/none",
    ];
    let mut answers = Vec::new();
    for name in ["bw", "br", "bc", "bg", "cw", "cr", "cc", "rw", "rr", "none"] {
        let person = Person::user(&house, name);
        let mut line = format!("{name:4}");
        for request in requests {
            let request = request.replace("RECORDS", RECORDS);
            let body = if request.starts_with('P') { json!({"data": {}}) } else { Value::Null };
            line += &format!(" {}", person.ask(&request, body).await.status());
        }
        answers.push(line);
    }
    assert_eq!(
        answers,
        [
            //    b   cs  gs  b'  c+  g+  c   c'  rs  r+  r   r'  pr  ?   ?x  b?
            "bw   200 200 200 200 201 201 200 200 200 201 200 200 200 404 404 403",
            "br   200 200 200 403 403 403 200 403 200 403 200 403 200 404 404 403",
            "bc   200 200 403 403 201 403 403 403 403 403 403 403 403 403 403 403",
            "bg   200 403 200 403 403 201 403 403 403 403 403 403 403 403 403 403",
            "cw   403 200 403 403 403 403 200 200 200 201 200 200 200 404 404 403",
            "cr   403 200 403 403 403 403 200 403 200 403 200 403 200 404 404 403",
            "cc   403 403 403 403 403 403 200 403 200 201 403 403 403 403 403 403",
            "rw   403 403 403 403 403 403 403 403 200 403 200 200 403 403 403 403",
            "rr   403 403 403 403 403 403 403 403 200 403 200 403 403 403 403 403",
            "none 403 403 403 403 403 403 403 403 403 403 403 403 403 403 403 403",
        ]
    );
    // Those who see some of a list see these alone.
    assert_eq!(Person::user(&house, "rr").get(RECORDS).await.ids(), ["r"]);
    assert_eq!(Person::user(&house, "cr").get("/buckets/b/collections").await.ids(), ["c"]);
    assert_eq!(Person::anonymous(&house).get(RECORDS).await.status(), 401);
    assert_eq!(admin.get("/buckets/none/collections").await.status(), 404);
    house.end().await;
}

#[tokio::test]
async fn permissions_are_shown_to_who_may_write_and_writers_become_named() {
    let house = House::new(None).await;
    let (admin, bo) = (Person::admin(&house), Person::user(&house, "bo"));
    admin.makes_a_collection().await;
    let body = json!({"data": {"members": ["account:bo"]}});
    assert_eq!(admin.ask("PUT /buckets/b/groups/editors", body).await.status(), 201);
    assert_eq!(bo.get("/buckets/b/collections/c").await.status(), 403);
    let share = json!({"permissions": {"read": ["system.Everyone"], "write": ["/buckets/b/groups/editors"]}});
    assert_eq!(admin.ask("PATCH /buckets/b/collections/c", share).await.status(), 200);
    let shown = bo.get("/buckets/b/collections/c").await.permissions();
    assert_eq!(shown["write"].len(), 2);
    assert_eq!(bo.patch("/buckets/b/collections/c", json!({"a": 1})).await.permissions()["write"].len(), 3);
    let anonymous = Person::anonymous(&house).get("/buckets/b/collections/c").await;
    assert_eq!((anonymous.status(), anonymous.permissions()), (200, permissions(json!({}))));
    // Out of the group, but named by now.
    assert_eq!(admin.put("/buckets/b/groups/editors", json!({"members": []})).await.status(), 200);
    assert_eq!(bo.patch("/buckets/b/collections/c", json!({"a": 2})).await.status(), 200);
    assert_eq!(bo.put(&format!("{RECORDS}/r"), json!({})).await.status(), 201);
    house.end().await;
}

#[tokio::test]
async fn only_an_admin_makes_buckets_unless_the_configuration_says_otherwise() {
    let house = House::new(None).await;
    assert_eq!(Person::user(&house, "bo").put("/buckets/x", json!({})).await.status(), 403);
    assert_eq!(Person::anonymous(&house).put("/buckets/x", json!({})).await.status(), 401);
    assert_eq!(Person::user(&house, "bo").get("/buckets").await.status(), 403);
    assert_eq!(Person::anonymous(&house).get("/buckets").await.status(), 401);
    assert_eq!(Person::admin(&house).put("/buckets/x", json!({})).await.status(), 201);
    assert_eq!(Person::admin(&house).get("/buckets").await.ids(), ["x"]);
    house.end().await;
}

#[tokio::test]
async fn everybody_can_ask_what_is_theirs() {
    let house = House::new(None).await;
    let (admin, bo) = (Person::admin(&house), Person::user(&house, "bo"));
    admin.makes_a_collection().await;
    let share = json!({"permissions": {"record:create": ["account:bo"]}});
    admin.ask("PATCH /buckets/b/collections/c", share).await;
    assert_eq!(bo.put(&format!("{RECORDS}/r"), json!({})).await.status(), 201);
    let mine = bo.get("/permissions").await.data();
    assert_eq!(
        mine,
        json!([
            {"uri": "/buckets/b/collections/c/records/r", "resource_name": "record", "permissions": ["read", "write"],
             "id": "r", "bucket_id": "b", "collection_id": "c", "record_id": "r"},
            {"uri": "/buckets/b/collections/c", "resource_name": "collection", "permissions": ["record:create"],
             "id": "c", "bucket_id": "b", "collection_id": "c"},
        ])
    );
    let first = bo.get("/permissions?_limit=1").await;
    let second = bo.get(&format!("/permissions?_limit=1&_token={}", first.next().unwrap())).await;
    assert_eq!((first.ids(), second.ids(), second.next()), (vec!["r".into()], vec!["c".into()], None));
    assert_eq!(admin.get("/permissions?resource_name=bucket").await.ids(), ["b"]);
    assert_eq!(Person::anonymous(&house).get("/permissions").await.status(), 401);
    house.end().await;
}
