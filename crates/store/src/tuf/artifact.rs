//! Artifacts: what is public, and what is staged until somebody publishes it.

use std::collections::{BTreeMap, HashMap};

use super::TufTx;
use super::values;
use crate::engine::Kind;
use crate::error::StoreError;
use crate::sql::{Items, Sql, items, over_items};

/// An artifact to be put in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewArtifact {
    /// Whose it is.
    pub role: String,
    /// As it stands in metadata. Without NUL.
    pub path: String,
    /// A member of `targets`: `"PATH":{…}`, compact JSON with sorted members.
    pub entry: String,
}

/// Whether a change of artifacts is published with what is published next, or when somebody says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Staging {
    /// It is in the role's text at once. What was staged for the path is gone.
    Public,
    /// It is kept beside what is public until [`TufTx::apply_staged`].
    Staged,
}

/// An artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactRow {
    /// Whose it is.
    pub role: String,
    /// As it stands in metadata.
    pub path: String,
    /// What is public: `"PATH":{…}`.
    pub entry: Option<String>,
    /// What is staged.
    pub staged: Option<StagedChange>,
}

/// What is staged for a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StagedChange {
    /// This takes its place: `"PATH":{…}`.
    Put(String),
    /// It goes.
    Remove,
}

/// What of an artifact's row counts for its role's size.
#[derive(Clone, Debug)]
struct Known {
    role: String,
    /// Length of the public entry.
    entry: Option<i64>,
    /// Length of what is staged.
    next: Option<i64>,
}

impl Known {
    fn bytes(&self) -> i64 {
        1 + self.entry.unwrap_or(0).max(self.next.unwrap_or(0))
    }
}

// A search for each path: PostgreSQL would otherwise read all artifacts while it does not know how many there are.
const KNOWN: Sql = Sql {
    sqlite: "select a.path, a.role, octet_length(a.entry) as entry, octet_length(a.next) as next
             from json_each($1) as item cross join tuf_artifact a where a.path = item.value ->> 0",
    postgres: "select a.path, a.role, cast(octet_length(a.entry) as bigint) as entry,
                   cast(octet_length(a.next) as bigint) as next
               from json_array_elements($1::json) as item(value)
                   cross join lateral (select * from tuf_artifact where path = item.value ->> 0 limit 1) a",
};

const INSERT: &str = "insert into tuf_artifact (role, path, entry, next)
    select item.value ->> 0, item.value ->> 1, item.value ->> 2, item.value ->> 3
    from json_array_elements($1::json) as item(value)";

const REPLACE: &str = "update tuf_artifact
    set role = item.value ->> 0, next = item.value ->> 3,
        entry = case when role = item.value ->> 0 then coalesce(item.value ->> 2, entry) else item.value ->> 2 end
    from json_array_elements($1::json) as item(value) where tuf_artifact.path = item.value ->> 1";

const DELETE: Sql = over_items!("delete from tuf_artifact where path in (select item.value ->> 0 from", ")");

const STAGE_REMOVAL: Sql =
    over_items!("update tuf_artifact set next = '' where path in (select item.value ->> 0 from", ")");

const MOVE: Sql = over_items!(
    "update tuf_artifact set role = item.value ->> 1 from",
    "where tuf_artifact.path = item.value ->> 0"
);

const RESIZE: Sql = over_items!(
    "update tuf_role set bytes = bytes + cast(item.value ->> 1 as bigint) from",
    "where tuf_role.name = item.value ->> 0"
);

impl TufTx {
    /// Puts artifacts in, in the place of those with the same paths. Of two with one path the last one counts. One
    /// that was another role's is this one's from now on, and what was public of it there is not: staged, it is public
    /// nowhere until [`TufTx::apply_staged`].
    ///
    /// # Errors
    /// [`StoreError::Unstorable`] for an empty entry or a text with a NUL character, and those of any write.
    pub async fn put_artifacts(
        &mut self,
        artifacts: &[NewArtifact],
        staging: Staging,
    ) -> Result<(), StoreError> {
        let mut last: HashMap<&str, &NewArtifact> = HashMap::with_capacity(artifacts.len());
        for artifact in artifacts {
            if artifact.entry.is_empty() {
                return Err(StoreError::Unstorable { what: "an artifact without an entry" });
            }
            last.insert(&artifact.path, artifact);
        }
        let mut all: Vec<&NewArtifact> = last.into_values().collect();
        // Neighbours in the table are written together.
        all.sort_unstable_by_key(|artifact| (&artifact.role, &artifact.path));
        for some in all.chunks(AT_ONCE) {
            let known = self.known(some.iter().map(|artifact| artifact.path.as_str())).await?;
            match self.kind {
                Kind::Sqlite => self.put_values(some, staging).await?,
                Kind::Postgres => self.put_json(some, &known, staging).await?,
            }
            self.resize(grown(some, &known, staging)).await?;
        }
        Ok(())
    }

