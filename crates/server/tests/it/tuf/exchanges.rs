//! Paths, methods, bodies, and what artifacts, settings and keys do.

use serde_json::{Value, json};

use super::{artifact, done, errs, file, repository, settings, show, succeeds, tell};
use crate::support::House;

#[tokio::test]
async fn both_spellings_of_a_path_answer_and_other_paths_and_methods_are_refused_as_the_original_does() {
    let house = House::open().await;
    let one = show(&house, "bootstrap").await;
    assert_eq!(one, show(&house, "bootstrap/").await);
    for path in ["/api/v1", "/api/v1/", "/api/v1/nothing", "/api/v1/metadata/sign/x/y", "/api/v1/token"] {
        for method in ["GET", "POST"] {
            let answer = house.ask(method, path).send().await;
            assert_eq!(answer.expect(404), json!({"detail": "Not Found"}), "{path}");
        }
    }
    for (method, path) in [
        ("DELETE", "bootstrap/"),
        ("POST", "config/"),
        ("GET", "artifacts/"),
        ("GET", "artifacts/publish"),
        ("PUT", "metadata/sign"),
        ("POST", "task"),
    ] {
        let answer = house.ask(method, &format!("/api/v1/{path}")).send().await;
        assert_eq!(answer.expect(405), json!({"detail": "Method Not Allowed"}), "{method} {path}");
        assert!(!answer.header("allow").is_empty(), "{path}");
    }
    house.close().await;
}

#[tokio::test]
async fn the_description_has_this_surface_and_is_at_the_root_too() {
    let house = House::open().await;
    let description = house.ask_as_nobody("GET", "/openapi.json").send().await.expect(200);
    assert_eq!(description, house.ask_as_nobody("GET", "/").send().await.expect(200));
    for path in ["/api/v1/metadata/sign", "/metadata/{name}"] {
        assert!(description["paths"][path].is_object(), "{path}");
    }
    house.close().await;
}

#[tokio::test]
async fn a_body_is_json_whatever_is_said_of_it_unless_it_is_said_to_be_something_else() {
    let house = House::open().await;
    let body = r#"{"role":"root"}"#;
    for (kind, status) in [
        (Some("application/json"), 404),
        (Some("application/vnd.api+json"), 404),
        (None, 404),
        (Some("text/plain"), 422),
    ] {
        let ask = house.ask("POST", "/api/v1/metadata/sign/delete").body("x", body).said_to_be(kind);
        let refusal = ask.send().await.expect(status);
        if status == 422 {
            assert_eq!(refusal["detail"][0]["type"], "model_attributes_type");
        }
    }
    let empty = house.ask("POST", "/api/v1/metadata/sign/delete").send().await.expect(422);
    let missing = json!({"detail": [{"type": "missing", "loc": ["body"], "msg": "Field required"}]});
    assert_eq!(empty, missing);
    let large =
        house.ask("POST", "/api/v1/metadata/sign").body("application/json", vec![b' '; (1 << 20) + 1]);
    large.send().await.expect(413);
    house.close().await;
}

#[tokio::test]
async fn artifacts_are_added_replaced_staged_published_and_removed() {
    for house in House::on_both("").await {
        repository(&house).await;
        let body = json!({"artifacts": [artifact("a/one", b"1"), artifact("b/two", b"22")]});
        let accepted = tell(&house, "POST", "artifacts/", body, 202).await;
        assert_eq!(accepted["data"]["artifacts"], json!(["a/one", "b/two"]));
        assert_eq!(accepted["message"], "New Artifact(s) successfully submitted.");
        assert_eq!(succeeds(&house, &accepted).await["added_artifacts"], json!(["a/one", "b/two"]));
        assert_eq!(file(&house, "timestamp.json").await["signed"]["version"], 2);

        let body = json!({"artifacts": [artifact("a/one", b"333")], "publish_artifacts": false, "add_task_id_to_custom": true});
        let staged = tell(&house, "POST", "artifacts", body, 202).await;
        assert_eq!(staged["message"], "New Artifact(s) successfully submitted. Publishing will be skipped.");
        succeeds(&house, &staged).await;
        assert_eq!(
            file(&house, "timestamp.json").await["signed"]["version"],
            2,
            "fault 9: done, and not public"
        );
        let published = house.ask("POST", "/api/v1/artifacts/publish/").send().await.expect(202);
        assert_eq!(published["data"]["artifacts"], json!([]));
        let roles = succeeds(&house, &published).await["artifact_roles"].clone();
        let role = roles[0].as_str().unwrap();
        assert_eq!(file(&house, "timestamp.json").await["signed"]["version"], 3);
        let snapshot = file(&house, "3.snapshot.json").await;
        let version = &snapshot["signed"]["meta"][format!("{role}.json")]["version"];
        let targets = file(&house, &format!("{version}.{role}.json")).await;
        let target = &targets["signed"]["targets"]["a/one"];
        assert_eq!(
            (&target["length"], &target["custom"]),
            (&json!(3), &json!({"added_by_task_id": staged["data"]["task_id"]}))
        );

        let body = json!({"artifacts": ["a/one", "none"], "publish_artifacts": true});
        let removed = tell(&house, "POST", "artifacts/delete", body, 202).await;
        assert_eq!(removed["message"], "Remove Artifact(s) successfully submitted.");
        let details = json!({"deleted_artifacts": ["a/one"], "not_found_artifacts": ["none"]});
        assert_eq!(succeeds(&house, &removed).await, details);
        house.close().await;
    }
}

