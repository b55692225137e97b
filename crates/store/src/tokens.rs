//! Credentials of principals: API tokens, kept as hashes, and Hawk pairs, kept sealed.

use jiff::Timestamp;

use crate::engine::{Row, Value, unreadable};
use crate::error::{Failure, StoreError};
use crate::generation;
use crate::store::Store;

/// A credential as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// Its public part.
    pub id: String,
    /// Whose it is.
    pub principal: String,
    /// What kind of credential.
    pub kind: TokenKind,
    /// SHA-256 of the secret; empty for Hawk.
    pub hash: Vec<u8>,
    /// The secret, sealed by the key host, where it must be known to check a MAC.
    pub sealed: Option<Vec<u8>>,
    /// What its owner calls it.
    pub label: Option<String>,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends; `None` is never.
    pub expires: Option<Timestamp>,
    /// When it was last used, more or less: see [`Store::touch_tokens`].
    pub last_used: Option<Timestamp>,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
    /// The actions it is narrowed to; `None` is all that its principal may do.
    pub actions: Option<Vec<String>>,
    /// The resources it is narrowed to.
    pub resources: Option<Vec<String>>,
}

/// A kind of credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// A secret that is sent.
    Token,
    /// A secret that keys a MAC over each request.
    Hawk,
}

impl TokenKind {
    /// The word for it, as stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Hawk => "hawk",
        }
    }

    fn parse(text: &str) -> Result<Self, StoreError> {
        [Self::Token, Self::Hawk]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| unreadable("kind"))
    }
}

impl Store {
    /// Stores a new credential.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such principal, [`StoreError::Conflict`] if the id is
    /// taken.
    pub async fn insert_token(&self, token: &TokenRecord) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let sql = "insert into token
                       (id, principal, kind, hash, sealed, label, created, expires, last_used, revoked,
                        actions, resources)
                   values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
        let values = [
            (&token.id).into(),
            (&token.principal).into(),
            token.kind.as_str().into(),
            (&token.hash).into(),
            token.sealed.as_deref().into(),
            token.label.as_deref().into(),
            token.created.into(),
            token.expires.into(),
            token.last_used.into(),
            token.revoked.into(),
            Value::opt_list(token.actions.as_deref()),
            Value::opt_list(token.resources.as_deref()),
        ];
        tx.execute(sql, &values).await.map_err(|failure| match failure {
            Failure::ForeignKey => StoreError::not_found(format!("principal `{}`", token.principal)),
            other => other.or_conflict(|| format!("token `{}`", token.id)),
        })?;
        generation::bump(tx.as_mut()).await?;
        tx.commit().await
    }

    /// The credential with that id, be it expired or revoked.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn token(&self, id: &str) -> Result<Option<TokenRecord>, StoreError> {
        let sql = "select * from token where id = $1";
        self.engine.query(sql, &[id.into()]).await?.first().map(read).transpose()
    }

    /// All credentials that `principal` ever had, oldest first.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn tokens_of(&self, principal: &str) -> Result<Vec<TokenRecord>, StoreError> {
        let sql = "select * from token where principal = $1 order by created, id";
        self.engine.query(sql, &[principal.into()]).await?.iter().map(read).collect()
    }

    /// All credentials that are neither revoked nor expired at `now`.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn live_tokens(&self, now: Timestamp) -> Result<Vec<TokenRecord>, StoreError> {
        let sql = "select * from token where revoked is null and (expires is null or expires > $1)
                   order by id";
        self.engine.query(sql, &[now.into()]).await?.iter().map(read).collect()
    }

    /// Revokes a credential. Tells whether there is one with that id; the time of an earlier
    /// revocation stays.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn revoke_token(&self, id: &str, at: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let sql = "update token set revoked = $2 where id = $1 and revoked is null";
        if tx.execute(sql, &[id.into(), at.into()]).await? == 0 {
            let rows = tx.query("select id from token where id = $1", &[id.into()]).await?;
            return Ok(!rows.is_empty());
        }
        generation::bump(tx.as_mut()).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Writes down when credentials were last used, many at a time. Not counted as a change, and a time
    /// never goes back.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn touch_tokens(&self, uses: &[(String, Timestamp)]) -> Result<(), StoreError> {
        // In one order everywhere, so that two nodes never wait for each other.
        let mut uses: Vec<_> = uses.iter().collect();
        uses.sort();
        let mut tx = self.write().await?;
        for (id, at) in uses {
            let sql = "update token set last_used = $2
                       where id = $1 and (last_used is null or last_used < $2)";
            tx.execute(sql, &[id.into(), (*at).into()]).await?;
        }
        tx.commit().await
    }
}

fn read(row: &Row) -> Result<TokenRecord, StoreError> {
    Ok(TokenRecord {
        id: row.text("id")?,
        principal: row.text("principal")?,
        kind: TokenKind::parse(&row.text("kind")?)?,
        hash: row.bytes("hash")?,
        sealed: row.opt_bytes("sealed")?,
        label: row.opt_text("label")?,
        created: row.time("created")?,
        expires: row.opt_time("expires")?,
        last_used: row.opt_time("last_used")?,
        revoked: row.opt_time("revoked")?,
        actions: row.opt_list("actions")?,
        resources: row.opt_list("resources")?,
    })
}
