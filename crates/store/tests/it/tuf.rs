//! The TUF repository: its document, tasks, roots, what is pending, hosted files, and all of it in a backup.

use std::time::Duration;

use countersign_store::{
    ChallengeRow, HostedRow, MAX_CHALLENGES, Moving, NewArtifact, NewTufTask, PendingRow, RoleRow, Staging,
    StoreError, TaskChange, TufCounts, TufTx, Waiting,
};

use crate::support::{TestStore, on_each_engine, postgres, sqlite, time};

fn task(id: &str, request: &str) -> NewTufTask {
    NewTufTask {
        id: id.into(),
        kind: "add_artifacts".into(),
        request: request.into(),
        caller: "{\"principal\":\"ana\"}".into(),
        now: time(0),
    }
}

fn change(id: &str, state: &str, result: Option<&str>) -> TaskChange {
    TaskChange { id: id.into(), state: state.into(), result: result.map(Into::into) }
}

fn ids<'a>(tasks: impl IntoIterator<Item = &'a countersign_store::TufTask>) -> Vec<&'a str> {
    tasks.into_iter().map(|task| task.id.as_str()).collect()
}

async fn write(t: &TestStore, write: impl AsyncFnOnce(&mut TufTx)) {
    let mut tx = t.store.tuf_write().await.unwrap();
    write(&mut tx).await;
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn there_is_one_document_about_the_repository() {
    on_each_engine(async |t| {
        assert_eq!(t.store.tuf_read().await.unwrap().repository().await.unwrap(), None);
        for document in ["{}", "{\"ü\":1}"] {
            write(t, async |tx| tx.set_repository(document).await.unwrap()).await;
            let found = t.store.tuf_read().await.unwrap().repository().await.unwrap();
            assert_eq!(found.as_deref(), Some(document));
        }
        let mut dropped = t.store.tuf_write().await.unwrap();
        dropped.set_repository("[]").await.unwrap();
        drop(dropped);
        let found = t.store.tuf_read().await.unwrap().repository().await.unwrap();
        assert_eq!(found.as_deref(), Some("{\"ü\":1}"));
    })
    .await;
}

#[tokio::test]
async fn tasks_are_taken_in_the_order_of_submission_within_a_number_and_bytes() {
    on_each_engine(async |t| {
        for (id, request) in [("c", "{\"much\":\"äääää\"}"), ("a", "{}"), ("b", "[]"), ("d", "1")] {
            write(t, async |tx| tx.add_task(&task(id, request)).await.unwrap()).await;
        }
        let mut tx = t.store.tuf_write().await.unwrap();
        assert!(matches!(tx.add_task(&task("a", "{}")).await, Err(StoreError::Conflict { .. })));
        drop(tx);

        let mut tx = t.store.tuf_read().await.unwrap();
        // The first one has 21 bytes.
        for (limit, bytes, wanted) in [
            (9, u64::MAX, &["c", "a", "b", "d"][..]),
            (2, 1000, &["c", "a"]),
            (9, 0, &["c"]),
            (9, 22, &["c"]),
            (9, 23, &["c", "a"]),
            (9, 25, &["c", "a", "b"]),
        ] {
            let waiting = tx.waiting_tasks(limit, bytes).await.unwrap();
            assert_eq!(ids(waiting.iter().map(|waiting| &waiting.task)), wanted, "{limit} {bytes}");
            assert_eq!(waiting[0].request, "{\"much\":\"äääää\"}");
        }
        let found = tx.task("b").await.unwrap().unwrap();
        assert_eq!((found.kind.as_str(), found.state.as_str()), ("add_artifacts", "PENDING"));
        assert_eq!((found.result, found.created, found.updated), (None, time(0), time(0)));
        assert_eq!(found.caller, "{\"principal\":\"ana\"}");
        for none in ["e", "", "a\0"] {
            assert_eq!(tx.task(none).await.unwrap(), None);
        }
    })
    .await;
}

#[tokio::test]
async fn a_task_keeps_its_result_until_it_gets_another_and_is_forgotten_after_its_end() {
    on_each_engine(async |t| {
        write(t, async |tx| {
            for id in ["a", "b", "c", "d"] {
                tx.add_task(&task(id, "{}")).await.unwrap();
            }
            let changes = [
                change("a", "RUNNING", Some("{\"n\":1}")),
                change("b", "ERRORED", None),
                change("x", "SUCCESS", None),
            ];
            tx.set_tasks(&changes, time(1)).await.unwrap();
            tx.set_tasks(&[], time(9)).await.unwrap();
        })
        .await;
        let mut tx = t.store.tuf_read().await.unwrap();
        assert_eq!(ids(&tx.tasks_in("RUNNING").await.unwrap()), ["a"]);
        let waiting = tx.waiting_tasks(9, 100).await.unwrap();
        assert_eq!(ids(waiting.iter().map(|waiting| &waiting.task)), ["c", "d"]);
        drop(tx);

        write(t, async |tx| {
            let changes = [change("a", "SUCCESS", None), change("c", "FAILURE", Some("[]"))];
            tx.set_tasks(&changes, time(2)).await.unwrap();
            let done = tx.task("a").await.unwrap().unwrap();
            assert_eq!((done.result.as_deref(), done.updated), (Some("{\"n\":1}"), time(2)));

            assert_eq!(tx.forget_tasks(time(1), 9).await.unwrap(), 0);
            assert_eq!(tx.forget_tasks(time(2), 9).await.unwrap(), 1);
            assert_eq!(tx.forget_tasks(time(100), 1).await.unwrap(), 1);
            assert_eq!(tx.task("a").await.unwrap(), None);
            assert_eq!(tx.forget_tasks(time(100), 9).await.unwrap(), 1);
            assert_eq!(tx.forget_tasks(time(100), 9).await.unwrap(), 0);
            assert!(tx.task("d").await.unwrap().is_some());
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn what_was_asked_for_is_kept_only_as_long_as_it_is_to_be_done() {
    on_each_engine(async |t| {
        let long = format!("\"{}\"", "ä".repeat(1000));
        write(t, async |tx| {
            for id in ["a", "b", "c", "d", "e"] {
                tx.add_task(&task(id, &long)).await.unwrap();
            }
            assert_eq!(tx.waiting().await.unwrap(), Waiting { tasks: 5, bytes: 5 * 2002 });
            assert_eq!(tx.first_waiting().await.unwrap().unwrap().id, "a");
            let ends = [("a", "RUNNING"), ("b", "SUCCESS"), ("c", "ERRORED"), ("d", "FAILURE")];
            tx.set_tasks(&ends.map(|(id, state)| change(id, state, None)), time(1)).await.unwrap();
            assert_eq!(tx.waiting().await.unwrap(), Waiting { tasks: 1, bytes: 2002 });
            // Seen by making them wait again.
            let back = ["a", "b", "c", "d"].map(|id| change(id, "PENDING", None));
            tx.set_tasks(&back, time(2)).await.unwrap();
            assert_eq!(tx.waiting().await.unwrap(), Waiting { tasks: 5, bytes: 2002 });
            let all = ["a", "b", "c", "d", "e"].map(|id| change(id, "SUCCESS", None));
            tx.set_tasks(&all, time(3)).await.unwrap();
            assert_eq!(tx.waiting().await.unwrap(), Waiting::default());
            assert_eq!(tx.first_waiting().await.unwrap(), None);
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn roots_are_kept_for_ever_and_become_public_one_by_one() {
    on_each_engine(async |t| {
        write(t, async |tx| {
            assert_eq!(tx.newest_root().await.unwrap(), None);
            tx.put_root(1, "one").await.unwrap();
            tx.put_root(2, "two").await.unwrap();
            assert_eq!(tx.newest_published_root().await.unwrap(), None);
            assert!(tx.is_moving().await.unwrap());
            tx.set_root_published(1).await.unwrap();
        })
        .await;
        write(t, async |tx| {
            assert_eq!(tx.root(1).await.unwrap().as_deref(), Some("one"));
            assert_eq!(tx.root(3).await.unwrap(), None);
            assert_eq!(tx.newest_root().await.unwrap(), Some((2, "two".into())));
            assert_eq!(tx.newest_published_root().await.unwrap(), Some((1, "one".into())));
            assert_eq!(tx.unpublished_roots().await.unwrap(), [(2, "two".to_owned())]);
            for (version, published) in [(1, true), (2, false), (3, false)] {
                assert_eq!(tx.root_is_published(version).await.unwrap(), published);
            }
            tx.set_root_published(2).await.unwrap();
            assert!(!tx.is_moving().await.unwrap());
            assert!(matches!(tx.put_root(2, "other").await, Err(StoreError::Conflict { .. })));
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn what_is_pending_is_one_document_a_role() {
    let pending = |role: &str, document: &str, seconds| PendingRow {
        role: role.into(),
        document: document.into(),
        submitted: time(seconds),
        submitter: "ana".into(),
    };
    on_each_engine(async |t| {
        write(t, async |tx| {
            for new in [pending("root", "1", 1), pending("My_Team", "2", 2), pending("root", "3", 3)] {
                tx.put_pending(&new).await.unwrap();
            }
            assert_eq!(tx.pending("root").await.unwrap(), Some(pending("root", "3", 3)));
            for none in ["my_team", "My", "", "root\0"] {
                assert_eq!(tx.pending(none).await.unwrap(), None);
            }
            let all = tx.all_pending().await.unwrap();
            assert_eq!(all, [pending("My_Team", "2", 2), pending("root", "3", 3)]);
            assert!(tx.remove_pending("root").await.unwrap());
            assert!(!tx.remove_pending("root").await.unwrap());
            assert_eq!(tx.all_pending().await.unwrap().len(), 1);
        })
        .await;
    })
    .await;
}

fn challenge(nonce: &str, role: &str, new_sha256: Option<&str>) -> ChallengeRow {
    ChallengeRow {
        nonce: nonce.into(),
        role: role.into(),
        operation: "override".into(),
        pending_sha256: "ab".into(),
        new_sha256: new_sha256.map(Into::into),
        expires: time(300),
        principal: "ana".into(),
    }
}

fn of(principal: &str, challenge: ChallengeRow) -> ChallengeRow {
    ChallengeRow { principal: principal.into(), ..challenge }
}

#[tokio::test]
async fn nobody_can_keep_others_from_having_a_challenge() {
    on_each_engine(async |t| {
        write(t, async |tx| {
            for n in 0..MAX_CHALLENGES {
                let own =
                    ChallengeRow { expires: time(300 + n as i64), ..challenge(&n.to_string(), "root", None) };
                assert!(tx.add_challenge(&own, time(0)).await.unwrap());
            }
            assert!(!tx.add_challenge(&challenge("more", "root", None), time(0)).await.unwrap());
            assert!(tx.add_challenge(&of("bo", challenge("bo", "root", None)), time(0)).await.unwrap());
            // The oldest of who has most made room, and who has most gets no more in its place.
            assert_eq!(tx.take_challenge("0", time(0)).await.unwrap(), None);
            for n in 0..2 * MAX_CHALLENGES {
                let again = challenge(&format!("again {n}"), "root", None);
                assert!(!tx.add_challenge(&again, time(0)).await.unwrap());
            }
            for (nonce, by) in [("1", "ana"), ("bo", "bo")] {
                assert_eq!(tx.take_challenge(nonce, time(0)).await.unwrap().unwrap().principal, by);
            }
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_challenge_is_taken_once_in_its_time_and_before_what_is_pending_changes() {
    on_each_engine(async |t| {
        write(t, async |tx| {
            for nonce in ["a", "b", "c"] {
                assert!(tx.add_challenge(&challenge(nonce, "root", Some("cd")), time(0)).await.unwrap());
            }
            assert!(tx.add_challenge(&challenge("d", "dev", None), time(0)).await.unwrap());
            let taken = tx.take_challenge("a", time(1)).await.unwrap();
            assert_eq!(taken, Some(challenge("a", "root", Some("cd"))));
            for (nonce, now) in
                [("a", time(1)), ("b", time(300)), ("b", time(1)), ("x", time(1)), ("\0", time(1))]
            {
                assert_eq!(tx.take_challenge(nonce, now).await.unwrap(), None, "{nonce}");
            }
            tx.void_challenges("root").await.unwrap();
            assert_eq!(tx.take_challenge("c", time(1)).await.unwrap(), None);
            assert_eq!(tx.take_challenge("d", time(1)).await.unwrap(), Some(challenge("d", "dev", None)));
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_role_has_a_limited_number_of_open_challenges() {
    on_each_engine(async |t| {
        write(t, async |tx| {
            for n in 0..MAX_CHALLENGES {
                assert!(tx.add_challenge(&challenge(&n.to_string(), "root", None), time(0)).await.unwrap());
            }
            assert!(!tx.add_challenge(&challenge("x", "root", None), time(0)).await.unwrap());
            assert!(tx.add_challenge(&challenge("y", "dev", None), time(0)).await.unwrap());
            assert!(tx.take_challenge("3", time(0)).await.unwrap().is_some());
            assert!(tx.add_challenge(&challenge("x", "root", None), time(0)).await.unwrap());
            // Those that have expired make room.
            assert!(!tx.add_challenge(&challenge("z", "root", None), time(299)).await.unwrap());
            assert!(tx.add_challenge(&challenge("z", "root", None), time(300)).await.unwrap());
        })
        .await;
    })
    .await;
}

fn hosted(name: &str, seconds: i64) -> HostedRow {
    HostedRow {
        name: name.into(),
        path: "dir/file".into(),
        length: 1 << 40,
        sha256: "ab".into(),
        added: time(seconds),
    }
}

#[tokio::test]
async fn hosted_files_are_read_in_pages() {
    on_each_engine(async |t| {
        write(t, async |tx| {
            for (name, seconds) in [("b", 1), ("a", 2), ("c", 3), ("b", 4)] {
                tx.put_hosted(&hosted(name, seconds)).await.unwrap();
            }
            assert_eq!(tx.hosted(None, 2).await.unwrap(), [hosted("a", 2), hosted("b", 4)]);
            assert_eq!(tx.hosted(Some("b"), 2).await.unwrap(), [hosted("c", 3)]);
            tx.remove_hosted(&["a".into(), "c".into(), "x".into()]).await.unwrap();
            assert_eq!(tx.hosted(None, 9).await.unwrap(), [hosted("b", 4)]);
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn readers_see_one_state_while_another_writes() {
    on_each_engine(async |t| {
        write(t, async |tx| tx.set_repository("1").await.unwrap()).await;
        let mut reader = t.store.tuf_read().await.unwrap();
        assert_eq!(reader.repository().await.unwrap().as_deref(), Some("1"));
        write(t, async |tx| tx.set_repository("2").await.unwrap()).await;
        assert_eq!(reader.repository().await.unwrap().as_deref(), Some("1"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_take_turns() {
    on_each_engine(async |t| {
        write(t, async |tx| tx.set_repository("0").await.unwrap()).await;
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let store = t.store.clone();
                tokio::spawn(async move {
                    for _ in 0..5 {
                        let mut tx = store.tuf_write().await.unwrap();
                        let number: u32 = tx.repository().await.unwrap().unwrap().parse().unwrap();
                        tokio::time::sleep(Duration::from_millis(1)).await;
                        tx.set_repository(&(number + 1).to_string()).await.unwrap();
                        tx.commit().await.unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let number = t.store.tuf_read().await.unwrap().repository().await.unwrap();
        assert_eq!(number.as_deref(), Some("40"));
    })
    .await;
}

async fn fill(tx: &mut TufTx) {
    tx.set_repository("{}").await.unwrap();
    for id in ["b", "a"] {
        tx.add_task(&task(id, "{\"x\":\"\\u0000\"}")).await.unwrap();
    }
    tx.set_tasks(&[change("b", "RUNNING", Some("{}"))], time(1)).await.unwrap();
    tx.put_root(1, "root").await.unwrap();
    let role = RoleRow {
        name: "dev".into(),
        version: 3,
        expires: time(7),
        days: 2,
        head: Some("{}".into()),
        signatures: None,
        moving: Moving::ToSign,
        listed: true,
        online: false,
        document: Some("document".into()),
        bytes: 0,
    };
    tx.put_roles(&[role]).await.unwrap();
    let artifact =
        |path: &str| NewArtifact { role: "dev".into(), path: path.into(), entry: format!("\"{path}\":1") };
    tx.put_artifacts(&[artifact("é"), artifact("z"), artifact("b")], Staging::Public).await.unwrap();
    tx.put_artifacts(&[artifact("z"), artifact("y")], Staging::Staged).await.unwrap();
    tx.remove_artifacts(&["b".into()], Staging::Staged).await.unwrap();
    let pending = PendingRow {
        role: "root".into(),
        document: "{}".into(),
        submitted: time(1),
        submitter: "ana".into(),
    };
    tx.put_pending(&pending).await.unwrap();
    tx.put_hosted(&hosted("a", 1)).await.unwrap();
    tx.add_challenge(&challenge("a", "root", None), time(0)).await.unwrap();
}

async fn export(t: &TestStore) -> Vec<String> {
    let mut export = t.store.export().await.unwrap();
    let mut lines = Vec::new();
    while let Some(line) = export.next_line().await.unwrap() {
        lines.push(line);
    }
    lines
}

#[tokio::test]
async fn a_backup_of_the_repository_is_read_by_either_engine_unchanged() {
    let mut backups = Vec::new();
    for source in [sqlite().await, postgres().await] {
        write(&source, async |tx| fill(tx).await).await;
        let lines = export(&source).await;
        assert!(lines.iter().all(|line| !line.contains("tuf_challenge")));
        for target in [sqlite().await, postgres().await] {
            let mut import = target.store.import().await.unwrap();
            for line in &lines {
                import.push_line(line).await.unwrap();
            }
            import.finish().await.unwrap();
            assert_eq!(export(&target).await, lines);

            let mut tx = target.store.tuf_write().await.unwrap();
            let counts = TufCounts { roles: 1, moving: 1, artifacts: 4, waiting: 1, hosted: 1 };
            assert_eq!(tx.counts().await.unwrap(), counts);
            // Numbers go on, and sizes are right.
            tx.add_task(&task("c", "{}")).await.unwrap();
            let waiting = tx.waiting_tasks(9, 1000).await.unwrap();
            assert_eq!(ids(waiting.iter().map(|waiting| &waiting.task)), ["a", "c"]);
            tx.remove_artifacts_of("dev").await.unwrap();
            assert_eq!(tx.role_bytes(&["dev".into()]).await.unwrap(), [("dev".into(), 0)]);
        }
        backups.push(lines);
    }
    assert_eq!(backups[0], backups[1]);
}
