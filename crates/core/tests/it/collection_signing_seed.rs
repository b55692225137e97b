//! Collections as they were signed in 2016.

use countersign_core::collections::settings::{Profile, ResourceSettings};
use countersign_core::collections::{Answer, Method, Settings};
use countersign_core::keys;
use serde_json::{Value, json};

use crate::collection_signing_site::{Site, ids, line, on_both, verify};

const SOURCE: &str = "/buckets/source/collections/collection1";
const DESTINATION: &str = "/buckets/destination/collections/collection1";

fn settings() -> Settings {
    let resource = ResourceSettings { profile: Profile::Seed, ..line(SOURCE, None, DESTINATION) };
    Settings { resources: vec![resource], ..Settings::default() }
}

async fn records(site: &Site, uri: &str) -> Value {
    site.get(&format!("{uri}/records")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_says_to_sign_gets_a_signature_over_the_bare_records_as_python_writes_them() {
    for house in on_both(settings()).await {
        let site = Site::of(&house);
        let admin = site.admin();
        site.put(&admin, "/buckets/source", json!({})).await;
        site.put(&admin, SOURCE, json!({})).await;
        let read = site.send(&admin, Method::Get, DESTINATION, None).await;
        assert!(matches!(read, Answer::Refused(_)), "nothing is published before somebody says so");
        let numbers = json!({"f": 1.0, "g": 1e21, "h": 1e-5, "t": "é😀"});
        site.put(&admin, &format!("{SOURCE}/records/bbbbbbbb-0000-4000-8000-000000000000"), numbers).await;
        let numbers = json!({"n": 2, "big": 9_007_199_254_740_993_u64});
        site.put(&admin, &format!("{SOURCE}/records/aaaaaaaa-0000-4000-8000-000000000000"), numbers).await;

        let answer = site.status(&admin, SOURCE, "to-sign").await.unwrap();
        assert_eq!(answer["status"], "to-sign");
        let source = site.get(SOURCE).await;
        assert_eq!(
            source,
            json!({"id": "collection1", "status": "signed", "last_modified": answer["last_modified"]}),
            "signed, and not a moment later"
        );
        assert_eq!(records(&site, DESTINATION).await, records(&site, SOURCE).await, "with their timestamps");
        let destination = site.get(DESTINATION).await;
        let bundle = &destination["signature"];
        let members: Vec<_> = bundle.as_object().unwrap().keys().collect();
        assert_eq!(members, ["hash_algorithm", "signature", "signature_encoding"]);
        assert_eq!(
            (&bundle["hash_algorithm"], &bundle["signature_encoding"]),
            (&json!("sha384"), &json!("rs_base64"))
        );
        assert_eq!(destination.get("signatures"), None);
        assert!(site.verifies(DESTINATION).await);
        assert_eq!(site.permissions("/buckets/destination").await, json!({}));
        assert_eq!(site.permissions(DESTINATION).await, json!({"read": ["system.Everyone"]}));

        // Again, though it is signed; and any other status means nothing.
        site.status(&admin, SOURCE, "to-sign").await.unwrap();
        assert_ne!(site.get(DESTINATION).await["signature"], *bundle);
        assert_eq!(site.status(&admin, SOURCE, "foo").await.unwrap()["status"], "foo");
        assert_eq!(site.get(SOURCE).await["status"], "foo");
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_leaves_a_tombstone_and_what_is_written_again_its_new_timestamp() {
    for house in on_both(settings()).await {
        let site = Site::of(&house);
        let admin = site.admin();
        let record = |id: &str| format!("{SOURCE}/records/{id}");
        site.put(&admin, "/buckets/source", json!({})).await;
        site.put(&admin, SOURCE, json!({})).await;
        for id in ["a", "b", "c"] {
            site.put(&admin, &record(id), json!({"v": 1})).await;
        }
        site.status(&admin, SOURCE, "to-sign").await.unwrap();
        let first = site.changeset(DESTINATION, None).await["timestamp"].as_i64();
        site.delete(&admin, &record("a")).await.unwrap();
        site.put(&admin, &record("b"), json!({"v": 1})).await;
        site.status(&admin, SOURCE, "to-sign").await.unwrap();
        assert!(site.verifies(DESTINATION).await);
        assert_eq!(records(&site, DESTINATION).await, records(&site, SOURCE).await);
        assert_eq!(ids(&site.changeset(DESTINATION, first).await["changes"]), ["-a", "b"]);
        house.end().await;
    }
}

/// What the program of 2016 signed, and with it what ours does.
#[tokio::test(flavor = "multi_thread")]
async fn the_message_is_that_of_2016() {
    const PAYLOAD: &str = concat!(
        r#"[{"big":9007199254740993,"id":"aaaaaaaa-0000-4000-8000-000000000000","#,
        r#""last_modified":1795209759154,"n":2},{"f":1.0,"g":1e+21,"h":1e-05,"#,
        r#""id":"bbbbbbbb-0000-4000-8000-000000000000","last_modified":1795209759075,"t":"\u00e9\ud83d\ude00"}]"#
    );
    let house = crate::collection_signing_site::house(None, settings()).await;
    let site = Site::of(&house);
    let admin = site.admin();
    site.put(&admin, "/buckets/source", json!({})).await;
    site.put(&admin, SOURCE, json!({})).await;
    for record in serde_json::from_str::<Vec<Value>>(PAYLOAD).unwrap() {
        let uri = format!("{SOURCE}/records/{}", record["id"].as_str().unwrap());
        site.put(&admin, &uri, record).await;
    }
    site.status(&admin, SOURCE, "to-sign").await.unwrap();
    let read = site.changeset(DESTINATION, None).await;
    let key = keys::public_pem(&house.ctx, &"collections/main".parse().unwrap()).unwrap();
    assert!(verify(&read, &key));
    let mut captured = read;
    captured["changes"] = serde_json::from_str(PAYLOAD).unwrap();
    assert!(verify(&captured, &key), "the records are those of the capture, with their timestamps");
    house.end().await;
}
