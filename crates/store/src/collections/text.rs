//! The texts of many objects, joined by the database: a list of a hundred thousand is a few rows.

use super::CollectionsTx;
use super::sql::rows_within;
use crate::error::StoreError;

/// Objects of a list in the order of their ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordsChunk {
    /// Their data, with a comma between each two: the inside of a JSON list.
    pub text: String,
    /// How many they are: one or more.
    pub count: u64,
    /// The id of the last one.
    pub last_id: String,
}

/// Objects of a list, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangesChunk {
    /// Their data, with a comma between each two: the inside of a JSON list.
    pub text: String,
    /// How many they are: one or more.
    pub count: u64,
    /// The timestamp of the last one, the smallest.
    pub last_modified: i64,
}

// Both engines aggregate in the order in which a subquery gives its rows.
const CANONICAL: &str = "select count(*) as n, max(id) as last, string_agg(data, ',') as text
    from (select id, data from collection_object
          where list = $1 and deleted = 0 and id > $2 order by id limit $3) as ordered";

const CHANGES: &str = "select count(*) as n, min(last_modified) as last, string_agg(data, ',') as text
    from (select last_modified, data from collection_object
          where list = $1 and (deleted = 0 or $2 = 1) and last_modified > $3 and last_modified < $4
          order by last_modified desc limit $5) as ordered";

impl CollectionsTx {
    /// The data of objects that live, in the order of the bytes of their ids: what is signed. `None` if there
    /// are no more.
    ///
    /// - `after`: the [`RecordsChunk::last_id`] of the chunk before.
    /// - `limit`: how many at most; there are fewer where they are large.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn canonical_records(
        &mut self,
        list: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Option<RecordsChunk>, StoreError> {
        let Some(found) = self.list_row(list).await? else { return Ok(None) };
        let limit = rows_within(found.largest, limit);
        let values = [found.list.into(), after.unwrap_or_default().into(), limit.into()];
        let rows = self.tx.query(CANONICAL, &values).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let Some(text) = row.opt_text("text")? else { return Ok(None) };
        Ok(Some(RecordsChunk { text, count: row.unsigned("n")?, last_id: row.text("last")? }))
    }

    /// The data of objects with a timestamp after `since`, newest first: what has changed. Without `since`,
    /// all that live; with it, tombstones too. `None` if there are no more.
    ///
    /// - `before`: the [`ChangesChunk::last_modified`] of the chunk before.
    /// - `limit`: how many at most; there are fewer where they are large.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn changes(
        &mut self,
        list: &str,
        since: Option<i64>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Option<ChangesChunk>, StoreError> {
        let Some(found) = self.list_row(list).await? else { return Ok(None) };
        let values = [
            found.list.into(),
            since.is_some().into(),
            since.unwrap_or(i64::MIN).into(),
            before.unwrap_or(i64::MAX).into(),
            rows_within(found.largest, limit).into(),
        ];
        let rows = self.tx.query(CHANGES, &values).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let Some(text) = row.opt_text("text")? else { return Ok(None) };
        Ok(Some(ChangesChunk { text, count: row.unsigned("n")?, last_modified: row.int("last")? }))
    }
}
