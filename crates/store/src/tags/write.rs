//! Writing tags. Every change is one transaction, with its entry in the publication log.

use jiff::Timestamp;

use super::record::{TagRecord, TagSignature, load};
use crate::engine::{Access, Transaction, Value};
use crate::error::StoreError;
use crate::publication::publish;
use crate::recorded::{RecordedSignature, record};
use crate::store::Store;

/// What is to be written under a name.
#[derive(Clone, Copy, Debug)]
pub struct TagWrite<'a> {
    /// The tag's name.
    pub name: &'a str,
    /// The text that is signed.
    pub payload: &'a [u8],
    /// SHA-256 of it.
    pub payload_sha256: [u8; 32],
    /// Its fingerprint, as the signing log would have it.
    pub to_sign: [u8; 32],
    /// The artifact's digest, `sha256:HEX`, if the payload is a head.
    pub digest: Option<&'a str>,
    /// Signatures that were checked. An older one of the same authority is replaced.
    pub signatures: &'a [TagSignature],
    /// The state that it was decided on.
    pub expected: ExpectedTag,
    /// Now.
    pub now: Timestamp,
}

/// What a writer saw, and what they want of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectedTag {
    /// No such tag: to be made.
    Absent,
    /// This version is current and has the same payload: signatures are to be added to it.
    Same(u64),
    /// This version is current and has another payload: a new version is to be made.
    Other(u64),
}

/// What came of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WrittenTag {
    /// It is stored.
    Stored {
        /// The version that was written to, as it is now.
        tag: Box<TagRecord>,
        /// Its entry in the publication log; `None` if there was nothing to change.
        index: Option<u64>,
    },
    /// The state is another one than expected: nothing was written.
    Changed,
    /// The path of a signature of another tag would mean this one: nothing was written.
    Ambiguous {
        /// The other tag.
        other: String,
    },
}

/// Makes the entry of a change from what the tag is after it.
type Leaf<'a> = &'a (dyn Fn(&TagRecord) -> Vec<u8> + Send + Sync);

impl Store {
    /// Makes a tag or a version of it, or adds signatures to the current version.
    ///
    /// - `leaf`: makes the entry in the publication log from the version as it is then.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn write_tag(&self, write: &TagWrite<'_>, leaf: Leaf<'_>) -> Result<WrittenTag, StoreError> {
        let mut tx = self.write().await?;
        let tx_ = tx.as_mut();
        let Some(version) = take_place(tx_, write).await? else { return Ok(WrittenTag::Changed) };
        if !add_signatures(tx_, write, version).await? {
            let tag = reload(tx_, write.name, Some(version)).await?;
            return Ok(WrittenTag::Stored { tag: Box::new(tag), index: None });
        }
        let recorded = write.signatures.iter().map(|signature| RecordedSignature {
            key_id: signature.key_id.clone(),
            to_sign: write.to_sign,
            at: signature.recorded,
        });
        record(tx_, &recorded.collect::<Vec<_>>()).await?;
        let tag = reload(tx_, write.name, Some(version)).await?;
        let index = publish(tx_, &[leaf(&tag)]).await?;
        // Now that nobody else can publish: what is checked cannot change before the commit.
        let names: Vec<&str> = write.signatures.iter().map(|s| s.authority.as_str()).collect();
        if let Some(other) = shadowed(tx_, write.name, &names, write.expected).await? {
            return Ok(WrittenTag::Ambiguous { other });
        }
        tx.commit().await?;
        Ok(WrittenTag::Stored { tag: Box::new(tag), index: Some(index) })
    }

    /// The tag whose signature's path would mean another thing after such a write, if there is one: to be
    /// asked before something is signed.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn shadowed_tag(
        &self,
        name: &str,
        authorities: &[&str],
        expected: ExpectedTag,
    ) -> Result<Option<String>, StoreError> {
        let mut tx = self.engine.begin(Access::Snapshot).await?;
        shadowed(tx.as_mut(), name, authorities, expected).await
    }

    /// Hides a tag with all its versions, and gives its current version and the number of the entry; one
    /// that is hidden already, or whose current version is another one than `seen`, stays as it is.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn hide_tag(
        &self,
        name: &str,
        seen: u64,
        by: &str,
        now: Timestamp,
        leaf: Leaf<'_>,
    ) -> Result<(TagRecord, Option<u64>), StoreError> {
        let sql = "update tag set hidden_at = $3, hidden_by = $4
                   where name = $1 and version = $2 and hidden_at is null";
        let values = [name.into(), Value::unsigned(seen)?, now.into(), by.into()];
        self.change_tag(name, sql, &values, leaf).await
    }

    /// Shows a hidden tag again, and gives its current version and the number of the entry; one that is not
    /// hidden stays as it is.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn restore_tag(
        &self,
        name: &str,
        leaf: Leaf<'_>,
    ) -> Result<(TagRecord, Option<u64>), StoreError> {
        let sql =
            "update tag set hidden_at = null, hidden_by = null where name = $1 and hidden_at is not null";
        self.change_tag(name, sql, &[name.into()], leaf).await
    }

    async fn change_tag(
        &self,
        name: &str,
        sql: &'static str,
        values: &[Value],
        leaf: Leaf<'_>,
    ) -> Result<(TagRecord, Option<u64>), StoreError> {
        let mut tx = self.write().await?;
        let changed = tx.execute(sql, values).await? == 1;
        let tag = load(tx.as_mut(), name, None).await?;
        let tag = tag.ok_or_else(|| StoreError::not_found(format!("tag `{name}`")))?;
        if !changed {
            return Ok((tag, None));
        }
        let index = publish(tx.as_mut(), &[leaf(&tag)]).await?;
        tx.commit().await?;
        Ok((tag, Some(index)))
    }
}

