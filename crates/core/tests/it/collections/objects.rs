//! Making, reading, changing and deleting one object.

use countersign_core::collections::call::{Behavior, Form, IfNoneMatch};
use countersign_core::collections::{Answer, Error};
use serde_json::{Value, json};

use super::{Person, ask, permissions};
use crate::support::House;

const RECORDS: &str = "/buckets/b/collections/c/records";

#[tokio::test]
async fn an_object_is_made_read_replaced_changed_and_deleted() {
    for house in House::on_both().await {
        let admin = Person::admin(&house);
        admin.makes_a_collection().await;
        let made = admin.put(&format!("{RECORDS}/r"), json!({"a": 1, "t": "é"})).await;
        assert_eq!((made.status(), made.timeless()), (201, json!({"id": "r", "a": 1, "t": "é"})));
        assert_eq!(made.permissions(), permissions(json!({"write": ["principal:admin"]})));
        assert_eq!(made.data()["last_modified"], made.timestamp());

        let again = admin.ask(&format!("POST {RECORDS}"), json!({"data": {"id": "r", "a": 2}})).await;
        assert_eq!((again.status(), again.timeless()), (200, made.timeless()));
        let replaced = admin.put(&format!("{RECORDS}/r"), json!({"b": {"c": 1, "d": 2}})).await;
        assert_eq!(
            (replaced.status(), replaced.timeless()),
            (200, json!({"id": "r", "b": {"c": 1, "d": 2}}))
        );
        assert!(replaced.timestamp() > made.timestamp());
        // No body: the data stays.
        let kept = admin.ask(&format!("PUT {RECORDS}/r"), Value::Null).await;
        assert_eq!(kept.timeless(), replaced.timeless());

        let merged = admin.patch(&format!("{RECORDS}/r"), json!({"a": null, "b": {"e": 3}})).await;
        assert_eq!(merged.timeless(), json!({"id": "r", "a": null, "b": {"e": 3}}));
        let nothing = admin.patch(&format!("{RECORDS}/r"), json!({"a": null})).await;
        assert_eq!(nothing.timestamp(), merged.timestamp());
        let patch = json!({"data": {"a": 5, "b": {"e": null, "f": 1}}});
        let patched = admin.send(ask(&format!("PATCH {RECORDS}/r"), patch).form(Form::MergePatch)).await;
        assert_eq!(patched.timeless(), json!({"id": "r", "a": 5, "b": {"f": 1}}));

        let deleted = admin.delete(&format!("{RECORDS}/r")).await;
        assert_eq!(deleted.timeless(), json!({"id": "r", "deleted": true}));
        assert_eq!(admin.delete(&format!("{RECORDS}/r")).await.status(), 404);
        assert_eq!(admin.get(&format!("{RECORDS}/r")).await.refusal(), "record not found");
        assert_eq!(admin.get(RECORDS).await.timestamp(), deleted.timestamp());
        assert_eq!(admin.put(&format!("{RECORDS}/r"), json!({})).await.status(), 201);
        house.end().await;
    }
}

