//! Who gets in, and that nobody learns why not.

use countersign_model::hawk::{self, Transport};
use serde_json::json;

use super::client::{HOST, Pair, Signing, input, now, post, refused};
use crate::support::House;

const DATA: &[u8] = b"some data that is long enough";

fn body() -> String {
    json!([input(DATA, "content")]).to_string()
}

#[tokio::test]
async fn a_request_is_signed_or_refused_with_one_answer_for_every_reason() {
    for house in House::on_both("").await {
        house.key("content", "p384").await;
        let pair = Pair::new(&house, "ana", &["signer"]).await;
        let good = || Signing::post(&pair, "/sign/data", body());
        good().send(&house).await.expect(201);

        let stranger = Pair { id: "aaaaaaaaaaaaa".into(), secret: pair.secret.clone() };
        let guess = Pair { id: pair.id.clone(), secret: "guess".into() };
        let token =
            Pair { id: house.admin.split('_').nth(1).unwrap_or("x").into(), secret: pair.secret.clone() };
        let mut cases: Vec<(&str, Signing<'_>)> = vec![
            ("unknown id", Signing { pair: &stranger, ..good() }),
            ("wrong secret", Signing { pair: &guess, ..good() }),
            ("a token's id", Signing { pair: &token, ..good() }),
            ("other host", Signing { host: "other.test:8000", ..good() }),
            ("other port", Signing { host: "sign.test:8001", ..good() }),
            ("the scheme's port", Signing { host: "sign.test", ..good() }),
            ("other path", Signing { path: "/sign/data?", ..good() }),
        ];
        for (what, by) in [("too old", -61_i64), ("too new", 62)] {
            let mut stale = good();
            stale.artifacts.ts = now().checked_add_signed(by).unwrap();
            cases.push((what, stale));
        }
        let mut other_body = good();
        other_body.body.push(b' ');
        cases.push(("other body", other_body));

        let mut texts = Vec::new();
        for (what, case) in &cases {
            let header = case.header();
            let sent = Signing { path: "/sign/data", ..good() };
            let sent = Signing { body: case.body.clone(), ..sent };
            let answer = sent.send_with(&house, &header).await;
            texts.push((what, refused(&answer, 401)));
        }
        assert!(texts.iter().all(|(_, text)| *text == texts[0].1), "{texts:?}");

        // A clock may differ a little; but what is older than the database is refused, because it is not known
        // whether it was answered.
        for (by, status) in [(58, 201), (-58, 401)] {
            let mut skewed = good();
            skewed.artifacts.ts = now().checked_add_signed(by).unwrap();
            assert_eq!(skewed.send(&house).await.status.as_u16(), status, "{by}");
        }
        house.close().await;
    }
}

#[tokio::test]
async fn a_header_must_be_hawk_and_have_a_payload_hash() {
    let house = House::open().await;
    let pair = Pair::new(&house, "ana", &["signer"]).await;
    let good = Signing::post(&pair, "/sign/data", body());
    let header = good.header();
    for bad in [
        "",
        "Hawk",
        "Hawk ",
        "Hawk id",
        "Hawk id=\"",
        &format!("Bearer {}", house.admin),
        &header.replace("nonce=", "none="),
        &header.replace("ts=\"", "ts=\"-"),
        &header.replace("mac=\"", "mac=\"*"),
        &format!("{header}, ts=\"1\""),
        &format!("Hawk id=\"{}\"", "a".repeat(5000)),
    ] {
        let answer = good.send_with(&house, bad).await;
        let text = refused(&answer, 401);
        assert!(text.starts_with("authorization verification failed: "), "{text}");
    }
    let mut no_hash = Signing::post(&pair, "/sign/data", body());
    no_hash.artifacts.hash = None;
    assert!(refused(&no_hash.send(&house).await, 401).contains("payload hash"));
    let nobody = house.ask_as_nobody("POST", "/sign/data").header("host", HOST).json(json!([]));
    assert!(refused(&nobody.send().await, 401).contains("missing Authorization header"));
    // Not even from the machine itself, and not with a token.
    let control = house.ask("POST", "/sign/data").over_control().header("host", HOST).json(json!([]));
    refused(&control.send().await, 401);
    house.close().await;
}

