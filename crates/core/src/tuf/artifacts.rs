//! Artifacts: added, removed, staged and published.
//!
//! What is published at once is in its role's next version. What is staged, and what belongs to a role that people sign,
//! waits beside what is public.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use countersign_store::{ArtifactRow, NewArtifact, Staging};
use countersign_tuf::check::{self, MAX_TARGETS, Refusal};
use countersign_tuf::delegation::{Delegated, Delegations};
use countersign_tuf::metadata::{Document, Kind};
use serde_json::{Value, json};

use super::apply::Job;
use super::error::Error;
use super::publish;
use super::repository::Delegation;
use super::request::{AddArtifacts, Artifact};
use super::task::Outcome;

/// What is said when nothing is added.
pub(super) const ADD_REFUSED: &str = "Adding artifact(s) Failed";
/// What is said when nothing is removed.
pub(super) const REMOVE_REFUSED: &str = "Removing artifact(s) Failed";
/// What is said when nothing is published.
pub(super) const PUBLISH_REFUSED: &str = "Publish Artifacts Failed";

/// Bytes of a role's file beside its artifacts: heads and signatures.
const ROOM: u64 = 64 << 10;

/// Puts artifacts in, each in the first role that is trusted with its path.
pub(super) async fn add(job: &mut Job<'_>, request: AddArtifacts) -> Result<Outcome, Error> {
    if let Some(refused) = not_finished(job, ADD_REFUSED) {
        return Ok(refused);
    }
    let homes = Homes::read(job).await?;
    let task = request.add_task_id_to_custom.then(|| job.task.to_owned());
    let (mut added, mut invalid, mut new) = (Vec::new(), Vec::new(), Vec::new());
    let mut roles = Distinct::default();
    let at_top = homes.listed_at_top(job, &request.artifacts).await?;
    for artifact in request.artifacts {
        let home = match at_top.contains(&artifact.path) {
            true => Some(Kind::Targets.to_string()),
            false => homes.of(&artifact.path),
        };
        match home {
            Some(role) => {
                roles.note(&role);
                new.push(entry(role, &artifact, task.as_deref()));
                added.push(artifact.path);
            }
            None => invalid.push(artifact.path),
        }
    }
    if let Err(refusal) = fits(job, &new).await? {
        return Ok(Outcome::refused(ADD_REFUSED, refusal));
    }
    if request.publish
        && let Some(why) = unready(job, &homes, roles.in_order.iter().cloned()).await?
    {
        return Ok(Outcome::refused(ADD_REFUSED, why));
    }
    if !request.publish
        && let Some(why) = is_public_elsewhere(job, &homes, &new, &added).await?
    {
        return Ok(Outcome::refused(ADD_REFUSED, why));
    }
    job.tx.touch_hosted(&added, job.now).await?;
    if !new.is_empty() {
        job.known.artifacts.added(job.caller, &new, request.publish);
    }
    let changed = put(job, &homes, new, request.publish).await?;
    let moves = changed.follow(job).await?;
    let details =
        json!({"added_artifacts": added, "invalid_paths": invalid, "artifact_roles": roles.in_order});
    Ok(done("Artifact(s) Added", details, moves))
}

/// Why artifacts cannot be kept back: one is public in another role than the one that takes its path now, and would have
/// to leave that role at once.
async fn is_public_elsewhere(
    job: &mut Job<'_>,
    homes: &Homes,
    new: &[NewArtifact],
    paths: &[String],
) -> Result<Option<String>, Error> {
    if !homes.can_differ() {
        return Ok(None);
    }
    let roles: HashMap<&str, &str> =
        new.iter().map(|artifact| (artifact.path.as_str(), artifact.role.as_str())).collect();
    let known = job.tx.artifacts(paths).await?;
    let moves = known.iter().filter(|artifact| artifact.entry.is_some()).find_map(|artifact| {
        let to = roles.get(artifact.path.as_str()).filter(|to| **to != artifact.role)?;
        let ArtifactRow { path, role, .. } = artifact;
        Some(format!(
            "`{path}` is public in the role `{role}` and would be the role `{to}`'s: publish it at once"
        ))
    });
    Ok(moves)
}

