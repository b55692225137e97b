//! Hiding tags, and showing them again. Nothing is lost.

use countersign_store::{StoreError, TagRecord};

use super::decide::{Belief, believe};
use super::{TRIES, Written, busy, may_write, published, record};
use crate::LogRef;
use crate::caller::Caller;
use crate::context::Context;
use crate::tags::Error;
use crate::tags::file::{self, Op};
use crate::tags::name::TagName;
use crate::tags::read::{TagDocument, find};

/// Hides a tag: nothing of it is lost. One that is hidden stays as it is. Gives the entry in the signing log that
/// says who did it; `None` if it was hidden already.
///
/// # Errors
/// Not permitted; [`Error::UnknownTag`]; [`Error::PreconditionFailed`], [`Error::NewVersion`].
pub async fn hide(
    ctx: &Context,
    caller: &Caller,
    name: &TagName,
    belief: &Belief,
) -> Result<Option<LogRef>, Error> {
    let permit = may_write(ctx, caller, name)?;
    let mut log = None;
    let by = caller.identity.principal.as_str();
    for _ in 0..TRIES {
        let now = ctx.now();
        let present = find(ctx, name, None).await?;
        believe(name, belief, Some(&present))?;
        if present.hidden.is_none() && log.is_none() {
            log = Some(record(ctx, caller, &permit, name, "hide").await?);
        }
        let leaf = |tag: &TagRecord| file::leaf(Op::Hide, tag, now);
        let hidden = ctx.store.hide_tag(name.as_str(), present.version, by, now, &leaf).await;
        let (tag, index) = hidden.map_err(|error| unknown(name, error))?;
        published(ctx, index);
        if tag.hidden.is_some() {
            return Ok(log);
        }
    }
    Err(busy(name))
}

/// Shows a hidden tag again, once the signing log says who did it. One that is not hidden stays as it is.
///
/// # Errors
/// Not permitted; [`Error::UnknownTag`].
pub async fn restore(ctx: &Context, caller: &Caller, name: &TagName) -> Result<Written, Error> {
    let permit = may_write(ctx, caller, name)?;
    let mut logs = Vec::new();
    if find(ctx, name, None).await?.hidden.is_some() {
        logs.push(record(ctx, caller, &permit, name, "restore").await?);
    }
    let now = ctx.now();
    let leaf = |tag: &TagRecord| file::leaf(Op::Restore, tag, now);
    let (tag, index) = ctx.store.restore_tag(name.as_str(), &leaf).await.map_err(|e| unknown(name, e))?;
    published(ctx, index);
    Ok(Written { tag: TagDocument::of(&tag), created: false, index, logs })
}

fn unknown(name: &TagName, error: StoreError) -> Error {
    match error {
        StoreError::NotFound { .. } => Error::UnknownTag(name.to_string()),
        other => other.into(),
    }
}
