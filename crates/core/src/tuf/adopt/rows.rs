//! The rows of an adopted repository.

use countersign_store::{Moving, NewArtifact, RoleRow, Staging, TufTx};
use countersign_tuf::build::BINS;
use countersign_tuf::delegation::{Delegated, Delegations};
use countersign_tuf::metadata::{Document, Kind};
use serde_json::{Map, Value};

use super::days::Days;
use super::plan::{Online, Plan, Verified};
use super::{AdoptError, Source};
use crate::tuf::repository::{Delegation, Repository};

/// Members of `signed` that are made anew for each version.
const MADE: [&str; 6] = ["_type", "spec_version", "version", "expires", "targets", "meta"];

/// Writes roots, roles and artifacts, all at rest. Gives the state that goes with them.
pub(super) async fn put(
    tx: &mut TufTx,
    source: &dyn Source,
    plan: &Plan,
    online: &Online,
    days: &Days<'_>,
) -> Result<Repository, AdoptError> {
    let mut repository = Repository { root_version: plan.root_version(), ..Repository::default() };
    for (version, bytes) in plan.roots() {
        let text = String::from_utf8(bytes.clone()).map_err(|_| AdoptError::Missing("1.root.json".into()))?;
        tx.put_root(*version, &text).await?;
        tx.set_root_published(*version).await?;
        repository.days.insert("root".into(), days.of("root", None, None));
    }
    for top in [&plan.targets, &plan.snapshot, plan.timestamp()] {
        let document = parse(top, source)?;
        let lives = days.of(&top.role, None, Some(document.expires()));
        repository.days.insert(top.role.clone(), lives);
        tx.put_roles(&[row(top, &document, lives, true)]).await?;
        if top.role == Kind::Targets.as_str() {
            put_artifacts(tx, &top.role, &document).await?;
        }
    }
    repository.delegation = match plan.delegations.as_ref().map(|known| &known.delegated) {
        None => Delegation::None,
        Some(Delegated::Roles(roles)) if roles.is_empty() => Delegation::None,
        Some(Delegated::Roles(_)) => Delegation::Custom,
        Some(Delegated::Bins(bins)) => Delegation::Bins(bins.bit_length()),
    };
    for role in &plan.roles {
        let lives = put_delegated(tx, source, plan, role, online, days).await?;
        if role.is_delegated {
            repository.days.insert(lives.0, lives.1);
        }
    }
    for name in &plan.unpublished {
        let lives = days.of(name, policy(plan, name), None);
        repository.days.insert(name.clone(), lives);
        // Due at once: the first version of those that the server signs is made by the schedule.
        let row = RoleRow { days: lives, ..unpublished(name, online.has(name)) };
        tx.put_roles(&[row]).await?;
    }
    Ok(repository)
}

/// Gives the name of the setting and the days that the role lives.
async fn put_delegated(
    tx: &mut TufTx,
    source: &dyn Source,
    plan: &Plan,
    role: &Verified,
    online: &Online,
    days: &Days<'_>,
) -> Result<(String, u32), AdoptError> {
    let is_bin = matches!(&plan.delegations, Some(Delegations { delegated: Delegated::Bins(_), .. }));
    let setting = if is_bin && role.is_delegated { BINS } else { &role.role };
    if !role.is_delegated {
        let row = RoleRow { version: role.version, listed: true, ..unpublished(&role.role, false) };
        tx.put_roles(&[row]).await?;
        return Ok((setting.to_owned(), 1));
    }
    let bytes = role.read(source)?;
    let document = parse(role, source)?;
    let lives = days.of(setting, policy(plan, &role.role), Some(document.expires()));
    let is_online = online.has(&role.role);
    let mut row = row(role, &document, lives, is_online);
    if !is_online {
        // As people signed it.
        row.document = Some(String::from_utf8_lossy(&bytes).into_owned());
    }
    tx.put_roles(&[row]).await?;
    put_artifacts(tx, &role.role, &document).await?;
    Ok((setting.to_owned(), lives))
}

async fn put_artifacts(tx: &mut TufTx, role: &str, document: &Document) -> Result<(), AdoptError> {
    let none = Map::new();
    let targets = document.signed().get("targets").and_then(Value::as_object).unwrap_or(&none);
    let paths: Vec<String> = targets.keys().cloned().collect();
    if let Some(known) = tx.artifacts(&paths).await?.into_iter().next() {
        return Err(AdoptError::Twice { path: known.path, one: known.role, other: role.to_owned() });
    }
    let artifact = |(path, info): (&String, &Value)| NewArtifact {
        role: role.to_owned(),
        path: path.clone(),
        entry: format!("{}:{info}", Value::from(path.as_str())),
    };
    let artifacts: Vec<NewArtifact> = targets.iter().map(artifact).collect();
    Ok(tx.put_artifacts(&artifacts, Staging::Public).await?)
}

fn parse(file: &Verified, source: &dyn Source) -> Result<Document, AdoptError> {
    let bytes = file.read(source)?;
    Document::parse(&bytes).map_err(|why| AdoptError::Role { file: file.file.clone(), why: why.to_string() })
}

fn row(file: &Verified, document: &Document, days: u32, online: bool) -> RoleRow {
    let mut head = document.signed().clone();
    head.retain(|name, _| !MADE.contains(&name.as_str()));
    RoleRow {
        version: document.version(),
        expires: document.expires(),
        days,
        head: (!head.is_empty()).then(|| Value::Object(head).to_string()),
        signatures: Some(document.to_value()["signatures"].to_string()),
        listed: true,
        ..unpublished(&file.role, online)
    }
}

fn unpublished(name: &str, online: bool) -> RoleRow {
    RoleRow {
        name: name.to_owned(),
        version: 0,
        expires: jiff::Timestamp::UNIX_EPOCH,
        days: 1,
        head: None,
        signatures: None,
        moving: Moving::No,
        listed: false,
        online,
        document: None,
        bytes: 0,
    }
}

/// The delegation of a custom role.
fn policy<'a>(plan: &'a Plan, name: &str) -> Option<&'a Value> {
    plan.delegations_value["roles"].as_array()?.iter().find(|role| role["name"] == name)
}
