//! Lists that held the same: only what was written since is compared, and all of it.

use std::collections::BTreeMap;

use countersign_store::{CollectionsTx, Difference, ObjectDifference, ObjectRow, PageQuery, Store, Writes};

use crate::collections::{object, put, read, tombstone, write};
use crate::support::on_each_engine;

const SOURCE: &str = "/buckets/s/collections/c/records";
const DESTINATION: &str = "/buckets/d/collections/c/records";

fn with(content: u8, object: ObjectRow) -> ObjectRow {
    ObjectRow { content: Some([content; 32]), ..object }
}

async fn set_equal(store: &Store) {
    let mut tx = store.collections_write().await.unwrap();
    tx.set_equal(SOURCE, DESTINATION).await.unwrap();
    tx.commit().await.unwrap();
}

async fn difference(store: &Store) -> Vec<(String, Difference)> {
    let differences = read(store).await.difference(SOURCE, DESTINATION).await.unwrap();
    differences.into_iter().map(|ObjectDifference { id, difference }| (id, difference)).collect()
}

/// Two lists that are said to hold the same and do not: whatever is looked at again is found.
async fn begin_with_a_lie(store: &Store) {
    write(store, put([with(1, object(SOURCE, "a", 10)), with(1, object(SOURCE, "b", 20))])).await;
    write(store, put([with(2, object(DESTINATION, "a", 10)), with(2, object(DESTINATION, "c", 20))])).await;
    set_equal(store).await;
}

