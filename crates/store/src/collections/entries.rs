//! Entries of a list that tell of the objects of another one: the database makes them of the objects where they lie, so
//! that a hundred thousand cost no way to and fro. Many are made after the transaction that wrote the objects, whose
//! maker waits for an answer; until then a row says which are due.

use serde::{Deserialize, Serialize};

use super::CollectionsTx;
use super::sql::{Sql, rows_within};
use crate::engine::{Access, unreadable};
use crate::error::StoreError;
use crate::store::Store;

/// Entries of one list, each of which has the data of an object of another list in it.
///
/// The object with the timestamp `first + n` has the entry with the timestamp `timestamp + n`. Only objects without
/// permissions have one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entries {
    /// The URI of the list that gets them. There is such a list, and its timestamp is that of the last entry or later.
    pub list: String,
    /// The URI of the list whose objects they tell of.
    pub of: String,
    /// The timestamp of the first of these objects.
    pub first: i64,
    /// That of the last one.
    pub last: i64,
    /// The timestamp of the first entry, 0 to 2^48 - 1 as all others.
    pub timestamp: i64,
    /// The end of every id. It begins with the timestamp: 8 and 4 hex digits with a hyphen in between.
    pub id_end: String,
    /// What is between the parts of an entry's data: before the entry's id, before its timestamp, before the object's
    /// id, before the object's data, before the object's id once more, and at the end.
    pub text: [String; 6],
}

const WRITE: Sql = Sql {
    sqlite: "insert into collection_object (list, id, last_modified, deleted, data)
             select $1, told.entry, told.timestamp, 0,
                 printf('%s%s%s%d%s%s%s%s%s%s%s', $6, told.entry, $7, told.timestamp, $8, told.id, $9, told.data,
                     $10, told.id, $11)
             from (select id, data, last_modified + $5 as timestamp,
                       printf('%08x-%04x%s', (last_modified + $5) >> 16, (last_modified + $5) & 65535, $12) as entry
                   from collection_object
                   where list = $2 and last_modified >= $3 and last_modified <= $4 and permissions is null
                   order by last_modified) as told",
    postgres: "insert into collection_object (list, id, last_modified, deleted, data)
               select $1, told.entry, told.timestamp, 0,
                   $6 || told.entry || $7 || told.timestamp || $8 || told.id || $9 || told.data
                       || $10 || told.id || $11
               from (select id, data, last_modified + $5 as timestamp,
                         lpad(to_hex((last_modified + $5) >> 16), 8, '0') || '-'
                             || lpad(to_hex((last_modified + $5) & 65535), 4, '0') || $12 as entry
                     from collection_object
                     where list = $2 and last_modified >= $3 and last_modified <= $4 and permissions is null
                     order by last_modified) as told",
};

impl Store {
    /// Writes the entries that are due, if there are any: for who is about to read them.
    ///
    /// # Errors
    /// Those of [`Store::collections_write`].
    pub async fn write_due_entries(&self) -> Result<(), StoreError> {
        let mut tx = self.engine.begin(Access::Snapshot).await?;
        let due = !tx.query("select 1 as due from collection_due limit 1", &[]).await?.is_empty();
        drop(tx);
        if due { self.collections_write().await?.commit().await } else { Ok(()) }
    }
}

impl CollectionsTx {
    /// Writes entries.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such list, [`StoreError::Conflict`] if it has other objects with the
    /// timestamps, and those of any write. After an error the transaction is of no more use.
    pub async fn write_entries(&mut self, entries: &Entries) -> Result<(), StoreError> {
        let missing = || StoreError::not_found(format!("list `{}`", entries.list));
        let list = self.list_row(&entries.list).await?.ok_or_else(missing)?;
        let Some(of) = self.list_row(&entries.of).await? else { return Ok(()) };
        // An object's data has its id in it.
        let around = entries.text.iter().map(String::len).sum::<usize>() + LENGTH_OF_NUMBERS;
        let longest = of.largest.saturating_mul(3).saturating_add(i64::try_from(around).unwrap_or(i64::MAX));
        if longest > list.largest {
            let sql = "update collection_list set largest = $2 where list = $1";
            self.tx.execute(sql, &[list.list.into(), longest.into()]).await?;
            self.lists.remove(&entries.list);
        }
        // SQLite puts what it selects from the table that it writes to aside, and in a file if it is much.
        let at_once = rows_within(of.largest, ENTRIES_AT_ONCE);
        let mut first = entries.first;
        while first <= entries.last {
            let last = entries.last.min(first.saturating_add(at_once - 1));
            let mut values = vec![
                list.list.into(),
                of.list.into(),
                first.into(),
                last.into(),
                (entries.timestamp - entries.first).into(),
            ];
            values.extend(entries.text.iter().map(Into::into));
            values.push((&entries.id_end).into());
            let written = self.tx.execute(WRITE.of(self.kind), &values).await;
            written.map_err(|failure| failure.or_conflict(|| "a timestamp in a list".into()))?;
            first = last.saturating_add(1);
        }
        Ok(())
    }

    /// Leaves entries to be written before the next write, of whatever it is, or by [`Store::write_due_entries`].
    ///
    /// # Errors
    /// Those of any write.
    pub async fn leave_entries(&mut self, entries: &Entries) -> Result<(), StoreError> {
        let text = serde_json::to_string(entries).map_err(|_| StoreError::Unstorable { what: "entries" })?;
        self.tx.execute("insert into collection_due (entries) values ($1)", &[(&text).into()]).await?;
        Ok(())
    }

    /// Writes what is due.
    pub(super) async fn write_due(&mut self) -> Result<(), StoreError> {
        let due = self.tx.query("select due, entries from collection_due order by due", &[]).await?;
        for row in &due {
            let entries = serde_json::from_str(&row.text("entries")?).map_err(|_| unreadable("entries"))?;
            self.write_entries(&entries).await?;
            self.tx.execute("delete from collection_due where due = $1", &[row.int("due")?.into()]).await?;
        }
        Ok(())
    }
}

/// Entries that are made by one statement.
const ENTRIES_AT_ONCE: u32 = 2000;
/// An id and a timestamp.
const LENGTH_OF_NUMBERS: usize = 64;
