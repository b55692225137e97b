//! How often tasks were begun: one that ends the process each time is given up some day.

use super::TufTx;
use crate::error::StoreError;
use crate::sql::{Sql, items, over_items};

/// A task that waits, without what is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedTask {
    /// As clients know it.
    pub id: String,
    /// What is to be done, by name.
    pub kind: String,
    /// How often it was begun, and neither ended nor forgiven.
    pub attempts: u64,
    /// The length of its request.
    pub bytes: u64,
}

const COUNT: Sql = over_items!(
    "update tuf_task set attempts = attempts + 1 where state = 'PENDING' and id in (select item.value ->> 0 from",
    ")"
);

impl TufTx {
    /// Tasks in the state `PENDING`, in the order of their submission.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn queue(&mut self, limit: u32) -> Result<Vec<QueuedTask>, StoreError> {
        let sql = "select id, kind, cast(attempts as bigint) as attempts,
                       cast(octet_length(request) as bigint) as bytes
                   from tuf_task where state = 'PENDING' order by seq limit $1";
        let rows = self.tx.query(sql, &[i64::from(limit).into()]).await?;
        let read = rows.iter().map(|row| {
            Ok(QueuedTask {
                id: row.text("id")?,
                kind: row.text("kind")?,
                attempts: row.unsigned("attempts")?,
                bytes: row.unsigned("bytes")?,
            })
        });
        read.collect()
    }

    /// These tasks are begun. To be committed before they are.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn count_attempts(&mut self, ids: &[String]) -> Result<(), StoreError> {
        let values = [items(ids.iter().map(String::as_str))];
        self.tx.execute(COUNT.of(self.kind), &values).await?;
        Ok(())
    }

    /// Whatever was begun last came to nothing through no fault of its own: it does not count.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn forgive_attempts(&mut self) -> Result<(), StoreError> {
        let sql = "update tuf_task set attempts = attempts - 1 where state = 'PENDING' and attempts > 0";
        self.tx.execute(sql, &[]).await?;
        Ok(())
    }

    /// How many roles there ever were, and the bytes of their names: what bounds the length of snapshots.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn role_names(&mut self) -> Result<(u64, u64), StoreError> {
        let sql = "select count(*) as roles, cast(coalesce(sum(octet_length(name)), 0) as bigint) as bytes
                   from tuf_role";
        let rows = self.tx.query(sql, &[]).await?;
        let Some(row) = rows.first() else { return Ok((0, 0)) };
        Ok((row.unsigned("roles")?, row.unsigned("bytes")?))
    }
}
