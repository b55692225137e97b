//! Objects: by their keys, page by page, all.

use super::CollectionsTx;
use super::sql::{Sql, pairs, rows_within};
use crate::engine::{Row, Value, unreadable};
use crate::error::StoreError;

/// An object, or what a deleted one left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectRow {
    /// The URI of its list.
    pub list: String,
    /// Its id, unique in the list. Without NUL.
    pub id: String,
    /// Its timestamp in milliseconds, unique in the list.
    pub last_modified: i64,
    /// Whether it is a tombstone.
    pub deleted: bool,
    /// The object as it is served and signed: canonical JSON in ASCII, with `id`, `last_modified` and, of a
    /// tombstone, `deleted`.
    pub data: String,
    /// Who may do what with it, as JSON.
    pub permissions: Option<String>,
    /// The hash of what makes a record the same as its copy in another list.
    pub content: Option<[u8; 32]>,
}

/// Which objects of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageQuery {
    /// Only those with a greater timestamp. With [`PageOrder::OldestFirst`], the last one's to go on after it.
    pub since: Option<i64>,
    /// Only those with a smaller timestamp. With [`PageOrder::NewestFirst`], the last one's to go on after it.
    pub before: Option<i64>,
    /// Whether tombstones are among them.
    pub with_tombstones: bool,
    /// In which order.
    pub order: PageOrder,
    /// How many at most.
    pub limit: u32,
}

/// The order of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageOrder {
    /// By falling timestamps.
    NewestFirst,
    /// By rising timestamps.
    OldestFirst,
    /// By the bytes of the ids, those after this one.
    ById(Option<String>),
}

impl Default for PageQuery {
    /// The newest ten thousand that live.
    fn default() -> Self {
        Self {
            since: None,
            before: None,
            with_tombstones: false,
            order: PageOrder::NewestFirst,
            limit: 10_000,
        }
    }
}

/// Some objects of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Up to the limit; fewer where they are large, but one at least if there is any.
    pub objects: Vec<ObjectRow>,
    /// Whether there are more after the last one.
    pub more: bool,
}

// PostgreSQL would look for a key among all of its list while it does not know how long the list has become; a
// subquery with a limit is planned as what it is, one search.
const BY_KEY: Sql = Sql {
    sqlite: "select l.uri, o.id, o.last_modified, o.deleted, o.data, o.permissions, o.content
             from json_each($1) as item cross join collection_list l cross join collection_object o
             where l.uri = item.value ->> 0 and o.list = l.list and o.id = item.value ->> 1",
    postgres: "select l.uri, o.id, o.last_modified, o.deleted, o.data, o.permissions, o.content
               from json_array_elements($1::json) as item(value)
                   join collection_list l on l.uri = item.value ->> 0
                   cross join lateral (
                       select * from collection_object where list = l.list and id = item.value ->> 1 limit 1
                   ) o",
};

const NEWEST_FIRST: &str = "select id, last_modified, deleted, data, permissions, content
    from collection_object
    where list = $1 and last_modified > $2 and last_modified < $3 and (deleted = 0 or $4 = 1)
    order by last_modified desc limit $5";

const OLDEST_FIRST: &str = "select id, last_modified, deleted, data, permissions, content
    from collection_object
    where list = $1 and last_modified > $2 and last_modified < $3 and (deleted = 0 or $4 = 1)
    order by last_modified limit $5";

// A plus keeps the engines from going by timestamps.
const BY_ID: &str = "select id, last_modified, deleted, data, permissions, content
    from collection_object
    where list = $1 and +last_modified > $2 and +last_modified < $3 and (deleted = 0 or $4 = 1) and id > $6
    order by id limit $5";

