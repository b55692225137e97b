//! Keys, principals, tokens and policy, and the order of checks.

use countersign_server::surfaces::native::wire;
use serde_json::json;

use crate::support::{House, base64};

#[tokio::test]
async fn checks_come_in_the_documented_order() {
    let house = House::with("[limits]\nbody_mib = 1").await;
    let keys = "/countersign/v1/keys";
    let over = (2 << 20).to_string();

    house.ask_as_nobody("GET", "/countersign/v1/nothing").send().await.refused(404, "not-found");
    house.ask_as_nobody("PATCH", keys).send().await.refused(405, "method-not-allowed");
    let large = house.ask_as_nobody("POST", keys).header("content-length", &over).body("text/plain", "{");
    large.send().await.refused(401, "no-credentials");
    let large =
        house.ask_as("cst_wrong", "POST", keys).header("content-length", &over).body("text/plain", "{");
    large.send().await.refused(401, "bad-credentials");
    let large = house.ask("POST", keys).header("content-length", &over).body("text/plain", "{");
    large.send().await.refused(413, "too-large");
    house.ask("POST", keys).body("text/plain", "{").send().await.refused(415, "unsupported-media-type");
    house.ask("POST", keys).body("application/json", "{").send().await.refused(400, "malformed-json");
    let unknown = house.ask("POST", keys).json(json!({"name": "a", "type": "p256", "size": 1}));
    assert_eq!(unknown.send().await.refused(400, "invalid-request")["member"], "size");

    // Permission comes before existence.
    let reader = house.somebody("rea", &["reader"]).await;
    let retire = house.ask_as(&reader, "POST", "/countersign/v1/keys/none/retire");
    retire.send().await.refused(403, "not-permitted");
    house.ask("POST", "/countersign/v1/keys/none/retire").send().await.refused(404, "unknown-key");
    house.close().await;
}

#[tokio::test]
async fn a_key_is_made_listed_shown_retired_and_revoked() {
    let house = House::open().await;
    let make = house.ask("POST", "/countersign/v1/keys").json(json!({"name": "release", "type": "p384"}));
    let made = make.send().await;
    let key: wire::Key = serde_json::from_value(made.expect(201)).unwrap();
    assert_eq!(made.header("location"), "/countersign/v1/keys/release");
    assert!(made.header("countersign-log").starts_with(house.app.ctx.node().as_str()));
    assert_eq!((key.key_type.as_str(), key.state.as_str()), ("p384", "active"));
    assert_eq!(key.schemes[0], "ecdsa-sha384");

    let again = house.ask("POST", "/countersign/v1/keys").json(json!({"name": "release", "type": "p256"}));
    again.send().await.refused(409, "name-taken");

    let path = "/countersign/v1/keys/release";
    assert_eq!(house.ask("GET", path).send().await.expect(200), made.document());
    house.ask_as_nobody("GET", path).send().await.refused(401, "no-credentials");
    let pem = house.ask_as_nobody("GET", "/countersign/v1/keys/release.pem").send().await;
    assert_eq!((pem.status.as_u16(), pem.header("content-type")), (200, "application/x-pem-file"));
    assert_eq!(pem.text(), key.public_key);
    house.ask_as_nobody("GET", "/countersign/v1/keys/none.pem").send().await.refused(404, "unknown-key");
    house.ask("DELETE", path).send().await.refused(405, "method-not-allowed");
    let head = house.ask("HEAD", path).send().await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));

    house.key("other", "ed25519").await;
    let list = house.ask("GET", "/countersign/v1/keys?limit=1").send().await.expect(200);
    let list: wire::KeyList = serde_json::from_value(list).unwrap();
    assert_eq!((list.keys[0].name.as_str(), list.next.as_deref()), ("other", Some("other")));
    let list = house.ask("GET", "/countersign/v1/keys?limit=1&after=other").send().await.expect(200);
    assert_eq!((&list["keys"][0]["name"], &list["next"]), (&json!("release"), &json!("release")));
    // The key that the TUF service was made with at the first start is listed, too.
    let list = house.ask("GET", "/countersign/v1/keys?limit=1&after=release").send().await.expect(200);
    assert_eq!((&list["keys"][0]["name"], &list["next"]), (&json!("tuf/online"), &json!(null)));
    for bad in ["limit=0", "limit=1001", "limit=x", "limit=1&limit=2", "size=1"] {
        let path = format!("/countersign/v1/keys?{bad}");
        let problem = house.ask("GET", &path).send().await.refused(400, "invalid-request");
        assert!(problem["member"].is_string(), "{problem}");
    }

    let sign = || house.ask("POST", "/countersign/v1/keys/release/sign").json(json!({"message": ""}));
    sign().send().await.expect(200);
    let retired = house.ask("POST", "/countersign/v1/keys/release/retire").send().await;
    assert_eq!(retired.expect(200)["state"], "retired");
    sign().send().await.refused(410, "key-retired");
    let revoke = |body| house.ask("POST", "/countersign/v1/keys/release/revoke").json(body);
    assert_eq!(revoke(json!({})).send().await.refused(400, "invalid-request")["member"], "reason");
    let revoked = revoke(json!({"reason": "lost"})).send().await.expect(200);
    assert_eq!((&revoked["state"], &revoked["revoked"]["reason"]), (&json!("revoked"), &json!("lost")));
    sign().send().await.refused(410, "key-revoked");
    house.close().await;
}

