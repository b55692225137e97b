//! What signers make, and of what.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use countersign_model::{HashAlg, PublicKey, RawSignature, Scheme, ToSign};
use serde_json::{Value, json};

use super::client::{Pair, input, post, refused, text};
use crate::support::{House, base64};

const DATA: &[u8] = b"some data that is long enough";

/// Judges a bare signature by the public key of the same answer.
fn verify(answer: &Value, scheme: Scheme, message: &[u8], signature: Vec<u8>) {
    let spki = STANDARD.decode(text(&answer["public_key"])).unwrap();
    let public = PublicKey::from_spki(&spki).unwrap();
    public.verify(scheme, &ToSign::of_message(scheme, message), &RawSignature(signature)).unwrap();
}

fn url_safe(answer: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text(&answer["signature"])).unwrap()
}

fn prefixed(data: &[u8]) -> Vec<u8> {
    [b"Content-Signature:\0", data].concat()
}

#[tokio::test]
async fn a_batch_is_answered_in_its_order_by_signers_of_every_type() {
    let config = "
        [[autograph.signer]]
        id = \"remote-settings\"
        key = \"p384\"
        x5u = \"https://example.org/chain\"
        [[autograph.signer]]
        id = \"pss_512\"
        key = \"rsa\"
        type = \"genericrsa\"
        mode = \"pss\"
        hash = \"sha512\"";
    for house in House::on_both(config).await {
        for (name, kind) in [("p256", "p256"), ("p384", "p384"), ("p521", "p521"), ("rsa", "rsa-2048")] {
            house.key(name, kind).await;
        }
        let pair = Pair::new(&house, "ana", &["signer"]).await;
        let ids = ["p256", "rsa", "remote-settings", "p521", "pss_512", "p384"];
        let requests = ids.map(|id| input(DATA, id));
        let answer = post(&house, &pair, "/sign/data", json!(requests)).await;
        assert_eq!(answer.header("content-type"), "application/json");
        let answers = answer.expect(201);
        for (answer, id) in answers.as_array().unwrap().iter().zip(ids) {
            assert_eq!(answer["signer_id"], id);
            assert!(text(&answer["ref"]).len() > 10);
            let (kind, mode, opts) = match id {
                "rsa" => ("genericrsa", "pkcs15", json!({"Hash": 5})),
                "pss_512" => ("genericrsa", "pss", json!({"SaltLength": 64, "Hash": 7})),
                "p256" => ("contentsignature", "p256ecdsa", Value::Null),
                "p521" => ("contentsignature", "p521ecdsa", Value::Null),
                _ => ("contentsignature", "p384ecdsa", Value::Null),
            };
            assert_eq!((&answer["type"], &answer["mode"]), (&json!(kind), &json!(mode)));
            assert_eq!(answer["signer_opts"], opts);
            let x5u = if id == "remote-settings" { "https://example.org/chain" } else { "" };
            assert_eq!(answer["x5u"], if kind == "genericrsa" { Value::Null } else { json!(x5u) });
            if kind == "genericrsa" {
                let signature = STANDARD.decode(text(&answer["signature"])).unwrap();
                let pss = mode == "pss";
                let scheme =
                    if pss { Scheme::RsaPss(HashAlg::Sha512) } else { Scheme::RsaPkcs1(HashAlg::Sha256) };
                verify(answer, scheme, DATA, signature);
                continue;
            }
            let (hash, width) = match mode {
                "p256ecdsa" => (HashAlg::Sha256, 32),
                "p384ecdsa" => (HashAlg::Sha384, 48),
                _ => (HashAlg::Sha512, 66),
            };
            let signature = url_safe(answer);
            assert_eq!(signature.len(), 2 * width);
            verify(answer, Scheme::Ecdsa(hash), &prefixed(DATA), signature);
        }
        house.close().await;
    }
}

#[tokio::test]
async fn two_signatures_of_the_same_data_differ() {
    let house = House::open().await;
    house.key("content", "p384").await;
    let pair = Pair::new(&house, "ana", &["signer"]).await;
    let twice = json!([input(DATA, "content"), input(DATA, "content")]);
    let answers = post(&house, &pair, "/sign/data", twice).await.expect(201);
    assert_ne!(answers[0]["signature"], answers[1]["signature"]);
    assert_ne!(answers[0]["ref"], answers[1]["ref"]);
    house.close().await;
}

