//! Roles: version, expiry, what they sign beside artifacts, and whether they are being published.

use jiff::Timestamp;

use super::TufTx;
use crate::engine::{Row, Value, unreadable};
use crate::error::StoreError;
use crate::sql::{Items, Sql, items, over_items};

/// A role other than root: snapshot, timestamp, targets, a delegated role or a bin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleRow {
    /// Its name.
    pub name: String,
    /// Its newest version, public or moving.
    pub version: u64,
    /// When that version expires, in whole seconds.
    pub expires: Timestamp,
    /// How many days a version lives.
    pub days: u32,
    /// Members of `signed` other than `_type`, `spec_version`, `version`, `expires` and `targets`, as a JSON object;
    /// `None`: none.
    pub head: Option<String>,
    /// The signatures of this version, as a JSON list; `None`: it is not signed.
    pub signatures: Option<String>,
    /// Whether it is being published.
    pub moving: Moving,
    /// Whether clients have ever known it: then it is in every snapshot.
    pub listed: bool,
    /// Whether it is signed with online keys alone. That of a delegation that is gone is not.
    pub online: bool,
    /// The whole file, of a role that people sign.
    pub document: Option<String>,
    /// No text of its artifacts' entries is longer, be it with or without what is staged, each with a comma. Kept by
    /// the store: what is given is not written.
    pub bytes: u64,
}

/// Whether a role is being published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Moving {
    /// It is public as it is stored, or was never published.
    #[default]
    No,
    /// It is to be signed.
    ToSign,
    /// It is signed; its file may be there, or not.
    Signed,
}

impl Moving {
    fn number(self) -> i64 {
        match self {
            Self::No => 0,
            Self::ToSign => 1,
            Self::Signed => 2,
        }
    }
}

/// Bytes that a role's entries take: see [`RoleRow::bytes`].
macro_rules! bytes_of_role {
    ($role:literal) => {
        concat!(
            "(select coalesce(sum(1 + case when coalesce(octet_length(a.entry), 0) >= coalesce(octet_length(a.next), 0)
                  then octet_length(a.entry) else octet_length(a.next) end), 0)
              from tuf_artifact a where a.role = ",
            $role,
            ")"
        )
    };
}
pub(super) use bytes_of_role;

const PUT: Sql = over_items!(
    [
        "insert into tuf_role
             (name, version, expires, days, head, signatures, moving, listed, online, document, bytes)
         select item.value ->> 0, cast(item.value ->> 1 as bigint), cast(item.value ->> 2 as bigint),
             cast(item.value ->> 3 as bigint), item.value ->> 4, item.value ->> 5,
             cast(item.value ->> 6 as bigint), cast(item.value ->> 7 as bigint),
             cast(item.value ->> 8 as bigint), item.value ->> 9, ",
        bytes_of_role!("item.value ->> 0"),
        " from"
    ],
    "where true
     on conflict (name) do update set version = excluded.version, expires = excluded.expires,
         days = excluded.days, head = excluded.head, signatures = excluded.signatures,
         moving = excluded.moving, listed = excluded.listed, online = excluded.online,
         document = excluded.document"
);

const BY_NAMES: Sql =
    over_items!("select * from tuf_role where name in (select item.value ->> 0 from", ") order by name");

const BYTES: Sql = over_items!(
    "select name, bytes from tuf_role where name in (select item.value ->> 0 from",
    ") order by name"
);

impl TufTx {
    /// Writes roles, in the place of those with the same names.
    ///
    /// # Errors
    /// [`StoreError::Unstorable`] for a text with a NUL character, and those of any write.
    pub async fn put_roles(&mut self, roles: &[RoleRow]) -> Result<(), StoreError> {
        let mut items = Items::default();
        for (at, role) in roles.iter().enumerate() {
            add(role, &mut items)?;
            if items.is_full() || at + 1 == roles.len() {
                self.tx.execute(PUT.of(self.kind), &[items.take()]).await?;
            }
        }
        Ok(())
    }

