//! Two nodes on one PostgreSQL.

use std::time::Duration;

use countersign_core::appliance::{self, CertificateId, NewCertificate};
use countersign_core::startup::{self, StartError};
use countersign_core::{Caller, Code, FilesConfig, keys, log, policy, signing};
use countersign_keyhost::wire::HostError;
use countersign_model::Surface;

use crate::support::{Database, House, message, options, refused};

/// A second node with a copy of the first one's seal key.
pub async fn beside(first: &House) -> House {
    beside_with(first, None).await
}

/// The same; `files` is where the publication log's files are, if not in a place of its own.
pub async fn beside_with(first: &House, files: Option<FilesConfig>) -> House {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("host")).unwrap();
    std::fs::copy(first.dir.path().join("host/seal.key"), dir.path().join("host/seal.key")).unwrap();
    let mut options = options(dir.path(), first.database.as_ref());
    options.files = files;
    let ctx = startup::open(options).await.unwrap();
    House { dir, ctx, database: None }
}

/// Long enough for a change to be seen by the other node.
async fn a_moment() {
    tokio::time::sleep(Duration::from_millis(1200)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_changes_the_other_knows_within_a_second() {
    let a = House::new(Some(Database::create().await.unwrap())).await;
    let b = beside(&a).await;
    assert!(!b.dir.path().join("admin.token").exists(), "the first start was made already");

    let key = a.key("release", "ed25519").await;
    a.person("ana", &["signer"]).await;
    let token = a.token("ana").await;
    a_moment().await;
    let ana = b.bearer(&token);
    let answer = signing::sign_one(&b.ctx, &ana, message(&key, "x")).await.unwrap();
    assert_eq!(answer.log.origin, *b.ctx.node());

    keys::revoke(&b.ctx, &b.owner(), &key, "lost".into()).await.unwrap();
    refused(signing::sign_one(&b.ctx, &ana, message(&key, "x")).await, Code::KeyRevoked);
    a_moment().await;
    refused(signing::sign_one(&a.ctx, &a.owner(), message(&key, "x")).await, Code::KeyRevoked);
    refused(
        keys::create(&a.ctx, &a.owner(), crate::support::new_key("release", "p256")).await,
        Code::NameTaken,
    );

    let origins: Vec<String> =
        log::heads(&a.ctx, &a.owner()).await.unwrap().logs.into_iter().map(|log| log.origin).collect();
    let mut both = [a.ctx.node().to_string(), b.ctx.node().to_string()];
    both.sort();
    assert_eq!(origins, both);
    refused(log::entry(&a.ctx, &a.owner(), b.ctx.node(), 0).await, Code::NotFound);
    b.end().await;
    a.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_has_just_made_for_the_appliance_signs_on_the_other_at_once() {
    let a = House::new(Some(Database::create().await.unwrap())).await;
    let b = beside(&a).await;
    let appliance = |house: &House| {
        let identity = house.owner().identity;
        Caller::new(identity, Surface::Appliance, house.ctx.request_id())
    };
    for number in 0..4 {
        let id: CertificateId = format!("c{number}").parse().unwrap();
        let subject = "/CN=c".parse().unwrap();
        let new = NewCertificate { id: id.clone(), subject, key_length: 2048, days: 1 };
        appliance::create_certificate(&a.ctx, &appliance(&a), new).await.unwrap();
        appliance::sign_module(&b.ctx, &appliance(&b), &id, b"module".to_vec()).await.unwrap();

        let rsa = appliance::create_rsa_key(&a.ctx, &appliance(&a)).await.unwrap();
        appliance::rsa_pem(&b.ctx, &rsa).await.unwrap();
    }
    b.end().await;
    a.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_nodes_that_replace_the_policy_one_is_told_of_the_other() {
    let a = House::new(Some(Database::create().await.unwrap())).await;
    let b = beside(&a).await;
    let seen = policy::get(&a.ctx, &a.owner()).unwrap();
    policy::put(&a.ctx, &a.owner(), seen.rules.clone(), Some(&seen.etag())).await.unwrap();
    let late = policy::put(&b.ctx, &b.owner(), seen.rules.clone(), Some(&seen.etag())).await;
    refused(late, Code::Conflict);
    b.end().await;
    a.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_node_never_makes_a_seal_key() {
    let a = House::new(Some(Database::create().await.unwrap())).await;
    let dir = tempfile::tempdir().unwrap();
    let opened = startup::open(options(dir.path(), a.database.as_ref())).await;
    assert!(matches!(opened, Err(StartError::KeyHost(HostError::Seal(_)))));
    assert!(!dir.path().join("host/seal.key").exists());
    a.end().await;
}
