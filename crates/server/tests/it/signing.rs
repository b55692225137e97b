//! Signing and verifying, in every way that a content can be given.

use countersign_model::digest::sha256_text;
use countersign_model::{Digest, HashAlg, PublicKey, RawSignature, Scheme, ToSign};
use countersign_server::surfaces::native::wire;
use serde_json::{Value, json};

use crate::support::{Answer, House, base64};

fn read(answer: &Answer) -> wire::Signature {
    serde_json::from_value(answer.expect(200)).unwrap()
}

/// Checks a signature without the server.
fn holds(key: &Value, scheme: &str, message: &[u8], signature: &[u8]) -> bool {
    let public = PublicKey::from_pem(key["public_key"].as_str().unwrap()).unwrap();
    let scheme: Scheme = scheme.parse().unwrap();
    let width = public.key_type().ecdsa_width();
    let signature = RawSignature::decode(signature, width, countersign_model::Encoding::Der).unwrap();
    public.verify(scheme, &ToSign::of_message(scheme, message), &signature).is_ok()
}

fn decode(base64: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(base64).unwrap()
}

#[tokio::test]
async fn message_digest_and_stream_give_signatures_of_the_same_bytes() {
    let house = House::open().await;
    let message = b"release 1.0".repeat(1000);
    let mut fingerprints = Vec::new();
    for (name, key_type, scheme) in [
        ("rsa", "rsa-2048", "rsa-pkcs1-sha256"),
        ("pss", "rsa-2048", "rsa-pss-sha512"),
        ("p384", "p384", "ecdsa-sha384"),
        ("ed", "ed25519", "ed25519"),
    ] {
        let key = house.key(name, key_type).await;
        let path = format!("/countersign/v1/keys/{name}/sign");
        let by_message = house.ask("POST", &path);
        let by_message =
            by_message.json(json!({"scheme": scheme, "message": base64(&message), "subject": "x"}));
        let by_message = read(&by_message.send().await);
        assert!(holds(&key, scheme, &message, &decode(&by_message.signature)), "{scheme}");

        let query = format!("{path}?scheme={scheme}&subject=x");
        let streamed = house.ask("POST", &query).body("application/octet-stream", message.clone());
        let streamed = read(&streamed.send().await);
        assert!(holds(&key, scheme, &message, &decode(&streamed.signature)), "{scheme}");
        assert_eq!(streamed.digest, by_message.digest);

        let mut indexes = vec![by_message.log.index, streamed.log.index];
        if let Some(digest) = &by_message.digest {
            let by_digest = house.ask("POST", &path).json(json!({"scheme": scheme, "digest": digest}));
            let by_digest = read(&by_digest.send().await);
            assert!(holds(&key, scheme, &message, &decode(&by_digest.signature)), "{scheme}");
            indexes.push(by_digest.log.index);
        }
        fingerprints.push((by_message.log.origin, indexes));
    }
    // The log names the same bytes by the same digest, however they were given.
    for (origin, indexes) in fingerprints {
        let mut seen = Vec::new();
        for index in indexes {
            let path = format!("/countersign/v1/log/{origin}/{index}");
            let entry = house.ask("GET", &path).send().await.expect(200)["entry"].clone();
            let whole = entry["input"] == sha256_text(&message);
            assert!(whole || entry["input"].is_null(), "{entry}");
            seen.push(entry["to_sign"].clone());
        }
        assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{seen:?}");
    }
    house.close().await;
}

#[tokio::test]
async fn the_bare_signature_is_given_to_who_accepts_octets() {
    let house = House::open().await;
    let key = house.key("k", "p256").await;
    let ask = house.ask("POST", "/countersign/v1/keys/k/sign").header("accept", "application/octet-stream");
    let bare = ask.body("application/octet-stream", "").send().await;
    assert_eq!((bare.status.as_u16(), bare.header("content-type")), (200, "application/octet-stream"));
    assert!(holds(&key, "ecdsa-sha256", b"", &bare.body));
    let (origin, index) = bare.header("countersign-log").split_once(' ').unwrap();
    assert_eq!(origin, house.app.ctx.node().as_str());
    assert!(index.parse::<u64>().is_ok());
    let raw = house.ask("POST", "/countersign/v1/keys/k/sign").header("accept", "application/octet-stream");
    let raw = raw.json(json!({"message": "", "encoding": "raw"})).send().await;
    assert_eq!(raw.body.len(), 64);
    for (accept, wanted) in [
        ("application/octet-stream;q=0", "application/json"),
        ("application/octet-stream;q=0.5, application/json", "application/json"),
        ("application/octet-stream, application/json;q=0.9", "application/octet-stream"),
        ("application/octet-stream, */*;q=0.1", "application/octet-stream"),
        ("*/*", "application/json"),
    ] {
        let ask = house.ask("POST", "/countersign/v1/keys/k/sign").header("accept", accept);
        let answer = ask.json(json!({"message": ""})).send().await;
        assert_eq!(answer.header("content-type"), wanted, "{accept}");
    }
    house.close().await;
}

