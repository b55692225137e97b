//! The entries of roles, joined by the database: the inside of the member `targets`.

use super::TufTx;
use crate::error::StoreError;
use crate::sql::{Sql, items};

// For each role a walk along its artifacts, which lie in the order in which both engines aggregate them.
const TEXTS: Sql = Sql {
    sqlite: "select item.value ->> 0 as role,
                 (select string_agg(entry, ',') from
                     (select entry from tuf_artifact
                      where role = item.value ->> 0 and entry is not null order by path) as ordered) as text
             from json_each($1) as item",
    postgres: "select item.value ->> 0 as role,
                   (select string_agg(entry, ',') from
                       (select entry from tuf_artifact
                        where role = item.value ->> 0 and entry is not null order by path) as ordered) as text
               from json_array_elements($1::json) as item(value)",
};

const WITH_STAGED: &str = "select string_agg(coalesce(next, entry), ',') as text from
    (select entry, next from tuf_artifact
     where role = $1 and coalesce(next, entry) <> '' order by path) as ordered";

impl TufTx {
    /// The public entries of roles, each role's in the order of the bytes of their paths with a comma between each
    /// two, in the order in which the roles are given. Of a role without any it is the empty text.
    ///
    /// How long they are is in [`crate::RoleRow::bytes`].
    ///
    /// # Errors
    /// Those of any read.
    pub async fn targets_text(&mut self, roles: &[String]) -> Result<Vec<(String, String)>, StoreError> {
        let values = [items(roles.iter().map(String::as_str))];
        let rows = self.tx.query(TEXTS.of(self.kind), &values).await?;
        rows.iter().map(|row| Ok((row.text("role")?, row.opt_text("text")?.unwrap_or_default()))).collect()
    }

    /// The entries of a role as they will be when what is staged is public, in the same form.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn targets_text_with_staged(&mut self, role: &str) -> Result<String, StoreError> {
        let rows = self.tx.query(WITH_STAGED, &[role.into()]).await?;
        Ok(rows.first().map_or(Ok(None), |row| row.opt_text("text"))?.unwrap_or_default())
    }
}
