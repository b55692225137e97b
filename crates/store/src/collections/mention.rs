//! Objects that name somebody: the database looks at who is named, and gives no row of the others.

use serde_json::Value as Json;

use super::CollectionsTx;
use super::object::{Page, PageQuery, page};
use super::sql::{Sql, rows_within};
use crate::engine::Value;
use crate::error::StoreError;

// Entries of the history have no permissions of their own: who may see one is in its data.
const OF_LIST: Sql = Sql {
    sqlite: "select id, last_modified, deleted, data, permissions, content
             from collection_object o
             where list = $1 and last_modified > $2 and last_modified < $3 and deleted = 0
               and exists (select 1 from json_each($4) as name
                           where instr(coalesce(o.permissions, o.data), name.value) > 0)
             order by last_modified desc limit $5",
    postgres: "select id, last_modified, deleted, data, permissions, content
               from collection_object o
               where list = $1 and last_modified > $2 and last_modified < $3 and deleted = 0
                 and exists (select 1 from json_array_elements_text($4::json) as name(value)
                             where strpos(coalesce(o.permissions, o.data), name.value) > 0)
               order by last_modified desc limit $5",
};

const OF_ALL: Sql = Sql {
    sqlite: "select l.uri, o.id, o.last_modified, o.deleted, '' as data, o.permissions, null as content
             from (select * from collection_object c
                   where (list, id) > ($1, $2) and deleted = 0
                     and exists (select 1 from json_each($3) as name
                                 where instr(c.permissions, name.value) > 0)
                   order by list, id limit $4) o
                 join collection_list l on l.list = o.list
             order by o.list, o.id",
    postgres: "select l.uri, o.id, o.last_modified, o.deleted, '' as data, o.permissions,
                      cast(null as bytea) as content
               from (select * from collection_object c
                     where (list, id) > ($1, $2) and deleted = 0
                       and exists (select 1 from json_array_elements_text($3::json) as name(value)
                                   where strpos(c.permissions, name.value) > 0)
                     order by list, id limit $4) o
                   join collection_list l on l.list = o.list
               order by o.list, o.id",
};

impl CollectionsTx {
    /// As [`Self::page`], newest first and without tombstones: only objects in whose permissions, or in whose data
    /// where they have none, one of `names` stands as a JSON string. Whether it is a principal there, and what it
    /// may do, is for the caller to see.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn page_naming(
        &mut self,
        list: &str,
        query: &PageQuery,
        names: &[String],
    ) -> Result<Page, StoreError> {
        let Some(found) = self.list_row(list).await? else { return Ok(Page::default()) };
        let limit = rows_within(found.largest, query.limit);
        let values = [
            found.list.into(),
            query.since.unwrap_or(i64::MIN).into(),
            query.before.unwrap_or(i64::MAX).into(),
            quoted(names),
            (limit + 1).into(),
        ];
        let rows = self.tx.query(OF_LIST.of(self.kind), &values).await?;
        page(&rows, limit, |_| Ok(list.to_owned()))
    }

    /// As [`Self::scan`]: only objects in whose permissions one of `names` stands as a JSON string, and without
    /// their data, which is empty.
    ///
    /// # Errors
    /// As [`Self::scan`].
    pub async fn scan_naming(
        &mut self,
        after: Option<(&str, &str)>,
        limit: u32,
        names: &[String],
    ) -> Result<Page, StoreError> {
        let (list, id) = match after {
            None => (i64::MIN, ""),
            Some((uri, id)) => {
                let found = self.list_row(uri).await?;
                (found.ok_or_else(|| StoreError::not_found(format!("list `{uri}`")))?.list, id)
            }
        };
        let limit = i64::from(limit);
        let values = [list.into(), id.into(), quoted(names), (limit + 1).into()];
        let rows = self.tx.query(OF_ALL.of(self.kind), &values).await?;
        page(&rows, limit, |row| row.text("uri"))
    }
}

/// The names as JSON strings, as they stand in JSON: with their quotes, as UTF-8 and with escapes for what is not
/// ASCII. Those with a NUL are nobody's.
fn quoted(names: &[String]) -> Value {
    let names = names.iter().filter(|name| !name.contains('\0'));
    let texts = names.flat_map(|name| {
        let text = Json::from(name.as_str()).to_string();
        let ascii = text.chars().fold(String::new(), |mut out, c| {
            let mut units = [0; 2];
            match c.is_ascii() {
                true => out.push(c),
                false => out.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}"))),
            }
            out
        });
        [Json::from(text), Json::from(ascii)]
    });
    Value::Text(Some(Json::from_iter(texts).to_string()))
}
