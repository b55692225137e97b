//! Durable work. A task is done by one worker at a time, under a lease; if the worker dies the lease
//! ends and another one goes on. Each claim has a fence, a number that grows: a worker that lost its
//! lease can no longer finish or fail the task.
//!
//! Leases are compared with the clock of the node that claims. Nodes whose clocks differ by more than a
//! lease run a task twice at worst, and the fence lets one of them finish.

use std::time::Duration;

use jiff::Timestamp;

use crate::engine::{Kind, Row, Transaction, Value, unreadable};
use crate::error::StoreError;
use crate::store::Store;

/// A task to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTask {
    /// Which workers take it.
    pub queue: String,
    /// While a task of this queue with this key waits or runs, no second one is made.
    pub key: Option<String>,
    /// What to do, JSON text.
    pub payload: String,
    /// Not before this time.
    pub run_at: Timestamp,
    /// How often it is tried, at least 1; then it is dead.
    pub max_attempts: u32,
}

/// A task that this worker has claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its number.
    pub id: i64,
    /// Names this claim.
    pub fence: i64,
    /// Its queue.
    pub queue: String,
    /// What to do, JSON text.
    pub payload: String,
    /// How often it was claimed, this time included.
    pub attempts: u32,
}

/// A task as the operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskRecord {
    /// Its number.
    pub id: i64,
    /// Its queue.
    pub queue: String,
    /// Its key, if it has one.
    pub key: Option<String>,
    /// What to do, JSON text.
    pub payload: String,
    /// What will become of it.
    pub state: TaskState,
    /// Not before this time.
    pub run_at: Timestamp,
    /// How often it was claimed.
    pub attempts: u32,
    /// How often it is tried.
    pub max_attempts: u32,
    /// Who has it, and until when.
    pub lease: Option<(String, Timestamp)>,
    /// What the last failure said.
    pub error: Option<String>,
    /// When it was made.
    pub created: Timestamp,
}

/// What will become of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// It waits or runs.
    Waiting,
    /// It failed too often and is left for the operator.
    Dead,
}

/// What became of a task that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// It will be tried again.
    Retried,
    /// It was the last attempt.
    Dead,
}

