//! How long the store takes for a repository of a million artifacts in 16 384 bins. Measured by hand:
//!
//! ```text
//! scripts/with-postgres cargo test --release -p countersign-store --test it -- --ignored --nocapture tuf_speed
//! ```

#![allow(clippy::print_stdout)]

use std::time::{Duration, Instant};

use bytes::Bytes;
use countersign_model::digest::sha256;
use countersign_store::{
    Files, FilesConfig, Moving, MovingRoles, NewArtifact, RoleRow, Staging, Store, TufTx,
};

use crate::support::{on_each_engine, time};

const BINS: u32 = 16_384;
const ARTIFACTS: u32 = 1_000_000;
const BATCH: u32 = 10_000;

fn bin(number: u32) -> String {
    format!("bins-{number:04x}")
}

fn role(name: String) -> RoleRow {
    RoleRow {
        name,
        version: 1,
        expires: time(0),
        days: 1,
        head: None,
        signatures: None,
        moving: Moving::ToSign,
        listed: false,
        online: true,
        document: None,
        bytes: 0,
    }
}

fn artifact(number: u32) -> NewArtifact {
    let path = format!("packages/p{number}/release-{number}.tar.gz");
    let hash = sha256(path.as_bytes());
    let first = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
    let hex: String = hash.iter().chain(&hash).map(|byte| format!("{byte:02x}")).collect();
    let entry =
        format!("\"{path}\":{{\"hashes\":{{\"blake2b-256\":\"{}\"}},\"length\":{number}}}", &hex[..64]);
    NewArtifact { role: bin(first >> 18), path, entry }
}

async fn timed<T>(what: &str, run: impl AsyncFnOnce() -> T) -> T {
    let start = Instant::now();
    let value = run().await;
    println!("{what}: {:?}", start.elapsed());
    value
}

async fn load(store: &Store) {
    let mut tx = store.tuf_write().await.unwrap();
    let roles: Vec<_> =
        (0..BINS).map(bin).chain(["snapshot", "targets", "timestamp"].map(Into::into)).collect();
    let roles: Vec<_> = roles.into_iter().map(role).collect();
    timed("16 384 roles", async || tx.put_roles(&roles).await.unwrap()).await;
    let all: Vec<_> = roles.iter().map(|role| (role.name.clone(), role.version)).collect();
    tx.settle(&all).await.unwrap();
    tx.commit().await.unwrap();

    let mut spent = Duration::ZERO;
    let mut slowest = Duration::ZERO;
    for batch in 0..ARTIFACTS / BATCH {
        let new: Vec<_> = (batch * BATCH..(batch + 1) * BATCH).map(artifact).collect();
        let start = Instant::now();
        let mut tx = store.tuf_write().await.unwrap();
        tx.put_artifacts(&new, Staging::Public).await.unwrap();
        tx.commit().await.unwrap();
        spent += start.elapsed();
        slowest = slowest.max(start.elapsed());
    }
    println!("1 000 000 artifacts, 10 000 at once: {spent:?}, the slowest {slowest:?}");
}

async fn publish(store: &Store) {
    let mut tx = store.tuf_write().await.unwrap();
    timed("all begin to move", async || tx.set_moving(MovingRoles::OnlineDelegated, time(1)).await.unwrap())
        .await;
    tx.commit().await.unwrap();
    let (mut after, mut chunks, mut published) = (None::<String>, 0, Vec::new());
    let (mut reading, mut texts, mut writing) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    loop {
        let mut tx = store.tuf_read().await.unwrap();
        let start = Instant::now();
        let roles = tx.moving(after.as_deref(), 512, 32 << 20).await.unwrap();
        reading += start.elapsed();
        let Some(last) = roles.last() else { break };
        after = Some(last.name.clone());
        let versions: Vec<_> = roles.iter().map(|role| role.version).collect();
        published.extend(roles.iter().map(|role| (role.name.clone(), role.version)));
        let names: Vec<_> = roles.into_iter().map(|role| role.name).collect();
        let start = Instant::now();
        let found = tx.targets_text(&names).await.unwrap();
        texts += start.elapsed();
        assert_eq!(found.len(), 512);
        drop(tx);
        let named = names.into_iter().zip(versions);
        let signed: Vec<_> = named.map(|(name, version)| (name, version, "x".repeat(230))).collect();
        let start = Instant::now();
        let mut tx = store.tuf_write().await.unwrap();
        tx.store_signatures(&signed).await.unwrap();
        tx.commit().await.unwrap();
        writing += start.elapsed();
        chunks += 1;
    }
    println!(
        "of {chunks} chunks each: moving {:?}, texts {:?}, signatures {:?}",
        reading / chunks,
        texts / chunks,
        writing / chunks
    );
    for _ in 0..3 {
        let mut tx = store.tuf_read().await.unwrap();
        let found = timed("versions", async || tx.versions().await.unwrap()).await;
        assert_eq!(found.len(), BINS as usize + 1);
    }
    let mut tx = store.tuf_write().await.unwrap();
    timed("settle", async || tx.settle(&published).await.unwrap()).await;
    tx.commit().await.unwrap();
    let mut tx = store.tuf_read().await.unwrap();
    timed("due", async || tx.due(time(0)).await.unwrap()).await;
    timed("counts", async || tx.counts().await.unwrap()).await;
}

async fn one(tx: &mut TufTx, number: u32) {
    let new = artifact(number);
    let names = [new.role.clone()];
    tx.put_artifacts(&[new], Staging::Public).await.unwrap();
    tx.set_moving(MovingRoles::Named(&names), time(2)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures"]
async fn tuf_speed() {
    on_each_engine(async |t| {
        load(&t.store).await;
        publish(&t.store).await;
        for number in 0..3 {
            let mut tx = t.store.tuf_write().await.unwrap();
            timed("one artifact", async || one(&mut tx, ARTIFACTS + number).await).await;
            timed("commit", async || tx.commit().await.unwrap()).await;
        }
        let mut tx = t.store.tuf_write().await.unwrap();
        let staged: Vec<_> = (0..BATCH).map(|number| artifact(number * 97)).collect();
        timed("10 000 staged", async || tx.put_artifacts(&staged, Staging::Staged).await.unwrap()).await;
        let roles = timed("staged roles", async || tx.staged_roles().await.unwrap()).await;
        timed("applied", async || tx.apply_staged(&roles).await.unwrap()).await;
        let paths: Vec<_> = staged.into_iter().map(|artifact| artifact.path).collect();
        timed("10 000 removed", async || tx.remove_artifacts(&paths, Staging::Public).await.unwrap()).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures"]
async fn tuf_speed_of_files() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::open(&FilesConfig::Directory(dir.path().into())).unwrap();
    for round in 0..3 {
        let some: Vec<_> = (0..512)
            .map(|n| {
                (
                    format!("metadata/{round}.bins-{n:04x}.json").parse().unwrap(),
                    Bytes::from(vec![b'x'; 15_000]),
                )
            })
            .collect();
        timed("512 files of 15 kB", async || files.put_all_new(some.clone()).await.unwrap()).await;
        timed("the same again", async || files.put_all_new(some).await.unwrap()).await;
    }
}
