//! Bad input: the contract's status and errno, never a failure of the server, never something stored.

use serde_json::{Value, json};

use crate::support::{Answer, House};

const CONFIG: &str = r#"
[collections]
bucket_create_principals = ["system.Authenticated"]
[[collections.resource]]
source = "/buckets/source"
destination = "/buckets/destination"
review = false
"#;

const RECORD: &str = "/v1/buckets/source/collections/c/records/r";

impl House {
    async fn refuses(
        &self,
        method: &str,
        path: &str,
        body: impl Into<Vec<u8>>,
        status: u16,
        errno: u16,
    ) -> Answer {
        let answer = self.ask(method, path).body("application/json", body).send().await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}: {}", answer.text());
        let document = answer.document();
        assert_eq!((&document["code"], &document["errno"]), (&status.into(), &errno.into()), "{document}");
        assert!(document["error"].is_string());
        answer
    }

    async fn is_empty(&self) {
        let list =
            self.ask("GET", "/v1/buckets/source/collections/c/records?_since=0").send().await.expect(200);
        assert_eq!(list["data"], json!([]));
    }
}

async fn with_source(house: &House) {
    house.ask("PUT", "/v1/buckets/source").send().await.expect(201);
    house.ask("PUT", "/v1/buckets/source/collections/c").send().await.expect(201);
}

#[tokio::test]
async fn what_cannot_be_a_record_is_refused_and_not_stored() {
    for house in House::on_both(CONFIG).await {
        with_source(&house).await;
        let deep =
            |open: &str, close: &str| format!("{{\"data\":{}{}}}", open.repeat(60_000), close.repeat(60_000));
        let cases: Vec<(Vec<u8>, u16, u16)> = vec![
            (b"{\"data\":{\"x\":1.5}}".into(), 400, 109),
            (b"{\"data\":{\"x\":[{\"y\":2.0}]}}".into(), 400, 109),
            (b"{\"data\":{\"x\":1e2}}".into(), 400, 109),
            (b"{\"data\":{\"x\":18446744073709551616}}".into(), 400, 109),
            (b"{\"data\":{\"x\":NaN}}".into(), 400, 107),
            (b"{\"data\":{\"x\":1e999}}".into(), 400, 107),
            (b"{\"data\":{\"x\":\"\\ud800\"}}".into(), 400, 107),
            (b"{\"data\":{\"\\udfff\":1}}".into(), 400, 107),
            (b"{\"data\":{\"x\":\"\xff\"}}".into(), 400, 107),
            (deep("[", "]").into(), 400, 107),
            (deep("{\"a\":", "}").into(), 400, 107),
            (b"{\"data\":{".into(), 400, 107),
            (b"[]".into(), 400, 107),
            (b"\"x\"".into(), 400, 107),
            (b"{\"data\":[]}".into(), 400, 107),
            (b"{\"data\":{},\"other\":1}".into(), 400, 107),
            (b"{\"data\":{\"id\":\"other\"}}".into(), 400, 107),
            (b"{\"permissions\":{\"own\":[\"a\"]}}".into(), 400, 107),
            (b"{\"permissions\":{\"read\":\"a\"}}".into(), 400, 107),
            (b"{\"permissions\":{\"read\":[1]}}".into(), 400, 107),
            (b"{\"permissions\":[]}".into(), 400, 107),
        ];
        for (body, status, errno) in cases {
            house.refuses("PUT", RECORD, body, status, errno).await;
        }
        house.is_empty().await;
        let source = house.ask("GET", "/v1/buckets/source/collections/c").send().await.expect(200);
        assert_eq!(source["data"]["status"], "signed", "what was refused changed nothing");
        house.close().await;
    }
}

#[tokio::test]
async fn a_nul_and_two_members_of_one_name_are_kept_as_the_contract_has_it() {
    for house in House::on_both(CONFIG).await {
        with_source(&house).await;
        let put = |body: &'static str| house.ask("PUT", RECORD).body("application/json", body).send();
        assert_eq!(put("{\"data\":{\"a\":\"x\\u0000y\"}}").await.expect(201)["data"]["a"], "x\0y");
        assert_eq!(house.ask("GET", RECORD).send().await.expect(200)["data"]["a"], "x\0y");
        assert_eq!(put("{\"data\":{\"a\":1,\"a\":2}}").await.expect(200)["data"]["a"], 2);
        house.close().await;
    }
}

#[tokio::test]
async fn bodies_over_the_limit_are_refused_announced_or_not() {
    let house = House::with(CONFIG).await;
    with_source(&house).await;
    let large = format!("{{\"data\":{{\"x\":\"{}\"}}}}", "x".repeat(40 << 20));
    house.refuses("PUT", RECORD, large, 413, 113).await;
    house.is_empty().await;
    let fits = format!("{{\"data\":{{\"x\":\"{}\"}}}}", "x".repeat(4 << 20));
    house.ask("PUT", RECORD).body("application/json", fits).send().await.expect(201);
    house.close().await;
}

