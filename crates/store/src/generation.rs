//! One number that grows with every change of a key, principal, token or policy.
//!
//! A node that keeps these in memory asks for the number, and reads them again when it is another one.
//! It reads the number first and the records after it: then what it holds is at least as new.

use crate::engine::Transaction;
use crate::error::StoreError;
use crate::store::Store;

impl Store {
    /// The number now.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn generation(&self) -> Result<i64, StoreError> {
        let rows = self.engine.query("select value from generation where id = 1", &[]).await?;
        rows.first().ok_or_else(missing)?.int("value")
    }
}

/// Counts a change. To be called last in a transaction: it locks the row that every such transaction
/// needs, so called last nothing can wait in a circle, and the lock is short.
pub(crate) async fn bump(tx: &mut dyn Transaction) -> Result<(), StoreError> {
    match tx.execute("update generation set value = value + 1 where id = 1", &[]).await? {
        1 => Ok(()),
        _ => Err(missing()),
    }
}

fn missing() -> StoreError {
    StoreError::corrupt("the row of table `generation` is gone")
}
