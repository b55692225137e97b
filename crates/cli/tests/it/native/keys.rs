use serde_json::{Value, json};

use super::{b64, make_key, servers};
use crate::openssl::{openssl, openssl_with_files};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_each_type_is_made_shown_and_listed() {
    for server in servers().await {
        for (key_type, default, schemes) in [
            ("rsa-2048", "rsa-pkcs1-sha256", 7),
            ("rsa-3072", "rsa-pkcs1-sha256", 7),
            ("p256", "ecdsa-sha256", 3),
            ("p384", "ecdsa-sha384", 3),
            ("p521", "ecdsa-sha512", 3),
            ("ed25519", "ed25519", 1),
        ] {
            let name = format!("key-{key_type}");
            let made = server.post("/keys", &json!({"name": name, "type": key_type})).await.unwrap();
            assert_eq!(made.status, 201, "{}", made.problem());
            assert!(made.header("location").ends_with(&format!("/countersign/v1/keys/{name}")));
            let key = made.json();
            assert_eq!(key["type"], key_type);
            assert_eq!(key["schemes"][0], default);
            assert_eq!(key["schemes"].as_array().unwrap().len(), schemes);
            assert_eq!(
                (&key["state"], &key["exportable"], &key["formats"], &key["revoked"], &key["backend"]),
                (&json!("active"), &json!(false), &Value::Null, &Value::Null, &json!("soft"))
            );
            let pem = server
                .send(server.anonymous("GET", &format!("/countersign/v1/keys/{name}.pem")))
                .await
                .unwrap();
            assert_eq!(pem.header("content-type"), "application/x-pem-file");
            assert_eq!(pem.body, key["public_key"].as_str().unwrap().as_bytes());
            let der = openssl("pkey -pubin -outform DER", &pem.body);
            assert_eq!(key["id"], countersign_model::digest::sha256_text(&der));
            assert_eq!(server.get(&format!("/keys/{name}")).await.unwrap().json(), key);
        }
        let first = server.get("/keys?limit=4").await.unwrap().json();
        assert_eq!(first["keys"].as_array().unwrap().len(), 4);
        let next = first["next"].as_str().unwrap();
        let rest = server.get(&format!("/keys?limit=4&after={next}")).await.unwrap().json();
        // With `tuf/online`, which the first start makes.
        assert_eq!((rest["keys"].as_array().unwrap().len(), &rest["next"]), (3, &Value::Null));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_parallel_creations_of_one_name_exactly_one_wins() {
    for server in servers().await {
        let body = json!({"name": "one", "type": "p256"});
        let tries = (0..16).map(|_| server.post("/keys", &body));
        let answers = futures_util::future::join_all(tries).await;
        let mut statuses: Vec<u16> = answers.iter().map(|a| a.as_ref().unwrap().status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [vec![201], vec![409; 15]].concat());
        let again = server.post("/keys", &body).await.unwrap();
        assert_eq!(again.problem(), "name-taken");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_from_openssl_are_imported_in_every_form_and_bad_ones_refused() {
    for server in servers().await {
        let pkcs8 = String::from_utf8(openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384", b""))
            .unwrap();
        let sealed =
            String::from_utf8(openssl("pkcs8 -topk8 -passout pass:secret", pkcs8.as_bytes())).unwrap();
        let public = String::from_utf8(openssl("pkey -pubout", pkcs8.as_bytes())).unwrap();
        let sec1 = String::from_utf8(openssl("pkey -traditional", pkcs8.as_bytes())).unwrap();
        let weak =
            String::from_utf8(openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024", b"")).unwrap();
        let odd =
            String::from_utf8(openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2560", b"")).unwrap();
        for (name, body, status) in [
            ("clear", json!({"pem": pkcs8}), 201),
            ("sec1", json!({"pem": sec1}), 201),
            ("sealed", json!({"pem": sealed, "passphrase": "secret"}), 201),
        ] {
            let answer = import(&server, name, &body).await;
            assert_eq!(answer.status, status, "{name}: {}", answer.problem());
            assert_eq!(answer.json()["public_key"], public);
        }
        for (name, body, status, code) in [
            ("wrong", json!({"pem": sealed, "passphrase": "wrong"}), 422, "wrong-passphrase"),
            ("none", json!({"pem": sealed}), 422, "wrong-passphrase"),
            ("weak", json!({"pem": weak}), 422, "weak-key"),
            ("odd", json!({"pem": odd}), 400, "malformed-key"),
            ("public", json!({"pem": public}), 400, "malformed-key"),
            ("noise", json!({"pem": "hello"}), 400, "malformed-key"),
            ("cut", json!({"pem": &pkcs8[..pkcs8.len() - 40]}), 400, "malformed-key"),
        ] {
            let answer = import(&server, name, &body).await;
            assert_eq!((answer.status, answer.problem().as_str()), (status, code), "{name}");
            let shown = String::from_utf8_lossy(&answer.body).into_owned();
            assert!(!shown.contains("PRIVATE KEY") && !shown.contains("secret"), "{shown}");
            assert_eq!(server.get(&format!("/keys/{name}")).await.unwrap().problem(), "unknown-key");
        }
    }
}

async fn import(
    server: &countersign_testkit::server::TestServer,
    name: &str,
    body: &Value,
) -> countersign_testkit::server::Answer {
    let mut body = body.clone();
    body["name"] = json!(name);
    server.post("/keys/import", &body).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_key_signs_no_more_and_a_revoked_one_verifies_no_more() {
    for server in servers().await {
        make_key(&server, "old", "ed25519").await;
        let message = b64(b"message");
        let signed = server.post("/keys/old/sign", &json!({"message": message})).await.unwrap().json();
        let check = json!({"key": "old", "message": message, "signature": signed["signature"],
            "scheme": "ed25519"});
        assert_eq!(server.post("/verify", &check).await.unwrap().json()["valid"], true);

        let retired = server.post("/keys/old/retire", &json!({})).await.unwrap();
        assert_eq!((retired.status, &retired.json()["state"]), (200, &json!("retired")));
        let refused = server.post("/keys/old/sign", &json!({"message": message})).await.unwrap();
        assert_eq!((refused.status, refused.problem().as_str()), (410, "key-retired"));
        assert_eq!(server.post("/verify", &check).await.unwrap().json()["valid"], true);

        let revoked = server.post("/keys/old/revoke", &json!({"reason": "lost"})).await.unwrap().json();
        assert_eq!((&revoked["state"], &revoked["revoked"]["reason"]), (&json!("revoked"), &json!("lost")));
        let refused = server.post("/keys/old/sign", &json!({"message": message})).await.unwrap();
        assert_eq!((refused.status, refused.problem().as_str()), (410, "key-revoked"));
        let verdict = server.post("/verify", &check).await.unwrap().json();
        assert_eq!(verdict["valid"], false);
        assert!(verdict["reason"].as_str().unwrap().contains("revoked"));
        let again = server.post("/keys/old/revoke", &json!({"reason": "other"})).await.unwrap().json();
        assert_eq!(again["revoked"], revoked["revoked"], "not to be undone, nor done again");
        let deleted = server.send(server.request("DELETE", "/keys/old")).await.unwrap();
        assert_eq!((deleted.status, deleted.problem().as_str()), (405, "method-not-allowed"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_exportable_key_leaves_and_openssl_reads_it() {
    for server in servers().await {
        make_key(&server, "stays", "p256").await;
        let body = json!({"passphrase": "correct-horse-battery"});
        let refused = server.post("/keys/stays/export", &body).await.unwrap();
        assert_eq!((refused.status, refused.problem().as_str()), (422, "not-exportable"));

        let made = json!({"name": "leaves", "type": "p256", "exportable": true});
        let key = server.post("/keys", &made).await.unwrap().json();
        let short = server.post("/keys/leaves/export", &json!({"passphrase": "short"})).await.unwrap();
        assert_eq!(short.status, 422, "{}", short.problem());
        let exported = server.post("/keys/leaves/export", &body).await.unwrap().json();
        let pem = exported["pem"].as_str().unwrap();
        assert!(pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
        let public = openssl_with_files(
            "pkey -passin pass:correct-horse-battery -in {pem} -pubout",
            &[("pem", pem.as_bytes())],
            b"",
        );
        assert_eq!(key["public_key"].as_str().unwrap().as_bytes(), public);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_may_be_named_as_the_route_that_imports() {
    for server in servers().await {
        assert_eq!(server.get("/keys/import").await.unwrap().problem(), "unknown-key");
        let key = make_key(&server, "import", "p256").await;
        assert_eq!(server.get("/keys/import").await.unwrap().json(), key);
        let signed = server.post("/keys/import/sign", &json!({"message": ""})).await.unwrap();
        assert_eq!(signed.status, 200, "{}", signed.problem());
        let anonymous = server.send(server.anonymous("GET", "/countersign/v1/keys/import")).await.unwrap();
        assert_eq!(anonymous.problem(), "no-credentials");
        let deleted = server.send(server.request("DELETE", "/keys/import")).await.unwrap();
        assert_eq!((deleted.status, deleted.header("allow")), (405, "POST,GET,HEAD"));
    }
}
