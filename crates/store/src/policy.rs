//! Policy, every version of it.

use jiff::Timestamp;

use crate::engine::Row;
use crate::error::StoreError;
use crate::generation;
use crate::store::Store;

/// One version of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRecord {
    /// 1 for the first, then one more each time.
    pub version: i64,
    /// `sha256:HEX` of the rules.
    pub hash: String,
    /// The rules, JSON text.
    pub rules: String,
    /// When it came into force.
    pub created: Timestamp,
    /// The principal who set it.
    pub by: String,
}

/// The next version of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPolicy {
    /// `sha256:HEX` of the rules.
    pub hash: String,
    /// The rules, JSON text.
    pub rules: String,
    /// The time now.
    pub created: Timestamp,
    /// The principal who sets it.
    pub by: String,
}

impl Store {
    /// The policy in force; `None` before the first.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn current_policy(&self) -> Result<Option<PolicyRecord>, StoreError> {
        let sql = "select * from policy order by version desc limit 1";
        self.engine.query(sql, &[]).await?.first().map(read).transpose()
    }

    /// An earlier or the current version.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn policy(&self, version: i64) -> Result<Option<PolicyRecord>, StoreError> {
        let sql = "select * from policy where version = $1";
        self.engine.query(sql, &[version.into()]).await?.first().map(read).transpose()
    }

    /// Makes `new` the policy in force, as version `expected + 1`.
    ///
    /// - `expected`: the version that the caller read; 0 if there was none.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the version in force is another one. Of parallel calls that expect
    /// the same version exactly one succeeds.
    pub async fn put_policy(&self, expected: i64, new: &NewPolicy) -> Result<PolicyRecord, StoreError> {
        let conflict = || "the policy".to_string();
        let version = expected.checked_add(1).ok_or(StoreError::Conflict { what: conflict() })?;
        let mut tx = self.write().await?;
        let rows = tx.query("select coalesce(max(version), 0) as current from policy", &[]).await?;
        let current = rows.first().map(|row| row.int("current")).transpose()?.unwrap_or_default();
        if current != expected {
            return Err(StoreError::Conflict { what: conflict() });
        }
        let sql = "insert into policy (version, hash, rules, created, created_by)
                   values ($1, $2, $3, $4, $5)";
        let values =
            [version.into(), (&new.hash).into(), (&new.rules).into(), new.created.into(), (&new.by).into()];
        // Two nodes can both have read `expected`; the version is a key, so one of them fails here.
        tx.execute(sql, &values).await.map_err(|failure| failure.or_conflict(conflict))?;
        generation::bump(tx.as_mut()).await?;
        tx.commit().await?;
        Ok(PolicyRecord {
            version,
            hash: new.hash.clone(),
            rules: new.rules.clone(),
            created: new.created,
            by: new.by.clone(),
        })
    }
}

fn read(row: &Row) -> Result<PolicyRecord, StoreError> {
    Ok(PolicyRecord {
        version: row.int("version")?,
        hash: row.text("hash")?,
        rules: row.text("rules")?,
        created: row.time("created")?,
        by: row.text("created_by")?,
    })
}
