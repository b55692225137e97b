use serde_json::{Value, json};

use super::{make_key, servers};

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_replaced_whole_and_only_by_who_saw_the_last_one() {
    for server in servers().await {
        let policy = server.get("/policy").await.unwrap();
        let rules = policy.json()["rules"].clone();
        let put = |tag: Option<String>, rules: &Value| {
            let request = server.request("PUT", "/policy").json(&json!({"rules": rules}));
            server.send(match tag {
                Some(tag) => request.header("if-match", tag),
                None => request,
            })
        };
        let tag = policy.header("etag").to_owned();
        assert_eq!(put(None, &rules).await.unwrap().problem(), "conflict");
        assert_eq!(put(Some("\"other\"".into()), &rules).await.unwrap().problem(), "conflict");
        let mut more = rules.clone();
        more.as_array_mut().unwrap().push(json!({"id": "more", "effect": "deny", "principals": ["ci"],
            "actions": ["key:*"], "resources": ["*"]}));
        let done = put(Some(tag.clone()), &more).await.unwrap();
        assert_eq!((done.status, &done.json()["rules"]), (200, &more));
        assert_eq!(done.json()["version"], policy.json()["version"].as_i64().unwrap() + 1);
        assert_ne!(done.json()["hash"], policy.json()["hash"]);
        assert_eq!(put(Some(tag), &rules).await.unwrap().problem(), "conflict", "the tag is old");

        let tag = done.header("etag").to_owned();
        let nobody = put(Some(tag.clone()), &json!([])).await.unwrap();
        assert_eq!((nobody.status, nobody.problem().as_str()), (422, "locks-out"));
        let unsound = json!([{"id": "x", "effect": "allow", "principals": ["*"], "actions": ["fly"], "resources": ["*"]}]);
        assert_eq!(put(Some(tag), &unsound).await.unwrap().problem(), "invalid-request");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_explained_and_past_ones_replayed() {
    for server in servers().await {
        make_key(&server, "k", "ed25519").await;
        let ci = server.principal("ci", &["signer"]).await.unwrap();
        let check = |principal: &str, action: &str, resource: &str| {
            let body = json!({"principal": principal, "action": action, "resource": resource});
            async { server.post("/policy/check", &{ body }).await.unwrap() }
        };
        let yes = check("ci", "key:sign", "key:k").await.json();
        assert_eq!((&yes["allowed"], &yes["rule"]), (&json!(true), &json!("signer")));
        let no = check("ci", "key:create", "key:k").await.json();
        assert_eq!((&no["allowed"], &no["rule"]), (&json!(false), &Value::Null));
        assert!(no["reason"].as_str().unwrap().contains("no rule"));
        assert_eq!(check("nobody", "key:sign", "key:k").await.problem(), "unknown-principal");
        assert_eq!(check("ci", "key:fly", "key:k").await.problem(), "invalid-request");

        for _ in 0..3 {
            let request = server.request_as(&ci, "POST", "/keys/k/sign").json(&json!({"message": ""}));
            assert_eq!(server.send(request).await.unwrap().status, 200);
        }
        let mut rules = server.get("/policy").await.unwrap().json()["rules"].clone();
        rules.as_array_mut().unwrap().retain(|rule| rule["id"] != "signer");
        let changed = server.post("/policy/test", &json!({"rules": rules, "last": 100})).await.unwrap();
        assert_eq!(changed.status, 200, "{}", changed.problem());
        let text = changed.json().to_string();
        assert_eq!(text.matches("\"ci\"").count(), 3, "the three signatures of `ci` would change: {text}");
    }
}