#[tokio::test]
async fn fault_11_the_same_path_from_several_at_once_is_a_success_for_each() {
    for house in House::on_both("").await {
        repository(&house).await;
        let contents: Vec<Vec<u8>> = (0..8).map(|n| vec![n; 3]).collect();
        let asked = contents.iter().map(|bytes| {
            tell(&house, "POST", "artifacts/", json!({"artifacts": [artifact("same", bytes)]}), 202)
        });
        for accepted in futures_util::future::join_all(asked).await {
            succeeds(&house, &accepted).await;
        }
        house.close().await;
    }
}

#[tokio::test]
async fn settings_before_and_after_the_bootstrap() {
    let house = House::open().await;
    let body = json!({"settings": {"expiration": {"bins": 3}}});
    for (method, body) in [("GET", json!({})), ("PUT", body.clone())] {
        let refusal = tell(&house, method, "config/", body, 404).await;
        let detail = json!({
            "message": "No Repository Settings/Config found.",
            "error": "It requires bootstrap. State: None",
        });
        assert_eq!(refusal["detail"], detail);
    }
    repository(&house).await;
    let accepted = tell(&house, "PUT", "config/", body, 202).await;
    let details = json!({"updated_roles": ["bins"], "invalid_roles": []});
    assert_eq!(succeeds(&house, &accepted).await, details);
    let config = show(&house, "config/").await;
    assert_eq!(
        (&config["data"]["bins_expiration"], &config["data"]["number_of_delegated_bins"]),
        (&json!(3), &json!(4))
    );
    house.close().await;
}

#[tokio::test]
async fn fault_2_new_versions_are_made_on_request() {
    let house = House::open().await;
    repository(&house).await;
    let accepted = tell(&house, "POST", "metadata/online", json!({"roles": []}), 202).await;
    assert_eq!(accepted["message"], "Force online metadata update accepted.");
    let details = succeeds(&house, &accepted).await;
    assert!(details["updated_roles"].as_array().unwrap().contains(&json!("timestamp")), "{details}");
    assert_eq!(file(&house, "timestamp.json").await["signed"]["version"], 2);
    let refusal = tell(&house, "POST", "metadata/online", json!({"roles": ["nobody"]}), 404).await;
    assert_eq!(refusal["detail"]["message"], "Task not accepted.");
    house.close().await;
}

#[tokio::test]
async fn fault_1_a_second_bootstrap_is_impossible_also_from_many_at_once() {
    for house in House::on_both("").await {
        repository(&house).await;
        for _ in 0..20 {
            let state = show(&house, "bootstrap/").await;
            assert_eq!(
                (&state["message"], &state["data"]["bootstrap"]),
                (&json!("System LOCKED for bootstrap."), &json!(true))
            );
        }
        let ana = super::Signer::ed25519(1);
        let root = super::signers::signed_by(
            &super::signers::root(1, &[&ana], 1, &super::online_key(&house).await),
            &[&ana],
        );
        let body = json!({"settings": settings(4), "metadata": {"root": root}});
        let refusal = tell(&house, "POST", "bootstrap/", body, 404).await;
        assert_eq!(refusal["detail"], json!({"error": "System already has a Metadata. State: finished"}));
        house.close().await;
    }
}

