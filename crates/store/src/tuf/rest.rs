//! Roles that began to move and cannot go on.

use jiff::Timestamp;

use super::TufTx;
use super::role::seconds;
use crate::error::StoreError;
use crate::sql::{Sql, items, over_items};

const REST: Sql = over_items!(
    "update tuf_role set moving = 0, version = version - 1, expires = $2
     where moving = 1 and name in (select item.value ->> 0 from",
    ")"
);

impl TufTx {
    /// The names of delegated roles that are moving and not signed yet, in their order.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn unsigned_roles(&mut self) -> Result<Vec<String>, StoreError> {
        // `moving > 0` is what the index of those that move is of.
        let sql = "select name from tuf_role
                   where moving = 1 and moving > 0 and name not in ('snapshot', 'targets', 'timestamp') order by name";
        self.tx.query(sql, &[]).await?.iter().map(|row| row.text("name")).collect()
    }

    /// Roles that were moving and are not signed rest again, with the version that they had. They are due at once
    /// ([`TufTx::due`]).
    ///
    /// # Errors
    /// Those of any write.
    pub async fn rest(&mut self, names: &[String], now: Timestamp) -> Result<(), StoreError> {
        let values = [items(names.iter().map(String::as_str)), seconds(now)];
        self.tx.execute(REST.of(self.kind), &values).await?;
        Ok(())
    }
}
