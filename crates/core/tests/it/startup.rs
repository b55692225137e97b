use std::os::unix::fs::PermissionsExt as _;

use countersign_core::auth::{Presented, authenticate};
use countersign_core::seal::{self, NewSeal};
use countersign_core::startup::{self, StartError};
use countersign_core::{Code, SealSource, Secret, keys, log, principals, signing};
use countersign_model::entry::Op;

use crate::support::{House, any_token, message, options};

#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_makes_an_admin_whose_token_is_in_a_private_file() {
    for house in House::on_both().await {
        let path = house.dir.path().join("admin.token");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let token = std::fs::read_to_string(&path).unwrap();
        let admin = house.bearer(token.trim_end());
        assert_eq!(principals::whoami(&admin).roles[0].as_str(), "admin");

        let ops: Vec<_> = log::by_request(&house.ctx, &admin, &"first-start".parse().unwrap(), None)
            .await
            .unwrap()
            .entries
            .into_iter()
            .map(|found| serde_json::to_value(found.entry.op).unwrap())
            .collect();
        assert_eq!(ops, ["policy-set", "principal-create", "token-create"]);
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_used_by_one_process_at_a_time() {
    for house in House::on_both().await {
        assert!(matches!(house.open_beside().await, Err(StartError::InUse(_))));
        house.again().await.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_again_after_a_restart() {
    for house in House::on_both().await {
        let key = house.key("release", "p256").await;
        let signed = signing::sign_one(&house.ctx, &house.owner(), message(&key, "x")).await.unwrap();
        house.person("ana", &["signer"]).await;
        let token = house.token("ana").await;
        let node = house.ctx.node().clone();

        let house = house.again().await;
        assert_eq!(*house.ctx.node(), node);
        assert_eq!(keys::get(&house.ctx, &house.owner(), &key).unwrap().id, signed.key_id);
        let ana = house.bearer(&token);
        let next = signing::sign_one(&house.ctx, &ana, message(&key, "y")).await.unwrap();
        assert!(next.log.index > signed.log.index);
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_lost_entries_is_not_continued() {
    for house in House::on_both().await {
        let key = house.key("release", "ed25519").await;
        let copy = tempfile::tempdir().unwrap();
        let log = house.dir.path().join("log");
        let copied = std::process::Command::new("cp").arg("-a").arg(&log).arg(copy.path()).status().unwrap();
        assert!(copied.success());
        for i in 0..5 {
            let text = format!("message {i}");
            signing::sign_one(&house.ctx, &house.owner(), message(&key, &text)).await.unwrap();
        }
        let House { dir, ctx, database } = house;
        ctx.shutdown().await;

        std::fs::remove_dir_all(&log).unwrap();
        std::fs::rename(copy.path().join("log"), &log).unwrap();
        let error = startup::open(options(dir.path(), database.as_ref())).await.err().expect("refused");
        assert!(matches!(error, StartError::KeyHost(_)), "{error}");
        assert!(error.hint().is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_end_the_database_is_closed_though_somebody_still_holds_the_deployment() {
    let house = House::new(None).await;
    house.key("release", "ed25519").await;
    let House { dir, ctx, .. } = house;
    let held = ctx.clone();
    ctx.shutdown().await;
    // Else it would be closed in the middle of a copy, and the copy would lack what was written last.
    let files = std::fs::read_dir(dir.path().join("db")).unwrap();
    let names: Vec<_> = files.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.iter().all(|name| !name.ends_with("-wal") && !name.ends_with("-shm")), "{names:?}");
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_keeps_its_name() {
    for house in House::on_both().await {
        assert!(house.ctx.node().as_str().starts_with("node-"));
        let House { dir, ctx, database } = house;
        ctx.shutdown().await;
        let mut other = options(dir.path(), database.as_ref());
        other.node = Some("b".parse().unwrap());
        assert!(matches!(startup::open(other).await, Err(StartError::OtherNode { .. })));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_use_of_a_token_is_kept() {
    for house in House::on_both().await {
        house.person("ana", &["signer"]).await;
        let tokens = principals::tokens(&house.ctx, &house.owner(), &"ana".parse().unwrap()).await.unwrap();
        assert!(tokens.tokens[0].last_used.is_some());
        let house = house.again().await;
        let tokens = principals::tokens(&house.ctx, &house.owner(), &"ana".parse().unwrap()).await.unwrap();
        assert!(tokens.tokens[0].last_used.is_some());
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_bad_credentials_get_one_answer() {
    for house in House::on_both().await {
        house.person("ana", &["signer"]).await;
        let good = house.token("ana").await;
        let named = |principal, token| authenticate(&house.ctx, Presented::NamedToken { principal, token });
        assert!(named("ana", &good).is_ok());
        assert!(named("bo", &good).is_err(), "the name must match");

        let stranger = {
            use zeroize::Zeroizing;
            countersign_model::token::Token::from_random([1; 8], &Zeroizing::new([2; 32]))
        };
        for bad in ["", "cst_", stranger.expose()] {
            assert!(authenticate(&house.ctx, Presented::Token(bad)).is_err());
        }

        let owner = house.owner();
        let ana = "ana".parse().unwrap();
        let made = principals::create_token(&house.ctx, &owner, &ana, any_token()).await.unwrap().value;
        assert!(authenticate(&house.ctx, Presented::Token(made.token.expose())).is_ok());
        principals::revoke_token(&house.ctx, &owner, &made.id).await.unwrap();
        assert!(authenticate(&house.ctx, Presented::Token(made.token.expose())).is_err(), "revoked");

        principals::disable(&house.ctx, &owner, &ana).await.unwrap();
        assert!(authenticate(&house.ctx, Presented::Token(&good)).is_err(), "disabled");
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_open_under_a_new_seal_key_after_a_rotation() {
    for house in House::on_both().await {
        let key = house.key("release", "ed25519").await;
        let file = house.dir.path().join("host/seal.key");
        let before = std::fs::read(&file).unwrap();
        let rotated = seal::rotate(&house.ctx, &house.owner(), NewSeal::SameKind).await.unwrap();
        assert_eq!(rotated.unfinished, None);
        let log = rotated.log;
        assert_ne!(std::fs::read(&file).unwrap(), before);
        let entry = log::entry(&house.ctx, &house.owner(), &log.origin, log.index).await.unwrap().entry;
        assert_eq!((entry.op, entry.subject.as_deref()), (Op::SealRotate, Some("file")));
        let operator = house.person("op", &["operator"]).await;
        let refused = seal::rotate(&house.ctx, &operator, NewSeal::SameKind).await;
        crate::support::refused(refused, Code::NotPermitted);
        let house = house.again().await;
        signing::sign_one(&house.ctx, &house.owner(), message(&key, "x")).await.unwrap();
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_open_by_a_passphrase_after_it_took_the_place_of_the_file() {
    for house in House::on_both().await {
        let key = house.key("release", "ed25519").await;
        let words = NewSeal::Passphrase(Secret(b"correct horse".to_vec()));
        seal::rotate(&house.ctx, &house.owner(), words).await.unwrap();
        assert!(!house.dir.path().join("host/seal.key").exists());
        let House { dir, ctx, database } = house;
        ctx.shutdown().await;
        assert!(startup::open(options(dir.path(), database.as_ref())).await.is_err());

        let mut options = options(dir.path(), database.as_ref());
        options.seal = SealSource::Prompt;
        options.passphrase = Some(Secret(b"correct horse".to_vec()));
        let house = House { ctx: startup::open(options).await.unwrap(), dir, database };
        signing::sign_one(&house.ctx, &house.owner(), message(&key, "x")).await.unwrap();
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_deployment_is_opened_by_its_passphrase_and_says_so_until_then() {
    let dir = tempfile::tempdir().unwrap();
    let prompt = |passphrase: Option<&str>| {
        let mut options = options(dir.path(), None);
        options.seal = SealSource::Prompt;
        options.passphrase = passphrase.map(|text| Secret(text.into()));
        options
    };
    let ctx = startup::open(prompt(None)).await.unwrap();
    assert!(ctx.not_ready().await[0].contains("passphrase"));
    seal::unlock(&ctx, Secret(b"correct horse".to_vec())).await.unwrap();
    for _ in 0..50 {
        if ctx.not_ready().await.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(ctx.not_ready().await.is_empty(), "the first steps were made after the unlocking");
    assert!(dir.path().join("admin.token").exists());
    ctx.shutdown().await;

    let ctx = startup::open(prompt(None)).await.unwrap();
    let wrong = seal::unlock(&ctx, Secret(b"wrong".to_vec())).await;
    crate::support::refused(wrong, Code::WrongPassphrase);
    seal::unlock(&ctx, Secret(b"correct horse".to_vec())).await.unwrap();
    ctx.shutdown().await;
}
