//! PATCH metadata/sign, and proofs of possession.

use countersign_core::tuf::request::{Proof, Request};
use countersign_core::tuf::settings::Settings;
use countersign_core::tuf::{self, challenge, read};
use countersign_core::{Caller, Context, startup};
use countersign_model::Surface;
use countersign_tuf::proof::Operation;
use serde_json::{Value, json};

use crate::support::{House, options};
use crate::tuf_people::*;

fn patch(root: Value) -> Request {
    Request::OverrideSignMetadata { root, settings: None, proof: None }
}

fn patch_with(root: Value, proof: Proof) -> Request {
    Request::OverrideSignMetadata { root, settings: None, proof: Some(proof) }
}

fn delete_with(role: &str, proof: Proof) -> Request {
    Request::DeleteSignMetadata { role: role.into(), proof: Some(proof) }
}

async fn pending(house: &House) -> Value {
    read::signing(&house.ctx).await.unwrap().unwrap()["metadata"]["root"].clone()
}

/// A challenge for `operation`, signed by `person`.
async fn proof(house: &House, person: &Person, operation: Operation, new: Option<&Value>) -> Proof {
    let new = new.map(|new| {
        let mut bytes = [0; 32];
        hex::decode_to_slice(digest(new), &mut bytes).unwrap();
        bytes
    });
    let issued = challenge::issue(&house.ctx, &caller(house), "root", operation, new).await.unwrap();
    let sig = person.text(issued.payload.as_bytes());
    Proof { nonce: issued.nonce, keyid: person.keyid.clone(), sig }
}

/// Message and error.
async fn refusal(house: &House, request: Request) -> (String, String) {
    errored(&done(house, request).await)
}

const FAILED: &str = "Metadata Override Failed";

#[tokio::test]
async fn another_first_root_takes_the_place_of_the_pending_one_with_other_settings() {
    for house in House::on_both().await {
        let (alice, bob, stranger) = (Person::ed25519(1), Person::p256(), Person::ed25519(9));
        let error = refused(&house, patch(json!({}))).await;
        assert!(matches!(&error, tuf::Error::WrongState { message: Some(message), error }
            if message == "No signing process for root." && error == "The root role is not in a signing process."));

        let old = Root::first(&house.ctx, &[&alice, &bob], 2).await;
        let before = old.by(&[&alice]);
        let view = done(&house, bootstrap(before.clone(), bins(4))).await;
        let new = Root { expires: in_days(200), ..old.clone() };
        let after = new.by(&[&bob]);
        let cases = [
            (old.by(&[&alice]), "Metadata cannot be patched - new metadata same as the old one"),
            (old.by(&[&alice, &bob]), "Metadata cannot be patched - new metadata same as the old one"),
            (new.by(&[]), "Metadata requires at least one valid signature"),
            (new.by(&[&stranger]), "Bootstrap has invalid signature(s)"),
            (
                Root { version: 2, ..new.clone() }.by(&[&alice]),
                "Failed to verify the trust: Expected root version 1 instead got version 2",
            ),
        ];
        for (root, why) in cases {
            assert_eq!(refusal(&house, patch(root)).await, (FAILED.to_owned(), why.to_owned()));
            assert_eq!(pending(&house).await, before, "nothing was changed");
        }

        let request =
            Request::OverrideSignMetadata { root: after.clone(), settings: Some(bins(8)), proof: None };
        let details = json!({"role": "root", "bootstrap": "Root v1 is pending signatures"});
        let replaced = succeeded(&done(&house, request).await);
        assert_eq!(replaced, ("Metadata Override Processed".to_owned(), details));
        assert_eq!(pending(&house).await, after, "the old signatures are gone");
        let state = read::bootstrap(&house.ctx).await.unwrap().data;
        assert_eq!(state["id"], json!(view.id), "the first task's id stays");

        let withdrawn = "Metadata cannot be patched - this metadata was withdrawn".to_owned();
        assert_eq!(refusal(&house, patch(before.clone())).await, (FAILED.to_owned(), withdrawn));
        // Signatures over what was there before do not count any more.
        let late = refusal(&house, bob.signs("root", &before)).await;
        assert_eq!(late, ("Signature Failed".to_owned(), "Invalid signature".to_owned()));

        let (_, details) = succeeded(&done(&house, alice.signs("root", &after)).await);
        assert_eq!(details, json!({"bootstrap": "Bootstrap Finished"}));
        assert_eq!(read::config(&house.ctx).await.unwrap()["number_of_delegated_bins"], 8);
        house.end().await;
    }
}

