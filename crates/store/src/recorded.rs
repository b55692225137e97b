//! When keys signed what, as the signing logs say: an index of the logs, to judge old signatures of a key
//! that was revoked for a part of its time.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::engine::{Transaction, Value};
use crate::error::StoreError;
use crate::store::Store;

/// That a key signed something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedSignature {
    /// `sha256:HEX` of the SubjectPublicKeyInfo.
    pub key_id: String,
    /// The fingerprint of what was signed, as the log's entries have it.
    pub to_sign: [u8; 32],
    /// When.
    pub at: Timestamp,
}

/// The first and the last time that a key signed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedTimes {
    /// The first.
    pub first: Timestamp,
    /// The last.
    pub last: Timestamp,
}

impl Store {
    /// How many entries of the log `origin` are in the index.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn recorded_until(&self, origin: &str) -> Result<u64, StoreError> {
        let sql = "select size from recorded_until where origin = $1";
        let rows = self.engine.query(sql, &[origin.into()]).await?;
        rows.first().map_or(Ok(0), |row| row.unsigned("size"))
    }

    /// Takes entries into the index; afterwards it has those of `origin` below `until`. Doing it twice does
    /// no harm.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn add_recorded(
        &self,
        origin: &str,
        until: u64,
        signatures: &[RecordedSignature],
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        record(tx.as_mut(), signatures).await?;
        let sql = "insert into recorded_until (origin, size) values ($1, $2)
                   on conflict (origin) do update set size = excluded.size
                   where recorded_until.size < excluded.size";
        tx.execute(sql, &[origin.into(), Value::unsigned(until)?]).await?;
        tx.commit().await
    }

    /// When the key signed this; `None` if no log says so.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn recorded_times(
        &self,
        key_id: &str,
        to_sign: &[u8; 32],
    ) -> Result<Option<RecordedTimes>, StoreError> {
        let sql = "select * from recorded_signature where key_id = $1 and to_sign = $2";
        let rows = self.engine.query(sql, &[key_id.into(), to_sign.as_slice().into()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(RecordedTimes { first: row.time("first_at")?, last: row.time("last_at")? }))
    }
}

/// Takes signatures into the index: also those of keys that are not kept here, when they are published. All
/// transactions take the rows in one order, so that none waits for another in a circle.
pub(crate) async fn record(
    tx: &mut dyn Transaction,
    signatures: &[RecordedSignature],
) -> Result<(), StoreError> {
    let mut rows: BTreeMap<(&str, &[u8; 32]), RecordedTimes> = BTreeMap::new();
    for RecordedSignature { key_id, to_sign, at } in signatures {
        let times = rows.entry((key_id, to_sign)).or_insert(RecordedTimes { first: *at, last: *at });
        times.first = times.first.min(*at);
        times.last = times.last.max(*at);
    }
    let sql = "insert into recorded_signature (key_id, to_sign, first_at, last_at) values ($1, $2, $3, $4)
               on conflict (key_id, to_sign) do update set
                   first_at = case when excluded.first_at < recorded_signature.first_at
                              then excluded.first_at else recorded_signature.first_at end,
                   last_at = case when excluded.last_at > recorded_signature.last_at
                             then excluded.last_at else recorded_signature.last_at end";
    for ((key_id, to_sign), RecordedTimes { first, last }) in rows {
        let values = [key_id.into(), to_sign.as_slice().into(), first.into(), last.into()];
        tx.execute(sql, &values).await?;
    }
    Ok(())
}