#[tokio::test]
async fn preconditions_are_about_exactly_one_state() {
    let house = House::new(None).await;
    let admin = Person::admin(&house);
    admin.makes_a_collection().await;
    let path = format!("{RECORDS}/r");
    let put = || ask(&format!("PUT {path}"), json!({"data": {}}));
    assert_eq!(admin.send(put().if_match(1)).await.status(), 412);
    let made = admin.send(put().if_none_match(IfNoneMatch::Any)).await;
    assert_eq!(made.status(), 201);
    let now = made.timestamp();
    let refused = admin.send(put().if_none_match(IfNoneMatch::Any)).await;
    assert_eq!((refused.status(), refused.timestamp()), (412, now));
    assert_eq!(refused.refusal(), "Resource was modified meanwhile");
    for stale in [1, now - 1, now + 1] {
        assert_eq!(admin.send(put().if_match(stale)).await.status(), 412);
        assert_eq!(
            admin.send(ask(&format!("DELETE {path}"), Value::Null).if_match(stale)).await.status(),
            412
        );
        assert_eq!(admin.send(ask(&format!("GET {path}"), Value::Null).if_match(stale)).await.status(), 412);
    }
    let get = |condition| ask(&format!("GET {path}"), Value::Null).if_none_match(condition);
    assert_eq!(admin.send(get(IfNoneMatch::Timestamp(now))).await.status(), 304);
    assert_eq!(admin.send(get(IfNoneMatch::Timestamp(now - 1))).await.status(), 200);
    // What is not there is as its list is.
    let absent = |method: &str| ask(&format!("{method} {RECORDS}/none"), json!({"data": {}}));
    let list = admin.get(RECORDS).await.timestamp();
    for refused in [absent("PUT").if_match(now), absent("PUT").if_there()] {
        let refused = admin.send(refused).await;
        assert_eq!((refused.status(), refused.timestamp()), (412, list));
        let Answer::Refused(Error::PreconditionFailed { existing, .. }) = refused.0 else { panic!() };
        assert_eq!(existing, None);
    }
    assert_eq!(admin.send(absent("PATCH").if_there()).await.status(), 404);
    assert_eq!(admin.send(absent("DELETE").if_there()).await.status(), 404);
    assert_eq!(admin.send(ask(&format!("GET {path}"), Value::Null).if_there()).await.status(), 200);
    // A list's state is its timestamp.
    let list = admin.get(RECORDS).await.timestamp();
    let post = || ask(&format!("POST {RECORDS}"), json!({"data": {}}));
    assert_eq!(admin.send(post().if_match(list - 1)).await.status(), 412);
    assert_eq!(admin.send(post().if_match(list)).await.status(), 201);
    assert_eq!(admin.send(ask(&format!("DELETE {RECORDS}"), Value::Null).if_match(list)).await.status(), 412);
    let list = admin.get(RECORDS).await.timestamp();
    let unchanged = ask(&format!("GET {RECORDS}"), Value::Null).if_none_match(IfNoneMatch::Timestamp(list));
    assert_eq!(admin.send(unchanged).await.status(), 304);
    assert_eq!(admin.send(put().if_match(now)).await.status(), 200);
    // `*` is an object that is there; a list always is.
    assert_eq!(admin.send(put().if_there()).await.status(), 200);
    assert_eq!(admin.send(post().if_there()).await.status(), 412);
    let same = ask(&format!("POST {RECORDS}"), json!({"data": {"id": "r"}}));
    assert_eq!(admin.send(same.if_there()).await.status(), 200);
    for method in ["GET", "DELETE"] {
        let all = ask(&format!("{method} {RECORDS}"), Value::Null);
        assert_eq!(admin.send(all.if_there()).await.status(), 200);
    }
    house.end().await;
}

#[tokio::test]
async fn timestamps_of_clients_are_honoured_within_limits() {
    for house in House::on_both().await {
        let admin = Person::admin(&house);
        admin.makes_a_collection().await;
        let put = async |id: &str, last_modified: Value| {
            admin.put(&format!("{RECORDS}/{id}"), json!({"last_modified": last_modified})).await
        };
        let start = admin.get(RECORDS).await.timestamp();
        let future = start + 60_000;
        assert_eq!(put("future", json!(future)).await.timestamp(), future);
        assert_eq!(admin.get(RECORDS).await.timestamp(), future);
        // Later ones count on from it.
        assert_eq!(put("next", json!("123")).await.timestamp(), future + 1);
        assert_eq!(put("past", json!(1_234_567_890_123_i64)).await.timestamp(), 1_234_567_890_123);
        assert_eq!(admin.get(RECORDS).await.timestamp(), future + 1);
        // Each has one of its own.
        assert_eq!(put("same", json!(1_234_567_890_123_i64)).await.timestamp(), 1_234_567_890_124);
        assert_eq!(put("past", json!(1_234_567_890_000_i64)).await.timestamp(), future + 2);
        let path = format!("{RECORDS}/same");
        assert_eq!(admin.delete(&format!("{path}?last_modified=1")).await.timestamp(), future + 3);
        let later = future + 1000;
        let gone = admin.delete(&format!("{RECORDS}/past?last_modified={later}")).await;
        assert_eq!((gone.timestamp(), admin.get(RECORDS).await.timestamp()), (later, later));
        assert_eq!(admin.delete(&format!("{RECORDS}/next?last_modified=x")).await.status(), 400);
        for bad in [json!(-1), json!(i64::MAX)] {
            assert_eq!(put("bad", bad).await.status(), 400);
        }
        assert_eq!(admin.get(&format!("{RECORDS}/bad")).await.status(), 404);
        house.end().await;
    }
}

