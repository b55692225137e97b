//! Whether the repository is in a state for a request: asked before it becomes a task, and again when it is done.

use countersign_model::Action;
use countersign_store::TufTx;

use super::error::Error;
use super::repository::{Bootstrap, Repository};
use super::request::Request;
use super::{online_task, resource};
use crate::caller::Caller;
use crate::context::Context;
use crate::pipeline;

const NOT_ACCEPTED: &str = "Task not accepted.";

/// Whether policy lets the caller ask for this.
///
/// # Errors
/// [`Error::Other`]: it does not.
pub(super) fn permit(ctx: &Context, caller: &Caller, request: &Request) -> Result<(), Error> {
    let actions: &[Action] = match request {
        Request::SignMetadata { .. } => &[Action::TufSign],
        Request::DeleteSignMetadata { .. } | Request::RemoveArtifacts { .. } => &[Action::TufDelete],
        Request::OverrideSignMetadata { .. } => &[Action::TufSign, Action::TufDelete],
        _ => &[Action::TufWrite],
    };
    for &action in actions {
        pipeline::authorise_person(ctx, caller, action, &resource())?;
    }
    Ok(())
}

/// Whether the repository is in a state for the request.
///
/// # Errors
/// [`Error::WrongState`], [`Error::Conflict`], [`Error::ProofRequired`]; [`Error::Other`] when the database fails.
pub(super) async fn check(
    ctx: &Context,
    tx: &mut TufTx,
    repository: &Repository,
    request: &Request,
) -> Result<(), Error> {
    let state = &repository.bootstrap;
    match request {
        Request::Bootstrap(_) => free(state),
        Request::UpdateSettings { .. } => {
            finished(state, "No Repository Settings/Config found.", "It requires bootstrap.")
        }
        Request::MetadataUpdate { .. } => {
            finished(state, NOT_ACCEPTED, "Requires bootstrap finished.")?;
            if tx.pending("root").await?.is_some() {
                let error = "The root role is already in a signing process.".to_owned();
                return Err(Error::Conflict { message: NOT_ACCEPTED.to_owned(), error });
            }
            Ok(())
        }
        Request::ForceOnlineMetadataUpdate { roles } => {
            finished(state, NOT_ACCEPTED, "Requires bootstrap finished.")?;
            match online_task::plan(tx, roles).await? {
                Ok(_) => Ok(()),
                Err(refusal) => Err(refuse(NOT_ACCEPTED, refusal.to_string())),
            }
        }
        Request::SignMetadata { .. } => match state {
            Bootstrap::Signing(_) | Bootstrap::Finished(_) => Ok(()),
            _ => Err(Error::state("No signing pending.", "Requires bootstrap in signing state.", state)),
        },
        Request::DeleteSignMetadata { role, proof } => pending(ctx, tx, role, proof.is_some()).await,
        Request::OverrideSignMetadata { proof, .. } => pending(ctx, tx, "root", proof.is_some()).await,
        Request::MetadataDelegation(_) => finished(state, NOT_ACCEPTED, "Requires bootstrap finished."),
        Request::AddArtifacts(_) | Request::RemoveArtifacts { .. } | Request::PublishArtifacts => {
            finished(state, NOT_ACCEPTED, "It requires bootstrap finished.")
        }
    }
}

fn free(state: &Bootstrap) -> Result<(), Error> {
    match state {
        Bootstrap::None => Ok(()),
        _ => Err(Error::WrongState {
            message: None,
            error: format!("System already has a Metadata. State: {}", state.state_text()),
        }),
    }
}

fn finished(state: &Bootstrap, message: &str, wanted: &str) -> Result<(), Error> {
    if state.is_finished() { Ok(()) } else { Err(Error::state(message, wanted, state)) }
}

async fn pending(ctx: &Context, tx: &mut TufTx, role: &str, has_proof: bool) -> Result<(), Error> {
    if tx.pending(role).await?.is_none() {
        let error = format!("The {role} role is not in a signing process.");
        return Err(refuse(&format!("No signing process for {role}."), error));
    }
    if ctx.tuf.settings.proof_required && !has_proof { Err(Error::ProofRequired) } else { Ok(()) }
}

fn refuse(message: &str, error: String) -> Error {
    Error::WrongState { message: Some(message.to_owned()), error }
}
