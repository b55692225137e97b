//! Tasks of the repository: stored when they are accepted, kept for a while after their end.

use jiff::Timestamp;

use super::TufTx;
use crate::engine::Row;
use crate::error::StoreError;
use crate::sql::{Items, Sql, over_items};

/// A task to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTufTask {
    /// As clients know it.
    pub id: String,
    /// What is to be done, by name.
    pub kind: String,
    /// What is to be done, as JSON.
    pub request: String,
    /// Who asked for it, as JSON.
    pub caller: String,
    /// When.
    pub now: Timestamp,
}

/// A task without its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TufTask {
    /// The order of submission.
    pub seq: u64,
    /// As clients know it.
    pub id: String,
    /// What is to be done, by name.
    pub kind: String,
    /// Who asked for it, as JSON.
    pub caller: String,
    /// How far it is: `PENDING` at first.
    pub state: String,
    /// What became of it, or will have, as JSON.
    pub result: Option<String>,
    /// When it was submitted.
    pub created: Timestamp,
    /// When `state` last changed.
    pub updated: Timestamp,
}

/// A task that is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingTufTask {
    /// The task.
    pub task: TufTask,
    /// What is to be done, as JSON.
    pub request: String,
}

/// How much waits to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Tasks.
    pub tasks: u64,
    /// Bytes of their requests.
    pub bytes: u64,
}

/// What a task becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskChange {
    /// Which one.
    pub id: String,
    /// Its state from now on.
    pub state: String,
    /// Its result from now on; `None`: the one that it has.
    pub result: Option<String>,
}

// What was asked for is not needed any more once it is done: it can be many times as long as what became of it.
const CHANGE: Sql = over_items!(
    "update tuf_task set state = item.value ->> 1, result = coalesce(item.value ->> 2, result), updated = $2,
         request = case when item.value ->> 1 in ('RUNNING', 'SUCCESS', 'ERRORED', 'FAILURE') then '' else request end
     from",
    "where tuf_task.id = item.value ->> 0"
);

impl TufTx {
    /// Adds a task, in the state `PENDING`.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if there is one of that id, and those of any write.
    pub async fn add_task(&mut self, task: &NewTufTask) -> Result<(), StoreError> {
        let sql = "insert into tuf_task (id, kind, request, caller, state, created, updated)
                   values ($1, $2, $3, $4, 'PENDING', $5, $5)";
        let values = [&task.id, &task.kind, &task.request, &task.caller]
            .map(Into::into)
            .into_iter()
            .chain([task.now.into()]);
        let added = self.tx.execute(sql, &values.collect::<Vec<_>>()).await;
        added.map(drop).map_err(|failure| failure.or_conflict(|| format!("task `{}`", task.id)))
    }

    /// The task of that id.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn task(&mut self, id: &str) -> Result<Option<TufTask>, StoreError> {
        if id.contains('\0') {
            return Ok(None);
        }
        let sql = "select seq, id, kind, caller, state, result, created, updated from tuf_task where id = $1";
        let rows = self.tx.query(sql, &[id.into()]).await?;
        rows.first().map(read).transpose()
    }

    /// Tasks in the state `PENDING`, in the order of their submission.
    ///
    /// - `limit`: how many at most.
    /// - `max_bytes`: of requests together; but one task at least, if there is any.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn waiting_tasks(
        &mut self,
        limit: u32,
        max_bytes: u64,
    ) -> Result<Vec<WaitingTufTask>, StoreError> {
        let sql = "select seq, cast(octet_length(request) as bigint) as bytes from tuf_task
                   where state = 'PENDING' order by seq limit $1";
        let mut last = None;
        let mut bytes = 0u64;
        for row in self.tx.query(sql, &[i64::from(limit).into()]).await? {
            bytes = bytes.saturating_add(row.unsigned("bytes")?);
            if last.is_some() && bytes > max_bytes {
                break;
            }
            last = Some(row.int("seq")?);
        }
        let Some(last) = last else { return Ok(Vec::new()) };
        let sql = "select seq, id, kind, caller, state, result, created, updated, request from tuf_task
                   where state = 'PENDING' and seq <= $1 order by seq";
        let rows = self.tx.query(sql, &[last.into()]).await?;
        rows.iter()
            .map(|row| Ok(WaitingTufTask { task: read(row)?, request: row.text("request")? }))
            .collect()
    }

    /// The task that has waited longest, without its request.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn first_waiting(&mut self) -> Result<Option<TufTask>, StoreError> {
        let sql = "select seq, id, kind, caller, state, result, created, updated from tuf_task
                   where state = 'PENDING' order by seq limit 1";
        self.tx.query(sql, &[]).await?.first().map(read).transpose()
    }

    /// How much waits. Tasks are counted one by one; their requests are not read.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn waiting(&mut self) -> Result<Waiting, StoreError> {
        let sql = "select count(*) as tasks, cast(coalesce(sum(octet_length(request)), 0) as bigint) as bytes
                   from tuf_task where state = 'PENDING'";
        let rows = self.tx.query(sql, &[]).await?;
        let Some(row) = rows.first() else { return Ok(Waiting::default()) };
        Ok(Waiting { tasks: row.unsigned("tasks")?, bytes: row.unsigned("bytes")? })
    }

    /// All tasks in that state, in the order of their submission.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn tasks_in(&mut self, state: &str) -> Result<Vec<TufTask>, StoreError> {
        let sql = "select seq, id, kind, caller, state, result, created, updated from tuf_task
                   where state = $1 order by seq";
        let rows = self.tx.query(sql, &[state.into()]).await?;
        rows.iter().map(read).collect()
    }

    /// Changes tasks. Those that there are not are passed over. Of one that is done the request is forgotten.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn set_tasks(&mut self, changes: &[TaskChange], now: Timestamp) -> Result<(), StoreError> {
        let mut items = Items::default();
        for (at, change) in changes.iter().enumerate() {
            items.open();
            items.text(&change.id)?;
            items.text(&change.state)?;
            items.opt_text(change.result.as_deref())?;
            items.close();
            if items.is_full() || at + 1 == changes.len() {
                self.tx.execute(CHANGE.of(self.kind), &[items.take(), now.into()]).await?;
            }
        }
        Ok(())
    }

    /// Of the `limit` oldest tasks removes those that have ended (`SUCCESS`, `ERRORED`, `FAILURE`) and have not changed
    /// since `before`, and says how many. No others are looked at: it is cheap where there is nothing to forget.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn forget_tasks(&mut self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let sql = "delete from tuf_task where seq in
                       (select seq from (select seq, state, updated from tuf_task order by seq limit $2) as oldest
                        where state in ('SUCCESS', 'ERRORED', 'FAILURE') and updated < $1)";
        Ok(self.tx.execute(sql, &[before.into(), i64::from(limit).into()]).await?)
    }
}

fn read(row: &Row) -> Result<TufTask, StoreError> {
    Ok(TufTask {
        seq: row.unsigned("seq")?,
        id: row.text("id")?,
        kind: row.text("kind")?,
        caller: row.text("caller")?,
        state: row.text("state")?,
        result: row.opt_text("result")?,
        created: row.time("created")?,
        updated: row.time("updated")?,
    })
}