#[tokio::test]
async fn patches_change_permissions_too_and_answer_as_asked() {
    let house = House::new(None).await;
    let admin = Person::admin(&house);
    admin.makes_a_collection().await;
    let path = "/buckets/b/collections/c";
    let patch = |body: Value| ask(&format!("PATCH {path}"), body);
    let given = json!({"permissions": {"write": ["account:bo"], "read": ["system.Everyone"]}});
    let got = admin.send(patch(given)).await;
    let wanted = json!({"write": ["account:bo", "principal:admin"], "read": ["system.Everyone"]});
    assert_eq!(got.permissions(), permissions(wanted));
    let operations = json!([{"op": "add", "path": "/data/b", "value": "c"},
        {"op": "add", "path": "/permissions/read/alice"}, {"op": "add", "path": "/permissions/record:create/alice"},
        {"op": "replace", "path": "/permissions/record:create", "value": ["cy"]}, {"op": "remove", "path": "/permissions/write/account:bo"}]);
    let got = admin.send(patch(operations).form(Form::JsonPatch)).await;
    assert_eq!(got.timeless(), json!({"id": "c", "b": "c"}));
    let wanted =
        json!({"write": ["principal:admin"], "read": ["alice", "system.Everyone"], "record:create": ["cy"]});
    assert_eq!(got.permissions(), permissions(wanted));
    for (bad, status) in [
        (json!([{"op": "remove", "path": "/data"}]), 400),
        (json!([{"op": "replace", "path": "/data/id", "value": "d"}]), 400),
        (json!([{"op": "add", "path": "/permissions/fly/alice"}]), 400),
        (json!([{"op": "add", "path": "/data/without"}]), 400),
        (json!([{"op": "add", "path": "/permissions/read", "value": [1]}]), 400),
        (json!({"op": "add"}), 400),
    ] {
        assert_eq!(admin.send(patch(bad.clone()).form(Form::JsonPatch)).await.status(), status, "{bad}");
    }
    assert_eq!(admin.send(patch(json!({}))).await.refusal(), "Provide at least one of data or permissions");
    assert_eq!(admin.ask("PATCH /buckets/b/collections/no", json!({"data": {}})).await.status(), 404);

    let light = admin.send(patch(json!({"data": {"q": 1}})).behavior(Behavior::Light)).await;
    assert_eq!(light.data(), json!({"q": 1}));
    let diff = admin.send(patch(json!({"data": {"q": 2}})).behavior(Behavior::Diff)).await;
    assert_eq!(diff.data(), json!({}));
    house.end().await;
}

/// As Kinto 26.5 answers the same requests, but for the last one: there it changes nothing.
#[tokio::test]
async fn permissions_that_a_put_does_not_name_are_taken_and_those_that_a_patch_does_not_name_stay() {
    use Form::{Json, JsonPatch, MergePatch};
    let house = House::new(None).await;
    let admin = Person::admin(&house);
    admin.makes_a_collection().await;
    let both = json!({"read": ["ana"], "record:create": ["bo"]});
    for (method, form, body, read, create) in [
        ("PUT", Json, json!({"permissions": {"read": ["cy"]}}), &["cy"][..], &[][..]),
        ("PUT", Json, json!({"permissions": {"read": []}}), &[], &[]),
        ("PUT", Json, json!({"permissions": {"read": null}}), &["ana"], &["bo"]),
        ("PUT", Json, json!({"data": {}, "permissions": {}}), &["ana"], &["bo"]),
        ("PUT", Json, json!({"data": {}}), &["ana"], &["bo"]),
        ("PUT", Json, Value::Null, &["ana"], &["bo"]),
        ("PATCH", Json, json!({"permissions": {"read": ["cy"]}}), &["cy"], &["bo"]),
        ("PATCH", Json, json!({"permissions": {"read": []}}), &[], &["bo"]),
        ("PATCH", Json, json!({"permissions": {"read": null}}), &["ana"], &["bo"]),
        ("PATCH", Json, json!({"permissions": {}}), &["ana"], &["bo"]),
        ("PATCH", MergePatch, json!({"permissions": {"read": ["cy"]}}), &["cy"], &["bo"]),
        ("PATCH", MergePatch, json!({"permissions": {"read": null}}), &[], &["bo"]),
        ("PATCH", MergePatch, json!({"data": {"x": 1}}), &["ana"], &["bo"]),
        ("PATCH", JsonPatch, json!([{"op": "add", "path": "/permissions/read/cy"}]), &["ana", "cy"], &["bo"]),
        ("PATCH", JsonPatch, json!([{"op": "remove", "path": "/permissions/read/ana"}]), &[], &["bo"]),
        ("PATCH", JsonPatch, json!([{"op": "add", "path": "/data/y", "value": 1}]), &["ana"], &["bo"]),
        ("PATCH", JsonPatch, json!([{"op": "remove", "path": "/permissions/read"}]), &[], &["bo"]),
    ] {
        let path = "/buckets/b/collections/c";
        admin.ask(&format!("PUT {path}"), json!({"permissions": &both})).await;
        let told = format!("{method} {form:?} {body}");
        let mut asked = ask(&format!("{method} {path}"), body.clone());
        if !body.is_null() {
            asked = asked.form(form);
        }
        let got = admin.send(asked).await;
        assert_eq!(got.status(), 200, "{told}");
        let mut wanted = json!({"write": ["principal:admin"]});
        for (name, who) in [("read", read), ("record:create", create)] {
            if !who.is_empty() {
                wanted[name] = json!(who);
            }
        }
        assert_eq!(got.permissions(), permissions(wanted), "{told}");
        assert_eq!(admin.get(path).await.permissions(), got.permissions(), "{told}");
    }
    house.end().await;
}

