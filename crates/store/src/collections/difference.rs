//! In what two lists differ.

use futures_util::stream::TryStreamExt;

use super::CollectionsTx;
use crate::engine::{Kind, Row, unreadable};
use crate::error::StoreError;

/// An object in which a destination differs from its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectDifference {
    /// Its id, in both.
    pub id: String,
    /// What is to be done to the destination.
    pub difference: Difference,
}

/// How a destination differs from its source. Tombstones count as nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The object lives in the source only.
    Added,
    /// It lives in both with another content.
    Changed,
    /// It lives in the destination only.
    Removed,
}

// PostgreSQL hashes one side. SQLite would search it for each object of the other; both being in the order of
// ids, it is faster at walking along them together, once for what is ahead in either.
const BOTH: &str = "select coalesce(s.id, d.id) as id,
        case when d.id is null then 0 when s.id is null then 2 else 1::bigint end as difference
    from (select id, content from collection_object where list = $1 and deleted = 0) s
        full join (select id, content from collection_object where list = $2 and deleted = 0) d on d.id = s.id
    where s.id is null or d.id is null or s.content is distinct from d.content
    order by 1";

const AHEAD: &str = "select id, content from collection_object where list = $1 and deleted = 0
    except select id, content from collection_object where list = $2 and deleted = 0
    order by 1, 2";

impl CollectionsTx {
    /// The objects in which `destination` differs from `source` by their content hashes, in the order of the
    /// bytes of their ids; what they are is read with [`CollectionsTx::objects`].
    ///
    /// A list that there is not is one without objects. After [`CollectionsTx::set_equal`] it costs what was
    /// written since, if that is not much; else both lists are read.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn difference(
        &mut self,
        source: &str,
        destination: &str,
    ) -> Result<Vec<ObjectDifference>, StoreError> {
        let source = self.list_row(source).await?.map_or(NO_LIST, |found| found.list);
        let destination = self.list_row(destination).await?.map_or(NO_LIST, |found| found.list);
        if let Some(differences) = self.difference_since(source, destination).await? {
            return Ok(differences);
        }
        match self.kind {
            Kind::Postgres => {
                let rows = self.tx.stream(BOTH, &[source.into(), destination.into()]);
                rows.and_then(async |row| read(&row)).try_collect().await
            }
            Kind::Sqlite => {
                let ahead = self.ids_ahead(source, destination).await?;
                let behind = self.ids_ahead(destination, source).await?;
                Ok(merge(ahead, behind))
            }
        }
    }

    async fn ids_ahead(&mut self, list: i64, other: i64) -> Result<Vec<String>, StoreError> {
        // One by one: a hundred thousand rows of the library are many times the size of their ids.
        let rows = self.tx.stream(AHEAD, &[list.into(), other.into()]);
        rows.and_then(async |row| row.text("id")).try_collect().await
    }
}

/// No list has this number.
const NO_LIST: i64 = -1;

/// Differences by the ids of objects that are in the source only as they are there, and in the destination.
/// Both are sorted.
fn merge(source: Vec<String>, destination: Vec<String>) -> Vec<ObjectDifference> {
    let mut differences = Vec::with_capacity(source.len().max(destination.len()));
    let mut destination = destination.into_iter().peekable();
    let removed = |id| ObjectDifference { id, difference: Difference::Removed };
    for id in source {
        while let Some(only_there) = destination.next_if(|other| *other < id) {
            differences.push(removed(only_there));
        }
        let difference = match destination.next_if(|other| *other == id) {
            Some(_) => Difference::Changed,
            None => Difference::Added,
        };
        differences.push(ObjectDifference { id, difference });
    }
    differences.extend(destination.map(removed));
    differences
}

fn read(row: &Row) -> Result<ObjectDifference, StoreError> {
    let difference = match row.int("difference")? {
        0 => Difference::Added,
        1 => Difference::Changed,
        2 => Difference::Removed,
        _ => return Err(unreadable("difference")),
    };
    Ok(ObjectDifference { id: row.text("id")?, difference })
}
