//! Delegated roles that people sign: their metadata wait for signatures, from their first version on and after every
//! change of what they list.
//!
//! What waits is made here from the artifacts that there will be, with its version and the time at which it expires:
//! people sign the very bytes that are published. A signature of the server's own keys, where the role has one, is put
//! in here. Signatures are judged by the delegation in force.

mod public;

use std::collections::HashSet;

use countersign_model::Action;
use countersign_store::{Moving, MovingRoles, PendingRow, RoleRow, TufTx};
use countersign_tuf::check;
use countersign_tuf::delegation::{Delegated, Delegations};
use countersign_tuf::metadata::{Document, Kind};
use countersign_tuf::{build, expires};
use serde_json::{Map, Value, json};

use crate::tuf::apply::Job;
use crate::tuf::error::Error;
use crate::tuf::halt::Halt;
use crate::tuf::journal::{digest, named, record, record_change, short};
use crate::tuf::online;
use crate::tuf::publish::{delegations_of, signers};
use crate::tuf::root::{damaged, put_document, stored, text_of};
use crate::tuf::task::Outcome;

/// How many parts of a role's life are left when people are asked to sign it anew: one of three.
const PARTS: i64 = 3;

/// The delegations in force: those of the newest top-level targets. `None` before there are any.
pub(super) async fn delegations(tx: &mut TufTx) -> Result<Option<Delegations>, Error> {
    let Some(targets) = tx.role(Kind::Targets.as_str()).await? else { return Ok(None) };
    Ok(delegations_of(&targets)?)
}

/// Makes what waits for signatures anew for those of `names` that people sign, with all that is staged for them, and
/// drops what waited for those that the server signs alone now, or that nobody delegates to any more.
///
/// Whatever was signed of it is void. To be called after the change, in its transaction. Their artifacts must have been
/// found to fit ([`check::size`]). Gives the names of those that wait.
pub(super) async fn changed(job: &mut Job<'_>, names: &[String]) -> Result<Vec<String>, Error> {
    let delegations = delegations(job.tx).await?;
    // Not those whose keys of ours are enough: who signs a role was settled when it was put.
    let rows = job.tx.roles(names).await?.into_iter();
    let people: HashSet<String> = rows.filter(|row| !row.online).map(|row| row.name).collect();
    let mut waiting = Vec::new();
    for name in names {
        let delegated = delegations.as_ref().filter(|known| known.role(name).is_some());
        match delegated.filter(|_| people.contains(name)) {
            Some(known) => {
                make(job, known, name).await?;
                waiting.push(name.clone());
            }
            None => {
                job.tx.remove_pending(name).await?;
            }
        }
        job.tx.void_challenges(name).await?;
    }
    Ok(waiting)
}

/// Makes anew what waits and has expired meanwhile, or is of a version that is public already, and asks for new versions of roles of which a third of their life
/// is left. Says whether there was anything to do.
pub(super) async fn renew(job: &mut Job<'_>) -> Result<bool, Error> {
    let mut due = Vec::new();
    for pending in job.tx.all_pending().await? {
        if pending.role != Kind::Root.as_str()
            && outlived(job, &stored(&pending.document)?, &pending.role).await?.is_some()
        {
            due.push(pending.role);
        }
    }
    let names = match delegations(job.tx).await?.map(|known| known.delegated) {
        Some(Delegated::Roles(roles)) => roles.into_iter().map(|role| role.name).collect(),
        _ => Vec::new(),
    };
    for role in job.tx.roles(&names).await? {
        let left = role.expires.as_second().saturating_sub(job.now.as_second());
        // Also of one that nobody has signed yet, where what waited for it was dropped.
        let is_due = !role.online && left <= i64::from(role.days) * 86_400 / PARTS;
        if is_due && !due.contains(&role.name) && job.tx.pending(&role.name).await?.is_none() {
            due.push(role.name);
        }
    }
    changed(job, &due).await?;
    Ok(!due.is_empty())
}

