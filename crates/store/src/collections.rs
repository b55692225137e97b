//! Signed collections: buckets, groups, collections, records, accounts and history.
//!
//! Whatever has a URI is an *object* in a *list*: the record `/buckets/b/collections/c/records/r` is `r` in the
//! list `/buckets/b/collections/c/records`. What the objects mean is not known here. A list's objects are
//! ordered by the bytes of their ids and, each having another one, by their timestamps.
//!
//! Reading and writing go through a [`CollectionsTx`], because a request looks at many objects that belong
//! together, and a group of requests is written at once. Whatever can be many goes to and fro in bulk: keys as one
//! JSON argument a statement, rows as many arguments (on PostgreSQL as columns), the texts of a large list joined by
//! the database.

mod columns;
mod difference;
mod entries;
mod equal;
mod list;
mod member;
mod mention;
mod object;
mod sql;
mod text;
mod values;
mod write;

use std::collections::HashMap;

use jiff::Timestamp;

use crate::engine::{Access, Kind, Transaction};
use crate::error::StoreError;
use crate::store::Store;
use crate::tasks::{self, NewTask};

pub use difference::{Difference, ObjectDifference};
pub use entries::Entries;
pub use list::CollectionStates;
pub use object::{ObjectRow, Page, PageOrder, PageQuery};
pub use text::{ChangesChunk, RecordsChunk};
pub use write::Writes;

use list::ListRow;

/// One state of all objects, to read, or the one transaction that writes them.
///
/// Dropped without [`CollectionsTx::commit`], it leaves nothing behind. What was written is seen by what is
/// read after it.
pub struct CollectionsTx {
    tx: Box<dyn Transaction>,
    kind: Kind,
    /// Lists that were looked up; `None`: there is no such list.
    lists: HashMap<String, Option<ListRow>>,
}

/// Of PostgreSQL's advisory locks the one that writers of objects take.
const WRITERS_LOCK: i64 = 0x636f_6c6c_6563_7431;

impl Store {
    /// Begins to read: what follows sees one state, whatever is written meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if no connection is free within 5 s.
    pub async fn collections_read(&self) -> Result<CollectionsTx, StoreError> {
        Ok(CollectionsTx::new(self.engine.begin(Access::Snapshot).await?, self.kind()))
    }

    /// Begins to write. There is one writer at a time, of all nodes: others wait here, and none collides. Entries that
    /// are due are written first, so that what they tell of is still as it was.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if others write for too long (5 s on SQLite, 30 s on PostgreSQL).
    pub async fn collections_write(&self) -> Result<CollectionsTx, StoreError> {
        let mut tx = self.write().await?;
        if self.kind() == Kind::Postgres {
            // Each statement after this one sees all that earlier writers did.
            tx.execute("select pg_advisory_xact_lock($1)", &[WRITERS_LOCK.into()]).await?;
        }
        let mut tx = CollectionsTx::new(tx, self.kind());
        tx.write_due().await?;
        Ok(tx)
    }
}

impl CollectionsTx {
    fn new(tx: Box<dyn Transaction>, kind: Kind) -> Self {
        Self { tx, kind, lists: HashMap::new() }
    }

    /// Makes what was written durable and visible, all at once.
    ///
    /// # Errors
    /// Those of any write: then nothing was written, or, if the connection was lost at the very end, all.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.tx.commit().await
    }

    /// Adds a task that exists if this transaction is committed; `None` if one like it waits already.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn enqueue(&mut self, task: &NewTask, now: Timestamp) -> Result<Option<i64>, StoreError> {
        tasks::enqueue(self.tx.as_mut(), task, now).await
    }

    /// How many tasks of `queue` wait or run, at most `most`.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn waiting(&mut self, queue: &str, most: u32) -> Result<u64, StoreError> {
        tasks::waiting(self.tx.as_mut(), queue, most).await
    }
}

impl std::fmt::Debug for CollectionsTx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CollectionsTx").field("kind", &self.kind).finish_non_exhaustive()
    }
}