#[tokio::test]
async fn what_is_not_as_it_should_be_is_refused_in_the_peers_words() {
    let house = House::new(None).await;
    let admin = Person::admin(&house);
    admin.makes_a_collection().await;
    let put = async |body: Value| admin.ask(&format!("PUT {RECORDS}/r"), body).await;
    let mut deep = json!(1);
    for _ in 0..110 {
        deep = json!([deep]);
    }
    for (body, wanted) in [
        (json!({"data": {}, "foo": 1}), "Unrecognized keys in mapping: \"{'foo': 1}\""),
        (json!([1]), "\"[1]\" is not a mapping type: Does not implement dict-like functionality."),
        (
            json!({"data": "x"}),
            "data in body: \"x\" is not a mapping type: Does not implement dict-like functionality.",
        ),
        (json!({"permissions": {"foo": ["x"]}}), "permissions in body: \"foo\" is not one of read, write"),
        (json!({"data": {"id": "other"}}), "Object id does not match existing object"),
        (json!({"data": {"x": deep}}), "data is nested deeper than 100"),
    ] {
        let got = put(body).await;
        assert_eq!((got.status(), got.refusal().as_str()), (400, wanted));
    }
    for bad in [json!("a/b"), json!(12), json!(""), json!("a.b")] {
        let got = admin.ask(&format!("POST {RECORDS}"), json!({"data": {"id": bad}})).await;
        assert_eq!((got.status(), got.refusal().as_str()), (400, "path: Invalid object id"));
    }
    let group = async |members: Value| admin.put("/buckets/b/groups/g", json!({"members": members})).await;
    for bad in ["system.Everyone", "/buckets/b/groups/h"] {
        let wanted = format!("data.members.0 in body: '{bad}' is not a valid user ID.");
        assert_eq!(group(json!([bad])).await.refusal(), wanted);
    }
    assert_eq!(group(json!("x")).await.status(), 400);
    let empty = admin.put("/buckets/b/groups/g", json!({})).await;
    assert_eq!(empty.timeless(), json!({"id": "g", "members": []}));
    // A NUL is kept, as is every number that JSON can hold.
    let odd = json!({"nul": "x\u{0}y", "big": u64::MAX, "f": -0.0, "e": 1e300});
    let kept = admin.put(&format!("{RECORDS}/odd"), odd.clone()).await.timeless();
    assert_eq!((&kept["nul"], &kept["big"], &kept["e"]), (&odd["nul"], &odd["big"], &odd["e"]));
    house.end().await;
}

