use countersign_store::{Begin, Store, StoreError};

use crate::support::{on_each_engine, time};

/// Begins the request `body` with the key `k` at `now`, with a lease of 30 seconds.
async fn begin(store: &Store, body: u8, now: i64) -> Begin {
    store.idempotency_begin("ana", "k", [body; 32], time(now), time(now + 30), "a").await.unwrap()
}

#[tokio::test]
async fn the_first_answer_is_given_again() {
    on_each_engine(async |t| {
        assert_eq!(begin(&t.store, 1, 0).await, Begin::Fresh { fence: 1 });
        assert_eq!(begin(&t.store, 1, 1).await, Begin::Running);
        let headers = vec![("content-type".to_string(), "a\"b".to_string())];
        t.store.idempotency_finish("ana", "k", 1, 201, &headers, b"\0body").await.unwrap();
        let done = Begin::Done { status: 201, headers, body: b"\0body".into() };
        assert_eq!(begin(&t.store, 1, 2).await, done);
        assert_eq!(begin(&t.store, 1, 99).await, done);
        assert_eq!(begin(&t.store, 2, 2).await, Begin::Mismatch);

        let other = t.store.idempotency_begin("bo", "k", [2; 32], time(0), time(1), "a").await;
        assert_eq!(other.unwrap(), Begin::Fresh { fence: 1 });
    })
    .await;
}

#[tokio::test]
async fn a_run_whose_lease_has_passed_is_taken_over_and_can_no_longer_finish() {
    on_each_engine(async |t| {
        begin(&t.store, 1, 0).await;
        assert_eq!(begin(&t.store, 1, 29).await, Begin::Running);
        assert_eq!(begin(&t.store, 2, 30).await, Begin::Mismatch);
        assert_eq!(begin(&t.store, 1, 30).await, Begin::Fresh { fence: 2 });
        assert_eq!(begin(&t.store, 1, 31).await, Begin::Running);

        let late = t.store.idempotency_finish("ana", "k", 1, 200, &[], b"late").await;
        assert!(matches!(late, Err(StoreError::LeaseLost { .. })));
        let late = t.store.idempotency_forget("ana", "k", 1).await;
        assert!(matches!(late, Err(StoreError::LeaseLost { .. })));
        t.store.idempotency_finish("ana", "k", 2, 200, &[], b"right").await.unwrap();
        assert!(matches!(begin(&t.store, 1, 32).await, Begin::Done { body, .. } if body == b"right"));
    })
    .await;
}

#[tokio::test]
async fn a_run_that_died_with_its_node_is_taken_over_at_once_by_the_same_request_only() {
    on_each_engine(async |t| {
        begin(&t.store, 1, 0).await;
        t.store.idempotency_begin("ana", "other", [1; 32], time(0), time(30), "b").await.unwrap();
        assert_eq!(t.store.idempotency_release("a").await.unwrap(), 1);
        assert_eq!(begin(&t.store, 2, 1).await, Begin::Mismatch);
        assert_eq!(begin(&t.store, 1, 1).await, Begin::Fresh { fence: 2 });
        let other = t.store.idempotency_begin("ana", "other", [1; 32], time(1), time(31), "a").await;
        assert_eq!(other.unwrap(), Begin::Running, "the other node lives");
    })
    .await;
}

#[tokio::test]
async fn a_forgotten_run_frees_the_key_for_any_request_and_keeps_the_fence_growing() {
    on_each_engine(async |t| {
        begin(&t.store, 1, 0).await;
        t.store.idempotency_forget("ana", "k", 1).await.unwrap();
        assert_eq!(begin(&t.store, 2, 1).await, Begin::Fresh { fence: 2 });
        let late = t.store.idempotency_finish("ana", "k", 1, 200, &[], b"").await;
        assert!(matches!(late, Err(StoreError::LeaseLost { .. })));
        assert_eq!(begin(&t.store, 1, 2).await, Begin::Mismatch);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_parallel_requests_exactly_one_runs_and_of_parallel_takeovers_too() {
    on_each_engine(async |t| {
        for (now, fence) in [(0, 1), (100, 2), (200, 3)] {
            let attempts: Vec<_> = (0..16)
                .map(|_| {
                    let store = t.store.clone();
                    tokio::spawn(async move { begin(&store, 1, now).await })
                })
                .collect();
            let mut fresh = 0;
            for attempt in attempts {
                match attempt.await.unwrap() {
                    Begin::Running => {}
                    begin => {
                        assert_eq!(begin, Begin::Fresh { fence });
                        fresh += 1;
                    }
                }
            }
            assert_eq!(fresh, 1);
        }
    })
    .await;
}

#[tokio::test]
async fn old_keys_expire_a_thousand_at_a_time() {
    on_each_engine(async |t| {
        for n in 0..1003 {
            let key = format!("{n}");
            let lease = time(n + 1);
            t.store.idempotency_begin("ana", &key, [0; 32], time(n), lease, "a").await.unwrap();
        }
        assert_eq!(t.store.idempotency_expire(time(1002)).await.unwrap(), 1000);
        assert_eq!(t.store.idempotency_expire(time(1002)).await.unwrap(), 2);
        assert_eq!(t.store.idempotency_expire(time(1002)).await.unwrap(), 0);
        let last = t.store.idempotency_begin("ana", "1002", [0; 32], time(1002), time(1003), "a").await;
        assert_eq!(last.unwrap(), Begin::Running);
    })
    .await;
}
