//! Which Hawk requests were answered. Each is claimed before it is: a second one like it finds it taken, whenever
//! and on whichever node it comes.

use std::collections::HashSet;

use crate::engine::{Kind, Value};
use crate::error::StoreError;
use crate::store::Store;

/// What tells one Hawk request from every other: its MAC covers time and nonce, and the secret goes with the id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HawkRequest {
    /// When it says it was made, in Unix seconds.
    pub stamped: i64,
    /// The credential.
    pub id: String,
    /// The client's nonce.
    pub nonce: String,
}

impl Store {
    /// Claims requests, many with one durable write. Tells of each, in order, whether it is the first of its kind;
    /// of several like it in `requests` that is the first one. A request from before the horizon is never.
    ///
    /// # Errors
    /// Those of any write. Then none of them must be answered; some may be claimed.
    pub async fn claim_hawk_requests(&self, requests: &[HawkRequest]) -> Result<Vec<bool>, StoreError> {
        let rows: Vec<_> = requests.iter().map(|r| (r.stamped, r.id.as_str(), r.nonce.as_str())).collect();
        let list =
            serde_json::to_string(&rows).map_err(|_| StoreError::Unstorable { what: "a Hawk request" })?;
        let claim = match self.kind() {
            Kind::Sqlite => CLAIM_SQLITE,
            Kind::Postgres => CLAIM_POSTGRES,
        };
        let mut tx = self.write().await?;
        let rows = tx.query(claim, &[Value::from(list.as_str())]).await?;
        let mut claimed = HashSet::with_capacity(rows.len());
        for row in &rows {
            let (stamped, id, nonce) = (row.int("stamped")?, row.text("id")?, row.text("nonce")?);
            claimed.insert(HawkRequest { stamped, id, nonce });
        }
        if !claimed.is_empty() {
            tx.commit().await?;
        }
        Ok(requests.iter().map(|request| claimed.remove(request)).collect())
    }

    /// Forgets the requests stamped before `horizon` (Unix seconds), and refuses all such from now on. A horizon
    /// never goes back.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn forget_hawk_requests(&self, horizon: i64) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let sql = "update hawk_horizon set stamped = $1 where id = 1 and stamped < $1";
        tx.execute(sql, &[horizon.into()]).await?;
        tx.execute("delete from hawk_nonce where stamped < $1", &[horizon.into()]).await?;
        tx.commit().await
    }
}

// In one order everywhere, so that two nodes never wait for each other.
const CLAIM_SQLITE: &str = "
    insert into hawk_nonce (stamped, id, nonce)
    select json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]')
    from json_each($1)
    where json_extract(value, '$[0]') >= (select stamped from hawk_horizon where id = 1)
    order by 1, 2, 3
    on conflict do nothing
    returning stamped, id, nonce";

const CLAIM_POSTGRES: &str = "
    insert into hawk_nonce (stamped, id, nonce)
    select (value ->> 0)::bigint, value ->> 1, value ->> 2
    from jsonb_array_elements($1::jsonb) as list (value)
    where (value ->> 0)::bigint >= (select stamped from hawk_horizon where id = 1)
    order by 1, 2, 3
    on conflict do nothing
    returning stamped, id, nonce";
