//! Lists and their timestamps.

use super::CollectionsTx;
use super::sql::{Sql, items, over_items, pairs};
use crate::engine::Row;
use crate::error::StoreError;
use crate::store::Store;

/// A list as the other statements need it.
#[derive(Clone, Copy, Debug)]
pub(super) struct ListRow {
    /// Its number.
    pub(super) list: i64,
    /// No object's data is longer.
    pub(super) largest: i64,
}

/// The states of some lists and objects at one instant: see [`Store::collections_states`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CollectionStates {
    /// The timestamps of those lists that there are.
    pub lists: Vec<(String, i64)>,
    /// List, id and timestamp of those objects that live.
    pub objects: Vec<(String, String, i64)>,
}

const TIMESTAMPS: Sql = over_items!(
    "select l.uri, l.last_modified from",
    "cross join collection_list l where l.uri = item.value ->> 0"
);

const STATES: Sql = Sql {
    sqlite:
        "select l.uri, null as id, l.last_modified
             from json_each($1) as item cross join collection_list l where l.uri = item.value ->> 0
             union all
             select l.uri, o.id, o.last_modified
             from json_each($2) as item cross join collection_list l cross join collection_object o
             where l.uri = item.value ->> 0 and o.list = l.list and o.id = item.value ->> 1 and o.deleted = 0",
    postgres: "select l.uri, null as id, l.last_modified
               from json_array_elements($1::json) as item(value) cross join collection_list l
               where l.uri = item.value ->> 0
               union all
               select l.uri, o.id, o.last_modified
               from json_array_elements($2::json) as item(value)
                   cross join collection_list l cross join collection_object o
               where l.uri = item.value ->> 0 and o.list = l.list and o.id = item.value ->> 1
                 and o.deleted = 0",
};

impl Store {
    /// The timestamps of lists and objects, in one statement: for who keeps what was read in memory, and asks
    /// whether it has changed.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn collections_states(
        &self,
        lists: &[String],
        objects: &[(String, String)],
    ) -> Result<CollectionStates, StoreError> {
        let values = [
            items(lists.iter().map(String::as_str)),
            pairs(objects.iter().map(|(list, id)| (list.as_str(), id.as_str()))),
        ];
        let mut states = CollectionStates::default();
        for row in self.engine.query(STATES.of(self.kind()), &values).await? {
            let (uri, last_modified) = (row.text("uri")?, row.int("last_modified")?);
            match row.opt_text("id")? {
                None => states.lists.push((uri, last_modified)),
                Some(id) => states.objects.push((uri, id, last_modified)),
            }
        }
        Ok(states)
    }
}

impl CollectionsTx {
    /// The timestamps of those of the lists that there are: the highest that an object ever had, or what was
    /// written. In no order.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn timestamps(&mut self, lists: &[String]) -> Result<Vec<(String, i64)>, StoreError> {
        if lists.is_empty() {
            return Ok(Vec::new());
        }
        let values = [items(lists.iter().map(String::as_str))];
        let rows = self.tx.query(TIMESTAMPS.of(self.kind), &values).await?;
        rows.iter().map(|row| Ok((row.text("uri")?, row.int("last_modified")?))).collect()
    }

    /// The lists below an object, in the order of their URIs: `/buckets/b/groups` below `/buckets/b`, but
    /// nothing of `/buckets/bb`. Those that have become empty are among them.
    ///
    /// - `uri`: an object's, without a slash at the end; empty for all lists.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn lists_under(&mut self, uri: &str) -> Result<Vec<String>, StoreError> {
        let sql = "select uri from collection_list where uri >= $1 and uri < $2 order by uri";
        let (from, to) = range_under(uri);
        let rows = self.tx.query(sql, &[(&from).into(), (&to).into()]).await?;
        rows.iter().map(|row| row.text("uri")).collect()
    }

    /// The highest timestamp of the lists below an object or list; `None` if there are none.
    ///
    /// - `uri`: as for [`Self::lists_under`].
    ///
    /// # Errors
    /// Those of any read.
    pub async fn latest_under(&mut self, uri: &str) -> Result<Option<i64>, StoreError> {
        let sql = "select max(last_modified) as latest from collection_list where uri >= $1 and uri < $2";
        let (from, to) = range_under(uri);
        let rows = self.tx.query(sql, &[(&from).into(), (&to).into()]).await?;
        rows.first().map_or(Ok(None), |row| row.opt_int("latest"))
    }

    /// The first timestamp from `wanted` on that no object of the list has, tombstones included.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn free_timestamp(&mut self, list: &str, wanted: i64) -> Result<i64, StoreError> {
        let Some(row) = self.list_row(list).await? else { return Ok(wanted) };
        let sql = "select last_modified from collection_object
                   where list = $1 and last_modified >= $2 order by last_modified limit $3";
        let mut free = wanted;
        loop {
            let taken = self.tx.query(sql, &[row.list.into(), free.into(), TAKEN_AT_ONCE.into()]).await?;
            for row in &taken {
                if row.int("last_modified")? != free {
                    return Ok(free);
                }
                free = free.saturating_add(1);
            }
            if taken.is_empty() || free == i64::MAX {
                return Ok(free);
            }
        }
    }

    /// The highest timestamp up to `until` that an object of the list has, tombstones included; `None` if none has.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn latest_until(&mut self, list: &str, until: i64) -> Result<Option<i64>, StoreError> {
        let Some(row) = self.list_row(list).await? else { return Ok(None) };
        let sql = "select last_modified from collection_object
                   where list = $1 and last_modified <= $2 order by last_modified desc limit 1";
        let rows = self.tx.query(sql, &[row.list.into(), until.into()]).await?;
        rows.first().map(|row| row.int("last_modified")).transpose()
    }

    /// The list of that URI, remembered for the transaction.
    pub(super) async fn list_row(&mut self, uri: &str) -> Result<Option<ListRow>, StoreError> {
        if let Some(known) = self.lists.get(uri) {
            return Ok(*known);
        }
        let sql = "select list, largest from collection_list where uri = $1";
        let rows = self.tx.query(sql, &[uri.into()]).await?;
        let row = rows.first().map(read).transpose()?;
        self.lists.insert(uri.to_owned(), row);
        Ok(row)
    }
}

/// Neighbours in time that are looked at together.
const TAKEN_AT_ONCE: i64 = 100;

fn read(row: &Row) -> Result<ListRow, StoreError> {
    Ok(ListRow { list: row.int("list")?, largest: row.int("largest")? })
}

/// From where to where URIs are below this one: it and a slash, up to the character after the slash.
pub(super) fn range_under(uri: &str) -> (String, String) {
    (format!("{uri}/"), format!("{uri}0"))
}
