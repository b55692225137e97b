//! A publication that ends between any two of its steps, and clients that look after each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign_core::tuf::publish::Step;
use countersign_core::tuf::request::Request;
use countersign_core::tuf::{self, online, task};
use countersign_store::{Moving, RoleRow};
use countersign_tuf::client::{Client, ClientError, Local, Lookup};
use jiff::{SignedDuration, Timestamp};

use crate::support::House;
use crate::tuf_people::*;
use crate::tuf_publish::*;

fn metadata(house: &House) -> PathBuf {
    house.dir.path().join("files/metadata")
}

/// What a client with root 1 makes of a directory: whether it finds `path`.
fn look(dir: &Path, path: &str) -> Result<bool, ClientError> {
    let root = std::fs::read(dir.join("1.root.json")).unwrap();
    let mut client = Client::new(&root, Local::default(), Timestamp::now())?;
    loop {
        match client.find(path)? {
            Lookup::Needs(wanted) => match std::fs::read(dir.join(&wanted.name)) {
                Ok(bytes) => client.give(bytes)?,
                Err(_) => client.give_missing()?,
            },
            Lookup::Found(_) => return Ok(true),
            Lookup::Absent => return Ok(false),
        }
    }
}

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
    let read = |path: PathBuf| {
        (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap())
    };
    entries.map(|entry| read(entry.path())).filter(|(name, _)| name.ends_with(".json")).collect()
}

/// What clients were refused, and after which step.
static FAULTS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Publications end at step `at`, counted from 0, and do not go on. Clients look after each step.
///
/// The last step of the publication before may come only now, after its tasks have ended: it is not counted.
fn crash_at(house: &House, at: usize) -> Arc<Mutex<Vec<Step>>> {
    let (dir, count) = (metadata(house), AtomicUsize::new(0));
    let steps: Arc<Mutex<Vec<Step>>> = Arc::default();
    let seen = Arc::clone(&steps);
    house.ctx.tuf().steps.watch(move |step| {
        if *step == Step::Settled && seen.lock().unwrap().is_empty() {
            return Ok(());
        }
        // What is wrong is told at the end: a panic here would be taken for a failure of the publication.
        if let Err(error) = look(&dir, "nothing") {
            FAULTS.lock().unwrap().push(format!("after {step:?}: {error}"));
        }
        seen.lock().unwrap().push(step.clone());
        let number = count.fetch_add(1, Ordering::SeqCst);
        if number >= at { Err(tuf::Error::Unavailable("a crash".into())) } else { Ok(()) }
    });
    steps
}

/// Asks for something, has the publication end at step `at`, opens everything again and waits for the end of the task.
/// Says whether there was such a step.
async fn survives(house: House, at: usize, request: Request) -> (House, bool) {
    let steps = crash_at(&house, at);
    let accepted = task::submit(&house.ctx, &caller(&house), request).await.unwrap();
    let mut reached = false;
    for _ in 0..400 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        reached = steps.lock().unwrap().len() > at;
        if reached || task::get(&house.ctx, &accepted.id, Duration::ZERO).await.unwrap().state.is_final() {
            break;
        }
    }
    // The last step comes after the end of the task.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let last = steps.lock().unwrap().last().cloned();
    reached |= steps.lock().unwrap().len() > at;
    assert_eq!(*FAULTS.lock().unwrap(), [""; 0]);
    let before = files(&metadata(&house));
    let house = house.again().await;
    succeeded(&end_of(&house.ctx, &accepted.id).await);
    let after = files(&metadata(&house));
    for (name, content) in &before {
        if name != "timestamp.json" {
            assert_eq!(after.get(name), Some(content), "`{name}` after a crash at {last:?}");
        }
    }
    look(&metadata(&house), "nothing").unwrap();
    (house, reached)
}

#[tokio::test]
async fn an_acknowledged_artifact_is_published_whatever_step_the_crash_comes_after() {
    for mut house in House::on_both().await {
        let alice = Person::ed25519(1);
        with_bins(&house, &alice, 4).await;
        let mut at = 0;
        loop {
            let path = format!("file/{at}");
            let reached;
            (house, reached) = survives(house, at, add(&[&path])).await;
            assert!(look(&metadata(&house), &path).unwrap(), "{path}");
            if !reached {
                break;
            }
            at += 1;
        }
        assert_eq!(at, 8, "steps of a publication");
        let versions = versions(&house).await;
        assert_eq!(versions["timestamp"], 1 + at as u64 + 1, "each was published once");
        house.end().await;
    }
}

