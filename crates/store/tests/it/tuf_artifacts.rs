//! Artifacts of the TUF repository: public, staged, and the texts of roles.

use std::collections::BTreeMap;

use countersign_store::{
    ArtifactRow, Moving, NewArtifact, RoleRow, StagedChange, Staging, StoreError, TufTx,
};

use crate::support::{TestStore, on_each_engine, time};

fn artifact(role: &str, path: &str, content: &str) -> NewArtifact {
    NewArtifact { role: role.into(), path: path.into(), entry: format!("\"{path}\":{content}") }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn role(name: &str) -> RoleRow {
    RoleRow {
        name: name.into(),
        version: 1,
        expires: time(0),
        days: 1,
        head: None,
        signatures: None,
        moving: Moving::No,
        listed: true,
        online: true,
        document: None,
        bytes: 0,
    }
}

async fn write(t: &TestStore, write: impl AsyncFnOnce(&mut TufTx)) {
    let mut tx = t.store.tuf_write().await.unwrap();
    write(&mut tx).await;
    tx.commit().await.unwrap();
}

async fn text_of(tx: &mut TufTx, role: &str) -> String {
    tx.targets_text(&[role.into()]).await.unwrap().remove(0).1
}

#[tokio::test]
async fn the_text_of_a_role_has_its_public_entries_in_the_order_of_their_paths() {
    on_each_engine(async |t| {
        write(t, async |tx| {
            // In UTF-8 as by code points, not as a language sorts, nor as UTF-16 does.
            let paths = ["z", "a", "é", "Z", "a/b", "a-b", "\u{fb33}", "\u{1f600}", "aa"];
            let all: Vec<_> = paths.map(|path| artifact("one", path, "1")).into();
            tx.put_artifacts(&all, Staging::Public).await.unwrap();
            tx.put_artifacts(&[artifact("two", "q", "{\"x\":\"\\u0000\\n\"}")], Staging::Public)
                .await
                .unwrap();
            tx.put_artifacts(&[artifact("one", "staged", "1"), artifact("three", "3", "1")], Staging::Staged)
                .await
                .unwrap();
        })
        .await;
        let mut tx = t.store.tuf_read().await.unwrap();
        let found = tx.targets_text(&texts(&["two", "one", "three", "none"])).await.unwrap();
        let sorted = ["Z", "a", "a-b", "a/b", "aa", "z", "é", "\u{fb33}", "\u{1f600}"];
        let wanted = sorted.map(|path| format!("\"{path}\":1")).join(",");
        assert_eq!(found[0], ("two".into(), "\"q\":{\"x\":\"\\u0000\\n\"}".into()));
        assert_eq!(found[1], ("one".into(), wanted));
        assert_eq!(found[2..], [("three".into(), String::new()), ("none".into(), String::new())]);
    })
    .await;
}

#[tokio::test]
async fn an_artifact_that_is_put_again_is_replaced_also_in_another_role() {
    on_each_engine(async |t| {
        write(t, async |tx| {
            tx.put_roles(&[role("a"), role("b")]).await.unwrap();
            let twice = [artifact("a", "p", "1"), artifact("a", "p", "2"), artifact("a", "q", "1")];
            tx.put_artifacts(&twice, Staging::Public).await.unwrap();
            assert_eq!(text_of(tx, "a").await, "\"p\":2,\"q\":1");
            tx.put_artifacts(&[artifact("b", "p", "345")], Staging::Public).await.unwrap();
            assert_eq!(text_of(tx, "a").await, "\"q\":1");
            assert_eq!(text_of(tx, "b").await, "\"p\":345");
            let bytes = tx.role_bytes(&texts(&["a", "b", "c"])).await.unwrap();
            assert_eq!(bytes, [("a".into(), 6), ("b".into(), 8)]);

            // Staged for another role, what was public is not that role's.
            tx.put_artifacts(&[artifact("a", "p", "67")], Staging::Staged).await.unwrap();
            assert_eq!((text_of(tx, "a").await, text_of(tx, "b").await), ("\"q\":1".into(), String::new()));
            assert_eq!(tx.targets_text_with_staged("a").await.unwrap(), "\"p\":67,\"q\":1");
            let bytes = tx.role_bytes(&texts(&["a", "b", "c"])).await.unwrap();
            assert_eq!(bytes, [("a".into(), 13), ("b".into(), 0)]);
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn what_is_staged_is_beside_what_is_public_until_it_is_applied() {
    on_each_engine(async |t| {
        write(t, async |tx| {
            tx.put_roles(&[role("a"), role("b")]).await.unwrap();
            let public = [artifact("a", "1", "0"), artifact("a", "2", "0"), artifact("b", "9", "0")];
            tx.put_artifacts(&public, Staging::Public).await.unwrap();
            let staged = [artifact("a", "2", "22"), artifact("a", "3", "3"), artifact("b", "8", "8")];
            tx.put_artifacts(&staged, Staging::Staged).await.unwrap();
            let found = tx.remove_artifacts(&texts(&["1", "none", "8"]), Staging::Staged).await.unwrap();
            assert_eq!(found, [("1".into(), "a".into()), ("8".into(), "b".into())]);

            assert_eq!(text_of(tx, "a").await, "\"1\":0,\"2\":0");
            assert_eq!(tx.targets_text_with_staged("a").await.unwrap(), "\"2\":22,\"3\":3");
            assert_eq!(tx.targets_text_with_staged("b").await.unwrap(), "\"9\":0");
            assert_eq!(tx.staged_roles().await.unwrap(), ["a"]);
            let rows = tx.artifacts(&texts(&["3", "2", "1", "8", "x\0"])).await.unwrap();
            let row = |path: &str, entry: Option<&str>, staged| ArtifactRow {
                role: "a".into(),
                path: path.into(),
                entry: entry.map(Into::into),
                staged: Some(staged),
            };
            let wanted = [
                row("1", Some("\"1\":0"), StagedChange::Remove),
                row("2", Some("\"2\":0"), StagedChange::Put("\"2\":22".into())),
                row("3", None, StagedChange::Put("\"3\":3".into())),
            ];
            assert_eq!(rows, wanted);
            // The longer of each two, and a comma.
            assert_eq!(tx.role_bytes(&texts(&["a"])).await.unwrap(), [("a".into(), 6 + 7 + 6)]);

            assert_eq!(tx.apply_staged(&texts(&["b"])).await.unwrap(), 0);
            assert_eq!(tx.apply_staged(&texts(&["a"])).await.unwrap(), 3);
            assert_eq!(text_of(tx, "a").await, "\"2\":22,\"3\":3");
            assert_eq!(tx.staged_roles().await.unwrap(), [""; 0]);
            assert_eq!(tx.role_bytes(&texts(&["a"])).await.unwrap(), [("a".into(), 7 + 6)]);

            // What comes in the meantime counts.
            tx.put_artifacts(&[artifact("a", "2", "old")], Staging::Staged).await.unwrap();
            tx.put_artifacts(&[artifact("a", "2", "new")], Staging::Public).await.unwrap();
            assert_eq!(tx.staged_roles().await.unwrap(), [""; 0]);
            tx.remove_artifacts(&texts(&["3"]), Staging::Staged).await.unwrap();
            tx.put_artifacts(&[artifact("a", "3", "back")], Staging::Staged).await.unwrap();
            assert_eq!(tx.targets_text_with_staged("a").await.unwrap(), "\"2\":new,\"3\":back");
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn artifacts_are_removed_by_path_and_with_their_role() {
    on_each_engine(async |t| {
        write(t, async |tx| {
            tx.put_roles(&[role("a"), role("b")]).await.unwrap();
            let all = [artifact("a", "1", "0"), artifact("a", "2", "0"), artifact("b", "3", "0")];
            tx.put_artifacts(&all, Staging::Public).await.unwrap();
            let paths = texts(&["3", "1", "1", "none", "\0"]);
            let found = tx.remove_artifacts(&paths, Staging::Public).await.unwrap();
            assert_eq!(found, [("1".into(), "a".into()), ("3".into(), "b".into())]);
            assert_eq!(tx.remove_artifacts(&paths, Staging::Public).await.unwrap(), []);
            assert_eq!(tx.remove_artifacts(&[], Staging::Public).await.unwrap(), []);
            let bytes = tx.role_bytes(&texts(&["a", "b"])).await.unwrap();
            assert_eq!(bytes, [("a".into(), 6), ("b".into(), 0)]);
            assert_eq!(tx.remove_artifacts_of("a").await.unwrap(), 1);
            assert_eq!(text_of(tx, "a").await, "");
            assert_eq!(tx.role_bytes(&texts(&["a"])).await.unwrap(), [("a".into(), 0)]);
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn artifacts_go_to_other_roles_with_what_is_staged() {
    on_each_engine(async |t| {
        write(t, async |tx| {
            tx.put_roles(&[role("a"), role("b")]).await.unwrap();
            tx.put_artifacts(&[artifact("a", "1", "0"), artifact("a", "2", "0")], Staging::Public)
                .await
                .unwrap();
            tx.put_artifacts(&[artifact("a", "1", "1111")], Staging::Staged).await.unwrap();
            let pair = |path: &str, role: &str| (path.to_owned(), role.to_owned());
            tx.move_artifacts(&[pair("1", "b"), pair("2", "a"), pair("x", "b")]).await.unwrap();
            assert_eq!(text_of(tx, "a").await, "\"2\":0");
            assert_eq!(text_of(tx, "b").await, "\"1\":0");
            assert_eq!(tx.staged_roles().await.unwrap(), ["b"]);
            let bytes = tx.role_bytes(&texts(&["a", "b"])).await.unwrap();
            assert_eq!(bytes, [("a".into(), 6), ("b".into(), 9)]);
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_role_that_is_written_after_its_artifacts_knows_their_size() {
    on_each_engine(async |t| {
        write(t, async |tx| {
            tx.put_artifacts(&[artifact("a", "1", "0"), artifact("a", "ä", "0")], Staging::Public)
                .await
                .unwrap();
            tx.put_artifacts(&[artifact("a", "1", "000")], Staging::Staged).await.unwrap();
            tx.put_roles(&[RoleRow { bytes: 77, ..role("a") }]).await.unwrap();
            assert_eq!(tx.role("a").await.unwrap().unwrap().bytes, 8 + 7);
            tx.put_roles(&[role("a")]).await.unwrap();
            assert_eq!(tx.role("a").await.unwrap().unwrap().bytes, 8 + 7);
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn artifacts_are_read_in_pages_bounded_by_number_and_bytes() {
    on_each_engine(async |t| {
        write(t, async |tx| {
            for path in ["b", "a", "c"] {
                tx.put_artifacts(
                    &[artifact("x", path, "1"), artifact("y", &path.repeat(2), "1")],
                    Staging::Public,
                )
                .await
                .unwrap();
            }
            for (role, limit, wanted) in [
                (None, 9, &["a b c aa bb cc"][..]),
                (None, 6, &["a b c aa bb cc"]),
                (None, 4, &["a b c aa", "bb cc"]),
                (Some("x"), 2, &["a b", "c"]),
                (Some("y"), 3, &["aa bb cc"]),
                (Some("z"), 3, &[""]),
            ] {
                let mut pages = Vec::new();
                let mut after: Option<(String, String)> = None;
                loop {
                    let last = after.as_ref().map(|(role, path)| (role.as_str(), path.as_str()));
                    let page = tx.artifact_page(role, last, limit).await.unwrap();
                    after = page.artifacts.last().map(|last| (last.role.clone(), last.path.clone()));
                    let paths: Vec<_> = page.artifacts.into_iter().map(|artifact| artifact.path).collect();
                    pages.push(paths.join(" "));
                    if !page.more {
                        break;
                    }
                }
                assert_eq!(pages, wanted, "{role:?} {limit}");
            }
            let long = "x".repeat(9 << 20);
            for path in ["1", "2", "3"] {
                tx.put_artifacts(&[artifact("long", path, &long)], Staging::Public).await.unwrap();
            }
            let page = tx.artifact_page(Some("long"), None, 9).await.unwrap();
            assert_eq!((page.artifacts.len(), page.more), (1, true));
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_path_may_be_long_and_is_anything_but_a_nul() {
    on_each_engine(async |t| {
        // No two characters in a row are the same: it does not compress to what an index would take.
        let long: String =
            (0u32..1024).map(|n| char::from_u32(0x1_0000 + n * 7919 % 60_000).unwrap()).collect();
        assert_eq!(long.len(), 4096);
        let paths =
            [long.as_str(), "\u{1}\n\t\u{7f}\u{85}", "'; drop table tuf_artifact; --", "%_\\\"[]{}", " "];
        write(t, async |tx| {
            for _ in 0..2 {
                let all: Vec<_> = paths.iter().map(|path| artifact("a", path, "1")).collect();
                tx.put_artifacts(&all, Staging::Public).await.unwrap();
            }
            let found = tx.artifacts(&texts(&paths)).await.unwrap();
            assert_eq!(found.len(), paths.len());
            assert_eq!(
                tx.remove_artifacts(&texts(&paths), Staging::Public).await.unwrap().len(),
                paths.len()
            );
        })
        .await;
        for bad in [artifact("a", "\0", "1"), NewArtifact { entry: String::new(), ..artifact("a", "b", "1") }]
        {
            let mut tx = t.store.tuf_write().await.unwrap();
            let refused = tx.put_artifacts(&[bad], Staging::Public).await;
            assert!(matches!(refused, Err(StoreError::Unstorable { .. })));
        }
    })
    .await;
}

/// What the store should hold, in the simplest way.
#[derive(Default)]
struct Model(BTreeMap<String, (String, Option<String>, Option<String>)>);

impl Model {
    fn text(&self, role: &str, staged: bool) -> String {
        let entry = |(entry, next): (&Option<String>, &Option<String>)| {
            let entry = if staged { next.as_ref().or(entry.as_ref()) } else { entry.as_ref() };
            entry.filter(|entry| !entry.is_empty()).cloned()
        };
        let of_role = self.0.values().filter(|row| row.0 == role).filter_map(|row| entry((&row.1, &row.2)));
        of_role.collect::<Vec<_>>().join(",")
    }

    fn bytes(&self, role: &str) -> u64 {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let of_role = self.0.values().filter(|row| row.0 == role);
        of_role.map(|row| 1 + length(&row.1).max(length(&row.2)) as u64).sum()
    }
}

/// Numbers without a pattern.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

#[tokio::test]
async fn whatever_is_put_staged_moved_and_removed_texts_and_sizes_are_right() {
    on_each_engine(async |t| {
        let roles = ["a", "b", "c"];
        let mut random = Random(7);
        let mut model = Model::default();
        write(t, async |tx| tx.put_roles(&roles.map(role)).await.unwrap()).await;
        for _ in 0..60 {
            let mut tx = t.store.tuf_write().await.unwrap();
            let staging = [Staging::Public, Staging::Staged][random.below(2) as usize];
            let count = random.below(40);
            let paths: Vec<String> = (0..count).map(|_| format!("p{}", random.below(60))).collect();
            match random.below(5) {
                0 | 1 => {
                    let new: Vec<NewArtifact> = paths
                        .iter()
                        .map(|path| {
                            let content = "9".repeat(random.below(20) as usize + 1);
                            artifact(roles[random.below(3) as usize], path, &content)
                        })
                        .collect();
                    // A path that is there twice: only the last counts, be it in another role.
                    for last in new.iter().map(|new| (&new.path, new)).collect::<BTreeMap<_, _>>().values() {
                        let row = model.0.entry(last.path.clone()).or_default();
                        if row.0 != last.role {
                            row.1 = None;
                        }
                        row.0 = last.role.clone();
                        match staging {
                            Staging::Public => (row.1, row.2) = (Some(last.entry.clone()), None),
                            Staging::Staged => row.2 = Some(last.entry.clone()),
                        }
                    }
                    tx.put_artifacts(&new, staging).await.unwrap();
                }
                2 => {
                    let found = tx.remove_artifacts(&paths, staging).await.unwrap();
                    let mut wanted = BTreeMap::new();
                    for path in paths {
                        let Some(row) = model.0.get_mut(&path) else { continue };
                        wanted.insert(path.clone(), row.0.clone());
                        if staging == Staging::Staged && row.1.is_some() {
                            row.2 = Some(String::new());
                        } else {
                            model.0.remove(&path);
                        }
                    }
                    assert_eq!(found, wanted.into_iter().collect::<Vec<_>>());
                }
                3 => {
                    let moves: BTreeMap<String, String> = paths
                        .into_iter()
                        .map(|path| (path, roles[random.below(3) as usize].to_owned()))
                        .collect();
                    for (path, role) in &moves {
                        model.0.entry(path.clone()).and_modify(|row| row.0 = role.clone());
                    }
                    tx.move_artifacts(&moves.into_iter().collect::<Vec<_>>()).await.unwrap();
                }
                _ => {
                    let role = roles[random.below(3) as usize];
                    for row in model.0.values_mut().filter(|row| row.0 == role) {
                        row.1 = row.2.take().or(row.1.take());
                    }
                    model.0.retain(|_, row| row.1.as_deref() != Some(""));
                    tx.apply_staged(&[role.into()]).await.unwrap();
                }
            }
            for role in roles {
                assert_eq!(text_of(&mut tx, role).await, model.text(role, false));
                assert_eq!(tx.targets_text_with_staged(role).await.unwrap(), model.text(role, true));
                let bytes = tx.role_bytes(&[role.into()]).await.unwrap();
                assert_eq!(bytes, [(role.to_owned(), model.bytes(role))]);
            }
            tx.commit().await.unwrap();
        }
    })
    .await;
}
