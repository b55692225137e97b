use countersign_store::{HeadChange, LogHead, StoreError};

use crate::support::{on_each_engine, time};

fn head(size: u64, root: u8) -> LogHead {
    LogHead {
        origin: "node-a".into(),
        size,
        root: [root; 32],
        checkpoint: format!("node-a\n{size}\n"),
        verifier_key: "node-a+0+A".into(),
        updated: time(0),
    }
}

#[tokio::test]
async fn a_head_only_moves_forward() {
    on_each_engine(async |t| {
        assert_eq!(t.store.log_head("node-a").await.unwrap(), None);
        for size in [0, 0, 3, 700] {
            let change = t.store.put_log_head(&head(size, size as u8)).await.unwrap();
            assert_eq!(change, HeadChange::Stored);
        }
        let behind = t.store.put_log_head(&head(3, 3)).await.unwrap();
        assert_eq!(behind, HeadChange::Behind { stored: 700 });
        assert_eq!(t.store.log_head("node-a").await.unwrap(), Some(head(700, 700u64 as u8)));

        let other = LogHead { origin: "b".into(), ..head(1, 1) };
        t.store.put_log_head(&other).await.unwrap();
        assert_eq!(t.store.log_heads().await.unwrap(), [other, head(700, 700u64 as u8)]);
    })
    .await;
}

#[tokio::test]
async fn a_fork_is_a_conflict_and_a_size_beyond_the_table_is_refused() {
    on_each_engine(async |t| {
        t.store.put_log_head(&head(5, 1)).await.unwrap();
        let newer = LogHead { checkpoint: "again".into(), updated: time(9), ..head(5, 1) };
        assert_eq!(t.store.put_log_head(&newer).await.unwrap(), HeadChange::Stored);
        let fork = t.store.put_log_head(&head(5, 2)).await;
        assert!(matches!(fork, Err(StoreError::Conflict { .. })));
        let huge = t.store.put_log_head(&head(u64::MAX, 2)).await;
        assert!(matches!(huge, Err(StoreError::Unstorable { .. })));
        assert_eq!(t.store.log_head("node-a").await.unwrap(), Some(newer));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_written_in_any_order_end_at_the_largest() {
    on_each_engine(async |t| {
        let writes: Vec<_> = (0..40u64)
            .map(|n| {
                let store = t.store.clone();
                let head = head((n * 17) % 40, ((n * 17) % 40) as u8);
                tokio::spawn(async move { store.put_log_head(&head).await })
            })
            .collect();
        for write in writes {
            write.await.unwrap().unwrap();
        }
        assert_eq!(t.store.log_head("node-a").await.unwrap().unwrap().size, 39);
    })
    .await;
}
