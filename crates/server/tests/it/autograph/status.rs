//! Health, version, key ids, the monitor.

use serde_json::{Value, json};

use super::client::{HOST, Pair, Signing, refused, text};
use crate::support::House;

#[tokio::test]
async fn health_and_version_are_for_anybody() {
    let house = House::open().await;
    let get = async |path: &str| house.ask_as_nobody("GET", path).send().await;
    let beat = get("/__heartbeat__").await.expect(200);
    assert_eq!(beat, json!({ "hsmAccessible": true, "dbAccessible": true }));
    let beat = get("/__lbheartbeat__").await;
    assert_eq!((beat.status.as_u16(), beat.text().as_str()), (200, "ohai"));
    let version = get("/__version__").await.expect(200);
    assert!(["source", "version", "commit", "build"].iter().all(|name| version[name].is_string()));
    for path in ["/__heartbeat__", "/__monitor__"] {
        assert_eq!(house.ask_as_nobody("POST", path).send().await.status.as_u16(), 405);
    }
    assert_eq!(get("/sign/data").await.status.as_u16(), 405);
    house.close().await;
}

#[tokio::test]
async fn the_description_lists_what_is_answered_with_which_methods_and_to_whom() {
    let house = House::open().await;
    let description = house.ask_as_nobody("GET", "/openapi.json").send().await.expect(200);
    let paths = description["paths"].as_object().unwrap();
    let ours = paths.iter().filter_map(|(path, item)| Some((path, item.as_object()?)));
    let ours: Vec<_> =
        ours.filter(|(_, item)| item.values().any(|one| one["tags"] == json!(["autograph"]))).collect();
    assert_eq!(ours.len(), 10);
    for (path, item) in ours {
        let methods: Vec<&String> = item.keys().collect();
        let [method] = methods.as_slice() else { panic!("{path}: {methods:?}") };
        let (method, real) = (method.to_uppercase(), path.replace("{id}", "x"));
        let answer = house.ask_as_nobody("PATCH", &real).send().await;
        let allowed = if method == "GET" { "GET,HEAD" } else { "POST" };
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, allowed), "{path}");

        let operation = &item[&method.to_lowercase()];
        assert!(operation["responses"]["default"]["content"]["text/plain"].is_object(), "{path}");
        let answer = house.ask_as_nobody(&method, &real).header("host", HOST).send().await;
        match answer.status.as_u16() {
            200 => assert_eq!(operation["security"], json!([{}]), "{path}: anybody"),
            _ => {
                refused(&answer, 401);
                assert_eq!(operation["security"], json!([{"hawk": []}]), "{path}");
            }
        }
    }
    let scheme = &description["components"]["securitySchemes"]["hawk"];
    assert_eq!((&scheme["type"], &scheme["name"]), (&json!("apiKey"), &json!("Authorization")));
    house.close().await;
}

#[tokio::test]
async fn the_surface_can_be_switched_off() {
    let house = House::with("[autograph]\nenabled = false").await;
    for path in ["/__heartbeat__", "/__monitor__", "/auths/a/keyids"] {
        assert_eq!(house.ask_as_nobody("GET", path).send().await.status.as_u16(), 404, "{path}");
    }
    let description = house.ask_as_nobody("GET", "/openapi.json").send().await.expect(200);
    assert!(description["paths"]["/sign/data"].is_null());
    house.close().await;
}

#[tokio::test]
async fn a_client_learns_its_own_key_ids_and_nobody_elses() {
    let house = House::with("[[autograph.signer]]\nid = \"main\"\nkey = \"b\"").await;
    for (name, kind) in [("b", "p384"), ("a", "rsa-2048"), ("edwards", "ed25519"), ("old", "p384")] {
        house.key(name, kind).await;
    }
    assert!(house.ask("POST", "/countersign/v1/keys/old/retire").send().await.status.is_success());
    let pair = Pair::new(&house, "ana", &["signer"]).await;
    let reader = Pair::new(&house, "rea", &["reader"]).await;
    let path = format!("/auths/{}/keyids", pair.id);
    let ids = Signing::get(&pair, &path).send(&house).await.expect(200);
    assert_eq!(ids, json!(["a", "b", "main"]));
    let own = format!("/auths/{}/keyids", reader.id);
    assert_eq!(Signing::get(&reader, &own).send(&house).await.expect(200), json!([]));

    let told = refused(&Signing::get(&reader, &path).send(&house).await, 403);
    assert_eq!(
        told,
        format!("Authorized user \"{}\" cannot request keyids for user \"{}\"", reader.id, pair.id)
    );
    refused(&house.ask_as_nobody("GET", &path).header("host", HOST).send().await, 401);
    let again = Signing::get(&pair, &path);
    let header = again.header();
    again.send_with(&house, &header).await.expect(200);
    refused(&again.send_with(&house, &header).await, 401);
    for (path, status) in [("/auths/a%20b/keyids", 404), ("/auths//keyids", 404)] {
        assert_eq!(Signing::get(&pair, path).send(&house).await.status.as_u16(), status, "{path}");
    }
    let with_body = house.ask_as_nobody("GET", &path).header("host", HOST).body("application/json", "[]");
    refused(&with_body.header("authorization", &Signing::get(&pair, &path).header()).send().await, 400);
    house.close().await;
}

#[tokio::test]
async fn the_monitor_has_a_signature_of_every_signer_on_a_line_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let over =
        async |config: &str| House::over(dir.path(), config, countersign_core::SealSource::File, None).await;
    let house = over("").await;
    for (name, kind) in [("b", "p384"), ("a", "rsa-2048")] {
        house.key(name, kind).await;
    }
    let pair = Pair::new(&house, "watch", &["signer"]).await;
    house.close().await;

    // The original's monitor knows its id as `monitor`.
    let house = over(&format!("[autograph]\nmonitor = \"{}\"", pair.id)).await;
    let named = Pair { id: "monitor".into(), ..pair };
    let answer = Signing::get(&named, "/__monitor__").send(&house).await;
    assert_eq!(answer.status.as_u16(), 201);
    let text_of = answer.text();
    let answers: Vec<Value> = text_of.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids: Vec<String> = answers.iter().map(|answer| text(&answer["signer_id"])).collect();
    assert_eq!(ids, ["a", "b"]);
    assert!(answers.iter().all(|answer| answer["signature"].is_string()));
    house.close().await;
}
