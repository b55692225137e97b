//! Artifacts whose path another role takes now.
//!
//! Those of roles that people sign stay where they are, unless their role is gone, and so do those that a role that
//! people sign would take from one that the server signs. What a deleted role leaves to people waits for them to sign
//! it. What nobody takes goes with its role.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use countersign_store::{ArtifactRow, NewArtifact, StagedChange, Staging};
use countersign_tuf::check::delegation::ROOM;
use countersign_tuf::check::{self, MAX_TARGETS, Refusal};
use countersign_tuf::delegation::{Delegated, Delegations};

use super::rows::Rows;
use crate::tuf::apply::Job;
use crate::tuf::artifacts::Changed;
use crate::tuf::error::Error;

/// Artifacts that are looked at together.
const PAGE: u32 = 10_000;

/// From which roles artifacts may go, and to which.
pub(super) struct Moves {
    after: Arc<Delegations>,
    from: Vec<String>,
    /// Roles that the server signs.
    online: HashSet<String>,
}

impl Moves {
    /// - `can_be`: whether the change can give artifacts to other roles.
    pub(super) async fn between(
        job: &mut Job<'_>,
        before: Option<Delegations>,
        after: Arc<Delegations>,
        rows: &Rows,
        can_be: bool,
    ) -> Result<Self, Error> {
        let mut online: HashSet<String> = job.tx.online_roles().await?.into_iter().collect();
        for row in &rows.rows {
            if row.online {
                online.insert(row.name.clone());
            } else {
                online.remove(&row.name);
            }
        }
        let roles = match before.filter(|_| can_be).map(|before| before.delegated) {
            Some(Delegated::Roles(roles)) => roles,
            _ => Vec::new(),
        };
        let names = roles.into_iter().map(|role| role.name);
        let from = names.filter(|name| after.role(name).is_none() || online.contains(name)).collect();
        Ok(Self { after, from, online })
    }

    fn is_gone(&self, role: &str) -> bool {
        self.after.role(role).is_none()
    }

    /// Whether clients still take every role that grows. Nothing is written.
    pub(super) async fn fit(&self, job: &mut Job<'_>) -> Result<Result<(), Refusal>, Error> {
        let mut change: BTreeMap<String, i64> = BTreeMap::new();
        for from in &self.from {
            let mut last = None;
            while let Some(page) = self.page(job, from, &mut last).await? {
                for (artifact, to) in page {
                    let Some(to) = to else { continue };
                    let staged = match &artifact.staged {
                        Some(StagedChange::Put(entry)) => entry.len(),
                        _ => 0,
                    };
                    let bytes = artifact.entry.as_ref().map_or(0, String::len).max(staged) + 1;
                    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
                    *change.entry(to).or_default() += bytes;
                    *change.entry(from.clone()).or_default() -= bytes;
                }
            }
        }
        change.retain(|_, bytes| *bytes > 0);
        let names: Vec<String> = change.keys().cloned().collect();
        for (role, bytes) in job.tx.role_bytes(&names).await? {
            let grown = change.get(&role).copied().unwrap_or_default();
            let length = usize::try_from(bytes.saturating_add_signed(grown)).unwrap_or(usize::MAX);
            if let Err(refusal) = check::size(&role, length.saturating_add(ROOM), MAX_TARGETS) {
                return Ok(Err(refusal));
            }
        }
        Ok(Ok(()))
    }

    /// Gives the artifacts to the roles that take their paths, as though they were added anew.
    pub(super) async fn make(&self, job: &mut Job<'_>, changed: &mut Changed) -> Result<(), Error> {
        for from in &self.from {
            let mut last = None;
            while let Some(page) = self.page(job, from, &mut last).await? {
                let going = page.into_iter().filter_map(|(artifact, to)| Some((artifact, to?)));
                let (now, later): (Vec<_>, Vec<_>) = going.partition(|(_, to)| self.online.contains(to));
                if !now.is_empty() && !self.is_gone(from) {
                    changed.online.insert(from.clone());
                }
                let moves: Vec<(String, String)> =
                    now.into_iter().map(|(artifact, to)| (artifact.path, to)).collect();
                changed.online.extend(moves.iter().map(|(_, to)| to.clone()));
                job.tx.move_artifacts(&moves).await?;
                stage(job, later, changed).await?;
            }
            if self.is_gone(from) {
                job.tx.remove_artifacts_of(from).await?;
            }
        }
        Ok(())
    }

    /// Some artifacts of a role, each with the role that it goes to, if it goes.
    async fn page(
        &self,
        job: &mut Job<'_>,
        from: &str,
        last: &mut Option<String>,
    ) -> Result<Option<Vec<(ArtifactRow, Option<String>)>>, Error> {
        let after = last.as_deref().map(|path| (from, path));
        let artifacts = job.tx.artifact_page(Some(from), after, PAGE).await?.artifacts;
        let Some(end) = artifacts.last() else { return Ok(None) };
        *last = Some(end.path.clone());
        let delegations = Arc::clone(&self.after);
        // Many paths and many patterns take a while.
        let homes = tokio::task::spawn_blocking(move || {
            let homes = artifacts.into_iter().map(|artifact| {
                let home = delegations.home_of(&artifact.path);
                (artifact, home)
            });
            homes.collect::<Vec<_>>()
        });
        let mut homes =
            homes.await.map_err(|_| crate::Error::Internal("paths could not be matched".into()))?;
        let is_gone = self.is_gone(from);
        for (_, to) in &mut homes {
            *to = to.take().filter(|to| to != from && (is_gone || self.online.contains(to)));
        }
        Ok(Some(homes))
    }
}

/// What a deleted role leaves to people: it is public when they have signed it.
async fn stage(
    job: &mut Job<'_>,
    left: Vec<(ArtifactRow, String)>,
    changed: &mut Changed,
) -> Result<(), Error> {
    if left.is_empty() {
        return Ok(());
    }
    let paths: Vec<String> = left.iter().map(|(artifact, _)| artifact.path.clone()).collect();
    let new = left.into_iter().filter_map(|(artifact, role)| {
        let entry = match artifact.staged {
            Some(StagedChange::Put(entry)) => entry,
            Some(StagedChange::Remove) => return None,
            None => artifact.entry?,
        };
        Some(NewArtifact { role, path: artifact.path, entry })
    });
    let new: Vec<NewArtifact> = new.collect();
    job.tx.remove_artifacts(&paths, Staging::Public).await?;
    job.tx.put_artifacts(&new, Staging::Staged).await?;
    changed.people.extend(new.into_iter().map(|artifact| artifact.role));
    Ok(())
}