/// Locks the tag and makes the version if it is a new one. `None` if the state is not the expected one.
async fn take_place(tx: &mut dyn Transaction, write: &TagWrite<'_>) -> Result<Option<u64>, StoreError> {
    let name = write.name;
    let (version, taken) = match write.expected {
        ExpectedTag::Absent => {
            let sql = "insert into tag (name, version, created) values ($1, 1, $2)
                       on conflict (name) do nothing";
            (1, tx.execute(sql, &[name.into(), write.now.into()]).await?)
        }
        ExpectedTag::Same(seen) => {
            // Changes nothing but holds the row.
            let sql = "update tag set version = version
                       where name = $1 and version = $2 and hidden_at is null";
            (seen, tx.execute(sql, &[name.into(), Value::unsigned(seen)?]).await?)
        }
        ExpectedTag::Other(seen) => {
            let sql = "update tag set version = version + 1
                       where name = $1 and version = $2 and hidden_at is null";
            (seen.saturating_add(1), tx.execute(sql, &[name.into(), Value::unsigned(seen)?]).await?)
        }
    };
    if taken != 1 {
        return Ok(None);
    }
    if !matches!(write.expected, ExpectedTag::Same(_)) {
        let sql = "insert into tag_version
                       (name, version, payload, payload_sha256, digest, authorities, created)
                   values ($1, $2, $3, $4, $5, '[]', $6)";
        let values = [
            name.into(),
            Value::unsigned(version)?,
            write.payload.into(),
            write.payload_sha256.as_slice().into(),
            write.digest.into(),
            write.now.into(),
        ];
        tx.execute(sql, &values).await?;
    }
    Ok(Some(version))
}

/// Whether there was anything to change.
async fn add_signatures(
    tx: &mut dyn Transaction,
    write: &TagWrite<'_>,
    version: u64,
) -> Result<bool, StoreError> {
    let place = [write.name.into(), Value::unsigned(version)?];
    let mut changed = !matches!(write.expected, ExpectedTag::Same(_));
    for signature in write.signatures {
        let sql = "insert into tag_signature (name, version, authority, key_id, block, recorded)
                   values ($1, $2, $3, $4, $5, $6)
                   on conflict (name, version, authority) do update set
                       key_id = excluded.key_id, block = excluded.block, recorded = excluded.recorded
                   where tag_signature.block <> excluded.block";
        let mut values = place.to_vec();
        values.extend([
            (&signature.authority).into(),
            (&signature.key_id).into(),
            (&signature.block).into(),
            signature.recorded.into(),
        ]);
        changed |= tx.execute(sql, &values).await? == 1;
    }
    if changed {
        let sql = "select authority from tag_signature where name = $1 and version = $2 order by authority";
        let rows = tx.query(sql, &place).await?;
        let names: Vec<String> = rows.iter().map(|row| row.text("authority")).collect::<Result<_, _>>()?;
        let sql = "update tag_version set authorities = $3 where name = $1 and version = $2";
        let [name, version] = place;
        tx.execute(sql, &[name, version, Value::list(&names)]).await?;
    }
    Ok(changed)
}

async fn reload(tx: &mut dyn Transaction, name: &str, version: Option<u64>) -> Result<TagRecord, StoreError> {
    let tag = load(tx, name, version).await?;
    tag.ok_or_else(|| StoreError::corrupt(format!("tag `{name}` has no current version")))
}

/// The path `NAME.AUTHORITY.sig` means the longest name that there is. So a new tag `a.b` would take the path
/// `a.b.c.sig` from tag `a` with a signature of `b.c`, and so would a signature of `c` on an older tag `a.b`.
async fn shadowed(
    tx: &mut dyn Transaction,
    name: &str,
    authorities: &[&str],
    expected: ExpectedTag,
) -> Result<Option<String>, StoreError> {
    // An authority's name has at most 64 bytes, and at least one of them is not of this name.
    let near = name.len().saturating_sub(64);
    for (dot, _) in name.match_indices('.').filter(|(dot, _)| *dot >= near) {
        let (shorter, rest) = (&name[..dot], &name[dot + 1..]);
        let sql = "select distinct authority from tag_signature where name = $1";
        for row in tx.query(sql, &[shorter.into()]).await? {
            let there = row.text("authority")?;
            let Some(end) = there.strip_prefix(rest).and_then(|end| end.strip_prefix('.')) else { continue };
            if expected == ExpectedTag::Absent || authorities.contains(&end) {
                return Ok(Some(shorter.to_owned()));
            }
        }
    }
    Ok(None)
}
