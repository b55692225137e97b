//! Signing keys: the public half, the sealed private half, and the state.

use jiff::Timestamp;

use crate::engine::{Row, Transaction, Value, unreadable};
use crate::error::StoreError;
use crate::generation;
use crate::store::Store;

/// A key as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its name, `release-2026` or `SURFACE/ID`. Never used again for another key.
    pub name: String,
    /// `sha256:HEX` of the SubjectPublicKeyInfo.
    pub id: String,
    /// `rsa-2048`, `p256`, …
    pub key_type: String,
    /// The surface that owns it; `None` is the native API.
    pub owner: Option<String>,
    /// SubjectPublicKeyInfo, DER.
    pub spki: Vec<u8>,
    /// The private half, sealed by the key host.
    pub blob: Vec<u8>,
    /// Whether it signs.
    pub state: KeyState,
    /// Whether it may leave, encrypted.
    pub exportable: bool,
    /// The formats it may be used in; `None` is every one that policy allows.
    pub formats: Option<Vec<String>>,
    /// Which backend holds it, `soft`.
    pub backend: String,
    /// When it was made or imported.
    pub created: Timestamp,
    /// When it was revoked. Present exactly in state [`KeyState::Revoked`].
    pub revoked_at: Option<Timestamp>,
    /// Why it was revoked.
    pub revoked_reason: Option<String>,
}

/// Whether a key signs and verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyState {
    /// Signs and verifies.
    Active,
    /// Verifies.
    Retired,
    /// Neither, for ever.
    Revoked,
}

impl KeyState {
    /// The word for it, as stored and as in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Retired => "retired",
            Self::Revoked => "revoked",
        }
    }

    fn parse(text: &str) -> Result<Self, StoreError> {
        [Self::Active, Self::Retired, Self::Revoked]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| unreadable("state"))
    }
}

impl Store {
    /// Stores a new key. Of parallel calls with one name exactly one succeeds.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the name is taken.
    pub async fn insert_key(&self, key: &KeyRecord) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        insert(tx.as_mut(), key).await?;
        generation::bump(tx.as_mut()).await?;
        tx.commit().await
    }

    /// The key of that name.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn key(&self, name: &str) -> Result<Option<KeyRecord>, StoreError> {
        let sql = "select * from signing_key where name = $1";
        self.engine.query(sql, &[name.into()]).await?.first().map(read).transpose()
    }

    /// Up to `limit` keys in the order of their names, those after `after`.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn keys(&self, after: Option<&str>, limit: u32) -> Result<Vec<KeyRecord>, StoreError> {
        // No name is empty, so the empty one comes before all.
        let sql = "select * from signing_key where name > $1 order by name limit $2";
        let values = [after.unwrap_or_default().into(), i64::from(limit).into()];
        self.engine.query(sql, &values).await?.iter().map(read).collect()
    }

    /// All keys, in the order of their names: to fill a node's memory when it starts.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn all_keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        let sql = "select * from signing_key order by name";
        self.engine.query(sql, &[]).await?.iter().map(read).collect()
    }

    /// Retires an active key and gives it as it is now. A key that is retired or revoked already stays
    /// as it is.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is none of that name.
    pub async fn retire_key(&self, name: &str) -> Result<KeyRecord, StoreError> {
        let sql = "update signing_key set state = 'retired' where name = $1 and state = 'active'";
        self.change_key(name, sql, &[name.into()]).await
    }

    /// Revokes a key and gives it as it is now. A revocation is never changed: the second gives the
    /// first one's time and reason.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is none of that name.
    pub async fn revoke_key(&self, name: &str, at: Timestamp, reason: &str) -> Result<KeyRecord, StoreError> {
        let sql = "update signing_key set state = 'revoked', revoked_at = $2, revoked_reason = $3
                   where name = $1 and state <> 'revoked'";
        self.change_key(name, sql, &[name.into(), at.into(), reason.into()]).await
    }

    async fn change_key(
        &self,
        name: &str,
        sql: &'static str,
        values: &[Value],
    ) -> Result<KeyRecord, StoreError> {
        let mut tx = self.write().await?;
        let changed = tx.execute(sql, values).await?;
        let rows = tx.query("select * from signing_key where name = $1", &[name.into()]).await?;
        let row = rows.first().ok_or_else(|| StoreError::not_found(format!("key `{name}`")))?;
        let key = read(row)?;
        if changed > 0 {
            generation::bump(tx.as_mut()).await?;
        }
        tx.commit().await?;
        Ok(key)
    }
}

/// Stores a new key in a transaction of the caller's, who also bumps the generation.
pub(crate) async fn insert(tx: &mut dyn Transaction, key: &KeyRecord) -> Result<(), StoreError> {
    let sql = "insert into signing_key
                   (name, id, key_type, owner, spki, blob, state, exportable, formats, backend,
                    created, revoked_at, revoked_reason)
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    let values = [
        (&key.name).into(),
        (&key.id).into(),
        (&key.key_type).into(),
        key.owner.as_deref().into(),
        (&key.spki).into(),
        (&key.blob).into(),
        key.state.as_str().into(),
        key.exportable.into(),
        Value::opt_list(key.formats.as_deref()),
        (&key.backend).into(),
        key.created.into(),
        key.revoked_at.into(),
        key.revoked_reason.as_deref().into(),
    ];
    tx.execute(sql, &values)
        .await
        .map(drop)
        .map_err(|failure| failure.or_conflict(|| format!("key `{}`", key.name)))
}

fn read(row: &Row) -> Result<KeyRecord, StoreError> {
    Ok(KeyRecord {
        name: row.text("name")?,
        id: row.text("id")?,
        key_type: row.text("key_type")?,
        owner: row.opt_text("owner")?,
        spki: row.bytes("spki")?,
        blob: row.bytes("blob")?,
        state: KeyState::parse(&row.text("state")?)?,
        exportable: row.truth("exportable")?,
        formats: row.opt_list("formats")?,
        backend: row.text("backend")?,
        created: row.time("created")?,
        revoked_at: row.opt_time("revoked_at")?,
        revoked_reason: row.opt_text("revoked_reason")?,
    })
}
