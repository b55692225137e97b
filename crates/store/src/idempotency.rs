//! Answers that are given again: a request with an idempotency key is done once.
//!
//! The first request begins, runs under a lease, and finishes with its answer; the same request later
//! gets that answer. If the node dies in between, the lease ends and the next one may run it. Each run
//! has a fence, a number that grows: a run that lost its lease can no longer write.

use jiff::Timestamp;

use crate::engine::{Kind, Row, unreadable};
use crate::error::StoreError;
use crate::store::Store;

/// What a request with an idempotency key should do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Run, then call [`Store::idempotency_finish`] or [`Store::idempotency_forget`] with this fence.
    Fresh {
        /// Names this run.
        fence: i64,
    },
    /// The same request runs now: wait and ask again.
    Running,
    /// The key was used for another request.
    Mismatch,
    /// It was done: this is the answer.
    Done {
        /// HTTP status.
        status: u16,
        /// Header names and values.
        headers: Vec<(String, String)>,
        /// The body.
        body: Vec<u8>,
    },
}

impl Store {
    /// Begins a request, or tells what became of it.
    ///
    /// - `fingerprint`: a hash of method, path, query and body.
    /// - `lease_until`: until when nobody else runs it. Nodes compare it with their own clocks.
    /// - `node`: who runs it, for the operator.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn idempotency_begin(
        &self,
        principal: &str,
        key: &str,
        fingerprint: [u8; 32],
        now: Timestamp,
        lease_until: Timestamp,
        node: &str,
    ) -> Result<Begin, StoreError> {
        let mut tx = self.write().await?;
        let insert = "insert into idempotency
                          (principal, key, fingerprint, state, fence, node, lease_until, created)
                      values ($1, $2, $3, 'running', 1, $4, $5, $6)
                      on conflict (principal, key) do nothing";
        let mut values = vec![
            principal.into(),
            key.into(),
            fingerprint.as_slice().into(),
            node.into(),
            lease_until.into(),
            now.into(),
        ];
        if tx.execute(insert, &values).await? == 1 {
            tx.commit().await?;
            return Ok(Begin::Fresh { fence: 1 });
        }

        let select = match self.kind() {
            Kind::Sqlite => "select * from idempotency where principal = $1 and key = $2",
            Kind::Postgres => "select * from idempotency where principal = $1 and key = $2 for update",
        };
        let rows = tx.query(select, &values[..2]).await?;
        let Some(row) = rows.first() else {
            // It expired between the two statements.
            return Err(StoreError::unavailable("the idempotency key expired just now"));
        };
        let state = row.text("state")?;
        if state != "forgotten" && row.hash("fingerprint")? != fingerprint {
            return Ok(Begin::Mismatch);
        }
        match state.as_str() {
            "done" => return read_answer(row),
            "running" if row.time("lease_until")? > now => return Ok(Begin::Running),
            _ => {}
        }

        let fence = row.int("fence")? + 1;
        let take_over = "update idempotency
                         set fingerprint = $3, state = 'running', node = $4, lease_until = $5,
                             created = $6, fence = $7
                         where principal = $1 and key = $2";
        values.push(fence.into());
        tx.execute(take_over, &values).await?;
        tx.commit().await?;
        Ok(Begin::Fresh { fence })
    }

    /// Stores the answer of a run.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if the run with that fence is not the current one.
    pub async fn idempotency_finish(
        &self,
        principal: &str,
        key: &str,
        fence: i64,
        status: u16,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Result<(), StoreError> {
        let headers: serde_json::Value =
            headers.iter().map(|(name, value)| serde_json::json!([name, value])).collect();
        let mut tx = self.write().await?;
        let sql = "update idempotency set state = 'done', status = $4, headers = $5, body = $6
                   where principal = $1 and key = $2 and fence = $3 and state = 'running'";
        let values = [
            principal.into(),
            key.into(),
            fence.into(),
            i64::from(status).into(),
            (&headers.to_string()).into(),
            body.into(),
        ];
        if tx.execute(sql, &values).await? != 1 {
            return Err(lost(key));
        }
        tx.commit().await
    }

    /// Ends a run whose answer is not kept: the next request with this key runs, whatever it asks for.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if the run with that fence is not the current one.
    pub async fn idempotency_forget(&self, principal: &str, key: &str, fence: i64) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        // The row stays, so that the fence goes on: a run with an old one must never write here again.
        let sql = "update idempotency set state = 'forgotten'
                   where principal = $1 and key = $2 and fence = $3 and state = 'running'";
        if tx.execute(sql, &[principal.into(), key.into(), fence.into()]).await? != 1 {
            return Err(lost(key));
        }
        tx.commit().await
    }

    /// Ends the leases of runs that died with an earlier process of `node`, and tells how many they were: the
    /// next request with such a key runs at once. To be called before the node takes requests.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn idempotency_release(&self, node: &str) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        // Not forgotten: it may have been signed, so another request must not take the key.
        let sql = "update idempotency set lease_until = 0 where node = $1 and state = 'running'";
        let released = tx.execute(sql, &[node.into()]).await?;
        tx.commit().await?;
        Ok(released)
    }

    /// Removes up to 1000 keys that were begun before `before`, and tells how many they were. To be
    /// called until it is 0.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn idempotency_expire(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let sql = "delete from idempotency where (principal, key) in
                       (select principal, key from idempotency where created < $1
                        order by created limit 1000)";
        let removed = tx.execute(sql, &[before.into()]).await?;
        tx.commit().await?;
        Ok(removed)
    }
}

fn lost(key: &str) -> StoreError {
    StoreError::LeaseLost { what: format!("idempotency key `{key}`") }
}

fn read_answer(row: &Row) -> Result<Begin, StoreError> {
    let status = u16::try_from(row.int("status")?).map_err(|_| unreadable("status"))?;
    let headers = serde_json::from_str(&row.text("headers")?).map_err(|_| unreadable("headers"))?;
    Ok(Begin::Done { status, headers, body: row.bytes("body")? })
}
