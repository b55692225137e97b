//! Publication as the database sees it: roles begin to move, are signed, and come to rest when all is public.

use jiff::Timestamp;

use super::TufTx;
use super::role::{self, RoleRow, seconds};
use crate::engine::unreadable;
use crate::error::StoreError;
use crate::sql::{Items, Sql, items, over_items};

/// Which roles begin to move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MovingRoles<'a> {
    /// Those of these names that there are.
    Named(&'a [String]),
    /// Every delegated role that is signed with online keys alone.
    OnlineDelegated,
}

/// How far a publication is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TufProgress {
    /// How many of the roles that move are signed.
    pub signed: u64,
    /// How many are to be signed.
    pub waiting: u64,
    /// Names of these, as many as were asked for, in their order.
    pub names: Vec<String>,
}

/// What becomes of a role that moves: a version that was not signed yet is used.
macro_rules! set_moving {
    ($now:literal, $which:literal) => {
        concat!(
            "update tuf_role set version = case when moving = 1 then version else version + 1 end,
                 signatures = null, moving = 1, expires = cast(",
            $now,
            " as bigint) + days * 86400 where ",
            $which
        )
    };
}

const SET_NAMED: Sql = over_items!([set_moving!("$2", "name in (select item.value ->> 0 from")], ")");

const SET_DELEGATED: &str =
    set_moving!("$1", "online = 1 and name not in ('snapshot', 'targets', 'timestamp')");

const MOVING: &str = "select * from
        (select r.*, cast(sum(bytes + coalesce(octet_length(document), 0)) over (order by name) as bigint) as total,
             row_number() over (order by name) as number
         from (select * from tuf_role
               where moving > 0 and name > $1 and name not in ('snapshot', 'targets', 'timestamp')
               order by name limit $2) r) as chunk
    where total <= $3 or number = 1 order by name";

const SIGN: Sql = over_items!(
    "update tuf_role set signatures = item.value ->> 2, moving = 2 from",
    "where tuf_role.name = item.value ->> 0 and tuf_role.version = cast(item.value ->> 1 as bigint)
         and tuf_role.moving > 0"
);

const SETTLE: Sql = over_items!(
    "update tuf_role set moving = 0, listed = 1 from",
    "where tuf_role.name = item.value ->> 0 and tuf_role.version = cast(item.value ->> 1 as bigint)
         and tuf_role.moving > 0"
);

const DAYS: Sql =
    over_items!("update tuf_role set days = $2 where name in (select item.value ->> 0 from", ")");

// One row of them all: `VERSION:LENGTH:NAME` one after the other, since a name may be any text.
const VERSIONS: &str = "select string_agg(version || ':' || octet_length(name) || ':' || name, '') as text
    from (select name, version from tuf_role
          where (listed = 1 or moving > 0) and name not in ('snapshot', 'timestamp') order by name) as ordered";

impl TufTx {
    /// Roles begin to move: each gets its next version, unless the one that it has is still to be signed, no
    /// signatures, and expires its days after `now`.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn set_moving(&mut self, roles: MovingRoles<'_>, now: Timestamp) -> Result<(), StoreError> {
        match roles {
            MovingRoles::Named(names) => {
                let values = [items(names.iter().map(String::as_str)), seconds(now)];
                self.tx.execute(SET_NAMED.of(self.kind), &values).await?;
            }
            MovingRoles::OnlineDelegated => {
                self.tx.execute(SET_DELEGATED, &[seconds(now)]).await?;
            }
        }
        Ok(())
    }

    /// Changes how many days roles live, from their next version on.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn set_days(&mut self, names: &[String], days: u32) -> Result<(), StoreError> {
        let values = [items(names.iter().map(String::as_str)), i64::from(days).into()];
        self.tx.execute(DAYS.of(self.kind), &values).await?;
        Ok(())
    }

    /// Some of the delegated roles that are moving, in the order of their names.
    ///
    /// - `after`: the name of the last one that is known.
    /// - `limit`: how many at most.
    /// - `max_bytes`: of their entries and documents together; but one role at least, if there is any.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn moving(
        &mut self,
        after: Option<&str>,
        limit: u32,
        max_bytes: u64,
    ) -> Result<Vec<RoleRow>, StoreError> {
        let max_bytes = i64::try_from(max_bytes).unwrap_or(i64::MAX);
        let values = [after.unwrap_or_default().into(), i64::from(limit).into(), max_bytes.into()];
        self.tx.query(MOVING, &values).await?.iter().map(role::read).collect()
    }

    /// Whether any role is moving, or a root is not public yet: a publication is not finished.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn is_moving(&mut self) -> Result<bool, StoreError> {
        let sql = "select 1 where exists (select 1 from tuf_role where moving > 0)
                       or exists (select 1 from tuf_root where published = 0)";
        Ok(!self.tx.query(sql, &[]).await?.is_empty())
    }

    /// Stores the signatures of roles that are moving: they are signed now. Others are passed over, and those that
    /// have moved on to another version. Says how many were stored.
    ///
    /// - `signatures`: the name and version of each, and its signatures as a JSON list.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn store_signatures(
        &mut self,
        signatures: &[(String, u64, String)],
    ) -> Result<u64, StoreError> {
        let mut items = Items::default();
        let mut stored = 0;
        for (at, (name, version, signatures_of)) in signatures.iter().enumerate() {
            items.open();
            items.text(name)?;
            items.number(number(*version)?);
            items.text(signatures_of)?;
            items.close();
            if items.is_full() || at + 1 == signatures.len() {
                stored += self.tx.execute(SIGN.of(self.kind), &[items.take()]).await?;
            }
        }
        Ok(stored)
    }

    /// Every role that is, or is about to be, in snapshots, with its version, by the bytes of the names.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn versions(&mut self) -> Result<Vec<(String, u64)>, StoreError> {
        let rows = self.tx.query(VERSIONS, &[]).await?;
        let text = rows.first().map_or(Ok(None), |row| row.opt_text("text"))?;
        split(text.as_deref().unwrap_or_default()).ok_or_else(|| unreadable("text"))
    }

    /// How far the publication is.
    ///
    /// - `names`: how many roles that wait are named at most.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn progress(&mut self, names: u32) -> Result<TufProgress, StoreError> {
        // `moving > 0` is what the index is for.
        let counts = "select cast(coalesce(sum(case when moving = 2 then 1 else 0 end), 0) as bigint) as signed,
                             cast(coalesce(sum(case when moving = 1 then 1 else 0 end), 0) as bigint) as waiting
                      from tuf_role where moving > 0";
        let waiting = "select name from tuf_role where moving > 0 and moving = 1 order by name limit $1";
        let rows = self.tx.query(counts, &[]).await?;
        let Some(row) = rows.first() else { return Ok(TufProgress::default()) };
        let (signed, waiting_count) = (row.unsigned("signed")?, row.unsigned("waiting")?);
        let rows = self.tx.query(waiting, &[i64::from(names).into()]).await?;
        let names = rows.iter().map(|row| row.text("name")).collect::<Result<_, _>>()?;
        Ok(TufProgress { signed, waiting: waiting_count, names })
    }

    /// These versions of roles are public: they come to rest, and are in every snapshot from now on. Roles that have
    /// moved on are passed over. Says how many came to rest.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn settle(&mut self, published: &[(String, u64)]) -> Result<u64, StoreError> {
        let mut items = Items::default();
        let mut settled = 0;
        for (at, (name, version)) in published.iter().enumerate() {
            items.open();
            items.text(name)?;
            items.number(number(*version)?);
            items.close();
            if items.is_full() || at + 1 == published.len() {
                settled += self.tx.execute(SETTLE.of(self.kind), &[items.take()]).await?;
            }
        }
        Ok(settled)
    }
}

fn number(version: u64) -> Result<i64, StoreError> {
    i64::try_from(version).map_err(|_| StoreError::Unstorable { what: "a number of 2^63 or more" })
}

/// The names and versions in what [`VERSIONS`] gives.
fn split(mut text: &str) -> Option<Vec<(String, u64)>> {
    let mut versions = Vec::new();
    while !text.is_empty() {
        let (version, rest) = text.split_once(':')?;
        let (length, rest) = rest.split_once(':')?;
        let (name, rest) = rest.split_at_checked(length.parse().ok()?)?;
        versions.push((name.to_owned(), version.parse().ok()?));
        text = rest;
    }
    Some(versions)
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn versions_are_told_apart_whatever_the_names_are() {
        let named = |name: &str, version| (name.to_owned(), version);
        assert_eq!(split(""), Some(vec![]));
        assert_eq!(split("1:4:1:2:12:3:ä,7:0:").unwrap(), [named("1:2:", 1), named("ä,", 12), named("", 7)]);
        for bad in ["1", "1:", "1:2", "1:2:a", "a:1:a", "1:a:a", "1:1:ä"] {
            assert_eq!(split(bad), None, "{bad}");
        }
    }
}
