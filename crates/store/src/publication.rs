//! The publication log: what was published, in the order of the transactions that published it.
//!
//! The entries are here; tiles and checkpoints are made from them after the commit. A write that is
//! published calls [`publish`] last in its own transaction: there is an entry exactly if the write was made.

use std::time::Duration;

use countersign_model::digest::sha256_parts;
use jiff::Timestamp;

use crate::engine::{Row, Transaction, Value};
use crate::error::StoreError;
use crate::heads::{HeadChange, LogHead, put_head};
use crate::store::Store;

/// The longest leaf, in bytes: what a bundle of entries can hold (C2SP tlog-tiles).
pub const MAX_LEAF: usize = u16::MAX as usize;

/// An entry of the publication log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicationEntry {
    /// Its number, from 0.
    pub index: u64,
    /// Its bytes; `None` once it is masked.
    pub leaf: Option<Vec<u8>>,
    /// SHA-256(`0x00` ‖ leaf), as in RFC 6962, 2.1.
    pub hash: [u8; 32],
}

/// The right to write tiles and checkpoint, for one node and a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicationLease {
    /// Grows with every lease: who has an older one writes no more.
    pub fence: i64,
}

/// Adds leaves to the publication log and gives the number of the first one. To be called last in a
/// transaction: it locks a row that every such transaction needs until the commit, so that the order of the
/// numbers is that of the commits, and a transaction that is given up leaves no gap. Where the generation is
/// counted too, that comes after this: in one order for all, nothing waits in a circle.
pub(crate) async fn publish(tx: &mut dyn Transaction, leaves: &[Vec<u8>]) -> Result<u64, StoreError> {
    if leaves.iter().any(|leaf| leaf.len() > MAX_LEAF) {
        return Err(StoreError::Unstorable { what: "a log entry of more than 65 535 bytes" });
    }
    let count = Value::unsigned(leaves.len() as u64)?;
    let sql = "update publication_state set size = size + $1 where id = 1 returning size";
    let rows = tx.query(sql, &[count]).await?;
    let size = rows.first().ok_or_else(missing)?.unsigned("size")?;
    let first = size.checked_sub(leaves.len() as u64).ok_or_else(missing)?;
    let sql = "insert into publication_entry (number, leaf, leaf_hash) values ($1, $2, $3)";
    for (number, leaf) in (first..).zip(leaves) {
        let hash = sha256_parts(&[&[0x00], leaf]);
        tx.execute(sql, &[Value::unsigned(number)?, leaf.into(), hash.as_slice().into()]).await?;
    }
    Ok(first)
}

/// Takes the bytes of an entry away; its hash stays. Tells whether there is an entry of that number.
pub(crate) async fn mask(tx: &mut dyn Transaction, index: u64) -> Result<bool, StoreError> {
    let sql = "update publication_entry set leaf = null where number = $1";
    Ok(tx.execute(sql, &[Value::unsigned(index)?]).await? == 1)
}

