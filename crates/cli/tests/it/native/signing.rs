use serde_json::{Value, json};

use countersign_model::digest::{sha256, sha256_text};
use countersign_model::{HashAlg, PublicKey, RawSignature, Scheme, ToSign};
use countersign_testkit::server::TestServer;

use super::{b64, make_key, servers, unb64};
use crate::openssl::openssl_agrees;

const TYPES: [&str; 6] = ["rsa-2048", "rsa-3072", "p256", "p384", "p521", "ed25519"];

/// How `openssl` checks each scheme.
fn openssl_verifies(scheme: Scheme, pem: &str, message: &[u8], signature: &[u8]) -> bool {
    let hash = scheme.hash().map_or("sha256", HashAlg::as_str);
    let arguments = match scheme {
        Scheme::RsaPkcs1(_) | Scheme::Ecdsa(_) => {
            format!("dgst -{hash} -verify {{pem}} -signature {{sig}} {{msg}}")
        }
        Scheme::RsaPss(_) => format!(
            "dgst -{hash} -verify {{pem}} -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest \
             -signature {{sig}} {{msg}}"
        )
        .replace("             ", ""),
        Scheme::RsaPkcs1Raw => {
            "pkeyutl -verify -pubin -inkey {pem} -sigfile {sig} -in {msg} -pkeyopt rsa_padding_mode:pkcs1"
                .into()
        }
        Scheme::Ed25519 => "pkeyutl -verify -pubin -inkey {pem} -rawin -sigfile {sig} -in {msg}".into(),
    };
    openssl_agrees(&arguments, &[("pem", pem.as_bytes()), ("sig", signature), ("msg", message)])
}

