use std::time::Duration;

use countersign_store::{
    DataKey, KeyRecord, KeyState, LogHead, NewPolicy, NewTask, Store, StoreError, TokenKind, TokenRecord,
};

use crate::support::{key, on_each_engine, postgres, principal, sqlite, time};

/// Something of everything, with nulls and without.
async fn fill(store: &Store) {
    store.meta_set("node", &[0, 255, 10]).await.unwrap();
    let data_key = DataKey { id: "d1".into(), wrapped: vec![9; 60], created: time(0) };
    store.add_data_key(&data_key).await.unwrap();
    store.insert_key(&key("b")).await.unwrap();
    let revoked = KeyRecord {
        state: KeyState::Revoked,
        revoked_at: Some(time(3)),
        revoked_reason: Some("ü\n\"".into()),
        formats: Some(vec!["raw".into()]),
        owner: Some("tuf".into()),
        ..key("tuf/online")
    };
    store.insert_key(&revoked).await.unwrap();
    store.insert_principal(&principal("zoe")).await.unwrap();
    store.insert_principal(&principal("ana")).await.unwrap();
    store.disable_principal("zoe").await.unwrap();
    for (id, principal) in [("t1", "zoe"), ("t2", "ana")] {
        let token = TokenRecord {
            id: id.into(),
            principal: principal.into(),
            kind: TokenKind::Hawk,
            hash: vec![],
            sealed: Some(vec![1]),
            label: None,
            created: time(0),
            expires: Some(time(100)),
            last_used: None,
            revoked: None,
            actions: Some(vec![]),
            resources: None,
        };
        store.insert_token(&token).await.unwrap();
    }
    for version in 0..3 {
        let policy = NewPolicy {
            hash: format!("sha256:{version}"),
            rules: "[{\"id\":\"x\"}]".into(),
            created: time(version),
            by: "admin".into(),
        };
        store.put_policy(version, &policy).await.unwrap();
    }
    let head = LogHead {
        origin: "node-a".into(),
        size: 7,
        root: [3; 32],
        checkpoint: "node-a\n7\n\n— x\n".into(),
        verifier_key: "v".into(),
        updated: time(1),
    };
    store.put_log_head(&head).await.unwrap();
    for payload in ["{}", "[]"] {
        let task = NewTask {
            queue: "q".into(),
            key: Some(payload.into()),
            payload: payload.into(),
            run_at: time(0),
            max_attempts: 3,
        };
        store.enqueue(&task, time(0)).await.unwrap();
    }
    store.claim("q", time(1), Duration::from_secs(60), "a").await.unwrap().unwrap();
    store.idempotency_begin("ana", "k", [0; 32], time(0), time(1), "a").await.unwrap();
}

async fn export(store: &Store) -> Vec<String> {
    let mut export = store.export().await.unwrap();
    let mut lines = Vec::new();
    while let Some(line) = export.next_line().await.unwrap() {
        assert!(!line.contains('\n'));
        lines.push(line);
    }
    lines
}

async fn import(store: &Store, lines: &[String]) -> Result<u64, StoreError> {
    let mut import = store.import().await?;
    for line in lines {
        import.push_line(line).await?;
    }
    import.finish().await
}

#[tokio::test]
async fn a_snapshot_of_either_engine_is_read_by_either_engine_unchanged() {
    let sources = [sqlite().await, postgres().await];
    let mut snapshots = Vec::new();
    for source in &sources {
        fill(&source.store).await;
        let lines = export(&source.store).await;
        assert_eq!(lines.len(), 2 + 1 + 1 + 2 + 2 + 2 + 3 + 1 + 2);
        for target in [sqlite().await, postgres().await] {
            let before = target.store.generation().await.unwrap();
            assert_eq!(import(&target.store, &lines).await.unwrap(), 14);
            assert_eq!(export(&target.store).await, lines);
            assert!(target.store.generation().await.unwrap() > before);
            assert_eq!(target.store.all_keys().await.unwrap(), source.store.all_keys().await.unwrap());
            // The lease stayed behind: the task can be claimed at once.
            let claimed = target.store.claim("q", time(1), Duration::from_secs(1), "b").await.unwrap();
            assert_eq!(claimed.unwrap().attempts, 2);
        }
        snapshots.push(lines);
    }
    assert_eq!(snapshots[0], snapshots[1]);
}

#[tokio::test]
async fn a_snapshot_is_read_only_into_an_empty_database() {
    on_each_engine(async |t| {
        t.store.insert_principal(&principal("ana")).await.unwrap();
        assert!(matches!(t.store.import().await, Err(StoreError::Conflict { .. })));
    })
    .await;
}

#[tokio::test]
async fn a_snapshot_cut_off_or_spoilt_leaves_the_database_empty() {
    let source = sqlite().await;
    fill(&source.store).await;
    let lines = export(&source.store).await;
    on_each_engine(async |t| {
        let last = lines.len() - 1;
        let without = |n: usize| [&lines[..n], &lines[n + 1..]].concat();
        let with = |n: usize, line: &str| [&lines[..n], &[line.to_string()], &lines[n..]].concat();
        let bad_row = r#"{"table":"token","row":{"id":"x"}}"#;
        let twice = lines[3].clone();
        for bad in [
            vec![],
            lines[..last].to_vec(),
            without(0),
            without(3),
            with(4, &twice),
            with(last, bad_row),
            with(1, "{"),
            with(0, &lines[0]),
            with(last + 1, &lines[3]),
        ] {
            let result = import(&t.store, &bad).await;
            assert!(matches!(result, Err(StoreError::BadBackup { .. })), "{result:?}");
            assert_eq!(export(&t.store).await.len(), 2);
        }
        let newer = r#"{"countersign":"store","version":2}"#.to_string();
        let result = import(&t.store, &[newer]).await;
        assert!(matches!(result, Err(StoreError::Newer { .. })));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_shows_one_state_whatever_is_written_meanwhile() {
    on_each_engine(async |t| {
        // More rows than are read ahead.
        for n in 0..300 {
            t.store.insert_principal(&principal(&format!("p{n:03}"))).await.unwrap();
        }
        let mut export = t.store.export().await.unwrap();
        export.next_line().await.unwrap().unwrap();
        t.store.insert_principal(&principal("zzz")).await.unwrap();
        let head = LogHead {
            origin: "late".into(),
            size: 1,
            root: [0; 32],
            checkpoint: String::new(),
            verifier_key: String::new(),
            updated: time(0),
        };
        t.store.put_log_head(&head).await.unwrap();
        let mut lines = 0;
        while let Some(line) = export.next_line().await.unwrap() {
            assert!(!line.contains("zzz") && !line.contains("late"), "{line}");
            lines += 1;
        }
        assert_eq!(lines, 301);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_leaves_no_connection_behind() {
    on_each_engine(async |t| {
        for n in 0..200 {
            t.store.insert_principal(&principal(&format!("p{n:03}"))).await.unwrap();
        }
        // More often than there are connections.
        for _ in 0..20 {
            let mut export = t.store.export().await.unwrap();
            export.next_line().await.unwrap().unwrap();
        }
        t.store.ping().await.unwrap();
    })
    .await;
}
