//! Which delegated roles there are.
//!
//! The delegations in force are those of the top-level targets. A role that is deleted is gone from there, but stays in
//! every snapshot: clients that know it refuse one without it (specification 5.5.5).

mod homes;
mod rows;

use std::sync::Arc;

use countersign_model::Action;
use countersign_store::RoleRow;
use countersign_tuf::canonical;
use countersign_tuf::check::delegation::{MAX_ROLES, ROOM};
use countersign_tuf::check::{self, MAX_SNAPSHOT, MAX_TARGETS, Refusal};
use countersign_tuf::delegation::{Delegated, Delegations};
use countersign_tuf::edit::{self, Change, Edited};
use countersign_tuf::metadata::Kind;
use serde_json::{Map, Value, json};

use super::apply::Job;
use super::artifacts::Changed;
use super::error::Error;
use super::publish::signers;
use super::repository::Delegation;
use super::request;
use super::task::Outcome;
use super::{journal, publish, root};
use homes::Moves;
use rows::Rows;

/// What is said when nothing is changed.
pub(super) const REFUSED: &str = "Metadata Delegation Failed";

/// Bytes that a role takes in a snapshot beside its name, at most: `"`, `.json":{"version":`, 20 digits, `},`.
const LISTED: u64 = 42;

/// Adds, updates or deletes delegated roles. Roles that cannot be are named in the answer; the others are changed.
pub(super) async fn change(job: &mut Job<'_>, request: request::Delegations) -> Result<Outcome, Error> {
    if !job.repository.bootstrap.is_finished() {
        let state = job.repository.bootstrap.state_text();
        return Ok(Outcome::refused(REFUSED, format!("Requires bootstrap finished. State: {state}")));
    }
    if let Delegation::Bins(_) = job.repository.delegation {
        return Ok(Outcome::refused(REFUSED, "Delegations already using hash-bins, cannot add custom roles"));
    }
    let mut targets = job.tx.role(Kind::Targets.as_str()).await?.ok_or_else(|| root::damaged("targets"))?;
    let before = publish::delegations_value(&targets)?;
    let asked = match edited(job, request, before.as_ref()).await? {
        Ok(asked) => asked,
        Err(refusal) => return Ok(Outcome::refused(REFUSED, refusal)),
    };
    let details = json!({"delegated_roles": asked.edited.done, "failed_roles": asked.failed});
    let message = "Metadata Delegation Processed".to_owned();
    if asked.edited.done.is_empty() {
        return Ok(Outcome::Done { message, details: Some(details) });
    }
    let before = before.map(|value| read(&value)).transpose()?;
    let after = Arc::new(read(&asked.edited.delegations)?);
    let head = with_delegations(&targets, asked.edited.delegations.clone())?;
    let rows = match asked.kind {
        Kinds::Put => rows::put(job, &asked.edited.done, &asked.days, before.as_ref(), &after).await?,
        Kinds::Removed => rows::removed(job, &asked.edited.done).await?,
    };
    let moves = Moves::between(job, before, Arc::clone(&after), &rows, asked.moves).await?;
    for judged in [
        top_fits(job, &targets, &head, &after).await?,
        snapshot_fits(job, &rows).await?,
        moves.fit(job).await?,
    ] {
        if let Err(refusal) = judged {
            return Ok(Outcome::refused(REFUSED, refusal));
        }
    }
    let digest =
        canonical::sha256(&asked.edited.delegations).map_err(|_| root::damaged("the delegations"))?;
    match journal::record(job, Action::TufWrite, format!("delegations {}", hex::encode(digest))).await {
        Err(refused @ crate::Error::NotPermitted { .. }) => return Ok(Outcome::refused(REFUSED, refused)),
        recorded => recorded?,
    }
    targets.head = Some(head);
    job.tx.put_roles(std::slice::from_ref(&targets)).await?;
    job.repository.delegation = Delegation::Custom;
    let mut changed = Changed::default();
    changed.online.insert(Kind::Targets.to_string());
    rows.write(job, &mut changed).await?;
    moves.make(job, &mut changed).await?;
    changed.follow(job).await?;
    Ok(Outcome::Published { message, details: Some(details) })
}

/// What was asked for, judged.
struct Asked {
    edited: Edited,
    /// `{"role","reason"}` of each that was not changed.
    failed: Vec<Value>,
    days: Vec<(String, u32)>,
    kind: Kinds,
    /// Whether artifacts can be other roles' than before.
    moves: bool,
}

enum Kinds {
    Put,
    Removed,
}

