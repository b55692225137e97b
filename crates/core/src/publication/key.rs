//! The log's name and its key: made when the log is first used, and kept.

use std::sync::Arc;

use countersign_model::{Format, KeyName, KeyType, Name, PrincipalName, Surface};
use countersign_store::StoreError;
use countersign_tlog::checkpoint::{Checkpoint, CheckpointError};
use countersign_tlog::note::{SignedNote, VerifierKey};

use crate::caller::{Caller, Identity};
use crate::context::Context;
use crate::error::Error;
use crate::keys::{self, NewKey};
use crate::pipeline::{self, Order};
use crate::random;
use crate::snapshot::Key;

/// Where the database keeps the log's name.
pub(crate) const ORIGIN: &str = "publication-origin";

/// What the names of publication logs begin with.
const PREFIX: &str = "publication-";

/// A name for a log: `publication-` and 8 random hex digits.
pub(crate) fn new_origin() -> Result<Name, Error> {
    let digits = hex::encode(random::bytes::<4>()?);
    Ok(format!("{PREFIX}{digits}").parse().expect("letters, a dash and hex digits"))
}

/// Whether this is the name of a publication log: this deployment's, or one that a restore ended.
pub(crate) fn is_publication_log(origin: &str) -> bool {
    origin
        .strip_prefix(PREFIX)
        .is_some_and(|rest| rest.len() == 8 && rest.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The log's name; `None` if it was never used.
pub(super) async fn origin(ctx: &Context) -> Result<Option<Name>, Error> {
    if let Some(origin) = ctx.publication.origin.get() {
        return Ok(Some(origin.clone()));
    }
    let Some(stored) = ctx.store.meta_get(ORIGIN).await? else { return Ok(None) };
    let damaged = || Error::Internal("the name of the publication log is damaged".into());
    let text = String::from_utf8(stored).map_err(|_| damaged())?;
    let origin: Name = text.parse().map_err(|_| damaged())?;
    Ok(Some(ctx.publication.origin.get_or_init(|| origin).clone()))
}

/// The log's name, made if it has none.
pub(super) async fn origin_or_new(ctx: &Context) -> Result<Name, Error> {
    if let Some(origin) = origin(ctx).await? {
        return Ok(origin);
    }
    match ctx.store.meta_put_new(ORIGIN, new_origin()?.as_str().as_bytes()).await {
        // Another node was first.
        Ok(()) | Err(StoreError::Conflict { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let missing = || Error::Internal("the name of the publication log is gone".into());
    origin(ctx).await?.ok_or_else(missing)
}

fn key_name() -> KeyName {
    "log/publication".parse().expect("a constant name")
}

/// The system's own request, in the name of the logs' surface.
fn by_log(ctx: &Context) -> Caller {
    let principal = PrincipalName::surface(Surface::Log);
    let identity = Identity { principal, roles: Vec::new(), narrowing: None, token: None };
    Caller::new(Arc::new(identity), Surface::Log, ctx.request_id())
}

/// What signs the checkpoints, if the key was made.
pub(super) fn verifier(ctx: &Context, origin: &Name) -> Result<Option<VerifierKey>, Error> {
    ctx.cache.key(&key_name()).map(|key| verifier_of(&key, origin)).transpose()
}

fn verifier_of(key: &Key, origin: &Name) -> Result<VerifierKey, Error> {
    let unusable = |error: countersign_tlog::note::NoteError| Error::Internal(error.to_string());
    let name = origin.as_str().parse().map_err(unusable)?;
    VerifierKey::new(name, key.public()?.clone()).map_err(unusable)
}

/// What signs the checkpoints. The key is made if there is none; the caller holds the lease.
pub(super) async fn verifier_or_new(ctx: &Context, origin: &Name) -> Result<VerifierKey, Error> {
    if let Some(verifier) = verifier(ctx, origin)? {
        return Ok(verifier);
    }
    if ctx.store.key(key_name().as_str()).await?.is_some() {
        // Another node made it: it is known here in a moment.
        ctx.stale.store(true, std::sync::atomic::Ordering::Release);
        return Err(Error::StorageUnavailable("the publication log's key is being read".into()));
    }
    let new = NewKey {
        name: key_name(),
        key_type: KeyType::Ed25519,
        exportable: false,
        formats: Some(vec![Format::Checkpoint]),
    };
    keys::create(ctx, &by_log(ctx), new).await?;
    let missing = || Error::Internal("the publication log's key is gone".into());
    verifier(ctx, origin)?.ok_or_else(missing)
}

/// Signs a checkpoint by the one signing path, and checks it as a stranger would.
pub(super) async fn sign(
    ctx: &Context,
    verifier: &VerifierKey,
    checkpoint: &Checkpoint,
) -> Result<SignedNote, Error> {
    let unusable = |error: CheckpointError| Error::Internal(error.to_string());
    let caller = by_log(ctx);
    let admitted = pipeline::admit(ctx, &caller, &key_name(), None, |_| Format::Checkpoint)?;
    let (to_sign, pending) = checkpoint.prepare(verifier).map_err(unusable)?;
    let subject = Some(format!("{} {}", checkpoint.origin, checkpoint.head.size));
    let order = Order { admitted, to_sign, input: None, subject };
    let signed = pipeline::sign(ctx, &caller, order).await?;
    let note = pending.finish(signed.signature).map_err(|error| Error::Internal(error.to_string()))?;
    if Checkpoint::open(&note, verifier).map_err(unusable)? != *checkpoint {
        return Err(Error::Internal("another checkpoint was signed than was asked for".into()));
    }
    Ok(note)
}
