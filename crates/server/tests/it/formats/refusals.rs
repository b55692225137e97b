//! What is refused, and how it is said.

use serde_json::{Value, json};

use crate::support::{Answer, House};

async fn ask(house: &House, token: &str, key: &str, what: &str, document: Value) -> Answer {
    let path = format!("/countersign/v1/keys/{key}/{what}");
    house.ask_as(token, "POST", &path).json(document).send().await
}

#[tokio::test]
async fn members_that_are_missing_wrong_or_mean_nothing_are_named() {
    let house = House::open().await;
    let admin = house.admin.clone();
    let certificate = house.signer("a", "rsa-2048").await;
    let other = house.signer("b", "rsa-2048").await;
    let sha512 = format!("sha512:{}", "ab".repeat(64));
    for (member, document) in [
        ("format", json!({"format": "tuf", "message": "YQ=="})),
        ("format", json!({"format": "nosuch", "message": "YQ=="})),
        ("certificate", json!({"format": "kmod", "message": "YQ=="})),
        ("certificate", json!({"format": "kmod", "message": "YQ==", "certificate": "!"})),
        ("certificate", json!({"format": "kmod", "message": "YQ==", "certificate": "YQ=="})),
        ("certificate", json!({"format": "kmod", "message": "YQ==", "certificate": other})),
        ("certificate", json!({"format": "openpgp", "message": "YQ==", "certificate": certificate})),
        ("certificate", json!({"message": "YQ==", "certificate": certificate})),
        ("certificate", json!({"format": "rpi-eeprom", "message": "YQ==", "certificate": certificate})),
        ("variable", json!({"format": "efi-var", "message": "YQ==", "certificate": certificate})),
        (
            "variable",
            json!({"format": "cms", "message": "YQ==", "certificate": certificate, "variable": "db"}),
        ),
        (
            "signing_time",
            json!({"format": "kmod", "message": "YQ==", "certificate": certificate, "signing_time": true}),
        ),
        ("message", json!({"format": "kmod", "message": "", "certificate": certificate})),
        ("message", json!({"format": "authenticode", "message": "YQ==", "certificate": certificate})),
        (
            "message",
            json!({"format": "efi-var", "message": "YQ==", "certificate": certificate, "variable": "db"}),
        ),
        (
            "encoding",
            json!({"format": "cms", "message": "YQ==", "certificate": certificate, "encoding": "der"}),
        ),
        (
            "scheme",
            json!({"format": "kmod", "message": "YQ==", "certificate": certificate, "scheme": "rsa-pkcs1-sha256"}),
        ),
    ] {
        let answer = ask(&house, &admin, "a", "sign", document.clone()).await;
        assert_eq!(answer.refused(400, "invalid-request")["member"], member, "{document} {}", answer.text());
    }
    let efi = json!({"format": "efi-var", "digest": sha512, "certificate": certificate, "variable": "db"});
    ask(&house, &admin, "a", "sign", efi).await.refused(422, "digest-not-supported");
    let cms = json!({"format": "cms", "digest": sha512, "certificate": certificate});
    ask(&house, &admin, "a", "sign", cms).await.refused(422, "scheme-mismatch");

    let p384 = house.signer("c", "p384").await;
    let program = json!({"format": "authenticode", "message": "YQ==", "certificate": p384});
    let refused = ask(&house, &admin, "c", "sign", program).await.refused(422, "scheme-mismatch");
    assert_eq!(refused["detail"], "format `authenticode` is not signed with keys of type `p384`");
    house.close().await;
}

#[tokio::test]
async fn a_key_and_a_rule_that_name_formats_are_held_to_them() {
    let house = House::open().await;
    let admin = house.admin.clone();
    let make = json!({"name": "modules", "type": "rsa-2048", "formats": ["kmod", "x509"]});
    house.ask("POST", "/countersign/v1/keys").json(make).send().await.expect(201);
    let certificate = house.of_key("modules", "self-sign", json!({"subject": "/CN=m", "days": 3})).await;
    let with = |format: &str| json!({"format": format, "message": "YQ==", "certificate": certificate["certificate"]});
    ask(&house, &admin, "modules", "sign", with("kmod")).await.expect(200);
    ask(&house, &admin, "modules", "sign", with("cms")).await.refused(422, "format-not-allowed");
    let bare = json!({"message": "YQ=="});
    ask(&house, &admin, "modules", "sign", bare).await.refused(422, "format-not-allowed");
    let user = json!({"name": "A", "email": "a@example.org"});
    ask(&house, &admin, "modules", "openpgp", user).await.refused(422, "format-not-allowed");

    // A principal that may sign modules, and nothing else.
    let farm = house.somebody("farm", &[]).await;
    ask(&house, &farm, "modules", "sign", with("kmod")).await.refused(403, "not-permitted");
    let policy = house.ask("GET", "/countersign/v1/policy").send().await;
    let mut rules = policy.document()["rules"].clone();
    rules.as_array_mut().unwrap().push(json!({"id": "farm", "effect": "allow", "principals": ["farm"],
        "actions": ["key:sign"], "resources": ["key:modules"], "formats": ["kmod"]}));
    let put = house.ask("PUT", "/countersign/v1/policy").header("if-match", policy.header("etag"));
    put.json(json!({"rules": rules})).send().await.expect(200);
    ask(&house, &farm, "modules", "sign", with("kmod")).await.expect(200);
    ask(&house, &farm, "modules", "sign", with("cms")).await.refused(403, "not-permitted");
    let mine = json!({"subject": "/CN=mine", "days": 3});
    ask(&house, &farm, "modules", "self-sign", mine).await.refused(403, "not-permitted");
    // Nobody without permission learns which keys there are.
    ask(&house, &farm, "nosuch", "sign", with("kmod")).await.refused(403, "not-permitted");
    ask(&house, &admin, "nosuch", "sign", with("kmod")).await.refused(404, "unknown-key");
    house.close().await;
}
