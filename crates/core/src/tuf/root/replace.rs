//! PATCH metadata/sign: another root takes the place of the pending one.

use countersign_model::Action;
use countersign_tuf::check;
use countersign_tuf::metadata::Document;
use countersign_tuf::proof::Operation;
use serde_json::Value;

use super::bootstrap::{asked, check_settings};
use super::{MAX_WITHDRAWN, ROOT, damaged, details, finish, judge, put_pending, stored, trusted, withdraw};
use crate::tuf::apply::Job;
use crate::tuf::challenge::{self, Proved};
use crate::tuf::error::Error;
use crate::tuf::halt::Halt;
use crate::tuf::journal::{digest, named, record};
use crate::tuf::repository::Bootstrap;
use crate::tuf::request::{BootstrapSettings, Proof};
use crate::tuf::task::Outcome;

const REFUSED: &str = "Metadata Override Failed";

/// Judges a root that is to take the place of the pending one, whose signatures are dropped.
pub(in crate::tuf) async fn replace(
    job: &mut Job<'_>,
    root: Value,
    settings: Option<BootstrapSettings>,
    proof: Option<Proof>,
) -> Result<Outcome, Error> {
    match patch(job, root, settings, proof).await {
        Ok(outcome) => Ok(outcome),
        Err(halt) => halt.into_outcome(REFUSED),
    }
}

async fn patch(
    job: &mut Job<'_>,
    root: Value,
    settings: Option<BootstrapSettings>,
    proof: Option<Proof>,
) -> Result<Outcome, Halt> {
    // Whatever comes of this: one try.
    let spent = challenge::spend(job, proof).await?;
    let Some(pending) = job.tx.pending(ROOT).await? else {
        return Err(Halt::refused(format!("The {ROOT} role is not in a signing process.")));
    };
    let old = stored(&pending.document)?;
    let trusted = trusted(job).await?;
    let new = Document::from_value(root)?;
    check::root::replaces(&new, &old, &withdrawn(job)?)?;
    let signed = judge(job, &new, trusted.as_ref()).await?;
    let settings = new_settings(job, settings, &new)?;
    let about = Proved { operation: Operation::Override, role: ROOT, pending: &old, new: Some(&new) };
    let by = challenge::check(job, spent, about, trusted.as_ref()).await?;
    if job.repository.withdrawn.len() >= MAX_WITHDRAWN {
        let why = format!("{MAX_WITHDRAWN} roots were withdrawn already: stop the signing and start it anew");
        return Err(Halt::refused(why));
    }

    let what = format!("{} override {} {}{by}", named(ROOT, &new), digest(&old), digest(&new));
    record(job, Action::TufSign, what).await?;
    withdraw(job, &old);
    if settings.is_some() {
        job.repository.asked = settings;
    }
    put_pending(job, &new).await?;
    let (what, role) = (if trusted.is_none() { "bootstrap" } else { "update" }, ("role", ROOT.to_owned()));
    let message = "Metadata Override Processed".to_owned();
    if signed.is_complete() {
        let done = finish::pending(job, Action::TufSign, trusted.as_ref(), &new).await?;
        return Ok(Outcome::Published { message, details: details([role, (what, done.to_owned())], false) });
    }
    let waits = format!("Root v{} is pending signatures", new.version());
    Ok(Outcome::Done { message, details: details([role, (what, waits)], false) })
}

/// The settings that take the place of the stored ones; or the stored ones must fit the new root too.
fn new_settings(
    job: &Job<'_>,
    given: Option<BootstrapSettings>,
    new: &Document,
) -> Result<Option<Value>, Halt> {
    let at_bootstrap = matches!(job.repository.bootstrap, Bootstrap::Signing(_));
    match (given, at_bootstrap) {
        (Some(given), true) => {
            check_settings(job.ctx, &given, new)?;
            Ok(Some(asked(&given)?))
        }
        (Some(_), false) => {
            Err(Halt::refused("`settings` can be replaced only while the bootstrap is being signed"))
        }
        (None, true) => {
            let stored = job.repository.asked.clone().ok_or_else(|| damaged("the bootstrap"))?;
            let stored = serde_json::from_value(stored).map_err(|_| damaged("the bootstrap"))?;
            check_settings(job.ctx, &stored, new)?;
            Ok(None)
        }
        (None, false) => Ok(None),
    }
}

fn withdrawn(job: &Job<'_>) -> Result<Vec<[u8; 32]>, Error> {
    let read = |text: &String| {
        let mut digest = [0; 32];
        hex::decode_to_slice(text, &mut digest).map(|()| digest).map_err(|_| damaged("what was withdrawn"))
    };
    job.repository.withdrawn.iter().map(read).collect()
}