/// Takes artifacts out.
pub(super) async fn remove(job: &mut Job<'_>, paths: Vec<String>, publish: bool) -> Result<Outcome, Error> {
    if let Some(refused) = not_finished(job, REMOVE_REFUSED) {
        return Ok(refused);
    }
    if paths.is_empty() {
        return Ok(Outcome::refused(REMOVE_REFUSED, "At list one artifact is required"));
    }
    let homes = Homes::read(job).await?;
    let known = job.tx.artifacts(&paths).await?;
    let (now, later): (Vec<_>, Vec<_>) =
        known.into_iter().partition(|artifact| publish && homes.is_online(&artifact.role));
    if let Some(why) = unready(job, &homes, now.iter().map(|artifact| artifact.role.clone())).await? {
        return Ok(Outcome::refused(REMOVE_REFUSED, why));
    }
    let mut changed = Changed::default();
    changed.online.extend(now.iter().map(|artifact| artifact.role.clone()));
    if publish {
        changed.people.extend(later.iter().map(|artifact| artifact.role.clone()));
    }
    let mut found = HashSet::new();
    for (artifacts, staging) in [(now, Staging::Public), (later, Staging::Staged)] {
        let paths: Vec<String> = artifacts.into_iter().map(|artifact| artifact.path).collect();
        if !paths.is_empty() {
            job.tx.remove_artifacts(&paths, staging).await?;
            found.extend(paths);
        }
    }
    // Who saw them a moment ago may still fetch their files.
    job.tx.touch_hosted(&paths, job.now).await?;
    let (deleted, missing): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| found.contains(path));
    if !deleted.is_empty() {
        job.known.artifacts.removed(job.caller, deleted.iter(), publish);
    }
    let moves = changed.follow(job).await?;
    let details = json!({"deleted_artifacts": deleted, "not_found_artifacts": missing});
    Ok(done("Artifact(s) removed", details, moves))
}

/// Publishes what is staged.
pub(super) async fn publish(job: &mut Job<'_>) -> Result<Outcome, Error> {
    if let Some(refused) = not_finished(job, PUBLISH_REFUSED) {
        return Ok(refused);
    }
    let homes = Homes::read(job).await?;
    let staged = job.tx.staged_roles().await?;
    let (online, people): (Vec<_>, Vec<_>) = staged.into_iter().partition(|role| homes.is_online(role));
    // What cannot be signed now stays staged.
    let (online, _) = job.ready().await?.able(job.ctx, online);
    let staged: BTreeSet<String> = online.iter().chain(&people).cloned().collect();
    job.tx.apply_staged(&online).await?;
    if !staged.is_empty() {
        job.known.artifacts.published(job.caller);
    }
    let mut changed = Changed { online: online.into_iter().collect(), ..Changed::default() };
    for role in people {
        // What waits already, with this very content, keeps its signatures.
        if !is_pending(job, &role).await? {
            changed.people.insert(role);
        }
    }
    let moves = changed.follow(job).await?;
    let roles = (!staged.is_empty()).then_some(staged);
    Ok(done("Publish Artifacts Processed", json!({"artifact_roles": roles}), moves))
}

/// Why one of these roles cannot be signed by the server, if it should.
async fn unready(
    job: &mut Job<'_>,
    homes: &Homes,
    roles: impl Iterator<Item = String>,
) -> Result<Option<String>, Error> {
    let online: BTreeSet<String> = roles.filter(|role| homes.is_online(role)).collect();
    let (_, unable) = job.ready().await?.able(job.ctx, online.into_iter().collect());
    Ok(unable.into_iter().next().map(|(_, why)| why))
}