#[tokio::test]
async fn names_and_types_that_are_none_are_refused_by_member() {
    let house = House::open().await;
    let make = |body| house.ask("POST", "/countersign/v1/keys").json(body);
    let bad = make(json!({"name": "A b", "type": "p256"})).send().await.refused(400, "invalid-name");
    assert_eq!(bad["member"], "name");
    let bad = make(json!({"name": "a", "type": "dsa"})).send().await.refused(400, "invalid-request");
    assert_eq!(bad["member"], "type");
    let bad = make(json!({"name": "a", "type": "p256", "formats": ["x"]})).send().await;
    assert_eq!(bad.refused(400, "invalid-request")["member"], "formats");
    house.ask("GET", "/countersign/v1/keys/%FF").send().await.refused(400, "invalid-name");
    house.ask("GET", "/countersign/v1/keys/tuf%2Fnone").send().await.refused(404, "unknown-key");
    house.close().await;
}

#[tokio::test]
async fn of_many_creations_of_one_name_exactly_one_succeeds() {
    let house = House::open().await;
    let make =
        || house.ask("POST", "/countersign/v1/keys").json(json!({"name": "one", "type": "p256"})).send();
    let answers = futures_util::future::join_all((0..16).map(|_| make())).await;
    assert_eq!(answers.iter().filter(|a| a.status == 201).count(), 1);
    assert_eq!(answers.iter().filter(|a| a.status == 409).count(), 15);
    house.close().await;
}

#[tokio::test]
async fn a_key_is_exported_and_imported_again_by_passphrase_only() {
    let house = House::open().await;
    let make = json!({"name": "out", "type": "p256", "exportable": true});
    house.ask("POST", "/countersign/v1/keys").json(make).send().await.expect(201);
    let export = |key: &str, passphrase: &str| {
        let path = format!("/countersign/v1/keys/{key}/export");
        let body = json!({"passphrase": passphrase});
        let house = &house;
        async move { house.ask("POST", &path).json(body).send().await }
    };
    export("out", "short").await.refused(422, "wrong-passphrase");
    house.key("stays", "p256").await;
    export("stays", "long enough for it").await.refused(422, "not-exportable");
    let exported = export("out", "long enough for it").await;
    let document: wire::ExportedKey = serde_json::from_value(exported.expect(200)).unwrap();
    assert!(document.pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));

    let import = |passphrase: Option<&str>| {
        let body = json!({"name": "back", "pem": document.pem, "passphrase": passphrase});
        house.ask("POST", "/countersign/v1/keys/import").json(body)
    };
    import(None).send().await.refused(422, "wrong-passphrase");
    import(Some("another passphrase")).send().await.refused(422, "wrong-passphrase");
    let back = import(Some("long enough for it")).send().await.expect(201);
    let original = house.ask("GET", "/countersign/v1/keys/out").send().await.expect(200);
    assert_eq!(back["id"], original["id"]);
    let no_key = json!({"name": "no", "pem": original["public_key"]});
    let no_key = house.ask("POST", "/countersign/v1/keys/import").json(no_key);
    no_key.send().await.refused(400, "malformed-key");
    house.close().await;
}