impl Store {
    /// Stores a task and gives its number; `None` if one with its key waits already.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn enqueue(&self, task: &NewTask, now: Timestamp) -> Result<Option<i64>, StoreError> {
        let mut tx = self.write().await?;
        let id = enqueue(tx.as_mut(), task, now).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Claims the task of `queue` that is due first, for as long as `lease`.
    ///
    /// Tasks that were claimed for the last time and not finished are dead from now on: they may be what
    /// killed the worker.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn claim(
        &self,
        queue: &str,
        now: Timestamp,
        lease: Duration,
        owner: &str,
    ) -> Result<Option<Task>, StoreError> {
        let mut tx = self.write().await?;
        let bury = match self.kind() {
            Kind::Sqlite => BURY_SQLITE,
            Kind::Postgres => BURY_POSTGRES,
        };
        let buried = tx.execute(bury, &[queue.into(), now.into()]).await?;
        let claim = match self.kind() {
            Kind::Sqlite => CLAIM_SQLITE,
            Kind::Postgres => CLAIM_POSTGRES,
        };
        let values = [owner.into(), lease_end(now, lease), queue.into(), now.into()];
        let rows = tx.query(claim, &values).await?;
        let task = rows.first().map(read_task).transpose()?;
        if task.is_some() || buried > 0 {
            tx.commit().await?;
        }
        Ok(task)
    }

    /// Keeps a claimed task for as long as `lease` from now.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if it was claimed again since, or is finished.
    pub async fn renew(
        &self,
        id: i64,
        fence: i64,
        now: Timestamp,
        lease: Duration,
    ) -> Result<(), StoreError> {
        let sql = "update task set locked_until = $3
                   where id = $1 and fence = $2 and state = 'waiting' and locked_until is not null";
        self.settle(id, sql, &[id.into(), fence.into(), lease_end(now, lease)]).await
    }

    /// Gives back the tasks of `queue` that `owner` has claimed: it is not at them any more, because it has just
    /// started. They can be claimed at once.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn release_claims(&self, queue: &str, owner: &str) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let sql = "update task set locked_by = null, locked_until = null
                   where queue = $1 and locked_by = $2 and state = 'waiting'";
        tx.execute(sql, &[queue.into(), owner.into()]).await?;
        tx.commit().await
    }

    /// Ends a claimed task: it is done, and removed.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if it was claimed again since, or is finished.
    pub async fn finish(&self, id: i64, fence: i64) -> Result<(), StoreError> {
        let sql = "delete from task
                   where id = $1 and fence = $2 and state = 'waiting' and locked_until is not null";
        self.settle(id, sql, &[id.into(), fence.into()]).await
    }

    /// Gives a claimed task back: it is tried again at `retry_at`, or dead after its last attempt.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if it was claimed again since, or is finished.
    pub async fn fail(
        &self,
        id: i64,
        fence: i64,
        error: &str,
        retry_at: Timestamp,
    ) -> Result<Failed, StoreError> {
        let mut tx = self.write().await?;
        let sql = "update task
                   set locked_by = null, locked_until = null, error = $3, run_at = $4,
                       state = case when attempts < max_attempts then 'waiting' else 'dead' end
                   where id = $1 and fence = $2 and state = 'waiting' and locked_until is not null
                   returning state";
        let values = [id.into(), fence.into(), error.into(), retry_at.into()];
        let rows = tx.query(sql, &values).await?;
        let state = rows.first().ok_or_else(|| lost(id))?.text("state")?;
        tx.commit().await?;
        Ok(if state == "dead" { Failed::Dead } else { Failed::Retried })
    }

    /// Up to `limit` tasks in the order of their numbers, those after `after`, of all queues.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn tasks(&self, after: i64, limit: u32) -> Result<Vec<TaskRecord>, StoreError> {
        let sql = "select * from task where id > $1 order by id limit $2";
        let values = [after.into(), i64::from(limit).into()];
        self.engine.query(sql, &values).await?.iter().map(read_record).collect()
    }

    /// Tries a dead task again from the beginning. Tells whether there is a dead one with that number
    /// and no other with its key waits.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn revive(&self, id: i64, run_at: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let sql = "update task set state = 'waiting', attempts = 0, run_at = $2
                   where id = $1 and state = 'dead'";
        match tx.execute(sql, &[id.into(), run_at.into()]).await {
            Ok(0) | Err(crate::error::Failure::Unique) => Ok(false),
            Ok(_) => tx.commit().await.map(|()| true),
            Err(other) => Err(other.into()),
        }
    }

    /// Removes a dead task. Tells whether there was one with that number.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn remove_dead(&self, id: i64) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let removed = tx.execute("delete from task where id = $1 and state = 'dead'", &[id.into()]).await?;
        tx.commit().await?;
        Ok(removed > 0)
    }

    /// Removes the dead tasks of `queue` that were to be tried before `before`, and says how many.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn forget_dead(&self, queue: &str, before: Timestamp) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let sql = "delete from task where queue = $1 and state = 'dead' and run_at < $2";
        let removed = tx.execute(sql, &[queue.into(), before.into()]).await?;
        tx.commit().await?;
        Ok(removed)
    }

    async fn settle(&self, id: i64, sql: &'static str, values: &[Value]) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        if tx.execute(sql, values).await? != 1 {
            return Err(lost(id));
        }
        tx.commit().await
    }
}

/// The claim on a task, which nobody else can take while this is there, however late it has become.
pub struct HeldClaim {
    // Rolled back when it is dropped: nothing was written.
    _tx: Box<dyn Transaction>,
}

impl Store {
    /// Makes sure that the task is claimed with this `fence`, and keeps it from being claimed again until what is given
    /// is dropped: for a step outside of the database that must not be made by whoever has lost the task.
    ///
    /// A transaction is open meanwhile, so let it be short.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if it was claimed again since, or is finished.
    pub async fn hold_claim(&self, id: i64, fence: i64) -> Result<HeldClaim, StoreError> {
        let mut tx = self.write().await?;
        hold(tx.as_mut(), id, fence).await?;
        Ok(HeldClaim { _tx: tx })
    }
}

/// Locks a claimed task for the rest of a transaction.
pub(crate) async fn hold(tx: &mut dyn Transaction, id: i64, fence: i64) -> Result<(), StoreError> {
    let sql = "update task set fence = fence
               where id = $1 and fence = $2 and state = 'waiting' and locked_until is not null";
    if tx.execute(sql, &[id.into(), fence.into()]).await? == 1 { Ok(()) } else { Err(lost(id)) }
}