impl CollectionsTx {
    /// Those of the objects that there are, tombstones too, in no order. A key that is given twice may be found
    /// twice.
    ///
    /// - `keys`: list and id of each.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn objects(&mut self, keys: &[(String, String)]) -> Result<Vec<ObjectRow>, StoreError> {
        let mut objects = Vec::with_capacity(keys.len());
        for some in keys.chunks(KEYS_AT_ONCE) {
            let values = [pairs(some.iter().map(|(list, id)| (list.as_str(), id.as_str())))];
            for row in &self.tx.query(BY_KEY.of(self.kind), &values).await? {
                objects.push(read(row, row.text("uri")?)?);
            }
        }
        Ok(objects)
    }

    /// Some objects of a list; none if there is no such list.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn page(&mut self, list: &str, query: &PageQuery) -> Result<Page, StoreError> {
        let Some(found) = self.list_row(list).await? else { return Ok(Page::default()) };
        let limit = rows_within(found.largest, query.limit);
        let mut values = vec![
            found.list.into(),
            query.since.unwrap_or(i64::MIN).into(),
            query.before.unwrap_or(i64::MAX).into(),
            query.with_tombstones.into(),
            (limit + 1).into(),
        ];
        let sql = match &query.order {
            PageOrder::NewestFirst => NEWEST_FIRST,
            PageOrder::OldestFirst => OLDEST_FIRST,
            PageOrder::ById(after) => {
                values.push(after.as_deref().unwrap_or_default().into());
                BY_ID
            }
        };
        let rows = self.tx.query(sql, &values).await?;
        page(&rows, limit, |_| Ok(list.to_owned()))
    }

    /// How many objects of a list live, of those with a timestamp after `since` and before `before`.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn count(
        &mut self,
        list: &str,
        since: Option<i64>,
        before: Option<i64>,
    ) -> Result<u64, StoreError> {
        let Some(found) = self.list_row(list).await? else { return Ok(0) };
        // All of them are counted without a look at the timestamps, each of which is a search for the object.
        let (sql, values): (_, Vec<Value>) = match (since, before) {
            (None, None) => {
                let sql = "select count(*) as n from collection_object where list = $1 and deleted = 0";
                (sql, vec![found.list.into()])
            }
            _ => {
                let sql = "select count(*) as n from collection_object
                           where list = $1 and deleted = 0 and last_modified > $2 and last_modified < $3";
                let (since, before) = (since.unwrap_or(i64::MIN), before.unwrap_or(i64::MAX));
                (sql, vec![found.list.into(), since.into(), before.into()])
            }
        };
        self.tx.query(sql, &values).await?.first().map_or(Ok(0), |row| row.unsigned("n"))
    }

    /// Some of all objects that live, list by list, in each by the bytes of the ids.
    ///
    /// - `after`: list and id of the last one that is known.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if `after` names a list that there is not, and those of any read.
    pub async fn scan(&mut self, after: Option<(&str, &str)>, limit: u32) -> Result<Page, StoreError> {
        let (list, id) = match after {
            None => (i64::MIN, ""),
            Some((uri, id)) => {
                let found = self.list_row(uri).await?;
                (found.ok_or_else(|| StoreError::not_found(format!("list `{uri}`")))?.list, id)
            }
        };
        let largest = self.tx.query("select max(largest) as n from collection_list", &[]).await?;
        let largest = largest.first().map_or(Ok(None), |row| row.opt_int("n"))?;
        let limit = rows_within(largest.unwrap_or_default(), limit);
        let sql = "select l.uri, o.id, o.last_modified, o.deleted, o.data, o.permissions, o.content
                   from (select * from collection_object
                         where (list, id) > ($1, $2) and deleted = 0 order by list, id limit $3) o
                       join collection_list l on l.list = o.list
                   order by o.list, o.id";
        let rows = self.tx.query(sql, &[list.into(), id.into(), (limit + 1).into()]).await?;
        page(&rows, limit, |row| row.text("uri"))
    }
}

/// Keys that go in one statement.
const KEYS_AT_ONCE: usize = 10_000;

/// Up to `limit` of the rows, and whether there is one more.
pub(super) fn page(
    rows: &[Row],
    limit: i64,
    list: impl Fn(&Row) -> Result<String, StoreError>,
) -> Result<Page, StoreError> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let objects = rows.iter().take(limit).map(|row| read(row, list(row)?)).collect::<Result<_, _>>()?;
    Ok(Page { objects, more: rows.len() > limit })
}

fn read(row: &Row, list: String) -> Result<ObjectRow, StoreError> {
    let content = row.opt_bytes("content")?;
    Ok(ObjectRow {
        list,
        id: row.text("id")?,
        last_modified: row.int("last_modified")?,
        deleted: row.truth("deleted")?,
        data: row.text("data")?,
        permissions: row.opt_text("permissions")?,
        content: content.map(TryInto::try_into).transpose().map_err(|_| unreadable("content"))?,
    })
}
