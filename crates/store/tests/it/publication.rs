use std::time::Duration;

use countersign_model::digest::sha256_parts;
use countersign_store::{HeadChange, LogHead, MAX_LEAF, StoreError};

use crate::support::{on_each_engine, time};

fn leaves(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn head(size: u64) -> LogHead {
    LogHead {
        origin: "publication-1".into(),
        size,
        root: [size as u8; 32],
        checkpoint: "note".into(),
        verifier_key: "key".into(),
        updated: time(0),
    }
}

#[tokio::test]
async fn entries_are_numbered_in_order_and_found_by_number_and_hash() {
    on_each_engine(async |t| {
        assert_eq!(t.store.publish_leaves(&leaves(&["a", "b"])).await.unwrap(), 0);
        assert_eq!(t.store.publish_leaves(&leaves(&["c", "a"])).await.unwrap(), 2);
        assert_eq!(t.store.publish_leaves(&[]).await.unwrap(), 4);
        assert_eq!(t.store.publication_size().await.unwrap(), 4);

        let found = t.store.publication_entries(1, 2).await.unwrap();
        let texts: Vec<_> = found.iter().map(|entry| (entry.index, entry.leaf.as_deref().unwrap())).collect();
        assert_eq!(texts, [(1, b"b".as_slice()), (2, b"c")]);
        let hash = sha256_parts(&[&[0], b"a"]);
        assert_eq!(t.store.publication_hashes(0, 10).await.unwrap()[3], hash);
        assert_eq!(t.store.publication_index(&hash).await.unwrap(), Some(0), "the first of two");
        assert_eq!(t.store.publication_index(&[9; 32]).await.unwrap(), None);
        assert!(t.store.publication_entries(4, 9).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_writers_at_once_each_gets_numbers_of_its_own_and_none_is_left_out() {
    on_each_engine(async |t| {
        let writes: Vec<_> = (0..40usize)
            .map(|writer| {
                let store = t.store.clone();
                tokio::spawn(async move {
                    let texts: Vec<String> = (0..writer % 4).map(|n| format!("{writer}/{n}")).collect();
                    let leaves: Vec<_> = texts.iter().map(|text| text.clone().into_bytes()).collect();
                    (store.publish_leaves(&leaves).await.unwrap(), texts)
                })
            })
            .collect();
        let mut want = Vec::new();
        for write in writes {
            let (first, texts) = write.await.unwrap();
            want.extend((first..).zip(texts));
        }
        want.sort();
        let found = t.store.publication_entries(0, 1000).await.unwrap();
        let found: Vec<_> = found
            .into_iter()
            .map(|entry| (entry.index, String::from_utf8(entry.leaf.unwrap()).unwrap()))
            .collect();
        assert_eq!(found, want);
        assert_eq!(found.len() as u64, t.store.publication_size().await.unwrap());
        assert!(found.iter().zip(0..).all(|((number, _), place)| *number == place));
    })
    .await;
}

#[tokio::test]
async fn a_write_that_is_refused_leaves_no_gap() {
    on_each_engine(async |t| {
        t.store.publish_leaves(&leaves(&["a"])).await.unwrap();
        let long = vec![b"b".to_vec(), vec![0; MAX_LEAF + 1]];
        let refused = t.store.publish_leaves(&long).await;
        assert!(matches!(refused, Err(StoreError::Unstorable { .. })));
        assert_eq!(t.store.publish_leaves(&[vec![0; MAX_LEAF]]).await.unwrap(), 1);
        assert_eq!(t.store.publication_size().await.unwrap(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_masked_entry_keeps_its_hash_and_loses_its_bytes() {
    on_each_engine(async |t| {
        t.store.publish_leaves(&leaves(&["a", "b"])).await.unwrap();
        let before = t.store.publication_hashes(0, 2).await.unwrap();
        assert!(t.store.mask_publication_entry(1).await.unwrap());
        assert!(!t.store.mask_publication_entry(2).await.unwrap());
        let entries = t.store.publication_entries(0, 2).await.unwrap();
        assert_eq!((entries[0].leaf.is_some(), entries[1].leaf.clone()), (true, None));
        assert_eq!(t.store.publication_hashes(0, 2).await.unwrap(), before);
    })
    .await;
}

#[tokio::test]
async fn one_node_publishes_at_a_time_and_who_lost_the_lease_records_nothing() {
    on_each_engine(async |t| {
        let minute = Duration::from_secs(60);
        let lease = async |node, at| t.store.lease_publication(node, time(at), minute).await.unwrap();
        let first = lease("a", 0).await.unwrap();
        assert_eq!(lease("b", 59).await, None);
        assert_eq!(t.store.put_publication_head(&head(1), first).await.unwrap(), HeadChange::Stored);

        let second = lease("b", 60).await.expect("the lease of `a` is over");
        let late = t.store.put_publication_head(&head(2), first).await;
        assert!(matches!(late, Err(StoreError::LeaseLost { .. })));
        t.store.release_publication(first).await.unwrap();
        assert_eq!(lease("a", 61).await, None, "what is not one's own is not released");
        assert_eq!(t.store.put_publication_head(&head(3), second).await.unwrap(), HeadChange::Stored);
        let behind = t.store.put_publication_head(&head(2), second).await.unwrap();
        assert_eq!(behind, HeadChange::Behind { stored: 3 });

        t.store.release_publication(second).await.unwrap();
        assert!(lease("a", 61).await.is_some());
        assert!(lease("a", 61).await.is_some(), "a node that was restarted goes on at once");
    })
    .await;
}
