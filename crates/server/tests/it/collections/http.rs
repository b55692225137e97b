//! Redirections, CORS, methods, the root document, heartbeats.

use serde_json::json;

use crate::support::House;

#[tokio::test]
async fn paths_without_version_or_with_a_slash_are_redirected() {
    let house = House::open().await;
    for (path, location) in [
        ("/v1", "http://h:1/v1/"),
        ("/v1/buckets/", "http://h:1/v1/buckets"),
        ("/v1/buckets/b/?_limit=1", "http://h:1/v1/buckets/b?_limit=1"),
        ("/buckets", "http://h:1/v1/buckets"),
        ("/buckets/", "http://h:1/v1/buckets/"),
        ("/buckets/b/collections?_since=1", "http://h:1/v1/buckets/b/collections?_since=1"),
        ("/accounts/ana", "http://h:1/v1/accounts/ana"),
        ("/permissions", "http://h:1/v1/permissions"),
        ("/batch", "http://h:1/v1/batch"),
    ] {
        let answer = house.ask_as_nobody("GET", path).header("host", "h:1").send().await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (307, location), "{path}");
    }
    let answer = house.ask_as_nobody("PUT", "/buckets/b").header("host", "a\"b").send().await;
    assert_eq!(answer.status, 307);
    assert_eq!(answer.header("location"), "http://127.0.0.1:8080/v1/buckets/b");
    let answer = house.ask_as_nobody("GET", "/v1/buckets/").send().await;
    assert_eq!(answer.header("cache-control"), "max-age=3600");
    house.close().await;
}