impl Store {
    /// Adds leaves to the publication log, and nothing else, and gives the number of the first one.
    ///
    /// # Errors
    /// [`StoreError::Unstorable`] for a leaf of more than [`MAX_LEAF`] bytes.
    pub async fn publish_leaves(&self, leaves: &[Vec<u8>]) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let first = publish(tx.as_mut(), leaves).await?;
        tx.commit().await?;
        Ok(first)
    }

    /// Takes the bytes of an entry away, for good; its hash stays, and so does every proof. Tells whether
    /// there is an entry of that number.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn mask_publication_entry(&self, index: u64) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let found = mask(tx.as_mut(), index).await?;
        tx.commit().await?;
        Ok(found)
    }

    /// The number of entries in the publication log.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn publication_size(&self) -> Result<u64, StoreError> {
        let rows = self.engine.query("select size from publication_state where id = 1", &[]).await?;
        rows.first().ok_or_else(missing)?.unsigned("size")
    }

    /// Up to `limit` entries from number `first` on.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn publication_entries(
        &self,
        first: u64,
        limit: u32,
    ) -> Result<Vec<PublicationEntry>, StoreError> {
        let sql = "select number, leaf, leaf_hash from publication_entry
                   where number >= $1 order by number limit $2";
        let values = [Value::unsigned(first)?, i64::from(limit).into()];
        self.engine.query(sql, &values).await?.iter().map(read).collect()
    }

    /// The hashes of up to `limit` entries from number `first` on.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if entries are missing between them; those of any read.
    pub async fn publication_hashes(&self, first: u64, limit: u32) -> Result<Vec<[u8; 32]>, StoreError> {
        let sql = "select number, leaf_hash from publication_entry
                   where number >= $1 order by number limit $2";
        let values = [Value::unsigned(first)?, i64::from(limit).into()];
        let rows = self.engine.query(sql, &values).await?;
        let hash_of = |(number, row): (u64, &Row)| match row.unsigned("number")? {
            there if there == number => row.hash("leaf_hash"),
            _ => Err(StoreError::corrupt(format!("entry {number} of the publication log is gone"))),
        };
        (first..).zip(&rows).map(hash_of).collect()
    }

    /// The number of the first entry with this leaf hash.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn publication_index(&self, hash: &[u8; 32]) -> Result<Option<u64>, StoreError> {
        let sql = "select number from publication_entry where leaf_hash = $1 order by number limit 1";
        let rows = self.engine.query(sql, &[hash.as_slice().into()]).await?;
        rows.first().map(|row| row.unsigned("number")).transpose()
    }

    /// Takes the lease on publishing for `node`, for as long as `length`; `None` while another node has it.
    ///
    /// Leases are compared with the clock of the node that asks. Nodes whose clocks differ by more publish
    /// at the same time at worst: the fence lets one of them record a head.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn lease_publication(
        &self,
        node: &str,
        now: Timestamp,
        length: Duration,
    ) -> Result<Option<PublicationLease>, StoreError> {
        let mut tx = self.write().await?;
        let sql = "update publication_lease set node = $1, until = $2, fence = fence + 1
                   where id = 1 and (node is null or node = $1 or until <= $3)
                   returning fence";
        let length = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
        let until = now.as_millisecond().saturating_add(length);
        let rows = tx.query(sql, &[node.into(), until.into(), now.into()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let lease = PublicationLease { fence: row.int("fence")? };
        tx.commit().await?;
        Ok(Some(lease))
    }

    /// Gives a lease back. One that was taken over since is left alone.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn release_publication(&self, lease: PublicationLease) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let sql = "update publication_lease set node = null where id = 1 and fence = $1";
        tx.execute(sql, &[lease.fence.into()]).await?;
        tx.commit().await
    }

    /// Stores the head of the publication log, unless a larger one is there.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if another node has the lease; those of [`Store::put_log_head`].
    pub async fn put_publication_head(
        &self,
        head: &LogHead,
        lease: PublicationLease,
    ) -> Result<HeadChange, StoreError> {
        let mut tx = self.write().await?;
        // An update and not a query: it holds the row until the head is there.
        let sql = "update publication_lease set fence = fence where id = 1 and fence = $1";
        if tx.execute(sql, &[lease.fence.into()]).await? != 1 {
            return Err(StoreError::LeaseLost { what: "the lease on publishing".into() });
        }
        let change = put_head(tx.as_mut(), head).await?;
        if change == HeadChange::Stored {
            tx.commit().await?;
        }
        Ok(change)
    }
}

fn read(row: &Row) -> Result<PublicationEntry, StoreError> {
    Ok(PublicationEntry {
        index: row.unsigned("number")?,
        leaf: row.opt_bytes("leaf")?,
        hash: row.hash("leaf_hash")?,
    })
}

fn missing() -> StoreError {
    StoreError::corrupt("the row of table `publication_state` is gone")
}
