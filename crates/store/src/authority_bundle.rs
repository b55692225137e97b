//! The signed bundle of all authorities' keys: one row, whose version only grows.

use jiff::Timestamp;

use crate::engine::{Row, Value};
use crate::error::StoreError;
use crate::store::Store;

/// The bundle as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleRecord {
    /// From 1.
    pub version: u64,
    /// The signed document, JSON.
    pub document: String,
    /// SHA-256 of what it says of authorities and revocations: whether something has changed since.
    pub content: [u8; 32],
    /// When it was issued.
    pub issued: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
    /// The key that signed it, if that is kept elsewhere: `PUBLIC KEY` in PEM.
    pub root: Option<String>,
}

impl Store {
    /// The bundle in force, if one was ever issued.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn authority_bundle(&self) -> Result<Option<BundleRecord>, StoreError> {
        let sql = "select * from authority_bundle where id = 1";
        self.engine.query(sql, &[]).await?.first().map(read).transpose()
    }

    /// Puts a bundle in the place of the one before it.
    ///
    /// - `replaces`: the version that the caller has seen; 0 for none.
    /// - `generation`: that of the authorities that the bundle has ([`Self::generation`]).
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if another one is there, or something has changed since, or the new version is
    /// lower. (The same version can be put again, signed by another key.)
    pub async fn put_authority_bundle(
        &self,
        replaces: u64,
        generation: i64,
        bundle: &BundleRecord,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        // Changes nothing but holds the row: what changes authorities waits for the commit, or we for it.
        let sql = "update generation set value = value where id = 1 and value = $1";
        if tx.execute(sql, &[generation.into()]).await? != 1 {
            return Err(StoreError::conflict("the authorities of the bundle"));
        }
        let values = [
            Value::unsigned(bundle.version)?,
            (&bundle.document).into(),
            bundle.content.as_slice().into(),
            bundle.issued.into(),
            bundle.expires.into(),
            bundle.root.as_deref().into(),
            Value::unsigned(replaces)?,
        ];
        let changed = if replaces == 0 {
            let sql = "insert into authority_bundle (id, version, document, content, issued, expires, root)
                       values (1, $1, $2, $3, $4, $5, $6) on conflict (id) do nothing";
            tx.execute(sql, &values[..6]).await?
        } else {
            let sql = "update authority_bundle
                       set version = $1, document = $2, content = $3, issued = $4, expires = $5, root = $6
                       where id = 1 and version = $7 and version <= $1";
            tx.execute(sql, &values).await?
        };
        match changed {
            1 => tx.commit().await,
            _ => Err(StoreError::conflict("the bundle of authorities")),
        }
    }
}

fn read(row: &Row) -> Result<BundleRecord, StoreError> {
    Ok(BundleRecord {
        version: row.unsigned("version")?,
        document: row.text("document")?,
        content: row.hash("content")?,
        issued: row.time("issued")?,
        expires: row.time("expires")?,
        root: row.opt_text("root")?,
    })
}
