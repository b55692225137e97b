//! Lists of tags and of versions.

use jiff::Timestamp;

use super::record::read_hiding;
use crate::engine::{Row, Value};
use crate::error::StoreError;
use crate::store::Store;

/// A tag in a list: its current version, without the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagSummary {
    /// The tag's name.
    pub name: String,
    /// The current version.
    pub version: u64,
    /// SHA-256 of its payload.
    pub payload_sha256: [u8; 32],
    /// Whose signatures it has; nothing says that they hold.
    pub authorities: Vec<String>,
    /// When the version was made.
    pub created: Timestamp,
}

/// A version in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagVersionSummary {
    /// From 1.
    pub version: u64,
    /// SHA-256 of its payload.
    pub payload_sha256: [u8; 32],
    /// Whose signatures it has.
    pub authorities: Vec<String>,
    /// When it was made.
    pub created: Timestamp,
    /// Whether the tag, with all its versions, is hidden.
    pub hidden: bool,
}

/// Which tags are listed. Hidden ones never are.
#[derive(Clone, Copy, Debug, Default)]
pub struct TagFilter<'a> {
    /// Their names begin with this. ASCII.
    pub prefix: &'a str,
    /// Their names come after this one, byte by byte.
    pub after: Option<&'a str>,
    /// Their current version is about the artifact with this digest, `sha256:HEX`.
    pub digest: Option<&'a str>,
}

impl Store {
    /// Up to `limit` tags in the order of their names' bytes.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn tags(&self, filter: &TagFilter<'_>, limit: u32) -> Result<Vec<TagSummary>, StoreError> {
        // No name is empty, so the empty one comes before all.
        let mut values: Vec<Value> = vec![
            filter.prefix.into(),
            (&end_of(filter.prefix)).into(),
            filter.after.unwrap_or_default().into(),
            i64::from(limit).into(),
        ];
        let sql = match filter.digest {
            None => {
                "select v.name, v.version, v.payload_sha256, v.authorities, v.created
                 from tag t join tag_version v on v.name = t.name and v.version = t.version
                 where t.name >= $1 and t.name < $2 and t.name > $3 and t.hidden_at is null
                 order by t.name limit $4"
            }
            Some(digest) => {
                values.push(digest.into());
                "select v.name, v.version, v.payload_sha256, v.authorities, v.created
                 from tag_version v join tag t on v.name = t.name and v.version = t.version
                 where v.digest = $5 and v.name >= $1 and v.name < $2 and v.name > $3
                   and t.hidden_at is null
                 order by v.name limit $4"
            }
        };
        self.engine.query(sql, &values).await?.iter().map(read).collect()
    }

    /// Up to `limit` versions of a tag after version `after`, in their order; none if there is no such tag.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn tag_versions(
        &self,
        name: &str,
        after: u64,
        limit: u32,
    ) -> Result<Vec<TagVersionSummary>, StoreError> {
        let sql = "select t.hidden_at, t.hidden_by, v.version, v.payload_sha256, v.authorities, v.created
                   from tag t join tag_version v on v.name = t.name
                   where t.name = $1 and v.version > $2 order by v.version limit $3";
        let values = [name.into(), Value::unsigned(after)?, i64::from(limit).into()];
        let rows = self.engine.query(sql, &values).await?;
        let read = |row: &Row| {
            Ok(TagVersionSummary {
                version: row.unsigned("version")?,
                payload_sha256: row.hash("payload_sha256")?,
                authorities: row.list("authorities")?,
                created: row.time("created")?,
                hidden: read_hiding(row)?.is_some(),
            })
        };
        rows.iter().map(read).collect()
    }
}

/// A text that comes after all names with this prefix and before all others that come after it.
fn end_of(prefix: &str) -> String {
    let mut end = prefix.to_owned();
    // Names are ASCII and end before `{`.
    match end.pop() {
        Some(last) if last.is_ascii() && last < '\x7f' => end.push(char::from(last as u8 + 1)),
        Some(last) => end.extend([last, '\x7f']),
        None => end.push('{'),
    }
    end
}

fn read(row: &Row) -> Result<TagSummary, StoreError> {
    Ok(TagSummary {
        name: row.text("name")?,
        version: row.unsigned("version")?,
        payload_sha256: row.hash("payload_sha256")?,
        authorities: row.list("authorities")?,
        created: row.time("created")?,
    })
}