async fn allow_unprefixed(server: &TestServer) {
    let policy = server.get("/policy").await.unwrap();
    let mut rules = policy.json()["rules"].clone();
    rules.as_array_mut().unwrap().push(json!({"id": "unprefixed", "effect": "allow",
        "principals": ["admin"], "actions": ["key:sign"], "resources": ["key:*"],
        "formats": ["raw-unprefixed"]}));
    let put = server
        .request("PUT", "/policy")
        .header("if-match", policy.header("etag"))
        .json(&json!({"rules": rules}));
    let put = server.send(put).await.unwrap();
    assert_eq!(put.status, 200, "{}", put.problem());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_scheme_by_message_by_digest_and_streamed_verifies_with_openssl() {
    for server in servers().await {
        allow_unprefixed(&server).await;
        for key_type in TYPES {
            let key = make_key(&server, key_type, key_type).await;
            let pem = key["public_key"].as_str().unwrap();
            for scheme in key["schemes"].as_array().unwrap() {
                let scheme: Scheme = scheme.as_str().unwrap().parse().unwrap();
                let message = b"what is signed".as_slice();
                let mut answers = vec![
                    server
                        .post(
                            &format!("/keys/{key_type}/sign"),
                            &json!({"scheme": scheme.as_str(), "message": b64(message)}),
                        )
                        .await
                        .unwrap(),
                    server
                        .send(
                            server
                                .request(
                                    "POST",
                                    &format!("/keys/{key_type}/sign?scheme={scheme}&subject=a%20file"),
                                )
                                .header("content-type", "application/octet-stream")
                                .body(message),
                        )
                        .await
                        .unwrap(),
                ];
                if let Some(hash) = scheme.hash() {
                    let body = json!({"scheme": scheme.as_str(), "digest": hash.digest(message).to_string()});
                    answers.push(server.post(&format!("/keys/{key_type}/sign"), &body).await.unwrap());
                }
                let mut prints = Vec::new();
                for answer in answers {
                    assert_eq!(answer.status, 200, "{scheme}: {}", answer.problem());
                    let signed = answer.json();
                    assert!(openssl_verifies(scheme, pem, message, &unb64(&signed["signature"])), "{scheme}");
                    assert_eq!((&signed["key"], &signed["key_id"]), (&json!(key_type), &key["id"]));
                    assert_eq!(signed["request_id"], answer.header("countersign-request-id"));
                    match scheme.hash() {
                        Some(hash) => assert_eq!(signed["digest"], hash.digest(message).to_string()),
                        None => assert_eq!(signed.get("digest"), None),
                    }
                    let entry = entry_of(&server, &signed).await;
                    assert_eq!((&entry["op"], &entry["scheme"]), (&json!("sign"), &json!(scheme.as_str())));
                    prints.push(entry["to_sign"].clone());
                }
                let wanted = ToSign::of_message(scheme, message).fingerprint();
                let wanted = format!("sha256:{}", hex::encode(wanted));
                assert!(prints.iter().all(|print| *print == wanted), "{scheme}: {prints:?}");
            }
        }
    }
}

async fn entry_of(server: &TestServer, signed: &Value) -> Value {
    let (origin, index) = (signed["log"]["origin"].as_str().unwrap(), &signed["log"]["index"]);
    let entry = server.get(&format!("/log/{origin}/{index}")).await.unwrap();
    assert_eq!(entry.status, 200, "{}", entry.problem());
    entry.json()["entry"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_says_what_was_given_and_what_was_signed() {
    for server in servers().await {
        make_key(&server, "k", "p384").await;
        let body = json!({"message": b64(b"abc"), "subject": "release.tar"});
        let signed = server.post("/keys/k/sign", &body).await.unwrap().json();
        let entry = entry_of(&server, &signed).await;
        let digest = HashAlg::Sha384.digest(b"abc");
        assert_eq!(entry["input"], sha256_text(b"abc"));
        assert_eq!(entry["to_sign"], format!("sha256:{}", hex::encode(sha256(digest.as_bytes()))));
        assert_eq!((&entry["subject"], &entry["principal"]), (&json!("release.tar"), &json!("admin")));
        assert_eq!((&entry["surface"], &entry["format"]), (&json!("native"), &json!("raw")));
        let by_digest = json!({"digest": digest.to_string()});
        let signed = server.post("/keys/k/sign", &by_digest).await.unwrap().json();
        assert_eq!(entry_of(&server, &signed).await["input"], Value::Null);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_signature_comes_when_it_is_asked_for() {
    for server in servers().await {
        let key = make_key(&server, "k", "p256").await;
        for (encoding, der) in [("der", true), ("raw", false)] {
            let request = server
                .request("POST", &format!("/keys/k/sign?encoding={encoding}"))
                .header("content-type", "application/octet-stream")
                .header("accept", "application/octet-stream")
                .body("message");
            let answer = server.send(request).await.unwrap();
            assert_eq!(answer.header("content-type"), "application/octet-stream");
            let log = answer.header("countersign-log").to_owned();
            assert_eq!(log.split(' ').count(), 2, "{log}");
            assert_eq!(answer.body.len() == 64, !der);
            let encoding = if der { Default::default() } else { countersign_model::Encoding::Raw };
            let signature = RawSignature::decode(&answer.body, Some(32), encoding).unwrap();
            let public = PublicKey::from_pem(key["public_key"].as_str().unwrap()).unwrap();
            let scheme = Scheme::Ecdsa(HashAlg::Sha256);
            public.verify(scheme, &ToSign::of_message(scheme, b"message"), &signature).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_signed_is_refused_by_name() {
    for server in servers().await {
        for (name, key_type) in [("rsa", "rsa-2048"), ("ec", "p256"), ("ed", "ed25519")] {
            make_key(&server, name, key_type).await;
        }
        let tag_only = json!({"name": "tags-only", "type": "p256", "formats": ["tag"]});
        assert_eq!(server.post("/keys", &tag_only).await.unwrap().status, 201);
        let message = b64(b"x");
        let sha256 = HashAlg::Sha256.digest(b"x").to_string();
        let sha384 = HashAlg::Sha384.digest(b"x").to_string();
        for (key, body, status, code) in [
            ("ec", json!({"scheme": "ed25519", "message": message}), 422, "scheme-mismatch"),
            ("ec", json!({"digest": sha384}), 422, "scheme-mismatch"),
            ("ec", json!({"digest": &sha256[..sha256.len() - 2]}), 422, "digest-length"),
            ("ed", json!({"digest": sha256}), 422, "digest-not-supported"),
            ("ec", json!({}), 400, "ambiguous-input"),
            ("ec", json!({"message": message, "digest": sha256}), 400, "ambiguous-input"),
            ("ec", json!({"message": "not base64!"}), 400, "invalid-request"),
            ("ec", json!({"message": message, "surprise": 1}), 400, "invalid-request"),
            ("ec", json!({"message": message, "subject": "x".repeat(257)}), 400, "invalid-request"),
            ("rsa", json!({"message": message, "scheme": "rsa-pkcs1-raw"}), 403, "not-permitted"),
            ("tags-only", json!({"message": message}), 422, "format-not-allowed"),
            ("nobody", json!({"message": message}), 404, "unknown-key"),
        ] {
            let answer = server.post(&format!("/keys/{key}/sign"), &body).await.unwrap();
            assert_eq!((answer.status, answer.problem().as_str()), (status, code), "{key} {body}");
        }
        allow_unprefixed(&server).await;
        let long = json!({"message": b64(&[7; 246]), "scheme": "rsa-pkcs1-raw"});
        let answer = server.post("/keys/rsa/sign", &long).await.unwrap();
        assert_eq!((answer.status, answer.problem().as_str()), (422, "message-too-long"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_answers_in_order_and_one_failure_touches_no_other() {
    for server in servers().await {
        for (name, key_type) in [("a", "p256"), ("b", "ed25519"), ("c", "rsa-2048")] {
            make_key(&server, name, key_type).await;
        }
        let message = |i: usize| b64(format!("{i}").as_bytes());
        let items: Vec<Value> = (0..30)
            .map(|i| match i % 5 {
                3 => json!({"key": "nobody", "message": message(i)}),
                4 => json!({"key": "a", "message": message(i), "surprise": true}),
                n => json!({"key": (["a", "b", "c"][n]), "message": message(i)}),
            })
            .collect();
        let answer = server.post("/sign", &json!({"items": items})).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.problem());
        let results = answer.json()["results"].as_array().unwrap().clone();
        assert_eq!(results.len(), 30);
        for (i, result) in results.iter().enumerate() {
            match i % 5 {
                3 => assert_eq!(result["error"]["type"], "urn:countersign:problem:unknown-key"),
                4 => assert_eq!(result["error"]["type"], "urn:countersign:problem:invalid-request"),
                n => {
                    assert_eq!(result["key"], ["a", "b", "c"][n]);
                    let check = json!({"key": result["key"], "scheme": result["scheme"],
                        "message": message(i), "signature": result["signature"]});
                    assert_eq!(server.post("/verify", &check).await.unwrap().json()["valid"], true);
                }
            }
        }
        let id = answer.header("countersign-request-id");
        let found = server.get(&format!("/log?request_id={id}")).await.unwrap().json();
        assert_eq!(found["entries"].as_array().unwrap().len(), 18, "one entry a signature");
        for bad in [json!({"items": []}), json!({"items": vec![json!({"key": "a", "message": ""}); 1001]})] {
            assert_eq!(server.post("/sign", &bad).await.unwrap().problem(), "invalid-request");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_stream_is_signed_in_fixed_memory_and_an_empty_one_too() {
    let server =
        TestServer::start(super::PROGRAM, countersign_testkit::server::Engine::Sqlite).await.unwrap();
    let key = make_key(&server, "k", "p256").await;
    let pem = key["public_key"].as_str().unwrap();
    let before = resident(server.pid());
    const PIECE: usize = 1 << 20;
    let pieces = 1024;
    let stream = futures_util::stream::iter((0..pieces).map(|_| Ok::<_, std::io::Error>(vec![7u8; PIECE])));
    let request = server
        .request("POST", "/keys/k/sign")
        .header("content-type", "application/octet-stream")
        .body(reqwest::Body::wrap_stream(stream));
    let answer = server.send(request).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.problem());
    let grown = resident(server.pid()).saturating_sub(before);
    assert!(grown < 32 << 10, "1 GiB made the front grow by {grown} KiB");
    let mut hasher = countersign_model::digest::Hasher::new(HashAlg::Sha256);
    for _ in 0..pieces {
        hasher.update(&[7; PIECE]);
    }
    assert_eq!(answer.json()["digest"], hasher.finish().to_string());

    let empty =
        server.request("POST", "/keys/k/sign").header("content-type", "application/octet-stream").body("");
    let signed = server.send(empty).await.unwrap().json();
    let scheme = Scheme::Ecdsa(HashAlg::Sha256);
    assert!(openssl_verifies(scheme, pem, b"", &unb64(&signed["signature"])));
}

/// Resident memory in KiB.
fn resident(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