#[tokio::test]
async fn a_token_is_accepted_in_its_three_forms_and_revoked_at_once() {
    let house = House::open().await;
    let token = house.somebody("ana", &["signer"]).await;
    let basic = format!("Basic {}", base64(format!("ana:{token}").as_bytes()));
    let bearer = format!("Bearer {token}");
    for (name, value) in [("authorization", &bearer), ("authorization", &basic), ("x-api-key", &token)] {
        let who = house.ask_as_nobody("GET", "/countersign/v1/whoami").header(name, value).send().await;
        let who: wire::WhoAmI = serde_json::from_value(who.expect(200)).unwrap();
        assert_eq!((who.principal.as_str(), who.roles[0].as_str()), ("ana", "signer"));
    }
    let other_name = format!("Basic {}", base64(format!("bo:{token}").as_bytes()));
    let whoami = || house.ask_as_nobody("GET", "/countersign/v1/whoami");
    whoami().header("authorization", &other_name).send().await.refused(401, "bad-credentials");
    let two = whoami().header("authorization", &bearer).header("x-api-key", &house.admin);
    two.send().await.refused(400, "invalid-request");
    let twice = whoami().header("authorization", &bearer).header("authorization", &bearer);
    twice.send().await.refused(400, "invalid-request");

    let control = whoami().over_control().send().await.expect(200);
    assert_eq!((&control["principal"], &control["token"]), (&json!("admin"), &json!(null)));

    let tokens = house.ask("GET", "/countersign/v1/principals/ana/tokens").send().await.expect(200);
    let tokens: wire::TokenList = serde_json::from_value(tokens).unwrap();
    let path = format!("/countersign/v1/tokens/{}", tokens.tokens[0].id);
    let revoked = house.ask("DELETE", &path).send().await;
    assert_eq!((revoked.status.as_u16(), revoked.body.len()), (204, 0));
    house.ask_as(&token, "GET", "/countersign/v1/whoami").send().await.refused(401, "bad-credentials");
    house.ask("DELETE", "/countersign/v1/tokens/none").send().await.refused(404, "not-found");
    house.close().await;
}

#[tokio::test]
async fn a_token_narrows_and_expires_as_it_was_made() {
    let house = House::open().await;
    house.somebody("ana", &["admin"]).await;
    let narrow = house.token("ana", json!({"actions": ["key:read"], "expires": null})).await;
    let who = house.ask_as(&narrow, "GET", "/countersign/v1/whoami").send().await.expect(200);
    assert_eq!(who["token"]["expires"], json!(null));
    let make =
        house.ask_as(&narrow, "POST", "/countersign/v1/keys").json(json!({"name": "a", "type": "p256"}));
    make.send().await.refused(403, "not-permitted");
    let path = "/countersign/v1/principals/ana/tokens";
    for expires in ["2001-01-01T00:00:00Z", "tomorrow"] {
        let problem = house.ask("POST", path).json(json!({"expires": expires})).send().await;
        assert_eq!(problem.refused(400, "invalid-request")["member"], "expires");
    }
    let default = house.ask("POST", path).send().await;
    assert_eq!(default.header("cache-control"), "no-store");
    let made: wire::TokenMade = serde_json::from_value(default.expect(201)).unwrap();
    assert!(made.expires.is_some());

    let hawk = house.ask("POST", "/countersign/v1/principals/ana/hawk").send().await.expect(201);
    let hawk: wire::HawkMade = serde_json::from_value(hawk).unwrap();
    assert!(hawk.secret.len() >= 32 && hawk.expires.is_some());
    let listed = house.ask("GET", path).send().await.expect(200);
    let listed: wire::TokenList = serde_json::from_value(listed).unwrap();
    let kinds: Vec<(&str, &str)> = listed.tokens.iter().map(|one| (&*one.id, &*one.kind)).collect();
    assert!(kinds.contains(&(&hawk.id, "hawk")) && kinds.contains(&(&made.id, "token")), "{kinds:?}");

    let disabled = house.ask("POST", "/countersign/v1/principals/ana/disable").send().await.expect(200);
    let disabled: wire::Principal = serde_json::from_value(disabled).unwrap();
    assert!(disabled.disabled);
    house.ask_as(&narrow, "GET", "/countersign/v1/whoami").send().await.refused(401, "bad-credentials");
    house.close().await;
}

