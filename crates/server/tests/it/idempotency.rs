//! A request with an idempotency key is done once.

use serde_json::json;

use crate::support::House;

const KEY: &str = "idempotency-key";

#[tokio::test]
async fn the_first_answer_is_given_again_and_there_is_one_entry() {
    let house = House::open().await;
    house.key("p", "p256").await;
    let path = "/countersign/v1/keys/p/sign";
    let sign = |message: &str| house.ask("POST", path).header(KEY, "once").json(json!({"message": message}));
    let first = sign("").send().await;
    first.expect(200);
    assert_eq!(first.header("idempotent-replayed"), "");
    let again = sign("").send().await;
    assert_eq!(again.expect(200), first.document());
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.header("countersign-log"), first.header("countersign-log"));
    sign("eA==").send().await.refused(409, "idempotency-mismatch");
    // Another principal's key of the same name is another.
    let other = house.somebody("ana", &["signer"]).await;
    let other = house.ask_as(&other, "POST", path).header(KEY, "once").json(json!({"message": "eA=="}));
    other.send().await.expect(200);
    house.close().await;
}

#[tokio::test]
async fn a_narrowed_token_does_not_get_the_answer_of_a_wider_one() {
    let house = House::open().await;
    house.key("p", "p256").await;
    let narrow = house.ask("POST", "/countersign/v1/principals/admin/tokens");
    let narrow = narrow.json(json!({"resources": ["key:other"]})).send().await;
    let narrow = narrow.expect(201)["token"].as_str().unwrap().to_owned();
    let path = "/countersign/v1/keys/p/sign";
    let body = json!({"message": ""});
    house.ask("POST", path).header(KEY, "once").json(body.clone()).send().await.expect(200);
    let asked = house.ask_as(&narrow, "POST", path).header(KEY, "once").json(body).send().await;
    asked.refused(409, "idempotency-mismatch");
    house.close().await;
}

#[tokio::test]
async fn a_stream_is_compared_by_its_digest() {
    let house = House::open().await;
    house.key("p", "p384").await;
    let path = "/countersign/v1/keys/p/sign";
    let sign = |body: &str| house.ask("POST", path).header(KEY, "s").body("application/octet-stream", body);
    let first = sign("content").send().await;
    first.expect(200);
    assert_eq!(sign("content").send().await.expect(200), first.document());
    sign("other").send().await.refused(409, "idempotency-mismatch");
    house.ask("POST", "/countersign/v1/keys/p/retire").send().await.expect(200);
    assert_eq!(sign("content").send().await.expect(200), first.document(), "though the key is retired since");
    house.close().await;
}

#[tokio::test]
async fn requests_at_the_same_time_are_one() {
    let house = House::open().await;
    let make = || {
        let ask = house.ask("POST", "/countersign/v1/keys").header(KEY, "k");
        ask.json(json!({"name": "one", "type": "p256"})).send()
    };
    let answers = futures_util::future::join_all((0..8).map(|_| make())).await;
    for answer in &answers {
        assert_eq!(answer.expect(201), answers[0].document());
    }
    let replayed = answers.iter().filter(|a| a.header("idempotent-replayed") == "true").count();
    assert_eq!(replayed, 7);
    house.close().await;
}

#[tokio::test]
async fn refusals_are_remembered_too() {
    let house = House::open().await;
    let retire = || house.ask("POST", "/countersign/v1/keys/later/retire").header(KEY, "r");
    let first = retire().send().await;
    first.refused(404, "unknown-key");
    house.key("later", "p256").await;
    let again = retire().send().await;
    assert_eq!((again.expect(404), again.header("idempotent-replayed")), (first.document(), "true"));
    house.close().await;
}

#[tokio::test]
async fn what_is_shown_once_cannot_have_a_key() {
    let house = House::open().await;
    for (path, body) in [
        ("/countersign/v1/principals/admin/tokens", json!({})),
        ("/countersign/v1/principals/admin/hawk", json!({})),
        ("/countersign/v1/keys/k/export", json!({"passphrase": "long enough for it"})),
    ] {
        let refused = house.ask("POST", path).header(KEY, "x").json(body).send().await;
        assert_eq!(refused.refused(400, "invalid-request")["member"], "Idempotency-Key");
    }
    let make = |key: &str| house.ask("POST", "/countersign/v1/policy/check").header(KEY, key).json(json!({}));
    make(&"x".repeat(129)).send().await.refused(400, "invalid-request");
    make("a b").send().await.refused(400, "invalid-request");
    make("a").header(KEY, "b").send().await.refused(400, "invalid-request");
    house.close().await;
}