const CLAIM_SQLITE: &str = "
update task set locked_by = $1, locked_until = $2, attempts = attempts + 1, fence = fence + 1
where id = (select id from task
            where queue = $3 and state = 'waiting' and run_at <= $4
              and (locked_until is null or locked_until <= $4)
            order by run_at, id
            limit 1)
returning id, fence, queue, payload, attempts";

const CLAIM_POSTGRES: &str = "
update task set locked_by = $1, locked_until = $2, attempts = attempts + 1, fence = fence + 1
where id = (select id from task
            where queue = $3 and state = 'waiting' and run_at <= $4
              and (locked_until is null or locked_until <= $4)
            order by run_at, id
            for update skip locked
            limit 1)
returning id, fence, queue, payload, attempts";

const BURY_SQLITE: &str = "
update task set state = 'dead', error = 'the lease of the last attempt ended',
                locked_by = null, locked_until = null
where queue = $1 and state = 'waiting' and attempts >= max_attempts and locked_until <= $2";

// Without `skip locked` two nodes that bury the same tasks in another order could block each other.
const BURY_POSTGRES: &str = "
update task set state = 'dead', error = 'the lease of the last attempt ended',
                locked_by = null, locked_until = null
where id in (select id from task
             where queue = $1 and state = 'waiting' and attempts >= max_attempts
               and locked_until <= $2
             for update skip locked)";

/// Adds a task in a transaction; `None` if one with the same key waits already.
pub(crate) async fn enqueue(
    tx: &mut dyn Transaction,
    task: &NewTask,
    now: Timestamp,
) -> Result<Option<i64>, StoreError> {
    let sql = "insert into task
                   (queue, dedupe, payload, state, run_at, attempts, max_attempts, fence, created)
               values ($1, $2, $3, 'waiting', $4, 0, $5, 0, $6)
               on conflict (queue, dedupe) where state = 'waiting' do nothing
               returning id";
    let values = [
        (&task.queue).into(),
        task.key.as_deref().into(),
        (&task.payload).into(),
        task.run_at.into(),
        i64::from(task.max_attempts.max(1)).into(),
        now.into(),
    ];
    let rows = tx.query(sql, &values).await?;
    rows.first().map(|row| row.int("id")).transpose()
}

/// How many tasks of a queue wait or run, at most `most`.
pub(crate) async fn waiting(tx: &mut dyn Transaction, queue: &str, most: u32) -> Result<u64, StoreError> {
    let sql = "select count(*) as n
               from (select 1 from task where queue = $1 and state = 'waiting' limit $2) as bounded";
    let rows = tx.query(sql, &[queue.into(), i64::from(most).into()]).await?;
    rows.first().ok_or_else(|| unreadable("n"))?.unsigned("n")
}

fn lease_end(now: Timestamp, lease: Duration) -> Value {
    // Beyond the last time that there is, for ever.
    now.checked_add(lease).unwrap_or(Timestamp::MAX).into()
}

fn lost(id: i64) -> StoreError {
    StoreError::LeaseLost { what: format!("task {id}") }
}

fn read_task(row: &Row) -> Result<Task, StoreError> {
    Ok(Task {
        id: row.int("id")?,
        fence: row.int("fence")?,
        queue: row.text("queue")?,
        payload: row.text("payload")?,
        attempts: small(row, "attempts")?,
    })
}

fn read_record(row: &Row) -> Result<TaskRecord, StoreError> {
    let state = match row.text("state")?.as_str() {
        "waiting" => TaskState::Waiting,
        "dead" => TaskState::Dead,
        _ => return Err(unreadable("state")),
    };
    Ok(TaskRecord {
        id: row.int("id")?,
        queue: row.text("queue")?,
        key: row.opt_text("dedupe")?,
        payload: row.text("payload")?,
        state,
        run_at: row.time("run_at")?,
        attempts: small(row, "attempts")?,
        max_attempts: small(row, "max_attempts")?,
        lease: row.opt_text("locked_by")?.zip(row.opt_time("locked_until")?),
        error: row.opt_text("error")?,
        created: row.time("created")?,
    })
}

fn small(row: &Row, column: &'static str) -> Result<u32, StoreError> {
    u32::try_from(row.int(column)?).map_err(|_| unreadable(column))
}
