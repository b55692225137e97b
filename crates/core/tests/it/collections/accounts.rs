//! People with passwords.

use countersign_core::collections::Settings;
use countersign_core::collections::accounts::authenticate_account;
use countersign_core::startup;
use serde_json::json;

use super::Person;
use crate::support::{House, options};

#[tokio::test]
async fn an_account_has_a_password_that_nobody_is_shown() {
    for house in House::on_both().await {
        let admin = Person::admin(&house);
        let made = admin.put("/accounts/ana@example.org", json!({"password": "secret", "note": "x"})).await;
        assert_eq!((made.status(), made.timeless()), (201, json!({"id": "ana@example.org", "note": "x"})));
        assert_eq!(made.permissions()["write"].iter().collect::<Vec<_>>(), ["account:ana@example.org"]);
        let user = async |password: &str| {
            authenticate_account(&house.ctx, "ana@example.org", password).await.unwrap()
        };
        assert_eq!(user("secret").await.as_deref(), Some("account:ana@example.org"));
        assert_eq!(user("secret").await.as_deref(), Some("account:ana@example.org"));
        assert_eq!(user("Secret").await, None);
        assert_eq!(authenticate_account(&house.ctx, "bo", "secret").await.unwrap(), None);

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
    assert!(authenticate_account(&house.ctx, "dee", "secret").await.unwrap().is_some());
    // Not that of somebody else.
    assert_eq!(anonymous.put("/accounts/ana", password.clone()).await.status(), 401);
    assert_eq!(Person::user(&house, "dee").put("/accounts/eve", password).await.status(), 403);
    house.end().await;
}
