//! Lists as a whole: their texts, their differences, all objects, snapshots.

use countersign_store::{Difference, ObjectDifference, ObjectRow, Page, PageQuery, StoreError, Writes};

use crate::collections::{RECORDS, key, key_at, object, put, read, timestamp, tombstone, try_write, write};
use crate::support::{on_each_engine, postgres, sqlite};

#[tokio::test]
async fn large_objects_come_in_smaller_pages_and_chunks() {
    on_each_engine(async |t| {
        let large = |n: i64| {
            let data = format!("\"{}\"", "x".repeat(1 << 20));
            ObjectRow { data, ..object(RECORDS, &format!("{n:02}"), n) }
        };
        write(&t.store, put((0..20).map(large))).await;
        let mut tx = read(&t.store).await;
        let first = tx.page(RECORDS, &PageQuery::default()).await.unwrap();
        assert_eq!((first.objects.len(), first.more), (16, true));
        assert_eq!(first.objects[0], large(19));
        let chunk = tx.canonical_records(RECORDS, None, 1000).await.unwrap().unwrap();
        assert_eq!((chunk.count, chunk.last_id.as_str()), (16, "15"));
        let chunk = tx.canonical_records(RECORDS, Some("15"), 1000).await.unwrap().unwrap();
        assert_eq!(chunk.count, 4);
        let chunk = tx.changes(RECORDS, None, None, 1000).await.unwrap().unwrap();
        assert_eq!((chunk.count, chunk.last_modified), (16, 4));
        let scanned = tx.scan(None, 1000).await.unwrap();
        assert_eq!((scanned.objects.len(), scanned.more), (16, true));
    })
    .await;
}