#[tokio::test]
async fn a_content_that_cannot_be_signed_is_refused_with_its_reason() {
    let house = House::open().await;
    house.key("p", "p256").await;
    house.key("e", "ed25519").await;
    house.key("r", "rsa-2048").await;
    let sha256 = HashAlg::Sha256.digest(b"x").to_string();
    let sha384 = HashAlg::Sha384.digest(b"x").to_string();
    for (key, body, status, code) in [
        ("p", json!({}), 400, "ambiguous-input"),
        ("p", json!({"message": "", "digest": sha256}), 400, "ambiguous-input"),
        ("p", json!({"message": "!"}), 400, "invalid-request"),
        ("p", json!({"message": "", "scheme": "rot13"}), 400, "invalid-request"),
        ("p", json!({"message": "", "encoding": "hex"}), 400, "invalid-request"),
        ("e", json!({"message": "", "encoding": "der"}), 400, "invalid-request"),
        ("r", json!({"message": "", "encoding": "raw"}), 400, "invalid-request"),
        ("none", json!({"message": "", "scheme": "ed25519", "encoding": "raw"}), 400, "invalid-request"),
        ("none", json!({"message": "", "encoding": "raw"}), 404, "unknown-key"),
        ("p", json!({"message": "", "subject": "x".repeat(257)}), 400, "invalid-request"),
        ("p", json!({"digest": "md5:00"}), 400, "invalid-request"),
        ("p", json!({"digest": "sha256:00"}), 422, "digest-length"),
        ("p", json!({"digest": sha384}), 422, "scheme-mismatch"),
        ("p", json!({"message": "", "scheme": "ed25519"}), 422, "scheme-mismatch"),
        ("e", json!({"digest": sha256}), 422, "digest-not-supported"),
        ("r", json!({"message": "", "scheme": "rsa-pkcs1-raw"}), 403, "not-permitted"),
        ("none", json!({"message": ""}), 404, "unknown-key"),
        ("log%2Fcheckpoint", json!({"message": ""}), 403, "not-permitted"),
    ] {
        let path = format!("/countersign/v1/keys/{key}/sign");
        house.ask("POST", &path).json(body.clone()).send().await.refused(status, code);
        println!("{key} {body}: {status}");
    }
    let path = "/countersign/v1/keys/p/sign?message=eA%3D%3D";
    let both = house.ask("POST", path).body("application/octet-stream", "x").send().await;
    both.refused(400, "ambiguous-input");
    let one_form = house.ask("POST", "/countersign/v1/keys/e/sign?encoding=raw");
    one_form.body("application/octet-stream", "x").send().await.refused(400, "invalid-request");
    let question =
        json!({"key": "e", "scheme": "ed25519", "message": "", "signature": "", "encoding": "raw"});
    house.ask("POST", "/countersign/v1/verify").json(question).send().await.refused(400, "invalid-request");
    let misplaced = house.ask("POST", "/countersign/v1/keys/p/sign?scheme=ecdsa-sha256");
    misplaced.json(json!({"message": ""})).send().await.refused(400, "invalid-request");
    house.close().await;
}

#[tokio::test]
async fn unprefixed_rsa_needs_a_rule_that_names_it_and_fits_the_modulus() {
    let house = House::open().await;
    house.key("r", "rsa-2048").await;
    let policy = house.ask("GET", "/countersign/v1/policy").send().await;
    let mut rules = policy.document()["rules"].clone();
    rules.as_array_mut().unwrap().push(json!({
        "id": "bare", "effect": "allow", "principals": ["admin"], "actions": ["key:sign"],
        "resources": ["key:r"], "formats": ["raw-unprefixed"]
    }));
    let put = house.ask("PUT", "/countersign/v1/policy").header("if-match", policy.header("etag"));
    put.json(json!({"rules": rules})).send().await.expect(200);
    let path = "/countersign/v1/keys/r/sign?scheme=rsa-pkcs1-raw";
    let sign = |length: usize| house.ask("POST", path).body("application/octet-stream", vec![7; length]);
    let signed = read(&sign(245).send().await);
    assert_eq!(signed.digest, None);
    sign(246).send().await.refused(422, "message-too-long");
    house.close().await;
}