fn not_finished(job: &Job<'_>, message: &str) -> Option<Outcome> {
    let bootstrap = &job.repository.bootstrap;
    let error = || format!("It requires bootstrap finished. State: {}", bootstrap.state_text());
    (!bootstrap.is_finished()).then(|| Outcome::refused(message, error()))
}

fn done(message: &str, details: Value, moves: bool) -> Outcome {
    let (message, details) = (message.to_owned(), Some(details));
    if moves { Outcome::Published { message, details } } else { Outcome::Done { message, details } }
}

/// Where artifacts belong.
pub(super) struct Homes {
    delegations: Option<Arc<Delegations>>,
    /// Roles that the server signs alone; `None`: all.
    online: Option<HashSet<String>>,
}

impl Homes {
    pub(super) async fn read(job: &mut Job<'_>) -> Result<Self, Error> {
        let delegations = match job.repository.delegation {
            Delegation::None => None,
            _ => job.delegations().await?,
        };
        let online = match delegations.as_deref().map(|known| &known.delegated) {
            Some(Delegated::Roles(_)) => Some(job.tx.online_roles().await?.into_iter().collect()),
            _ => None,
        };
        Ok(Self { delegations, online })
    }

    /// The role that takes `path`. Without delegations that is the top-level targets.
    pub(super) fn of(&self, path: &str) -> Option<String> {
        match &self.delegations {
            Some(delegations) => delegations.home_of(path),
            None => Some(Kind::Targets.to_string()),
        }
    }

    /// Those of `artifacts` that the top-level targets lists beside its delegations, as an adopted repository may have
    /// it. They stay there: clients would not look further.
    async fn listed_at_top(
        &self,
        job: &mut Job<'_>,
        artifacts: &[Artifact],
    ) -> Result<HashSet<String>, Error> {
        let top = Kind::Targets.to_string();
        let listed = job.tx.role_bytes(std::slice::from_ref(&top)).await?;
        if self.delegations.is_none() || listed.iter().all(|(_, bytes)| *bytes == 0) {
            return Ok(HashSet::new());
        }
        let paths: Vec<String> = artifacts.iter().map(|artifact| artifact.path.clone()).collect();
        let known = job.tx.artifacts(&paths).await?.into_iter();
        Ok(known.filter(|artifact| artifact.role == top).map(|artifact| artifact.path).collect())
    }

    pub(super) fn is_online(&self, role: &str) -> bool {
        self.online.as_ref().is_none_or(|online| online.contains(role))
    }

    /// Whether an artifact can be another role's than when it was added.
    fn can_differ(&self) -> bool {
        self.online.is_some()
    }
}

/// Roles that have changed, and who signs them.
#[derive(Default)]
pub(super) struct Changed {
    pub online: BTreeSet<String>,
    pub people: BTreeSet<String>,
}

impl Changed {
    /// What the server signs moves; what people sign is made anew at the end of the group, and waits for them. Says
    /// whether anything moves.
    pub(super) async fn follow(self, job: &mut Job<'_>) -> Result<bool, Error> {
        let moves = !self.online.is_empty();
        if moves {
            publish::move_roles(job, self.online.into_iter().collect()).await?;
        }
        let by = (job.caller.clone(), job.task.to_owned());
        job.known.changed.extend(self.people.into_iter().map(|role| (role, by.clone())));
        Ok(moves)
    }
}

/// Writes artifacts: those of roles that the server signs at once, if they are published now; the others are staged.
async fn put(
    job: &mut Job<'_>,
    homes: &Homes,
    new: Vec<NewArtifact>,
    publish: bool,
) -> Result<Changed, Error> {
    let mut changed = Changed::default();
    if homes.can_differ() && publish {
        let paths: Vec<String> = new.iter().map(|artifact| artifact.path.clone()).collect();
        let before = job.tx.artifacts(&paths).await?.into_iter().map(|artifact| artifact.role);
        changed.online.extend(before.filter(|role| homes.is_online(role)));
    }
    let (now, later): (Vec<_>, Vec<_>) =
        new.into_iter().partition(|artifact| publish && homes.is_online(&artifact.role));
    job.tx.put_artifacts(&now, Staging::Public).await?;
    job.tx.put_artifacts(&later, Staging::Staged).await?;
    changed.online.extend(now.into_iter().map(|artifact| artifact.role));
    if publish {
        changed.people.extend(later.into_iter().map(|artifact| artifact.role));
    }
    Ok(changed)
}

