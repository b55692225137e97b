//! Who is in which group.

use super::CollectionsTx;
use super::sql::{Sql, items, over_items};
use crate::error::StoreError;

const GROUPS_OF: Sql = over_items!(
    "select distinct m.group_uri from",
    "cross join collection_member m where m.principal = item.value ->> 0 order by m.group_uri"
);

impl CollectionsTx {
    /// The URIs of all groups that any of the principals is in, in their order.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn groups_of(&mut self, principals: &[String]) -> Result<Vec<String>, StoreError> {
        let values = [items(principals.iter().map(String::as_str))];
        let rows = self.tx.query(GROUPS_OF.of(self.kind), &values).await?;
        rows.iter().map(|row| row.text("group_uri")).collect()
    }
}
