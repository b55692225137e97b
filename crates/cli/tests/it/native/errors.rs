use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use countersign_testkit::server::{Engine, TestServer};
use serde_json::json;

use super::{PROGRAM, make_key, servers};

#[tokio::test(flavor = "multi_thread")]
async fn checks_come_in_their_order() {
    for server in servers().await {
        let weak = server.principal("reader", &["reader"]).await.unwrap();
        let post = |token: &str, path: &str| server.request_as(token, "POST", path);
        let unknown = server.send(server.anonymous("GET", "/countersign/v1/nothing")).await.unwrap();
        assert_eq!((unknown.status, unknown.problem().as_str()), (404, "not-found"));
        let method = server.send(server.anonymous("PUT", "/countersign/v1/keys")).await.unwrap();
        assert_eq!((method.status, method.problem().as_str()), (405, "method-not-allowed"));
        assert!(method.header("allow").contains("POST"));
        let nobody = server.send(server.anonymous("POST", "/countersign/v1/keys").body("{")).await.unwrap();
        assert_eq!((nobody.status, nobody.problem().as_str()), (401, "no-credentials"));
        let kind = post(&weak, "/keys").header("content-type", "text/plain").body("{");
        assert_eq!(server.send(kind).await.unwrap().problem(), "unsupported-media-type");
        let json_kind =
            |body: &'static str| post(&weak, "/keys").header("content-type", "application/json").body(body);
        assert_eq!(server.send(json_kind("{")).await.unwrap().problem(), "malformed-json");
        let twice = json_kind(r#"{"name":"a","name":"b","type":"p256"}"#);
        assert_eq!(server.send(twice).await.unwrap().status, 400, "a duplicate member");
        let shape = server.send(json_kind(r#"{"name":"a","type":"p999"}"#)).await.unwrap();
        assert_eq!((shape.problem().as_str(), &shape.json()["member"]), ("invalid-request", &json!("type")));
        let named = server.send(json_kind(r#"{"name":"A B","type":"p256"}"#)).await.unwrap();
        assert_eq!(named.problem(), "invalid-name");
        let sound = server.send(json_kind(r#"{"name":"a","type":"p256"}"#)).await.unwrap();
        assert_eq!((sound.status, sound.problem().as_str()), (403, "not-permitted"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_is_kept_or_made_and_stands_on_every_answer() {
    for server in servers().await {
        for path in ["/healthz", "/countersign/v1/nothing", "/countersign/v1/keys"] {
            let answer = server.send(server.anonymous("GET", path)).await.unwrap();
            assert!(!answer.header("countersign-request-id").is_empty(), "{path}");
        }
        let mine = server.request("GET", "/whoami").header("countersign-request-id", "build-42_a.b");
        assert_eq!(server.send(mine).await.unwrap().header("countersign-request-id"), "build-42_a.b");
        let bad = server.request("GET", "/whoami").header("countersign-request-id", "no spaces");
        let answer = server.send(bad).await.unwrap();
        assert_ne!(answer.header("countersign-request-id"), "no spaces");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_process_tells_how_it_is() {
    for server in servers().await {
        let get = |path: &str| server.send(server.anonymous("GET", path));
        assert_eq!(get("/healthz").await.unwrap().body, b"ok");
        assert_eq!(get("/readyz").await.unwrap().json(), json!({"ready": true}));
        assert_eq!(get("/metrics").await.unwrap().status, 401);
        let metrics =
            server.send(server.anonymous("GET", "/metrics").bearer_auth(&server.token)).await.unwrap();
        assert!(String::from_utf8(metrics.body).unwrap().contains("# EOF"));
        let api = get("/openapi.json").await.unwrap().json();
        assert!(api["openapi"].as_str().unwrap().starts_with("3."));
        for path in
            ["/countersign/v1/keys", "/countersign/v1/sign", "/countersign/v1/policy/check", "/healthz"]
        {
            assert!(api["paths"][path].is_object(), "{path}");
        }
        let service = get("/countersign/v1/").await.unwrap().json();
        assert_eq!(
            (&service["service"], &service["limits"]["batch_items"]),
            (&json!("countersign"), &json!(1000))
        );
    }
}

fn raw(server: &TestServer, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.url.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count) = stream.read(&mut buffer) {
        answer.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&answer);
        if count == 0 || text.contains("\r\n\r\n") {
            break;
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_requests_get_a_clear_answer_before_anything_is_kept() {
    let server = TestServer::start(PROGRAM, Engine::Sqlite).await.unwrap();
    make_key(&server, "k", "ed25519").await;
    let token = &server.token;
    let head =
        format!("POST /countersign/v1/keys/k/sign HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n");
    for (more, status) in [
        ("Content-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n".to_owned(), "413"),
        ("Content-Type: application/json\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}".into(), "400"),
        (format!("Authorization: Bearer {token}x\r\nContent-Length: 2\r\n\r\n{{}}"), "400"),
        ("Idempotency-Key: a\r\nIdempotency-Key: b\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{\"message\":\"\"}".into(), "400"),
        (format!("X: {}\r\n\r\n", "y".repeat(1 << 20)), "4"),
    ] {
        let answer = raw(&server, format!("{head}{more}").as_bytes());
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{status}: {answer}");
    }
    assert!(raw(&server, b"NONSENSE\r\n\r\n").starts_with("HTTP/1.1 400"));
    assert_eq!(server.get("/whoami").await.unwrap().status, 200, "and it goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_key_host_is_killed_requests_may_be_repeated_and_nothing_is_missing() {
    let server = TestServer::start(PROGRAM, Engine::Sqlite).await.unwrap();
    make_key(&server, "k", "ed25519").await;
    let killer = std::thread::spawn({
        let pid = server.pid();
        move || {
            for _ in 0..5 {
                std::thread::sleep(Duration::from_millis(300));
                if let Some(host) = key_host_of(pid) {
                    let _ = std::process::Command::new("kill").args(["-9", &host.to_string()]).status();
                }
            }
        }
    });
    let (mut held, mut retried) = (Vec::new(), 0);
    while !killer.is_finished() {
        let answer = server.post("/keys/k/sign", &json!({"message": ""})).await.unwrap();
        match answer.status {
            200 => held.push(answer.json()["log"].clone()),
            503 => {
                assert_eq!(answer.problem(), "key-host-unavailable");
                assert!(!answer.header("retry-after").is_empty());
                retried += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            other => panic!("{other}: {}", answer.problem()),
        }
    }
    assert!(retried > 0 && held.len() > 100, "{retried} retries, {} signatures", held.len());
    for _ in 0..200 {
        if server.send(server.anonymous("GET", "/readyz")).await.unwrap().status == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for log in held.iter().step_by(held.len() / 50 + 1) {
        let path = format!("/log/{}/{}", log["origin"].as_str().unwrap(), log["index"]);
        let entry = server.get(&path).await.unwrap();
        assert_eq!((entry.status, &entry.json()["entry"]["key"]), (200, &json!("k")));
    }
}

/// The process below `pid` that is the key host: the guardian's child.
fn key_host_of(pid: u32) -> Option<u32> {
    let children = |pid: u32| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        text.split_whitespace().filter_map(|word| word.parse::<u32>().ok()).collect::<Vec<_>>()
    };
    children(pid).into_iter().flat_map(children).next()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_array_is_no_document_and_no_rule_or_item_of_one() {
    for server in servers().await {
        make_key(&server, "k", "p256").await;
        for (path, body) in [
            ("/keys", json!(["a", "p256", false, null])),
            ("/keys/k/sign", json!([null, "", null, null, null])),
            ("/sign", json!([[{"key": "k", "message": ""}]])),
            ("/principals", json!(["ana", ["reader"]])),
            ("/policy/test", json!({"rules": [["a", "deny", ["*"], ["*"], ["*"], null, null]], "last": 1})),
        ] {
            let answer = server.post(path, &body).await.unwrap();
            assert_eq!((answer.status, answer.problem().as_str()), (400, "invalid-request"), "{path}");
        }
        let batch = json!({"items": [["k", null, "", null, null, null], {"key": "k", "message": ""}]});
        let results = server.post("/sign", &batch).await.unwrap().json()["results"].clone();
        assert_eq!(results[0]["error"]["status"], 400);
        assert!(results[1]["signature"].is_string());
    }
}