/// POST metadata/sign for a delegated role: one signature more.
pub(super) async fn sign(
    job: &mut Job<'_>,
    mut pending: PendingRow,
    keyid: &str,
    sig: &str,
) -> Result<Outcome, Halt> {
    let role = pending.role.clone();
    let mut document = stored(&pending.document)?;
    let delegations = delegations(job.tx).await?.ok_or_else(|| damaged("the delegations"))?;
    check::delegation::signature(&document, &delegations, &role, keyid, sig)?;
    if let Some(why) = outlived(job, &document, &role).await? {
        // Not here: what is refused has changed nothing.
        job.ctx.tuf.look_again();
        return Err(Halt::refused(format!("{why}. It is made anew: sign it again")));
    }
    document.put_signature(keyid, sig);
    put_own_signatures(job, &delegations, &role, &mut document).await;
    let complete = check::delegation::progress(&document, &delegations, &role).is_some_and(|t| t.is_met());

    record(job, Action::TufSign, format!("{} signed {}", named(&role, &document), short(keyid))).await?;
    let message = "Signature Processed".to_owned();
    if complete {
        publish(job, &role, &document).await?;
        let details = Some(json!({"update": format!("Role {role} signing complete")}));
        return Ok(Outcome::Published { message, details });
    }
    pending.document = text_of(&document)?;
    job.tx.put_pending(&pending).await?;
    let waits = format!("{role} v{} is pending signatures", document.version());
    Ok(Outcome::Done { message, details: Some(json!({"update": waits})) })
}

/// Why what waits for signatures can no longer be published, if so.
async fn outlived(job: &mut Job<'_>, document: &Document, role: &str) -> Result<Option<String>, Error> {
    if document.is_expired(job.now) {
        let expired = check::Refusal::Expired { expires: expires::render(document.expires()) };
        return Ok(Some(expired.to_string()));
    }
    let row = job.tx.role(role).await?;
    let newer = row.map(|row| row.version).filter(|version| *version >= document.version());
    Ok(newer.map(|version| format!("Version {version} of {role} is public already")))
}

/// What was signed is published as it is; what was staged for the role becomes public with it.
async fn publish(job: &mut Job<'_>, name: &str, document: &Document) -> Result<(), Halt> {
    record(job, Action::TufSign, format!("{} in force {}", named(name, document), digest(document))).await?;
    let mut role = job.tx.role(name).await?.ok_or_else(|| damaged("a delegated role"))?;
    role.version = document.version();
    role.expires = document.expires();
    role.document = Some(text_of(document)?);
    role.signatures = Some(document.to_value()["signatures"].to_string());
    role.moving = Moving::Signed;
    role.online = false;
    job.tx.put_roles(&[role]).await?;
    public::make_public(job, name, document).await?;
    job.tx.remove_pending(name).await?;
    job.tx.void_challenges(name).await?;
    let top = [Kind::Snapshot, Kind::Timestamp].map(|kind| kind.to_string());
    job.tx.set_moving(MovingRoles::Named(&top), job.now).await?;
    Ok(())
}

/// The next version of a role, to be signed: expiring its days from now, with the signatures that the server can give.
async fn make(job: &mut Job<'_>, delegations: &Delegations, name: &str) -> Result<(), Error> {
    let row = job.tx.role(name).await?.ok_or_else(|| damaged("a delegated role"))?;
    let entries = job.tx.targets_text_with_staged(name).await?;
    let targets: Value =
        serde_json::from_str(&format!("{{{entries}}}")).map_err(|_| damaged("the artifacts of a role"))?;
    let mut signed = head_of(&row)?;
    let head = build::Head::after(row.version, job.now, row.days);
    signed.insert("_type".to_owned(), json!(Kind::Targets.as_str()));
    signed.insert("spec_version".to_owned(), json!(build::SPEC_VERSION));
    signed.insert("version".to_owned(), json!(head.version));
    signed.insert("expires".to_owned(), json!(expires::render(head.expires)));
    signed.insert("targets".to_owned(), targets);
    let mut document =
        Document::unsigned(Value::Object(signed)).map_err(|_| damaged("the artifacts of a role"))?;
    put_own_signatures(job, delegations, name, &mut document).await;
    record_change(job, format!("{} submitted {}", named(name, &document), digest(&document))).await?;
    put_document(job, name, &document).await
}

/// Puts in the signatures of the role's keys that are ours. If that fails, it is tried again with the next signature
/// that comes; people can go on.
async fn put_own_signatures(
    job: &mut Job<'_>,
    delegations: &Delegations,
    name: &str,
    document: &mut Document,
) {
    let Some(role) = delegations.role(name) else { return };
    let mut own = signers::of_role(job.ctx, role, &delegations.keys);
    own.retain(|signer| document.signatures().all(|signature| signature.keyid != signer.keyid));
    if own.is_empty() {
        return;
    }
    if let Err(error) = online::sign(job.ctx, document, own, named(name, document)).await {
        tracing::warn!(role = name, %error, "a role that people sign has no signature of the server yet");
    }
}

/// The members of `signed` that are not made anew for each version.
fn head_of(role: &RoleRow) -> Result<Map<String, Value>, Error> {
    match &role.head {
        None => Ok(Map::new()),
        Some(head) => serde_json::from_str(head).map_err(|_| damaged("a role")),
    }
}
