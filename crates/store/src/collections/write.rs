//! Writing: what a group of requests changed, in a few statements.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::CollectionsTx;
use super::list::{ListRow, range_under};
use super::object::ObjectRow;
use super::sql::{Sql, items, over_items, pairs};
use super::{columns, values};
use crate::engine::{Kind, Value};
use crate::error::StoreError;
use crate::sql::Items;

/// Changes that are written together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writes {
    /// Objects and tombstones as they are from now on. Of two with one key the last one counts. Their lists are
    /// made where there are none, and get their timestamps where these are higher.
    pub objects: Vec<ObjectRow>,
    /// Lists and timestamps that they have at least, whatever is in them.
    pub timestamps: Vec<(String, i64)>,
    /// List and id of objects that go and leave nothing; this comes before `objects`.
    pub erased: Vec<(String, String)>,
    /// URIs of groups and all their members from now on: none for a group that goes.
    pub members: Vec<(String, Vec<String>)>,
}

// The lowest timestamp that is written comes as `disorder`: see there, in the migration.
const PUT_LISTS: Sql = over_items!(
    "insert into collection_list (uri, last_modified, largest, disorder)
     select item.value ->> 0, cast(item.value ->> 1 as bigint), cast(item.value ->> 2 as bigint),
         cast(item.value ->> 3 as bigint) from",
    "where true
     on conflict (uri) do update set
         last_modified = case when excluded.last_modified > collection_list.last_modified
             then excluded.last_modified else collection_list.last_modified end,
         largest = case when excluded.largest > collection_list.largest
             then excluded.largest else collection_list.largest end,
         disorder = collection_list.disorder +
             case when excluded.disorder <= collection_list.last_modified then 1 else 0 end
     returning list, uri, largest"
);

