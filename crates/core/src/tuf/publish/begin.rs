//! The first publication of a repository.

use countersign_store::{Moving, MovingRoles, RoleRow};
use countersign_tuf::build;
use countersign_tuf::check::delegation::Accepted;
use countersign_tuf::delegation::Delegations;
use countersign_tuf::metadata::Kind;
use countersign_tuf::{bins, check, expires};
use serde_json::{Value, json};

use super::signers;
use crate::tuf::apply::Job;
use crate::tuf::error::Error;
use crate::tuf::repository::Delegation;
use crate::tuf::request::{BootstrapDelegation, BootstrapSettings};
use crate::tuf::{role, root};

/// Makes the roles of a new repository, all of version 1 and about to be published, and the state that says so. The
/// first root is in force.
///
/// Custom roles that people sign wait for their signatures; the others and all above them are published.
///
/// # Errors
/// When the database fails, or the settings were not judged before.
pub(in crate::tuf) async fn start_repository(
    job: &mut Job<'_>,
    settings: &BootstrapSettings,
) -> Result<(), Error> {
    let root = root::trusted(job).await?.ok_or_else(|| root::damaged("the root in force"))?;
    let (keyid, key) = root::online_key(&root).map_err(|_| root::damaged("the root in force"))?;
    let BootstrapSettings { root, targets, snapshot, timestamp, delegated } = settings;
    let lifetimes = [("root", root), ("targets", targets), ("snapshot", snapshot), ("timestamp", timestamp)];
    for (role, days) in lifetimes {
        job.repository.days.insert(role.to_owned(), *days);
    }
    let (delegations, waiting) = match delegated {
        BootstrapDelegation::Bins { expiration, count } => {
            let bits = bins::bit_length(u64::from(*count)).map_err(|_| root::damaged("the bootstrap"))?;
            job.repository.days.insert(build::BINS.to_owned(), *expiration);
            job.repository.delegation = Delegation::Bins(bits);
            let delegations = build::bins(&keyid, &key, bits);
            put_bins(job, &delegations, *expiration).await?;
            (delegations, Vec::new())
        }
        BootstrapDelegation::Roles(asked) => {
            let accepted = check::delegation::delegations(asked, None, (&keyid, &key));
            let accepted = accepted.map_err(|_| root::damaged("the bootstrap"))?;
            job.repository.delegation = Delegation::Custom;
            put_custom(job, accepted).await?
        }
    };
    let head = json!({"delegations": delegations}).to_string();
    let top = [
        RoleRow { head: Some(head), ..first(job, Kind::Targets.as_str(), *targets) },
        first(job, Kind::Snapshot.as_str(), *snapshot),
        first(job, Kind::Timestamp.as_str(), *timestamp),
    ];
    job.tx.put_roles(&top).await?;
    role::changed(job, &waiting).await?;
    Ok(())
}

async fn put_bins(job: &mut Job<'_>, delegations: &Value, days: u32) -> Result<(), Error> {
    let read = Delegations::from_value(delegations).map_err(|_| root::damaged("the bootstrap"))?;
    let countersign_tuf::delegation::Delegated::Bins(bins) = read.delegated else { return Ok(()) };
    let rows: Vec<RoleRow> = bins.names().map(|name| first(job, &name, days)).collect();
    Ok(job.tx.put_roles(&rows).await?)
}

/// The delegations, and the names of roles that people sign.
async fn put_custom(job: &mut Job<'_>, accepted: Accepted) -> Result<(Value, Vec<String>), Error> {
    let Accepted { delegations, days } = accepted;
    let read = Delegations::from_value(&delegations).map_err(|_| root::damaged("the bootstrap"))?;
    let (mut rows, mut waiting) = (Vec::new(), Vec::new());
    for (name, days) in days {
        let Some(role) = read.role(&name) else { continue };
        job.repository.days.insert(name.clone(), days);
        if signers::enough(job.ctx, &name, role, &read.keys).is_ok() {
            rows.push(first(job, &name, days));
        } else {
            rows.push(unsigned(job, &name, days));
            waiting.push(name);
        }
    }
    job.tx.put_roles(&rows).await?;
    Ok((delegations, waiting))
}

/// A role that is published for the first time, by the server alone.
pub(in crate::tuf) fn first(job: &Job<'_>, name: &str, days: u32) -> RoleRow {
    RoleRow {
        name: name.to_owned(),
        version: 1,
        expires: expires::after(job.now, days),
        days,
        head: None,
        signatures: None,
        moving: Moving::ToSign,
        listed: false,
        online: true,
        document: None,
        bytes: 0,
    }
}

/// A role that people are about to sign for the first time.
fn unsigned(job: &Job<'_>, name: &str, days: u32) -> RoleRow {
    RoleRow { version: 0, moving: Moving::No, online: false, ..first(job, name, days) }
}

/// These roles and all above them get their next versions.
///
/// # Errors
/// When the database fails.
pub(in crate::tuf) async fn move_roles(job: &mut Job<'_>, mut roles: Vec<String>) -> Result<(), Error> {
    roles.extend([Kind::Snapshot.to_string(), Kind::Timestamp.to_string()]);
    Ok(job.tx.set_moving(MovingRoles::Named(&roles), job.now).await?)
}
