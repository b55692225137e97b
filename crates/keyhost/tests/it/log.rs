use countersign_keyhost::client::{KeyHost, MadeKey};
use countersign_keyhost::wire::{HostError, KnownHead};
use countersign_model::{Action, Format, KeyType, Scheme};
use countersign_tlog::checkpoint::Checkpoint;
use countersign_tlog::hash::Hash;
use countersign_tlog::note::{SignedNote, VerifierKey};
use countersign_tlog::tree::Tree;

use crate::house::{House, job, make, permit, sign};
use countersign_keyhost::client::Status;

fn known(head: &countersign_keyhost::wire::HeadNote) -> KnownHead {
    KnownHead { size: head.size, root: head.root }
}

#[tokio::test]
async fn a_checkpoint_covers_every_answer_and_its_root_is_that_of_the_entries() {
    let house = House::new();
    let host = house.start().await.unwrap();
    let Status::Ready(welcome) = host.status() else { panic!("not ready") };
    let verifier: VerifierKey = welcome.verifier_key.parse().unwrap();
    let key = make(&host, "a", KeyType::Ed25519).await;
    for i in 0..700u32 {
        let signed = sign(&host, "a", &key, &i.to_be_bytes(), "r").await.unwrap();
        if i % 100 == 0 {
            let head = host.checkpoint().await.unwrap();
            assert!(head.size > signed.log.index);
        }
    }
    let head = host.checkpoint().await.unwrap();
    let note = SignedNote::parse(head.note.as_bytes()).unwrap();
    let checkpoint = Checkpoint::open(&note, &verifier).unwrap();
    let mut tree = Tree::new();
    for entry in house.entries(&host).await {
        let _ = tree.append(Hash::leaf(&entry));
    }
    assert_eq!(checkpoint.head, tree.head());
    assert_eq!(std::fs::read_to_string(house.log_dir().join("checkpoint")).unwrap(), head.note);
    host.stop().await;
}

#[tokio::test]
async fn a_restart_goes_on_where_the_log_ended() {
    let house = House::new();
    let mut entries = Vec::new();
    let mut key = None;
    for round in 0..3 {
        let host = house.start().await.unwrap();
        if key.is_none() {
            key = Some(make(&host, "a", KeyType::Ed25519).await);
        }
        for i in 0..300u32 {
            sign(&host, "a", key.as_ref().unwrap(), &i.to_be_bytes(), "r").await.unwrap();
        }
        let now = house.entries(&host).await;
        assert_eq!(now.len(), 1 + 300 * (round + 1));
        assert_eq!(now[..entries.len()], entries);
        entries = now;
        let head = host.checkpoint().await.unwrap();
        *house.memory.known_head.lock().unwrap() = Some(known(&head));
        host.stop().await;
    }
}

#[tokio::test]
async fn a_log_that_was_cut_or_changed_refuses_to_sign_and_says_why() {
    let house = House::new();
    let host = house.start().await.unwrap();
    let key = make(&host, "a", KeyType::Ed25519).await;
    for _ in 0..5 {
        sign(&host, "a", &key, b"x", "r").await.unwrap();
    }
    let head = host.checkpoint().await.unwrap();
    host.stop().await;
    *house.memory.known_head.lock().unwrap() = Some(known(&head));

    let journal = house.log_dir().join("journal").join(format!("{:020}", 0));
    let whole = std::fs::read(&journal).unwrap();
    std::fs::write(&journal, &whole[..whole.len() - 10]).unwrap();
    match house.start().await.err() {
        Some(HostError::LogRolledBack(why)) => assert!(why.contains("rolled back or cut"), "{why}"),
        other => panic!("{other:?}"),
    }
    std::fs::write(&journal, &whole).unwrap();
    let mut other = head.clone();
    other.root[0] ^= 1;
    *house.memory.known_head.lock().unwrap() = Some(known(&other));
    assert!(matches!(house.start().await.err(), Some(HostError::LogRolledBack(_))));
    *house.memory.known_head.lock().unwrap() = Some(known(&head));
    house.start().await.unwrap().stop().await;
}

