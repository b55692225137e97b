//! That two lists held the same: what they differ in later is among what was written since.

use std::collections::{BTreeMap, BTreeSet};

use super::CollectionsTx;
use super::difference::{Difference, ObjectDifference};
use super::sql::{Sql, items};
use crate::error::StoreError;

/// The timestamps above which two lists have all that was written since they held the same.
#[derive(Clone, Copy, Debug)]
struct Known {
    source: i64,
    destination: i64,
}

const KNOWN: &str = "select e.one_last, e.other_last from collection_equal e
        join collection_list a on a.list = e.one join collection_list b on b.list = e.other
    where e.one = $1 and e.other = $2 and e.one_disorder = a.disorder and e.other_disorder = b.disorder";

const PUT: &str = "insert into collection_equal
        (one, other, one_last, one_disorder, other_last, other_disorder)
    select a.list, b.list, a.last_modified, a.disorder, b.last_modified, b.disorder
    from collection_list a cross join collection_list b where a.list = $1 and b.list = $2
    on conflict (one, other) do update set
        one_last = excluded.one_last, one_disorder = excluded.one_disorder,
        other_last = excluded.other_last, other_disorder = excluded.other_disorder";

const WRITTEN: &str = "select id from collection_object
    where list = $1 and last_modified > $2 order by last_modified limit $3";

// One search for each: see `BY_KEY` of objects.
const CONTENTS: Sql = Sql {
    sqlite: "select o.id, o.content from json_each($2) as item cross join collection_object o
             where o.list = $1 and o.id = item.value ->> 0 and o.deleted = 0",
    postgres: "select o.id, o.content from json_array_elements($2::json) as item(value)
                   cross join lateral (
                       select * from collection_object where list = $1 and id = item.value ->> 0 limit 1
                   ) o
               where o.deleted = 0",
};

/// More objects are not looked up one by one: both lists are walked along.
const MOST_WRITTEN: usize = 2000;

impl CollectionsTx {
    /// Writes down that the objects that live in two lists have the same ids and contents now, so that
    /// [`CollectionsTx::difference`] looks only at what is written later. It is for the caller to know.
    ///
    /// Of a list that there is not, nothing is written down. It must not be said of lists that get
    /// [`Entries`](super::Entries): those are written without a look at the list's timestamp.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn set_equal(&mut self, source: &str, destination: &str) -> Result<(), StoreError> {
        let (source, destination) = (self.list_row(source).await?, self.list_row(destination).await?);
        let (Some(source), Some(destination)) = (source, destination) else { return Ok(()) };
        let (one, other) = in_order(source.list, destination.list);
        if one != other {
            self.tx.execute(PUT, &[one.into(), other.into()]).await?;
        }
        Ok(())
    }

    /// In what two lists differ, found among what was written since they were known to hold the same; `None`: that is
    /// not known, or it is much.
    pub(super) async fn difference_since(
        &mut self,
        source: i64,
        destination: i64,
    ) -> Result<Option<Vec<ObjectDifference>>, StoreError> {
        let Some(known) = self.known_equal(source, destination).await? else { return Ok(None) };
        let mut written = BTreeSet::new();
        for (list, since) in [(source, known.source), (destination, known.destination)] {
            let limit = i64::try_from(MOST_WRITTEN + 1).unwrap_or(i64::MAX);
            let rows = self.tx.query(WRITTEN, &[list.into(), since.into(), limit.into()]).await?;
            for row in &rows {
                written.insert(row.text("id")?);
            }
            if written.len() > MOST_WRITTEN {
                return Ok(None);
            }
        }
        let there = self.contents(source, &written).await?;
        let here = self.contents(destination, &written).await?;
        let differences = written.into_iter().filter_map(|id| {
            let difference = match (there.get(&id), here.get(&id)) {
                (Some(_), None) => Difference::Added,
                (None, Some(_)) => Difference::Removed,
                (Some(there), Some(here)) if there != here => Difference::Changed,
                _ => return None,
            };
            Some(ObjectDifference { id, difference })
        });
        Ok(Some(differences.collect()))
    }

    async fn known_equal(&mut self, source: i64, destination: i64) -> Result<Option<Known>, StoreError> {
        let (one, other) = in_order(source, destination);
        let rows = self.tx.query(KNOWN, &[one.into(), other.into()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (one_last, other_last) = (row.int("one_last")?, row.int("other_last")?);
        Ok(Some(match one == source {
            true => Known { source: one_last, destination: other_last },
            false => Known { source: other_last, destination: one_last },
        }))
    }

    /// The contents of those of the objects that live.
    async fn contents(
        &mut self,
        list: i64,
        ids: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, Option<Vec<u8>>>, StoreError> {
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let values = [list.into(), items(ids.iter().map(String::as_str))];
        let rows = self.tx.query(CONTENTS.of(self.kind), &values).await?;
        rows.iter().map(|row| Ok((row.text("id")?, row.opt_bytes("content")?))).collect()
    }
}

fn in_order(a: i64, b: i64) -> (i64, i64) {
    (a.min(b), a.max(b))
}