#[tokio::test]
async fn the_text_to_sign_is_that_of_the_living_ordered_by_the_bytes_of_their_ids() {
    on_each_engine(async |t| {
        let ids = ["b", "B", "a-", "a_", "aB", "ab", "a", "A", "0", "9", "a-1", "a_1", "Z", "z"];
        let objects = ids.iter().zip(1..).map(|(id, n)| object(RECORDS, id, n));
        write(&t.store, put(objects)).await;
        write(&t.store, put([tombstone(RECORDS, "a0", 100)])).await;
        let mut sorted = ids;
        sorted.sort_unstable();
        let texts = sorted.map(|id| {
            object(RECORDS, id, ids.iter().zip(1..).find(|(known, _)| **known == id).unwrap().1).data
        });

        let mut tx = read(&t.store).await;
        let all = tx.canonical_records(RECORDS, None, 1000).await.unwrap().unwrap();
        assert_eq!((all.text, all.count, all.last_id), (texts.join(","), 14, "z".into()));
        let (mut after, mut chunks) = (None, Vec::new());
        while let Some(chunk) = tx.canonical_records(RECORDS, after.as_deref(), 4).await.unwrap() {
            chunks.push(chunk.text);
            after = Some(chunk.last_id);
        }
        assert_eq!((chunks.len(), chunks.join(",")), (4, texts.join(",")));
        assert_eq!(tx.canonical_records("/none", None, 4).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn changes_are_newest_first_and_have_tombstones_where_there_is_a_since() {
    on_each_engine(async |t| {
        let all = [
            object(RECORDS, "c", 1),
            tombstone(RECORDS, "a", 2),
            object(RECORDS, "d", 3),
            tombstone(RECORDS, "b", 4),
            object(RECORDS, "e", 5),
        ];
        write(&t.store, put(all.clone())).await;
        let mut tx = read(&t.store).await;
        let texts =
            |these: &[usize]| these.iter().map(|&n| all[n].data.as_str()).collect::<Vec<_>>().join(",");
        for (since, before, limit, expected) in [
            (None, None, 100, &[4, 2, 0][..]),
            (None, None, 2, &[4, 2]),
            (None, Some(3), 2, &[0]),
            (Some(0), None, 100, &[4, 3, 2, 1, 0]),
            (Some(2), None, 100, &[4, 3, 2]),
            (Some(2), Some(4), 100, &[2]),
        ] {
            let chunk = tx.changes(RECORDS, since, before, limit).await.unwrap().unwrap();
            assert_eq!(chunk.text, texts(expected));
            assert_eq!(chunk.count, expected.len() as u64);
            assert_eq!(chunk.last_modified, all[*expected.last().unwrap()].last_modified);
        }
        assert_eq!(tx.changes(RECORDS, Some(5), None, 100).await.unwrap(), None);
        assert_eq!(tx.changes("/none", None, None, 100).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn lists_differ_in_what_is_new_changed_or_only_in_the_destination() {
    on_each_engine(async |t| {
        let (from, to) = (RECORDS, "/buckets/d/collections/c/records");
        let with = |content, object: ObjectRow| ObjectRow { content: Some([content; 32]), ..object };
        let source = [
            with(1, object(from, "same", 1)),
            with(1, object(from, "changed", 2)),
            with(1, object(from, "new", 3)),
            tombstone(from, "dead-here", 4),
            with(1, object(from, "dead-there", 5)),
            tombstone(from, "dead-in-both", 6),
            with(1, object(from, "Z", 7)),
            ObjectRow { content: None, ..object(from, "without-both", 8) },
            ObjectRow { content: None, ..object(from, "without-one", 9) },
        ];
        let destination = [
            with(1, object(to, "same", 101)),
            with(2, object(to, "changed", 102)),
            with(1, object(to, "only-there", 103)),
            with(1, object(to, "dead-here", 104)),
            tombstone(to, "dead-there", 105),
            tombstone(to, "dead-in-both", 106),
            ObjectRow { content: None, ..object(to, "without-both", 108) },
            with(1, object(to, "without-one", 109)),
        ];
        write(&t.store, put(source.into_iter().chain(destination))).await;
        let mut tx = read(&t.store).await;
        let differences = |expected: &[(&str, Difference)]| {
            let one = |&(id, difference): &_| ObjectDifference { id: String::from(id), difference };
            expected.iter().map(one).collect::<Vec<_>>()
        };
        use Difference::{Added, Changed, Removed};
        assert_eq!(
            tx.difference(from, to).await.unwrap(),
            differences(&[
                ("Z", Added),
                ("changed", Changed),
                ("dead-here", Removed),
                ("dead-there", Added),
                ("new", Added),
                ("only-there", Removed),
                ("without-one", Changed),
            ])
        );
        let added = tx.difference(from, "/none").await.unwrap();
        assert!(added.len() == 7 && added.iter().all(|one| one.difference == Added));
        let removed = tx.difference("/none", to).await.unwrap();
        assert!(removed.len() == 6 && removed.iter().all(|one| one.difference == Removed));
        assert_eq!(tx.difference("/none", "/nowhere").await.unwrap(), []);
        assert_eq!(tx.difference(from, from).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn a_scan_meets_every_living_object_once() {
    on_each_engine(async |t| {
        let lists = ["/buckets", "/accounts", RECORDS];
        let objects = lists.iter().flat_map(|list| (0..10).map(|n| object(list, &format!("o{n}"), n)));
        let mut expected: Vec<_> = objects.collect();
        write(&t.store, put(expected.iter().cloned().chain([tombstone(RECORDS, "dead", 100)]))).await;

        let mut tx = read(&t.store).await;
        let mut all: Vec<ObjectRow> = Vec::new();
        loop {
            let after = all.last().map(|object| (object.list.clone(), object.id.clone()));
            let after = after.as_ref().map(|(list, id)| (list.as_str(), id.as_str()));
            let Page { objects, more } = tx.scan(after, 7).await.unwrap();
            all.extend(objects);
            if !more {
                break;
            }
        }
        let by_key = |a: &ObjectRow, b: &ObjectRow| (&a.list, &a.id).cmp(&(&b.list, &b.id));
        all.sort_by(by_key);
        expected.sort_by(by_key);
        assert_eq!(all, expected);
        assert!(matches!(tx.scan(Some(("/none", "")), 7).await, Err(StoreError::NotFound { .. })));
    })
    .await;
}

#[tokio::test]
async fn more_than_fits_in_a_statement_is_written_in_several() {
    on_each_engine(async |t| {
        let objects = (0..12_000).map(|n| ObjectRow {
            data: format!("\"{}\"", "\\\"".repeat(300)),
            ..object(RECORDS, &format!("{n:05}"), n)
        });
        let objects: Vec<_> = objects.collect();
        write(&t.store, put(objects.iter().cloned())).await;
        let keys: Vec<_> = objects.iter().map(|object| key(RECORDS, &object.id)).collect();
        let mut tx = t.store.collections_write().await.unwrap();
        assert_eq!(tx.count(RECORDS, None, None).await.unwrap(), 12_000);
        let mut found = tx.objects(&keys).await.unwrap();
        found.sort_by_key(|object| object.last_modified);
        assert_eq!(found, objects);
        tx.write(&Writes { erased: keys[1..].to_vec(), ..Writes::default() }).await.unwrap();
        assert_eq!(tx.count(RECORDS, None, None).await.unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_snapshot_of_collections_is_read_by_either_engine_unchanged() {
    for source in [sqlite().await, postgres().await] {
        // Numbers of lists that a new database would not give.
        let refused = [object("/accounts", "x", 1), object("/accounts", "y", 1)];
        try_write(&source.store, put(refused)).await.unwrap_err();
        let members = vec![("/buckets/b/groups/g".to_owned(), vec!["account:ana".to_owned()])];
        let objects = [object(RECORDS, "a", 1), tombstone(RECORDS, "b", 2), object("/buckets", "b", 3)];
        write(&source.store, Writes { members, ..put(objects.clone()) }).await;
        write(&source.store, Writes { timestamps: vec![key_at(9)], ..Writes::default() }).await;
        for target in [sqlite().await, postgres().await] {
            let mut export = source.store.export().await.unwrap();
            let mut import = target.store.import().await.unwrap();
            while let Some(line) = export.next_line().await.unwrap() {
                import.push_line(&line).await.unwrap();
            }
            import.finish().await.unwrap();
            assert_eq!(timestamp(&target.store, RECORDS).await, Some(9));
            let mut tx = read(&target.store).await;
            let mut found = tx.scan(None, 100).await.unwrap().objects;
            found.sort_by_key(|object| object.last_modified);
            assert_eq!(found, [objects[0].clone(), objects[2].clone()]);
            assert_eq!(tx.objects(&[key(RECORDS, "b")]).await.unwrap(), [objects[1].clone()]);
            assert_eq!(tx.groups_of(&["account:ana".into()]).await.unwrap(), ["/buckets/b/groups/g"]);
            drop(tx);
            // And it goes on as any other.
            write(&target.store, put([object("/accounts", "new", 1), object(RECORDS, "c", 10)])).await;
            assert_eq!(timestamp(&target.store, RECORDS).await, Some(10));
        }
    }
}

#[tokio::test]
async fn those_who_are_named_in_permissions_are_found_by_the_database() {
    on_each_engine(async |t| {
        let named = |list: &str, n: i64, who: &str| ObjectRow {
            permissions: Some(format!("{{\"write\":[\"{who}\"]}}")),
            ..object(list, &format!("o{n}"), n)
        };
        let names = ["ana", "bo", "ana", "anabel", "an\u{e9}", "bo"];
        let rows = |list: &'static str| (0..).zip(names).map(move |(n, who)| named(list, n, who));
        let entry =
            ObjectRow { data: "{\"read\":[\"bo\",\"an\\u00e9\"]}".into(), ..object("/history", "h", 1) };
        write(
            &t.store,
            put(rows("/buckets").chain(rows(RECORDS)).chain([entry, tombstone(RECORDS, "dead", 9)])),
        )
        .await;
        let mut tx = read(&t.store).await;
        for (who, wanted) in [
            (&["ana"][..], &["o2", "o0"][..]),
            (&["an\u{e9}", "bo"], &["o5", "o4", "o1"]),
            (&["an"], &[]),
            (&["a\0b"], &[]),
            (&[], &[]),
        ] {
            let who: Vec<String> = who.iter().map(|who| (*who).to_owned()).collect();
            let page = tx.page_naming(RECORDS, &PageQuery::default(), &who).await.unwrap();
            let ids: Vec<_> = page.objects.iter().map(|object| object.id.as_str()).collect();
            assert_eq!(ids, wanted, "{who:?}");
            let mut all = tx.scan_naming(None, 1, &who).await.unwrap();
            let (mut found, mut more) = (all.objects.clone(), all.more);
            while more {
                let last = found.last().unwrap().clone();
                all = tx.scan_naming(Some((&last.list, &last.id)), 1, &who).await.unwrap();
                more = all.more;
                found.extend(all.objects);
            }
            assert_eq!(found.len(), 2 * wanted.len(), "{who:?}");
            assert!(found.iter().all(|object| object.data.is_empty() && object.permissions.is_some()));
        }
        let bo = ["bo".to_owned()];
        let one = PageQuery { limit: 1, ..PageQuery::default() };
        let page = tx.page_naming(RECORDS, &one, &bo).await.unwrap();
        assert_eq!((page.objects.len(), page.more), (1, true));
        for who in ["bo", "an\u{e9}"] {
            let page = tx.page_naming("/history", &one, &[who.to_owned()]).await.unwrap();
            assert_eq!(page.objects.len(), 1, "{who}");
        }
        assert_eq!(tx.latest_until(RECORDS, 3).await.unwrap(), Some(3));
        assert_eq!(tx.latest_until(RECORDS, 100).await.unwrap(), Some(9));
        assert_eq!(tx.latest_until(RECORDS, -1).await.unwrap(), None);
        assert_eq!(tx.latest_until("/none", 3).await.unwrap(), None);
    })
    .await;
}
