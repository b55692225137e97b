//! Target files that are kept here.

use jiff::Timestamp;

use super::TufTx;
use crate::engine::{Row, Value};
use crate::error::StoreError;
use crate::sql::{Sql, items, over_items};

/// A target file that is kept here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostedRow {
    /// The file: `DIR/SHA256.NAME`.
    pub name: String,
    /// The artifact: `DIR/NAME`.
    pub path: String,
    /// In bytes.
    pub length: u64,
    /// Hex.
    pub sha256: String,
    /// When it was last uploaded.
    pub added: Timestamp,
}

const REMOVE: Sql = over_items!("delete from tuf_hosted where name in (select item.value ->> 0 from", ")");

const TOUCH: Sql =
    over_items!("update tuf_hosted set added = $2 where path in (select item.value ->> 0 from", ")");

impl TufTx {
    /// The artifacts of these paths change at `now`: their files are as young as if they were uploaded then.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn touch_hosted(&mut self, paths: &[String], now: Timestamp) -> Result<(), StoreError> {
        if self.tx.query("select 1 from tuf_hosted limit 1", &[]).await?.is_empty() {
            return Ok(());
        }
        let values = [items(paths.iter().map(String::as_str)), now.into()];
        self.tx.execute(TOUCH.of(self.kind), &values).await?;
        Ok(())
    }

    /// The file of that name.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn hosted_file(&mut self, name: &str) -> Result<Option<HostedRow>, StoreError> {
        let sql = "select name, path, length, sha256, added from tuf_hosted where name = $1";
        self.tx.query(sql, &[name.into()]).await?.first().map(read).transpose()
    }

    /// Remembers a file. One that is there already was uploaded again.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn put_hosted(&mut self, file: &HostedRow) -> Result<(), StoreError> {
        let sql = "insert into tuf_hosted (name, path, length, sha256, added) values ($1, $2, $3, $4, $5)
                   on conflict (name) do update set path = excluded.path, length = excluded.length,
                       sha256 = excluded.sha256, added = excluded.added";
        let values = [
            (&file.name).into(),
            (&file.path).into(),
            Value::unsigned(file.length)?,
            (&file.sha256).into(),
            file.added.into(),
        ];
        self.tx.execute(sql, &values).await?;
        Ok(())
    }

    /// How many bytes all files have. They are looked at one by one.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn hosted_bytes(&mut self) -> Result<u64, StoreError> {
        let sql = "select cast(coalesce(sum(length), 0) as bigint) as bytes from tuf_hosted";
        self.tx.query(sql, &[]).await?.first().map_or(Ok(0), |row| row.unsigned("bytes"))
    }

    /// Some of the files, in the order of their names.
    ///
    /// - `after`: the name of the last one that is known.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn hosted(&mut self, after: Option<&str>, limit: u32) -> Result<Vec<HostedRow>, StoreError> {
        let sql =
            "select name, path, length, sha256, added from tuf_hosted where name > $1 order by name limit $2";
        let values = [after.unwrap_or_default().into(), i64::from(limit).into()];
        let rows = self.tx.query(sql, &values).await?;
        rows.iter().map(read).collect()
    }

    /// Forgets files.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn remove_hosted(&mut self, names: &[String]) -> Result<(), StoreError> {
        let values = [items(names.iter().map(String::as_str))];
        self.tx.execute(REMOVE.of(self.kind), &values).await?;
        Ok(())
    }
}

fn read(row: &Row) -> Result<HostedRow, StoreError> {
    Ok(HostedRow {
        name: row.text("name")?,
        path: row.text("path")?,
        length: row.unsigned("length")?,
        sha256: row.text("sha256")?,
        added: row.time("added")?,
    })
}
