//! One version of a tag.

use jiff::Timestamp;

use crate::engine::{Access, Row, Transaction, Value};
use crate::error::StoreError;
use crate::store::Store;

/// One version of a tag, with its signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagRecord {
    /// The tag's name.
    pub name: String,
    /// From 1.
    pub version: u64,
    /// The version that is current.
    pub current: u64,
    /// The text that is signed.
    pub payload: Vec<u8>,
    /// SHA-256 of it.
    pub payload_sha256: [u8; 32],
    /// When the version was made.
    pub created: Timestamp,
    /// In the order of the authorities' names.
    pub signatures: Vec<TagSignature>,
    /// Whether the tag, with all its versions, is hidden.
    pub hidden: Option<TagHiding>,
}

/// A signature of an authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagSignature {
    /// Who signed.
    pub authority: String,
    /// `sha256:HEX` of the key's SubjectPublicKeyInfo.
    pub key_id: String,
    /// What stands below the header line: lines of base64, each with its line feed.
    pub block: Vec<u8>,
    /// When it was stored.
    pub recorded: Timestamp,
}

/// That a tag is hidden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagHiding {
    /// Since when.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
}

impl Store {
    /// A version of a tag, also of a hidden one; `None` for the current version.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn tag(&self, name: &str, version: Option<u64>) -> Result<Option<TagRecord>, StoreError> {
        // One state of the database: a version is never seen with the signatures of a later moment.
        let mut tx = self.engine.begin(Access::Snapshot).await?;
        load(tx.as_mut(), name, version).await
    }
}

pub(super) async fn load(
    tx: &mut dyn Transaction,
    name: &str,
    version: Option<u64>,
) -> Result<Option<TagRecord>, StoreError> {
    // No version is 0.
    let wanted = Value::unsigned(version.unwrap_or(0))?;
    let sql = "select t.version as current_version, t.hidden_at, t.hidden_by, v.*
               from tag t join tag_version v on v.name = t.name
               where t.name = $1 and v.version = case when $2 = 0 then t.version else $2 end";
    let rows = tx.query(sql, &[name.into(), wanted]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let version = row.unsigned("version")?;
    let sql = "select * from tag_signature where name = $1 and version = $2 order by authority";
    let signatures = tx.query(sql, &[name.into(), Value::unsigned(version)?]).await?;
    Ok(Some(TagRecord {
        name: row.text("name")?,
        version,
        current: row.unsigned("current_version")?,
        payload: row.bytes("payload")?,
        payload_sha256: row.hash("payload_sha256")?,
        created: row.time("created")?,
        signatures: signatures.iter().map(read_signature).collect::<Result<_, _>>()?,
        hidden: read_hiding(row)?,
    }))
}

pub(super) fn read_hiding(row: &Row) -> Result<Option<TagHiding>, StoreError> {
    match (row.opt_time("hidden_at")?, row.opt_text("hidden_by")?) {
        (Some(at), Some(by)) => Ok(Some(TagHiding { at, by })),
        _ => Ok(None),
    }
}

fn read_signature(row: &Row) -> Result<TagSignature, StoreError> {
    Ok(TagSignature {
        authority: row.text("authority")?,
        key_id: row.text("key_id")?,
        block: row.bytes("block")?,
        recorded: row.time("recorded")?,
    })
}
