//! POST metadata/sign/delete: what is pending is dropped.

use countersign_model::Action;
use countersign_tuf::proof::Operation;

use super::{ROOT, details, stored, trusted, withdraw};
use crate::tuf::apply::Job;
use crate::tuf::challenge::{self, Proved};
use crate::tuf::error::Error;
use crate::tuf::halt::Halt;
use crate::tuf::journal::{digest, named, record};
use crate::tuf::repository::Bootstrap;
use crate::tuf::request::Proof;
use crate::tuf::task::Outcome;

/// Stops the signing of `role`. At bootstrap the system is free again.
pub(in crate::tuf) async fn stop(
    job: &mut Job<'_>,
    role: &str,
    proof: Option<Proof>,
) -> Result<Outcome, Error> {
    match drop_pending(job, role, proof).await {
        Ok(outcome) => Ok(outcome),
        Err(halt) => halt.into_outcome(&format!("Deletion of {role} metadata failed.")),
    }
}

async fn drop_pending(job: &mut Job<'_>, role: &str, proof: Option<Proof>) -> Result<Outcome, Halt> {
    let spent = challenge::spend(job, proof).await?;
    let Some(pending) = job.tx.pending(role).await? else {
        return Err(Halt::refused(format!("The {role} role is not in a signing process.")));
    };
    let document = stored(&pending.document)?;
    let trusted = trusted(job).await?;
    let about = Proved { operation: Operation::Delete, role, pending: &document, new: None };
    let by = challenge::check(job, spent, about, trusted.as_ref()).await?;

    let what = format!("{} stopped {}{by}", named(role, &document), digest(&document));
    record(job, Action::TufDelete, what).await?;
    job.tx.remove_pending(role).await?;
    job.tx.void_challenges(role).await?;
    let mut said = None;
    if role == ROOT {
        withdraw(job, &document);
        if matches!(job.repository.bootstrap, Bootstrap::Signing(_)) {
            job.repository.bootstrap = Bootstrap::None;
            job.repository.asked = None;
            said = details([("bootstrap", "Bootstrap process has been stopped".to_owned())], false);
        }
    }
    let message = format!("Deletion of {role} metadata successful, signing process stopped");
    Ok(Outcome::Done { message, details: said })
}
