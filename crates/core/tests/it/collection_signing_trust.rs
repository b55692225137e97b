//! What nobody gets signed who could not have it published: past the review, past the groups, past the source.

use std::time::Duration;

use countersign_core::collections::reading::{Query, Reply, monitor};
use countersign_core::collections::signer::refresh;
use countersign_core::collections::{Answer, Error, Method, Settings, execute};
use countersign_core::keys;
use serde_json::{Value, json};

use crate::collection_signing_site::{Site, call, ids, on_both, settings, verify};
use crate::support::House;

const STAGING: &str = "/buckets/staging/collections/c";
const PREVIEW: &str = "/buckets/preview/collections/c";
const PROD: &str = "/buckets/prod/collections/c";

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result.unwrap_err() {
        Error::Refused(message) => format!("400 {message}"),
        Error::Forbidden(message) => format!("403 {message}"),
        other => panic!("{other:?}"),
    }
}

fn outcome(answer: Answer) -> Result<Answer, Error> {
    match answer {
        Answer::Refused(error) => Err(error),
        answer => Ok(answer),
    }
}

/// Ana edits, Bo approves; one record is published. Eve may write what is published.
async fn published(house: &House) -> Site {
    let site = Site::of(house);
    site.make("staging").await;
    for (group, member) in [("editors", "ana"), ("reviewers", "bo")] {
        let members = json!({"members": [format!("account:{member}")]});
        site.patch(&site.admin(), &format!("/buckets/staging/groups/c-{group}"), members).await.unwrap();
    }
    for bucket in ["prod", "preview"] {
        let eve = json!({"permissions": {"write": ["account:eve"]}});
        let given = site.send(&site.admin(), Method::Patch, &format!("/buckets/{bucket}"), Some(eve)).await;
        outcome(given).unwrap();
    }
    publish(&site, "a").await;
    site
}

async fn publish(site: &Site, id: &str) {
    site.put(&site.user("ana"), &format!("{STAGING}/records/{id}"), json!({})).await;
    site.status(&site.user("ana"), STAGING, "to-review").await.unwrap();
    site.status(&site.user("bo"), STAGING, "to-sign").await.unwrap();
}

