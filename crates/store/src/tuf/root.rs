//! Roots: each that ever was in force, as it was signed.

use super::TufTx;
use crate::engine::Value;
use crate::error::StoreError;

impl TufTx {
    /// Adds a root that is in force from now on; its file is not there yet.
    ///
    /// - `document`: the whole file.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if there is one of that version, and those of any write.
    pub async fn put_root(&mut self, version: u64, document: &str) -> Result<(), StoreError> {
        let sql = "insert into tuf_root (version, document, published) values ($1, $2, 0)";
        let added = self.tx.execute(sql, &[Value::unsigned(version)?, document.into()]).await;
        added.map(drop).map_err(|failure| failure.or_conflict(|| format!("root {version}")))
    }

    /// The root of that version.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn root(&mut self, version: u64) -> Result<Option<String>, StoreError> {
        let sql = "select document from tuf_root where version = $1";
        let rows = self.tx.query(sql, &[Value::unsigned(version)?]).await?;
        rows.first().map(|row| row.text("document")).transpose()
    }

    /// The root in force, with its version.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn newest_root(&mut self) -> Result<Option<(u64, String)>, StoreError> {
        let sql = "select version, document from tuf_root order by version desc limit 1";
        let rows = self.tx.query(sql, &[]).await?;
        rows.first().map(|row| Ok((row.unsigned("version")?, row.text("document")?))).transpose()
    }

    /// The newest root whose file clients can fetch, with its version.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn newest_published_root(&mut self) -> Result<Option<(u64, String)>, StoreError> {
        let sql = "select version, document from tuf_root where published = 1 order by version desc limit 1";
        let rows = self.tx.query(sql, &[]).await?;
        rows.first().map(|row| Ok((row.unsigned("version")?, row.text("document")?))).transpose()
    }

    /// Roots whose files clients cannot fetch yet, by rising versions.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn unpublished_roots(&mut self) -> Result<Vec<(u64, String)>, StoreError> {
        let sql = "select version, document from tuf_root where published = 0 order by version";
        let rows = self.tx.query(sql, &[]).await?;
        rows.iter().map(|row| Ok((row.unsigned("version")?, row.text("document")?))).collect()
    }

    /// Remembers that a root's file can be fetched.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn set_root_published(&mut self, version: u64) -> Result<(), StoreError> {
        let sql = "update tuf_root set published = 1 where version = $1";
        self.tx.execute(sql, &[Value::unsigned(version)?]).await?;
        Ok(())
    }

    /// Whether there is a root of that version whose file can be fetched.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn root_is_published(&mut self, version: u64) -> Result<bool, StoreError> {
        let sql = "select 1 from tuf_root where version = $1 and published = 1";
        Ok(!self.tx.query(sql, &[Value::unsigned(version)?]).await?.is_empty())
    }
}