/// As it stands in metadata.
fn entry(role: String, artifact: &Artifact, task: Option<&str>) -> NewArtifact {
    let name = Value::from(artifact.path.as_str());
    let entry = match task {
        None => format!("{name}:{}", Value::Object(artifact.info.clone())),
        Some(task) => {
            let mut info = artifact.info.clone();
            let custom = info.entry("custom").or_insert_with(|| json!({}));
            if let Some(custom) = custom.as_object_mut() {
                custom.entry("added_by_task_id").or_insert_with(|| json!(task));
            }
            format!("{name}:{}", Value::Object(info))
        }
    };
    NewArtifact { role, path: artifact.path.clone(), entry }
}

/// Whether clients still take every role that grows.
async fn fits(job: &mut Job<'_>, new: &[NewArtifact]) -> Result<Result<(), Refusal>, Error> {
    let mut grown: BTreeMap<&str, u64> = BTreeMap::new();
    for artifact in new {
        *grown.entry(&artifact.role).or_default() += artifact.entry.len() as u64 + 1;
    }
    let names: Vec<String> = grown.keys().map(|role| (*role).to_owned()).collect();
    let limit = MAX_TARGETS as u64 - ROOM;
    for (role, bytes) in job.tx.role_bytes(&names).await? {
        let grown = grown.get(role.as_str()).copied().unwrap_or_default();
        if bytes.saturating_add(grown) <= limit {
            continue;
        }
        // Not all of it is new: what takes the place of something is counted once.
        let bytes = exact(job, &role, bytes, new).await?;
        let length = usize::try_from(bytes.saturating_add(ROOM)).unwrap_or(usize::MAX);
        if let Err(refusal) = check::size(&role, length, MAX_TARGETS) {
            return Ok(Err(refusal));
        }
    }
    Ok(Ok(()))
}

/// How many bytes the role will have, whatever takes whose place.
async fn exact(job: &mut Job<'_>, role: &str, bytes: u64, new: &[NewArtifact]) -> Result<u64, Error> {
    let mine: BTreeMap<&str, usize> = new
        .iter()
        .filter(|artifact| artifact.role == role)
        .map(|artifact| (artifact.path.as_str(), artifact.entry.len() + 1))
        .collect();
    let paths: Vec<String> = mine.keys().map(|path| (*path).to_owned()).collect();
    let mut sum = bytes.saturating_add(mine.values().map(|length| *length as u64).sum());
    for known in job.tx.artifacts(&paths).await?.into_iter().filter(|known| known.role == role) {
        sum = sum.saturating_sub(known.entry.map_or(0, |entry| entry.len() as u64 + 1));
    }
    Ok(sum)
}

/// Whether what waits for signatures of that role lists just what is staged.
async fn is_pending(job: &mut Job<'_>, role: &str) -> Result<bool, Error> {
    let Some(pending) = job.tx.pending(role).await? else { return Ok(false) };
    let entries = job.tx.targets_text_with_staged(role).await?;
    let document = Document::parse(pending.document.as_bytes());
    Ok(document.is_ok_and(|document| {
        let targets = document.signed().get("targets").map(Value::to_string);
        targets.is_some_and(|targets| targets == format!("{{{entries}}}"))
    }))
}

/// Texts in the order in which they came first.
#[derive(Default)]
struct Distinct {
    in_order: Vec<String>,
    known: HashSet<String>,
}

impl Distinct {
    fn note(&mut self, text: &str) {
        if !self.known.contains(text) {
            self.known.insert(text.to_owned());
            self.in_order.push(text.to_owned());
        }
    }
}
