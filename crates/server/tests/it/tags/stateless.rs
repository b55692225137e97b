//! `POST /tags/validate` and `POST /tags/sign`.

use serde_json::json;

use super::{authority, authority_of, refused, register, revoke, sha256, signed};
use crate::support::House;

#[tokio::test]
async fn a_signed_text_is_validated_for_everybody_and_the_answer_says_by_whom() {
    let house = House::open().await;
    authority(&house, "a").await;
    authority(&house, "b").await;
    let file = signed(&house, "a,b", "build=42").await;

    let validate = |query: &'static str| house.ask_as_nobody("POST", query).body("text/plain", file.clone());
    let answer = validate("/tags/validate?authorities=a,b").send().await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "build=42\n"));
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(answer.header("countersign-authorities"), "a,b");
    assert_eq!(answer.header("countersign-payload-sha256"), sha256("build=42\n"));

    let answer = validate("/tags/validate?authorities=b").header("accept", "application/json").send().await;
    let document = answer.expect(200);
    assert_eq!((&document["valid"], &document["payload"]), (&json!(true), &json!("build=42\n")));
    let worth = &document["authorities"]["b"];
    assert_eq!((&worth["status"], &worth["message"]), (&json!("valid"), &json!("valid")));
    assert!(worth["key"].as_str().unwrap().starts_with("sha256:"));

    // The file can come in every form that a payload can.
    let form = url_encoded(&file);
    for (path, kind, body) in [
        (format!("/tags/validate?authorities=a&payload={form}"), "text/plain", String::new()),
        (
            "/tags/validate".into(),
            "application/x-www-form-urlencoded",
            format!("authorities=a&content={form}"),
        ),
        ("/tags/validate?authorities=a".into(), "application/json", json!({"payload": file}).to_string()),
        (
            "/tags/validate".into(),
            "application/json",
            json!({"payload": file, "authorities": ["a"]}).to_string(),
        ),
        ("/tags/validate?authorities=a".into(), "application/octet-stream", file.clone()),
    ] {
        let answer = house.ask_as_nobody("POST", &path).body(kind, body).send().await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "build=42\n"), "{path} {kind}");
    }
    house.close().await;
}

fn url_encoded(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02X}")).collect()
}

#[tokio::test]
async fn a_text_that_is_not_valid_is_refused_by_the_first_that_fails_and_not_shown() {
    let house = House::open().await;
    for name in ["a", "b", "gone"] {
        authority(&house, name).await;
    }
    let good = signed(&house, "a,gone", "SECRET-42").await;
    revoke(&house, "gone", None, None).await;
    let changed = good.replace("SECRET-42", "SECRET-43");
    let block = &good[good.find("=== ").unwrap()..];
    let a_block = &block[..block[1..].find("=== ").unwrap() + 1];
    let twice = format!("{good}{a_block}");
    let cases = [
        ("a", changed.as_str(), 403, "invalid-signature", "invalid"),
        ("b", &good, 403, "not-signed", "missing"),
        ("a,b", &good, 403, "not-signed", "missing"),
        ("gone", &good, 403, "revoked", "revoked"),
        ("nobody", &good, 404, "unknown-authority", "unknown"),
        ("a,nobody", &good, 404, "unknown-authority", "unknown"),
        ("a", "SECRET-42", 403, "not-signed", "missing"),
        ("a", "", 400, "empty", ""),
        ("a", block, 400, "empty", ""),
        ("a", &twice, 400, "bad-format", ""),
        ("", &good, 400, "no-authorities", ""),
        ("../a", &good, 400, "bad-name", ""),
    ];
    for (authorities, file, status, error, worth) in cases {
        let path = format!("/tags/validate?authorities={authorities}");
        let ask = || house.ask_as_nobody("POST", &path).body("text/plain", file);
        let answer = ask().send().await;
        refused(&answer, status, error);
        assert!(!answer.text().contains("SECRET"), "{}", answer.text());
        assert_eq!(answer.header("countersign-authorities"), "");

        let text = ask().header("accept", "text/plain").send().await;
        assert_eq!(text.header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(text.status.as_u16(), status);
        assert!(!text.text().contains(['{', 'S']), "{}", text.text());

        let json = ask().header("accept", "application/json").send().await;
        assert!(!json.text().contains("SECRET"), "{}", json.text());
        if !worth.is_empty() {
            let document = json.expect(403);
            assert_eq!(document["valid"], false);
            let last = authorities.split(',').next_back().unwrap();
            assert_eq!(document["authorities"][last]["status"], worth, "{document}");
        }
    }
    let none = house.ask_as_nobody("POST", "/tags/validate").body("text/plain", good.clone()).send().await;
    refused(&none, 400, "no-authorities");
    house.close().await;
}

#[tokio::test]
async fn signatures_are_added_to_a_text_and_to_a_signed_one() {
    let house = House::open().await;
    authority(&house, "a").await;
    authority(&house, "b").await;
    let answer = house.ask("POST", "/tags/sign?authority=a").body("text/plain", "x\ny").send().await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().starts_with("x\ny\n=== SIGNATURE a\n"));
    assert_eq!(answer.header("countersign-payload-lines"), "2");
    assert!(!answer.header("countersign-log").is_empty());

    let more = house.ask("POST", "/tags/sign?authority=b&signed=1").header("accept", "application/json");
    let document = more.body("text/plain", answer.text()).send().await.expect(200);
    assert_eq!((&document["lines"], &document["kept"]), (&json!(2), &json!(["a"])));
    let made = &document["signatures"]["b"];
    assert!(made["key"].is_string() && made["signature"].is_string() && made["at"].is_string(), "{made}");
    let both = document["signed"].as_str().unwrap();
    let valid = house.ask_as_nobody("POST", "/tags/validate?authorities=a,b").body("text/plain", both);
    assert_eq!(valid.send().await.text(), "x\ny\n");
    house.close().await;
}

