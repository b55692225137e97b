//! Authorities: who vouches for tags, and with which keys over time.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::engine::{Access, Row, Transaction, Value, unreadable};
use crate::error::StoreError;
use crate::generation;
use crate::store::Store;

/// An authority as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityRecord {
    /// Its name, never used again for another.
    pub name: String,
    /// How many principals must agree before it signs; 1: whoever asks.
    pub threshold: u32,
    /// The principals whose voices count; `None`: all whom policy lets sign.
    pub principals: Option<Vec<String>>,
    /// Its keys by their numbers, which only grow.
    pub keys: Vec<AuthorityKeyRecord>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

/// A key of an authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityKeyRecord {
    /// Its place among the keys of the authority, from 1.
    pub number: u32,
    /// `sha256:HEX` of the SubjectPublicKeyInfo.
    pub id: String,
    /// SubjectPublicKeyInfo, DER.
    pub spki: Vec<u8>,
    /// The name of the private half, if it is kept here.
    pub signing_key: Option<String>,
    /// Whether it signs bytes as they are instead of tags.
    pub detached: bool,
    /// It is valid from then on.
    pub not_before: Timestamp,
    /// It is valid until then; `None`: no end is known.
    pub not_after: Option<Timestamp>,
    /// Whether and since when it is revoked.
    pub revoked: Option<AuthorityRevocation>,
}

/// That a key is revoked, and which of its signatures are in doubt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityRevocation {
    /// When that was said.
    pub at: Timestamp,
    /// Since when signatures are in doubt; `None`: all are.
    pub from: Option<Timestamp>,
    /// Until when; `None`: to the end. Only beside `from`.
    pub until: Option<Timestamp>,
    /// Why.
    pub reason: String,
}

/// From when on the key before a new one is no longer valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyEnd {
    /// The number of that key.
    pub number: u32,
    /// Its last moment.
    pub not_after: Timestamp,
}

impl Store {
    /// Stores a new authority with its keys.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the name is taken, or a key stands twice or is revoked elsewhere.
    pub async fn insert_authority(&self, authority: &AuthorityRecord) -> Result<(), StoreError> {
        let mut tx = self.change_authorities().await?;
        let sql = "insert into authority (name, threshold, principals, created, updated)
                   values ($1, $2, $3, $4, $5)";
        let values = [
            (&authority.name).into(),
            i64::from(authority.threshold).into(),
            Value::opt_list(authority.principals.as_deref()),
            authority.created.into(),
            authority.updated.into(),
        ];
        tx.execute(sql, &values)
            .await
            .map_err(|failure| failure.or_conflict(|| format!("authority `{}`", authority.name)))?;
        for key in &authority.keys {
            insert_key(tx.as_mut(), &authority.name, key).await?;
        }
        tx.commit().await
    }

    /// Adds a key to an authority, may end the one before it, and gives the authority as it is now.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such authority; [`StoreError::Conflict`] if it has a key of
    /// that number or id, or the key is revoked elsewhere.
    pub async fn add_authority_key(
        &self,
        authority: &str,
        key: &AuthorityKeyRecord,
        ends: Option<KeyEnd>,
        now: Timestamp,
    ) -> Result<AuthorityRecord, StoreError> {
        let mut tx = self.change_authorities().await?;
        touch(tx.as_mut(), authority, now).await?;
        insert_key(tx.as_mut(), authority, key).await?;
        if let Some(end) = ends {
            // An end that is known already is not put off.
            let sql = "update authority_key set not_after = $3
                       where authority = $1 and number = $2 and (not_after is null or not_after > $3)";
            let values = [authority.into(), i64::from(end.number).into(), end.not_after.into()];
            tx.execute(sql, &values).await?;
        }
        let record = load(tx.as_mut(), authority).await?;
        tx.commit().await?;
        Ok(record)
    }

    /// Revokes a key of an authority, and of all others that have it: what leaked is good for nobody. Gives
    /// them as they are now, in the order of their names. Of a key that is revoked already more signatures can
    /// come in doubt, never fewer; the time of the first revocation stays.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such authority or no such key; [`StoreError::Conflict`] if
    /// fewer signatures would be in doubt than are.
    pub async fn revoke_authority_key(
        &self,
        authority: &str,
        id: &str,
        revocation: &AuthorityRevocation,
    ) -> Result<Vec<AuthorityRecord>, StoreError> {
        let mut tx = self.change_authorities().await?;
        let what = || format!("key `{id}` of authority `{authority}`");
        let sql = "select authority from authority_key where id = $1 order by authority";
        let rows = tx.query(sql, &[id.into()]).await?;
        let names: Vec<String> = rows.iter().map(|row| row.text("authority")).collect::<Result<_, _>>()?;
        if !names.iter().any(|name| name == authority) {
            return Err(StoreError::not_found(what()));
        }
        // $6 and $7 stand for no bound.
        let sql = "update authority_key
                   set revoked_at = coalesce(revoked_at, $2), revoked_from = $3, revoked_until = $4,
                       revoked_reason = $5
                   where id = $1
                     and (revoked_at is null
                          or (coalesce(revoked_from, $6) >= coalesce($3, $6)
                              and coalesce(revoked_until, $7) <= coalesce($4, $7)))";
        let values = [
            id.into(),
            revocation.at.into(),
            revocation.from.into(),
            revocation.until.into(),
            (&revocation.reason).into(),
            i64::MIN.into(),
            i64::MAX.into(),
        ];
        if tx.execute(sql, &values).await? != names.len() as u64 {
            return Err(StoreError::conflict(format!("another revocation of {}", what())));
        }
        let mut records = Vec::with_capacity(names.len());
        for name in &names {
            touch(tx.as_mut(), name, revocation.at).await?;
            records.push(load(tx.as_mut(), name).await?);
        }
        tx.commit().await?;
        Ok(records)
    }

