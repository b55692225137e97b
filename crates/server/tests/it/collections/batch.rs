//! `POST /v1/batch`.

use serde_json::{Value, json};

use crate::support::{Answer, House};

impl House {
    pub async fn batch(&self, requests: Value) -> Answer {
        self.ask("POST", "/v1/batch").json(json!({"requests": requests})).send().await
    }
}

fn statuses(document: &Value) -> Vec<u64> {
    document["responses"].as_array().unwrap().iter().map(|one| one["status"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn a_refused_request_of_a_batch_leaves_the_others() {
    for house in House::on_both("").await {
        let done = house
            .batch(json!([
                {"method": "PUT", "path": "/buckets/b", "body": {"data": {"a": 1}}},
                {"method": "PUT", "path": "/v1/buckets/b/collections/c"},
                {"method": "PUT", "path": "/buckets/b/collections/c/records/r", "headers": {"If-Match": "\"1\""}, "body": {"data": {}}},
                {"method": "POST", "path": "/buckets/b/collections/c/records", "body": {"data": {"id": "x", "n": 1}}},
                {"method": "PATCH", "path": "/buckets/b", "headers": {"Content-Type": "application/merge-patch+json"}, "body": {"data": {"a": null, "b": 2}}},
                {"path": "/buckets/b/collections/c/records?_limit=1"},
                {"method": "HEAD", "path": "/buckets/b/collections/c/records"},
                {"path": "/buckets/bad id"},
                {"path": "/nowhere"},
                {"path": "/v1/"},
                {"method": "TRACE", "path": "/buckets"},
                {"path": "/buckets/b/"},
            ]))
            .await
            .expect(200);
        assert_eq!(statuses(&done), [201, 201, 412, 201, 200, 200, 200, 400, 404, 200, 405, 200], "{done}");
        let responses = done["responses"].as_array().unwrap();
        assert_eq!(responses[1]["path"], "/v1/buckets/b/collections/c");
        assert_eq!(responses[4]["body"]["data"]["b"], 2);
        assert!(responses[4]["body"]["data"].get("a").is_none());
        assert_eq!(responses[5]["body"]["data"][0]["id"], "x");
        assert_eq!(responses[6]["headers"]["Total-Records"], "1");
        assert_eq!(responses[7]["body"]["message"], "path: Invalid object id");
        assert_eq!(responses[9]["body"]["user"]["id"], "principal:admin");
        let etag = responses[3]["headers"]["ETag"].as_str().unwrap();
        let record = house.ask("GET", "/v1/buckets/b/collections/c/records/x").send().await;
        assert_eq!(record.header("etag"), etag);
        house.ask("GET", "/v1/buckets/b/collections/c/records/r").send().await.expect(404);
        house.close().await;
    }
}

#[tokio::test]
async fn credentials_of_the_whole_count_and_missing_rights_are_told_one_by_one() {
    let house = House::open().await;
    let body = json!({"requests": [
        {"method": "PUT", "path": "/buckets/b", "headers": {"Authorization": format!("Bearer {}", house.admin)}},
        {"path": "/__lbheartbeat__"},
    ]});
    let done = house.ask_as_nobody("POST", "/v1/batch").json(body).send().await.expect(200);
    assert_eq!(statuses(&done), [401, 200]);
    assert_eq!(done["responses"][0]["headers"]["WWW-Authenticate"], "Basic realm=\"Realm\"");
    house.close().await;
}

#[tokio::test]
async fn a_page_in_a_batch_names_the_next_one() {
    let house = House::open().await;
    for id in ["a", "b", "c"] {
        house.ask("PUT", &format!("/v1/buckets/{id}")).send().await.expect(201);
    }
    let done = house.batch(json!([{"path": "/buckets?_limit=2&_fields=id"}])).await.expect(200);
    let next = done["responses"][0]["headers"]["Next-Page"].as_str().unwrap();
    let next = &next[next.find("/v1/").unwrap()..];
    let rest = house.ask("GET", next).send().await.expect(200);
    assert_eq!(rest["data"].as_array().unwrap().len(), 1);
    assert_eq!(rest["data"][0]["id"], "a");
    house.close().await;
}

#[tokio::test]
async fn a_signature_that_cannot_be_made_undoes_all_of_a_batch() {
    let config =
        "[[collections.resource]]\nsource = \"/buckets/s\"\ndestination = \"/buckets/d\"\nreview = false";
    for house in House::on_both(config).await {
        house.ask("PUT", "/v1/buckets/s").send().await.expect(201);
        house.ask("PUT", "/v1/buckets/s/collections/c").send().await.expect(201);
        house
            .ask("PUT", "/v1/buckets/s/collections/c/records/a")
            .json(json!({"data": {}}))
            .send()
            .await
            .expect(201);
        house.ask("POST", "/countersign/v1/keys/collections%2Fmain/retire").send().await.expect(200);
        let sign = json!({"method": "PATCH", "path": "/buckets/s/collections/c", "body": {"data": {"status": "to-sign"}}});
        let put =
            json!({"method": "PUT", "path": "/buckets/s/collections/c/records/b", "body": {"data": {}}});
        let refused = house.batch(json!([put, sign, put])).await;
        assert_eq!(refused.expect(503)["errno"], 201);
        assert!(refused.headers.contains_key("retry-after"));
        house.ask("GET", "/v1/buckets/s/collections/c/records/b").send().await.expect(404);
        let source = house.ask("GET", "/v1/buckets/s/collections/c").send().await.expect(200);
        assert_eq!(source["data"]["status"], "work-in-progress");
        let beat = house.ask_as_nobody("GET", "/v1/__heartbeat__").send().await.expect(503);
        assert_eq!((&beat["storage"], &beat["signer"]), (&json!(true), &json!(false)));
        house.close().await;
    }
}

#[tokio::test]
async fn changesets_in_a_batch_are_not_more_than_fits_in_an_answer() {
    let house = House::open().await;
    let public = json!({"permissions": {"read": ["system.Everyone"]}});
    house.ask("PUT", "/v1/buckets/b").json(public).send().await.expect(201);
    house.ask("PUT", "/v1/buckets/b/collections/c").send().await.expect(201);
    let large = json!({"data": {"text": "x".repeat(9 << 20)}});
    house.ask("PUT", "/v1/buckets/b/collections/c/records/r").json(large).send().await.expect(201);
    let get = json!({"path": "/buckets/b/collections/c/changeset?_expected=0"});
    let body = json!({"requests": vec![get; 12]});
    let answer = house.ask_as_nobody("POST", "/v1/batch").json(body).send().await;
    let done = answer.expect(200);
    assert_eq!(statuses(&done), [[200; 7].as_slice(), &[413; 5]].concat());
    assert_eq!(done["responses"][11]["body"]["errno"], 113);
    assert!(answer.body.len() <= 65 << 20, "{}", answer.body.len());
    house.close().await;
}
