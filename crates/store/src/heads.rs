//! The last known head of every log. A log that is found shorter than its head was rolled back.

use jiff::Timestamp;

use crate::engine::{Row, Transaction, Value};
use crate::error::StoreError;
use crate::store::Store;

/// The head of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogHead {
    /// The log's name.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// Root hash of the tree of that size.
    pub root: [u8; 32],
    /// The checkpoint, a signed note.
    pub checkpoint: String,
    /// The key that signs the checkpoints, as a verifier key.
    pub verifier_key: String,
    /// When it was written.
    pub updated: Timestamp,
}

/// What came of writing a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadChange {
    /// It is stored.
    Stored,
    /// A larger one is stored, which stays.
    Behind {
        /// The size of that one.
        stored: u64,
    },
}

impl Store {
    /// The head of the log `origin`.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn log_head(&self, origin: &str) -> Result<Option<LogHead>, StoreError> {
        let sql = "select * from log_head where origin = $1";
        self.engine.query(sql, &[origin.into()]).await?.first().map(read).transpose()
    }

    /// The heads of all logs, in the order of their origins.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn log_heads(&self) -> Result<Vec<LogHead>, StoreError> {
        self.engine.query("select * from log_head order by origin", &[]).await?.iter().map(read).collect()
    }

    /// Stores a head, unless a larger one is there: a log only grows.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if one of the same size with another root is there: the log has forked.
    /// [`StoreError::Unstorable`] for a size of 2^63 or more.
    pub async fn put_log_head(&self, head: &LogHead) -> Result<HeadChange, StoreError> {
        let mut tx = self.write().await?;
        let change = put_head(tx.as_mut(), head).await?;
        if change == HeadChange::Stored {
            tx.commit().await?;
        }
        Ok(change)
    }
}

/// Stores a head in a transaction, unless a larger one is there. See [`Store::put_log_head`].
pub(crate) async fn put_head(tx: &mut dyn Transaction, head: &LogHead) -> Result<HeadChange, StoreError> {
    let sql = "insert into log_head (origin, size, root, checkpoint, verifier_key, updated)
               values ($1, $2, $3, $4, $5, $6)
               on conflict (origin) do update set
                   size = excluded.size, root = excluded.root, checkpoint = excluded.checkpoint,
                   verifier_key = excluded.verifier_key, updated = excluded.updated
               where log_head.size < excluded.size
                  or (log_head.size = excluded.size and log_head.root = excluded.root)";
    let values = [
        (&head.origin).into(),
        Value::unsigned(head.size)?,
        head.root.as_slice().into(),
        (&head.checkpoint).into(),
        (&head.verifier_key).into(),
        head.updated.into(),
    ];
    if tx.execute(sql, &values).await? == 1 {
        return Ok(HeadChange::Stored);
    }
    let sql = "select * from log_head where origin = $1";
    let rows = tx.query(sql, &[(&head.origin).into()]).await?;
    match rows.first().map(read).transpose()? {
        Some(stored) if stored.size > head.size => Ok(HeadChange::Behind { stored: stored.size }),
        _ => Err(StoreError::conflict(format!("another head of log `{}`", head.origin))),
    }
}

fn read(row: &Row) -> Result<LogHead, StoreError> {
    Ok(LogHead {
        origin: row.text("origin")?,
        size: row.unsigned("size")?,
        root: row.hash("root")?,
        checkpoint: row.text("checkpoint")?,
        verifier_key: row.text("verifier_key")?,
        updated: row.time("updated")?,
    })
}
