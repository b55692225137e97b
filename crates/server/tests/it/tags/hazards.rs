//! The hazards of the format that concern the service, each by its number in the contract.

use super::openssl::Key;
use super::{authority, get, refused, revoke, signed, write};
use crate::support::House;

#[tokio::test]
async fn hazard_1_a_header_line_in_a_text_to_be_signed_is_refused_with_its_line() {
    let house = House::open().await;
    authority(&house, "a").await;
    let block = {
        let file = signed(&house, "a", "x").await;
        file[file.find("=== ").unwrap()..].to_owned()
    };
    for (text, line) in [
        ("amount=1\n=== SIGNATURE zz\nlimit=none\n".to_owned(), 2),
        ("a\nb\n === signature\n".into(), 3),
        ("a\r=== SIGNATURE a\n".into(), 1),
        ("=== SIGNATURE\n".into(), 1),
        // A block that is well-formed is one line too many, too: what is raw has none.
        (format!("x\n{block}"), 2),
    ] {
        for path in ["/tags/sign?authority=a", "/tags/app?authority=a"] {
            let answer = house.ask("POST", path).body("text/plain", text.clone()).send().await;
            let document = refused(&answer, 400, "header-in-payload");
            assert_eq!(document["line"], line, "{text:?}");
            assert!(!answer.text().contains("amount"), "{document}");
        }
    }
    // In a file that is signed already, what stands below the first header is blocks and nothing else.
    for (text, line) in [
        ("amount=1\n=== SIGNATURE zz\nlimit=none\n".to_owned(), 2),
        (format!("x\n{block}{block}"), 5),
        (format!("x\n{block}=== SIGNATURE ../../b\nAAAAAAAAAAAA\n"), 5),
    ] {
        let sign = house.ask("POST", "/tags/sign?authority=a&signed=1").body("text/plain", text.clone());
        let line_of = |document: serde_json::Value| document["line"].as_u64().unwrap();
        let found = line_of(refused(&sign.send().await, 400, "header-in-payload"));
        let put = house.ask("PUT", "/tags/app").body("text/plain", text.clone());
        assert_eq!(line_of(refused(&put.send().await, 400, "header-in-payload")), found);
        assert_eq!(found, line, "{text}");
    }
    assert_eq!(get(&house, "/tags/app").await.status, 404);
    house.close().await;
}

#[tokio::test]
async fn hazard_2_a_block_of_an_unknown_name_is_said_to_be_kept_and_how_much_is_signed() {
    let house = House::open().await;
    authority(&house, "a").await;
    let text = "short\n=== SIGNATURE unknown\nAAAAAAAAAAAA\n";
    let sign = house.ask("POST", "/tags/sign?authority=a&signed=1").header("accept", "application/json");
    let document = sign.body("text/plain", text).send().await.expect(200);
    assert_eq!((&document["lines"], &document["kept"]), (&1.into(), &serde_json::json!(["unknown"])));
    house.close().await;
}

#[tokio::test]
async fn hazard_3_names_of_authorities_lead_nowhere_else() {
    let house = House::open().await;
    authority(&house, "a").await;
    for name in ["../../x", ".a", "payload", "a..b", "a/b", "$(id)", &"n".repeat(65)] {
        let name: String = name.bytes().map(|b| format!("%{b:02x}")).collect();
        for path in [
            format!("/tags/sign?authority={name}"),
            format!("/tags/validate?authorities={name}"),
            format!("/tags/app?authority={name}"),
        ] {
            refused(&house.ask("POST", &path).body("text/plain", "x").send().await, 400, "bad-name");
        }
    }
    // In a file such a block is as if absent for who validates.
    let file = signed(&house, "a", "x").await + "=== SIGNATURE ../../x\nAAAA\n";
    let valid = house.ask_as_nobody("POST", "/tags/validate?authorities=a").body("text/plain", file);
    assert_eq!(valid.send().await.text(), "x\n");
    house.close().await;
}