const ERASE: Sql = over_items!(
    "delete from collection_object where (list, id) in
         (select l.list, item.value ->> 1 from",
    "cross join collection_list l where l.uri = item.value ->> 0)"
);

const DISTURB: Sql = over_items!(
    "update collection_list set disorder = disorder + 1 where uri in (select item.value ->> 0 from",
    ")"
);

const DROP_MEMBERS: Sql =
    over_items!("delete from collection_member where group_uri in (select item.value ->> 0 from", ")");

const PUT_MEMBERS: Sql = over_items!(
    "insert into collection_member (group_uri, principal) select item.value ->> 0, item.value ->> 1 from",
    "where true on conflict do nothing"
);

impl CollectionsTx {
    /// Writes changes.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if an object would have the timestamp of another one in its list,
    /// [`StoreError::Unstorable`] for a text with a NUL character, and those of any write. After an error the
    /// transaction is of no more use.
    pub async fn write(&mut self, writes: &Writes) -> Result<(), StoreError> {
        self.erase(&writes.erased).await?;
        let lists = self.put_lists(writes).await?;
        self.put_objects(&lists, &writes.objects).await?;
        self.put_members(&writes.members).await
    }

    /// Erases all objects in the lists below an object, and their members where they are groups. The lists'
    /// timestamps stay, so that what is made there again is newer than what was there.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn remove_under(&mut self, uri: &str) -> Result<(), StoreError> {
        let (from, to) = range_under(uri);
        let range = [(&from).into(), (&to).into()];
        let sql = "update collection_list set disorder = disorder + 1 where uri >= $1 and uri < $2";
        self.tx.execute(sql, &range).await?;
        let sql = "delete from collection_object where list in
                       (select list from collection_list where uri >= $1 and uri < $2)";
        self.tx.execute(sql, &range).await?;
        let sql = "delete from collection_member where group_uri >= $1 and group_uri < $2";
        self.tx.execute(sql, &range).await?;
        Ok(())
    }

    async fn erase(&mut self, keys: &[(String, String)]) -> Result<(), StoreError> {
        for some in keys.chunks(ITEMS_AT_ONCE) {
            let values = [pairs(some.iter().map(|(list, id)| (list.as_str(), id.as_str())))];
            self.tx.execute(ERASE.of(self.kind), &values).await?;
            let lists: BTreeSet<&str> = some.iter().map(|(list, _)| list.as_str()).collect();
            self.tx.execute(DISTURB.of(self.kind), &[items(lists)]).await?;
        }
        Ok(())
    }

    /// Makes the lists that are written to, or brings them up to date, and gives their numbers.
    async fn put_lists(&mut self, writes: &Writes) -> Result<BTreeMap<String, i64>, StoreError> {
        let mut changed: BTreeMap<&str, ListChange> = BTreeMap::new();
        for (list, last_modified) in &writes.timestamps {
            let change = changed.entry(list).or_default();
            change.last_modified = change.last_modified.max(*last_modified);
        }
        for object in &writes.objects {
            changed.entry(&object.list).or_default().add(object);
        }
        let mut numbers = BTreeMap::new();
        if changed.is_empty() {
            return Ok(numbers);
        }
        let mut items = Items::default();
        for (uri, change) in changed {
            items.open();
            items.text(uri)?;
            items.number(change.last_modified);
            items.number(i64::try_from(change.largest).unwrap_or(i64::MAX));
            items.number(change.lowest);
            items.close();
        }
        for row in self.tx.query(PUT_LISTS.of(self.kind), &[items.take()]).await? {
            let (uri, list, largest) = (row.text("uri")?, row.int("list")?, row.int("largest")?);
            self.lists.insert(uri.clone(), Some(ListRow { list, largest }));
            numbers.insert(uri, list);
        }
        Ok(numbers)
    }

    async fn put_objects(
        &mut self,
        lists: &BTreeMap<String, i64>,
        objects: &[ObjectRow],
    ) -> Result<(), StoreError> {
        let mut rows = Vec::with_capacity(objects.len());
        for object in last_of_each(objects) {
            let list = lists.get(&object.list).copied();
            let list = list.ok_or_else(|| StoreError::corrupt("a list is not there after it was written"))?;
            rows.push((list, object));
        }
        match self.kind {
            Kind::Sqlite => self.put_values(&rows).await,
            Kind::Postgres => self.put_columns(&rows).await,
        }
    }

    async fn put_values(&mut self, rows: &[(i64, &ObjectRow)]) -> Result<(), StoreError> {
        for (sql, rows) in values::statements(rows) {
            self.put(sql, &values::of(rows)).await?;
        }
        Ok(())
    }

    async fn put_columns(&mut self, rows: &[(i64, &ObjectRow)]) -> Result<(), StoreError> {
        for rows in columns::parts(rows) {
            self.put(columns::PUT, &columns::of(rows)).await?;
        }
        Ok(())
    }

    async fn put(&mut self, sql: &'static str, values: &[Value]) -> Result<(), StoreError> {
        let put = self.tx.execute(sql, values).await;
        put.map(drop).map_err(|failure| failure.or_conflict(|| "a timestamp in a list".into()))
    }

    async fn put_members(&mut self, groups: &[(String, Vec<String>)]) -> Result<(), StoreError> {
        if groups.is_empty() {
            return Ok(());
        }
        let uris = groups.iter().map(|(uri, _)| uri.as_str());
        self.tx.execute(DROP_MEMBERS.of(self.kind), &[items(uris)]).await?;
        let members =
            groups.iter().flat_map(|(uri, members)| members.iter().map(|m| (uri.as_str(), m.as_str())));
        self.tx.execute(PUT_MEMBERS.of(self.kind), &[pairs(members)]).await?;
        Ok(())
    }
}

/// What is written to a list.
#[derive(Clone, Copy, Debug)]
struct ListChange {
    last_modified: i64,
    largest: usize,
    /// No object has a lower timestamp.
    lowest: i64,
}

impl Default for ListChange {
    fn default() -> Self {
        Self { last_modified: i64::MIN, largest: 0, lowest: ABOVE_ALL }
    }
}

impl ListChange {
    fn add(&mut self, object: &ObjectRow) {
        self.last_modified = self.last_modified.max(object.last_modified);
        self.largest = self.largest.max(object.data.len());
        self.lowest = self.lowest.min(object.last_modified);
    }
}

/// No timestamp is as high, and there is room to count on from it.
const ABOVE_ALL: i64 = 1 << 62;

/// Items that go in one statement.
const ITEMS_AT_ONCE: usize = 10_000;

/// The objects without those that a later one replaces.
fn last_of_each(objects: &[ObjectRow]) -> impl Iterator<Item = &ObjectRow> {
    let mut seen = HashSet::with_capacity(objects.len());
    let mut last: Vec<_> =
        objects.iter().rev().filter(|object| seen.insert((&object.list, &object.id))).collect();
    last.reverse();
    last.into_iter()
}