#[tokio::test]
async fn no_client_is_ever_stopped_while_online_keys_change_also_by_a_crash() {
    for mut house in House::on_both().await {
        let alice = Person::ed25519(1);
        with_bins(&house, &alice, 2).await;
        succeeded(&done(&house, add(&["a", "b", "c"])).await);
        online::create(&house.ctx, &caller(&house), "second", "ecdsa-sha2-nistp256").await.unwrap();
        let keys = online_keys(&house.ctx).await;
        let mut root = Root::first(&house.ctx, &[&alice], 1).await;
        let (mut at, mut bits) = (0, Vec::new());
        loop {
            root.version += 1;
            root.online = keys[((root.version - 1) % 2) as usize].clone();
            let update = Request::MetadataUpdate { root: root.by(&[&alice]) };
            let reached;
            (house, reached) = survives(house, at, update).await;
            let client = client(&house.ctx, 1).await.unwrap();
            assert_eq!(client.root().version(), root.version);
            let timestamp = document(&house, "timestamp.json").await;
            bits.push(timestamp.signatures().count());
            if !reached {
                break;
            }
            at += 1;
        }
        assert!(at >= 9, "{at} steps");
        assert!(bits.iter().all(|signatures| *signatures == 2), "old and new keys: {bits:?}");
        assert!(look(&metadata(&house), "b").unwrap());
        // From the next publication on only the new key signs.
        succeeded(&done(&house, force(&[])).await);
        assert_eq!(document(&house, "timestamp.json").await.signatures().count(), 1);
        house.end().await;
    }
}

#[tokio::test]
async fn a_root_with_the_same_online_keys_moves_nothing_else() {
    for house in House::on_both().await {
        let (alice, bob) = (Person::ed25519(1), Person::p256());
        with_bins(&house, &alice, 2).await;
        let before = versions(&house).await;
        let mut root = Root::first(&house.ctx, &[&alice, &bob], 1).await;
        root.version = 2;
        succeeded(&done(&house, Request::MetadataUpdate { root: root.by(&[&alice]) }).await);
        assert_eq!(versions(&house).await, before);
        assert_eq!(client(&house.ctx, 1).await.unwrap().root().version(), 2);
        house.end().await;
    }
}

#[tokio::test]
async fn where_an_online_key_is_revoked_artifacts_are_refused_until_a_root_brings_another() {
    for house in House::on_both().await {
        let alice = Person::ed25519(1);
        with_bins(&house, &alice, 2).await;
        succeeded(&done(&house, add(&["a"])).await);
        online::create(&house.ctx, &caller(&house), "second", "ed25519").await.unwrap();
        let keys = online_keys(&house.ctx).await;
        let before = versions(&house).await;
        let key = "tuf/online".parse().unwrap();
        countersign_core::keys::revoke(&house.ctx, &caller(&house), &key, "lost".into()).await.unwrap();
        let (message, error) = errored(&done(&house, add(&["b"])).await);
        assert_eq!(message, "Adding artifact(s) Failed");
        assert!(error.contains("revoked"), "{error}");
        assert_eq!(versions(&house).await, before);

        let mut root = Root::first(&house.ctx, &[&alice], 1).await;
        (root.version, root.online) = (2, keys[1].clone());
        succeeded(&done(&house, Request::MetadataUpdate { root: root.by(&[&alice]) }).await);
        succeeded(&done(&house, add(&["b"])).await);
        assert!(look(&metadata(&house), "b").unwrap());
        assert!(look(&metadata(&house), "a").unwrap());
        house.end().await;
    }
}

#[tokio::test]
async fn what_is_about_to_expire_is_signed_anew() {
    for house in House::on_both().await {
        let alice = Person::ed25519(1);
        with_bins(&house, &alice, 4).await;
        let before = versions(&house).await;
        let hours = |hours| Timestamp::now().checked_add(SignedDuration::from_hours(hours)).unwrap();
        // A day is a third of 3, and more than a third of 1.
        for (role, expires, wanted) in [
            ("timestamp", hours(7), &[("timestamp", 1)][..]),
            ("bins-1", hours(24 * 9), &[("bins-1", 1), ("snapshot", 1), ("timestamp", 2)]),
            ("targets", hours(-1), &[("bins-1", 1), ("targets", 1), ("snapshot", 2), ("timestamp", 3)]),
            ("bins-2", hours(24 * 11), &[("bins-1", 1), ("targets", 1), ("snapshot", 2), ("timestamp", 3)]),
        ] {
            let mut tx = house.ctx.store().tuf_write().await.unwrap();
            let row = tx.role(role).await.unwrap().unwrap();
            tx.put_roles(&[RoleRow { expires, ..row }]).await.unwrap();
            tx.commit().await.unwrap();
            house.ctx.tuf().look_again();
            for _ in 0..100 {
                tokio::time::sleep(Duration::from_millis(20)).await;
                if risen(&before, &versions(&house).await) == named(wanted) {
                    break;
                }
            }
            assert_eq!(risen(&before, &versions(&house).await), named(wanted), "{role}");
        }
        client(&house.ctx, 1).await.unwrap();
        house.end().await;
    }
}

