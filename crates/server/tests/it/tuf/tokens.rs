//! Who may ask what.

use serde_json::{Value, json};

use crate::support::House;

/// Each request with an empty body, and the action that its scope is.
const REQUESTS: &[(&str, &str, &[&str])] = &[
    ("GET", "bootstrap/", &["tuf:read"]),
    ("POST", "bootstrap/", &["tuf:write"]),
    ("GET", "config/", &["tuf:read"]),
    ("PUT", "config/", &["tuf:write"]),
    ("POST", "metadata/", &["tuf:write"]),
    ("POST", "metadata/online", &["tuf:write"]),
    ("GET", "metadata/sign", &["tuf:read"]),
    ("POST", "metadata/sign", &["tuf:sign"]),
    ("PATCH", "metadata/sign", &["tuf:sign", "tuf:delete"]),
    ("DELETE", "metadata/sign", &["tuf:delete"]),
    ("POST", "metadata/sign/delete", &["tuf:delete"]),
    ("POST", "metadata/sign/challenge", &["tuf:delete"]),
    ("POST", "delegations/", &["tuf:write"]),
    ("PUT", "delegations/", &["tuf:write"]),
    ("POST", "delegations/delete", &["tuf:write"]),
    ("POST", "artifacts/", &["tuf:write"]),
    ("POST", "artifacts/delete", &["tuf:delete"]),
    ("POST", "artifacts/publish/", &["tuf:write"]),
    ("GET", "task/", &["tuf:read"]),
    ("GET", "keys/online", &["tuf:read"]),
    ("POST", "keys/online", &["tuf:write"]),
    ("PUT", "targets/a", &["tuf:write"]),
    ("POST", "gc", &["tuf:delete"]),
];

const ACTIONS: [&str; 4] = ["tuf:read", "tuf:write", "tuf:sign", "tuf:delete"];

#[tokio::test]
async fn a_token_is_looked_at_before_the_body_and_what_is_wrong_with_it_is_not_told() {
    let house = House::open().await;
    let bad = format!("{}x", house.admin);
    for (method, path, _) in REQUESTS {
        let path = format!("/api/v1/{path}");
        let nobody = house.ask_as_nobody(method, &path).body("text/plain", "no body").send().await;
        let stranger = house.ask_as(&bad, method, &path).body("text/plain", "no body").send().await;
        for answer in [nobody, stranger] {
            let refusal = answer.expect(401);
            assert!(refusal["detail"].is_string(), "{refusal}");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
    }
    // Forms that clients of this surface do not use are as if absent.
    for (name, value) in [
        ("x-api-key", house.admin.clone()),
        (
            "authorization",
            format!("Basic {}", crate::support::base64(format!("admin:{}", house.admin).as_bytes())),
        ),
    ] {
        let answer = house.ask_as_nobody("GET", "/api/v1/bootstrap/").header(name, &value).send().await;
        answer.expect(401);
    }
    house.close().await;
}

#[tokio::test]
async fn each_request_needs_its_scope_and_no_other() {
    let house = House::open().await;
    house.somebody("ana", &["admin"]).await;
    let mut tokens = Vec::new();
    for left_out in ACTIONS {
        let actions: Vec<&str> = ACTIONS.into_iter().filter(|action| *action != left_out).collect();
        tokens.push((left_out, house.token("ana", json!({"actions": actions})).await));
    }
    for (method, path, needs) in REQUESTS {
        for (left_out, token) in &tokens {
            let path = format!("/api/v1/{path}");
            let answer = house.ask_as(token, method, &path).send().await;
            let refused = answer.status == 403 && answer.document()["detail"]["message"] == "Not permitted.";
            assert_eq!(
                refused,
                needs.contains(left_out),
                "{method} {path} without {left_out}: {}",
                answer.text()
            );
        }
    }
    let token = house.token("ana", json!({"actions": ["tuf:read"]})).await;
    let refusal = house.ask_as(&token, "POST", "/api/v1/metadata/sign").send().await.expect(403);
    let error = refusal["detail"]["error"].as_str().unwrap();
    assert!(error.contains("write:metadata_sign") && error.contains("tuf:sign"), "{error}");
    house.close().await;
}

#[tokio::test]
async fn a_token_for_other_resources_is_none_for_this_one() {
    let house = House::open().await;
    house.somebody("ana", &["admin"]).await;
    for (resource, status) in [("tag:*", 403), ("tuf:other", 403), ("tuf:default", 200)] {
        let token = house.token("ana", json!({"resources": [resource]})).await;
        house.ask_as(&token, "GET", "/api/v1/bootstrap/").send().await.expect(status);
    }
    house.close().await;
}

#[tokio::test]
async fn the_control_socket_needs_no_token() {
    let house = House::open().await;
    let answer = house.ask_as_nobody("GET", "/api/v1/bootstrap").over_control().send().await.expect(200);
    assert_eq!(answer, json!({"data": {"bootstrap": false}, "message": "System available for bootstrap."}));
    house.close().await;
}

#[tokio::test]
async fn a_surface_that_is_switched_off_is_not_there() {
    let house = House::with("[tuf]\nenabled = false").await;
    for path in ["/api/v1/bootstrap/", "/metadata/timestamp.json", "/targets/a"] {
        let answer = house.ask("GET", path).send().await;
        assert_eq!(answer.status, 404, "{path}");
        assert_ne!(answer.document(), Value::Null);
    }
    house.close().await;
}
