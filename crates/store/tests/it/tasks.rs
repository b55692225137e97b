use std::collections::BTreeMap;
use std::time::Duration;

use countersign_store::{Failed, NewTask, Store, StoreError, Task, TaskState};

use crate::support::{on_each_engine, postgres, time};

const LEASE: Duration = Duration::from_secs(30);

fn task(payload: &str) -> NewTask {
    NewTask { queue: "q".into(), key: None, payload: payload.into(), run_at: time(0), max_attempts: 3 }
}

async fn claim(store: &Store, now: i64) -> Option<Task> {
    store.claim("q", time(now), LEASE, "a").await.unwrap()
}

fn is_lost<T>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::LeaseLost { .. }))
}

#[tokio::test]
async fn tasks_are_claimed_when_they_are_due_in_the_order_of_their_times() {
    on_each_engine(async |t| {
        for (payload, run_at) in [("third", 7), ("first", 0), ("second", 0)] {
            let new = NewTask { run_at: time(run_at), ..task(payload) };
            t.store.enqueue(&new, time(0)).await.unwrap().unwrap();
        }
        let other = NewTask { queue: "other".into(), ..task("other") };
        t.store.enqueue(&other, time(0)).await.unwrap();

        let first = claim(&t.store, 5).await.unwrap();
        assert_eq!((first.payload.as_str(), first.attempts, first.fence), ("first", 1, 1));
        assert_eq!(claim(&t.store, 5).await.unwrap().payload, "second");
        assert_eq!(claim(&t.store, 6).await, None);
        assert_eq!(claim(&t.store, 7).await.unwrap().payload, "third");
        t.store.finish(first.id, first.fence).await.unwrap();
        assert!(is_lost(t.store.finish(first.id, first.fence).await));
        assert_eq!(t.store.tasks(0, 10).await.unwrap().len(), 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_workers_do_two_hundred_tasks_each_exactly_once() {
    on_each_engine(async |t| {
        for n in 0..200 {
            t.store.enqueue(&task(&n.to_string()), time(0)).await.unwrap().unwrap();
        }
        let workers: Vec<_> = (0..8)
            .map(|n| {
                let store = t.store.clone();
                tokio::spawn(async move {
                    let mut done = Vec::new();
                    let owner = format!("worker-{n}");
                    while let Some(task) = store.claim("q", time(1), LEASE, &owner).await.unwrap() {
                        store.finish(task.id, task.fence).await.unwrap();
                        done.push(task.payload);
                    }
                    done
                })
            })
            .collect();
        let mut done: BTreeMap<String, u32> = BTreeMap::new();
        for worker in workers {
            for payload in worker.await.unwrap() {
                *done.entry(payload).or_default() += 1;
            }
        }
        assert_eq!(done.len(), 200);
        assert!(done.values().all(|times| *times == 1));
        assert!(t.store.tasks(0, 10).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_worker_whose_lease_has_passed_can_neither_renew_nor_finish_nor_fail() {
    on_each_engine(async |t| {
        t.store.enqueue(&task("x"), time(0)).await.unwrap();
        let dead = claim(&t.store, 0).await.unwrap();
        assert_eq!(claim(&t.store, 29).await, None);
        let next = claim(&t.store, 30).await.unwrap();
        assert_eq!((next.id, next.attempts), (dead.id, 2));

        assert!(is_lost(t.store.renew(dead.id, dead.fence, time(31), LEASE).await));
        assert!(is_lost(t.store.finish(dead.id, dead.fence).await));
        assert!(is_lost(t.store.fail(dead.id, dead.fence, "late", time(31)).await));

        t.store.renew(next.id, next.fence, time(50), LEASE).await.unwrap();
        assert_eq!(claim(&t.store, 79).await, None);
        t.store.finish(next.id, next.fence).await.unwrap();
        assert!(is_lost(t.store.renew(next.id, next.fence, time(51), LEASE).await));
    })
    .await;
}

#[tokio::test]
async fn a_task_that_fails_is_tried_again_later_and_dead_after_its_last_attempt() {
    on_each_engine(async |t| {
        let id = t.store.enqueue(&task("x"), time(0)).await.unwrap().unwrap();
        for (now, result) in [(0, Failed::Retried), (10, Failed::Retried), (20, Failed::Dead)] {
            let claimed = claim(&t.store, now).await.unwrap();
            let failed = t.store.fail(id, claimed.fence, "no luck", time(now + 10)).await.unwrap();
            assert_eq!(failed, result);
            assert!(is_lost(t.store.fail(id, claimed.fence, "twice", time(now + 10)).await));
            assert_eq!(claim(&t.store, now + 9).await, None);
        }
        assert_eq!(claim(&t.store, 1000).await, None);
        let record = &t.store.tasks(0, 10).await.unwrap()[0];
        assert_eq!((record.state, record.attempts, record.lease.clone()), (TaskState::Dead, 3, None));
        assert_eq!(record.error.as_deref(), Some("no luck"));

        assert!(t.store.revive(id, time(2000)).await.unwrap());
        assert!(!t.store.revive(id, time(2000)).await.unwrap());
        assert!(!t.store.remove_dead(id).await.unwrap());
        assert_eq!(claim(&t.store, 2000).await.unwrap().attempts, 1);
    })
    .await;
}

#[tokio::test]
async fn a_task_that_kills_its_workers_is_dead_after_its_last_attempt() {
    on_each_engine(async |t| {
        let id = t.store.enqueue(&task("x"), time(0)).await.unwrap().unwrap();
        for attempt in 1..=3 {
            assert_eq!(claim(&t.store, attempt * 100).await.unwrap().attempts, attempt as u32);
        }
        assert_eq!(claim(&t.store, 400).await, None);
        assert_eq!(t.store.tasks(0, 10).await.unwrap()[0].state, TaskState::Dead);
        assert!(t.store.remove_dead(id).await.unwrap());
        assert!(!t.store.remove_dead(id).await.unwrap());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_task_waits_or_runs_no_second_one_with_its_key_is_made() {
    on_each_engine(async |t| {
        let keyed = NewTask { key: Some("publish".into()), ..task("x") };
        let attempts: Vec<_> = (0..8)
            .map(|_| {
                let (store, keyed) = (t.store.clone(), keyed.clone());
                tokio::spawn(async move { store.enqueue(&keyed, time(0)).await.unwrap() })
            })
            .collect();
        let mut made = Vec::new();
        for attempt in attempts {
            made.extend(attempt.await.unwrap());
        }
        assert_eq!(made.len(), 1);

        let claimed = claim(&t.store, 0).await.unwrap();
        assert_eq!(t.store.enqueue(&keyed, time(1)).await.unwrap(), None);
        let elsewhere = NewTask { queue: "other".into(), ..keyed.clone() };
        assert!(t.store.enqueue(&elsewhere, time(1)).await.unwrap().is_some());
        t.store.finish(claimed.id, claimed.fence).await.unwrap();
        let second = t.store.enqueue(&keyed, time(2)).await.unwrap().unwrap();
        assert!(second > claimed.id);
    })
    .await;
}

#[tokio::test]
async fn a_dead_task_is_not_revived_beside_a_new_one_with_its_key() {
    on_each_engine(async |t| {
        let keyed = NewTask { key: Some("publish".into()), max_attempts: 1, ..task("x") };
        let id = t.store.enqueue(&keyed, time(0)).await.unwrap().unwrap();
        let claimed = claim(&t.store, 0).await.unwrap();
        let failed = t.store.fail(id, claimed.fence, "no", time(1)).await.unwrap();
        assert_eq!(failed, Failed::Dead);
        assert!(t.store.enqueue(&keyed, time(1)).await.unwrap().is_some());
        assert!(!t.store.revive(id, time(2)).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_claim_that_is_held_is_not_taken_over_however_late_it_is_and_a_lost_one_cannot_be_held() {
    on_each_engine(async |t| {
        t.store.enqueue(&task("x"), time(0)).await.unwrap();
        let first = claim(&t.store, 0).await.unwrap();
        drop(t.store.hold_claim(first.id, first.fence).await.unwrap());
        // The 30 s are over, and nobody held it.
        let next = claim(&t.store, 31).await.unwrap();
        assert!(is_lost(t.store.hold_claim(first.id, first.fence).await));
        let mut tx = t.store.tuf_write().await.unwrap();
        assert!(is_lost(tx.hold_lease(first.id, first.fence).await));
        drop(tx);
        let mut tx = t.store.tuf_write().await.unwrap();
        tx.hold_lease(next.id, next.fence).await.unwrap();
        tx.commit().await.unwrap();
        t.store.finish(next.id, next.fence).await.unwrap();
        assert!(is_lost(t.store.hold_claim(next.id, next.fence).await));
    })
    .await;
    // On SQLite whoever would claim waits.
    let t = postgres().await;
    t.store.enqueue(&task("x"), time(0)).await.unwrap();
    let first = claim(&t.store, 0).await.unwrap();
    let held = t.store.hold_claim(first.id, first.fence).await.unwrap();
    assert_eq!(claim(&t.store, 31).await, None);
    drop(held);
    // Given back a moment after.
    let mut next = None;
    for _ in 0..100 {
        next = claim(&t.store, 31).await;
        if next.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(next.unwrap().fence, first.fence + 1);
}
