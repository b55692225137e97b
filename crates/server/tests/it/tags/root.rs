//! The short forms at the root, and switching the surface off.

use super::{authority, get, refused, write};
use crate::support::House;

#[tokio::test]
async fn the_short_forms_answer_as_those_under_tags_where_they_are_switched_on() {
    let house = House::with("[tags]\nroot_forms = true").await;
    for name in ["a", "b"] {
        authority(&house, name).await;
    }
    let made = house.ask("POST", "/bundle-jira-1.0.jar?content=x&authority=a").send().await;
    made.expect(201);
    assert_eq!(made.header("location"), "/tags/bundle-jira-1.0.jar");
    for path in ["bundle-jira-1.0.jar", "bundle-jira-1.0.jar?authorities=a", "bundle-jira-1.0.jar.a.sig"] {
        let (short, long) =
            (get(&house, &format!("/{path}")).await, get(&house, &format!("/tags/{path}")).await);
        assert_eq!((short.status.as_u16(), &short.body), (200, &long.body), "{path}");
        assert_eq!(short.header("etag"), long.header("etag"));
    }
    let sign = house.ask("POST", "/sign?payload=xx&authority=a").send().await;
    assert!(sign.text().starts_with("xx\n=== SIGNATURE a\n"));
    house.ask("PUT", "/bundle-jira-1.0.jar?authority=b").send().await.expect(200);
    assert_eq!(house.ask("DELETE", "/bundle-jira-1.0.jar").send().await.status, 204);
    refused(&get(&house, "/bundle-jira-1.0.jar").await, 410, "hidden");
    house.close().await;
}

#[tokio::test]
async fn without_authorities_the_short_form_validates_all_that_signed_and_names_them() {
    let house = House::with("[tags]\nroot_forms = true").await;
    for name in ["a", "b"] {
        authority(&house, name).await;
    }
    let file = super::signed(&house, "b,a", "x").await;
    let validate =
        async |file: &str| house.ask_as_nobody("POST", "/validate").body("text/plain", file).send().await;
    let valid = validate(&file).await;
    assert_eq!((valid.status.as_u16(), valid.text().as_str()), (200, "x\n"));
    assert_eq!(valid.header("countersign-authorities"), "a,b");
    refused(&validate("x\n").await, 403, "not-signed");
    refused(&validate(&file.replace("x\n", "y\n")).await, 403, "invalid-signature");
    refused(&validate(&format!("{file}=== SIGNATURE c\nAAAA\n")).await, 404, "unknown-authority");
    refused(&validate(&format!("{file}=== SIGNATURE ../c\nAAAA\n")).await, 400, "bad-format");
    house.close().await;
}

#[tokio::test]
async fn what_belongs_to_others_is_no_tag_at_the_root() {
    // Also where the others are switched off.
    let others = "[collections]\nenabled = false\n[autograph]\nenabled = false";
    let house = House::with(&format!("[tags]\nroot_forms = true\n{others}")).await;
    authority(&house, "a").await;
    for path in ["/v1", "/buckets", "/api", "/__heartbeat__", "/.well-known", "/favicon.ico", "/auths"] {
        for method in ["GET", "POST", "PUT", "DELETE"] {
            let path = format!("{path}?content=x");
            house.ask(method, &path).send().await.refused(404, "not-found");
        }
    }
    assert_eq!(get(&house, "/healthz").await.text(), "ok");
    assert!(get(&house, "/openapi.json").await.expect(200)["paths"].is_object());
    house.close().await;
}

#[tokio::test]
async fn the_short_forms_are_off_by_default_and_so_is_everything_where_the_surface_is() {
    let house = House::open().await;
    authority(&house, "a").await;
    write(&house, "app", "a", "x").await;
    get(&house, "/app").await.refused(404, "not-found");
    house.ask("POST", "/sign?payload=x").send().await.refused(404, "not-found");
    house.close().await;

    let house = House::with("[tags]\nenabled = false\nroot_forms = true").await;
    for path in ["/tags/app", "/tags/", "/app", "/authorities/", "/tags/log/checkpoint"] {
        get(&house, path).await.refused(404, "not-found");
    }
    house.close().await;
}
