//! Health, readiness, metrics, the description, and what the service says of itself.

use countersign_core::{SealSource, Secret, backup};
use countersign_server::surfaces::native::wire;
use serde_json::json;

use crate::support::House;

#[tokio::test]
async fn health_readiness_and_the_service_are_for_anybody() {
    let house = House::open().await;
    let health = house.ask_as_nobody("GET", "/healthz").send().await;
    assert_eq!((health.status.as_u16(), health.text().trim()), (200, "ok"));
    let ready = house.ask_as_nobody("GET", "/readyz").send().await;
    assert_eq!(ready.expect(200), json!({"ready": true}));

    let service = house.ask_as_nobody("GET", "/countersign/v1/").send().await;
    let service: wire::Service = serde_json::from_value(service.expect(200)).unwrap();
    assert_eq!((service.service.as_str(), service.limits.batch_items), ("countersign", 1000));
    assert_eq!(service.limits.streamed_bytes, 64 << 30);
    assert!(service.log.public_key.starts_with(&format!("{}+", service.log.origin)), "{service:?}");
    house.close().await;
}

#[tokio::test]
async fn metrics_need_a_permission_unless_they_are_public() {
    let house = House::open().await;
    house.ask_as_nobody("GET", "/metrics").send().await.refused(401, "no-credentials");
    let signer = house.somebody("ana", &["signer"]).await;
    house.ask_as(&signer, "GET", "/metrics").send().await.refused(403, "not-permitted");
    let metrics = house.ask("GET", "/metrics").send().await;
    metrics.expect(200);
    assert!(metrics.text().contains("countersign_ready 1"));
    assert!(metrics.text().contains(r#"route="/countersign/v1/principals/{name}/tokens",status="201""#));
    house.close().await;

    let house = House::with("[metrics]\npublic = true").await;
    house.ask_as_nobody("GET", "/metrics").send().await.expect(200);
    house.close().await;
}

#[tokio::test]
async fn the_description_lists_every_route_with_its_documents() {
    let house = House::open().await;
    let description = house.ask_as_nobody("GET", "/openapi.json").send().await.expect(200);
    assert_eq!(house.ask_as_nobody("GET", "/").send().await.expect(200), description);
    assert_eq!(description["info"]["title"], "Countersign");
    for (path, method) in [
        ("/healthz", "get"),
        ("/countersign/v1/keys", "post"),
        ("/countersign/v1/keys/{name}", "get"),
        ("/countersign/v1/keys/{name}.pem", "get"),
        ("/countersign/v1/keys/{name}/sign", "post"),
        ("/countersign/v1/sign", "post"),
        ("/countersign/v1/verify", "post"),
        ("/countersign/v1/policy", "put"),
        ("/countersign/v1/tokens/{id}", "delete"),
        ("/countersign/v1/log/{origin}/{index}", "get"),
        ("/log/{origin}/checkpoint", "get"),
    ] {
        assert!(description["paths"][path][method].is_object(), "{method} {path}");
    }
    assert!(description["components"]["schemas"]["Key"].is_object());
    house.close().await;
}

#[tokio::test]
async fn the_seal_is_unlocked_over_the_control_socket_only_and_when_it_waits() {
    let dir = tempfile::tempdir().unwrap();
    let typed = || Some(Secret(b"correct horse battery".to_vec()));
    House::over(dir.path(), "", SealSource::Prompt, typed()).await.close().await;

    let house = House::over(dir.path(), "", SealSource::Prompt, None).await;
    let ready = house.ask_as_nobody("GET", "/readyz").send().await;
    assert_eq!(ready.expect(503)["ready"], false);
    let make =
        house.ask("POST", "/countersign/v1/keys").json(json!({"name": "a", "type": "p256"})).send().await;
    make.refused(503, "key-host-unavailable");
    assert!(!make.header("retry-after").is_empty());

    let path = "/countersign/v1/seal/unlock";
    let right = || json!({"passphrase": "correct horse battery"});
    house.ask("POST", path).json(right()).send().await.refused(403, "not-permitted");
    house.ask_as_nobody("POST", path).json(right()).send().await.refused(401, "no-credentials");
    let unlock = |body| house.ask_as_nobody("POST", path).over_control().json(body);
    unlock(json!({"passphrase": "another"})).send().await.refused(422, "wrong-passphrase");
    assert_eq!(unlock(right()).send().await.status, 204);
    unlock(right()).send().await.refused(409, "conflict");
    for _ in 0..100 {
        if house.ask_as_nobody("GET", "/readyz").send().await.status == 200 {
            house.key("a", "p256").await;
            return house.close().await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("it did not become ready");
}

#[tokio::test]
async fn a_backup_is_for_the_control_socket_only_and_refused_before_its_first_byte() {
    let house = House::open().await;
    let path = "/countersign/v1/backup";
    let body = || json!({"passphrase": "a sentence that is kept apart"});
    house.ask("POST", path).json(body()).send().await.refused(403, "not-permitted");
    let control = |body| house.ask_as_nobody("POST", path).over_control().json(body);
    control(json!({"passphrase": "short"})).send().await.refused(422, "wrong-passphrase");
    control(json!({"passphrase": 1})).send().await.refused(400, "invalid-request");
    let twice = control(body()).header("idempotency-key", "a").send().await;
    twice.refused(400, "invalid-request");
    let reader = house.somebody("ana", &["reader"]).await;
    let weak = house.ask_as(&reader, "POST", path).over_control().json(body()).send().await;
    weak.refused(403, "not-permitted");

    let made = control(body()).send().await;
    assert_eq!((made.status.as_u16(), made.header("cache-control")), (200, "no-store"));
    let passphrase = Secret(b"a sentence that is kept apart".to_vec());
    let contents = backup::read(&passphrase, made.body.as_slice()).unwrap();
    assert_eq!(&contents.manifest.origin, house.app.ctx.node());
    house.close().await;
}

#[tokio::test]
async fn the_owner_learns_how_the_seal_is_kept_and_what_was_given_up() {
    let house = House::open().await;
    let path = "/countersign/v1/seal";
    house.ask("GET", path).send().await.refused(403, "not-permitted");
    let seal = house.ask_as_nobody("GET", path).over_control().send().await.expect(200);
    assert_eq!(seal["state"], "ready");
    assert!(seal["reason"].is_null() && seal["seal"].is_string(), "{seal}");
    for process in ["key_host", "front"] {
        let lines = seal[process].as_array().unwrap();
        assert!(!lines.is_empty(), "{seal}");
        for line in lines {
            let line = line.as_str().unwrap();
            assert!(line.starts_with("ok: ") || line.starts_with("warning: "), "{line}");
        }
    }
    assert_eq!((&seal["database"]["engine"], &seal["database"]["answers"]), (&"sqlite".into(), &true.into()));
    assert_eq!(seal["database"]["log"]["origin"], house.app.ctx.node().as_str());
    house.close().await;
}

#[tokio::test]
async fn a_surface_that_is_switched_off_answers_on_the_control_socket_only() {
    let house = House::with("[native]\nenabled = false").await;
    house.ask("GET", "/countersign/v1/whoami").send().await.refused(404, "not-found");
    house.ask_as_nobody("GET", "/healthz").send().await.expect(200);
    house.ask_as_nobody("GET", "/countersign/v1/whoami").over_control().send().await.expect(200);
    house.close().await;
}