#[tokio::test]
async fn keys_are_made_listed_and_never_twice() {
    let house = House::open().await;
    let keys = show(&house, "keys/online").await;
    assert_eq!(keys["message"], "Online keys.");
    let first = &keys["data"]["keys"][0];
    assert_eq!(
        (&first["keytype"], &first["x-rstuf-online-key-uri"]),
        (&json!("ed25519"), &json!("countersign:online"))
    );
    let id = first["keyid"].as_str().unwrap();
    assert!(keys["data"]["pem"][id].as_str().unwrap().starts_with("-----BEGIN PUBLIC KEY-----"));
    for (name, scheme, keytype) in [("b", "ecdsa-sha2-nistp256", "ecdsa"), ("c", "rsassa-pss-sha256", "rsa")]
    {
        let body = json!({"name": name, "scheme": scheme});
        let made = tell(&house, "POST", "keys/online", body.clone(), 201).await;
        assert_eq!(
            (&made["data"]["key"]["keytype"], &made["data"]["key"]["scheme"]),
            (&json!(keytype), &json!(scheme))
        );
        tell(&house, "POST", "keys/online", body, 409).await;
    }
    tell(&house, "POST", "keys/online", json!({"name": "../x", "scheme": "ed25519"}), 422).await;
    tell(&house, "POST", "keys/online", json!({"name": "x", "scheme": "md5"}), 422).await;
    assert_eq!(show(&house, "keys/online").await["data"]["keys"].as_array().unwrap().len(), 3);
    house.close().await;
}

#[tokio::test]
async fn a_task_that_never_was_waits_and_one_without_an_id_is_refused() {
    let house = House::open().await;
    for id in ["00000000000000000000000000000000", "x", "../../etc", "A%22B"] {
        let answer = show(&house, &format!("task/?task_id={id}")).await;
        assert_eq!((&answer["data"]["state"], answer["data"].get("result")), (&json!("PENDING"), None));
    }
    let refusal = house.ask("GET", "/api/v1/task/").send().await.expect(422);
    let missing =
        json!({"detail": [{"type": "missing", "loc": ["query", "task_id"], "msg": "Field required"}]});
    assert_eq!(refusal, missing);
    house.close().await;
}

#[tokio::test]
async fn delegations_are_refused_with_bins_and_with_the_reason() {
    let house = House::open().await;
    let role = json!({"name": "team", "terminating": true, "threshold": 1, "keyids": [], "paths": ["team/*"], "x-rstuf-expire-policy": 7});
    let body = json!({"delegations": {"keys": {}, "roles": [role]}});
    let refusal = tell(&house, "POST", "delegations/", body.clone(), 404).await;
    let detail =
        json!({"message": "Task not accepted.", "error": "Requires bootstrap finished. State: None"});
    assert_eq!(refusal["detail"], detail);
    repository(&house).await;
    let accepted = tell(&house, "POST", "delegations/", body, 202).await;
    assert_eq!(accepted["message"], "Metadata delegation add accepted.");
    assert_eq!(errs(&house, &accepted).await, "Delegations already using hash-bins, cannot add custom roles");
    house.close().await;
}

#[tokio::test]
async fn custom_roles_are_delegated_to_changed_and_ended() {
    for house in House::on_both("").await {
        let ana = super::Signer::ed25519(1);
        let root = super::signers::root(1, &[&ana], 1, &super::online_key(&house).await);
        let role = |name: &str, paths: Value| json!({"name": name, "terminating": false, "threshold": 1, "paths": paths, "x-rstuf-expire-policy": 7});
        let mut settings = settings(4);
        settings["roles"]["bins"] = Value::Null;
        settings["roles"]["delegations"] = json!({"keys": {}, "roles": [role("My_Team", json!(["team/*"]))]});
        let body =
            json!({"settings": settings, "metadata": {"root": super::signers::signed_by(&root, &[&ana])}});
        succeeds(&house, &tell(&house, "POST", "bootstrap/", body, 202).await).await;

        let body = json!({"artifacts": [artifact("team/a", b"1"), artifact("other/a", b"1")]});
        let details = succeeds(&house, &tell(&house, "POST", "artifacts/", body, 202).await).await;
        assert_eq!(
            (&details["added_artifacts"], &details["invalid_paths"], &details["artifact_roles"]),
            (&json!(["team/a"]), &json!(["other/a"]), &json!(["My_Team"]))
        );
        assert!(file(&house, "2.My_Team.json").await["signed"]["targets"]["team/a"].is_object());

        let add = json!({"delegations": {"keys": {}, "roles": [role("other", json!(["other/*"]))]}});
        let details = succeeds(&house, &tell(&house, "POST", "delegations/", add, 202).await).await;
        assert_eq!((&details["delegated_roles"], &details["failed_roles"]), (&json!(["other"]), &json!([])));
        let end = json!({"delegations": {"roles": [{"name": "other"}]}});
        let ended = tell(&house, "POST", "delegations/delete", end, 202).await;
        assert_eq!(ended["message"], "Metadata delegation delete accepted.");
        let ended = done(&house, &ended).await;
        assert_eq!(ended["state"], "SUCCESS", "{ended}");
        house.close().await;
    }
}