#[tokio::test]
async fn an_override_with_all_signatures_comes_into_force_at_once() {
    for house in House::on_both().await {
        let (alice, bob) = (Person::ed25519(1), Person::ed25519(2));
        let root = Root::first(&house.ctx, &[&alice, &bob], 2).await;
        succeeded(&done(&house, bootstrap(root.by(&[&alice]), bins(4))).await);
        let first = Root { expires: in_days(200), ..root.clone() };
        let (_, details) = succeeded(&done(&house, patch(first.by(&[&alice, &bob]))).await);
        assert_eq!(details, json!({"role": "root", "bootstrap": "Bootstrap Finished"}));

        let second = Root { version: 2, ..first.clone() };
        let update = Request::MetadataUpdate { root: second.by(&[&alice]) };
        succeeded(&done(&house, update).await);
        let with_settings = Request::OverrideSignMetadata {
            root: Root { expires: in_days(300), ..second.clone() }.by(&[&alice]),
            settings: Some(bins(8)),
            proof: None,
        };
        let (_, error) = refusal(&house, with_settings).await;
        assert_eq!(error, "`settings` can be replaced only while the bootstrap is being signed");
        let other = Root { expires: in_days(300), ..second.clone() };
        let (_, details) = succeeded(&done(&house, patch(other.by(&[&bob]))).await);
        assert_eq!(details, json!({"role": "root", "update": "Root v2 is pending signatures"}));
        let third = Root { expires: in_days(301), ..second.clone() };
        let (_, details) = succeeded(&done(&house, patch(third.by(&[&alice, &bob]))).await);
        assert_eq!(details, json!({"role": "root", "update": "Metadata update finished"}));
        let client = client(&house.ctx, 1).await.unwrap();
        assert_eq!((client.root().version(), client.root().expires()), (2, third.expires));

        // A round ends with the version: what was withdrawn in it is free again for the next.
        let next = Root { version: 3, ..second.clone() };
        succeeded(&done(&house, Request::MetadataUpdate { root: next.by(&[&alice]) }).await);
        house.end().await;
    }
}

#[tokio::test]
async fn a_challenge_names_server_operation_role_and_both_contents() {
    for house in House::on_both().await {
        let (alice, bob) = (Person::ed25519(1), Person::ed25519(2));
        let nothing = challenge::issue(&house.ctx, &caller(&house), "root", Operation::Delete, None).await;
        assert!(matches!(nothing, Err(tuf::Error::WrongState { message: Some(message), .. })
            if message == "No signing process for root."));

        let root = Root::first(&house.ctx, &[&alice, &bob], 2).await;
        let document = root.by(&[&alice]);
        succeeded(&done(&house, bootstrap(document.clone(), bins(4))).await);
        let issued =
            challenge::issue(&house.ctx, &caller(&house), "root", Operation::Override, Some([7; 32])).await;
        let issued = issued.unwrap();
        let lines: Vec<&str> = issued.payload.split_terminator('\n').collect();
        assert!(issued.payload.ends_with('\n'));
        assert_eq!(lines[0], "countersign-das-proof-v1");
        assert!(lines[1].starts_with("tuf-") && lines[1].len() == 20, "{}", lines[1]);
        assert_eq!(lines[2..4], ["override", "root"]);
        assert_eq!(lines[4], digest(&document));
        assert_eq!(lines[5], "07".repeat(32));
        assert_eq!(lines[6], issued.nonce);
        assert_eq!((lines.len(), issued.nonce.len()), (7, 64));
        let left = issued.expires.duration_since(jiff::Timestamp::now()).as_secs();
        assert!((290..=300).contains(&left), "{left}");

        // The server stays the same one, and another has another name.
        let again =
            challenge::issue(&house.ctx, &caller(&house), "root", Operation::Delete, None).await.unwrap();
        assert!(again.payload.contains(lines[1]));
        assert_eq!(again.payload.lines().nth(5), Some("-"));

        for _ in 0..14 {
            challenge::issue(&house.ctx, &caller(&house), "root", Operation::Delete, None).await.unwrap();
        }
        let many = challenge::issue(&house.ctx, &caller(&house), "root", Operation::Delete, None).await;
        assert!(matches!(many, Err(tuf::Error::Conflict { .. })), "no more than 16 are open");
        house.end().await;
    }
}

