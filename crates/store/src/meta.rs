//! Small values of the deployment by name: node identities, the seal key's check value and the like.

use crate::error::StoreError;
use crate::store::Store;

impl Store {
    /// The value under `key`.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn meta_get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let rows = self.engine.query("select value from meta where key = $1", &[key.into()]).await?;
        rows.first().map(|row| row.bytes("value")).transpose()
    }

    /// Puts a value that never changes. The same bytes again are fine: of nodes that start together one
    /// writes, and the others learn whether they agree.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if other bytes are there.
    pub async fn meta_put_new(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let sql = "insert into meta (key, value) values ($1, $2) on conflict (key) do nothing";
        if tx.execute(sql, &[key.into(), value.into()]).await? == 1 {
            return tx.commit().await;
        }
        let rows = tx.query("select value from meta where key = $1", &[key.into()]).await?;
        match rows.first() {
            Some(row) if row.bytes("value")? == value => Ok(()),
            _ => Err(StoreError::conflict(format!("the value `{key}`"))),
        }
    }

    /// Puts a value in the place of the one that is there.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn meta_set(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let sql = "insert into meta (key, value) values ($1, $2)
                   on conflict (key) do update set value = excluded.value";
        tx.execute(sql, &[key.into(), value.into()]).await?;
        tx.commit().await
    }
}
