//! What a role lists becomes public when people have signed it: just what is in the document, neither more nor less.

use countersign_store::{ArtifactRow, NewArtifact, StagedChange, Staging};
use countersign_tuf::metadata::Document;
use serde_json::{Map, Value};

use crate::tuf::apply::Job;
use crate::tuf::error::Error;

/// Artifacts that are looked at together.
const PAGE: u32 = 10_000;

/// Makes public what `document`, now signed, lists for `role`. What was staged after it was made stays staged: it waits
/// for the next one.
pub(super) async fn make_public(job: &mut Job<'_>, role: &str, document: &Document) -> Result<(), Error> {
    let none = Map::new();
    let targets = document.signed().get("targets").and_then(Value::as_object).unwrap_or(&none);
    let mut last: Option<String> = None;
    loop {
        let after = last.as_deref().map(|path| (role, path));
        let page = job.tx.artifact_page(Some(role), after, PAGE).await?;
        last = page.artifacts.last().map(|artifact| artifact.path.clone());
        let mut changes = Changes::default();
        for artifact in page.artifacts {
            let path = Value::from(artifact.path.as_str());
            let entry = targets.get(&artifact.path).map(|info| format!("{path}:{info}"));
            changes.add(artifact, entry);
        }
        changes.make(job).await?;
        if !page.more {
            return Ok(());
        }
    }
}

#[derive(Default)]
struct Changes {
    put: Vec<NewArtifact>,
    remove: Vec<String>,
    /// What stays staged where the above drops it.
    put_later: Vec<NewArtifact>,
    remove_later: Vec<String>,
}

impl Changes {
    /// `entry`: what the document has for the artifact.
    fn add(&mut self, artifact: ArtifactRow, entry: Option<String>) {
        let ArtifactRow { role, path, entry: public, staged } = artifact;
        let is_staged = match (&staged, &entry) {
            (Some(StagedChange::Put(next)), Some(entry)) => next == entry,
            (Some(StagedChange::Remove), None) => true,
            _ => false,
        };
        if public == entry && !is_staged {
            return;
        }
        match entry {
            Some(entry) => self.put.push(NewArtifact { role: role.clone(), path: path.clone(), entry }),
            None => self.remove.push(path.clone()),
        }
        match staged.filter(|_| !is_staged) {
            Some(StagedChange::Put(entry)) => self.put_later.push(NewArtifact { role, path, entry }),
            Some(StagedChange::Remove) => self.remove_later.push(path),
            None => {}
        }
    }

    async fn make(self, job: &mut Job<'_>) -> Result<(), Error> {
        job.tx.put_artifacts(&self.put, Staging::Public).await?;
        job.tx.remove_artifacts(&self.remove, Staging::Public).await?;
        job.tx.put_artifacts(&self.put_later, Staging::Staged).await?;
        job.tx.remove_artifacts(&self.remove_later, Staging::Staged).await?;
        Ok(())
    }
}
