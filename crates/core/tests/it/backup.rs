use std::io::Cursor;

use countersign_core::backup::{self, BackupError, RestoreOptions, RestoredSeal};
use countersign_core::startup;
use countersign_core::{Code, Secret, keys, log, publication, signing};
use countersign_model::Format;
use countersign_model::entry::Op;

use crate::support::{House, key_host, message, new_key, options, refused};

fn passphrase() -> Secret {
    Secret(b"a sentence that is kept apart".to_vec())
}

async fn backup_of(house: &House) -> Vec<u8> {
    let (_, file) = backup::create(&house.ctx, &house.owner(), passphrase(), Vec::new()).await.unwrap();
    file
}

fn into(data: std::path::PathBuf) -> RestoreOptions {
    RestoreOptions { data, database: None, seal: RestoredSeal::File, node: None, config: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_deployment_signs_with_the_same_keys_and_goes_on_in_a_log_of_its_own() {
    for house in House::on_both().await {
        let key = house.key("release", "p256").await;
        for i in 0..300 {
            let text = format!("message {i}");
            signing::sign_one(&house.ctx, &house.owner(), message(&key, &text)).await.unwrap();
        }
        house.person("ana", &["signer"]).await;
        let token = house.token("ana").await;
        std::fs::write(house.dir.path().join("countersign.toml"), "listen = \"127.0.0.1:0\"\n").unwrap();
        let file = backup_of(&house).await;
        let old = house.ctx.node().clone();
        let document = keys::get(&house.ctx, &house.owner(), &key).unwrap();
        house.end().await;

        let dir = tempfile::tempdir().unwrap();
        let restored =
            backup::restore(into(dir.path().to_owned()), passphrase(), Cursor::new(file)).await.unwrap();
        assert_eq!(restored.manifest.origin, old);
        assert_ne!(restored.node, old);
        assert!(dir.path().join("countersign.toml").exists());

        let ctx = startup::open(options(dir.path(), None)).await.unwrap();
        let house = House { dir, ctx, database: None };
        let (ctx, owner) = (&house.ctx, house.owner());
        assert_eq!(keys::get(ctx, &owner, &key).unwrap(), document);
        signing::sign_one(ctx, &house.bearer(&token), message(&key, "after")).await.unwrap();

        let first = log::entry(ctx, &owner, ctx.node(), 0).await.unwrap().entry;
        assert_eq!(first.op, Op::LogContinue);
        assert!(first.subject.unwrap().starts_with(&format!("{old} ")));
        let kept = log::entry(ctx, &owner, &old, 299).await.unwrap();
        assert_eq!(kept.entry.op, Op::Sign);
        assert_eq!(log::heads(ctx, &owner).await.unwrap().logs.len(), 2);

        // And once more: a backup of the restored deployment keeps the oldest log.
        let file = backup_of(&house).await;
        let third = tempfile::tempdir().unwrap();
        backup::restore(into(third.path().to_owned()), passphrase(), Cursor::new(file)).await.unwrap();
        assert!(third.path().join("log").join(old.as_str()).join("tile/0/000").exists());
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_tries_every_key_and_leaves_nothing_behind() {
    for house in House::on_both().await {
        for key_type in ["rsa-2048", "p256", "p384", "p521", "ed25519"] {
            house.key(key_type, key_type).await;
        }
        let mut tags = new_key("tags", "p256");
        tags.formats = Some(vec![Format::Tag]);
        keys::create(&house.ctx, &house.owner(), tags).await.unwrap();
        let lost = house.key("lost", "ed25519").await;
        keys::revoke(&house.ctx, &house.owner(), &lost, "lost".into()).await.unwrap();
        let file = backup_of(&house).await;
        house.end().await;

        let dir = tempfile::tempdir().unwrap();
        let scratch = dir.path().join("drill");
        let drill =
            backup::verify(&scratch, key_host(), passphrase(), Cursor::new(file.clone())).await.unwrap();
        // The six that were made, and the one of the TUF service.
        assert_eq!(drill.working, 7);
        assert_eq!(drill.untried, [lost]);
        assert!(!scratch.exists());

        let wrong = Secret(b"another sentence".to_vec());
        let error = backup::verify(&scratch, key_host(), wrong, Cursor::new(file.clone())).await.unwrap_err();
        assert!(matches!(error, BackupError::WrongPassphrase), "{error}");
        for damaged in
            [&file[..file.len() - 1], &file[..file.len() / 2], &file[..10], b"PK\x03\x04 and so on"]
        {
            let source = Cursor::new(damaged.to_vec());
            assert!(backup::verify(&scratch, key_host(), passphrase(), source).await.is_err());
            assert!(!scratch.exists());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_needs_the_right_to_everything_and_leaves_an_entry() {
    for house in House::on_both().await {
        let operator = house.person("op", &["operator"]).await;
        let made = backup::create(&house.ctx, &operator, passphrase(), Vec::new()).await;
        assert!(matches!(made, Err(BackupError::Core(error)) if error.code() == Code::NotPermitted));
        let short = Secret(b"short".to_vec());
        let made = backup::create(&house.ctx, &house.owner(), short, Vec::new()).await;
        assert!(matches!(made, Err(BackupError::ShortPassphrase)));

        let owner = house.owner();
        backup::create(&house.ctx, &owner, passphrase(), Vec::new()).await.unwrap();
        let found = log::by_request(&house.ctx, &owner, &owner.request_id, None).await.unwrap().entries;
        assert_eq!(found[0].entry.op, Op::BackupCreate);
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_was_cut_short_does_not_open() {
    for house in House::on_both().await {
        let mut file = backup_of(&house).await;
        file.truncate(file.len() - 1);
        house.end().await;
        let dir = tempfile::tempdir().unwrap();
        let restored =
            backup::restore(into(dir.path().to_owned()), passphrase(), Cursor::new(file.clone())).await;
        assert!(restored.is_err());
        let opened = startup::open(options(dir.path(), None)).await;
        assert!(matches!(opened, Err(startup::StartError::HalfRestored(_))));
        let again = backup::restore(into(dir.path().to_owned()), passphrase(), Cursor::new(file)).await;
        assert!(matches!(again, Err(BackupError::NotEmpty(_))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_read_without_restoring_it_and_restored_with_another_configuration() {
    for house in House::on_both().await {
        std::fs::write(house.dir.path().join("countersign.toml"), "node = \"a\"\n").unwrap();
        let file = backup_of(&house).await;
        let contents = backup::read(&passphrase(), file.as_slice()).unwrap();
        assert_eq!(&contents.manifest.origin, house.ctx.node());
        assert_eq!(contents.config.as_deref(), Some(b"node = \"a\"\n".as_slice()));
        let cut = backup::read(&passphrase(), &file[..file.len() - 1]);
        assert!(matches!(cut, Err(BackupError::WrongPassphrase | BackupError::Damaged(_))), "{cut:?}");
        house.end().await;

        let dir = tempfile::tempdir().unwrap();
        let options = RestoreOptions { config: Some(b"# mine\n".to_vec()), ..into(dir.path().to_owned()) };
        backup::restore(options, passphrase(), Cursor::new(file)).await.unwrap();
        assert_eq!(std::fs::read(dir.path().join("countersign.toml")).unwrap(), b"# mine\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_nobody_takes_is_given_up() {
    struct Gone;
    impl std::io::Write for Gone {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    for house in House::on_both().await {
        let made = backup::create(&house.ctx, &house.owner(), passphrase(), Gone).await;
        assert!(matches!(made, Err(BackupError::Write(_))));
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_node_may_not_take_the_old_name() {
    for house in House::on_both().await {
        let file = backup_of(&house).await;
        let node = house.ctx.node().clone();
        house.end().await;
        let dir = tempfile::tempdir().unwrap();
        let options = RestoreOptions { node: Some(node), ..into(dir.path().to_owned()) };
        match backup::restore(options, passphrase(), Cursor::new(file)).await {
            Err(BackupError::Core(error)) => {
                refused::<()>(Err(error), Code::InvalidRequest);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_deployment_publishes_under_a_new_origin_what_was_in_the_backup() {
    for house in House::on_both().await {
        let patience = std::time::Duration::from_secs(20);
        let leaves = [b"a".to_vec(), b"b".to_vec()];
        house.ctx.store().publish_leaves(&leaves).await.unwrap();
        assert!(publication::wait(&house.ctx, 1, patience).await);
        let old = publication::checkpoint(&house.ctx).await.unwrap();
        let file = backup_of(&house).await;
        house.end().await;

        let dir = tempfile::tempdir().unwrap();
        backup::restore(into(dir.path().to_owned()), passphrase(), Cursor::new(file)).await.unwrap();
        let ctx = startup::open(options(dir.path(), None)).await.unwrap();
        ctx.store().publish_leaves(&[b"c".to_vec()]).await.unwrap();
        assert!(publication::wait(&ctx, 2, patience).await);
        assert_eq!(publication::entries(&ctx, 0, 9).await.unwrap().entries, [b"a", b"b", b"c"]);
        let new = publication::checkpoint(&ctx).await.unwrap();
        assert_ne!(
            old.lines().next(),
            new.lines().next(),
            "what was published after the backup is not forked"
        );
        ctx.shutdown().await;
    }
}
