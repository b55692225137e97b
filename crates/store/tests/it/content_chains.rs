use countersign_store::{AuthorityRole, ContentAuthority, ContentChain, NewTask};

use crate::support::{on_each_engine, time};

fn authority(certificate: &str) -> ContentAuthority {
    ContentAuthority {
        role: AuthorityRole::Intermediate,
        key: "collections/ca/intermediate".into(),
        certificate: certificate.into(),
        not_after: time(100),
    }
}

fn chain(sha256: &str, key: &str) -> ContentChain {
    let (sha256, key, pem) = (sha256.to_owned(), key.to_owned(), format!("PEM of {sha256}"));
    ContentChain { sha256, key, pem, not_after: time(100), made: time(0) }
}

#[tokio::test]
async fn of_several_that_renew_an_authority_the_first_one_does() {
    on_each_engine(async |t| {
        assert!(t.store.content_authorities().await.unwrap().is_empty());
        assert!(t.store.put_content_authority(&authority("one"), None).await.unwrap());
        assert!(!t.store.put_content_authority(&authority("two"), None).await.unwrap());
        assert!(!t.store.put_content_authority(&authority("two"), Some("other")).await.unwrap());
        assert_eq!(t.store.content_authorities().await.unwrap(), [authority("one")]);
        assert!(t.store.put_content_authority(&authority("two"), Some("one")).await.unwrap());
        assert!(!t.store.put_content_authority(&authority("three"), Some("one")).await.unwrap());
        assert_eq!(t.store.content_authorities().await.unwrap(), [authority("two")]);
    })
    .await;
}

#[tokio::test]
async fn a_key_has_one_current_chain_and_keeps_all_that_it_had() {
    on_each_engine(async |t| {
        let (one, two, other) = (chain("aa", "k"), chain("bb", "k"), chain("cc", "j"));
        assert!(t.store.put_content_chain(&one, None).await.unwrap());
        assert!(!t.store.put_content_chain(&two, None).await.unwrap(), "there is one");
        assert!(!t.store.put_content_chain(&two, Some("cc")).await.unwrap(), "it is another one");
        assert!(t.store.put_content_chain(&other, None).await.unwrap());
        assert!(!t.store.put_content_chain(&two, Some("cc")).await.unwrap(), "it is another key's");
        assert!(t.store.put_content_chain(&two, Some("aa")).await.unwrap());
        assert!(!t.store.put_content_chain(&chain("dd", "k"), Some("aa")).await.unwrap(), "it is old");
        assert_eq!(t.store.current_content_chains().await.unwrap(), [other, two]);
        for (sha256, pem) in [("aa", Some("PEM of aa")), ("bb", Some("PEM of bb")), ("dd", None), ("", None)]
        {
            assert_eq!(t.store.content_chain(sha256).await.unwrap().as_deref(), pem, "{sha256}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_task_of_a_transaction_counts_within_it_and_is_there_when_it_is_committed() {
    on_each_engine(async |t| {
        let task =
            NewTask { queue: "q".into(), key: None, payload: "{}".into(), run_at: time(0), max_attempts: 1 };
        let mut tx = t.store.collections_write().await.unwrap();
        assert_eq!(tx.waiting("q", 10).await.unwrap(), 0);
        for _ in 0..3 {
            tx.enqueue(&task, time(0)).await.unwrap();
        }
        assert_eq!(tx.waiting("q", 10).await.unwrap(), 3);
        assert_eq!(tx.waiting("q", 2).await.unwrap(), 2, "nobody counts further than asked");
        assert_eq!(tx.waiting("p", 10).await.unwrap(), 0);
        drop(tx);
        let mut tx = t.store.collections_write().await.unwrap();
        assert_eq!(tx.waiting("q", 10).await.unwrap(), 0);
        tx.enqueue(&task, time(0)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(t.store.tasks(0, 10).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn tasks_that_died_long_ago_are_forgotten_and_no_others() {
    on_each_engine(async |t| {
        let lease = std::time::Duration::from_secs(10);
        let task = |queue: &str| NewTask {
            queue: queue.into(),
            key: None,
            payload: "{}".into(),
            run_at: time(0),
            max_attempts: 1,
        };
        for (queue, died) in [("q", time(10)), ("q", time(20)), ("p", time(10))] {
            t.store.enqueue(&task(queue), time(0)).await.unwrap();
            let claimed = t.store.claim(queue, time(1), lease, "n").await.unwrap().unwrap();
            t.store.fail(claimed.id, claimed.fence, "no", died).await.unwrap();
        }
        t.store.enqueue(&task("q"), time(0)).await.unwrap();
        assert_eq!(t.store.forget_dead("q", time(15)).await.unwrap(), 1);
        let left = t.store.tasks(0, 10).await.unwrap();
        let left: Vec<_> = left.iter().map(|task| (task.queue.as_str(), task.run_at)).collect();
        assert_eq!(left, [("q", time(20)), ("p", time(10)), ("q", time(0))]);
    })
    .await;
}