#[tokio::test]
async fn hazard_4_nothing_is_validated_without_saying_by_whom() {
    let house = House::open().await;
    authority(&house, "a").await;
    write(&house, "app", "a", "SECRET").await;
    let file = get(&house, "/tags/app").await.text();
    for path in ["/tags/validate", "/tags/validate?authorities=", "/tags/validate?authority="] {
        let answer = house.ask_as_nobody("POST", path).body("text/plain", file.clone()).send().await;
        refused(&answer, 400, "no-authorities");
        assert!(!answer.text().contains("SECRET"));
    }
    refused(&get(&house, "/tags/app?authorities=").await, 400, "no-authorities");
    house.close().await;
}

#[tokio::test]
async fn hazard_6_several_blocks_of_one_authority_are_no_signature() {
    let house = House::open().await;
    authority(&house, "a").await;
    let file = signed(&house, "a", "x").await;
    let block = &file[file.find("=== ").unwrap()..];
    let twice = format!("{file}{block}");
    let answer =
        house.ask_as_nobody("POST", "/tags/validate?authorities=a").body("text/plain", twice.clone());
    refused(&answer.send().await, 400, "bad-format");
    refused(&house.ask("PUT", "/tags/app").body("text/plain", twice).send().await, 400, "header-in-payload");
    house.close().await;
}

#[tokio::test]
async fn hazard_9_an_old_tag_counts_no_more_once_its_key_is_revoked() {
    let house = House::open().await;
    authority(&house, "a").await;
    write(&house, "app", "a", "x").await;
    assert_eq!(get(&house, "/tags/app?authorities=a").await.status, 200);
    revoke(&house, "a", None, None).await;
    refused(&get(&house, "/tags/app?authorities=a").await, 403, "revoked");
    let file = get(&house, "/tags/app").await.text();
    refused(&house.ask("PUT", "/tags/other").body("text/plain", file).send().await, 403, "revoked");
    refused(&house.ask("POST", "/tags/more?authority=a&content=y").send().await, 403, "revoked");
    house.close().await;
}

#[tokio::test]
async fn hazard_10_a_weak_key_is_not_registered() {
    let house = House::open().await;
    for bits in ["1024", "2047"] {
        let weak = Key::new("rsa", &["-pkeyopt", &format!("rsa_keygen_bits:{bits}")]);
        let register = house.ask("POST", "/authorities/old/keys").body("application/x-pem-file", weak.public);
        let document = refused(&register.send().await, 400, "bad-request");
        assert!(document["message"].as_str().unwrap().contains("2048 bits"), "{document}");
    }
    refused(&get(&house, "/authorities/old").await, 404, "unknown-authority");
    house.close().await;
}

#[tokio::test]
async fn a_payload_stands_in_no_answer_that_is_not_a_success() {
    let house = House::open().await;
    for name in ["a", "b"] {
        authority(&house, name).await;
    }
    let marked = "MARKER%0A=== SIGNATURE x".replace(' ', "+");
    write(&house, "app", "a", "MARKER").await;
    let ana = super::writer(&house, "ana", "b", "").await;
    for (token, method, path, body) in [
        (&house.admin, "POST", format!("/tags/sign?authority=a&payload={marked}"), ""),
        (&house.admin, "POST", "/tags/sign?authority=a&content=MARKER".into(), "MARKER"),
        (&house.admin, "POST", "/tags/sign?content=MARKER".into(), ""),
        (&house.admin, "POST", "/tags/validate?authorities=a".into(), "MARKER"),
        (&house.admin, "GET", "/tags/app?authorities=b".into(), ""),
        (&ana, "POST", "/tags/app".into(), "MARKER 2"),
        (&ana, "POST", "/tags/app?authority=a".into(), "MARKER"),
        (&ana, "PUT", "/tags/app".into(), "MARKER\n=== SIGNATURE b\nAAAAAAAAAAAA\n"),
        (&ana, "PUT", "/tags/app?sha256=MARKER".into(), ""),
    ] {
        for accept in ["*/*", "text/plain", "application/json"] {
            let ask = house.ask_as(token, method, &path).header("accept", accept);
            let answer = ask.body("text/plain", body).send().await;
            assert!(answer.status.is_client_error(), "{method} {path}: {}", answer.text());
            assert!(!answer.text().contains("MARKER"), "{method} {path}: {}", answer.text());
        }
    }
    house.close().await;
}
