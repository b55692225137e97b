//! The repository of The Update Framework: tasks, roots, roles, artifacts, and what waits for signatures.
//!
//! What the texts mean is not known here: documents, heads, signatures and entries are JSON that others make and
//! read. Reading and writing go through a [`TufTx`], because a group of tasks is one transaction. What can be many
//! goes to and fro in bulk, as in [`crate::CollectionsTx`]: names and rows as one JSON argument a statement (on SQLite
//! rows of artifacts as many arguments), the entries of a role joined by the database.

mod artifact;
mod attempts;
mod hosted;
mod moving;
mod page;
mod pending;
mod rest;
mod role;
mod root;
mod staged;
mod targets;
mod task;
mod values;

use crate::engine::{Access, Kind, Transaction};
use crate::error::StoreError;
use crate::store::Store;

pub use artifact::{ArtifactRow, NewArtifact, StagedChange, Staging};
pub use attempts::QueuedTask;
pub use hosted::HostedRow;
pub use moving::{MovingRoles, TufProgress};
pub use page::ArtifactPage;
pub use pending::{ChallengeRow, MAX_CHALLENGES, PendingRow};
pub use role::{Moving, RoleRow};
pub use task::{NewTufTask, TaskChange, TufTask, Waiting, WaitingTufTask};

/// One state of the repository, to read, or the one transaction that writes it.
///
/// Dropped without [`TufTx::commit`], it leaves nothing behind. What was written is seen by what is read after it.
/// After an error the transaction is of no more use.
pub struct TufTx {
    tx: Box<dyn Transaction>,
    kind: Kind,
}

/// How much there is of the repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TufCounts {
    /// Roles that there ever were.
    pub roles: u64,
    /// Roles that are being published.
    pub moving: u64,
    /// Artifacts, with those that are staged.
    pub artifacts: u64,
    /// Tasks that wait.
    pub waiting: u64,
    /// Target files that are kept here.
    pub hosted: u64,
}

/// Of PostgreSQL's advisory locks the one that writers of the repository take.
const WRITERS_LOCK: i64 = 0x7475_6672_6570_6f31;

impl Store {
    /// Begins to read the repository: what follows sees one state, whatever is written meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if no connection is free within 5 s.
    pub async fn tuf_read(&self) -> Result<TufTx, StoreError> {
        Ok(TufTx { tx: self.engine.begin(Access::Snapshot).await?, kind: self.kind() })
    }

    /// Begins to write the repository. There is one writer at a time, of all nodes: others wait here, and none
    /// collides.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if others write for too long (5 s on SQLite, 30 s on PostgreSQL).
    pub async fn tuf_write(&self) -> Result<TufTx, StoreError> {
        let mut tx = self.write().await?;
        if self.kind() == Kind::Postgres {
            // Each statement after this one sees all that earlier writers did.
            tx.execute("select pg_advisory_xact_lock($1)", &[WRITERS_LOCK.into()]).await?;
        }
        Ok(TufTx { tx, kind: self.kind() })
    }
}

impl TufTx {
    /// Makes what was written durable and visible, all at once.
    ///
    /// # Errors
    /// Those of any write: then nothing was written, or, if the connection was lost at the very end, all.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.tx.commit().await
    }

    /// Makes sure that whoever has claimed the task with the number `task` and this `fence` has it still, and keeps it
    /// until the end of the transaction. What is written by virtue of a lease begins to be written, or is committed,
    /// after this.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if it was claimed again since, or is finished; those of any write.
    pub async fn hold_lease(&mut self, task: i64, fence: i64) -> Result<(), StoreError> {
        crate::tasks::hold(self.tx.as_mut(), task, fence).await
    }

    /// The document about the repository; `None`: there was never one.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn repository(&mut self) -> Result<Option<String>, StoreError> {
        let rows = self.tx.query("select document from tuf_repository", &[]).await?;
        rows.first().map(|row| row.text("document")).transpose()
    }

    /// Puts the document about the repository in the place of the old one.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn set_repository(&mut self, document: &str) -> Result<(), StoreError> {
        let sql = "insert into tuf_repository (id, document) values (1, $1)
                   on conflict (id) do update set document = excluded.document";
        self.tx.execute(sql, &[document.into()]).await?;
        Ok(())
    }

    /// How much there is. Artifacts are counted one by one.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn counts(&mut self) -> Result<TufCounts, StoreError> {
        let sql = "select (select count(*) from tuf_role) as roles,
                       (select count(*) from tuf_role where moving > 0) as moving,
                       (select count(*) from tuf_artifact) as artifacts,
                       (select count(*) from tuf_task where state = 'PENDING') as waiting,
                       (select count(*) from tuf_hosted) as hosted";
        let rows = self.tx.query(sql, &[]).await?;
        let Some(row) = rows.first() else { return Ok(TufCounts::default()) };
        Ok(TufCounts {
            roles: row.unsigned("roles")?,
            moving: row.unsigned("moving")?,
            artifacts: row.unsigned("artifacts")?,
            waiting: row.unsigned("waiting")?,
            hosted: row.unsigned("hosted")?,
        })
    }
}

impl std::fmt::Debug for TufTx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TufTx").field("kind", &self.kind).finish_non_exhaustive()
    }
}
