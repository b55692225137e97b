//! Data keys, under which private keys are sealed; themselves wrapped by the seal key.

use jiff::Timestamp;

use crate::engine::{Kind, Row};
use crate::error::StoreError;
use crate::store::Store;

/// A data key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataKey {
    /// Its name in sealed blobs.
    pub id: String,
    /// The key, encrypted and authenticated under the seal key.
    pub wrapped: Vec<u8>,
    /// When it was made.
    pub created: Timestamp,
}

impl Store {
    /// All of them, oldest first.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn data_keys(&self) -> Result<Vec<DataKey>, StoreError> {
        let sql = "select id, wrapped, created from data_key order by created, id";
        self.engine.query(sql, &[]).await?.iter().map(read).collect()
    }

    /// Adds one.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the id is taken.
    pub async fn add_data_key(&self, key: &DataKey) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let sql = "insert into data_key (id, wrapped, created) values ($1, $2, $3)";
        let values = [(&key.id).into(), (&key.wrapped).into(), key.created.into()];
        tx.execute(sql, &values)
            .await
            .map_err(|failure| failure.or_conflict(|| format!("data key `{}`", key.id)))?;
        tx.commit().await
    }

    /// Puts `all` in the place of what is there, at once: after a change of the seal key.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if one was added or removed since `all` was read: the ids must be the
    /// same.
    pub async fn replace_data_keys(&self, all: &[DataKey]) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        if self.kind() == Kind::Postgres {
            // Against a node that adds one between the count and the commit.
            tx.execute("lock table data_key in share row exclusive mode", &[]).await?;
        }
        let count = tx.query("select count(*) as n from data_key", &[]).await?;
        let count = count.first().map(|row| row.int("n")).transpose()?.unwrap_or_default();
        let mut replaced = 0;
        for key in all {
            let sql = "update data_key set wrapped = $2, created = $3 where id = $1";
            let values = [(&key.id).into(), (&key.wrapped).into(), key.created.into()];
            replaced += tx.execute(sql, &values).await?;
        }
        // A key left out would be lost with the old seal key, and all that is sealed under it.
        let expected = usize::try_from(count).unwrap_or(usize::MAX);
        if all.len() != expected || replaced != all.len() as u64 {
            return Err(StoreError::conflict("the set of data keys"));
        }
        tx.commit().await
    }
}

fn read(row: &Row) -> Result<DataKey, StoreError> {
    Ok(DataKey { id: row.text("id")?, wrapped: row.bytes("wrapped")?, created: row.time("created")? })
}
