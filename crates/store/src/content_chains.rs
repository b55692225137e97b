//! Certificate chains of the keys that sign content, and the authorities that issue their leaves.
//!
//! Each write names what it replaces: of several nodes that renew the same, one succeeds, and the others find what
//! it made.

use jiff::Timestamp;

use crate::engine::{Row, unreadable};
use crate::error::{Failure, StoreError};
use crate::store::Store;

/// Which authority it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorityRole {
    /// The one that readers have pinned.
    Root,
    /// The one that issues leaves.
    Intermediate,
}

impl AuthorityRole {
    /// As it is stored: `root`, `intermediate`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Intermediate => "intermediate",
        }
    }
}

/// An authority above the leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentAuthority {
    /// Which one.
    pub role: AuthorityRole,
    /// The name of its key.
    pub key: String,
    /// Its certificate, PEM.
    pub certificate: String,
    /// The last second of its certificate.
    pub not_after: Timestamp,
}

/// A chain: leaf, intermediate, root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentChain {
    /// SHA-256 of `pem`, 64 hex digits in lower case.
    pub sha256: String,
    /// The name of the key that the leaf certifies.
    pub key: String,
    /// The certificates, PEM, the leaf first.
    pub pem: String,
    /// The last second of the leaf.
    pub not_after: Timestamp,
    /// When it was made.
    pub made: Timestamp,
}

impl Store {
    /// Both authorities, as far as there are any.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn content_authorities(&self) -> Result<Vec<ContentAuthority>, StoreError> {
        let sql = "select * from content_authority order by role";
        self.engine.query(sql, &[]).await?.iter().map(read_authority).collect()
    }

    /// Stores an authority. Tells whether it is stored: not if there is another one than is to be replaced.
    ///
    /// - `replaces`: the certificate that it takes the place of; `None`: there is none yet.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn put_content_authority(
        &self,
        authority: &ContentAuthority,
        replaces: Option<&str>,
    ) -> Result<bool, StoreError> {
        let insert = "insert into content_authority (role, key, certificate, not_after)
                      values ($1, $2, $3, $4) on conflict (role) do nothing";
        let update = "update content_authority set key = $2, certificate = $3, not_after = $4
                      where role = $1 and certificate = $5";
        let mut values = vec![
            authority.role.as_str().into(),
            (&authority.key).into(),
            (&authority.certificate).into(),
            authority.not_after.into(),
        ];
        values.extend(replaces.map(Into::into));
        let mut tx = self.write().await?;
        let changed = tx.execute(if replaces.is_some() { update } else { insert }, &values).await?;
        if changed == 1 {
            tx.commit().await?;
        }
        Ok(changed == 1)
    }

    /// The chains that new signatures name, one a key, in the order of the keys.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn current_content_chains(&self) -> Result<Vec<ContentChain>, StoreError> {
        let sql = "select * from content_chain where current = 1 order by key";
        self.engine.query(sql, &[]).await?.iter().map(read_chain).collect()
    }

    /// The PEM text of a chain, whether or not it is current.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn content_chain(&self, sha256: &str) -> Result<Option<String>, StoreError> {
        let sql = "select pem from content_chain where sha256 = $1";
        self.engine.query(sql, &[sha256.into()]).await?.first().map(|row| row.text("pem")).transpose()
    }

    /// Stores a chain, which is the current one of its key from now on. Tells whether it is stored: not if another
    /// one than is to be replaced is current.
    ///
    /// - `replaces`: the SHA-256 of the chain that it takes the place of; `None`: there is none yet.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn put_content_chain(
        &self,
        chain: &ContentChain,
        replaces: Option<&str>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        if let Some(replaced) = replaces {
            let sql = "update content_chain set current = 0 where sha256 = $1 and key = $2 and current = 1";
            if tx.execute(sql, &[replaced.into(), (&chain.key).into()]).await? != 1 {
                return Ok(false);
            }
        }
        let sql = "insert into content_chain (sha256, key, pem, not_after, made, current)
                   values ($1, $2, $3, $4, $5, 1)";
        let values = [
            (&chain.sha256).into(),
            (&chain.key).into(),
            (&chain.pem).into(),
            chain.not_after.into(),
            chain.made.into(),
        ];
        match tx.execute(sql, &values).await {
            Ok(_) => tx.commit().await.map(|()| true),
            Err(Failure::Unique) => Ok(false),
            Err(other) => Err(other.into()),
        }
    }
}

fn read_authority(row: &Row) -> Result<ContentAuthority, StoreError> {
    let role = match row.text("role")?.as_str() {
        "root" => AuthorityRole::Root,
        "intermediate" => AuthorityRole::Intermediate,
        _ => return Err(unreadable("role")),
    };
    Ok(ContentAuthority {
        role,
        key: row.text("key")?,
        certificate: row.text("certificate")?,
        not_after: row.time("not_after")?,
    })
}

fn read_chain(row: &Row) -> Result<ContentChain, StoreError> {
    Ok(ContentChain {
        sha256: row.text("sha256")?,
        key: row.text("key")?,
        pem: row.text("pem")?,
        not_after: row.time("not_after")?,
        made: row.time("made")?,
    })
}