#[tokio::test]
async fn records_follow_their_collections_schema() {
    let house = House::new(None).await;
    let admin = Person::admin(&house);
    assert_eq!(admin.put("/buckets/b", json!({})).await.status(), 201);
    let schema =
        json!({"schema": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}});
    let collection = admin.put("/buckets/b/collections/c", schema).await;
    let got = admin.put(&format!("{RECORDS}/r"), json!({"n": 1})).await;
    assert_eq!(got.timeless(), json!({"id": "r", "n": 1, "schema": collection.timestamp()}));
    let got = admin.put(&format!("{RECORDS}/s"), json!({"n": "z"})).await;
    assert_eq!((got.status(), got.refusal().as_str()), (400, "'z' is not of type 'integer'"));
    assert_eq!(admin.patch(&format!("{RECORDS}/r"), json!({"n": "z"})).await.status(), 400);
    // The stamp is what decides which schema it was: a change of the collection does not touch records.
    let later = admin.patch("/buckets/b/collections/c", json!({"x": 1})).await;
    assert_eq!(admin.get(&format!("{RECORDS}/r")).await.data()["schema"], collection.timestamp());
    assert_eq!(
        admin.patch(&format!("{RECORDS}/r"), json!({"n": 2})).await.data()["schema"],
        later.timestamp()
    );
    let bad = admin.put("/buckets/b/collections/d", json!({"schema": {"type": "plop"}})).await;
    assert!(
        bad.refusal().starts_with("data.schema in body: type'plop' is not valid under any of the"),
        "{bad:?}"
    );
    house.end().await;
}

#[tokio::test]
async fn the_history_says_who_did_what() {
    for house in House::on_both().await {
        let admin = Person::admin(&house);
        let bo = Person::user(&house, "bo");
        admin.makes_a_collection().await;
        let share = json!({"permissions": {"write": ["account:bo"]}});
        admin.ask("PATCH /buckets/b/collections/c", share).await;
        bo.put(&format!("{RECORDS}/r"), json!({"a": 1})).await;
        bo.put(&format!("{RECORDS}/r"), json!({"id": "wrong"})).await;
        bo.delete(&format!("{RECORDS}/r")).await;
        let entries = admin.get("/buckets/b/history").await.data();
        let told: Vec<String> = entries
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| {
                format!("{} {} {}", entry["user_id"], entry["action"], entry["uri"]).replace('"', "")
            })
            .collect();
        assert_eq!(
            told,
            [
                "account:bo delete /buckets/b/collections/c/records/r",
                "account:bo create /buckets/b/collections/c/records/r",
                "principal:admin update /buckets/b/collections/c",
                "principal:admin create /buckets/b/collections/c",
                "principal:admin create /buckets/b",
            ]
        );
        assert_eq!(entries[0]["target"]["data"]["deleted"], true);
        assert_eq!(entries[0]["target"]["permissions"], json!({}));
        assert_eq!(entries[1]["target"]["data"]["a"], 1);
        assert_eq!((&entries[1]["collection_id"], &entries[1]["record_id"]), (&json!("c"), &json!("r")));
        let only = admin.get("/buckets/b/history?resource_name=record&_limit=1").await;
        assert_eq!((only.ids().len(), only.next().is_some()), (1, true));
        assert_eq!(admin.put("/buckets/b/history/x", json!({})).await.status(), 405);
        // Who may not read the bucket sees what they could read themselves.
        assert_eq!(Person::anonymous(&house).get("/buckets/b/history").await.status(), 401);
        assert_eq!(Person::user(&house, "eve").get("/buckets/b/history").await.status(), 403);
        assert_eq!(bo.get("/buckets/b/history").await.ids().len(), 2);
        house.end().await;
    }
}

#[tokio::test]
async fn what_is_in_a_bucket_goes_with_it() {
    for house in House::on_both().await {
        let admin = Person::admin(&house);
        admin.makes_a_collection().await;
        assert_eq!(admin.put("/buckets/bb", json!({})).await.status(), 201);
        assert_eq!(
            admin.put("/buckets/bb/groups/g", json!({"members": ["account:ana"]})).await.status(),
            201
        );
        admin.put(&format!("{RECORDS}/r"), json!({})).await;
        let before = admin.get(RECORDS).await.timestamp();
        let gone = admin.delete("/buckets/b/collections/c").await;
        assert_eq!(gone.timeless(), json!({"id": "c", "deleted": true}));
        assert_eq!(admin.get(RECORDS).await.status(), 404);
        assert_eq!(admin.get("/buckets/b/collections?_since=0").await.data()[0]["deleted"], true);
        // What is made again is newer than what was there.
        assert_eq!(admin.put("/buckets/b/collections/c", json!({})).await.status(), 201);
        let again = admin.get(RECORDS).await;
        assert!(again.ids().is_empty() && again.timestamp() >= before);
        admin.put(&format!("{RECORDS}/r"), json!({})).await;
        assert_eq!(admin.delete("/buckets/b").await.status(), 200);
        assert_eq!(admin.get("/buckets/b/collections").await.status(), 404);
        assert_eq!(admin.get("/buckets?_since=0").await.ids(), ["b", "bb"]);
        assert_eq!(admin.get("/buckets/bb/groups").await.ids(), ["g"]);
        assert_eq!(admin.put("/buckets/b", json!({})).await.status(), 201);
        assert_eq!(admin.get("/buckets/b/collections").await.ids(), [""; 0]);
        assert_eq!(admin.get("/buckets/b/history").await.ids().len(), 1);
        assert_eq!(admin.delete("/buckets").await.ids().len(), 2);
        assert_eq!(admin.get("/buckets").await.ids(), [""; 0]);
        house.end().await;
    }
}

