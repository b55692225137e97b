//! Tags: versions, signatures, hiding, and the log entry of each write.

use countersign_store::{ExpectedTag, StoreError, TagFilter, TagRecord, TagSignature, TagWrite, WrittenTag};

use crate::support::{TestStore, on_each_engine, time};

fn signature(authority: &str) -> TagSignature {
    TagSignature {
        authority: authority.into(),
        key_id: format!("sha256:{authority}"),
        block: format!("{authority}AAAA\n").into_bytes(),
        recorded: time(0),
    }
}

fn sha(payload: &[u8]) -> [u8; 32] {
    countersign_model::digest::sha256(payload)
}

fn leaf(tag: &TagRecord) -> Vec<u8> {
    let who: Vec<&str> = tag.signatures.iter().map(|s| s.authority.as_str()).collect();
    format!("{} {} {}", tag.name, tag.version, who.join(",")).into_bytes()
}

async fn write(
    t: &TestStore,
    name: &str,
    payload: &str,
    authorities: &[&str],
    expected: ExpectedTag,
) -> WrittenTag {
    let signatures: Vec<TagSignature> = authorities.iter().map(|a| signature(a)).collect();
    let write = TagWrite {
        name,
        payload: payload.as_bytes(),
        payload_sha256: sha(payload.as_bytes()),
        to_sign: sha(&sha(payload.as_bytes())),
        digest: payload.strip_prefix("digest: "),
        signatures: &signatures,
        expected,
        now: time(1),
    };
    t.store.write_tag(&write, &leaf).await.unwrap()
}

async fn create(t: &TestStore, name: &str, payload: &str, authorities: &[&str]) -> TagRecord {
    stored(write(t, name, payload, authorities, ExpectedTag::Absent).await).0
}

#[track_caller]
fn stored(written: WrittenTag) -> (TagRecord, Option<u64>) {
    match written {
        WrittenTag::Stored { tag, index } => (*tag, index),
        other => panic!("{other:?}"),
    }
}

fn names(tag: &TagRecord) -> Vec<&str> {
    tag.signatures.iter().map(|s| s.authority.as_str()).collect()
}

async fn entries(t: &TestStore) -> Vec<String> {
    let entries = t.store.publication_entries(0, 1000).await.unwrap();
    entries.into_iter().map(|e| String::from_utf8(e.leaf.unwrap()).unwrap()).collect()
}

#[tokio::test]
async fn a_tag_has_versions_and_every_write_has_its_entry() {
    on_each_engine(async |t| {
        assert_eq!(t.store.tag("app", None).await.unwrap(), None);
        let (first, index) = stored(write(t, "app", "one\n", &["b"], ExpectedTag::Absent).await);
        assert_eq!((first.version, first.current, index), (1, 1, Some(0)));

        let added = stored(write(t, "app", "one\n", &["a"], ExpectedTag::Same(1)).await);
        assert_eq!((names(&added.0), added.1), (vec!["a", "b"], Some(1)));

        let second = stored(write(t, "app", "two\n", &["a"], ExpectedTag::Other(1)).await).0;
        assert_eq!((second.version, second.payload.as_slice()), (2, b"two\n".as_slice()));
        assert_eq!(t.store.tag("app", None).await.unwrap().unwrap(), second);
        let old = t.store.tag("app", Some(1)).await.unwrap().unwrap();
        assert_eq!((old.version, old.current, names(&old)), (1, 2, vec!["a", "b"]));
        assert_eq!(t.store.tag("app", Some(3)).await.unwrap(), None);

        let versions = t.store.tag_versions("app", 0, 10).await.unwrap();
        let seen: Vec<_> = versions.iter().map(|v| (v.version, v.authorities.join(","), v.hidden)).collect();
        assert_eq!(seen, [(1, "a,b".into(), false), (2, "a".to_owned(), false)]);
        assert_eq!(t.store.tag_versions("app", 1, 10).await.unwrap().len(), 1);
        assert!(t.store.tag_versions("none", 0, 10).await.unwrap().is_empty());
        assert_eq!(entries(t).await, ["app 1 b", "app 1 a,b", "app 2 a"]);
    })
    .await;
}

