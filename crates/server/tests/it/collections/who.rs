//! Who asks: tokens, accounts, nobody.

use serde_json::json;

use crate::support::{Ask, House, base64};

fn basic<'a>(ask: Ask<'a>, name: &str, secret: &str) -> Ask<'a> {
    ask.header("authorization", &format!("Basic {}", base64(format!("{name}:{secret}").as_bytes())))
}

#[tokio::test]
async fn a_token_is_a_principal_in_each_form_of_its_clients() {
    let house = House::open().await;
    let token = house.somebody("ana", &[]).await;
    let root = house.ask_as(&token, "GET", "/v1/").send().await.expect(200);
    assert_eq!(root["user"]["id"], "principal:ana");
    let root = basic(house.ask_as_nobody("GET", "/v1/"), "ana", &token).send().await.expect(200);
    assert_eq!(root["user"]["id"], "principal:ana");
    for (name, secret) in [("bob", token.as_str()), ("ana", "cst_nonsense"), ("ana", "")] {
        let root = basic(house.ask_as_nobody("GET", "/v1/"), name, secret).send().await.expect(200);
        assert!(root.get("user").is_none(), "{name}");
    }
    let root = house.ask_as_nobody("GET", "/v1/").header("x-api-key", &token).send().await.expect(200);
    assert!(root.get("user").is_none(), "that header is not of this surface");
    house.close().await;
}

#[tokio::test]
async fn bad_credentials_read_what_is_public_and_nothing_else() {
    let house = House::open().await;
    house
        .ask("PUT", "/v1/buckets/b")
        .json(json!({"permissions": {"read": ["system.Everyone"]}}))
        .send()
        .await
        .expect(201);
    for header in ["Basic !!!", "Bearer cst_nonsense", "Hawk x", "Basic YTpi"] {
        let get = || house.ask_as_nobody("GET", "/v1/buckets/b").header("authorization", header).send();
        get().await.expect(200);
        let put = house.ask_as_nobody("PUT", "/v1/buckets/b").header("authorization", header).send().await;
        assert_eq!(put.expect(401)["errno"], 104, "{header}");
        assert_eq!(put.header("www-authenticate"), "Basic realm=\"Realm\"");
    }
    house.close().await;
}

#[tokio::test]
async fn a_token_that_is_limited_to_something_else_is_as_none() {
    let house = House::open().await;
    house.somebody("ana", &["operator"]).await;
    let limited = house.token("ana", json!({"actions": ["key:sign"]})).await;
    let root = house.ask_as(&limited, "GET", "/v1/").send().await.expect(200);
    assert!(root.get("user").is_none());
    house.ask_as(&limited, "PUT", "/v1/buckets/b").send().await.expect(401);
    let collections = house.token("ana", json!({"actions": ["collection:*"]})).await;
    house.ask_as(&collections, "PUT", "/v1/buckets/b").send().await.expect(201);
    house.close().await;
}

#[tokio::test]
async fn an_account_is_made_by_an_admin_used_with_its_password_and_may_change_it() {
    for house in House::on_both("").await {
        let account = |password: &str| json!({"data": {"password": password}});
        house.ask_as_nobody("PUT", "/v1/accounts/ana").json(account("one")).send().await.expect(401);
        let made = house.ask("PUT", "/v1/accounts/ana").json(account("one")).send().await;
        assert!(!made.expect(201).to_string().contains("one"), "{}", made.text());
        let who = async |password: &str| {
            let root = basic(house.ask_as_nobody("GET", "/v1/"), "ana", password).send().await.expect(200);
            root["user"]["id"].as_str().map(str::to_owned)
        };
        assert_eq!(who("one").await.as_deref(), Some("account:ana"));
        assert_eq!(who("two").await, None);
        basic(house.ask_as_nobody("PUT", "/v1/accounts/ana"), "ana", "one")
            .json(account("two"))
            .send()
            .await
            .expect(200);
        assert_eq!((who("one").await, who("two").await.as_deref()), (None, Some("account:ana")));
        house.ask("DELETE", "/v1/accounts/ana").send().await.expect(200);
        assert_eq!(who("two").await, None);
        house.close().await;
    }
}

#[tokio::test]
async fn who_guesses_passwords_is_not_heard_any_more_and_others_are() {
    let house = House::open().await;
    for name in ["ana", "bo"] {
        let account = json!({"data": {"password": "secret"}});
        house.ask("PUT", &format!("/v1/accounts/{name}")).json(account).send().await.expect(201);
    }
    let is = async |name: &str, password: &str, from: [u8; 4]| {
        let ask = basic(house.ask_as_nobody("GET", "/v1/"), name, password).from(from.into());
        ask.send().await.expect(200).get("user").is_some()
    };
    let (one, other) = ([192, 0, 2, 1], [192, 0, 2, 2]);
    for n in 0..10 {
        assert!(!is("ana", &n.to_string(), one).await);
    }
    assert!(!is("ana", "secret", one).await);
    assert!(!is("ana", "secret", other).await, "from wherever they ask");
    assert!(is("bo", "secret", one).await);
    house.close().await;
}