#[tokio::test]
async fn everybody_has_a_bucket_of_their_own_that_comes_to_be_when_it_is_used() {
    let house = House::new(None).await;
    let (ana, bo) = (Person::user(&house, "ana"), Person::user(&house, "bo"));
    let got = ana.put("/buckets/default/collections/tasks/records/one", json!({"k": 1})).await;
    assert_eq!((got.status(), got.timeless()), (201, json!({"id": "one", "k": 1})));
    let bucket = ana.get("/buckets/default").await.data()["id"].as_str().unwrap().to_owned();
    assert_eq!(bucket, countersign_core::collections::default_bucket::id_of("account:ana"));
    assert_eq!(ana.get(&format!("/buckets/{bucket}/collections/tasks/records")).await.ids(), ["one"]);
    assert_eq!(bo.get(&format!("/buckets/{bucket}/collections")).await.status(), 403);
    assert_eq!(bo.get("/buckets/default/collections/tasks/records").await.ids(), [""; 0]);
    assert_eq!(bo.get("/buckets/default/collections").await.ids(), ["tasks"]);
    assert_eq!(Person::anonymous(&house).get("/buckets/default").await.status(), 401);
    house.end().await;
}

#[tokio::test]
async fn a_time_of_the_far_future_is_refused_so_that_a_list_does_not_stay_there() {
    let house = House::new(None).await;
    let admin = Person::admin(&house);
    admin.makes_a_collection().await;
    let now = house.ctx.now().as_millisecond();
    let day = 86_400_000;
    for far in [now + day + 60_000, 253_402_200_000_000] {
        let data = || json!({"last_modified": far, "n": 1});
        assert_eq!(admin.put(&format!("{RECORDS}/new"), data()).await.status(), 400, "{far}");
        assert_eq!(admin.put("/buckets/new", data()).await.status(), 400, "{far}");
        admin.put(&format!("{RECORDS}/r"), json!({})).await;
        assert_eq!(admin.put(&format!("{RECORDS}/r"), data()).await.status(), 400, "{far}");
        assert_eq!(admin.patch(&format!("{RECORDS}/r"), data()).await.status(), 400, "{far}");
        assert_eq!(admin.delete(&format!("{RECORDS}/r?last_modified={far}")).await.status(), 400, "{far}");
    }
    assert!(admin.get(RECORDS).await.timestamp() < now + day);
    let near = now + day - 60_000;
    assert_eq!(admin.put(&format!("{RECORDS}/near"), json!({"last_modified": near})).await.timestamp(), near);
    // It is the latest of its list, which counts on from it, however late that is.
    assert_eq!(admin.put(&format!("{RECORDS}/next"), json!({})).await.timestamp(), near + 1);
    house.end().await;
}

#[tokio::test]
async fn many_that_ask_for_one_time_get_those_after_it() {
    let house = House::new(None).await;
    let admin = Person::admin(&house);
    admin.makes_a_collection().await;
    let put = |name: &str, i: usize| {
        ask(&format!("PUT {RECORDS}/{name}{i}"), json!({"data": {"last_modified": 1_000}}))
    };
    assert_eq!(admin.put(&format!("{RECORDS}/x"), json!({"last_modified": 1_005})).await.status(), 201);
    let got = admin.batch((0..10).map(|i| put("a", i)).collect()).await;
    let times: Vec<_> = got.iter().map(super::Got::timestamp).collect();
    assert_eq!(times, [1_000, 1_001, 1_002, 1_003, 1_004, 1_006, 1_007, 1_008, 1_009, 1_010]);
    let got = admin.batch((0..3).map(|i| put("b", i)).collect()).await;
    assert_eq!(got.iter().map(super::Got::timestamp).collect::<Vec<_>>(), [1_011, 1_012, 1_013]);
    house.end().await;
}