async fn edited(
    job: &mut Job<'_>,
    request: request::Delegations,
    before: Option<&Value>,
) -> Result<Result<Asked, Refusal>, Error> {
    let none = json!({"keys": {}, "roles": []});
    let current = before.unwrap_or(&none);
    let (asked, change) = match request {
        request::Delegations::Add(asked) => (asked, Change::Add),
        request::Delegations::Update(asked) => (asked, Change::Update),
        request::Delegations::Delete(names) => {
            let edited = edit::remove_roles(current, &names);
            let failed = failures(&edited);
            let kind = Kinds::Removed;
            return Ok(Ok(Asked { edited, failed, days: Vec::new(), kind, moves: true }));
        }
    };
    let root = root::trusted(job).await?.ok_or_else(|| root::damaged("the root in force"))?;
    let (keyid, key) = root::online_key(&root).map_err(|_| root::damaged("the root in force"))?;
    let mut accepted = match check::delegation::delegations(&asked, before, (&keyid, &key)) {
        Ok(accepted) => accepted,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let unsignable = leave_out(job, &mut accepted.delegations)?;
    let edited = edit::put_roles(current, &accepted.delegations, change);
    let mut failed = failures(&edited);
    failed.extend(unsignable);
    // Roles that are added are asked last.
    let moves = change == Change::Update;
    Ok(Ok(Asked { edited, failed, days: accepted.days, kind: Kinds::Put, moves }))
}

fn failures(edited: &Edited) -> Vec<Value> {
    let failed = edited.failed.iter();
    failed.map(|(role, why)| json!({"role": role, "reason": why.to_string()})).collect()
}

/// Takes out the roles that nobody could ever sign, since keys of ours that they need are retired or revoked.
fn leave_out(job: &Job<'_>, asked: &mut Value) -> Result<Vec<Value>, Error> {
    let read = read(asked)?;
    let Delegated::Roles(roles) = &read.delegated else { return Ok(Vec::new()) };
    let mut failed = Vec::new();
    let mut reachable = roles.iter().map(|role| {
        let judged = signers::reachable(job.ctx, &role.name, &role.role, &read.keys);
        judged.map_err(|why| failed.push(json!({"role": role.name, "reason": why}))).is_ok()
    });
    if let Some(values) = asked.get_mut("roles").and_then(Value::as_array_mut) {
        values.retain(|_| reachable.next().unwrap_or(false));
    }
    drop(reachable);
    Ok(failed)
}

/// Whether clients still take the top-level targets.
async fn top_fits(
    job: &mut Job<'_>,
    targets: &RoleRow,
    head: &str,
    after: &Delegations,
) -> Result<Result<(), Refusal>, Error> {
    let roles = match &after.delegated {
        Delegated::Roles(roles) => roles.len(),
        Delegated::Bins(_) => 0,
    };
    if roles > MAX_ROLES {
        let (what, of) = ("delegated roles", Kind::Targets.to_string());
        return Ok(Err(Refusal::TooMany { what, of, count: roles, limit: MAX_ROLES }));
    }
    // Of an adopted repository it lists artifacts, too.
    let entries = job.tx.role_bytes(std::slice::from_ref(&targets.name)).await?;
    let entries: u64 = entries.into_iter().map(|(_, bytes)| bytes).sum();
    let length = usize::try_from(entries).unwrap_or(usize::MAX).saturating_add(head.len() + ROOM);
    Ok(check::size(Kind::Targets.as_str(), length, MAX_TARGETS))
}

/// Whether clients still take the snapshot: whatever was in one stays in all that follow.
async fn snapshot_fits(job: &mut Job<'_>, rows: &Rows) -> Result<Result<(), Refusal>, Error> {
    let (roles, bytes) = job.tx.role_names().await?;
    let (new_roles, new_bytes) = rows.new_names();
    let length = bytes + new_bytes + (roles + new_roles) * LISTED;
    let length = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(ROOM);
    // What is there already is not changed by roles that are taken out.
    Ok(if new_roles == 0 { Ok(()) } else { check::size(Kind::Snapshot.as_str(), length, MAX_SNAPSHOT) })
}

fn with_delegations(targets: &RoleRow, delegations: Value) -> Result<String, Error> {
    let head = targets.head.as_deref().unwrap_or("{}");
    let mut head: Map<String, Value> = serde_json::from_str(head).map_err(|_| root::damaged("targets"))?;
    head.insert("delegations".to_owned(), delegations);
    Ok(Value::Object(head).to_string())
}

fn read(delegations: &Value) -> Result<Delegations, Error> {
    Delegations::from_value(delegations).map_err(|_| root::damaged("the delegations"))
}
