use std::time::Duration;

use countersign_store::{
    CollectionsTx, NewTask, ObjectRow, Page, PageOrder, PageQuery, Store, StoreError, Writes,
};

use crate::support::{on_each_engine, time};

pub const RECORDS: &str = "/buckets/b/collections/c/records";

pub fn object(list: &str, id: &str, last_modified: i64) -> ObjectRow {
    ObjectRow {
        list: list.into(),
        id: id.into(),
        last_modified,
        deleted: false,
        data: format!("{{\"id\":\"{id}\",\"last_modified\":{last_modified}}}"),
        permissions: None,
        content: Some([7; 32]),
    }
}

pub fn tombstone(list: &str, id: &str, last_modified: i64) -> ObjectRow {
    ObjectRow {
        deleted: true,
        data: format!("{{\"deleted\":true,\"id\":\"{id}\",\"last_modified\":{last_modified}}}"),
        content: None,
        ..object(list, id, last_modified)
    }
}

pub fn put(objects: impl IntoIterator<Item = ObjectRow>) -> Writes {
    Writes { objects: objects.into_iter().collect(), ..Writes::default() }
}

pub async fn write(store: &Store, writes: Writes) {
    try_write(store, writes).await.unwrap();
}

pub async fn try_write(store: &Store, writes: Writes) -> Result<(), StoreError> {
    let mut tx = store.collections_write().await?;
    tx.write(&writes).await?;
    tx.commit().await
}

pub async fn read(store: &Store) -> CollectionsTx {
    store.collections_read().await.unwrap()
}

/// Ids of a page, with the timestamps of the objects.
async fn page(tx: &mut CollectionsTx, query: PageQuery) -> (Vec<(String, i64)>, bool) {
    let Page { objects, more } = tx.page(RECORDS, &query).await.unwrap();
    (objects.into_iter().map(|object| (object.id, object.last_modified)).collect(), more)
}

pub async fn timestamp(store: &Store, list: &str) -> Option<i64> {
    let found = read(store).await.timestamps(&[list.into()]).await.unwrap();
    found.first().map(|(_, last_modified)| *last_modified)
}

pub fn key(list: &str, id: &str) -> (String, String) {
    (list.into(), id.into())
}

