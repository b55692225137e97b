//! The transaction of some work, which may be writing what was staged while the next call is applied.

use countersign_store::CollectionsTx;
use tokio::task::JoinHandle;

use super::staged::{self, Staged};
use crate::collections::error::Error;

/// The transaction.
pub(super) enum Tx {
    /// It waits for statements.
    Here(CollectionsTx),
    /// It is writing.
    Writing(JoinHandle<Result<CollectionsTx, Error>>),
    /// It failed to write: what was done in it is lost.
    Lost,
}

impl Tx {
    /// The transaction, when it has written what it was to write.
    ///
    /// # Errors
    /// Those of that write, and always after one.
    pub(super) async fn get(&mut self) -> Result<&mut CollectionsTx, Error> {
        if let Self::Writing(task) = self {
            let written = task.await;
            *self = Self::Lost;
            *self = Self::Here(written.map_err(|_| lost())??);
        }
        match self {
            Self::Here(tx) => Ok(tx),
            _ => Err(lost()),
        }
    }

    /// Begins to write; who asks for the transaction waits until that is done. Where it cannot, `staged` comes back.
    pub(super) fn write(&mut self, staged: Vec<Staged>) -> Result<(), Vec<Staged>> {
        match std::mem::replace(self, Self::Lost) {
            Self::Here(mut tx) => {
                *self = Self::Writing(tokio::spawn(async move {
                    tx.write(&staged::collect(staged)).await?;
                    Ok(tx)
                }));
                Ok(())
            }
            other => {
                *self = other;
                Err(staged)
            }
        }
    }

    /// Whether a write has begun and not ended.
    pub(super) fn is_writing(&self) -> bool {
        matches!(self, Self::Writing(task) if !task.is_finished())
    }

    /// Makes it durable.
    ///
    /// # Errors
    /// As [`Self::get`], and those of the commit.
    pub(super) async fn commit(mut self) -> Result<(), Error> {
        self.get().await?;
        match self {
            Self::Here(tx) => Ok(tx.commit().await?),
            _ => Err(lost()),
        }
    }
}

fn lost() -> Error {
    Error::Other(crate::Error::Internal("a transaction went on after it had failed".into()))
}