#[tokio::test]
async fn a_hash_is_signed_as_it_is_whatever_its_length_with_ec_and_one_length_with_rsa() {
    let house = House::open().await;
    house.key("content", "p384").await;
    house.key("rsa", "rsa-2048").await;
    let pair = Pair::new(&house, "ana", &["signer"]).await;
    let message = prefixed(DATA);
    for hash in [HashAlg::Sha256, HashAlg::Sha384, HashAlg::Sha512] {
        let digest = hash.digest(&message);
        let asked = json!([input(digest.as_bytes(), "content")]);
        let answers = post(&house, &pair, "/sign/hash", asked).await.expect(201);
        verify(&answers[0], Scheme::Ecdsa(hash), &message, url_safe(&answers[0]));
        let answer = post(&house, &pair, "/sign/hash", json!([input(digest.as_bytes(), "rsa")])).await;
        match hash {
            HashAlg::Sha256 => {
                let answers = answer.expect(201);
                let signature = STANDARD.decode(text(&answers[0]["signature"])).unwrap();
                verify(&answers[0], Scheme::RsaPkcs1(hash), &message, signature);
            }
            _ => assert!(refused(&answer, 400).contains("expected 32")),
        }
    }
    for length in [0, 1, 20, 31, 33, 49, 65] {
        let asked = json!([input(&vec![1; length], "content")]);
        let told = refused(&post(&house, &pair, "/sign/hash", asked).await, 400);
        assert!(length == 0 || told.contains("expected 32, 48 or 64"), "{told}");
    }
    house.close().await;
}

/// A hash can be of anything, so whoever may only sign prefixed data must not have one signed.
#[tokio::test]
async fn who_may_sign_content_only_has_no_hash_signed() {
    let house = House::open().await;
    house.key("content", "p384").await;
    let seen = house.ask("GET", "/countersign/v1/policy").send().await;
    let mut policy = seen.expect(200);
    policy["rules"].as_array_mut().unwrap().push(json!({
        "id": "content-only", "effect": "allow", "principals": ["role:content"], "actions": ["key:sign"],
        "resources": ["key:content"], "formats": ["content-signature"],
    }));
    let put = house.ask("PUT", "/countersign/v1/policy").header("if-match", seen.header("etag"));
    put.json(json!({ "rules": policy["rules"] })).send().await.expect(200);
    let pair = Pair::new(&house, "ana", &["content"]).await;
    post(&house, &pair, "/sign/data", json!([input(DATA, "content")])).await.expect(201);
    let hash = HashAlg::Sha384.digest(DATA);
    let told =
        refused(&post(&house, &pair, "/sign/hash", json!([input(hash.as_bytes(), "content")])).await, 401);
    assert_eq!(told, format!("{} is not authorized to sign with key ID content", pair.id));
    // Nor by the old form, unless it has the prefix.
    let old = |template: Value| json!([{ "input": base64(DATA), "keyid": "content", "hashwith": "sha384", "template": template }]);
    refused(&post(&house, &pair, "/signature", old(Value::Null)).await, 401);
    post(&house, &pair, "/signature", old(json!("content-signature"))).await.expect(201);
    house.close().await;
}

#[tokio::test]
async fn the_first_form_of_the_service_is_answered_too() {
    let house = House::open().await;
    house.key("content", "p384").await;
    let pair = Pair::new(&house, "ana", &["signer"]).await;
    let data = b"[{\"id\":\"a\"}]";
    for (encoding, named) in [
        (Value::Null, "rs_base64url"),
        (json!("rs_base64"), "rs_base64"),
        (json!("der_base64"), "der_base64"),
        (json!("der_base64url"), "der_base64url"),
    ] {
        let asked = json!([{ "input": base64(data), "hashwith": "sha384", "signature_encoding": encoding }]);
        let answers = post(&house, &pair, "/signature", asked).await.expect(201);
        let answer = &answers[0];
        assert_eq!(
            (&answer["hash_algorithm"], &answer["signature_encoding"]),
            (&json!("sha384"), &json!(named))
        );
        let url = named.ends_with("url");
        let signature = text(&answer["signature"]);
        let signature =
            if url { URL_SAFE_NO_PAD.decode(signature) } else { STANDARD.decode(signature) }.unwrap();
        let signature = if named.starts_with("der") {
            RawSignature::decode(&signature, Some(48), countersign_model::Encoding::Der).unwrap().0
        } else {
            signature
        };
        verify(answer, Scheme::Ecdsa(HashAlg::Sha384), data, signature);
    }
    // Without `hashwith` it is a hash.
    let hash = HashAlg::Sha384.digest(data);
    let answers = post(&house, &pair, "/signature", json!([{ "input": base64(hash.as_bytes()) }])).await;
    let answers = answers.expect(201);
    verify(&answers[0], Scheme::Ecdsa(HashAlg::Sha384), data, url_safe(&answers[0]));
    for bad in [json!({"hashwith": "sha1"}), json!({"template": "x"}), json!({"signature_encoding": "hex"})] {
        let mut asked = json!({ "input": base64(data), "hashwith": "sha384" });
        asked.as_object_mut().unwrap().extend(bad.as_object().unwrap().clone());
        refused(&post(&house, &pair, "/signature", json!([asked])).await, 400);
    }
    house.close().await;
}

