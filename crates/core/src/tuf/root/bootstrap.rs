//! POST bootstrap: the first root.

use countersign_model::Action;
use countersign_tuf::check;
use countersign_tuf::delegation::{Delegated, Delegations};
use countersign_tuf::metadata::{Document, Kind};
use countersign_tuf::root::Root;
use serde_json::Value;

use super::{details, finish, judge, put_pending, was_withdrawn};
use crate::context::Context;
use crate::tuf::apply::Job;
use crate::tuf::error::Error;
use crate::tuf::halt::Halt;
use crate::tuf::journal::{digest, named, record};
use crate::tuf::publish::signers;
use crate::tuf::repository::Bootstrap;
use crate::tuf::request::{self, BootstrapDelegation, BootstrapSettings};
use crate::tuf::task::Outcome;

const REFUSED: &str = "Bootstrap Failed";

/// Judges a first root: it comes into force, or waits for signatures. When it is refused the system is free again.
pub(in crate::tuf) async fn bootstrap(
    job: &mut Job<'_>,
    request: request::Bootstrap,
) -> Result<Outcome, Error> {
    match begin(job, request).await {
        Ok(outcome) => Ok(outcome),
        Err(Halt::Refused(why)) => {
            if job.repository.bootstrap == Bootstrap::Pre(job.task.to_owned()) {
                job.repository.bootstrap = Bootstrap::None;
            }
            Ok(Outcome::refused(REFUSED, why))
        }
        Err(Halt::Failed(error)) => Err(error),
    }
}

async fn begin(job: &mut Job<'_>, request: request::Bootstrap) -> Result<Outcome, Halt> {
    if job.repository.bootstrap != Bootstrap::Pre(job.task.to_owned()) {
        let state = job.repository.bootstrap.state_text();
        return Err(Halt::refused(format!("Bootstrap state is {state}")));
    }
    let new = Document::from_value(request.root)?;
    let signed = judge(job, &new, None).await?;
    check_settings(job.ctx, &request.settings, &new)?;
    finish::check_place(job.ctx, &new).await?;
    let withdrawn = was_withdrawn(job, &new);

    record(job, Action::TufWrite, format!("{} submitted {}", named("root", &new), digest(&new))).await?;
    if signed.is_complete() {
        finish::first(job, Action::TufWrite, &new, &request.settings).await?;
        let done = format!("Bootstrap finished {}", job.task);
        return Ok(Outcome::Published {
            message: "Bootstrap Processed".to_owned(),
            details: details([("bootstrap", done)], withdrawn),
        });
    }
    put_pending(job, &new).await?;
    job.repository.asked = Some(asked(&request.settings)?);
    job.repository.bootstrap = Bootstrap::Signing(job.task.to_owned());
    Ok(Outcome::Done {
        message: "Bootstrap Processed".to_owned(),
        details: details([("bootstrap", "Root v1 is pending signature".to_owned())], withdrawn),
    })
}

/// Whether the repository that `settings` ask for can be made with the online key of `root`: what is accepted now
/// must not fail on the day of the last signature.
pub(super) fn check_settings(
    ctx: &Context,
    settings: &BootstrapSettings,
    root: &Document,
) -> Result<(), Halt> {
    let BootstrapSettings { root: days, targets, snapshot, timestamp, delegated } = settings;
    let lifetimes = [("root", days), ("targets", targets), ("snapshot", snapshot), ("timestamp", timestamp)];
    for (role, days) in lifetimes {
        check::days(role, i64::from(*days))?;
    }
    match delegated {
        BootstrapDelegation::Bins { expiration, count } => {
            check::days("bins", i64::from(*expiration))?;
            let fits = count.is_power_of_two() && (2..=16_384).contains(count);
            if fits {
                Ok(())
            } else {
                Err(Halt::refused("The number of bins must be a power of two from 2 to 16384"))
            }
        }
        BootstrapDelegation::Roles(roles) => {
            let (keyid, key) = online_key(root)?;
            let accepted = check::delegation::delegations(roles, None, (&keyid, &key))?;
            let read = Delegations::from_value(&accepted.delegations)?;
            let Delegated::Roles(roles) = &read.delegated else { return Ok(()) };
            roles.iter().try_for_each(|role| {
                signers::reachable(ctx, &role.name, &role.role, &read.keys).map_err(Halt::refused)
            })
        }
    }
}

/// The id and the object of the key that signs targets in `root`: delegated roles without keys of their own get it.
pub(in crate::tuf) fn online_key(root: &Document) -> Result<(String, Value), Halt> {
    let view: Root = root.root()?;
    let none = || Halt::refused("Root has no key for `targets`");
    let keyid = view.role(Kind::Targets).keyids.first().cloned().ok_or_else(none)?;
    let key = root.signed()["keys"].get(&keyid).cloned().ok_or_else(none)?;
    Ok((keyid, key))
}

/// The settings, as they wait for the last signature.
pub(super) fn asked(settings: &BootstrapSettings) -> Result<Value, Error> {
    serde_json::to_value(settings).map_err(|error| crate::Error::Internal(error.to_string()).into())
}