#[tokio::test]
async fn what_was_not_written_since_is_not_looked_at() {
    on_each_engine(async |t| {
        begin_with_a_lie(&t.store).await;
        assert_eq!(difference(&t.store).await, []);
        let back = read(&t.store).await.difference(DESTINATION, SOURCE).await.unwrap();
        assert_eq!(back, []);

        write(&t.store, put([with(3, object(SOURCE, "new", 30)), tombstone(SOURCE, "gone", 31)])).await;
        assert_eq!(difference(&t.store).await, [("new".into(), Difference::Added)]);
        // Another list says nothing about these two.
        write(&t.store, put([object("/buckets/e", "x", 1)])).await;
        assert_eq!(difference(&t.store).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn what_was_written_in_either_list_is_compared_with_the_other_one() {
    use Difference::{Added, Changed, Removed};
    on_each_engine(async |t| {
        let same = ["changed", "deleted", "both", "touched"];
        for list in [SOURCE, DESTINATION] {
            write(&t.store, put(same.iter().zip(1..).map(|(id, n)| with(1, object(list, id, n))))).await;
        }
        set_equal(&t.store).await;
        let source = [
            with(2, object(SOURCE, "changed", 11)),
            tombstone(SOURCE, "deleted", 12),
            with(2, object(SOURCE, "both", 13)),
            with(1, object(SOURCE, "touched", 14)),
            ObjectRow { content: None, ..object(SOURCE, "without", 15) },
        ];
        let destination = [
            with(2, object(DESTINATION, "both", 11)),
            with(1, object(DESTINATION, "smuggled", 12)),
            tombstone(DESTINATION, "nothing", 13),
        ];
        write(&t.store, put(source.into_iter().chain(destination))).await;
        let found = difference(&t.store).await;
        let expected =
            [("changed", Changed), ("deleted", Removed), ("smuggled", Removed), ("without", Added)];
        assert_eq!(found, expected.map(|(id, difference)| (id.to_owned(), difference)));
    })
    .await;
}

#[tokio::test]
async fn both_lists_are_compared_whole_after_what_leaves_no_newer_timestamp() {
    on_each_engine(async |t| {
        let store = &t.store;
        let erased =
            |list: &str, id: &str| Writes { erased: vec![(list.into(), id.into())], ..Writes::default() };
        let older = [
            ("an older timestamp", put([with(9, object(SOURCE, "old", 3))])),
            ("the same timestamp", put([with(9, object(SOURCE, "b", 20))])),
            ("an older one beside a newer one", {
                put([with(9, object(SOURCE, "a", 100)), with(9, object(SOURCE, "b", 2))])
            }),
            ("an object replaced in one write", {
                put([with(9, object(DESTINATION, "a", 4)), with(9, object(DESTINATION, "a", 200))])
            }),
            ("erased", erased(DESTINATION, "a")),
            ("erased at the source", erased(SOURCE, "a")),
        ];
        for (what, writes) in older {
            begin_with_a_lie(store).await;
            assert_eq!(difference(store).await, [], "before: {what}");
            write(store, writes).await;
            assert_ne!(difference(store).await, [], "{what}");
            clear(store).await;
        }
        begin_with_a_lie(store).await;
        let mut tx = store.collections_write().await.unwrap();
        tx.remove_under("/buckets/d").await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(difference(store).await, ["a", "b"].map(|id| (id.to_owned(), Difference::Added)));
    })
    .await;
}

/// Nothing is in the lists, and nothing is known of them.
async fn clear(store: &Store) {
    let mut tx = store.collections_write().await.unwrap();
    tx.remove_under("/buckets/s").await.unwrap();
    tx.remove_under("/buckets/d").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(difference(store).await, []);
}

#[tokio::test]
async fn what_was_rolled_back_is_not_known() {
    on_each_engine(async |t| {
        write(&t.store, put([object(SOURCE, "a", 1)])).await;
        write(&t.store, put([object(DESTINATION, "b", 1)])).await;
        let mut tx = t.store.collections_write().await.unwrap();
        tx.write(&put([object(DESTINATION, "a", 2), tombstone(DESTINATION, "b", 3)])).await.unwrap();
        tx.set_equal(SOURCE, DESTINATION).await.unwrap();
        assert_eq!(tx.difference(SOURCE, DESTINATION).await.unwrap(), []);
        drop(tx);
        assert_eq!(difference(&t.store).await.len(), 2);
        // The same timestamps once more, for something else.
        write(&t.store, put([object(DESTINATION, "c", 2), tombstone(DESTINATION, "b", 3)])).await;
        assert_eq!(difference(&t.store).await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn many_that_were_written_are_found_by_comparing_all() {
    on_each_engine(async |t| {
        begin_with_a_lie(&t.store).await;
        let many = (0..2001).map(|n| object(SOURCE, &format!("n{n:04}"), 1000 + n));
        write(&t.store, put(many)).await;
        assert_eq!(difference(&t.store).await.len(), 2001 + 3);
    })
    .await;
}

#[tokio::test]
async fn lists_that_there_are_not_or_that_are_the_same_are_not_written_down() {
    on_each_engine(async |t| {
        write(&t.store, put([object(SOURCE, "a", 1)])).await;
        let mut tx = t.store.collections_write().await.unwrap();
        for (source, destination) in [(SOURCE, "/none"), ("/none", SOURCE), ("", ""), (SOURCE, SOURCE)] {
            tx.set_equal(source, destination).await.unwrap();
        }
        tx.commit().await.unwrap();
        assert_eq!(difference(&t.store).await, [("a".into(), Difference::Added)]);
    })
    .await;
}

/// Numbers that look random.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

async fn contents(tx: &mut CollectionsTx, list: &str) -> BTreeMap<String, Option<[u8; 32]>> {
    let page = tx.page(list, &PageQuery::default()).await.unwrap();
    page.objects.into_iter().map(|row| (row.id, row.content)).collect()
}

/// What two lists differ in, from all that is in them.
async fn compared(tx: &mut CollectionsTx) -> Vec<ObjectDifference> {
    let (source, destination) = (contents(tx, SOURCE).await, contents(tx, DESTINATION).await);
    let mut ids: Vec<_> = source.keys().chain(destination.keys()).cloned().collect();
    ids.sort();
    ids.dedup();
    let difference = |id: String| {
        let difference = match (source.get(&id), destination.get(&id)) {
            (Some(_), None) => Difference::Added,
            (None, Some(_)) => Difference::Removed,
            (there, here) if there != here => Difference::Changed,
            _ => return None,
        };
        Some(ObjectDifference { id, difference })
    };
    ids.into_iter().filter_map(difference).collect()
}

#[tokio::test]
async fn whatever_is_written_the_differences_are_those_of_all_that_is_there() {
    on_each_engine(async |t| {
        let mut dice = Dice(20_26);
        let mut clock = 1000;
        for round in 0..300 {
            let mut tx = t.store.collections_write().await.unwrap();
            for _ in 0..=dice.roll(3) {
                step(&mut tx, &mut dice, &mut clock).await;
            }
            let expected = compared(&mut tx).await;
            assert_eq!(tx.difference(SOURCE, DESTINATION).await.unwrap(), expected, "round {round}");
            if dice.roll(3) == 0 {
                copy(&mut tx, &expected, &mut clock).await;
                tx.set_equal(SOURCE, DESTINATION).await.unwrap();
                assert_eq!(tx.difference(DESTINATION, SOURCE).await.unwrap(), []);
            }
            match dice.roll(4) {
                0 => drop(tx),
                _ => tx.commit().await.unwrap(),
            }
        }
    })
    .await;
}

/// Writes or deletes something in one of the lists.
async fn step(tx: &mut CollectionsTx, dice: &mut Dice, clock: &mut i64) {
    let list = if dice.roll(3) == 0 { DESTINATION } else { SOURCE };
    let id = format!("{}", dice.roll(12));
    *clock += 1;
    let wanted = if dice.roll(4) == 0 { dice.roll(2000) as i64 } else { *clock };
    let last_modified = tx.free_timestamp(list, wanted).await.unwrap();
    let row = match dice.roll(8) {
        0 => {
            let erased = vec![(list.to_owned(), id)];
            return tx.write(&Writes { erased, ..Writes::default() }).await.unwrap();
        }
        1 if dice.roll(4) == 0 => return tx.remove_under("/buckets/s").await.unwrap(),
        2 | 3 => tombstone(list, &id, last_modified),
        _ => with(dice.roll(3) as u8, object(list, &id, last_modified)),
    };
    tx.write(&put([row])).await.unwrap();
}

/// Makes the destination what the source is.
async fn copy(tx: &mut CollectionsTx, differences: &[ObjectDifference], clock: &mut i64) {
    let source = contents(tx, SOURCE).await;
    for ObjectDifference { id, .. } in differences {
        *clock += 1;
        let last_modified = tx.free_timestamp(DESTINATION, *clock).await.unwrap();
        let row = match source.get(id) {
            Some(content) => ObjectRow { content: *content, ..object(DESTINATION, id, last_modified) },
            None => tombstone(DESTINATION, id, last_modified),
        };
        tx.write(&put([row])).await.unwrap();
    }
}