    /// Begins a change of authorities. It counts the change first, not last: so one such transaction waits for
    /// the other, and what it reads of other authorities' keys stays true.
    async fn change_authorities(&self) -> Result<Box<dyn Transaction>, StoreError> {
        let mut tx = self.write().await?;
        generation::bump(tx.as_mut()).await?;
        Ok(tx)
    }

    /// The authority of that name.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn authority(&self, name: &str) -> Result<Option<AuthorityRecord>, StoreError> {
        let mut tx = self.engine.begin(Access::Snapshot).await?;
        match load(tx.as_mut(), name).await {
            Ok(record) => Ok(Some(record)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All authorities, in the order of their names: to fill a node's memory.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn all_authorities(&self) -> Result<Vec<AuthorityRecord>, StoreError> {
        let mut tx = self.engine.begin(Access::Snapshot).await?;
        let rows = tx.query("select * from authority order by name", &[]).await?;
        let keys = tx.query("select * from authority_key order by authority, number", &[]).await?;
        let mut by_authority: HashMap<String, Vec<AuthorityKeyRecord>> = HashMap::new();
        for row in &keys {
            by_authority.entry(row.text("authority")?).or_default().push(read_key(row)?);
        }
        let mut authorities = Vec::with_capacity(rows.len());
        for row in &rows {
            let keys = by_authority.remove(&row.text("name")?).unwrap_or_default();
            authorities.push(read(row, keys)?);
        }
        Ok(authorities)
    }
}

const KEYS: &str = "select * from authority_key where authority = $1 order by number";

/// Notes the time of a change, which locks the authority for the rest of the transaction.
async fn touch(tx: &mut dyn Transaction, authority: &str, now: Timestamp) -> Result<(), StoreError> {
    let sql = "update authority set updated = $2 where name = $1";
    match tx.execute(sql, &[authority.into(), now.into()]).await? {
        1 => Ok(()),
        _ => Err(StoreError::not_found(format!("authority `{authority}`"))),
    }
}

async fn insert_key(
    tx: &mut dyn Transaction,
    authority: &str,
    key: &AuthorityKeyRecord,
) -> Result<(), StoreError> {
    let sql = "select 1 from authority_key where id = $1 and revoked_at is not null limit 1";
    if !tx.query(sql, &[(&key.id).into()]).await?.is_empty() {
        return Err(StoreError::conflict(format!("key `{}` of `{authority}`, which is revoked", key.id)));
    }
    let sql = "insert into authority_key
                   (authority, number, id, spki, signing_key, detached, not_before, not_after,
                    revoked_at, revoked_from, revoked_until, revoked_reason)
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    let revoked = key.revoked.as_ref();
    let values = [
        authority.into(),
        i64::from(key.number).into(),
        (&key.id).into(),
        (&key.spki).into(),
        key.signing_key.as_deref().into(),
        key.detached.into(),
        key.not_before.into(),
        key.not_after.into(),
        revoked.map(|revoked| revoked.at).into(),
        revoked.and_then(|revoked| revoked.from).into(),
        revoked.and_then(|revoked| revoked.until).into(),
        revoked.map(|revoked| revoked.reason.as_str()).into(),
    ];
    let inserted = tx.execute(sql, &values).await;
    inserted.map_err(|failure| failure.or_conflict(|| format!("key `{}` of `{authority}`", key.id)))?;
    Ok(())
}

/// The authority as the transaction has it.
async fn load(tx: &mut dyn Transaction, authority: &str) -> Result<AuthorityRecord, StoreError> {
    let rows = tx.query("select * from authority where name = $1", &[authority.into()]).await?;
    let row = rows.first().ok_or_else(|| StoreError::not_found(format!("authority `{authority}`")))?;
    let keys = tx.query(KEYS, &[authority.into()]).await?;
    read(row, keys.iter().map(read_key).collect::<Result<_, _>>()?)
}

fn read(row: &Row, keys: Vec<AuthorityKeyRecord>) -> Result<AuthorityRecord, StoreError> {
    Ok(AuthorityRecord {
        name: row.text("name")?,
        threshold: small(row, "threshold")?,
        principals: row.opt_list("principals")?,
        keys,
        created: row.time("created")?,
        updated: row.time("updated")?,
    })
}

fn read_key(row: &Row) -> Result<AuthorityKeyRecord, StoreError> {
    let revoked = match row.opt_time("revoked_at")? {
        None => None,
        Some(at) => Some(AuthorityRevocation {
            at,
            from: row.opt_time("revoked_from")?,
            until: row.opt_time("revoked_until")?,
            reason: row.text("revoked_reason")?,
        }),
    };
    Ok(AuthorityKeyRecord {
        number: small(row, "number")?,
        id: row.text("id")?,
        spki: row.bytes("spki")?,
        signing_key: row.opt_text("signing_key")?,
        detached: row.truth("detached")?,
        not_before: row.time("not_before")?,
        not_after: row.opt_time("not_after")?,
        revoked,
    })
}

fn small(row: &Row, column: &'static str) -> Result<u32, StoreError> {
    u32::try_from(row.int(column)?).map_err(|_| unreadable(column))
}
