use countersign_store::{NewPolicy, StoreError};

use crate::support::{on_each_engine, time};

fn policy(rules: &str) -> NewPolicy {
    NewPolicy { hash: format!("sha256:{rules}"), rules: rules.into(), created: time(0), by: "admin".into() }
}

#[tokio::test]
async fn a_policy_is_replaced_only_by_who_has_read_the_current_one() {
    on_each_engine(async |t| {
        assert_eq!(t.store.current_policy().await.unwrap(), None);
        let first = t.store.put_policy(0, &policy("[]")).await.unwrap();
        assert_eq!(first.version, 1);
        for stale in [-1, 0, 2, i64::MAX, i64::MIN] {
            let result = t.store.put_policy(stale, &policy("[1]")).await;
            assert!(matches!(result, Err(StoreError::Conflict { .. })), "{stale}");
        }
        assert_eq!(t.store.current_policy().await.unwrap(), Some(first.clone()));

        let second = t.store.put_policy(1, &policy("[2]")).await.unwrap();
        assert_eq!(t.store.current_policy().await.unwrap(), Some(second));
        assert_eq!(t.store.policy(1).await.unwrap(), Some(first));
        assert_eq!(t.store.policy(3).await.unwrap(), None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_parallel_changes_of_one_version_exactly_one_succeeds() {
    on_each_engine(async |t| {
        for round in 0..5 {
            let attempts: Vec<_> = (0..8)
                .map(|n| {
                    let store = t.store.clone();
                    tokio::spawn(async move { store.put_policy(round, &policy(&format!("[{n}]"))).await })
                })
                .collect();
            let mut winners = Vec::new();
            for attempt in attempts {
                match attempt.await.unwrap() {
                    Ok(record) => winners.push(record),
                    Err(error) => assert!(matches!(error, StoreError::Conflict { .. }), "{error}"),
                }
            }
            assert_eq!(winners.len(), 1);
            assert_eq!(t.store.current_policy().await.unwrap().as_ref(), winners.first());
        }
        assert_eq!(t.store.generation().await.unwrap(), 5);
    })
    .await;
}
