//! Lifetimes of roles, changed by a task: from the next version of each on.

use countersign_tuf::build::BINS;
use countersign_tuf::check;
use countersign_tuf::delegation::{Delegated, Delegations};
use countersign_tuf::metadata::Kind;
use serde_json::json;

use super::apply::Job;
use super::error::Error;
use super::journal;
use super::task::Outcome;

/// What is said when it is refused.
pub(super) const REFUSED: &str = "Update Settings Failed";

/// Changes the days that roles live. Roles that there are not are named in the answer.
pub(super) async fn update(job: &mut Job<'_>, expiration: &[(String, i64)]) -> Result<Outcome, Error> {
    if !job.repository.bootstrap.is_finished() {
        let state = job.repository.bootstrap.state_text();
        return Ok(Outcome::refused(REFUSED, format!("It requires bootstrap. State: {state}")));
    }
    if expiration.is_empty() {
        return Ok(Outcome::refused(REFUSED, "No role provided for expiration policy change"));
    }
    let delegations = job.delegations().await?;
    let (mut updated, mut invalid, mut changes) = (Vec::new(), Vec::new(), Vec::new());
    for (role, days) in expiration {
        let Some(names) = names_of(role, delegations.as_deref()) else {
            invalid.push(role);
            continue;
        };
        match check::days(role, *days) {
            Ok(days) => changes.push((role, names, days)),
            Err(refusal) => return Ok(Outcome::refused(REFUSED, refusal)),
        }
    }
    if !changes.is_empty() {
        let what: String = changes.iter().map(|(role, _, days)| format!(" {role} {days}")).collect();
        journal::record_change(job, format!("settings{what}")).await?;
    }
    for (role, names, days) in changes {
        job.tx.set_days(&names, days).await?;
        job.repository.days.insert(role.clone(), days);
        updated.push(role);
    }
    Ok(Outcome::Done {
        message: "Update Settings Succeded".to_owned(),
        details: Some(json!({"updated_roles": updated, "invalid_roles": invalid})),
    })
}

/// The roles that a lifetime is of; `None` if there is none of that name.
fn names_of(role: &str, delegations: Option<&Delegations>) -> Option<Vec<String>> {
    if Kind::of_name(role).is_some() {
        return Some(vec![role.to_owned()]);
    }
    match &delegations?.delegated {
        Delegated::Bins(bins) => (role == BINS).then(|| bins.names().collect()),
        Delegated::Roles(roles) => {
            roles.iter().any(|known| known.name == role).then(|| vec![role.to_owned()])
        }
    }
}