#[tokio::test]
async fn every_answer_has_security_headers_and_scripts_may_read_it() {
    let house = House::open().await;
    for path in ["/v1/", "/v1/buckets", "/v1/nowhere", "/v1/buckets/", "/buckets", "/v1/__lbheartbeat__"] {
        let answer = house.ask_as_nobody("GET", path).header("origin", "http://x").send().await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert!(answer.header("content-security-policy").starts_with("default-src 'none'"), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
        for exposed in ["ETag", "Next-Page", "Total-Records", "Backoff", "Alert", "Retry-After"] {
            assert!(answer.header("access-control-expose-headers").contains(exposed), "{path}: {exposed}");
        }
    }
    let preflight = house
        .ask_as_nobody("OPTIONS", "/v1/buckets/b/collections/c/records/r")
        .header("origin", "http://x")
        .header("access-control-request-method", "PATCH")
        .header("access-control-request-headers", "authorization,content-type")
        .send()
        .await;
    assert_eq!(preflight.status, 200);
    assert_eq!(preflight.header("access-control-allow-origin"), "*");
    assert!(preflight.header("access-control-allow-methods").contains("PATCH"));
    assert_eq!(preflight.header("access-control-allow-headers"), "authorization,content-type");
    house.close().await;
}

#[tokio::test]
async fn what_is_not_there_and_what_is_not_possible_are_told_in_the_protocols_words() {
    let house = House::open().await;
    let nowhere = house.ask("GET", "/v1/nowhere").send().await.expect(404);
    assert_eq!(nowhere["errno"], 111);
    for (method, path, allow) in [
        ("DELETE", "/v1/", "GET, HEAD, OPTIONS"),
        ("GET", "/v1/batch", "POST, OPTIONS"),
        ("POST", "/v1/buckets/b", "GET, HEAD, PUT, PATCH, DELETE, OPTIONS"),
        ("PUT", "/v1/buckets", "GET, HEAD, POST, DELETE, OPTIONS"),
        ("TRACE", "/v1/buckets", "GET, HEAD, POST, DELETE, OPTIONS"),
    ] {
        let answer = house.ask(method, path).send().await;
        assert_eq!(answer.expect(405)["errno"], 115, "{method} {path}");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
    house.close().await;
}

#[tokio::test]
async fn the_root_says_what_the_server_is_and_who_asks() {
    let config = "[collections]\nbatch_max_requests = 200\n[[collections.resource]]\nsource = \"/buckets/s\"\n\
                  destination = \"/buckets/d\"\nreview = false";
    let house = House::with(config).await;
    let root = house.ask("GET", "/v1/").header("host", "h:1").send().await.expect(200);
    assert_eq!(root["url"], "http://h:1/v1/");
    assert_eq!(
        root["settings"],
        json!({"readonly": false, "batch_max_requests": 200, "explicit_permissions": true})
    );
    assert_eq!(root["user"]["id"], "principal:admin");
    let principals = root["user"]["principals"].as_array().unwrap();
    assert!(
        principals.contains(&json!("system.Authenticated")) && principals.contains(&json!("system.Everyone"))
    );
    assert!(root["user"]["bucket"].is_string());
    for capability in
        ["accounts", "default_bucket", "history", "schema", "permissions_endpoint", "changes", "signer"]
    {
        assert!(root["capabilities"][capability]["description"].is_string(), "{capability}");
    }
    assert_eq!(root["capabilities"]["changes"]["collections"], json!(["/buckets/d"]));
    let root = house.ask_as_nobody("GET", "/v1/").send().await.expect(200);
    assert!(root.get("user").is_none());
    house.close().await;
}

#[tokio::test]
async fn heartbeats_say_whether_all_parts_answer() {
    let house =
        House::with("[[collections.resource]]\nsource = \"/buckets/s\"\ndestination = \"/buckets/d\"").await;
    let beat = house.ask_as_nobody("GET", "/v1/__heartbeat__").send().await.expect(200);
    assert_eq!(beat, json!({"storage": true, "permission": true, "cache": true, "signer": true}));
    assert_eq!(house.ask_as_nobody("GET", "/v1/__lbheartbeat__").send().await.expect(200), json!({}));
    house.ask("POST", "/v1/__flush__").send().await.expect(404);
    house.close().await;
}

#[tokio::test]
async fn a_surface_that_is_switched_off_is_not_there() {
    let house = House::with("[collections]\nenabled = false").await;
    let answer = house.ask("GET", "/v1/").send().await;
    answer.refused(404, "not-found");
    house.close().await;
}

#[tokio::test]
async fn a_patch_is_answered_with_as_much_as_is_asked_for() {
    let house = House::open().await;
    house.ask("PUT", "/v1/buckets/b").json(json!({"data": {"a": 1, "b": {"x": 1}}})).send().await.expect(201);
    for (behavior, sent, expected) in [
        ("full", json!({"q": 1}), json!({"a": 1, "b": {"x": 1}, "q": 1})),
        ("light", json!({"q": 2}), json!({"q": 2})),
        ("diff", json!({"q": 3}), json!({})),
    ] {
        let patch = house.ask("PATCH", "/v1/buckets/b").header("response-behavior", behavior);
        let mut data = patch.json(json!({"data": sent})).send().await.expect(200)["data"].take();
        let members = data.as_object_mut().unwrap();
        for always in ["id", "last_modified"] {
            members.remove(always);
        }
        assert_eq!(data, expected, "{behavior}");
    }
    house.close().await;
}

#[tokio::test]
async fn a_purged_history_is_empty() {
    for house in House::on_both("").await {
        house.ask("PUT", "/v1/buckets/b").send().await.expect(201);
        house.ask("PUT", "/v1/buckets/b/collections/c").send().await.expect(201);
        let history = || house.ask("GET", "/v1/buckets/b/history").send();
        assert_eq!(history().await.expect(200)["data"].as_array().unwrap().len(), 2);
        house.ask("DELETE", "/v1/buckets/b/history").send().await.expect(200);
        assert_eq!(history().await.expect(200)["data"], json!([]));
        house.close().await;
    }
}

#[tokio::test]
async fn addresses_are_those_of_the_configuration_where_it_has_one() {
    for (config, url) in
        [("", "http://h:1"), ("public_url = \"https://sign.example.org\"", "https://sign.example.org")]
    {
        let house = House::with(config).await;
        for id in ["b", "c"] {
            house.ask("PUT", &format!("/v1/buckets/{id}")).send().await.expect(201);
        }
        let get = async |path: &str| house.ask("GET", path).header("host", "h:1").send().await;
        let page = get("/v1/buckets?_limit=1").await;
        assert!(page.header("next-page").starts_with(&format!("{url}/v1/")), "{}", page.header("next-page"));
        let moved = get("/v1/buckets/b/").await;
        let wanted = format!("{url}/v1/buckets/b");
        assert_eq!(
            (moved.header("location"), moved.header("cache-control")),
            (wanted.as_str(), "max-age=3600")
        );
        house.close().await;
    }
}