#[tokio::test]
async fn without_a_key_id_the_first_signer_that_the_client_may_use_signs() {
    let config = "[[autograph.signer]]\nid = \"chosen\"\nkey = \"z\"";
    let house = House::with(config).await;
    house.key("edwards", "ed25519").await;
    let pair = Pair::new(&house, "ana", &["signer"]).await;
    let asked = json!([{ "input": base64(DATA) }]);
    let told = refused(&post(&house, &pair, "/sign/data", asked.clone()).await, 401);
    assert_eq!(told, format!("\"{}\" does not have a default signing key", pair.id));
    let signer = async |pair: &Pair| {
        let answers = post(&house, pair, "/sign/data", asked.clone()).await.expect(201);
        text(&answers[0]["signer_id"])
    };
    for made in ["b", "a", "c"] {
        house.key(made, "p256").await;
        assert_eq!(signer(&pair).await, "b", "the oldest: a new key takes no other's place");
    }
    assert!(house.ask("POST", "/countersign/v1/keys/b/retire").send().await.status.is_success());
    assert_eq!(signer(&pair).await, "a");
    allow(&house, "bo", "key:c").await;
    let bo = Pair::new(&house, "bo", &["reader"]).await;
    assert_eq!((signer(&bo).await, signer(&pair).await), ("c".into(), "a".into()));
    // One of the configuration goes first, however young its key is.
    house.key("z", "p256").await;
    assert_eq!((signer(&bo).await, signer(&pair).await), ("c".into(), "chosen".into()));
    house.close().await;
}

/// Adds a rule by which `principal` may have content signed with the key.
async fn allow(house: &House, principal: &str, resource: &str) {
    let current = house.ask("GET", "/countersign/v1/policy").send().await;
    let mut policy = current.expect(200);
    policy["rules"].as_array_mut().unwrap().push(json!({
        "id": format!("for-{principal}"), "effect": "allow", "principals": [principal],
        "actions": ["key:sign"], "resources": [resource], "formats": ["content-signature"]
    }));
    let put = house.ask("PUT", "/countersign/v1/policy").header("if-match", current.header("etag"));
    put.json(json!({ "rules": policy["rules"] })).send().await.expect(200);
}

#[tokio::test]
async fn what_a_signer_cannot_do_is_told_only_to_whom_it_may_sign_for() {
    let house = House::open().await;
    house.key("content", "p384").await;
    house.key("rsa", "rsa-2048").await;
    let (ana, reader) =
        (Pair::new(&house, "ana", &["signer"]).await, Pair::new(&house, "rea", &["reader"]).await);
    let files = json!([{ "keyid": "content", "files": [{ "name": "a.dsc", "content": base64(DATA) }] }]);
    for (path, key, asked) in [
        ("/sign/files", "content", files),
        ("/sign/file", "content", json!([input(DATA, "content")])),
        ("/sign/hash", "content", json!([{ "input": "*not base64*", "keyid": "content" }])),
        ("/sign/data", "content", json!([input(b"short", "content")])),
        ("/signature", "rsa", json!([input(DATA, "rsa")])),
    ] {
        refused(&post(&house, &ana, path, asked.clone()).await, 400);
        let told = refused(&post(&house, &reader, path, asked).await, 401);
        assert_eq!(told, format!("{} is not authorized to sign with key ID {key}", reader.id), "{path}");
    }
    // Rights on one kind of signature are enough to be told.
    allow(&house, "rea", "key:content").await;
    refused(&post(&house, &reader, "/sign/file", json!([input(DATA, "content")])).await, 400);
    house.close().await;
}

#[tokio::test]
async fn unknown_keys_foreign_keys_and_keys_of_surfaces_are_refused_alike() {
    let house = House::open().await;
    house.key("content", "p384").await;
    house.key("edwards", "ed25519").await;
    let (ana, reader) =
        (Pair::new(&house, "ana", &["signer"]).await, Pair::new(&house, "rea", &["reader"]).await);
    let admin = Pair::of(&house, "admin").await;
    for (pair, key) in [
        (&ana, "nosuch"),
        (&ana, "NO SUCH"),
        (&ana, "edwards"),
        (&reader, "content"),
        (&reader, "nosuch"),
        (&admin, "log/publication"),
        (&admin, "collections/main"),
        (&admin, "../x"),
    ] {
        let answer = post(&house, pair, "/sign/data", json!([input(DATA, key)])).await;
        let told = refused(&answer, 401);
        assert_eq!(told, format!("{} is not authorized to sign with key ID {key}", pair.id));
    }
    house.close().await;
}

