//! Target files that are kept here, and what is removed when nobody needs it.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use countersign_core::tuf::{Error, gc, host};
use futures_util::stream;

use crate::support::House;
use crate::tuf_people::*;
use crate::tuf_publish::*;

fn sha256(content: &[u8]) -> [u8; 32] {
    countersign_model::digest::sha256(content)
}

async fn upload(house: &House, path: &str, announced: &[u8], content: &[u8]) -> Result<String, Error> {
    let pieces: Vec<_> = content.chunks(1000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let (length, sha256) = (announced.len() as u64, sha256(announced));
    let taken = host::upload(&house.ctx, &caller(house), path, length, sha256, stream::iter(pieces)).await?;
    Ok(taken.id)
}

#[tokio::test]
async fn a_file_that_is_uploaded_is_there_before_the_artifact_is_added() {
    for house in House::on_both().await {
        let alice = Person::ed25519(1);
        let long: Vec<u8> = (0..6_000_000u32).map(|i| i as u8).collect();
        assert!(matches!(upload(&house, "a", b"x", b"x").await, Err(Error::WrongState { .. })));
        with_bins(&house, &alice, 2).await;
        for (path, content) in [("dist/long", &long[..]), ("short", b"abc"), ("empty", b"")] {
            for _ in 0..2 {
                let id = upload(&house, path, content, content).await.unwrap();
                succeeded(&end_of(&house.ctx, &id).await);
            }
            let digest = hex::encode(sha256(content));
            let (dir, last) = path.rfind('/').map_or(("", path), |at| path.split_at(at + 1));
            let name = format!("{dir}{digest}.{last}");
            let whole = host::fetch(&house.ctx, &name, None).await.unwrap().unwrap();
            assert_eq!((whole.length, &whole.bytes[..]), (content.len() as u64, content));
            let part = host::fetch(&house.ctx, &name, Some((1, 3))).await.unwrap().unwrap();
            let end = content.len().min(4);
            assert_eq!(part.bytes, content.get(1..end).unwrap_or_default());
            let beyond = host::fetch(&house.ctx, &name, Some((1 << 40, 3))).await.unwrap().unwrap();
            assert!(beyond.bytes.is_empty() && beyond.length == content.len() as u64);
            let mut client = client(&house.ctx, 1).await.unwrap();
            assert!(find(&house.ctx, &mut client, path).await.unwrap());
        }
        assert!(host::fetch(&house.ctx, "nothing", None).await.unwrap().is_none());
        assert!(host::fetch(&house.ctx, "../metadata/timestamp.json", None).await.unwrap().is_none());
        house.end().await;
    }
}

#[tokio::test]
async fn nothing_is_kept_of_a_file_that_is_not_what_was_announced() {
    let house = House::new(None).await;
    with_bins(&house, &Person::ed25519(1), 2).await;
    let long = vec![7; 6_000_000];
    let mut other = long.clone();
    other[5_999_999] = 8;
    for (announced, content) in
        [(&b"abc"[..], &b"abd"[..]), (b"abc", b"ab"), (b"abc", b"abcd"), (&long, &other), (b"", b"x")]
    {
        assert!(matches!(upload(&house, "dist/a", announced, content).await, Err(Error::Invalid(_))));
    }
    for path in ["", "/a", "a/../b", "a b", "a/", "ä", "a//b", ".hidden/a"] {
        assert!(matches!(upload(&house, path, b"x", b"x").await, Err(Error::Invalid(_))), "{path:?}");
    }
    assert!(!house.dir.path().join("files/targets").exists() || files_in(&house, "targets/dist") == 0);
    house.end().await;
}

fn files_in(house: &House, dir: &str) -> usize {
    std::fs::read_dir(house.dir.path().join("files").join(dir)).map_or(0, Iterator::count)
}

#[tokio::test]
async fn what_no_snapshot_and_no_artifact_names_is_removed_when_it_is_old() {
    for house in House::on_both().await {
        with_bins(&house, &Person::ed25519(1), 2).await;
        for content in ["one", "two", "three"] {
            let id = upload(&house, "file", content.as_bytes(), content.as_bytes()).await.unwrap();
            succeeded(&end_of(&house.ctx, &id).await);
        }
        for _ in 0..3 {
            succeeded(&done(&house, force(&[])).await);
        }
        let caller = caller(&house);
        assert_eq!(gc::run(&house.ctx, &caller, true).await.unwrap(), gc::Report::default(), "all is young");

        let old = SystemTime::now() - Duration::from_secs(40 * 86_400);
        for dir in ["metadata", "targets"] {
            for entry in std::fs::read_dir(house.dir.path().join("files").join(dir)).unwrap() {
                std::fs::File::open(entry.unwrap().path()).unwrap().set_modified(old).unwrap();
            }
        }
        let mut tx = house.ctx.store().tuf_write().await.unwrap();
        for mut file in tx.hosted(None, 10).await.unwrap() {
            file.added = old.try_into().unwrap();
            tx.put_hosted(&file).await.unwrap();
        }
        tx.commit().await.unwrap();

        let would = gc::run(&house.ctx, &caller, true).await.unwrap();
        assert_eq!(files_in(&house, "targets"), 3);
        let did = gc::run(&house.ctx, &caller, false).await.unwrap();
        assert_eq!((did.metadata, did.targets, did.bytes), (would.metadata, would.targets, would.bytes));
        assert_eq!(did.targets, 2);
        assert!(did.metadata > 5, "{did:?}");
        let mut client = client(&house.ctx, 1).await.unwrap();
        assert!(find(&house.ctx, &mut client, "file").await.unwrap());
        let name = format!("{}.file", hex::encode(sha256(b"three")));
        assert!(host::fetch(&house.ctx, &name, None).await.unwrap().is_some());
        assert_eq!(gc::run(&house.ctx, &caller, false).await.unwrap(), gc::Report::default());
        succeeded(&done(&house, add(&["more"])).await);
        house.end().await;
    }
}
