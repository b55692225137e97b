use serde_json::{Value, json};

use super::{make_key, servers};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_works_in_its_three_forms_until_it_is_revoked() {
    for server in servers().await {
        let made = server.post("/principals", &json!({"name": "ci", "roles": ["signer"]})).await.unwrap();
        assert_eq!((made.status, &made.json()["disabled"]), (201, &json!(false)));
        let body = json!({"label": "build"});
        let made = server.post("/principals/ci/tokens", &body).await.unwrap();
        assert_eq!(made.status, 201);
        let (id, token) = (made.json()["id"].clone(), made.json()["token"].as_str().unwrap().to_owned());
        assert!(token.starts_with("cst_") && token.len() == 75);
        let whoami = || server.anonymous("GET", "/countersign/v1/whoami");
        for request in [
            whoami().bearer_auth(&token),
            whoami().basic_auth("ci", Some(&token)),
            whoami().header("x-api-key", &token),
        ] {
            let me = server.send(request).await.unwrap().json();
            assert_eq!((&me["principal"], &me["token"]["id"]), (&json!("ci"), &id));
        }
        let other_name = server.send(whoami().basic_auth("admin", Some(&token))).await.unwrap();
        assert_eq!((other_name.status, other_name.problem().as_str()), (401, "bad-credentials"));
        let two = whoami().bearer_auth(&token).header("x-api-key", &server.token);
        assert_eq!(server.send(two).await.unwrap().problem(), "invalid-request");
        let same_twice = whoami().bearer_auth(&token).header("x-api-key", &token);
        assert_eq!(server.send(same_twice).await.unwrap().status, 200);

        let listed = server.get("/principals/ci/tokens").await.unwrap().json();
        assert_eq!((&listed["tokens"][0]["id"], &listed["tokens"][0]["label"]), (&id, &json!("build")));
        assert!(!listed.to_string().contains(&token[17..]));
        let id = id.as_str().unwrap();
        let deleted = server.send(server.request("DELETE", &format!("/tokens/{id}"))).await.unwrap();
        assert_eq!(deleted.status, 204);
        let answer = server.send(whoami().bearer_auth(&token)).await.unwrap();
        assert_eq!((answer.status, answer.problem().as_str()), (401, "bad-credentials"));
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_disabled_and_unknown_tokens_get_one_answer() {
    for server in servers().await {
        server.principal("gone", &["signer"]).await.unwrap();
        let short = json!({"expires": "2020-01-01T00:00:00Z"});
        let expired = server.post("/principals/gone/tokens", &short).await.unwrap();
        let live = server.post("/principals/gone/tokens", &json!({"expires": null})).await.unwrap();
        assert_eq!(live.json()["expires"], Value::Null);
        let live = live.json()["token"].as_str().unwrap().to_owned();
        let disabled = server.post("/principals/gone/disable", &json!({})).await.unwrap();
        assert_eq!((disabled.status, &disabled.json()["disabled"]), (200, &json!(true)));
        let mut tokens = vec![live, "cst_nonsense".into(), String::new()];
        if expired.status == 201 {
            tokens.push(expired.json()["token"].as_str().unwrap().to_owned());
        } else {
            assert_eq!((expired.status, expired.problem().as_str()), (400, "invalid-request"));
        }
        let mut bodies = Vec::new();
        for token in tokens {
            let answer = server.send(server.request_as(&token, "GET", "/whoami")).await.unwrap();
            assert_eq!(answer.status, 401, "{token}");
            let mut body = answer.json();
            body["request_id"] = Value::Null;
            bodies.push(body);
        }
        assert_eq!(bodies[0], bodies[1], "one answer for all");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gives_a_role_that_they_do_not_have() {
    for server in servers().await {
        let rules = server.get("/policy").await.unwrap();
        let mut list = rules.json()["rules"].clone();
        list.as_array_mut().unwrap().push(json!({"id": "hiring", "effect": "allow",
            "principals": ["role:hr"], "actions": ["principal:write", "principal:read"], "resources": ["*"]}));
        let put = server.request("PUT", "/policy").header("if-match", rules.header("etag"));
        assert_eq!(server.send(put.json(&json!({"rules": list}))).await.unwrap().status, 200);
        let hr = server.principal("eve", &["hr"]).await.unwrap();
        let hire = |roles: Value| {
            let body = json!({"name": "new", "roles": roles});
            server.send(server.request_as(&hr, "POST", "/principals").json(&body))
        };
        let refused = hire(json!(["admin"])).await.unwrap();
        assert_eq!((refused.status, refused.problem().as_str()), (403, "not-permitted"));
        assert_eq!(hire(json!(["hr"])).await.unwrap().status, 201);
        let stolen = server.request_as(&hr, "POST", "/principals/admin/tokens").json(&json!({}));
        assert_eq!(server.send(stolen).await.unwrap().status, 403, "a token of a mightier principal");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrowed_token_reaches_only_what_it_names() {
    for server in servers().await {
        for name in ["a", "b"] {
            make_key(&server, name, "ed25519").await;
        }
        let body = json!({"actions": ["key:sign", "key:read"], "resources": ["key:a"]});
        let made = server.post("/principals/admin/tokens", &body).await.unwrap().json();
        let token = made["token"].as_str().unwrap();
        let sign = |key: &str| {
            let request = server.request_as(token, "POST", &format!("/keys/{key}/sign"));
            server.send(request.json(&json!({"message": ""})))
        };
        assert_eq!(sign("a").await.unwrap().status, 200);
        assert_eq!(sign("b").await.unwrap().problem(), "not-permitted");
        assert_eq!(sign("unknown").await.unwrap().problem(), "not-permitted", "existence is not told");
        let listed = server.send(server.request_as(token, "GET", "/keys")).await.unwrap().json();
        assert_eq!(listed["keys"].as_array().unwrap().len(), 1);
        let refused = server.send(server.request_as(token, "GET", "/policy")).await.unwrap();
        assert_eq!(refused.problem(), "not-permitted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hawk_pair_is_shown_once_and_can_be_revoked() {
    for server in servers().await {
        let made = server.post("/principals/admin/hawk", &json!({"label": "autograph"})).await.unwrap();
        assert_eq!(made.status, 201, "{}", made.problem());
        let (id, secret) = (made.json()["id"].clone(), made.json()["secret"].clone());
        assert!(secret.as_str().unwrap().len() >= 32);
        let id = id.as_str().unwrap();
        let deleted = server.send(server.request("DELETE", &format!("/tokens/{id}"))).await.unwrap();
        assert_eq!(deleted.status, 204);
        let deleted = server.send(server.request("DELETE", "/tokens/aaaaaaaaaaaa")).await.unwrap();
        assert_eq!(deleted.status, 404);
    }
}
