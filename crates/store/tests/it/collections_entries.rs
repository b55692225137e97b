//! Entries that are made of the objects of another list.

use countersign_store::{Entries, ObjectRow, PageQuery, StoreError, Writes};

use crate::collections::{RECORDS, object, put, read, tombstone, write};
use crate::support::{TestStore, on_each_engine, postgres, sqlite};

const HISTORY: &str = "/buckets/b/history";

fn entries(first: i64, last: i64, timestamp: i64) -> Entries {
    let text = ["<", " at ", " of ", " is ", " again ", ">"].map(Into::into);
    Entries {
        list: HISTORY.into(),
        of: RECORDS.into(),
        first,
        last,
        timestamp,
        id_end: "-7000-8000-000000000000".into(),
        text,
    }
}

/// Records from 1 on, a tombstone among them, one with permissions, and a list for entries.
async fn records(t: &TestStore) {
    let named = ObjectRow { permissions: Some("{}".into()), ..object(RECORDS, "d", 4) };
    let all = [object(RECORDS, "c", 1), object(RECORDS, "a", 2), tombstone(RECORDS, "b", 3), named];
    write(&t.store, put(all.into_iter().chain([object(RECORDS, "e", 5)]))).await;
    let timestamps = vec![(HISTORY.into(), 0x1_0000_0009)];
    write(&t.store, Writes { timestamps, ..Writes::default() }).await;
}

/// Ids and data of the entries, the newest first.
async fn told(t: &TestStore) -> Vec<(String, String)> {
    let page = read(&t.store).await.page(HISTORY, &PageQuery::default()).await.unwrap();
    page.objects.into_iter().map(|row| (row.id, row.data)).collect()
}

#[tokio::test]
async fn an_entry_has_its_object_in_it_as_it_is() {
    on_each_engine(async |t| {
        records(t).await;
        let mut tx = t.store.collections_write().await.unwrap();
        tx.write_entries(&entries(2, 4, 0xffff_ffff)).await.unwrap();
        tx.commit().await.unwrap();
        let end = "-7000-8000-000000000000";
        let entry = |start: &str, at: i64, row: ObjectRow| {
            let (id, record) = (format!("{start}{end}"), row.id);
            (id.clone(), format!("<{id} at {at} of {record} is {} again {record}>", row.data))
        };
        assert_eq!(
            told(t).await,
            [
                entry("00010000-0000", 0x1_0000_0000, tombstone(RECORDS, "b", 3)),
                entry("0000ffff-ffff", 0xffff_ffff, object(RECORDS, "a", 2)),
            ]
        );
        // Its list knows how long the longest is, or a page could be of any length.
        let url = read(&t.store).await.page(HISTORY, &PageQuery { limit: 1, ..PageQuery::default() }).await;
        assert!(url.unwrap().more);

        let mut tx = t.store.collections_write().await.unwrap();
        let again = tx.write_entries(&entries(2, 4, 0xffff_ffff)).await;
        assert!(matches!(again, Err(StoreError::Conflict { .. })), "{again:?}");
        drop(tx);
        let mut tx = t.store.collections_write().await.unwrap();
        let nowhere = tx.write_entries(&Entries { list: "/none".into(), ..entries(1, 1, 1) }).await;
        assert!(matches!(nowhere, Err(StoreError::NotFound { .. })), "{nowhere:?}");
        tx.write_entries(&Entries { of: "/none".into(), ..entries(1, 1, 1) }).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn entries_that_are_left_tell_of_the_objects_as_they_were_then() {
    on_each_engine(async |t| {
        records(t).await;
        let leave = async |first, timestamp| {
            let mut tx = t.store.collections_write().await.unwrap();
            tx.leave_entries(&entries(first, first, timestamp)).await.unwrap();
            tx.commit().await.unwrap();
        };
        leave(1, 100).await;
        assert_eq!(told(t).await.len(), 0);
        // Whoever writes finds them due, and what they tell of as it was.
        write(&t.store, put([object(RECORDS, "c", 9)])).await;
        let first = told(t).await;
        assert!(first.len() == 1 && first[0].1.contains("\"last_modified\":1}"), "{first:?}");

        leave(2, 200).await;
        t.store.write_due_entries().await.unwrap();
        t.store.write_due_entries().await.unwrap();
        assert_eq!(told(t).await.len(), 2);
        // A transaction that is given up has written none.
        leave(5, 500).await;
        drop(t.store.collections_write().await.unwrap());
        assert_eq!(told(t).await.len(), 2);
        t.store.write_due_entries().await.unwrap();
        assert_eq!(told(t).await.len(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_backup_has_what_is_due() {
    for (from, to) in [(sqlite().await, postgres().await), (postgres().await, sqlite().await)] {
        records(&from).await;
        let mut tx = from.store.collections_write().await.unwrap();
        tx.leave_entries(&entries(1, 5, 100)).await.unwrap();
        tx.commit().await.unwrap();
        let mut export = from.store.export().await.unwrap();
        let mut import = to.store.import().await.unwrap();
        while let Some(line) = export.next_line().await.unwrap() {
            import.push_line(&line).await.unwrap();
        }
        import.finish().await.unwrap();
        to.store.write_due_entries().await.unwrap();
        assert_eq!(told(&to).await.len(), 4);
        from.store.close().await;
        to.store.close().await;
    }
}