#[tokio::test]
async fn a_signature_is_refused_for_what_is_asked_and_for_who_asks() {
    let house = House::open().await;
    for name in ["a", "b"] {
        authority(&house, name).await;
    }
    authority_of(&house, "many", "ec-p256", 2).await;
    let limited = super::writer(&house, "ana", "a", "x/").await;
    let large = "x".repeat((1 << 20) + 1);
    for (query, body, status, error) in [
        ("authority=a", "", 400, "empty"),
        ("", "x", 400, "no-authority"),
        ("authority=", "x", 400, "no-authority"),
        ("authority=a b", "x", 400, "bad-name"),
        ("authority=nobody", "x", 404, "unknown-authority"),
        ("authority=a&payload=y", "x", 400, "ambiguous"),
        ("authority=a&authorities=b", "x", 400, "ambiguous"),
        ("authority=a&force=1", "x", 400, "bad-request"),
        ("authority=a&signed=maybe", "x", 400, "bad-request"),
        ("authority=a&authority=many", "x", 400, "bad-request"),
        ("authority=a&detached=1", "x", 403, "not-allowed"),
        ("authority=a", large.as_str(), 413, "too-large"),
    ] {
        let path = format!("/tags/sign?{}", query.replace(' ', "%20"));
        refused(&house.ask("POST", &path).body("text/plain", body).send().await, status, error);
    }
    let long = format!("/tags/sign?payload={}", "x".repeat(9 << 10));
    refused(&house.ask("POST", &long).send().await, 414, "too-long");

    let path = "/tags/sign?authority=b";
    refused(&house.ask_as_nobody("POST", path).body("text/plain", "x").send().await, 401, "no-credentials");
    refused(
        &house.ask_as("cst_x", "POST", path).body("text/plain", "x").send().await,
        401,
        "bad-credentials",
    );
    let api_key = house.ask_as_nobody("POST", path).header("x-api-key", &house.admin);
    refused(&api_key.body("text/plain", "x").send().await, 401, "no-credentials");
    refused(&house.ask_as(&limited, "POST", path).body("text/plain", "x").send().await, 403, "not-allowed");
    let own = house.ask_as(&limited, "POST", "/tags/sign?authority=a").body("text/plain", "x");
    assert_eq!(own.send().await.status, 200);
    let basic = crate::support::base64(format!("admin:{}", house.admin).as_bytes());
    let basic = house.ask_as_nobody("POST", path).header("authorization", &format!("Basic {basic}"));
    assert_eq!(basic.body("text/plain", "x").send().await.status, 200);
    let html = house.ask("POST", path).body("text/html", "x").send().await;
    refused(&html, 415, "unsupported-media-type");
    house.close().await;
}

#[tokio::test]
async fn an_authority_that_needs_more_voices_makes_the_signature_wait() {
    let house = House::open().await;
    authority_of(&house, "many", "ec-p256", 2).await;
    let answer = house.ask("POST", "/tags/sign?authority=many").body("text/plain", "x").send().await;
    let document = answer.expect(202);
    assert_eq!((&document["state"], &document["need"]), (&json!("waiting"), &json!(2)));
    assert_eq!(answer.header("location"), format!("/tags/requests/{}", document["id"].as_str().unwrap()));
    house.close().await;
}

#[tokio::test]
async fn signatures_outside_the_window_of_a_revocation_stay_good_if_they_are_recorded() {
    let house = House::open().await;
    authority(&house, "a").await;
    let file = signed(&house, "a", "x").await;
    let validate = async || {
        let ask =
            house.ask_as_nobody("POST", "/tags/validate?authorities=a").body("text/plain", file.clone());
        ask.send().await
    };
    assert_eq!(validate().await.status, 200);
    // Recorded today, and the window is of years ago.
    revoke(&house, "a", Some("2001-01-01T00:00:00Z"), Some("2001-02-01T00:00:00Z")).await;
    assert_eq!(validate().await.status, 200, "{}", validate().await.text());
    revoke(&house, "a", Some("2001-01-01T00:00:00Z"), None).await;
    refused(&validate().await, 403, "revoked");
    house.close().await;
}

#[tokio::test]
async fn a_bare_signature_of_a_revoked_key_has_no_time_and_is_refused() {
    let house = House::open().await;
    let key = super::openssl::Key::new("ec", &["-pkeyopt", "ec_paramgen_curve:P-256"]);
    register(&house, "ext", &key.public).await;
    let file = key.sign("x\n", "ext");
    let ask =
        || house.ask_as_nobody("POST", "/tags/validate?authorities=ext").body("text/plain", file.clone());
    assert_eq!(ask().send().await.status, 200);
    revoke(&house, "ext", Some("2001-01-01T00:00:00Z"), Some("2001-02-01T00:00:00Z")).await;
    refused(&ask().send().await, 403, "revoked");
    house.close().await;
}
