//! POST metadata/sign for a root: one signature more.

use countersign_model::Action;
use countersign_store::PendingRow;
use countersign_tuf::check::{self, MAX_ROOT};

use super::{ROOT, details, finish, judge_content, stored, text_of, trusted};
use crate::tuf::apply::Job;
use crate::tuf::error::Error;
use crate::tuf::halt::Halt;
use crate::tuf::journal::{named, record, short};
use crate::tuf::role;
use crate::tuf::task::Outcome;

const REFUSED: &str = "Signature Failed";

/// Takes a signature for what is pending of `role`. When it is the last one that is needed, what was pending comes
/// into force.
pub(in crate::tuf) async fn sign(
    job: &mut Job<'_>,
    role: &str,
    keyid: &str,
    sig: &str,
) -> Result<Outcome, Error> {
    let signed = match job.tx.pending(role).await? {
        None => Err(Halt::refused(format!("No signatures pending for {role}"))),
        Some(pending) if role == ROOT => sign_root(job, pending, keyid, sig).await,
        Some(pending) => role::sign(job, pending, keyid, sig).await,
    };
    signed.or_else(|halt| halt.into_outcome(REFUSED))
}

async fn sign_root(
    job: &mut Job<'_>,
    mut pending: PendingRow,
    keyid: &str,
    sig: &str,
) -> Result<Outcome, Halt> {
    let mut document = stored(&pending.document)?;
    let trusted = trusted(job).await?;
    check::root::signature(&document, trusted.as_ref(), keyid, sig)?;
    document.put_signature(keyid, sig);
    // Each makes it longer, and nobody's can be the one too many for all the others.
    check::size(ROOT, document.to_bytes().len(), MAX_ROOT)?;
    let complete = check::root::progress(&document, trusted.as_ref())?.is_complete();
    if complete {
        judge_content(job, &document, trusted.as_ref()).await?;
    }

    record(job, Action::TufSign, format!("{} signed {}", named(ROOT, &document), short(keyid))).await?;
    let what = if trusted.is_none() { "bootstrap" } else { "update" };
    let message = "Signature Processed".to_owned();
    if !complete {
        pending.document = text_of(&document)?;
        job.tx.put_pending(&pending).await?;
        let waits = format!("Root v{} is pending signatures", document.version());
        return Ok(Outcome::Done { message, details: details([(what, waits)], false) });
    }
    let done = finish::pending(job, Action::TufSign, trusted.as_ref(), &document).await?;
    Ok(Outcome::Published { message, details: details([(what, done.to_owned())], false) })
}
