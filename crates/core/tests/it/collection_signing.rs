//! What each status of a source collection does, through the one door that requests have.

use countersign_core::collections::{Answer, Error, Method, execute};
use countersign_core::{Caller, keys};
use countersign_model::Surface;
use serde_json::{Value, json};

use crate::collection_signing_site::{Site, call, ids, line, on_both, only, settings};
use crate::support::House;

const SOURCE: &str = "/buckets/source/collections/c";
const DESTINATION: &str = "/buckets/destination/collections/c";
const STAGING: &str = "/buckets/staging/collections/c";
const PREVIEW: &str = "/buckets/preview/collections/c";
const PROD: &str = "/buckets/prod/collections/c";

#[track_caller]
fn said(result: Result<Value, Error>) -> String {
    match result {
        Ok(answer) => panic!("not refused: {answer}"),
        Err(Error::Refused(message)) => format!("400 {message}"),
        Err(Error::Forbidden(message)) => format!("403 {message}"),
        Err(other) => panic!("{other:?}"),
    }
}

fn names(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_source_gets_groups_and_is_published_empty_and_signed() {
    for house in on_both(settings()).await {
        let site = Site::of(&house);
        site.put(&site.admin(), "/buckets/source", json!({})).await;
        let published = json!({"schema": {"type": "object"}, "sort": "-t", "displayFields": ["t"],
                               "attachment": {"enabled": false}});
        let mut given = published.clone();
        given["other"] = "x".into();
        let made = site.put(&site.admin(), SOURCE, given).await;
        assert_eq!(
            names(&made),
            ["attachment", "displayFields", "id", "last_modified", "other", "schema", "sort"],
            "the answer is what was asked for"
        );

        let source = site.get(SOURCE).await;
        assert_eq!(source["status"], "signed");
        assert_eq!(source["last_signature_by"], "principal:admin");
        assert!(source["last_signature_date"].as_str().unwrap().ends_with("+00:00"));
        for absent in ["last_review_by", "last_edit_by", "last_review_request_by"] {
            assert_eq!(source.get(absent), None, "{absent}");
        }
        assert!(source["last_modified"].as_i64() > made["last_modified"].as_i64());
        assert_eq!(
            site.permissions(SOURCE).await,
            json!({"write": ["/buckets/source/groups/c-editors", "/buckets/source/groups/c-reviewers",
                             "principal:admin"]})
        );
        let editors = site.get("/buckets/source/groups/c-editors").await;
        assert_eq!(editors["members"], json!(["principal:admin"]));
        assert_eq!(site.get("/buckets/source/groups/c-reviewers").await["members"], json!([]));
        assert_eq!(
            site.permissions("/buckets/source/groups/c-reviewers").await,
            json!({"write": ["principal:admin"]})
        );

        assert_eq!(site.permissions("/buckets/destination").await, json!({"write": ["principal:admin"]}));
        assert_eq!(site.permissions(DESTINATION).await, json!({"read": ["system.Everyone"]}));
        let destination = site.get(DESTINATION).await;
        assert_eq!(
            only(&destination, &["schema", "sort", "displayFields", "attachment", "other"]),
            published
        );
        assert_eq!(destination["signatures"], json!([destination["signature"]]));
        assert_eq!(
            names(&destination["signature"]),
            ["mode", "public_key", "signature", "signer_id", "type", "x5u"]
        );
        assert!(site.verifies(DESTINATION).await);
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_make_no_groups_makes_no_source() {
    for house in on_both(settings()).await {
        let site = Site::of(&house);
        let bucket = json!({"permissions": {"collection:create": ["system.Authenticated"]}});
        site.send(&site.admin(), Method::Put, "/buckets/source", Some(bucket)).await;
        let made = site.send(&site.user("ana"), Method::Put, SOURCE, None).await;
        assert!(matches!(made, Answer::Refused(Error::Forbidden(_))), "{made:?}");
        let read = site.send(&site.admin(), Method::Get, SOURCE, None).await;
        assert!(matches!(read, Answer::Refused(Error::NotFound { .. })), "{read:?}");

        let change = json!({"permissions": {"group:create": ["account:ana"]}});
        site.send(&site.admin(), Method::Patch, "/buckets/source", Some(change)).await;
        site.put(&site.user("ana"), SOURCE, json!({})).await;
        let editors = site.get("/buckets/source/groups/c-editors").await;
        assert_eq!(editors["members"], json!(["account:ana"]));
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_signed_is_what_differs_and_readers_verify_it() {
    for house in on_both(settings()).await {
        let site = Site::of(&house);
        site.make("source").await;
        let record = |id: &str| format!("{SOURCE}/records/{id}");
        let text = json!({"t": "é€😀\u{2028}\u{7f}\"\\/<>&", "é": 1, "😀": 2, "Z": [], "n": {},
                          "nul": null, "last_modified_": {"last_modified": 1}});
        site.put(&site.admin(), &record("uni"), text).await;
        site.put(&site.admin(), &record("u64"), json!({"x": u64::MAX, "y": i64::MIN})).await;
        let before = site.get(SOURCE).await;
        assert_eq!(
            only(&before, &["status", "last_edit_by"]),
            json!({"status": "work-in-progress", "last_edit_by": "principal:admin"})
        );

        let answer = site.status(&site.admin(), SOURCE, "to-sign").await.unwrap();
        assert_eq!(answer["status"], "to-sign", "the answer is what was asked for");
        let source = site.get(SOURCE).await;
        assert_eq!(source["status"], "signed");
        assert_eq!(source["last_review_by"], "principal:admin");
        assert_eq!(source["last_review_date"], source["last_signature_date"]);
        assert_eq!(source["last_edit_date"], before["last_edit_date"]);
        assert!(site.verifies(DESTINATION).await);
        let first = site.changeset(DESTINATION, None).await;
        assert_eq!(ids(&first["changes"]), ["u64", "uni"]);
        assert_eq!(first["metadata"]["bucket"], "destination");
        let source_records = site.get(&format!("{SOURCE}/records")).await;
        for (copy, original) in by_id(&first["changes"]).iter().zip(by_id(&source_records)) {
            assert!(copy["last_modified"].as_i64() > original["last_modified"].as_i64());
            let mut same = copy.clone();
            same["last_modified"] = original["last_modified"].clone();
            assert_eq!(same, original);
        }

        // What somebody writes in the destination does not stay, and what was deleted leaves a tombstone.
        site.put(&site.admin(), &format!("{DESTINATION}/records/x"), json!({})).await;
        site.put(&site.admin(), &format!("{DESTINATION}/records/u64"), json!({"x": 3})).await;
        assert!(!site.verifies(DESTINATION).await);
        site.delete(&site.admin(), &record("uni")).await.unwrap();
        site.status(&site.admin(), SOURCE, "to-sign").await.unwrap();
        let since = first["timestamp"].as_i64();
        let second = site.changeset(DESTINATION, since).await;
        assert_eq!(ids(&second["changes"]), ["-uni", "-x", "u64"]);
        assert_eq!(ids(&site.changeset(DESTINATION, None).await["changes"]), ["u64"]);
        assert!(site.verifies(DESTINATION).await);
        let newest = second["changes"].as_array().unwrap().iter().filter_map(|r| r["last_modified"].as_i64());
        assert_eq!(newest.max(), second["timestamp"].as_i64());
        assert_eq!(site.timestamp(&format!("{DESTINATION}/records")).await, second["timestamp"]);
        house.end().await;
    }
}

fn by_id(list: &Value) -> Vec<Value> {
    let mut list = list.as_array().unwrap().clone();
    list.sort_by_key(|record| record["id"].as_str().unwrap().to_owned());
    list
}

#[tokio::test(flavor = "multi_thread")]
async fn without_review_these_changes_of_status_are_refused() {
    for house in on_both(settings()).await {
        let site = Site::of(&house);
        site.make("source").await;
        let admin = site.admin();
        let record = format!("{SOURCE}/records/r");
        let tracking = [
            "last_edit_by",
            "last_edit_date",
            "last_review_request_by",
            "last_review_request_date",
            "last_review_by",
            "last_review_date",
            "last_signature_by",
            "last_signature_date",
        ];
        for (data, message) in [
            (json!({"status": "to-sign"}), "400 Collection already signed"),
            (json!({"status": "to-rollback"}), "400 Collection has no work-in-progress"),
            (json!({"status": "foo"}), "400 Invalid status 'foo'"),
            (json!({"status": null}), "400 Cannot remove status"),
        ] {
            assert_eq!(said(site.patch(&admin, SOURCE, data).await), message);
        }
        assert_eq!(site.status(&admin, SOURCE, "signed").await.unwrap()["status"], "signed", "no change");
        for field in tracking {
            let message = format!("400 Cannot change <TRACKING_FIELDS.{}: '{field}'>", field.to_uppercase());
            assert_eq!(said(site.patch(&admin, SOURCE, json!({field: "x"})).await), message);
        }
        site.put(&admin, &record, json!({})).await;
        assert_eq!(said(site.status(&admin, SOURCE, "signed").await), "400 Cannot set status to 'signed'");
        let replaced = site.send(&admin, Method::Put, SOURCE, Some(json!({"data": {"a": 1}}))).await;
        let Answer::Refused(error) = replaced else { panic!("{replaced:?}") };
        assert_eq!(error.to_string(), "Cannot remove status");
        let mut resent = site.get(SOURCE).await;
        resent["a"] = 1.into();
        assert_eq!(site.put(&admin, SOURCE, resent).await["a"], 1, "who sends all of it may");
        house.end().await;
    }
}

/// Ana edits, Bo approves, and both may do what is not theirs.
async fn reviewed(house: &House) -> Site {
    let site = Site::of(house);
    site.make("staging").await;
    let groups = "/buckets/staging/groups/c-";
    let members =
        |names: &[&str]| json!({"members": names.iter().map(|n| format!("account:{n}")).collect::<Vec<_>>()});
    site.patch(&site.admin(), &format!("{groups}editors"), members(&["ana", "both"])).await.unwrap();
    site.patch(&site.admin(), &format!("{groups}reviewers"), members(&["bo", "both"])).await.unwrap();
    site
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_public_when_somebody_else_approved_it() {
    for house in on_both(settings()).await {
        let site = reviewed(&house).await;
        let (ana, bo, both, admin) = (site.user("ana"), site.user("bo"), site.user("both"), site.admin());
        let set = |who, status| site.status(who, STAGING, status);
        site.put(&both, &format!("{STAGING}/records/a"), json!({"v": 1})).await;

        assert_eq!(said(set(&bo, "to-sign").await), "400 Collection not under review");
        assert_eq!(said(set(&admin, "to-review").await), "403 Not in c-editors group");
        assert_eq!(said(set(&bo, "to-review").await), "403 Not in c-editors group");
        let asked = json!({"status": "to-review", "last_editor_comment": "please"});
        let answer = site.patch(&both, STAGING, asked).await.unwrap();
        assert_eq!(answer.get("last_review_request_by"), None, "the answer is what was asked for");
        let source = site.get(STAGING).await;
        assert_eq!(
            only(&source, &["status", "last_review_request_by", "last_editor_comment"]),
            json!({"status": "to-review", "last_review_request_by": "account:both",
                   "last_editor_comment": "please"})
        );
        assert!(site.verifies(PREVIEW).await);
        assert_eq!(ids(&site.changeset(PREVIEW, None).await["changes"]), ["a"]);
        assert_eq!(ids(&site.changeset(PROD, None).await["changes"]), <Vec<String>>::new());

        assert_eq!(said(set(&both, "to-sign").await), "403 Last editor cannot review");
        assert_eq!(said(set(&ana, "to-sign").await), "403 Not in c-reviewers group");
        assert_eq!(said(set(&admin, "to-sign").await), "403 Not in c-reviewers group", "also admins");
        set(&bo, "to-sign").await.unwrap();
        let source = site.get(STAGING).await;
        assert_eq!(
            only(&source, &["status", "last_review_by", "last_signature_by", "last_edit_by"]),
            json!({"status": "signed", "last_review_by": "account:bo", "last_signature_by": "account:bo",
                   "last_edit_by": "account:both"})
        );
        for uri in [PREVIEW, PROD] {
            assert!(site.verifies(uri).await, "{uri}");
            assert_eq!(ids(&site.changeset(uri, None).await["changes"]), ["a"]);
        }
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_ends_when_it_is_declined_or_a_record_is_written() {
    for house in on_both(settings()).await {
        let site = reviewed(&house).await;
        let (ana, bo) = (site.user("ana"), site.user("bo"));
        site.put(&ana, &format!("{STAGING}/records/a"), json!({"v": 1})).await;
        let asked = json!({"status": "to-review", "last_editor_comment": "please"});
        site.patch(&ana, STAGING, asked).await.unwrap();
        let declined = json!({"status": "work-in-progress", "last_reviewer_comment": "no"});
        site.patch(&bo, STAGING, declined).await.unwrap();
        let source = site.get(STAGING).await;
        assert_eq!(
            only(&source, &["status", "last_reviewer_comment", "last_editor_comment", "last_edit_by"]),
            json!({"status": "work-in-progress", "last_reviewer_comment": "no",
                   "last_editor_comment": "please", "last_edit_by": "account:ana"})
        );
        site.status(&ana, STAGING, "to-review").await.unwrap();
        assert_eq!(site.get(STAGING).await["last_editor_comment"], "", "it was about the request before");
        for _ in 0..2 {
            site.status(&bo, STAGING, "work-in-progress").await.unwrap();
            let again = json!({"status": "to-review", "last_editor_comment": "again"});
            site.patch(&ana, STAGING, again).await.unwrap();
            assert_eq!(site.get(STAGING).await["last_editor_comment"], "again", "said once more");
        }

        site.put(&bo, &format!("{STAGING}/records/b"), json!({})).await;
        let source = site.get(STAGING).await;
        assert_eq!(
            only(&source, &["status", "last_edit_by"]),
            json!({"status": "work-in-progress", "last_edit_by": "account:bo"})
        );
        assert_eq!(said(site.status(&bo, STAGING, "to-sign").await), "400 Collection not under review");
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_makes_source_and_preview_what_is_published() {
    for house in on_both(settings()).await {
        let site = reviewed(&house).await;
        let (ana, bo) = (site.user("ana"), site.user("bo"));
        let record = |id: &str| format!("{STAGING}/records/{id}");
        for id in ["changed", "deleted", "same"] {
            site.put(&ana, &record(id), json!({"v": 1})).await;
        }
        site.status(&ana, STAGING, "to-review").await.unwrap();
        site.status(&bo, STAGING, "to-sign").await.unwrap();
        let published = site.changeset(PROD, None).await;
        let preview = site.changeset(PREVIEW, None).await["timestamp"].as_i64();

        site.put(&ana, &record("changed"), json!({"v": 2})).await;
        site.put(&ana, &record("new"), json!({})).await;
        site.delete(&ana, &record("deleted")).await.unwrap();
        site.status(&ana, STAGING, "to-review").await.unwrap();
        let before = site.timestamp(&format!("{STAGING}/records")).await;
        let comments = json!({"status": "to-rollback", "last_reviewer_comment": "back"});
        site.patch(&ana, STAGING, comments).await.unwrap();

        let source = site.get(STAGING).await;
        assert_eq!(
            only(&source, &["status", "last_edit_by", "last_editor_comment", "last_reviewer_comment"]),
            json!({"status": "signed", "last_edit_by": "account:ana", "last_editor_comment": "",
                   "last_reviewer_comment": ""})
        );
        let records = site.get(&format!("{STAGING}/records")).await;
        assert_eq!(ids(&records), ["changed", "deleted", "same"]);
        for (ours, theirs) in by_id(&records).iter().zip(by_id(&published["changes"])) {
            assert_eq!(ours["v"], theirs["v"]);
            if ours["id"] != "same" {
                assert_eq!(*ours, theirs, "as it is published");
            }
        }
        assert!(site.timestamp(&format!("{STAGING}/records")).await > before);
        assert!(site.verifies(PREVIEW).await);
        let shown = site.changeset(PREVIEW, preview).await;
        assert_eq!(
            ids(&shown["changes"]),
            ["-new", "changed", "deleted"],
            "readers of the preview learn of it"
        );
        assert_eq!(site.changeset(PROD, None).await, published);
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_anew_changes_signatures_and_nothing_else() {
    for house in on_both(settings()).await {
        let site = reviewed(&house).await;
        let (ana, bo) = (site.user("ana"), site.user("bo"));
        site.put(&ana, &format!("{STAGING}/records/a"), json!({"v": 1})).await;
        site.status(&ana, STAGING, "to-review").await.unwrap();
        site.status(&bo, STAGING, "to-sign").await.unwrap();
        site.put(&ana, &format!("{STAGING}/records/b"), json!({"v": 1})).await;
        site.patch(&ana, STAGING, json!({"sort": "v"})).await.unwrap();
        let old = [site.changeset(PREVIEW, None).await, site.changeset(PROD, None).await];
        let before = site.get(STAGING).await;

        let answer = site.status(&ana, STAGING, "to-resign").await.unwrap();
        assert_eq!(answer["status"], "to-resign");
        let source = site.get(STAGING).await;
        assert_eq!(
            only(&source, &["status", "last_signature_by", "last_review_by", "last_edit_by"]),
            json!({"status": "work-in-progress", "last_signature_by": "account:ana",
                   "last_review_by": "account:bo", "last_edit_by": "account:ana"})
        );
        assert_ne!(source["last_signature_date"], before["last_signature_date"]);
        for (uri, old) in [PREVIEW, PROD].into_iter().zip(old) {
            let new = site.changeset(uri, None).await;
            assert!(site.verifies(uri).await);
            assert_eq!((&new["changes"], &new["timestamp"]), (&old["changes"], &old["timestamp"]));
            assert_ne!(new["metadata"]["signature"]["signature"], old["metadata"]["signature"]["signature"]);
            assert!(new["metadata"]["last_modified"].as_i64() > old["metadata"]["last_modified"].as_i64());
            assert_eq!(new["metadata"].get("sort"), None, "nobody approved it");
        }
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_published_of_a_deleted_source_is_empty_and_signed() {
    for house in on_both(settings()).await {
        let site = Site::of(&house);
        site.make("source").await;
        let admin = site.admin();
        site.put(&admin, &format!("{SOURCE}/records/a"), json!({})).await;
        site.status(&admin, SOURCE, "to-sign").await.unwrap();
        let since = site.changeset(DESTINATION, None).await["timestamp"].as_i64().map(|t| t - 1);
        assert_eq!(said(site.delete(&admin, DESTINATION).await), "403 Collection is in use.");
        site.delete(&admin, SOURCE).await.unwrap();
        assert!(site.verifies(DESTINATION).await);
        assert_eq!(ids(&site.changeset(DESTINATION, since).await["changes"]), ["-a"]);
        assert_eq!(site.get("/buckets/source/groups").await, json!([]));
        site.delete(&admin, DESTINATION).await.unwrap();
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn collections_go_together_or_not_at_all() {
    let mut settings = settings();
    settings.resources = vec![
        line("/buckets/w/collections/a", None, "/buckets/out/collections/a"),
        line("/buckets/w/collections/c", None, "/buckets/w/collections/b"),
    ];
    for house in on_both(settings).await {
        let site = Site::of(&house);
        let admin = site.admin();
        site.put(&admin, "/buckets/w", json!({})).await;
        for id in ["a", "c"] {
            site.put(&admin, &format!("/buckets/w/collections/{id}"), json!({})).await;
        }
        let all = "/buckets/w/collections";
        let (before, published) = (site.get(all).await, site.get("/buckets/out/collections/a").await);
        // `a` would be published empty before it is seen that `b` belongs to `c`.
        let mut by_id = call(Method::Delete, all, None);
        by_id.query = vec![("_sort".into(), "id".into())];
        let refused = execute(&site.ctx, &admin, vec![by_id]).await.pop().unwrap();
        assert!(matches!(refused, Answer::Refused(Error::Forbidden(_))), "{refused:?}");
        assert_eq!(site.get(all).await, before);
        assert_eq!(site.get("/buckets/out/collections/a").await, published, "nothing was signed");
        site.delete(&admin, "/buckets/w/collections/c").await.unwrap();
        assert_eq!(ids(&site.delete(&admin, all).await.unwrap()), ["-a", "-b"]);
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_hard_deletion_nothing_is_left_of_a_deleted_source() {
    let mut settings = settings();
    settings.resources[1].hard_delete = true;
    for house in on_both(settings).await {
        let site = reviewed(&house).await;
        let (ana, bo) = (site.user("ana"), site.user("bo"));
        site.put(&ana, &format!("{STAGING}/records/a"), json!({})).await;
        site.status(&ana, STAGING, "to-review").await.unwrap();
        site.status(&bo, STAGING, "to-sign").await.unwrap();
        let last = site.changeset(PROD, None).await["timestamp"].as_i64();
        site.delete(&site.admin(), STAGING).await.unwrap();
        for uri in [PREVIEW, PROD] {
            let read = site.send(&site.admin(), Method::Get, uri, None).await;
            assert!(matches!(read, Answer::Refused(Error::NotFound { .. })), "{read:?}");
        }
        site.put(&site.admin(), STAGING, json!({})).await;
        assert!(site.changeset(PROD, None).await["timestamp"].as_i64() >= last, "time does not go backwards");
        assert!(site.verifies(PROD).await);
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_not_everybody_reads_the_same_is_refused_and_not_stored() {
    let mut settings = settings();
    settings.resources[1].allow_floats = true;
    for house in on_both(settings).await {
        let site = Site::of(&house);
        site.make("source").await;
        let record = format!("{SOURCE}/records/f");
        for (data, path) in [
            (json!({"x": 1.5}), "x"),
            (json!({"x": {"y": [1, 2.0]}}), "x.y.0.1"),
            (serde_json::from_str(r#"{"x":1e2}"#).unwrap(), "x"),
            (serde_json::from_str(r#"{"x":18446744073709551616}"#).unwrap(), "x"),
        ] {
            let put = site.send(&site.admin(), Method::Put, &record, Some(json!({"data": data}))).await;
            let Answer::Refused(Error::Refused(message)) = put else { panic!("{put:?}") };
            let wanted = format!("field contains float value (tip: use integer or string), '{path}'");
            assert_eq!(message, wanted);
        }
        let read = site.send(&site.admin(), Method::Get, &record, None).await;
        assert!(matches!(read, Answer::Refused(Error::NotFound { .. })), "{read:?}");
        assert_eq!(site.get(SOURCE).await["status"], "signed", "nothing was written");
        site.put(&site.admin(), &record, json!({"x": u64::MAX})).await;

        let site = reviewed(&house).await;
        let numbers = json!({"a": 1.0, "b": 1.5, "c": -0.0, "d": 1e21, "e": 5e-324});
        site.put(&site.user("ana"), &format!("{STAGING}/records/f"), numbers).await;
        site.status(&site.user("ana"), STAGING, "to-review").await.unwrap();
        assert!(site.verifies(PREVIEW).await, "where they are allowed");
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signer_that_fails_leaves_nothing() {
    for house in on_both(settings()).await {
        let site = Site::of(&house);
        site.make("source").await;
        site.put(&site.admin(), &format!("{SOURCE}/records/a"), json!({})).await;
        let state = |site: Site| async move {
            let mut state = Vec::new();
            for uri in [SOURCE, DESTINATION, "/buckets/destination/history", "/buckets/source/history"] {
                state.push(site.get(uri).await);
            }
            state.push(site.changeset(DESTINATION, None).await);
            state.push(site.timestamp(&format!("{DESTINATION}/records")).await.into());
            state
        };
        let before = state(site.clone()).await;
        let name = "collections/main".parse().unwrap();
        let identity = std::sync::Arc::clone(&house.owner().identity);
        let caller = Caller::new(identity, Surface::Collections, house.ctx.request_id());
        keys::retire(&house.ctx, &caller, &name).await.unwrap();

        for status in ["to-sign", "to-resign"] {
            let refused = site.status(&site.admin(), SOURCE, status).await.unwrap_err();
            assert!(matches!(refused, Error::Unavailable(_)), "{refused:?}");
        }
        let made = site.send(&site.admin(), Method::Put, "/buckets/source/collections/d", None).await;
        assert!(matches!(made, Answer::Refused(Error::Unavailable(_))), "{made:?}");
        assert_eq!(state(site.clone()).await, before);
        assert_eq!(ids(&site.get("/buckets/source/collections").await), ["c"]);
        assert_eq!(ids(&site.get("/buckets/source/groups").await), ["c-editors", "c-reviewers"]);
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_makes_a_signature_and_the_first_one_is_where_old_readers_look() {
    let mut both = settings();
    both.resources[0] = countersign_core::collections::settings::ResourceSettings {
        signer: countersign_core::collections::settings::Signer::Local(vec![
            "new".parse().unwrap(),
            "main".parse().unwrap(),
        ]),
        ..line("/buckets/source", None, "/buckets/destination")
    };
    for house in on_both(both).await {
        let site = Site::of(&house);
        site.make("source").await;
        let changeset = site.changeset(DESTINATION, None).await;
        let metadata = &changeset["metadata"];
        assert_eq!(metadata["signature"], metadata["signatures"][0]);
        for (at, name) in ["new", "main"].into_iter().enumerate() {
            let bundle = &metadata["signatures"][at];
            assert_eq!(bundle["signer_id"], name);
            let key = keys::public_pem(&house.ctx, &format!("collections/{name}").parse().unwrap()).unwrap();
            let mut one = changeset.clone();
            one["metadata"]["signature"] = bundle.clone();
            assert!(crate::collection_signing_site::verify(&one, &key), "{name}");
        }
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_plugin_does_is_in_the_history_under_its_own_name() {
    for house in on_both(settings()).await {
        let site = Site::of(&house);
        site.make("source").await;
        let history = site.get("/buckets/destination/history").await;
        let entries = history.as_array().unwrap();
        assert!(!entries.is_empty());
        for entry in entries {
            assert_eq!(entry["user_id"], "plugin:remote-settings", "{entry}");
        }
        house.end().await;
    }
}
