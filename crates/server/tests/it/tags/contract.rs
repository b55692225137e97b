//! What holds for every request of the surface: the form of refusals, entity tags, idempotency keys, limits.

use serde_json::json;

use super::{authority, get, refused, sha256, signed, write, writer};
use crate::support::{House, base64};

const KEY: &str = "idempotency-key";

#[tokio::test]
async fn paths_and_methods_that_are_none_are_refused_in_one_form_all_over_the_surface() {
    let house = House::open().await;
    authority(&house, "a").await;
    for (method, path, allow) in [
        ("POST", "/tags/log/checkpoint", "GET, HEAD"),
        ("DELETE", "/tags/log/no/such/thing", "GET, HEAD"),
        ("POST", "/tags/", "GET, HEAD"),
        ("PATCH", "/tags/app", "GET, HEAD, POST, PUT, DELETE"),
        ("GET", "/tags/sign", "POST"),
        ("PUT", "/tags/requests/x", "GET, HEAD"),
        ("GET", "/tags/requests/x/approve", "POST"),
        ("PUT", "/authorities/", "GET, HEAD, POST"),
        ("DELETE", "/authorities/a", "GET, HEAD"),
        ("GET", "/authorities/a/rotate", "POST"),
        ("POST", "/authorities/bundle.pub", "GET, HEAD"),
    ] {
        let answer = house.ask(method, path).send().await;
        refused(&answer, 405, "method-not-allowed");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
    for path in [
        "/tags/log/nothing",
        "/tags/log/tile/0/x",
        "/tags/requests/x",
        "/authorities/a/",
        "/authorities/a/x",
        "/authorities/a/rotate/x",
    ] {
        let answer = get(&house, path).await;
        refused(&answer, 404, "not-found");
        let text = house.ask_as_nobody("GET", path).header("accept", "text/plain").send().await;
        assert_eq!((text.status, text.header("content-type")), (answer.status, "text/plain; charset=utf-8"));
        assert_eq!(text.text().trim_end(), answer.document()["message"], "{path}");
    }
    house.close().await;
}

#[tokio::test]
async fn what_a_client_has_is_not_sent_again() {
    let house = House::open().await;
    authority(&house, "a").await;
    write(&house, "app", "a", "one").await;
    let asked = house.somebody("ana", &["signer"]).await;
    super::authority_of(&house, "two", "ec-p256", 2).await;
    let request = house.ask_as(&asked, "POST", "/tags/sign?authority=two&payload=x").send().await;
    for path in [
        "/tags/app",
        "/tags/app?authorities=a",
        "/tags/app?versions=1",
        "/tags/app.a.sig",
        "/tags/app.a.sig?raw=1",
        "/tags/?prefix=a",
        request.header("location"),
        "/authorities/",
        "/authorities/a",
        "/authorities/a.pub",
        "/authorities/bundle",
        "/authorities/bundle.pub",
        "/tags/log/checkpoint",
    ] {
        let first = get(&house, path).await;
        first.expect(200);
        let head = house.ask_as_nobody("HEAD", path).send().await;
        assert_eq!((head.status.as_u16(), head.body.len()), (200, 0), "{path}");
        assert_eq!(
            (head.header("etag"), head.header("content-type")),
            (first.header("etag"), first.header("content-type"))
        );
        let again =
            house.ask_as_nobody("GET", path).header("if-none-match", first.header("etag")).send().await;
        assert_eq!((again.status.as_u16(), again.body.len()), (304, 0), "{path}");
        assert_eq!(again.header("etag"), first.header("etag"));
        let other = house.ask_as_nobody("GET", path).header("if-none-match", "\"x\"").send().await;
        assert_eq!(other.body, first.body, "{path}");
    }
    house.close().await;
}

#[tokio::test]
async fn a_request_with_an_idempotency_key_is_done_once() {
    for house in House::on_both("").await {
        authority(&house, "a").await;
        let sign = |text: &str| {
            house.ask("POST", "/tags/sign?authority=a").header(KEY, "sign").body("text/plain", text)
        };
        let first = sign("x").send().await;
        first.expect(200);
        let again = sign("x").send().await;
        assert_eq!((&again.body, again.header("idempotent-replayed")), (&first.body, "true"));
        assert_eq!(again.header("countersign-log"), first.header("countersign-log"));
        refused(&sign("y").send().await, 409, "idempotency-mismatch");

        let write = |query: &str| {
            let path = format!("/tags/app?authority=a&new_version=1&{query}");
            let ask = house.ask("POST", Box::leak(path.into_boxed_str()));
            ask.header(KEY, "write")
        };
        let made = write("content=1").send().await;
        made.expect(201);
        super::write(&house, "app", "a", "2").await;
        let again = write("content=1").send().await;
        assert_eq!(again.expect(201), made.document());
        assert_eq!((again.header("etag"), again.header("location")), (made.header("etag"), "/tags/app"));
        assert_eq!(get(&house, "/tags/app").await.header("countersign-version"), "2", "no third one");
        // A body is compared too, though only its digest is kept.
        let hash = |bytes: &str| {
            let ask = house.ask("POST", "/tags/jar?authority=a&hash=1").header(KEY, "hash");
            ask.body("application/octet-stream", bytes)
        };
        hash("jar").send().await.expect(201);
        assert_eq!(hash("jar").send().await.header("idempotent-replayed"), "true");
        refused(&hash("rat").send().await, 409, "idempotency-mismatch");

        let make = || {
            let ask = house.ask("POST", "/authorities/").header(KEY, "make");
            ask.json(json!({"name": "b", "algorithm": "ec-p256"}))
        };
        let made = make().send().await.expect(201);
        assert_eq!(make().send().await.expect(201), made);
        let bad = house.ask("POST", "/tags/sign?authority=a").header(KEY, "a b").body("text/plain", "x");
        refused(&bad.send().await, 400, "bad-request");
        house.close().await;
    }
}

#[tokio::test]
async fn a_key_for_detached_signatures_signs_the_bytes_of_an_artifact_and_no_tag() {
    let house = House::open().await;
    let new = json!({"name": "det", "algorithm": "rsa-2048", "detached": true});
    let keys = house.ask("POST", "/authorities/").json(new).send().await.expect(201)["keys"].take();
    assert_eq!((keys[0].get("detached"), &keys[1]["detached"]), (None, &json!(true)));
    let sign = house.ask("POST", "/tags/sign?authority=det&detached=1");
    let made = sign.body("application/octet-stream", "x\n").send().await;
    assert_eq!((made.status.as_u16(), made.body.len()), (200, 256));
    assert_eq!(made.header("content-type"), "application/octet-stream");
    assert!(!made.header("countersign-log").is_empty());
    let pem = |key: usize| keys[key]["pem"].as_str().unwrap();
    assert!(super::openssl::verifies(pem(1), "x\n", &made.body));
    assert!(!super::openssl::verifies(pem(0), "x\n", &made.body));

    // It counts for no tag, and what the authority signs as a tag is by the other key.
    let file = format!("x\n=== SIGNATURE det\n{}\n", base64(&made.body));
    let validate = house.ask_as_nobody("POST", "/tags/validate?authorities=det").body("text/plain", file);
    refused(&validate.send().await, 403, "invalid-signature");
    let tag = house.ask("POST", "/tags/sign?authority=det&payload=x").header("accept", "application/json");
    assert_eq!(tag.send().await.expect(200)["signatures"]["det"]["key"], keys[0]["id"]);
    let empty = house.ask("POST", "/tags/sign?authority=det&detached=1").send().await;
    refused(&empty, 400, "empty");
    house.close().await;
}

#[tokio::test]
async fn a_tag_is_hidden_only_as_who_hides_it_knows_it() {
    for house in House::on_both("").await {
        authority(&house, "a").await;
        write(&house, "app", "a", "one").await;
        let hide = |text: &str| {
            let ask = house.ask("DELETE", "/tags/app");
            ask.header("if-match", &format!("\"{}\"", sha256(text)))
        };
        write(&house, "app", "a", "two").await;
        refused(&hide("one\n").send().await, 412, "precondition-failed");
        refused(&house.ask("DELETE", "/tags/app?version=1").send().await, 409, "new-version");
        assert_eq!(get(&house, "/tags/app").await.status, 200);
        assert_eq!(hide("two\n").send().await.status, 204);
        house.close().await;
    }
}

#[tokio::test]
async fn the_description_lists_every_request() {
    let house = House::open().await;
    let description = get(&house, "/openapi.json").await.expect(200);
    for (method, path) in [
        ("post", "/tags/validate"),
        ("post", "/tags/sign"),
        ("get", "/tags/"),
        ("get", "/tags/{name}"),
        ("post", "/tags/{name}"),
        ("put", "/tags/{name}"),
        ("delete", "/tags/{name}"),
        ("get", "/tags/{name}.{authority}.sig"),
        ("post", "/tags/requests/{id}/approve"),
        ("get", "/authorities/"),
        ("post", "/authorities/{name}/revoke"),
        ("get", "/authorities/bundle"),
        ("get", "/tags/log/checkpoint"),
        ("get", "/tags/log/inclusion"),
    ] {
        let operation = &description["paths"][path][method];
        assert!(operation["responses"]["default"].is_object(), "{method} {path}");
        let anonymous = method == "get" || path == "/tags/validate";
        assert_eq!(operation.get("security").is_some(), anonymous, "{method} {path}");
    }
    let parameters = description["paths"]["/tags/{name}.{authority}.sig"]["get"]["parameters"].as_array();
    let names: Vec<_> = parameters.unwrap().iter().map(|parameter| parameter["name"].as_str()).collect();
    assert_eq!(names, [Some("name"), Some("authority"), Some("version"), Some("raw")]);
    house.close().await;
}

#[tokio::test]
async fn who_has_no_token_is_counted_by_address() {
    let house = House::with("[tags]\nself_signed_writes = true\nwrites_per_minute = 2").await;
    authority(&house, "a").await;
    let file = signed(&house, "a", "x").await;
    let put = async |address: &str| {
        let ask = house.ask_as_nobody("PUT", "/tags/app").from(address.parse().unwrap());
        ask.body("text/plain", file.clone()).send().await
    };
    for _ in 0..2 {
        assert!(put("192.0.2.7").await.status.is_success());
    }
    refused(&put("192.0.2.7").await, 429, "rate-limited");
    assert_eq!(put("192.0.2.8").await.status, 200);
    for last in ["1", "2"] {
        assert_eq!(put(&format!("2001:db8::{last}")).await.status, 200);
    }
    refused(&put("2001:db8::3").await, 429, "rate-limited");
    let ana = writer(&house, "ana", "a", "").await;
    assert_eq!(house.ask_as(&ana, "PUT", "/tags/app?authority=a").send().await.status, 200);
    house.close().await;
}
