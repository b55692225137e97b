//! Metadata that wait for signatures, and proofs of possession that were asked for.

use jiff::Timestamp;

use super::TufTx;
use crate::engine::{Row, Value};
use crate::error::StoreError;

/// Metadata that wait for signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingRow {
    /// Whose.
    pub role: String,
    /// The whole document, with the signatures that there are.
    pub document: String,
    /// Since when this content waits.
    pub submitted: Timestamp,
    /// Who submitted it, for people.
    pub submitter: String,
}

/// A proof of possession that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChallengeRow {
    /// Hex.
    pub nonce: String,
    /// What is pending.
    pub role: String,
    /// What is to be done with it.
    pub operation: String,
    /// SHA-256 of what is pending, hex.
    pub pending_sha256: String,
    /// SHA-256 of what is to take its place, hex.
    pub new_sha256: Option<String>,
    /// Until when it can be tried.
    pub expires: Timestamp,
    /// Who asked for it.
    pub principal: String,
}

/// How many challenges of a role can be open.
pub const MAX_CHALLENGES: u64 = 16;

impl TufTx {
    /// What waits for signatures of that role.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn pending(&mut self, role: &str) -> Result<Option<PendingRow>, StoreError> {
        if role.contains('\0') {
            return Ok(None);
        }
        let sql = "select role, document, submitted, submitter from tuf_pending where role = $1";
        let rows = self.tx.query(sql, &[role.into()]).await?;
        rows.first().map(read_pending).transpose()
    }

    /// All that waits for signatures, in the order of the roles' names.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn all_pending(&mut self) -> Result<Vec<PendingRow>, StoreError> {
        let sql = "select role, document, submitted, submitter from tuf_pending order by role";
        let rows = self.tx.query(sql, &[]).await?;
        rows.iter().map(read_pending).collect()
    }

    /// Stores what waits for signatures, in the place of what waited.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn put_pending(&mut self, pending: &PendingRow) -> Result<(), StoreError> {
        let sql = "insert into tuf_pending (role, document, submitted, submitter) values ($1, $2, $3, $4)
                   on conflict (role) do update set
                       document = excluded.document, submitted = excluded.submitted, submitter = excluded.submitter";
        let values = [
            (&pending.role).into(),
            (&pending.document).into(),
            pending.submitted.into(),
            (&pending.submitter).into(),
        ];
        self.tx.execute(sql, &values).await?;
        Ok(())
    }

    /// Removes what waits for signatures of a role, and says whether anything did.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn remove_pending(&mut self, role: &str) -> Result<bool, StoreError> {
        Ok(self.tx.execute("delete from tuf_pending where role = $1", &[role.into()]).await? > 0)
    }

    /// Stores a challenge. If [`MAX_CHALLENGES`] of its role are open at `now`, who has most of them loses the oldest to
    /// whoever has none, or at least two fewer; else the answer is `false`: nobody can keep others from having one.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if there is one with that nonce, and those of any write.
    pub async fn add_challenge(&mut self, new: &ChallengeRow, now: Timestamp) -> Result<bool, StoreError> {
        self.tx.execute("delete from tuf_challenge where expires <= $1", &[now.into()]).await?;
        if !self.make_room(new).await? {
            return Ok(false);
        }
        let sql = "insert into tuf_challenge (nonce, role, operation, pending_sha256, new_sha256, expires, principal)
                   values ($1, $2, $3, $4, $5, $6, $7)";
        let values: [Value; 7] = [
            (&new.nonce).into(),
            (&new.role).into(),
            (&new.operation).into(),
            (&new.pending_sha256).into(),
            new.new_sha256.as_deref().into(),
            new.expires.into(),
            (&new.principal).into(),
        ];
        let added = self.tx.execute(sql, &values).await;
        added.map_err(|failure| failure.or_conflict(|| "a challenge".into()))?;
        Ok(true)
    }

    /// Whether there is room for one more, made if need be.
    async fn make_room(&mut self, new: &ChallengeRow) -> Result<bool, StoreError> {
        let sql = "select principal, count(*) as n from tuf_challenge where role = $1
                   group by principal order by n desc, min(expires), principal";
        let mut open = Vec::new();
        for row in self.tx.query(sql, &[(&new.role).into()]).await? {
            open.push((row.text("principal")?, row.unsigned("n")?));
        }
        if open.iter().map(|(_, n)| n).sum::<u64>() < MAX_CHALLENGES {
            return Ok(true);
        }
        let own = open.iter().find(|(principal, _)| *principal == new.principal).map_or(0, |(_, n)| *n);
        let Some((most, n)) = open.first() else { return Ok(true) };
        if own > 0 && own + 1 >= *n {
            return Ok(false);
        }
        let sql = "delete from tuf_challenge where nonce =
                       (select nonce from tuf_challenge where role = $1 and principal = $2
                        order by expires, nonce limit 1)";
        self.tx.execute(sql, &[(&new.role).into(), most.into()]).await?;
        Ok(true)
    }

    /// Takes the challenge with that nonce, once: whoever asks again, or after it has expired at `now`, gets none.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn take_challenge(
        &mut self,
        nonce: &str,
        now: Timestamp,
    ) -> Result<Option<ChallengeRow>, StoreError> {
        if nonce.contains('\0') {
            return Ok(None);
        }
        let sql = "delete from tuf_challenge where nonce = $1
                   returning nonce, role, operation, pending_sha256, new_sha256, expires, principal";
        let rows = self.tx.query(sql, &[nonce.into()]).await?;
        let taken = rows.first().map(read_challenge).transpose()?;
        Ok(taken.filter(|challenge| challenge.expires > now))
    }

    /// Removes all challenges of a role: what is pending has changed.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn void_challenges(&mut self, role: &str) -> Result<(), StoreError> {
        self.tx.execute("delete from tuf_challenge where role = $1", &[role.into()]).await?;
        Ok(())
    }
}

fn read_pending(row: &Row) -> Result<PendingRow, StoreError> {
    Ok(PendingRow {
        role: row.text("role")?,
        document: row.text("document")?,
        submitted: row.time("submitted")?,
        submitter: row.text("submitter")?,
    })
}

fn read_challenge(row: &Row) -> Result<ChallengeRow, StoreError> {
    Ok(ChallengeRow {
        nonce: row.text("nonce")?,
        role: row.text("role")?,
        operation: row.text("operation")?,
        pending_sha256: row.text("pending_sha256")?,
        new_sha256: row.opt_text("new_sha256")?,
        expires: row.time("expires")?,
        principal: row.text("principal")?,
    })
}