    /// Takes artifacts out, and gives path and role of those that there were, in the order of their paths. Staged, one
    /// that was never public is gone at once.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn remove_artifacts(
        &mut self,
        paths: &[String],
        staging: Staging,
    ) -> Result<Vec<(String, String)>, StoreError> {
        let mut found = BTreeMap::new();
        for some in paths.chunks(AT_ONCE) {
            let known = self.known(some.iter().map(String::as_str)).await?;
            let public = |known: &Known| staging == Staging::Staged && known.entry.is_some();
            let (kept, gone): (Vec<_>, Vec<_>) = known.iter().partition(|(_, known)| public(known));
            let mut change = BTreeMap::new();
            for (_, known) in &gone {
                *change.entry(known.role.clone()).or_default() -= known.bytes();
            }
            for (_, known) in &kept {
                *change.entry(known.role.clone()).or_default() +=
                    Known { next: Some(0), ..(*known).clone() }.bytes() - known.bytes();
            }
            if !gone.is_empty() {
                let paths = items(gone.iter().map(|(path, _)| path.as_str()));
                self.tx.execute(DELETE.of(self.kind), &[paths]).await?;
            }
            if !kept.is_empty() {
                let paths = items(kept.iter().map(|(path, _)| path.as_str()));
                self.tx.execute(STAGE_REMOVAL.of(self.kind), &[paths]).await?;
            }
            self.resize(change).await?;
            found.extend(known.into_iter().map(|(path, known)| (path, known.role)));
        }
        Ok(found.into_iter().collect())
    }

    /// Gives artifacts to other roles, with what is staged for them. Paths that there are not are passed over.
    ///
    /// - `moves`: path and new role of each.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn move_artifacts(&mut self, moves: &[(String, String)]) -> Result<(), StoreError> {
        for some in moves.chunks(AT_ONCE) {
            let mut known = self.known(some.iter().map(|(path, _)| path.as_str())).await?;
            let mut change: BTreeMap<String, i64> = BTreeMap::new();
            let mut items = Items::default();
            for (path, role) in some {
                let Some(known) = known.remove(path) else { continue };
                items.open();
                items.text(path)?;
                items.text(role)?;
                items.close();
                *change.entry(role.clone()).or_default() += known.bytes();
                *change.entry(known.role.clone()).or_default() -= known.bytes();
            }
            if !items.is_empty() {
                self.tx.execute(MOVE.of(self.kind), &[items.take()]).await?;
            }
            self.resize(change).await?;
        }
        Ok(())
    }

    /// Takes all artifacts of a role out, and says how many there were.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn remove_artifacts_of(&mut self, role: &str) -> Result<u64, StoreError> {
        let removed = self.tx.execute("delete from tuf_artifact where role = $1", &[role.into()]).await?;
        self.tx.execute("update tuf_role set bytes = 0 where name = $1", &[role.into()]).await?;
        Ok(removed)
    }

    async fn known<'a>(
        &mut self,
        paths: impl Iterator<Item = &'a str>,
    ) -> Result<HashMap<String, Known>, StoreError> {
        let mut known = HashMap::new();
        for row in self.tx.query(KNOWN.of(self.kind), &[items(paths)]).await? {
            let (entry, next) = (row.opt_int("entry")?, row.opt_int("next")?);
            known.insert(row.text("path")?, Known { role: row.text("role")?, entry, next });
        }
        Ok(known)
    }

    async fn put_values(&mut self, artifacts: &[&NewArtifact], staging: Staging) -> Result<(), StoreError> {
        for (sql, some) in values::statements(artifacts) {
            self.tx.execute(sql, &values::of(some, staging)).await?;
        }
        Ok(())
    }

    async fn put_json(
        &mut self,
        artifacts: &[&NewArtifact],
        known: &HashMap<String, Known>,
        staging: Staging,
    ) -> Result<(), StoreError> {
        let (old, new): (Vec<&NewArtifact>, Vec<&NewArtifact>) =
            artifacts.iter().partition(|artifact| known.contains_key(&artifact.path));
        for (sql, artifacts) in [(REPLACE, old), (INSERT, new)] {
            let mut items = Items::default();
            for (at, artifact) in artifacts.iter().enumerate() {
                items.open();
                items.text(&artifact.role)?;
                items.text(&artifact.path)?;
                let entry = Some(artifact.entry.as_str());
                items.opt_text(entry.filter(|_| staging == Staging::Public))?;
                items.opt_text(entry.filter(|_| staging == Staging::Staged))?;
                items.close();
                if items.is_full() || at + 1 == artifacts.len() {
                    self.tx.execute(sql, &[items.take()]).await?;
                }
            }
        }
        Ok(())
    }

    /// Adds to the sizes of roles.
    async fn resize(&mut self, changes: BTreeMap<String, i64>) -> Result<(), StoreError> {
        let mut items = Items::default();
        for (role, change) in changes.iter().filter(|(_, change)| **change != 0) {
            items.open();
            items.text(role)?;
            items.number(*change);
            items.close();
        }
        if !items.is_empty() {
            self.tx.execute(RESIZE.of(self.kind), &[items.take()]).await?;
        }
        Ok(())
    }
}

/// Artifacts that go in one statement.
const AT_ONCE: usize = 10_000;

/// By how many bytes roles grow when these are put in.
fn grown(
    artifacts: &[&NewArtifact],
    known: &HashMap<String, Known>,
    staging: Staging,
) -> BTreeMap<String, i64> {
    let mut changes: BTreeMap<String, i64> = BTreeMap::new();
    for artifact in artifacts {
        let old = known.get(&artifact.path);
        let length = i64::try_from(artifact.entry.len()).unwrap_or(i64::MAX);
        let role = artifact.role.clone();
        let new = match staging {
            Staging::Public => Known { role, entry: Some(length), next: None },
            Staging::Staged => Known {
                role,
                entry: old.filter(|old| old.role == artifact.role).and_then(|old| old.entry),
                next: Some(length),
            },
        };
        if let Some(old) = old {
            *changes.entry(old.role.clone()).or_default() -= old.bytes();
        }
        *changes.entry(new.role.clone()).or_default() += new.bytes();
    }
    changes
}
