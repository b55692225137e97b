//! Autograph, both ways: a real Kinto is signed for, and a second server of ours signs for the first.

use countersign_testkit::server::{Engine, TestServer};
use serde_json::{Value, json};

use super::{Client, hawk, public_key};
use crate::native::PROGRAM;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_kinto_has_its_collections_signed_here() {
    for engine in Engine::ALL {
        let server = TestServer::start(PROGRAM, engine).await.unwrap();
        let (id, secret) = hawk(&server, "remote-settings").await;
        Client::python("kinto-venv", "kinto_signer_peer.py")
            .env("AUTOGRAPH", &server.url)
            .env("HAWK", &format!("{id}:{secret}"))
            .env("KEY", &public_key(&server, "remote-settings").await)
            .succeeds(&server)
            .await;
    }
}

/// A change of a collection, as `admin`.
async fn change(server: &TestServer, method: &str, path: &str, data: Value) -> u16 {
    let request = server.anonymous(method, &format!("/v1/buckets/source{path}")).bearer_auth(&server.token);
    server.send(request.json(&json!({"data": data}))).await.unwrap().status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_server_signs_and_while_it_does_not_nothing_is_published() {
    for engine in Engine::ALL {
        let mut signer = TestServer::start(PROGRAM, engine).await.unwrap();
        let (id, secret) = hawk(&signer, "remote-settings").await;
        let secret_file = signer.data().join("hawk.secret");
        std::fs::write(&secret_file, &secret).unwrap();
        let config = format!(
            r#"
            [[collections.resource]]
            source = "/buckets/source"
            destination = "/buckets/destination"
            review = false
            backend = "autograph"
            [collections.resource.autograph]
            url = "{}"
            id = "{id}"
            secret_file = {secret_file:?}
            key_ids = ["remote-settings"]
            timeout_seconds = 3
            "#,
            signer.url
        );
        let server = TestServer::start_with(PROGRAM, engine, &config).await.unwrap();
        let key = json!({"main": public_key(&signer, "remote-settings").await}).to_string();
        let reader = |server: &TestServer| {
            Client::python("test-venv", "reader.py")
                .env("SERVER", &server.url)
                .env("ADMIN", &format!("admin:{}", server.token))
                .env("KEYS", &key)
        };
        reader(&server).succeeds(&server).await;

        change(&server, "PUT", "/collections/books", json!({})).await;
        assert_eq!(change(&server, "PUT", "/collections/books/records/a", json!({"n": 1})).await, 201);
        signer.stop().await.unwrap();
        let refused = change(&server, "PATCH", "/collections/books", json!({"status": "to-sign"})).await;
        assert_eq!(refused, 503);
        let at = |path: &str| server.anonymous("GET", path).bearer_auth(&server.token);
        let source = server.send(at("/v1/buckets/source/collections/books")).await.unwrap().json();
        assert_eq!(source["data"]["status"], "work-in-progress", "{source}");
        let published = at("/v1/buckets/destination/collections/books/records");
        assert_eq!(server.send(published).await.unwrap().json()["data"], json!([]));
        let heartbeat = server.send(server.anonymous("GET", "/v1/__heartbeat__")).await.unwrap();
        assert_eq!(heartbeat.json()["storage"], true);
    }
}