#[tokio::test]
async fn an_object_is_read_back_as_it_was_written_tombstones_too() {
    on_each_engine(async |t| {
        let group = ObjectRow {
            data: r#"{"id":"g","last_modified":1,"t":"\u0000\u00e9\"\\ ,[]"}"#.into(),
            permissions: Some(r#"{"write":["account:ana","a\u0000"]}"#.into()),
            content: None,
            ..object("/buckets/b/groups", "g", 1)
        };
        let all = [object(RECORDS, "a", 1), tombstone(RECORDS, "b", 2), group];
        write(&t.store, put(all.clone())).await;

        let keys = [key(RECORDS, "a"), key(RECORDS, "b"), key("/buckets/b/groups", "g")];
        let missing = [key(RECORDS, "g"), key("/none", "a"), key(RECORDS, "a\0"), key("", "")];
        let mut found = read(&t.store).await.objects(&[&keys[..], &missing].concat()).await.unwrap();
        found.sort_by(|a, b| a.id.cmp(&b.id));
        assert_eq!(found, all);
        assert_eq!(read(&t.store).await.objects(&[]).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn what_a_transaction_wrote_it_sees_and_nobody_else_before_it_is_committed() {
    on_each_engine(async |t| {
        let mut tx = t.store.collections_write().await.unwrap();
        // Looked up before it is there.
        assert_eq!(tx.page(RECORDS, &PageQuery::default()).await.unwrap(), Page::default());
        tx.write(&put([object(RECORDS, "a", 5)])).await.unwrap();
        assert_eq!(tx.page(RECORDS, &PageQuery::default()).await.unwrap().objects, [object(RECORDS, "a", 5)]);
        assert_eq!(timestamp(&t.store, RECORDS).await, None);
        drop(tx);
        assert_eq!(timestamp(&t.store, RECORDS).await, None);
    })
    .await;
}

#[tokio::test]
async fn of_two_changes_to_one_object_in_a_write_the_last_one_counts() {
    on_each_engine(async |t| {
        write(&t.store, put([object(RECORDS, "a", 1)])).await;
        write(&t.store, put([object(RECORDS, "a", 2), tombstone(RECORDS, "a", 3)])).await;
        let found = read(&t.store).await.objects(&[key(RECORDS, "a")]).await.unwrap();
        assert_eq!(found, [tombstone(RECORDS, "a", 3)]);
    })
    .await;
}

#[tokio::test]
async fn the_timestamp_of_a_list_is_the_highest_there_ever_was() {
    on_each_engine(async |t| {
        let timestamps = |list: &str, at| Writes { timestamps: vec![(list.into(), at)], ..Writes::default() };
        for (writes, expected) in [
            (timestamps(RECORDS, 3), 3),
            (put([object(RECORDS, "a", 9), object(RECORDS, "b", 4)]), 9),
            (put([object(RECORDS, "c", 2)]), 9),
            (timestamps(RECORDS, 8), 9),
            (Writes { erased: vec![key(RECORDS, "a")], ..Writes::default() }, 9),
            (Writes { timestamps: vec![key_at(11), key_at(10)], ..put([object(RECORDS, "d", 10)]) }, 11),
        ] {
            write(&t.store, writes).await;
            assert_eq!(timestamp(&t.store, RECORDS).await, Some(expected));
        }
        assert_eq!(timestamp(&t.store, "/buckets").await, None);
        assert_eq!(read(&t.store).await.timestamps(&[]).await.unwrap(), []);
    })
    .await;
}

pub fn key_at(last_modified: i64) -> (String, i64) {
    (RECORDS.into(), last_modified)
}

#[tokio::test]
async fn no_two_objects_of_a_list_have_one_timestamp() {
    on_each_engine(async |t| {
        let other = "/buckets/b/collections/other/records";
        write(&t.store, put([object(RECORDS, "a", 5), object(RECORDS, "b", 6), object(other, "a", 5)])).await;
        let refused = try_write(&t.store, put([object(RECORDS, "c", 7), tombstone(RECORDS, "d", 6)])).await;
        assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
        assert_eq!(read(&t.store).await.count(RECORDS, None, None).await.unwrap(), 2);

        let many = (100..500).map(|n| object(RECORDS, &format!("n{n}"), n));
        write(&t.store, put(many)).await;
        let mut tx = read(&t.store).await;
        for (wanted, free) in [(4, 4), (5, 7), (6, 7), (7, 7), (100, 500), (321, 500), (501, 501)] {
            assert_eq!(tx.free_timestamp(RECORDS, wanted).await.unwrap(), free, "{wanted}");
        }
        assert_eq!(tx.free_timestamp("/none", 5).await.unwrap(), 5);
        // One that becomes free with the write can be given in it, if its object goes.
        let again = Writes { erased: vec![key(RECORDS, "a")], ..put([object(RECORDS, "c", 5)]) };
        write(&t.store, again).await;
    })
    .await;
}

#[tokio::test]
async fn a_page_has_what_was_asked_for_in_the_order_asked_for() {
    on_each_engine(async |t| {
        let all = [
            object(RECORDS, "d", 1),
            tombstone(RECORDS, "c", 2),
            object(RECORDS, "b", 3),
            object(RECORDS, "a", 4),
        ];
        write(&t.store, put(all)).await;
        write(&t.store, put([object("/buckets/b/collections/d/records", "x", 3)])).await;
        let mut tx = read(&t.store).await;
        let any = PageQuery::default();
        let oldest = PageQuery { order: PageOrder::OldestFirst, ..any.clone() };
        let by_id =
            |after: Option<&str>| PageQuery { order: PageOrder::ById(after.map(Into::into)), ..any.clone() };
        let dead = |query: PageQuery| PageQuery { with_tombstones: true, ..query };
        let first = |limit, query: PageQuery| PageQuery { limit, ..query };
        for (query, ids, more) in [
            (any.clone(), "abd", false),
            (dead(any.clone()), "abcd", false),
            (oldest.clone(), "dba", false),
            (by_id(None), "abd", false),
            (dead(by_id(Some("b"))), "cd", false),
            (first(2, any.clone()), "ab", true),
            (first(3, any.clone()), "abd", false),
            (first(0, any.clone()), "", true),
            (PageQuery { before: Some(3), ..any.clone() }, "d", false),
            (dead(PageQuery { since: Some(1), ..any.clone() }), "abc", false),
            (PageQuery { since: Some(1), before: Some(4), ..oldest.clone() }, "b", false),
            (PageQuery { since: Some(3), ..by_id(None) }, "a", false),
            (PageQuery { since: Some(4), ..any.clone() }, "", false),
        ] {
            let (found, is_more) = page(&mut tx, query.clone()).await;
            let found: String = found.into_iter().map(|(id, _)| id).collect();
            assert_eq!((found.as_str(), is_more), (ids, more), "{query:?}");
        }
        for (since, before, count) in [(None, None, 3), (Some(1), None, 2), (Some(1), Some(4), 1)] {
            assert_eq!(tx.count(RECORDS, since, before).await.unwrap(), count);
        }
        assert_eq!(tx.count("/none", None, None).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn pages_joined_are_the_whole_list_in_every_order() {
    on_each_engine(async |t| {
        write(&t.store, put((0..50).map(|n| object(RECORDS, &format!("{:02}", n * 7 % 50), n)))).await;
        let mut tx = read(&t.store).await;
        for order in [PageOrder::NewestFirst, PageOrder::OldestFirst, PageOrder::ById(None)] {
            let mut query = PageQuery { order, limit: 7, ..PageQuery::default() };
            let mut all = Vec::new();
            loop {
                let (some, more) = page(&mut tx, query.clone()).await;
                assert!(some.len() == 7 || !more);
                let (id, last_modified) = some.last().unwrap().clone();
                match query.order {
                    PageOrder::NewestFirst => query.before = Some(last_modified),
                    PageOrder::OldestFirst => query.since = Some(last_modified),
                    PageOrder::ById(_) => query.order = PageOrder::ById(Some(id)),
                }
                all.extend(some);
                if !more {
                    break;
                }
            }
            let whole = PageQuery {
                order: match query.order {
                    PageOrder::ById(_) => PageOrder::ById(None),
                    order => order,
                },
                ..PageQuery::default()
            };
            assert_eq!(all, page(&mut tx, whole).await.0);
            assert_eq!(all.len(), 50);
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_under_an_object_is_removed_and_its_neighbours_are_not() {
    on_each_engine(async |t| {
        let below = ["/buckets/a/collections", "/buckets/a/collections/c/records", "/buckets/a/groups"];
        let beside = ["/buckets", "/buckets/a-b/groups", "/buckets/a_/groups", "/buckets/ab/groups"];
        let objects = below.iter().chain(&beside).map(|list| object(list, "g", 5));
        let groups = ["/buckets/a/groups/g", "/buckets/ab/groups/g"];
        let members = groups.map(|group| (group.to_owned(), vec!["account:ana".to_owned()]));
        write(&t.store, Writes { members: members.into(), ..put(objects) }).await;

        let mut tx = read(&t.store).await;
        assert_eq!(tx.lists_under("/buckets/a").await.unwrap(), below);
        assert_eq!(tx.lists_under("/buckets/a/collections/c").await.unwrap(), [below[1]]);
        assert_eq!(tx.lists_under("").await.unwrap().len(), 7);
        assert_eq!(tx.latest_under("/buckets/a/collections").await.unwrap(), Some(5));
        assert_eq!(tx.latest_under("/buckets/a/groups").await.unwrap(), None);
        drop(tx);

        let mut tx = t.store.collections_write().await.unwrap();
        tx.remove_under("/buckets/a").await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = read(&t.store).await;
        for list in below {
            assert_eq!(tx.count(list, None, None).await.unwrap(), 0, "{list}");
        }
        for list in beside {
            assert_eq!(tx.count(list, None, None).await.unwrap(), 1, "{list}");
        }
        assert_eq!(tx.groups_of(&["account:ana".into()]).await.unwrap(), [groups[1]]);
        let timestamps = tx.timestamps(&below.map(Into::into)).await.unwrap();
        assert!(timestamps.len() == 3 && timestamps.iter().all(|(_, at)| *at == 5));
    })
    .await;
}

#[tokio::test]
async fn the_groups_of_a_request_are_those_of_any_of_its_principals() {
    on_each_engine(async |t| {
        let members = |groups: &[(&str, &[&str])]| Writes {
            members: groups
                .iter()
                .map(|(uri, members)| (uri.to_string(), members.iter().map(|m| m.to_string()).collect()))
                .collect(),
            ..Writes::default()
        };
        let groups = async |principals: &[&str]| {
            let principals: Vec<_> = principals.iter().map(|p| p.to_string()).collect();
            read(&t.store).await.groups_of(&principals).await.unwrap()
        };
        write(&t.store, members(&[("/g/1", &["ana", "bo", "ana"]), ("/g/2", &["ana"]), ("/g/3", &["cy"])]))
            .await;
        assert_eq!(groups(&["ana", "nobody"]).await, ["/g/1", "/g/2"]);
        assert_eq!(groups(&["bo", "cy"]).await, ["/g/1", "/g/3"]);
        assert_eq!(groups(&["ana", "bo"]).await, ["/g/1", "/g/2"]);
        // A principal never has a NUL; what a client writes may.
        write(&t.store, members(&[("/g/1", &["bo\0", "dy"]), ("/g/2", &[])])).await;
        assert!(groups(&["ana", "bo", "bo\0"]).await.is_empty());
        assert_eq!(groups(&["dy"]).await, ["/g/1"]);
        assert!(groups(&[]).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn whoever_keeps_a_list_in_memory_learns_at_once_whether_it_changed() {
    on_each_engine(async |t| {
        let collections = "/buckets/b/collections";
        write(&t.store, put([object(collections, "c", 3), tombstone(collections, "d", 4)])).await;
        write(&t.store, put([object(RECORDS, "a", 9), tombstone(RECORDS, "b", 10)])).await;
        let lists = [RECORDS.into(), "/none".into()];
        let objects = [key(collections, "c"), key(collections, "d"), key("/none", "c")];
        let states = t.store.collections_states(&lists, &objects).await.unwrap();
        assert_eq!(states.lists, [(RECORDS.into(), 10)]);
        assert_eq!(states.objects, [(collections.into(), "c".into(), 3)]);
        let none = t.store.collections_states(&[], &[]).await.unwrap();
        assert!(none.lists.is_empty() && none.objects.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_sees_one_state_whatever_is_written_meanwhile() {
    on_each_engine(async |t| {
        write(&t.store, put([object(RECORDS, "a", 1)])).await;
        let mut tx = read(&t.store).await;
        assert_eq!(tx.timestamps(&[RECORDS.into()]).await.unwrap(), [key_at(1)]);
        write(&t.store, put([object(RECORDS, "b", 2), tombstone(RECORDS, "a", 3)])).await;
        assert_eq!(tx.timestamps(&[RECORDS.into()]).await.unwrap(), [key_at(1)]);
        assert_eq!(page(&mut tx, PageQuery::default()).await.0, [("a".into(), 1)]);
        drop(tx);
        assert_eq!(page(&mut read(&t.store).await, PageQuery::default()).await.0, [("b".into(), 2)]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_take_turns_and_none_is_refused() {
    on_each_engine(async |t| {
        let nodes =
            [t.store.clone(), Store::open(&countersign_store::StoreConfig::new(&t.url)).await.unwrap()];
        let writers: Vec<_> = (0..12)
            .map(|n| {
                let store = nodes[n % 2].clone();
                tokio::spawn(async move {
                    for _ in 0..5 {
                        let mut tx = store.collections_write().await.unwrap();
                        let last = tx.timestamps(&[RECORDS.into()]).await.unwrap();
                        let next = last.first().map_or(0, |(_, last)| *last) + 1;
                        tx.write(&put([object(RECORDS, &format!("o{next}"), next)])).await.unwrap();
                        tx.commit().await.unwrap();
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        assert_eq!(timestamp(&t.store, RECORDS).await, Some(60));
        assert_eq!(read(&t.store).await.count(RECORDS, None, None).await.unwrap(), 60);
    })
    .await;
}

#[tokio::test]
async fn a_text_with_a_nul_is_refused() {
    on_each_engine(async |t| {
        for bad in [
            object(RECORDS, "a\0", 1),
            object("/a\0", "a", 1),
            ObjectRow { data: "\0".into(), ..object(RECORDS, "a", 1) },
            ObjectRow { permissions: Some("\0".into()), ..object(RECORDS, "a", 1) },
        ] {
            let refused = try_write(&t.store, put([bad])).await;
            assert!(matches!(refused, Err(StoreError::Unstorable { .. })), "{refused:?}");
        }
        assert_eq!(read(&t.store).await.lists_under("").await.unwrap(), [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn a_task_is_there_with_what_it_is_about_or_not_at_all() {
    on_each_engine(async |t| {
        let task = NewTask {
            queue: "webhook".into(),
            key: None,
            payload: "{}".into(),
            run_at: time(0),
            max_attempts: 3,
        };
        let claim = async || t.store.claim("webhook", time(1), Duration::from_secs(60), "a").await.unwrap();
        let mut tx = t.store.collections_write().await.unwrap();
        tx.enqueue(&task, time(0)).await.unwrap().unwrap();
        drop(tx);
        assert!(claim().await.is_none());
        let mut tx = t.store.collections_write().await.unwrap();
        tx.write(&put([object(RECORDS, "a", 1)])).await.unwrap();
        tx.enqueue(&task, time(0)).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        assert!(claim().await.is_some());
    })
    .await;
}
