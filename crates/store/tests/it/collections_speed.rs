//! How fast collections are read and written: run on demand, in a release build, with `--run-ignored only`.

#![allow(clippy::print_stdout)]

use std::time::{Duration, Instant};

use countersign_store::{CollectionsTx, ObjectRow, PageOrder, PageQuery, Store, Writes};

use crate::support::on_each_engine;

const OBJECTS: i64 = 100_000;
const BATCH: i64 = 200;
const SOURCE: &str = "/buckets/source/collections/c/records";
const DESTINATION: &str = "/buckets/destination/collections/c/records";

/// An object with an id that looks like a random UUID, of about 150 bytes.
fn object(list: &str, n: i64, last_modified: i64) -> ObjectRow {
    let mixed = (n as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let id = format!("{:08x}-{:04x}-4000-8000-{n:012x}", mixed >> 32, mixed & 0xffff);
    let data = format!(
        "{{\"enabled\":true,\"id\":\"{id}\",\"issuer\":\"MEQxCzAJBgNVBAYTAlVTMRUwEwYDVQQKEwx0aGF3dGU=\",\
         \"last_modified\":{last_modified},\"n\":{n}}}"
    );
    let mut content = [0; 32];
    content[..8].copy_from_slice(&mixed.to_le_bytes());
    ObjectRow {
        list: list.into(),
        id,
        last_modified,
        deleted: false,
        data,
        permissions: Some("{\"write\":[\"account:ana\"]}".into()),
        content: Some(content),
    }
}

/// The median of a few runs.
async fn timed(store: &Store, what: &str, run: impl AsyncFn(&mut CollectionsTx) -> usize) {
    let mut times: Vec<Duration> = Vec::new();
    let mut size = 0;
    for _ in 0..5 {
        let mut tx = store.collections_read().await.unwrap();
        let start = Instant::now();
        size = run(&mut tx).await;
        times.push(start.elapsed());
    }
    times.sort();
    println!("{what}: {:?} (best {:?}; {size})", times[2], times[0]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures"]
async fn collections_speed() {
    on_each_engine(async |t| {
        let store = &t.store;
        for list in [SOURCE, DESTINATION] {
            let start = Instant::now();
            for batch in 0..OBJECTS / BATCH {
                let objects =
                    (batch * BATCH..(batch + 1) * BATCH).map(|n| object(list, n, 1_800_000_000_000 + n));
                let mut tx = store.collections_write().await.unwrap();
                tx.write(&Writes { objects: objects.collect(), ..Writes::default() }).await.unwrap();
                tx.commit().await.unwrap();
            }
            let seconds = start.elapsed().as_secs_f64();
            println!("written in batches of {BATCH}: {:.0}/s", OBJECTS as f64 / seconds);
        }
        let start = Instant::now();
        for n in 0..500 {
            let mut tx = store.collections_write().await.unwrap();
            tx.write(&Writes { objects: vec![object("/one", n, n)], ..Writes::default() }).await.unwrap();
            tx.commit().await.unwrap();
        }
        println!("one by one: {:?} each", start.elapsed() / 500);
        let mut one = object(SOURCE, 77, 1_900_000_000_000);
        one.content = Some([1; 32]);
        let mut tx = store.collections_write().await.unwrap();
        tx.write(&Writes { objects: vec![one], ..Writes::default() }).await.unwrap();
        tx.commit().await.unwrap();
        let objects = (0..20_000).map(|n| object(SOURCE, n, 2_000_000_000_000 + n));
        let writes = Writes { objects: objects.collect(), ..Writes::default() };
        let mut tx = store.collections_write().await.unwrap();
        let start = Instant::now();
        tx.write(&writes).await.unwrap();
        println!("20 000 changed at once: {:?}", start.elapsed());
        drop(tx);

        timed(store, "canonical", async |tx| {
            let (mut after, mut size) = (None, 0);
            while let Some(chunk) = tx.canonical_records(SOURCE, after.as_deref(), u32::MAX).await.unwrap() {
                size += chunk.text.len();
                after = Some(chunk.last_id);
            }
            size
        })
        .await;
        timed(store, "changes", async |tx| {
            let (mut before, mut size) = (None, 0);
            while let Some(chunk) = tx.changes(SOURCE, None, before, u32::MAX).await.unwrap() {
                size += chunk.text.len();
                before = Some(chunk.last_modified);
            }
            size
        })
        .await;
        timed(store, "difference", async |tx| tx.difference(SOURCE, DESTINATION).await.unwrap().len()).await;
        timed(store, "difference, all new", async |tx| tx.difference(SOURCE, "/none").await.unwrap().len())
            .await;
        for order in [PageOrder::NewestFirst, PageOrder::ById(None)] {
            timed(store, &format!("page of 10 000, {order:?}"), async |tx| {
                let query = PageQuery { order: order.clone(), ..PageQuery::default() };
                tx.page(SOURCE, &query).await.unwrap().objects.len()
            })
            .await;
        }
        timed(store, "count", async |tx| tx.count(SOURCE, None, None).await.unwrap() as usize).await;
        let keys: Vec<_> = (0..1000).map(|n| (SOURCE.to_owned(), object("", n * 97, 0).id)).collect();
        timed(store, "1000 objects by key", async |tx| tx.objects(&keys).await.unwrap().len()).await;
        timed(store, "one object by key", async |tx| tx.objects(&keys[..1]).await.unwrap().len()).await;
        timed(store, "scan of 10 000", async |tx| tx.scan(None, 10_000).await.unwrap().objects.len()).await;
    })
    .await;
}
