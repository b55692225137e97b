use std::time::Instant;

use countersign_store::{KeyRecord, KeyState, StoreError};

use crate::support::{key, on_each_engine, time};

#[tokio::test]
async fn a_key_is_read_as_it_was_written() {
    on_each_engine(async |t| {
        let full = KeyRecord {
            owner: Some("appliance".into()),
            exportable: true,
            formats: Some(vec!["raw".into(), "raw-unprefixed".into()]),
            state: KeyState::Revoked,
            revoked_at: Some(time(5)),
            revoked_reason: Some("lost \"it\" – ü".into()),
            ..key("appliance/cert/a")
        };
        let none = KeyRecord { formats: Some(vec![]), ..key("b") };
        t.store.insert_key(&full).await.unwrap();
        t.store.insert_key(&none).await.unwrap();
        assert_eq!(t.store.key("appliance/cert/a").await.unwrap(), Some(full.clone()));
        assert_eq!(t.store.key("c").await.unwrap(), None);
        assert_eq!(t.store.all_keys().await.unwrap(), [full, none]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_sixteen_parallel_creations_of_one_name_exactly_one_succeeds() {
    on_each_engine(async |t| {
        let before = t.store.generation().await.unwrap();
        let attempts: Vec<_> = (0..16u8)
            .map(|n| {
                let store = t.store.clone();
                let record = KeyRecord { blob: vec![n], ..key("release") };
                tokio::spawn(async move { store.insert_key(&record).await.map(|()| record) })
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
        assert_eq!(t.store.all_keys().await.unwrap(), winners);
        assert_eq!(t.store.generation().await.unwrap(), before + 1);
    })
    .await;
}

#[tokio::test]
async fn keys_are_listed_by_pages_in_the_order_of_bytes() {
    on_each_engine(async |t| {
        for name in ["b", "a-2", "a.1", "a_3", "z", "a/x", "a"] {
            t.store.insert_key(&key(name)).await.unwrap();
        }
        let mut names = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = t.store.keys(after.as_deref(), 3).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.name.clone());
            names.extend(page.into_iter().map(|key| key.name));
        }
        assert_eq!(names, ["a", "a-2", "a.1", "a/x", "a_3", "b", "z"]);
    })
    .await;
}

#[tokio::test]
async fn a_second_revocation_gives_the_first_unchanged() {
    on_each_engine(async |t| {
        t.store.insert_key(&key("a")).await.unwrap();
        let first = t.store.revoke_key("a", time(1), "lost").await.unwrap();
        assert_eq!(first.state, KeyState::Revoked);
        assert_eq!(first.revoked_at, Some(time(1)));
        let generation = t.store.generation().await.unwrap();

        assert_eq!(t.store.revoke_key("a", time(2), "again").await.unwrap(), first);
        assert_eq!(t.store.retire_key("a").await.unwrap(), first);
        assert_eq!(t.store.key("a").await.unwrap(), Some(first));
        assert_eq!(t.store.generation().await.unwrap(), generation);
    })
    .await;
}

#[tokio::test]
async fn a_retired_key_can_be_revoked_and_an_unknown_one_is_not_found() {
    on_each_engine(async |t| {
        t.store.insert_key(&key("a")).await.unwrap();
        assert_eq!(t.store.retire_key("a").await.unwrap().state, KeyState::Retired);
        assert_eq!(t.store.retire_key("a").await.unwrap().state, KeyState::Retired);
        let revoked = t.store.revoke_key("a", time(1), "").await.unwrap();
        assert_eq!(revoked.revoked_reason.as_deref(), Some(""));
        for result in [t.store.retire_key("b").await, t.store.revoke_key("b", time(1), "").await] {
            assert!(matches!(result, Err(StoreError::NotFound { .. })));
        }
    })
    .await;
}

#[tokio::test]
async fn a_name_is_a_value_and_never_a_part_of_the_query() {
    on_each_engine(async |t| {
        let name = "'; drop table signing_key; --\" $1 ?";
        t.store.insert_key(&key(name)).await.unwrap();
        assert_eq!(t.store.key(name).await.unwrap().unwrap().name, name);
        assert_eq!(t.store.keys(Some("z' or 1=1 --"), 9).await.unwrap().len(), 0);
    })
    .await;
}

#[tokio::test]
async fn ten_thousand_keys_are_all_read_at_once() {
    on_each_engine(async |t| {
        let mut import = t.store.import().await.unwrap();
        import.push_line(r#"{"countersign":"store","version":1}"#).await.unwrap();
        let blob = "A".repeat(1600);
        for n in 0..10_000 {
            let line = format!(
                r#"{{"table":"signing_key","row":{{"name":"k{n:05}","id":"sha256:{n:064}","key_type":"rsa-2048",
                "spki":"{}","blob":"{blob}","state":"active","exportable":0,"backend":"soft","created":1}}}}"#,
                &blob[..392]
            );
            import.push_line(&line).await.unwrap();
        }
        import.push_line(r#"{"end":10000}"#).await.unwrap();
        assert_eq!(import.finish().await.unwrap(), 10_000);

        let start = Instant::now();
        let keys = t.store.all_keys().await.unwrap();
        #[allow(clippy::print_stdout)]
        {
            println!("all_keys: {:?}", start.elapsed());
        }
        assert_eq!(keys.len(), 10_000);
        assert_eq!(keys[9_999].name, "k09999");
        assert_eq!(keys[0].blob.len(), 1200);
    })
    .await;
}