#[tokio::test]
async fn a_write_that_was_decided_on_another_state_changes_nothing() {
    on_each_engine(async |t| {
        use ExpectedTag::{Absent, Other, Same};
        for expected in [Same(1), Other(1)] {
            assert_eq!(write(t, "app", "x\n", &["a"], expected).await, WrittenTag::Changed);
        }
        create(t, "app", "one\n", &["a"]).await;
        for expected in [Absent, Same(2), Other(2), Same(0)] {
            assert_eq!(write(t, "app", "x\n", &["b"], expected).await, WrittenTag::Changed);
        }
        t.store.hide_tag("app", 1, "ana", time(2), &leaf).await.unwrap();
        for expected in [Absent, Same(1), Other(1)] {
            assert_eq!(write(t, "app", "x\n", &["b"], expected).await, WrittenTag::Changed);
        }
        assert_eq!(entries(t).await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn the_same_signature_again_is_no_change_and_has_no_entry() {
    on_each_engine(async |t| {
        create(t, "app", "one\n", &["a"]).await;
        let (tag, index) = stored(write(t, "app", "one\n", &["a"], ExpectedTag::Same(1)).await);
        assert_eq!((names(&tag), index), (vec!["a"], None));

        let other = TagSignature { block: b"BBBB\n".into(), key_id: "sha256:n".into(), ..signature("a") };
        let write = TagWrite {
            name: "app",
            payload: b"one\n",
            payload_sha256: sha(b"one\n"),
            to_sign: sha(&sha(b"one\n")),
            digest: None,
            signatures: std::slice::from_ref(&other),
            expected: ExpectedTag::Same(1),
            now: time(1),
        };
        let (tag, index) = stored(t.store.write_tag(&write, &leaf).await.unwrap());
        assert_eq!((tag.signatures, index), (vec![other], Some(1)));
    })
    .await;
}

#[tokio::test]
async fn a_published_signature_is_recorded_with_its_time() {
    on_each_engine(async |t| {
        create(t, "app", "one\n", &["a"]).await;
        let to_sign = sha(&sha(b"one\n"));
        let times = t.store.recorded_times("sha256:a", &to_sign).await.unwrap().unwrap();
        assert_eq!((times.first, times.last), (time(0), time(0)));
        assert!(t.store.recorded_times("sha256:b", &to_sign).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_writers_to_one_tag_none_loses_the_signature_of_another() {
    on_each_engine(async |t| {
        create(t, "app", "one\n", &["first"]).await;
        let writers = (0..24).map(|n| {
            let store = t.store.clone();
            tokio::spawn(async move {
                let signatures = [signature(&format!("a{n:02}")), signature(&format!("b{n:02}"))];
                let write = TagWrite {
                    name: "app",
                    payload: b"one\n",
                    payload_sha256: sha(b"one\n"),
                    to_sign: sha(&sha(b"one\n")),
                    digest: None,
                    signatures: &signatures,
                    expected: ExpectedTag::Same(1),
                    now: time(1),
                };
                stored(store.write_tag(&write, &leaf).await.unwrap())
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
        let tag = t.store.tag("app", None).await.unwrap().unwrap();
        assert_eq!(tag.signatures.len(), 49);
        let listed = t.store.tag_versions("app", 0, 1).await.unwrap();
        assert_eq!(listed[0].authorities, names(&tag));
        assert_eq!(t.store.publication_size().await.unwrap(), 25);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_make_one_tag_or_one_version_exactly_one_does() {
    on_each_engine(async |t| {
        for (round, expected) in [ExpectedTag::Absent, ExpectedTag::Other(1)].into_iter().enumerate() {
            let writers = (0..12).map(|n| {
                let store = t.store.clone();
                tokio::spawn(async move {
                    let payload = format!("{round} {n}\n");
                    let signatures = [signature("a")];
                    let write = TagWrite {
                        name: "app",
                        payload: payload.as_bytes(),
                        payload_sha256: sha(payload.as_bytes()),
                        to_sign: sha(&sha(payload.as_bytes())),
                        digest: None,
                        signatures: &signatures,
                        expected,
                        now: time(1),
                    };
                    store.write_tag(&write, &leaf).await.unwrap()
                })
            });
            let mut made = 0;
            for writer in writers.collect::<Vec<_>>() {
                match writer.await.unwrap() {
                    WrittenTag::Stored { .. } => made += 1,
                    other => assert_eq!(other, WrittenTag::Changed),
                }
            }
            assert_eq!(made, 1);
        }
        assert_eq!(t.store.tag("app", None).await.unwrap().unwrap().version, 2);
        assert_eq!(t.store.publication_size().await.unwrap(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_tag_is_hidden_and_restored_once_and_keeps_everything() {
    on_each_engine(async |t| {
        let missing = t.store.hide_tag("app", 1, "ana", time(2), &leaf).await;
        assert!(matches!(missing, Err(StoreError::NotFound { .. })));
        let made = create(t, "app", "one\n", &["a"]).await;
        let (newer, index) = t.store.hide_tag("app", 2, "ana", time(2), &leaf).await.unwrap();
        assert_eq!((&newer, index), (&made, None), "that is another version than was seen");
        let (hidden, index) = t.store.hide_tag("app", 1, "ana", time(2), &leaf).await.unwrap();
        let hiding = hidden.hidden.clone().unwrap();
        assert_eq!((hiding.by.as_str(), hiding.at, index), ("ana", time(2), Some(1)));
        let (again, index) = t.store.hide_tag("app", 1, "bo", time(3), &leaf).await.unwrap();
        assert_eq!((again, index), (hidden, None));
        assert!(t.store.tags(&TagFilter::default(), 10).await.unwrap().is_empty());
        assert!(t.store.tag_versions("app", 0, 1).await.unwrap()[0].hidden);

        let (restored, index) = t.store.restore_tag("app", &leaf).await.unwrap();
        assert_eq!((&restored, index), (&made, Some(2)));
        assert_eq!(t.store.restore_tag("app", &leaf).await.unwrap(), (made, None));
    })
    .await;
}

#[tokio::test]
async fn tags_are_listed_by_prefix_and_in_the_order_of_their_bytes() {
    on_each_engine(async |t| {
        for name in ["b", "a/x", "a", "a-1", "Z", "a/y", "z~".trim_end_matches('~')] {
            create(t, name, "one\n", &["s"]).await;
        }
        let list = async |prefix, after, limit| -> Vec<String> {
            let filter = TagFilter { prefix, after, digest: None };
            t.store.tags(&filter, limit).await.unwrap().into_iter().map(|tag| tag.name).collect()
        };
        assert_eq!(list("", None, 10).await, ["Z", "a", "a-1", "a/x", "a/y", "b", "z"]);
        assert_eq!(list("a", None, 10).await, ["a", "a-1", "a/x", "a/y"]);
        assert_eq!(list("a/", None, 10).await, ["a/x", "a/y"]);
        assert_eq!(list("a", Some("a-1"), 1).await, ["a/x"]);
        assert_eq!(list("c", None, 10).await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn tags_are_found_by_the_digest_of_their_current_version() {
    on_each_engine(async |t| {
        create(t, "one", "digest: d1", &["a"]).await;
        create(t, "two", "digest: d1", &["a"]).await;
        create(t, "three", "digest: d2", &["a"]).await;
        let find = async |digest| -> Vec<String> {
            let filter = TagFilter { digest: Some(digest), ..TagFilter::default() };
            t.store.tags(&filter, 10).await.unwrap().into_iter().map(|tag| tag.name).collect()
        };
        assert_eq!(find("d1").await, ["one", "two"]);
        write(t, "one", "digest: d2", &["a"], ExpectedTag::Other(1)).await;
        assert_eq!(
            (find("d1").await, find("d2").await),
            (vec!["two".into()], vec!["one".into(), "three".to_owned()])
        );
    })
    .await;
}

#[tokio::test]
async fn a_name_that_would_take_over_the_path_of_a_signature_is_refused() {
    on_each_engine(async |t| {
        create(t, "a", "one\n", &["b.c", "z"]).await;
        // `a.b.c.sig` is the signature of `b.c` on `a`.
        let taken = write(t, "a.b", "two\n", &["x"], ExpectedTag::Absent).await;
        assert_eq!(taken, WrittenTag::Ambiguous { other: "a".into() });
        let asked = t.store.shadowed_tag("a.b", &[], ExpectedTag::Absent).await.unwrap();
        assert_eq!(asked.as_deref(), Some("a"));
        assert_eq!(t.store.tag("a.b", None).await.unwrap(), None);
        assert_eq!(t.store.publication_size().await.unwrap(), 1);

        // A tag that was there first keeps its paths, and takes none of a later signature.
        create(t, "a.z", "two\n", &["x"]).await;
        write(t, "a", "one\n", &["z.y"], ExpectedTag::Same(1)).await;
        let taken = write(t, "a.z", "two\n", &["y"], ExpectedTag::Same(1)).await;
        assert_eq!(taken, WrittenTag::Ambiguous { other: "a".into() });
        stored(write(t, "a.z", "two\n", &["w"], ExpectedTag::Same(1)).await);
        create(t, "a.q.r", "two\n", &["x"]).await;
    })
    .await;
}
