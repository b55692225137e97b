//! POST metadata: the next root.

use countersign_model::Action;
use countersign_tuf::metadata::Document;
use serde_json::Value;

use super::{ROOT, details, finish, judge, put_pending, trusted, was_withdrawn};
use crate::tuf::apply::Job;
use crate::tuf::error::Error;
use crate::tuf::halt::Halt;
use crate::tuf::journal::{digest, named, record};
use crate::tuf::task::Outcome;

const REFUSED: &str = "Metadata Update Failed";
/// Why a second root is not taken while one is pending.
pub(in crate::tuf) const PENDING: &str = "The root role is already in a signing process.";

/// Judges the root after the one in force: it takes its place, or waits for signatures.
pub(in crate::tuf) async fn update(job: &mut Job<'_>, root: Value) -> Result<Outcome, Error> {
    match submit(job, root).await {
        Ok(outcome) => Ok(outcome),
        Err(halt) => halt.into_outcome(REFUSED),
    }
}

async fn submit(job: &mut Job<'_>, root: Value) -> Result<Outcome, Halt> {
    if !job.repository.bootstrap.is_finished() {
        let state = job.repository.bootstrap.state_text();
        return Err(Halt::refused(format!("Requires bootstrap finished. State: {state}")));
    }
    if job.tx.pending(ROOT).await?.is_some() {
        return Err(Halt::refused(PENDING));
    }
    let trusted = trusted(job).await?;
    let new = Document::from_value(root)?;
    let signed = judge(job, &new, trusted.as_ref()).await?;
    let withdrawn = was_withdrawn(job, &new);

    record(job, Action::TufWrite, format!("{} submitted {}", named(ROOT, &new), digest(&new))).await?;
    let role = ("role", ROOT.to_owned());
    let message = "Metadata Update Processed".to_owned();
    if signed.is_complete() {
        finish::next(job, Action::TufWrite, trusted.as_ref(), &new).await?;
        return Ok(Outcome::Published { message, details: details([role], withdrawn) });
    }
    put_pending(job, &new).await?;
    let waits = format!("Root v{} is pending signatures", new.version());
    Ok(Outcome::Done { message, details: details([role, ("update", waits)], withdrawn) })
}