    /// The role of that name.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn role(&mut self, name: &str) -> Result<Option<RoleRow>, StoreError> {
        if name.contains('\0') {
            return Ok(None);
        }
        let rows = self.tx.query("select * from tuf_role where name = $1", &[name.into()]).await?;
        rows.first().map(read).transpose()
    }

    /// Those of the roles that there are, in the order of their names.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn roles(&mut self, names: &[String]) -> Result<Vec<RoleRow>, StoreError> {
        let values = [items(names.iter().map(String::as_str))];
        self.tx.query(BY_NAMES.of(self.kind), &values).await?.iter().map(read).collect()
    }

    /// Some of all roles, in the order of their names.
    ///
    /// - `after`: the name of the last one that is known.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn role_page(&mut self, after: Option<&str>, limit: u32) -> Result<Vec<RoleRow>, StoreError> {
        let sql = "select * from tuf_role where name > $1 order by name limit $2";
        let values = [after.unwrap_or_default().into(), i64::from(limit).into()];
        self.tx.query(sql, &values).await?.iter().map(read).collect()
    }

    /// The names of roles that are signed with online keys alone, in their order; those of the top level are among
    /// them.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn online_roles(&mut self) -> Result<Vec<String>, StoreError> {
        let sql = "select name from tuf_role where online = 1 order by name";
        self.tx.query(sql, &[]).await?.iter().map(|row| row.text("name")).collect()
    }

    /// [`RoleRow::bytes`] of those of the roles that there are.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn role_bytes(&mut self, names: &[String]) -> Result<Vec<(String, u64)>, StoreError> {
        let values = [items(names.iter().map(String::as_str))];
        let rows = self.tx.query(BYTES.of(self.kind), &values).await?;
        rows.iter().map(|row| Ok((row.text("name")?, row.unsigned("bytes")?))).collect()
    }

    /// The names of online roles that should be signed anew: of a version a third of its life, or less than an hour,
    /// is left. Those that are moving are not among them.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn due(&mut self, now: Timestamp) -> Result<Vec<String>, StoreError> {
        let sql = "select name from tuf_role
                   where online = 1 and moving = 0
                     and (expires - cast($1 as bigint) <= days * 86400 / 3 or expires - cast($1 as bigint) < 3600)
                   order by name";
        self.tx.query(sql, &[now.as_second().into()]).await?.iter().map(|row| row.text("name")).collect()
    }
}

fn add(role: &RoleRow, items: &mut Items) -> Result<(), StoreError> {
    let version = i64::try_from(role.version);
    items.open();
    items.text(&role.name)?;
    items.number(version.map_err(|_| StoreError::Unstorable { what: "a number of 2^63 or more" })?);
    items.number(role.expires.as_second());
    items.number(role.days.into());
    items.opt_text(role.head.as_deref())?;
    items.opt_text(role.signatures.as_deref())?;
    items.number(role.moving.number());
    items.number(role.listed.into());
    items.number(role.online.into());
    items.opt_text(role.document.as_deref())?;
    items.close();
    Ok(())
}

pub(super) fn read(row: &Row) -> Result<RoleRow, StoreError> {
    Ok(RoleRow {
        name: row.text("name")?,
        version: row.unsigned("version")?,
        expires: Timestamp::from_second(row.int("expires")?).map_err(|_| unreadable("expires"))?,
        days: u32::try_from(row.int("days")?).map_err(|_| unreadable("days"))?,
        head: row.opt_text("head")?,
        signatures: row.opt_text("signatures")?,
        moving: match row.int("moving")? {
            0 => Moving::No,
            1 => Moving::ToSign,
            2 => Moving::Signed,
            _ => return Err(unreadable("moving")),
        },
        listed: row.truth("listed")?,
        online: row.truth("online")?,
        document: row.opt_text("document")?,
        bytes: row.unsigned("bytes")?,
    })
}

/// A time as an argument, in whole seconds.
pub(super) fn seconds(time: Timestamp) -> Value {
    time.as_second().into()
}