#[tokio::test]
async fn malformed_conditions_and_queries_are_refused() {
    let house = House::with(CONFIG).await;
    with_source(&house).await;
    let records = "/v1/buckets/source/collections/c/records";
    for (name, value) in [
        ("if-match", "5"),
        ("if-match", "abc"),
        ("if-none-match", "\"abc\""),
        ("if-none-match", "**"),
        ("response-behavior", "loud"),
    ] {
        let answer = house.ask("PUT", RECORD).header(name, value).json(json!({"data": {}})).send().await;
        assert_eq!(answer.expect(400)["errno"], 107, "{name}: {value}");
    }
    for query in
        ["_since=abc", "_limit=-1", "_limit=x", "_token=abc", "_since=99999999999999", "_before=", "a=%ff"]
    {
        let answer = house.ask("GET", &format!("{records}?{query}")).send().await;
        assert_eq!(answer.expect(400)["errno"], 107, "{query}");
    }
    let stale = house.ask("PUT", RECORD).header("if-match", "\"1\"").json(json!({"data": {}})).send().await;
    assert_eq!(stale.expect(412)["errno"], 114);
    house.is_empty().await;
    let put = house.ask("PUT", RECORD).json(json!({"data": {"n": 1}})).send().await;
    let (first, document) = (put.header("etag").to_owned(), put.expect(201));
    house.ask("PUT", RECORD).json(json!({"data": {"n": 2}})).send().await.expect(200);
    let expired = house.ask("DELETE", RECORD).header("if-match", &first).send().await;
    let refused = expired.expect(412);
    assert_eq!(refused["details"]["existing"]["n"], 2, "{document}");
    assert_ne!(expired.header("etag"), first);
    // What is not there is as its list is.
    let list = house.ask("GET", records).send().await;
    let path = format!("{records}/absent");
    let absent = house.ask("PUT", &path).header("if-match", "*").json(json!({"data": {}})).send().await;
    assert_eq!(absent.expect(412).get("details"), None);
    assert_eq!(absent.header("etag"), list.header("etag"));
    house.ask("PUT", RECORD).header("if-match", "*").json(json!({"data": {}})).send().await.expect(200);
    house.close().await;
}

#[tokio::test]
async fn content_types_ids_and_paths_are_checked() {
    let house = House::with(CONFIG).await;
    with_source(&house).await;
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/merge-patch+json"] {
        let answer = house.ask("PUT", RECORD).body(kind, "{\"data\":{}}").send().await;
        assert_eq!(answer.expect(415)["errno"], 107, "{kind}");
    }
    for id in ["a.b", "-a", "a%20b", "a%2Fb", "%00", "%ff", "é"] {
        let path = RECORD.replace("/r", &format!("/{}", id.replace('é', "%C3%A9")));
        let path = path.replace("/ecords", "/records");
        let path = format!("/v1/buckets/source/collections/c/records/{}", path.rsplit('/').next().unwrap());
        house.refuses("PUT", &path, "{\"data\":{}}", 400, 107).await;
    }
    for id in [json!("a/b"), json!(12), json!(""), json!(null), json!("../x"), json!("a\u{0}")] {
        let body = json!({"data": {"id": id}}).to_string();
        let answer = house
            .ask("POST", "/v1/buckets/source/collections/c/records")
            .body("application/json", body.clone())
            .send()
            .await;
        assert!(answer.status == 400 || answer.status == 201 && id.is_null(), "{body}: {}", answer.text());
    }
    house.close().await;
}

#[tokio::test]
async fn what_is_published_and_what_is_tracked_is_not_for_clients_to_write() {
    for house in House::on_both(CONFIG).await {
        with_source(&house).await;
        house.ask("PUT", RECORD).json(json!({"data": {"n": 1}})).send().await.expect(201);
        let collection = "/v1/buckets/source/collections/c";
        for (body, errno) in [
            (json!({"data": {"status": "signed"}}), 109),
            (json!({"data": {"status": "nonsense"}}), 109),
            (json!({"data": {"status": 5}}), 109),
            (json!({"data": {"last_edit_by": "principal:bob"}}), 109),
            (json!({"data": {"last_signature_date": "2020-01-01T00:00:00.000000+00:00"}}), 109),
        ] {
            house.refuses("PATCH", collection, body.to_string(), 400, errno).await;
        }
        house.refuses("PUT", collection, "{\"data\":{\"a\":1}}", 400, 109).await;
        let bob = house.somebody("bob", &[]).await;
        let destination = "/v1/buckets/destination/collections/c/records/x";
        let body = || json!({"data": {}});
        let nobody = house.ask_as_nobody("PUT", destination).json(body()).send().await;
        assert_eq!(nobody.expect(401)["errno"], 104);
        let somebody = house.ask_as(&bob, "PUT", destination).json(body()).send().await;
        assert_eq!(somebody.expect(403)["errno"], 121);
        house.refuses("DELETE", "/v1/buckets/destination/collections/c", "", 403, 121).await;
        let records =
            house.ask_as_nobody("GET", "/v1/buckets/destination/collections/c/records").send().await;
        assert_eq!(records.expect(200)["data"], json!([]));
        house.close().await;
    }
}

#[tokio::test]
async fn batches_are_no_way_around() {
    for house in House::on_both(CONFIG).await {
        with_source(&house).await;
        let path = "/buckets/source/collections/c/records/r";
        let requests: Vec<Value> = vec![
            json!({"method": "PUT", "path": path, "body": {"data": {"x": 1.5}}}),
            json!({"method": "PUT", "path": path, "body": {"data": {}}, "headers": {"If-Match": "\"1\""}}),
            json!({"method": "PUT", "path": path, "body": {"data": {}}, "headers": {"Content-Type": "text/plain"}}),
            json!({"method": "PATCH", "path": "/buckets/source/collections/c", "body": {"data": {"last_edit_by": "x"}}}),
            json!({"method": "PUT", "path": "/buckets/source/collections/c/records/a%2Fb", "body": {}}),
            json!({"method": "PUT", "path": path, "body": []}),
        ];
        let done = house.batch(requests.into()).await.expect(200);
        let errnos: Vec<u64> = done["responses"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r["body"]["errno"].as_u64().unwrap())
            .collect();
        assert_eq!(errnos, [109, 114, 107, 109, 107, 107], "{done}");
        house.is_empty().await;
        for body in ["", "null", "[]", "{", "{\"requests\":{}}", "{\"requests\":[1]}"] {
            house.refuses("POST", "/v1/batch", body, 400, 107).await;
        }
        house.close().await;
    }
}
