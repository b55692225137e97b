use std::time::Duration;

use countersign_keyhost::client::{KeyHost, Status};
use countersign_keyhost::seal::SealSource;
use countersign_keyhost::wire::{HostError, NewSeal, Secret, WrappedDataKey};
use countersign_model::entry::{Entry, Op};
use countersign_model::{Action, KeyType};

use crate::house::{House, make, permit, sign, until_ready};

#[tokio::test]
async fn a_killed_key_host_comes_back_and_everything_signed_is_in_the_log() {
    for point in ["log-before-append", "log-after-append", "log-after-sync", "after-sign", "before-answer"] {
        let house = House::new();
        let host = house.start().await.unwrap();
        let key = make(&host, "a", KeyType::P256).await;
        host.stop().await;

        let host = house.start_with(&house.with_failpoints(&format!("{point}=kill@5"))).await.unwrap();
        let mut held = Vec::new();
        for i in 0..12u32 {
            match sign(&host, "a", &key, &i.to_be_bytes(), &format!("r-{i}")).await {
                Ok(signed) => held.push((i, signed.log.index)),
                Err(error) => {
                    assert_eq!(error, HostError::Unavailable, "{point}");
                    until_ready(&host).await;
                }
            }
        }
        assert!((8..12).contains(&held.len()), "{point}: {} of 12 survived", held.len());
        let entries = house.entries(&host).await;
        for (i, index) in held {
            let entry = Entry::parse(&entries[index as usize]).unwrap();
            assert_eq!(entry.request_id.as_str(), format!("r-{i}"), "{point}");
        }
        host.stop().await;
    }
}