#[tokio::test]
async fn a_streamed_body_is_bounded_and_refused_before_it_is_read() {
    let house = House::with("[limits]\nstreamed_mib = 1").await;
    house.key("p", "p256").await;
    let path = "/countersign/v1/keys/p/sign";
    let large = vec![0; (1 << 20) + 1];
    let announced = house.ask("POST", path).body("application/octet-stream", large.clone()).send().await;
    announced.refused(413, "too-large");
    let hidden = house.ask("POST", path).header("content-length", "nonsense");
    hidden.body("application/octet-stream", large).send().await.refused(413, "too-large");

    let reader = house.somebody("rea", &["reader"]).await;
    let denied =
        house.ask_as(&reader, "POST", path).body("application/octet-stream", vec![0; 100]).send().await;
    denied.refused(403, "not-permitted");
    assert_eq!(denied.header("connection"), "close");
    house.close().await;
}

#[tokio::test]
async fn an_item_of_a_batch_that_is_refused_does_not_touch_the_others() {
    let house = House::open().await;
    let key = house.key("p", "p384").await;
    house.key("e", "ed25519").await;
    house.key("gone", "p256").await;
    house.ask("POST", "/countersign/v1/keys/gone/retire").send().await.expect(200);
    let items = json!([
        {"key": "p", "message": base64(b"one")},
        {"key": "none", "message": ""},
        {"key": "e", "message": base64(b"two"), "subject": "second"},
        {"key": "p", "massage": ""},
        {"key": "gone", "message": ""},
        {"key": "B A D", "message": ""},
        17,
        {"key": "p", "message": base64(b"three")}
    ]);
    let batch = house.ask("POST", "/countersign/v1/sign").header("countersign-request-id", "batch-1");
    let answer = batch.json(json!({"items": items})).send().await.expect(200);
    let batch: wire::SignatureBatch = serde_json::from_value(answer.clone()).unwrap();
    let results: Vec<String> = batch
        .results
        .iter()
        .map(|result| match result {
            wire::SignatureOrError::Signed(signature) => format!("signed by {}", signature.key),
            wire::SignatureOrError::Refused { error } => {
                format!("{} {}", error.status, error.kind.rsplit(':').next().unwrap())
            }
        })
        .collect();
    assert_eq!(
        results,
        [
            "signed by p",
            "404 unknown-key",
            "signed by e",
            "400 invalid-request",
            "410 key-retired",
            "400 invalid-name",
            "400 invalid-request",
            "signed by p"
        ]
    );
    let signature = decode(answer["results"][7]["signature"].as_str().unwrap());
    assert!(holds(&key, "ecdsa-sha384", b"three", &signature));

    let found = house.ask("GET", "/countersign/v1/log?request_id=batch-1").send().await.expect(200);
    assert_eq!(found["entries"].as_array().unwrap().len(), 3);

    for items in [json!([]), json!(vec![0; 1001])] {
        let problem = house.ask("POST", "/countersign/v1/sign").json(json!({"items": items})).send().await;
        assert_eq!(problem.refused(400, "invalid-request")["member"], "items");
    }
    house.close().await;
}

#[tokio::test]
async fn anybody_with_a_token_may_verify_and_a_revoked_key_vouches_for_nothing() {
    let house = House::open().await;
    let key = house.key("p", "p521").await;
    let token = house.somebody("nobody", &[]).await;
    let signed = house.ask("POST", "/countersign/v1/keys/p/sign").json(json!({"message": base64(b"x")}));
    let signed = read(&signed.send().await);
    let verify = |body: Value| {
        let house = &house;
        let token = &token;
        async move { house.ask_as(token, "POST", "/countersign/v1/verify").json(body).send().await }
    };
    let good = |member: &str, value: &Value| {
        let mut body =
            json!({"scheme": "ecdsa-sha512", "message": base64(b"x"), "signature": signed.signature});
        body[member] = value.clone();
        body
    };
    assert_eq!(verify(good("key", &json!("p"))).await.expect(200), json!({"valid": true}));
    assert_eq!(verify(good("public_key", &key["public_key"])).await.expect(200), json!({"valid": true}));
    let digest = Digest::to_string(&HashAlg::Sha512.digest(b"y"));
    let other =
        json!({"key": "p", "scheme": "ecdsa-sha512", "digest": digest, "signature": signed.signature});
    let verdict: wire::Verdict = serde_json::from_value(verify(other).await.expect(200)).unwrap();
    assert!(!verdict.valid && verdict.reason.is_some());

    let mut both = good("key", &json!("p"));
    both["public_key"] = key["public_key"].clone();
    verify(both).await.refused(400, "invalid-request");
    verify(good("public_key", &json!("nonsense"))).await.refused(400, "malformed-key");
    verify(good("key", &json!("none"))).await.refused(404, "unknown-key");

    let revoke = house.ask("POST", "/countersign/v1/keys/p/revoke").json(json!({"reason": "stolen"}));
    revoke.send().await.expect(200);
    assert_eq!(verify(good("key", &json!("p"))).await.expect(200)["valid"], false);
    assert_eq!(verify(good("public_key", &key["public_key"])).await.expect(200)["valid"], true);
    house.close().await;
}
