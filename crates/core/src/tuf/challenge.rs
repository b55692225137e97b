//! Proofs of possession: who overrides or stops a signing shows that they hold a root key now.
//!
//! A challenge names this server by an id that is made once and is the same on all nodes of a database
//! (`tuf-` and 16 hex digits): a proof for one repository is none for another.

use countersign_model::Action;
use countersign_store::{ChallengeRow, StoreError};
use countersign_tuf::metadata::Document;
use countersign_tuf::proof::{self, Challenge, LIFETIME_SECONDS, MAX_OPEN, Operation};
use jiff::{SignedDuration, Timestamp};

use super::apply::Job;
use super::halt::Halt;
use super::journal::short;
use super::request::Proof;
use super::root::{ROOT, damaged, stored};
use super::{Error, resource};
use crate::caller::Caller;
use crate::context::Context;
use crate::{pipeline, random};

/// Where the database keeps the server's id.
const SERVER: &str = "tuf-server";

/// A challenge that was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// 64 hex digits.
    pub nonce: String,
    /// What is to be signed.
    pub payload: String,
    /// Until when it can be answered.
    pub expires: Timestamp,
}

/// POST metadata/sign/challenge. `new`: SHA-256 of the canonical new `signed`, for [`Operation::Override`].
///
/// # Errors
/// [`Error::WrongState`] if `role` has nothing pending; [`Error::Conflict`] if the caller has too many challenges of it;
/// [`Error::Other`] when it is not permitted, and when the database fails.
pub async fn issue(
    ctx: &Context,
    caller: &Caller,
    role: &str,
    operation: Operation,
    new: Option<[u8; 32]>,
) -> Result<Issued, Error> {
    pipeline::authorise_person(ctx, caller, Action::TufDelete, &resource())?;
    if operation == Operation::Override {
        pipeline::authorise_person(ctx, caller, Action::TufSign, &resource())?;
    }
    // Before the transaction: it is a write of its own.
    let server = server_or_new(ctx).await?;
    let nonce = random::bytes::<32>()?;
    let now = ctx.now();
    let lifetime = SignedDuration::from_secs(LIFETIME_SECONDS);
    let expires = now.checked_add(lifetime).map_err(|error| crate::Error::Internal(error.to_string()))?;

    let mut tx = ctx.store.tuf_write().await?;
    let Some(pending) = tx.pending(role).await? else { return Err(nothing_pending(role)) };
    let pending = stored(&pending.document)?.signed_sha256();
    let challenge = Challenge { server: &server, operation, role, pending, new, nonce };
    let payload = challenge.text().map_err(|error| crate::Error::Internal(error.to_string()))?;
    let row = ChallengeRow {
        nonce: hex::encode(nonce),
        role: role.to_owned(),
        operation: operation.as_str().to_owned(),
        pending_sha256: hex::encode(pending),
        new_sha256: new.map(hex::encode),
        expires,
        principal: caller.identity.principal.to_string(),
    };
    if !tx.add_challenge(&row, now).await? {
        return Err(Error::Conflict {
            message: "Challenge not issued.".to_owned(),
            error: format!("{MAX_OPEN} challenges for the {role} role are open already."),
        });
    }
    tx.commit().await?;
    Ok(Issued { nonce: row.nonce, payload, expires })
}

/// The refusal of whatever is about a signing that is not.
pub(super) fn nothing_pending(role: &str) -> Error {
    Error::WrongState {
        message: Some(format!("No signing process for {role}.")),
        error: format!("The {role} role is not in a signing process."),
    }
}

/// A proof, and the challenge that it spent, if that was open.
pub(super) struct Spent {
    proof: Proof,
    challenge: Option<ChallengeRow>,
}

/// What is to be proved.
pub(super) struct Proved<'a> {
    /// What is done.
    pub operation: Operation,
    /// To whose metadata.
    pub role: &'a str,
    /// What is pending.
    pub pending: &'a Document,
    /// What takes its place.
    pub new: Option<&'a Document>,
}

/// Takes the challenge that `proof` answers: this is its only try, whatever comes of it.
pub(super) async fn spend(job: &mut Job<'_>, proof: Option<Proof>) -> Result<Option<Spent>, Halt> {
    let Some(proof) = proof else { return Ok(None) };
    let challenge = job.tx.take_challenge(&proof.nonce, job.now).await?;
    Ok(Some(Spent { proof, challenge }))
}

/// Checks a proof, if there must be one or was given one. Gives what the log says of it: ` proof KEYID`.
pub(super) async fn check(
    job: &mut Job<'_>,
    spent: Option<Spent>,
    about: Proved<'_>,
    trusted: Option<&Document>,
) -> Result<String, Halt> {
    let Some(Spent { proof, challenge }) = spent else {
        return match job.ctx.tuf.settings.proof_required {
            true => Err(Halt::refused(Error::ProofRequired)),
            false => Ok(String::new()),
        };
    };
    let invalid = || Halt::refused(proof::InvalidProof);
    let row = challenge.filter(|row| is_about(row, &about)).ok_or_else(invalid)?;
    let mut nonce = [0; 32];
    hex::decode_to_slice(&row.nonce, &mut nonce).map_err(|_| invalid())?;
    let server = server(job.ctx).await?.ok_or_else(|| damaged("the server's id"))?;
    let challenge = Challenge {
        server: &server,
        operation: about.operation,
        role: about.role,
        pending: about.pending.signed_sha256(),
        new: about.new.map(Document::signed_sha256),
        nonce,
    };
    let answer = proof::Proof { nonce: &proof.nonce, keyid: &proof.keyid, sig: &proof.sig };
    let pending = (about.role == ROOT).then_some(about.pending);
    challenge.check(answer, pending.into_iter().chain(trusted)).map_err(|_| invalid())?;
    Ok(format!(" proof {}", short(&proof.keyid)))
}

/// Whether the challenge was asked for exactly this.
fn is_about(row: &ChallengeRow, about: &Proved<'_>) -> bool {
    row.role == about.role
        && row.operation == about.operation.as_str()
        && row.pending_sha256 == hex::encode(about.pending.signed_sha256())
        && row.new_sha256 == about.new.map(|new| hex::encode(new.signed_sha256()))
}

/// This server's id; `None` if no challenge was ever asked for.
async fn server(ctx: &Context) -> Result<Option<String>, Error> {
    let Some(stored) = ctx.store.meta_get(SERVER).await? else { return Ok(None) };
    String::from_utf8(stored).map(Some).map_err(|_| damaged("the server's id"))
}

async fn server_or_new(ctx: &Context) -> Result<String, Error> {
    if let Some(server) = server(ctx).await? {
        return Ok(server);
    }
    let new = format!("tuf-{}", hex::encode(random::bytes::<8>()?));
    match ctx.store.meta_put_new(SERVER, new.as_bytes()).await {
        // Another request was first.
        Ok(()) | Err(StoreError::Conflict { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    server(ctx).await?.ok_or_else(|| damaged("the server's id"))
}