#[tokio::test]
async fn a_full_disk_refuses_with_its_own_error_and_goes_on_when_there_is_room() {
    let house = House::new();
    let host = house.start().await.unwrap();
    let key = make(&host, "a", KeyType::Ed25519).await;
    host.stop().await;
    let armed = house.with_failpoints("journal-write=full@3");
    let host = house.start_with(&armed).await.unwrap();
    for _ in 0..2 {
        sign(&host, "a", &key, b"x", "r").await.unwrap();
    }
    assert_eq!(host.log_trouble(), None);
    for _ in 0..3 {
        assert_eq!(sign(&host, "a", &key, b"x", "r").await.unwrap_err(), HostError::LogFull);
    }
    assert_eq!(host.checkpoint().await.unwrap().size, 3, "reads go on");
    assert_eq!(host.log_trouble(), Some(HostError::LogFull), "which says nothing of writing");
    assert_eq!(host.probe_log().await, Err(HostError::LogFull));
    host.stop().await;
    let host = house.start().await.unwrap();
    sign(&host, "a", &key, b"x", "r").await.unwrap();
    assert_eq!(house.entries(&host).await.len(), 4);
    host.stop().await;
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_signed_until_a_restart() {
    let house = House::new();
    let host = house.start().await.unwrap();
    let key = make(&host, "a", KeyType::Ed25519).await;
    host.stop().await;
    let host = house.start_with(&house.with_failpoints("journal-sync=fail@2")).await.unwrap();
    sign(&host, "a", &key, b"x", "r").await.unwrap();
    for _ in 0..3 {
        assert!(matches!(sign(&host, "a", &key, b"x", "r").await, Err(HostError::Log(_))));
    }
    assert_eq!(host.checkpoint().await.unwrap().size, 2);
    assert!(matches!(host.log_trouble(), Some(HostError::Log(_))));
    assert!(matches!(host.probe_log().await, Err(HostError::Log(_))));
    host.stop().await;
    let host = house.start().await.unwrap();
    sign(&host, "a", &key, b"x", "r").await.unwrap();
    assert_eq!(house.entries(&host).await.len(), 3);
    host.stop().await;
}

#[tokio::test]
async fn a_probe_is_no_entry_and_harms_none() {
    let house = House::new();
    let host = house.start().await.unwrap();
    let key = make(&host, "a", KeyType::Ed25519).await;
    for _ in 0..3 {
        host.probe_log().await.unwrap();
        sign(&host, "a", &key, b"x", "r").await.unwrap();
        host.probe_log().await.unwrap();
    }
    assert_eq!(host.log_trouble(), None);
    host.stop().await;
    let host = house.start().await.unwrap();
    assert_eq!(house.entries(&host).await.len(), 4);
    host.stop().await;
}

/// Signs `count` items in one group; their entries are so long that a few hundred fill a segment.
async fn sign_long(host: &KeyHost, key: &MadeKey, count: usize) {
    let long = Some("x".repeat(40_000));
    let one = || {
        let permit = permit(Action::KeySign, "a", Some(Format::Raw), Some(Scheme::Ed25519));
        let mut job = job(key, Scheme::Ed25519, b"x", "r");
        job.subject.clone_from(&long);
        (permit, job)
    };
    let signed = host.sign_batch((0..count).map(|_| one()).collect()).await.unwrap();
    assert!(signed.iter().all(Result::is_ok));
}

fn segments(house: &House) -> Vec<u64> {
    let entries = std::fs::read_dir(house.log_dir().join("journal")).unwrap();
    let mut numbers: Vec<u64> =
        entries.map(|e| e.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

#[tokio::test]
async fn a_new_segment_begins_where_the_old_one_ends_also_in_the_middle_of_a_group() {
    let house = House::new();
    let host = house.start().await.unwrap();
    let key = make(&host, "a", KeyType::Ed25519).await;
    let mut size = 1;
    for count in [500, 300, 7, 300, 300] {
        sign_long(&host, &key, count).await;
        size += count;
    }
    let entries = house.entries(&host).await;
    assert_eq!(entries.len(), size);
    assert!(segments(&house).last().is_some_and(|first| *first > 0), "{:?}", segments(&house));
    host.stop().await;

    let host = house.start().await.unwrap();
    sign(&host, "a", &key, b"x", "r").await.unwrap();
    let again = house.entries(&host).await;
    assert_eq!(again.len(), size + 1);
    assert!(again[..size] == entries);
    host.stop().await;
}

#[tokio::test]
async fn a_segment_that_cannot_be_begun_leaves_the_log_whole() {
    let house = House::new();
    let host = house.start().await.unwrap();
    let key = make(&host, "a", KeyType::Ed25519).await;
    host.stop().await;
    let host = house.start_with(&house.with_failpoints("journal-create=fail@1")).await.unwrap();
    for _ in 0..3 {
        sign_long(&host, &key, 500).await;
    }
    assert_eq!(segments(&house), [0]);
    host.stop().await;
    let host = house.start().await.unwrap();
    assert_eq!(house.entries(&host).await.len(), 1501);
    host.stop().await;
}