const NOT_SIGNED: &str = "400 The records at /buckets/prod/collections/c are not those that were signed: ask for a \
                          review and sign the source, which replaces them";

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_past_the_review_is_not_signed_again_and_not_taken_back_into_the_source() {
    let settings = Settings { refresh_after: Duration::from_millis(1), ..settings() };
    for house in on_both(settings).await {
        let site = published(&house).await;
        let (ana, eve) = (site.user("ana"), site.user("eve"));
        let to = |status| site.status(&ana, STAGING, status);
        site.put(&ana, &format!("{STAGING}/records/b"), json!({})).await;
        to("to-resign").await.unwrap();

        // Also in one transaction with it.
        let evil = format!("{PROD}/records/evil");
        let write = call(Method::Put, &evil, Some(json!({"data": {}})));
        let status = json!({"data": {"status": "to-resign"}});
        let both = vec![write, call(Method::Patch, STAGING, Some(status))];
        let admin = site.admin();
        let mut answers = execute(&site.ctx, &admin, both).await;
        assert_eq!(refused(outcome(answers.pop().unwrap())), NOT_SIGNED);
        outcome(answers.pop().unwrap()).unwrap();
        site.put(&eve, &format!("{PROD}/records/a"), json!({"v": 2})).await;

        assert_eq!(refused(to("to-resign").await), NOT_SIGNED);
        assert_eq!(refused(to("to-rollback").await), NOT_SIGNED);
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(refresh::run(&house.ctx).await.unwrap(), 0);
        assert_eq!(refresh::left(&house.ctx), 1);
        assert!(!site.verifies(PROD).await, "nobody signed it");
        assert_eq!(ids(&site.get(&format!("{STAGING}/records")).await), ["a", "b"]);

        publish(&site, "c").await;
        assert!(site.verifies(PROD).await);
        assert_eq!(ids(&site.changeset(PROD, None).await["changes"]), ["a", "b", "c"]);
        to("to-resign").await.unwrap();
        assert!(site.verifies(PROD).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(refresh::run(&house.ctx).await.unwrap(), 1);
        assert_eq!(refresh::left(&house.ctx), 0);
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_that_somebody_wrote_to_is_not_signed_again_with_what_is_published() {
    for house in on_both(settings()).await {
        let site = published(&house).await;
        site.put(&site.user("eve"), &format!("{PREVIEW}/records/evil"), json!({})).await;
        let before = site.changeset(PROD, None).await["metadata"]["signature"].clone();
        site.status(&site.user("ana"), STAGING, "to-resign").await.unwrap();
        assert!(site.verifies(PROD).await);
        assert_ne!(site.changeset(PROD, None).await["metadata"]["signature"], before);
        assert!(!site.verifies(PREVIEW).await);
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_differs_also_in_what_is_called_schema_and_is_no_stamp() {
    for house in on_both(settings()).await {
        let site = published(&house).await;
        site.put(&site.user("eve"), &format!("{PROD}/records/a"), json!({"schema": "evil"})).await;
        publish(&site, "b").await;
        let published = site.changeset(PROD, None).await;
        assert!(published["changes"].as_array().unwrap().iter().all(|record| record.get("schema").is_none()));
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_collections_share_comes_and_goes_with_none_of_them() {
    let settings = Settings { reviewers_group: "reviewers".into(), ..settings() };
    for house in on_both(settings).await {
        let site = Site::of(&house);
        let admin = site.admin();
        let shared = "/buckets/staging/groups/reviewers";
        let bucket = json!({"permissions": {"collection:create": ["account:eve"],
                                            "group:create": ["account:eve"]}});
        outcome(site.send(&admin, Method::Put, "/buckets/staging", Some(bucket)).await).unwrap();
        let eve = site.user("eve");
        site.put(&eve, "/buckets/staging/collections/b", json!({})).await;
        assert_eq!(ids(&site.get("/buckets/staging/groups").await), ["b-editors"], "it is not hers to have");
        site.put(&admin, shared, json!({"members": ["account:bo"]})).await;
        // She approves nothing, and may not delete what has reviews: an admin does.
        site.delete(&admin, "/buckets/staging/collections/b").await.unwrap();
        assert_eq!(ids(&site.get("/buckets/staging/groups").await), ["reviewers"]);
        site.put(&eve, "/buckets/staging/collections/b", json!({})).await;
        assert_eq!(site.get(shared).await["members"], json!(["account:bo"]));
        assert_eq!(site.permissions(shared).await, json!({"write": ["principal:admin"]}));
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_of_what_is_published_goes_with_its_sources_or_after_them() {
    for house in on_both(settings()).await {
        let site = published(&house).await;
        let admin = site.admin();
        let buckets = |id: Option<&str>| {
            let mut all = call(Method::Delete, "/buckets", None);
            all.query = id.map(|id| ("id".to_owned(), id.to_owned())).into_iter().collect();
            all
        };
        let delete = async |call| outcome(execute(&site.ctx, &admin, vec![call]).await.pop().unwrap());
        for bucket in ["prod", "preview"] {
            let refusal = refused(site.delete(&admin, &format!("/buckets/{bucket}")).await);
            assert_eq!(refusal, "403 Bucket is in use.");
            assert_eq!(refused(delete(buckets(Some(bucket))).await), "403 Bucket is in use.");
        }
        assert_eq!(ids(&site.changeset(PROD, None).await["changes"]), ["a"]);
        let shown = async || match monitor::changeset(&site.ctx, &Query::default()).await.unwrap() {
            Reply::Changes { body, .. } => serde_json::from_slice::<Value>(&body).unwrap()["changes"].clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(shown().await.as_array().unwrap().len(), 2);

        site.delete(&admin, STAGING).await.unwrap();
        site.delete(&admin, "/buckets/prod").await.unwrap();
        assert_eq!(shown().await[0]["bucket"], "preview");
        assert_eq!(shown().await.as_array().unwrap().len(), 1);
        site.put(&admin, STAGING, json!({})).await;
        delete(buckets(None)).await.unwrap();
        assert_eq!(shown().await, json!([]));
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_editor_does_not_publish_an_empty_set_by_deleting_the_source() {
    for house in on_both(settings()).await {
        let site = published(&house).await;
        let refusal = refused(site.delete(&site.user("ana"), STAGING).await);
        assert_eq!(refusal, "403 Not in c-reviewers group");
        let all = site.delete(&site.user("ana"), "/buckets/staging/collections").await;
        assert_eq!(refused(all), "403 Not in c-reviewers group");
        assert_eq!(ids(&site.changeset(PROD, None).await["changes"]), ["a"]);
        site.delete(&site.user("bo"), STAGING).await.unwrap();
        assert_eq!(site.changeset(PROD, None).await["changes"], json!([]));
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_can_be_signed_by_a_key_that_is_not_good_for_what_is_published() {
    let mut settings = settings();
    settings.resources[1].preview_keys = vec!["look".parse().unwrap()];
    for house in on_both(settings).await {
        let site = published(&house).await;
        let key = |name: &str| {
            keys::public_pem(&house.ctx, &format!("collections/{name}").parse().unwrap()).unwrap()
        };
        for (uri, good, bad) in [(PREVIEW, "look", "main"), (PROD, "main", "look")] {
            let changeset = site.changeset(uri, None).await;
            assert!(verify(&changeset, &key(good)), "{uri}");
            assert!(!verify(&changeset, &key(bad)), "{uri}");
            assert_eq!(changeset["metadata"]["signature"]["signer_id"], good);
        }
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_the_configuration_names_is_not_for_everybody_to_make() {
    let settings = Settings {
        bucket_create_principals: vec!["system.Authenticated".into(), "account:ana".into()],
        ..settings()
    };
    for house in on_both(settings).await {
        let site = Site::of(&house);
        let make =
            async |who: &str, uri: &str| outcome(site.send(&site.user(who), Method::Put, uri, None).await);
        for bucket in ["source", "destination", "staging", "preview", "prod"] {
            let refusal = refused(make("eve", &format!("/buckets/{bucket}")).await);
            assert_eq!(refusal, "403 This user cannot access this resource.");
        }
        make("eve", "/buckets/other").await.unwrap();
        make("ana", "/buckets/prod").await.unwrap();
        outcome(site.send(&site.admin(), Method::Put, "/buckets/source", None).await).unwrap();
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_with_the_records_is_reviewed_with_them() {
    for house in on_both(settings()).await {
        let site = published(&house).await;
        let (ana, bo) = (site.user("ana"), site.user("bo"));
        site.put(&ana, &format!("{STAGING}/records/b"), json!({})).await;
        site.status(&ana, STAGING, "to-review").await.unwrap();
        let sneaked = json!({"status": "to-sign", "displayFields": ["b"]});
        assert_eq!(
            refused(site.patch(&bo, STAGING, sneaked).await),
            "400 Cannot change 'displayFields' while signing"
        );
        for field in ["flags", "attachment", "sort", "displayFields"] {
            site.patch(&ana, STAGING, json!({"other": field})).await.unwrap();
            assert_eq!(site.get(STAGING).await["status"], "to-review", "that is not published");
            site.patch(&ana, STAGING, json!({field: {"enabled": true}})).await.unwrap();
            assert_eq!(site.get(STAGING).await["status"], "work-in-progress", "{field}");
            assert_eq!(
                refused(site.status(&bo, STAGING, "to-sign").await),
                "400 Collection not under review"
            );
            site.status(&ana, STAGING, "to-review").await.unwrap();
        }
        site.status(&bo, STAGING, "to-sign").await.unwrap();
        assert_eq!(site.changeset(PROD, None).await["metadata"]["sort"], json!({"enabled": true}));
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_that_not_everybody_may_read_is_in_no_file() {
    for house in on_both(settings()).await {
        let site = published(&house).await;
        let names = async || {
            let folder = "collections/prod/c".parse().unwrap();
            let names = site.ctx.files().list(Some(&folder)).await.unwrap();
            names.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let within = Duration::from_secs(10);
        let until = async |there: bool| {
            while names().await.iter().any(|name| name.ends_with("/changeset.json")) != there {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(within, until(true)).await.unwrap();
        let readers = async |readers: Value| {
            let change = json!({"permissions": {"read": readers}});
            outcome(site.send(&site.admin(), Method::Put, PROD, Some(change)).await).unwrap();
        };
        readers(json!(["account:ana"])).await;
        tokio::time::timeout(within, until(false)).await.unwrap();
        assert_eq!(names().await, <Vec<String>>::new());
        readers(json!(["system.Everyone"])).await;
        tokio::time::timeout(within, until(true)).await.unwrap();
        house.end().await;
    }
}
