use serde_json::json;

use countersign_testkit::server::{Answer, Engine, TestServer};

use super::{PROGRAM, b64, make_key, servers};

async fn sign(server: &TestServer, key: &str, message: &str) -> Answer {
    let request = server
        .request("POST", "/keys/k/sign")
        .header("idempotency-key", key)
        .json(&json!({"message": b64(message.as_bytes())}));
    server.send(request).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_answer_comes_again_with_one_log_entry_also_after_a_restart() {
    for engine in Engine::ALL {
        let mut server = TestServer::start(PROGRAM, engine).await.unwrap();
        make_key(&server, "k", "p256").await;
        let first = sign(&server, "one", "message").await;
        assert_eq!((first.status, first.header("idempotent-replayed")), (200, ""));
        let again = sign(&server, "one", "message").await;
        assert_eq!((again.status, &again.body), (200, &first.body), "ECDSA differs if it is made twice");
        assert_eq!(again.header("idempotent-replayed"), "true");

        let other = sign(&server, "one", "another").await;
        assert_eq!((other.status, other.problem().as_str()), (409, "idempotency-mismatch"));
        server.stop().await.unwrap();
        server.run().await.unwrap();
        let later = sign(&server, "one", "message").await;
        assert_eq!((later.header("idempotent-replayed"), &later.body), ("true", &first.body));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_requests_with_one_key_make_one_signature() {
    for server in servers().await {
        make_key(&server, "k", "p256").await;
        let answers = futures_util::future::join_all((0..8).map(|_| sign(&server, "same", "message"))).await;
        assert!(answers.iter().all(|a| a.status == 200 && a.body == answers[0].body));
        let fresh = answers.iter().filter(|a| a.header("idempotent-replayed").is_empty()).count();
        assert_eq!(fresh, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamed_body_counts_by_its_digest() {
    for server in servers().await {
        make_key(&server, "k", "p256").await;
        let stream = |body: &'static str| {
            server.send(
                server
                    .request("POST", "/keys/k/sign")
                    .header("idempotency-key", "stream")
                    .header("content-type", "application/octet-stream")
                    .body(body),
            )
        };
        let first = stream("one").await.unwrap();
        assert_eq!(first.status, 200, "{}", first.problem());
        assert_eq!(stream("one").await.unwrap().body, first.body);
        assert_eq!(stream("two").await.unwrap().problem(), "idempotency-mismatch");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_once_takes_no_idempotency_key() {
    for server in servers().await {
        let body = json!({"name": "k", "type": "p256", "exportable": true});
        assert_eq!(server.post("/keys", &body).await.unwrap().status, 201);
        for (path, body) in [
            ("/principals/admin/tokens", json!({})),
            ("/keys/k/export", json!({"passphrase": "correct-horse-battery"})),
        ] {
            let request = server.request("POST", path).header("idempotency-key", "x").json(&body);
            let answer = server.send(request).await.unwrap();
            assert_eq!((answer.status, answer.problem().as_str()), (400, "invalid-request"), "{path}");
        }
    }
}