#[tokio::test]
async fn a_key_that_does_not_sign_is_refused_and_with_it_the_whole_batch() {
    let house = House::open().await;
    house.key("content", "p384").await;
    house.key("old", "p384").await;
    let limited = json!({ "name": "tags", "type": "p384", "formats": ["tag"] });
    house.ask("POST", "/countersign/v1/keys").json(limited).send().await.expect(201);
    let pair = Pair::new(&house, "ana", &["signer"]).await;
    let entries = async || {
        let head = house.ask("GET", "/countersign/v1/log").send().await.expect(200);
        head["logs"][0]["size"].as_u64().unwrap()
    };
    assert!(house.ask("POST", "/countersign/v1/keys/old/retire").send().await.status.is_success());
    let before = entries().await;
    for (key, code) in [("old", 409), ("tags", 422)] {
        let asked = json!([input(DATA, "content"), input(DATA, key)]);
        let answer = post(&house, &pair, "/sign/data", asked).await;
        let status = answer.status.as_u16();
        assert!(status == code || (400..500).contains(&status), "{key}: {status}");
        refused(&answer, status);
    }
    let asked = json!([input(DATA, "content"), input(DATA, "nosuch")]);
    refused(&post(&house, &pair, "/sign/data", asked).await, 401);
    assert_eq!(entries().await, before, "nothing was signed");
    house.close().await;
}

#[tokio::test]
async fn what_is_no_request_is_refused_with_400() {
    let house = House::open().await;
    house.key("content", "p384").await;
    house.key("rsa", "rsa-2048").await;
    let pair = Pair::new(&house, "ana", &["signer"]).await;
    let send =
        async |path: &str, body: String| super::client::Signing::post(&pair, path, body).send(&house).await;
    for bad in [
        "".to_owned(),
        "[]".into(),
        "{\"input\": \"aGVsbG8gd29ybGQh\"}".into(),
        "[{\"input\": 1234567}]".into(),
        "[{\"input\": null}]      ".into(),
        "[{\"input\": \"\"}]      ".into(),
        "[{\"keyid\": \"content\"}]".into(),
        "[{\"input\": \"*not base64*\", \"keyid\": \"content\"}]".into(),
        format!("[{{\"input\": \"{}\"}}]", base64(b"too short")),
        "[{\"input\": \"aGVsbG8gd29ybGQh\", \"input\": \"aGVsbG8gd29ybGQh\"}]".into(),
        "[{\"input\": \"aGVsbG8gd29ybGQh\"}".into(),
        "[[\"aGVsbG8gd29ybGQh\"]".into(),
        format!("[{}]", "[".repeat(60_000)),
        format!("[{}]", vec!["{\"input\":\"aGVsbG8gd29ybGQh\"}"; 1001].join(",")),
        "[{\"input\": \"\u{fffd}\", \"keyid\": \"content\"}]".into(),
        "[{\"input\": \"\\ud800\"}]".into(),
    ] {
        let answer = send("/sign/data", bad.clone()).await;
        assert_eq!(answer.status.as_u16(), 400, "{bad:.60}: {}", answer.text());
        refused(&answer, 400);
    }
    assert_eq!(send("/sign/data", "[         ]".into()).await.expect(201), json!([]));
    let escaped = "[{\"input\": \"aGVsbG8gd29y\\u0062GQh\", \"keyid\": \"content\", \"options\": {\"a\": [1]}, \"x\": 1}]";
    send("/sign/data", escaped.to_owned()).await.expect(201);

    let file = json!([input(DATA, "rsa")]);
    let told = refused(&post(&house, &pair, "/sign/file", file).await, 400);
    assert_eq!(told, "requested signer \"rsa\" does not implement file signing");
    let files = json!([{ "keyid": "rsa", "files": [{ "name": "a.dsc", "content": base64(DATA) }] }]);
    let told = refused(&post(&house, &pair, "/sign/files", files).await, 400);
    assert_eq!(told, "requested signer \"rsa\" does not implement multiple file signing");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_data_is_signed_as_a_whole() {
    let house = House::open().await;
    house.key("content", "p384").await;
    let pair = Pair::new(&house, "ana", &["signer"]).await;
    let data: Vec<u8> = (0..3_000_001_u32).map(|i| (i % 251) as u8).collect();
    let answers = post(&house, &pair, "/sign/data", json!([input(&data, "content")])).await.expect(201);
    verify(&answers[0], Scheme::Ecdsa(HashAlg::Sha384), &prefixed(&data), url_safe(&answers[0]));
    house.close().await;
}
