//! Principals: who asks.

use jiff::Timestamp;

use crate::engine::{Row, Value};
use crate::error::StoreError;
use crate::generation;
use crate::store::Store;

/// A principal as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrincipalRecord {
    /// Its name, never used again for another.
    pub name: String,
    /// The roles it has.
    pub roles: Vec<String>,
    /// When it was made.
    pub created: Timestamp,
    /// Whether its credentials are refused.
    pub disabled: bool,
}

impl Store {
    /// Stores a new principal.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the name is taken.
    pub async fn insert_principal(&self, principal: &PrincipalRecord) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let sql = "insert into principal (name, roles, created, disabled) values ($1, $2, $3, $4)";
        let values = [
            (&principal.name).into(),
            Value::list(&principal.roles),
            principal.created.into(),
            principal.disabled.into(),
        ];
        tx.execute(sql, &values)
            .await
            .map_err(|failure| failure.or_conflict(|| format!("principal `{}`", principal.name)))?;
        generation::bump(tx.as_mut()).await?;
        tx.commit().await
    }

    /// The principal of that name.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn principal(&self, name: &str) -> Result<Option<PrincipalRecord>, StoreError> {
        let sql = "select * from principal where name = $1";
        self.engine.query(sql, &[name.into()]).await?.first().map(read).transpose()
    }

    /// Up to `limit` principals in the order of their names, those after `after`.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn principals(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<PrincipalRecord>, StoreError> {
        let sql = "select * from principal where name > $1 order by name limit $2";
        let values = [after.unwrap_or_default().into(), i64::from(limit).into()];
        self.engine.query(sql, &values).await?.iter().map(read).collect()
    }

    /// All principals, in the order of their names.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn all_principals(&self) -> Result<Vec<PrincipalRecord>, StoreError> {
        self.engine.query("select * from principal order by name", &[]).await?.iter().map(read).collect()
    }

    /// Disables a principal and gives it as it is now.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is none of that name.
    pub async fn disable_principal(&self, name: &str) -> Result<PrincipalRecord, StoreError> {
        let mut tx = self.write().await?;
        let sql = "update principal set disabled = 1 where name = $1 and disabled = 0";
        let changed = tx.execute(sql, &[name.into()]).await?;
        let rows = tx.query("select * from principal where name = $1", &[name.into()]).await?;
        let row = rows.first().ok_or_else(|| StoreError::not_found(format!("principal `{name}`")))?;
        let principal = read(row)?;
        if changed > 0 {
            generation::bump(tx.as_mut()).await?;
        }
        tx.commit().await?;
        Ok(principal)
    }
}

fn read(row: &Row) -> Result<PrincipalRecord, StoreError> {
    Ok(PrincipalRecord {
        name: row.text("name")?,
        roles: row.list("roles")?,
        created: row.time("created")?,
        disabled: row.truth("disabled")?,
    })
}
