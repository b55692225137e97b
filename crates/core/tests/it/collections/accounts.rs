//! People with passwords.

use countersign_core::collections::Settings;
use countersign_core::collections::accounts::authenticate_account;
use countersign_core::startup;
use countersign_testkit::postgres::Database;
use serde_json::json;

use super::Person;
use crate::nodes;
use crate::support::{House, options};

#[tokio::test]
async fn an_account_has_a_password_that_nobody_is_shown() {
    for house in House::on_both().await {
        let admin = Person::admin(&house);
        let made = admin.put("/accounts/ana@example.org", json!({"password": "secret", "note": "x"})).await;
        assert_eq!((made.status(), made.timeless()), (201, json!({"id": "ana@example.org", "note": "x"})));
        assert_eq!(made.permissions()["write"].iter().collect::<Vec<_>>(), ["account:ana@example.org"]);
        let user = async |password: &str| {
            authenticate_account(&house.ctx, "ana@example.org", password, None).await.unwrap()
        };
        assert_eq!(user("secret").await.as_deref(), Some("account:ana@example.org"));
        assert_eq!(user("secret").await.as_deref(), Some("account:ana@example.org"));
        assert_eq!(user("Secret").await, None);
        assert_eq!(authenticate_account(&house.ctx, "bo", "secret", None).await.unwrap(), None);

        let ana = Person::user(&house, "ana@example.org");
        assert_eq!(
            ana.get("/accounts/ana@example.org").await.timeless(),
            json!({"id": "ana@example.org", "note": "x"})
        );
        assert_eq!(ana.get("/accounts").await.data()[0].get("password"), None);
        assert_eq!(admin.get("/accounts?has_password=true").await.ids().len(), 0);
        assert_eq!(ana.patch("/accounts/ana@example.org", json!({"password": "other"})).await.status(), 200);
        assert_eq!((user("secret").await, user("other").await.is_some()), (None, true));
        assert_eq!(ana.delete("/accounts/ana@example.org").await.status(), 200);
        assert_eq!(user("other").await, None);
        house.end().await;
    }
}

#[tokio::test]
async fn accounts_are_made_by_admins_only_unless_they_are_open() {
    let house = House::new(None).await;
    let (anonymous, bo, admin) =
        (Person::anonymous(&house), Person::user(&house, "bo"), Person::admin(&house));
    let password = json!({"password": "secret"});
    assert_eq!(anonymous.put("/accounts/ana", password.clone()).await.status(), 401);
    assert_eq!(bo.put("/accounts/ana", password.clone()).await.status(), 403);
    assert_eq!(admin.put("/accounts/ana", password.clone()).await.status(), 201);
    assert_eq!(bo.get("/accounts/ana").await.status(), 403);
    assert_eq!(bo.patch("/accounts/ana", password.clone()).await.status(), 403);
    assert_eq!(anonymous.get("/accounts").await.status(), 401);
    for bad in [json!({}), json!({"password": 1}), json!({"password": ""}), json!({"password": null})] {
        assert_eq!(admin.put("/accounts/cy", bad.clone()).await.status(), 400, "{bad}");
    }
    let House { dir, ctx, .. } = house;
    ctx.shutdown().await;

    let mut options = options(dir.path(), None);
    options.collections = Settings { open_accounts: true, ..Settings::default() };
    let ctx = startup::open(options).await.unwrap();
    let house = House { dir, ctx, database: None };
    let anonymous = Person::anonymous(&house);
    assert_eq!(anonymous.put("/accounts/dee", password.clone()).await.status(), 201);
    assert!(authenticate_account(&house.ctx, "dee", "secret", None).await.unwrap().is_some());
    // Not that of somebody else.
    assert_eq!(anonymous.put("/accounts/ana", password.clone()).await.status(), 401);
    assert_eq!(Person::user(&house, "dee").put("/accounts/eve", password).await.status(), 403);
    house.end().await;
}

#[tokio::test]
async fn the_name_of_a_deleted_account_is_not_given_again_but_by_an_admin() {
    for house in House::on_both().await {
        let House { dir, ctx, database } = house;
        ctx.shutdown().await;
        let mut options = options(dir.path(), database.as_ref());
        options.collections = Settings { open_accounts: true, ..Settings::default() };
        let ctx = startup::open(options).await.unwrap();
        let house = House { dir, ctx, database };
        let (anonymous, admin) = (Person::anonymous(&house), Person::admin(&house));
        let password = json!({"password": "secret"});
        assert_eq!(anonymous.put("/accounts/ana", password.clone()).await.status(), 201);
        assert_eq!(Person::user(&house, "ana").delete("/accounts/ana").await.status(), 200);
        // What ana may do somewhere, whoever has the name may do.
        assert_eq!(anonymous.put("/accounts/ana", password.clone()).await.status(), 403);
        let post = json!({"data": {"id": "ana", "password": "secret"}});
        assert_eq!(anonymous.ask("POST /accounts", post).await.status(), 403);
        assert_eq!(anonymous.put("/accounts/bo", password.clone()).await.status(), 201);
        assert_eq!(admin.put("/accounts/ana", password).await.status(), 201);
        house.end().await;
    }
}

#[tokio::test]
async fn passwords_cannot_be_tried_without_end() {
    let house = House::new(None).await;
    let admin = Person::admin(&house);
    for name in ["ana", "bo"] {
        assert_eq!(
            admin.put(&format!("/accounts/{name}"), json!({"password": "secret"})).await.status(),
            201
        );
    }
    let is = async |name: &str, password: &str| {
        authenticate_account(&house.ctx, name, password, None).await.unwrap().is_some()
    };
    assert!(is("bo", "secret").await);
    for n in 0..10 {
        assert!(!is("ana", &format!("guess {n}")).await);
        assert!(!is("bo", &format!("guess {n}")).await);
    }
    assert!(!is("ana", "secret").await, "nobody looks at it any more");
    // A change of any account makes the process forget who was right a moment ago.
    assert_eq!(admin.patch("/accounts/ana", json!({"note": 1})).await.status(), 200);
    assert!(is("bo", "secret").await, "who was right before is not kept out");
    house.end().await;
}

#[tokio::test]
async fn a_password_that_another_node_changed_is_not_good_any_more() {
    let house = House::new(Some(Database::create().await.unwrap())).await;
    let beside = nodes::beside(&house).await;
    let admin = Person::admin(&house);
    let there = Person::of(&beside.ctx, &house, Some("principal:admin".into()), true);
    assert_eq!(admin.put("/accounts/ana", json!({"password": "one"})).await.status(), 201);
    let is = async |password: &str| {
        authenticate_account(&house.ctx, "ana", password, None).await.unwrap().is_some()
    };
    assert!(is("one").await);
    assert_eq!(there.patch("/accounts/ana", json!({"password": "two"})).await.status(), 200);
    tokio::time::sleep(std::time::Duration::from_millis(250)).await;
    assert_eq!((is("one").await, is("two").await), (false, true));
    beside.end().await;
    house.end().await;
}