#[tokio::test]
async fn a_role_is_given_only_by_who_has_it() {
    let house = House::open().await;
    let rules = house.ask("GET", "/countersign/v1/policy").send().await;
    let mut policy = rules.expect(200);
    policy["rules"].as_array_mut().unwrap().push(json!({
        "id": "helpdesk", "effect": "allow", "principals": ["role:helpdesk"],
        "actions": ["principal:*"], "resources": ["principal:*"]
    }));
    let put = house.ask("PUT", "/countersign/v1/policy").header("if-match", rules.header("etag"));
    put.json(json!({"rules": policy["rules"]})).send().await.expect(200);
    let desk = house.somebody("desk", &["helpdesk"]).await;
    let give = |role: &str| {
        let body = json!({"name": format!("by-desk-{role}"), "roles": [role]});
        house.ask_as(&desk, "POST", "/countersign/v1/principals").json(body)
    };
    give("helpdesk").send().await.expect(201);
    give("admin").send().await.refused(403, "not-permitted");
    let list = house.ask("GET", "/countersign/v1/principals").send().await.expect(200);
    let list: wire::PrincipalList = serde_json::from_value(list).unwrap();
    assert!(list.principals.iter().any(|p| p.name == "by-desk-helpdesk"));
    let unknown =
        house.ask("POST", "/countersign/v1/principals").json(json!({"name": "x", "roles": ["none"]}));
    assert_eq!(unknown.send().await.refused(400, "invalid-request")["member"], "roles");
    house.ask("GET", "/countersign/v1/principals/nobody").send().await.refused(404, "unknown-principal");
    house.close().await;
}

#[tokio::test]
async fn the_policy_is_replaced_by_who_saw_it_and_never_locks_everybody_out() {
    let house = House::open().await;
    let path = "/countersign/v1/policy";
    let seen = house.ask("GET", path).send().await;
    let policy: wire::Policy = serde_json::from_value(seen.expect(200)).unwrap();
    let rules = seen.document()["rules"].clone();
    assert_eq!(policy.version, 1);
    let put = |body| house.ask("PUT", path).json(body);
    put(json!({"rules": rules})).send().await.refused(409, "conflict");
    put(json!({"rules": rules})).header("if-match", "\"7\"").send().await.refused(409, "conflict");
    let none = put(json!({"rules": []})).header("if-match", seen.header("etag")).send().await;
    none.refused(422, "locks-out");
    let set = put(json!({"rules": rules})).header("if-match", seen.header("etag")).send().await;
    assert_eq!(set.expect(200)["version"], 2);
    assert_ne!(set.header("etag"), seen.header("etag"));
    assert!(!set.header("countersign-log").is_empty());
    let unsound = put(json!({"rules": [{"id": "x", "effect": "allow", "principals": ["a"],
        "actions": ["no:such"], "resources": ["*"]}]}));
    let unsound = unsound.header("if-match", set.header("etag")).send().await;
    assert_eq!(unsound.refused(400, "invalid-request")["member"], "rules");

    let ask = json!({"principal": "admin", "action": "key:create", "resource": "key:a"});
    let check = house.ask("POST", "/countersign/v1/policy/check").json(ask).send().await.expect(200);
    let check: wire::Decision = serde_json::from_value(check).unwrap();
    assert_eq!((check.allowed, check.rule.as_deref()), (true, Some("admin")));

    house.key("a", "p256").await;
    let strict: Vec<_> = rules.as_array().unwrap().iter().filter(|r| r["id"] == "auditor").collect();
    let test = house.ask("POST", "/countersign/v1/policy/test").json(json!({"rules": strict, "last": 1}));
    let replay: wire::Replay = serde_json::from_value(test.send().await.expect(200)).unwrap();
    assert_eq!((replay.replayed, replay.changed[0].action.as_str()), (1, "key:create"));
    house.close().await;
}