#[tokio::test]
async fn a_proof_that_is_given_is_checked_and_good_for_one_try() {
    for house in House::on_both().await {
        let (alice, bob, stranger) = (Person::ed25519(1), Person::p256(), Person::ed25519(9));
        let root = Root::first(&house.ctx, &[&alice, &bob], 2).await;
        let document = root.by(&[&alice]);
        succeeded(&done(&house, bootstrap(document.clone(), bins(4))).await);
        let new = Root { expires: in_days(200), ..root.clone() }.by(&[&alice]);
        let other = Root { expires: in_days(201), ..root.clone() }.by(&[&alice]);
        let invalid = (FAILED.to_owned(), "Invalid proof".to_owned());

        let by_stranger = proof(&house, &stranger, Operation::Override, Some(&new)).await;
        assert_eq!(refusal(&house, patch_with(new.clone(), by_stranger)).await, invalid, "no root key");
        let for_other = proof(&house, &bob, Operation::Override, Some(&other)).await;
        assert_eq!(
            refusal(&house, patch_with(new.clone(), for_other.clone())).await,
            invalid,
            "another content"
        );
        assert_eq!(
            refusal(&house, patch_with(other.clone(), for_other)).await,
            invalid,
            "spent by the first try"
        );
        let for_delete = proof(&house, &bob, Operation::Delete, None).await;
        assert_eq!(refusal(&house, patch_with(new.clone(), for_delete)).await, invalid, "another operation");
        let mut unknown = proof(&house, &bob, Operation::Override, Some(&new)).await;
        unknown.nonce = "00".repeat(32);
        assert_eq!(refusal(&house, patch_with(new.clone(), unknown)).await, invalid, "no such challenge");
        let early = proof(&house, &bob, Operation::Override, Some(&new)).await;
        assert_eq!(pending(&house).await, document);

        let good = proof(&house, &bob, Operation::Override, Some(&new)).await;
        succeeded(&done(&house, patch_with(new.clone(), good.clone())).await);
        assert_eq!(pending(&house).await, new);
        let third = Root { expires: in_days(202), ..root.clone() }.by(&[&alice]);
        assert_eq!(
            refusal(&house, patch_with(third, early)).await,
            invalid,
            "void: what is pending has changed"
        );

        let deleted = "Deletion of root metadata failed.".to_owned();
        assert_eq!(refusal(&house, delete_with("root", good)).await, (deleted, "Invalid proof".to_owned()));
        let good = proof(&house, &alice, Operation::Delete, None).await;
        succeeded(&done(&house, delete_with("root", good)).await);
        house.end().await;
    }
}

#[tokio::test]
async fn where_a_proof_is_required_nothing_is_overridden_or_stopped_without_one() {
    for house in House::on_both().await {
        let House { dir, ctx, database } = house;
        ctx.shutdown().await;
        let mut options = options(dir.path(), database.as_ref());
        options.tuf = Settings { proof_required: true, ..Settings::default() };
        let ctx: Context = startup::open(options).await.unwrap();
        let house = House { dir, ctx, database };

        let (alice, bob) = (Person::ed25519(1), Person::rsa());
        let root = Root::first(&house.ctx, &[&alice, &bob], 2).await;
        succeeded(&done(&house, bootstrap(root.by(&[&alice]), bins(4))).await);
        let new = Root { expires: in_days(200), ..root.clone() }.by(&[&alice]);
        let error = refused(&house, patch(new.clone())).await;
        assert!(matches!(error, tuf::Error::ProofRequired), "{error}");
        let delete = Request::DeleteSignMetadata { role: "root".into(), proof: None };
        let error = refused(&house, delete).await;
        assert!(matches!(error, tuf::Error::ProofRequired), "{error}");

        let shown = proof(&house, &bob, Operation::Override, Some(&new)).await;
        succeeded(&done(&house, patch_with(new, shown)).await);
        let shown = proof(&house, &alice, Operation::Delete, None).await;
        succeeded(&done(&house, delete_with("root", shown)).await);
        house.end().await;
    }
}

#[tokio::test]
async fn who_may_not_override_or_stop_gets_no_challenge() {
    for house in House::on_both().await {
        let reader = house.person("rita", &["reader"]).await;
        let reader = Caller { surface: Surface::Tuf, ..reader };
        for operation in [Operation::Delete, Operation::Override] {
            let refused = challenge::issue(&house.ctx, &reader, "root", operation, None).await;
            assert!(matches!(refused, Err(tuf::Error::Other(_))), "{refused:?}");
        }
        house.end().await;
    }
}

/// What was withdrawn is kept until the round of signing is over, and read with every task.
#[tokio::test]
async fn a_root_is_not_overridden_without_end() {
    for house in House::on_both().await {
        let (alice, bob) = (Person::ed25519(1), Person::ed25519(2));
        let root = Root::first(&house.ctx, &[&alice, &bob], 2).await;
        succeeded(&done(&house, bootstrap(root.by(&[&alice]), bins(4))).await);
        let mut tx = house.ctx.store().tuf_write().await.unwrap();
        let mut document: Value = serde_json::from_str(&tx.repository().await.unwrap().unwrap()).unwrap();
        let withdrawn: Vec<String> = (0..1_000).map(|number| format!("{number:064x}")).collect();
        document["withdrawn"] = json!(withdrawn);
        tx.set_repository(&document.to_string()).await.unwrap();
        tx.commit().await.unwrap();

        let new = Root { expires: in_days(200), ..root.clone() };
        let (message, error) = refusal(&house, patch(new.by(&[&alice]))).await;
        assert_eq!(message, FAILED);
        assert!(error.starts_with("1000 roots were withdrawn already"), "{error}");
        let stop = Request::DeleteSignMetadata { role: "root".into(), proof: None };
        succeeded(&done(&house, stop).await);
        let tasks = house.ctx.store().tuf_read().await.unwrap().repository().await.unwrap().unwrap();
        let document: Value = serde_json::from_str(&tasks).unwrap();
        assert_eq!(document["withdrawn"].as_array().unwrap().len(), 1_000);
        house.end().await;
    }
}