#[tokio::test]
async fn a_pair_ends_when_it_is_revoked_and_when_its_principal_is_disabled() {
    let house = House::open().await;
    house.key("content", "p384").await;
    let (ana, bo) = (Pair::new(&house, "ana", &["signer"]).await, Pair::new(&house, "bo", &["signer"]).await);
    for pair in [&ana, &bo] {
        Signing::post(pair, "/sign/data", body()).send(&house).await.expect(201);
    }
    let path = format!("/countersign/v1/tokens/{}", ana.id);
    assert!(house.ask("DELETE", &path).send().await.status.is_success());
    assert!(house.ask("POST", "/countersign/v1/principals/bo/disable").send().await.status.is_success());
    for pair in [&ana, &bo] {
        refused(&Signing::post(pair, "/sign/data", body()).send(&house).await, 401);
    }
    house.close().await;
}

#[tokio::test]
async fn behind_a_proxy_the_public_url_and_the_schemes_own_ports_count() {
    let house = House::with("public_url = \"https://sign.example.org/autograph\"").await;
    house.key("content", "p384").await;
    let pair = Pair::new(&house, "ana", &["signer"]).await;
    let good = || Signing::post(&pair, "/sign/data", body());
    let cases = [
        // Signed for, and sent with this `Host`.
        ("sign.example.org", "/autograph/sign/data", Transport::Https, "10.0.0.1:8080", 201),
        ("sign.example.org", "/sign/data", Transport::Https, "sign.example.org", 201),
        ("sign.example.org", "/sign/data", Transport::Http, "sign.example.org", 201),
        ("SIGN.example.org:443", "/sign/data", Transport::Http, "sign.example.org", 201),
        ("[::1]:8080", "/sign/data", Transport::Http, "[::1]:8080", 201),
        ("sign.example.org", "/sign/data", Transport::Https, "10.0.0.1:8080", 401),
        ("sign.example.org:444", "/sign/data", Transport::Https, "sign.example.org", 401),
        ("sign.example.org", "/sign/data", Transport::Https, "a b", 401),
    ];
    for (host, path, transport, sent_to, status) in cases {
        let header = Signing { host, path, transport, ..good() };
        let sent = Signing { artifacts: header.artifacts.clone(), ..good() };
        let answer = sent.send_to(&house, sent_to, &header.header()).await;
        assert_eq!(answer.status.as_u16(), status, "{host} {path} to {sent_to}: {}", answer.text());
    }
    house.close().await;
}

#[tokio::test]
async fn a_body_is_bounded_and_has_a_type_before_it_is_read() {
    let house = House::with("[autograph]\nbody_mib = 1").await;
    house.key("content", "p384").await;
    let pair = Pair::new(&house, "ana", &["signer"]).await;

    // Announced: nothing of it is read, so its hash cannot have been looked at.
    let mut announced = Signing::post(&pair, "/sign/data", "x");
    announced.artifacts.hash = Some(hawk::payload_hash("application/json", b"another"));
    let ask = house.ask_as_nobody("POST", "/sign/data").header("host", HOST);
    let ask = ask.header("authorization", &announced.header()).header("content-length", "1048577");
    let answer = ask.body("application/json", "x").send().await;
    assert!(refused(&answer, 413).contains("1048576"));
    assert_eq!(answer.header("connection"), "close");

    let large = vec![b' '; (1 << 20) + 1];
    refused(&Signing::post(&pair, "/sign/data", large).send(&house).await, 413);

    for (kind, status) in [
        ("application/json", 201),
        ("application/json; charset=utf-8", 201),
        ("Application/JSON", 201),
        ("text/plain", 400),
        ("application/x-www-form-urlencoded", 400),
    ] {
        let mut other = Signing::post(&pair, "/sign/data", body());
        other.content_type = kind;
        other.artifacts.hash = Some(hawk::payload_hash(kind, &other.body));
        let answer = other.send(&house).await;
        assert_eq!(answer.status.as_u16(), status, "{kind}: {}", answer.text());
    }
    // The type is under the hash.
    let mut changed = Signing::post(&pair, "/sign/data", body());
    changed.artifacts.hash = Some(hawk::payload_hash("text/plain", &changed.body));
    refused(&changed.send(&house).await, 401);
    house.close().await;
}

#[tokio::test]
async fn the_log_names_the_person_and_the_surface() {
    let house = House::open().await;
    house.key("content", "p384").await;
    let pair = Pair::new(&house, "ana", &["signer"]).await;
    let answer = post(&house, &pair, "/sign/data", json!([input(DATA, "content")])).await;
    answer.expect(201);
    let path = format!("/countersign/v1/log?request_id={}", answer.header("countersign-request-id"));
    let text = house.ask("GET", &path).send().await.expect(200)["entries"].to_string();
    for part in ["ana", "autograph", "content-signature", "ecdsa-sha384"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    house.close().await;
}