#[tokio::test]
async fn a_database_that_is_older_than_the_files_goes_on_after_them() {
    let house = House::new(None).await;
    let alice = Person::ed25519(1);
    with_bins(&house, &alice, 2).await;
    succeeded(&done(&house, add(&["a", "b"])).await);
    let rows = {
        let mut tx = house.ctx.store().tuf_read().await.unwrap();
        tx.role_page(None, 10).await.unwrap()
    };
    succeeded(&done(&house, force(&[])).await);
    succeeded(&done(&house, force(&[])).await);
    // As from a backup.
    let mut tx = house.ctx.store().tuf_write().await.unwrap();
    tx.put_roles(&rows).await.unwrap();
    tx.commit().await.unwrap();
    let mut reader = client(&house.ctx, 1).await.unwrap();
    let seen = reader.timestamp().unwrap().version();
    let house = house.again().await;
    succeeded(&done(&house, add(&["c"])).await);
    assert!(document(&house, "timestamp.json").await.version() > seen);
    assert!(look(&metadata(&house), "c").unwrap());
    assert!(find(&house.ctx, &mut reader, "a").await.is_ok());
    house.end().await;
}

#[tokio::test]
async fn a_root_that_is_public_and_the_database_does_not_know_is_in_force_after_a_start() {
    for house in House::on_both().await {
        let (alice, bob) = (Person::ed25519(1), Person::ed25519(2));
        with_bins(&house, &alice, 2).await;
        online::create(&house.ctx, &caller(&house), "second", "ed25519").await.unwrap();
        let keys = online_keys(&house.ctx).await;
        // The root after the one in force, and one that is nothing of the kind.
        let mut root = Root::first(&house.ctx, &[&alice], 1).await;
        (root.version, root.online) = (2, keys[1].clone());
        let second = root.by(&[&alice]);
        (root.version, root.people) = (3, vec![&bob]);
        let third = root.by(&[&bob]);
        for (name, root) in [("2.root.json", &second), ("3.root.json", &third)] {
            std::fs::write(metadata(&house).join(name), root.to_string()).unwrap();
        }
        let house = house.again().await;
        succeeded(&done(&house, add(&["a"])).await);
        let mut tx = house.ctx.store().tuf_read().await.unwrap();
        assert_eq!(tx.newest_root().await.unwrap().unwrap().0, 2);
        drop(tx);
        std::fs::remove_file(metadata(&house).join("3.root.json")).unwrap();
        assert!(look(&metadata(&house), "a").unwrap(), "signed with the keys of root 2");
        root.people = vec![&alice];
        succeeded(&done(&house, Request::MetadataUpdate { root: root.by(&[&alice]) }).await);
        assert_eq!(client(&house.ctx, 1).await.unwrap().root().version(), 3);
        house.end().await;
    }
}

#[tokio::test]
async fn signatures_that_are_not_over_what_is_published_are_made_anew() {
    for house in House::on_both().await {
        let alice = Person::ed25519(1);
        with_bins(&house, &alice, 2).await;
        // Signed and stored, and no further.
        crash_at(&house, 2);
        let accepted = task::submit(&house.ctx, &caller(&house), add(&["a"])).await.unwrap();
        for _ in 0..200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let mut tx = house.ctx.store().tuf_read().await.unwrap();
            if tx.role("snapshot").await.unwrap().unwrap().moving == Moving::Signed {
                break;
            }
        }
        let mut tx = house.ctx.store().tuf_write().await.unwrap();
        let row = tx.role("snapshot").await.unwrap().unwrap();
        assert_eq!(row.moving, Moving::Signed);
        let other = tx.role("targets").await.unwrap().unwrap();
        tx.put_roles(&[RoleRow { signatures: other.signatures, ..row }]).await.unwrap();
        tx.commit().await.unwrap();
        let house = house.again().await;
        succeeded(&end_of(&house.ctx, &accepted.id).await);
        assert!(look(&metadata(&house), "a").unwrap());
        house.end().await;
    }
}
