//! Roles of the TUF repository, and how they are published.

use countersign_store::{Moving, MovingRoles, NewArtifact, RoleRow, Staging, TufProgress, TufTx};

use crate::support::{TestStore, on_each_engine, time};

const DAY: i64 = 86_400;

fn role(name: &str) -> RoleRow {
    RoleRow {
        name: name.into(),
        version: 1,
        expires: time(0),
        days: 3,
        head: None,
        signatures: None,
        moving: Moving::No,
        listed: true,
        online: true,
        document: None,
        bytes: 0,
    }
}

fn moving(name: &str) -> RoleRow {
    RoleRow { moving: Moving::ToSign, listed: false, ..role(name) }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn names_of(roles: &[RoleRow]) -> Vec<&str> {
    roles.iter().map(|role| role.name.as_str()).collect()
}

async fn write(t: &TestStore, write: impl AsyncFnOnce(&mut TufTx)) {
    let mut tx = t.store.tuf_write().await.unwrap();
    write(&mut tx).await;
    tx.commit().await.unwrap();
}

async fn get(tx: &mut TufTx, name: &str) -> RoleRow {
    tx.role(name).await.unwrap().unwrap()
}

#[tokio::test]
async fn roles_are_written_and_read_by_name() {
    on_each_engine(async |t| {
        let whole = RoleRow {
            head: Some("{\"x-a-b\":\"\\u0000\"}".into()),
            signatures: Some("[]".into()),
            document: Some("{\"signed\":\"ü\\n\"}".into()),
            moving: Moving::Signed,
            online: false,
            ..role("My_Team")
        };
        write(t, async |tx| {
            tx.put_roles(&[role("b"), whole.clone(), role("a")]).await.unwrap();
            tx.put_roles(&[]).await.unwrap();
        })
        .await;
        write(t, async |tx| {
            assert_eq!(get(tx, "My_Team").await, whole);
            for none in ["my_team", "", "a\0"] {
                assert_eq!(tx.role(none).await.unwrap(), None);
            }
            let found = tx.roles(&names(&["b", "x", "a", "\0"])).await.unwrap();
            assert_eq!(found, [role("a"), role("b")]);
            assert_eq!(names_of(&tx.role_page(None, 2).await.unwrap()), ["My_Team", "a"]);
            assert_eq!(names_of(&tx.role_page(Some("a"), 2).await.unwrap()), ["b"]);
            assert_eq!(tx.online_roles().await.unwrap(), ["a", "b"]);

            let newer = RoleRow { version: 9, days: 7, ..role("a") };
            tx.put_roles(std::slice::from_ref(&newer)).await.unwrap();
            assert_eq!(get(tx, "a").await, newer);
            tx.set_days(&names(&["a", "b"]), 30).await.unwrap();
            assert_eq!((get(tx, "a").await.days, get(tx, "b").await.days), (30, 30));
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_role_that_moves_gets_its_next_version_once() {
    on_each_engine(async |t| {
        write(t, async |tx| {
            let signed = RoleRow { signatures: Some("[1]".into()), ..role("a") };
            tx.put_roles(&[signed, role("b"), moving("new")]).await.unwrap();
            tx.set_moving(MovingRoles::Named(&names(&["a", "new", "x"])), time(5)).await.unwrap();
            let a = get(tx, "a").await;
            assert_eq!((a.version, a.moving, a.signatures.as_deref()), (2, Moving::ToSign, None));
            assert_eq!(a.expires, time(5 + 3 * DAY));
            assert_eq!((get(tx, "new").await.version, get(tx, "b").await.version), (1, 1));

            tx.set_moving(MovingRoles::Named(&names(&["a"])), time(9)).await.unwrap();
            let a = get(tx, "a").await;
            assert_eq!((a.version, a.expires), (2, time(9 + 3 * DAY)));

            // A signed version may have been seen.
            let late = [("a".into(), 1, "[1]".into()), ("a".into(), 3, "[3]".into())];
            assert_eq!(tx.store_signatures(&late).await.unwrap(), 0, "it has moved on");
            let made = [("a".into(), 2, "[2]".into()), ("b".into(), 1, "[3]".into())];
            assert_eq!(tx.store_signatures(&made).await.unwrap(), 1);
            assert_eq!(get(tx, "a").await.moving, Moving::Signed);
            assert_eq!(get(tx, "a").await.signatures.as_deref(), Some("[2]"));
            assert_eq!(get(tx, "b").await, role("b"), "it does not move");
            tx.set_moving(MovingRoles::Named(&names(&["a"])), time(9)).await.unwrap();
            assert_eq!(get(tx, "a").await.version, 3);
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn all_online_delegated_roles_can_move_at_once() {
    on_each_engine(async |t| {
        write(t, async |tx| {
            let offline = RoleRow { online: false, ..role("offline") };
            let top = ["snapshot", "targets", "timestamp"].map(role);
            tx.put_roles(&[role("bins-0"), role("bins-1"), offline]).await.unwrap();
            tx.put_roles(&top).await.unwrap();
            tx.set_moving(MovingRoles::OnlineDelegated, time(0)).await.unwrap();
            let found = tx.moving(None, 9, u64::MAX).await.unwrap();
            assert_eq!(names_of(&found), ["bins-0", "bins-1"]);
            assert_eq!(get(tx, "targets").await, role("targets"));
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn moving_roles_are_read_in_chunks_of_a_number_and_of_bytes() {
    on_each_engine(async |t| {
        write(t, async |tx| {
            let whole = RoleRow { document: Some("ä".repeat(50)), ..moving("c") };
            tx.put_roles(&[moving("a"), moving("b"), whole, role("still"), moving("targets")]).await.unwrap();
            let artifact = |role: &str, path: &str| NewArtifact {
                role: role.into(),
                path: path.into(),
                entry: "x".repeat(99),
            };
            tx.put_artifacts(&[artifact("a", "1"), artifact("b", "2")], Staging::Public).await.unwrap();
            for (after, limit, bytes, wanted) in [
                (None, 9, 300, &["a", "b", "c"][..]),
                (None, 9, 299, &["a", "b"]),
                (None, 9, 199, &["a"]),
                (None, 9, 0, &["a"]),
                (None, 2, 1000, &["a", "b"]),
                (Some("a"), 9, 200, &["b", "c"]),
                (Some("c"), 9, 1000, &[]),
            ] {
                let found = tx.moving(after, limit, bytes).await.unwrap();
                assert_eq!(names_of(&found), wanted, "{after:?} {limit} {bytes}");
            }
            assert_eq!(tx.moving(None, 1, 0).await.unwrap()[0].bytes, 100);
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_snapshot_lists_what_was_public_once_and_what_is_about_to_be() {
    on_each_engine(async |t| {
        let versions = async |t: &TestStore| t.store.tuf_read().await.unwrap().versions().await.unwrap();
        assert_eq!(versions(t).await, []);
        write(t, async |tx| {
            let gone = RoleRow { online: false, version: 7, ..role("gone") };
            let never = RoleRow { listed: false, ..role("never") };
            let top = ["snapshot", "targets", "timestamp"].map(moving);
            tx.put_roles(&[role("é"), role("a:1"), role("Z"), gone, never, moving("new")]).await.unwrap();
            tx.put_roles(&top).await.unwrap();
        })
        .await;
        let wanted = [("Z", 1), ("a:1", 1), ("gone", 7), ("new", 1), ("targets", 1), ("é", 1)];
        assert_eq!(versions(t).await, wanted.map(|(name, version)| (name.to_owned(), version)));

        write(t, async |tx| {
            assert!(tx.is_moving().await.unwrap());
            let all = |version| {
                ["new", "snapshot", "targets", "timestamp", "Z"].map(|name| (name.to_owned(), version))
            };
            assert_eq!(tx.settle(&all(2)).await.unwrap(), 0, "other versions");
            assert_eq!(tx.settle(&all(1)[..3]).await.unwrap(), 3);
            assert!(tx.is_moving().await.unwrap(), "what was not published moves on");
            assert_eq!(tx.settle(&all(1)).await.unwrap(), 1);
            assert_eq!(tx.settle(&all(1)).await.unwrap(), 0);
            assert!(!tx.is_moving().await.unwrap());
            let new = get(tx, "new").await;
            assert_eq!((new.moving, new.listed), (Moving::No, true));
            assert!(!get(tx, "never").await.listed);
        })
        .await;
        assert_eq!(versions(t).await.len(), 6);
    })
    .await;
}

#[tokio::test]
async fn online_roles_are_due_when_a_third_of_their_life_or_an_hour_is_left() {
    on_each_engine(async |t| {
        write(t, async |tx| {
            let until = |name: &str, seconds| RoleRow { expires: time(seconds), ..role(name) };
            let short = RoleRow { days: 0, ..until("hour", 3599) };
            let long = RoleRow { days: 0, ..until("more", 3600) };
            let offline = RoleRow { online: false, ..until("offline", 0) };
            let moving = RoleRow { moving: Moving::Signed, ..until("moving", 0) };
            let roles = [
                until("third", DAY),
                until("early", DAY + 1),
                until("over", -5),
                short,
                long,
                offline,
                moving,
            ];
            tx.put_roles(&roles).await.unwrap();
            assert_eq!(tx.due(time(0)).await.unwrap(), ["hour", "over", "third"]);
            assert_eq!(tx.due(time(1)).await.unwrap(), ["early", "hour", "more", "over", "third"]);
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn how_far_a_publication_is_says_counts_and_the_first_names() {
    on_each_engine(async |t| {
        write(t, async |tx| {
            assert_eq!(tx.progress(9).await.unwrap(), TufProgress::default());
            let signed = RoleRow { moving: Moving::Signed, ..role("a") };
            tx.put_roles(&[signed, role("b"), moving("e"), moving("c"), moving("d")]).await.unwrap();
            let progress = |wanted: &[&str]| TufProgress { signed: 1, waiting: 3, names: names(wanted) };
            assert_eq!(tx.progress(9).await.unwrap(), progress(&["c", "d", "e"]));
            assert_eq!(tx.progress(2).await.unwrap(), progress(&["c", "d"]));
        })
        .await;
    })
    .await;
}
