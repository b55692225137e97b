//! New versions of online roles, because somebody asks for them.

use std::collections::BTreeSet;

use countersign_store::{MovingRoles, TufTx};
use countersign_tuf::delegation::Delegated;
use countersign_tuf::metadata::Kind;
use countersign_tuf::publication::{Layout, OnlineRefusal, Publication};
use serde_json::json;

use super::apply::Job;
use super::error::Error;
use super::task::Outcome;
use super::{journal, publish};

/// What is said when it is refused.
pub(super) const REFUSED: &str = "Force new online metadata update failed";

/// What moves when `roles` are asked for, or all if there are none.
///
/// # Errors
/// When the database fails.
pub(super) async fn plan(
    tx: &mut TufTx,
    roles: &[String],
) -> Result<Result<Publication, OnlineRefusal>, Error> {
    let targets = tx.role(Kind::Targets.as_str()).await?;
    let delegations = match &targets {
        Some(row) => publish::delegations_of(row)?,
        None => None,
    };
    let layout = match delegations.map(|known| known.delegated) {
        Some(Delegated::Bins(bins)) => Layout::Bins(bins),
        Some(Delegated::Roles(delegated)) => {
            let names: Vec<String> = delegated.into_iter().map(|role| role.name).collect();
            let rows = tx.roles(&names).await?.into_iter();
            Layout::Custom { online: rows.filter(|row| row.online).map(|row| row.name).collect() }
        }
        None => Layout::Custom { online: BTreeSet::new() },
    };
    Ok(Publication::of_request(roles, &layout, targets.is_some_and(|row| row.online)))
}

/// Sets moving what is asked for, each role by one version.
pub(super) async fn force(job: &mut Job<'_>, roles: &[String]) -> Result<Outcome, Error> {
    if !job.repository.bootstrap.is_finished() {
        let state = job.repository.bootstrap.state_text();
        return Ok(Outcome::refused(REFUSED, format!("Requires bootstrap finished. State: {state}")));
    }
    let publication = match plan(job.tx, roles).await? {
        Ok(publication) => publication,
        Err(refusal) => return Ok(Outcome::refused(REFUSED, refusal)),
    };
    let asked = if roles.is_empty() { "all".to_owned() } else { roles.join(" ") };
    journal::record_change(job, format!("forced {asked}")).await?;
    let ready = job.ready().await?;
    let (moving, unable) = ready.able(job.ctx, publication.in_order().map(str::to_owned).collect());
    // Where all are asked for, one that cannot be signed holds up no other.
    let above = |role: &str| matches!(Kind::of_name(role), Some(Kind::Snapshot | Kind::Timestamp));
    if let Some((_, why)) = unable.iter().find(|(role, _)| !roles.is_empty() || above(role)) {
        return Ok(Outcome::refused(REFUSED, why));
    }
    job.tx.set_moving(MovingRoles::Named(&moving), job.now).await?;
    Ok(Outcome::Published {
        message: "Force new online metadata update succeeded".to_owned(),
        details: Some(json!({"updated_roles": moving})),
    })
}
