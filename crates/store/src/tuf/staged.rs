//! What is staged for roles, until somebody publishes it.

use super::TufTx;
use super::role::bytes_of_role;
use crate::error::StoreError;
use crate::sql::{Sql, items, over_items};

const MEASURE: Sql = over_items!(
    ["update tuf_role set bytes = ", bytes_of_role!("name"), " where name in (select item.value ->> 0 from"],
    ")"
);

const DROP_STAGED: Sql =
    over_items!("delete from tuf_artifact where next = '' and role in (select item.value ->> 0 from", ")");

const APPLY_STAGED: Sql = over_items!(
    "update tuf_artifact set entry = next, next = null
     where next is not null and role in (select item.value ->> 0 from",
    ")"
);

impl TufTx {
    /// The names of roles for which something is staged, in their order.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn staged_roles(&mut self) -> Result<Vec<String>, StoreError> {
        let sql = "select distinct role from tuf_artifact where next is not null order by role";
        self.tx.query(sql, &[]).await?.iter().map(|row| row.text("role")).collect()
    }

    /// What is staged for these roles becomes public, or about to be. Says how many artifacts.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn apply_staged(&mut self, roles: &[String]) -> Result<u64, StoreError> {
        let values = [items(roles.iter().map(String::as_str))];
        let removed = self.tx.execute(DROP_STAGED.of(self.kind), &values).await?;
        let put = self.tx.execute(APPLY_STAGED.of(self.kind), &values).await?;
        self.tx.execute(MEASURE.of(self.kind), &values).await?;
        Ok(removed + put)
    }
}