#[tokio::test]
async fn the_wrong_seal_key_opens_nothing() {
    let house = House::new();
    house.start().await.unwrap().stop().await;
    let file = house.dir.path().join("host/seal.key");
    let right = std::fs::read(&file).unwrap();
    std::fs::write(&file, [7; 32]).unwrap();
    assert!(matches!(house.start().await.err(), Some(HostError::Seal(_))));
    std::fs::remove_file(&file).unwrap();
    match house.start().await.err() {
        Some(HostError::Seal(why)) => assert!(why.contains("missing"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert!(!file.exists(), "a second seal key is never made");
    write_private(&file, &right);
    house.start().await.unwrap().stop().await;
}

fn write_private(path: &std::path::Path, bytes: &[u8]) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, bytes).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[tokio::test]
async fn a_passphrase_file_opens_the_house_and_another_one_does_not() {
    let mut house = House::new();
    let file = house.dir.path().join("passphrase");
    std::fs::write(&file, "correct horse\n").unwrap();
    house.seal = SealSource::PassphraseFile(file.clone());
    let host = house.start().await.unwrap();
    let key = make(&host, "a", KeyType::P256).await;
    host.stop().await;
    let host = house.start().await.unwrap();
    sign(&host, "a", &key, b"x", "r").await.unwrap();
    host.stop().await;
    std::fs::write(&file, "battery staple\n").unwrap();
    assert!(matches!(house.start().await.err(), Some(HostError::Seal(_))));
}

#[tokio::test]
async fn a_key_host_that_waits_for_its_passphrase_says_so_and_opens_with_it() {
    let mut house = House::new();
    house.seal = SealSource::Prompt;
    let secret = |text: &str| Secret(text.as_bytes().to_vec());
    *house.memory.passphrase.lock().unwrap() = Some(secret("correct horse"));
    house.start().await.unwrap().stop().await;

    *house.memory.passphrase.lock().unwrap() = None;
    let host = house.start().await.unwrap();
    assert_eq!(host.status(), Status::Down(HostError::Locked));
    assert_eq!(host.checkpoint().await.unwrap_err(), HostError::Locked);
    assert!(matches!(host.unlock(secret("wrong")).await, Err(HostError::Seal(_))));
    host.unlock(secret("correct horse")).await.unwrap();
    until_ready(&host).await;
    host.checkpoint().await.unwrap();
    host.stop().await;
}

#[tokio::test]
async fn a_key_host_that_waits_for_its_passphrase_stops_at_once() {
    let mut house = House::new();
    house.seal = SealSource::Prompt;
    let host = house.start().await.unwrap();
    assert_eq!(host.status(), Status::Down(HostError::Locked));
    // Far less than the time after which the guardian would kill it.
    tokio::time::timeout(std::time::Duration::from_secs(5), host.stop()).await.unwrap();
}

async fn rotate(host: &KeyHost, to: NewSeal) -> Result<Vec<WrappedDataKey>, HostError> {
    let permit = permit(Action::PolicyWrite, "a", None, None);
    host.rotate_seal(&permit, &"r-rotate".parse().unwrap(), to).await.map(|(keys, _)| keys)
}

#[tokio::test]
async fn a_rotated_seal_key_opens_what_the_old_one_sealed_wherever_the_crash_was() {
    let house = House::new();
    let host = house.start().await.unwrap();
    let key = make(&host, "a", KeyType::P256).await;
    let old = std::fs::read(house.dir.path().join("host/seal.key")).unwrap();
    rotate(&host, NewSeal::SameKind).await.unwrap();
    host.stop().await;
    // Stopped before the database kept the new data keys: the old seal key is in force.
    let host = house.start().await.unwrap();
    sign(&host, "a", &key, b"x", "r").await.unwrap();
    host.stop().await;
    // Stopped after it did, before the commit: the new one is found and put in force.
    let host = house.start().await.unwrap();
    let wrapped = rotate(&host, NewSeal::SameKind).await.unwrap();
    assert!(rotate(&host, NewSeal::SameKind).await.is_err(), "the first one is not finished");
    host.stop().await;
    *house.memory.data_keys.lock().unwrap() = wrapped;
    let host = house.start().await.unwrap();
    sign(&host, "a", &key, b"x", "r").await.unwrap();
    host.stop().await;
    assert_ne!(std::fs::read(house.dir.path().join("host/seal.key")).unwrap(), old);
    house.start().await.unwrap().stop().await;
}

fn passphrase(text: &str) -> NewSeal {
    NewSeal::Passphrase(Secret(text.as_bytes().to_vec()))
}

/// Where a rotation ends: as a crash may leave it, or done.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ends {
    BeforeTheDatabase,
    BeforeTheCommit,
    Done,
}

#[tokio::test]
async fn a_seal_is_changed_to_another_kind_wherever_the_crash_was() {
    let words = |house: &House, text: &str| {
        let file = house.dir.path().join(text);
        std::fs::write(&file, format!("{text}\nwhat follows is not part of it\n")).unwrap();
        SealSource::PassphraseFile(file)
    };
    for (from, to) in [("file", "new"), ("old", "file"), ("old", "new")] {
        for ends in [Ends::BeforeTheDatabase, Ends::BeforeTheCommit, Ends::Done] {
            let mut house = House::new();
            let source = |house: &House, kind: &str| match kind {
                "file" => SealSource::File,
                text => words(house, text),
            };
            let (before, after) = (source(&house, from), source(&house, to));
            house.seal = before.clone();
            let host = house.start().await.unwrap();
            let key = make(&host, "a", KeyType::P256).await;
            let wrapped =
                rotate(&host, if to == "file" { NewSeal::File } else { passphrase(to) }).await.unwrap();
            if ends != Ends::BeforeTheDatabase {
                *house.memory.data_keys.lock().unwrap() = wrapped;
            }
            if ends == Ends::Done {
                host.commit_seal().await.unwrap();
            }
            host.stop().await;

            let (right, wrong) =
                if ends == Ends::BeforeTheDatabase { (before, after) } else { (after, before) };
            house.seal = wrong;
            let refused = house.start().await.err();
            assert!(matches!(refused, Some(HostError::Seal(_))), "{from} {to} {ends:?}: {refused:?}");
            house.seal = right;
            let host = house.start().await.unwrap();
            sign(&host, "a", &key, b"x", "r").await.unwrap();
            host.stop().await;
            let left = house.dir.path().join("host/seal.key").exists();
            if ends == Ends::Done {
                assert_eq!(left, to == "file", "{from} {to}");
            }
        }
    }
}

#[tokio::test]
async fn data_keys_leave_under_a_new_seal_only_after_the_log_says_so() {
    let house = House::new();
    let host = house.start().await.unwrap();
    let refused = rotate(&host, passphrase("")).await;
    assert!(matches!(refused, Err(HostError::Seal(_))), "{refused:?}");
    let other = permit(Action::KeySign, "a", None, None);
    let refused = host.rotate_seal(&other, &"r".parse().unwrap(), NewSeal::SameKind).await;
    assert!(matches!(refused, Err(HostError::Protocol(_))), "{refused:?}");
    rotate(&host, passphrase("correct horse")).await.unwrap();
    let entries = house.entries(&host).await;
    let [entry] = entries.as_slice() else { panic!("{} entries", entries.len()) };
    let entry = Entry::parse(entry).unwrap();
    assert_eq!((entry.op, entry.subject.as_deref()), (Op::SealRotate, Some("passphrase")));
    host.stop().await;

    let host = house.start_with(&house.with_failpoints("journal-write=full@1")).await.unwrap();
    assert_eq!(rotate(&host, NewSeal::SameKind).await, Err(HostError::LogFull));
    host.stop().await;
}

#[tokio::test]
async fn the_processes_go_when_the_front_goes() {
    let house = House::new();
    let host = house.start().await.unwrap();
    let Status::Ready(welcome) = host.status() else { panic!("not ready") };
    assert!(welcome.sandbox.iter().any(|line| line.starts_with("ok: not dumpable")), "{welcome:?}");
    host.stop().await;
    tokio::time::timeout(Duration::from_secs(5), host.gone()).await.unwrap();
    assert!(host.checkpoint().await.is_err());
}

#[tokio::test]
async fn a_key_host_that_hangs_is_replaced() {
    let house = House::new();
    let host = house.start().await.unwrap();
    let key = make(&host, "a", KeyType::P256).await;
    let pattern = format!("key-host {}", house.dir.path().display());
    let stopped = std::process::Command::new("pkill").args(["-STOP", "-f", &pattern]).status();
    assert!(stopped.unwrap().success());
    assert_eq!(sign(&host, "a", &key, b"x", "r").await.unwrap_err(), HostError::Unavailable);
    until_ready(&host).await;
    sign(&host, "a", &key, b"x", "r").await.unwrap();
    host.stop().await;
}
