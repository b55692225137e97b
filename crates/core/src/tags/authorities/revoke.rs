//! Revoking keys.

use std::sync::Arc;

use countersign_model::{KeyId, time};
use countersign_records::tag::AuthorityName;
use countersign_store::{AuthorityRevocation, StoreError};
use jiff::Timestamp;

use super::change::{may_write, now, put, record, whole_seconds};
use super::{Authority, Error, holders, known, through_tags, unknown_key};
use crate::caller::Caller;
use crate::context::Context;
use crate::keys;
use crate::pipeline::Logged;

/// That a key is not to be believed any more.
#[derive(Clone, Debug)]
pub struct Revoke {
    /// The key.
    pub key: KeyId,
    /// Why: 1 to 256 characters.
    pub reason: String,
    /// Since when its signatures are in doubt; `None`: all are.
    pub from: Option<Timestamp>,
    /// Until when; only beside `from`.
    pub until: Option<Timestamp>,
}

/// Revokes a key, for good, of this authority and of all others that have it. A private half that is kept here
/// signs no more. A second revocation can doubt more signatures than the first, never fewer; one that says the
/// same changes nothing.
///
/// # Errors
/// [`Error::BadRequest`] without a reason or for a window that is none; not permitted;
/// [`Error::UnknownAuthority`], [`Error::NotFound`]; [`Error::Exists`] for one that would doubt fewer.
pub async fn revoke(
    ctx: &Context,
    caller: &Caller,
    name: &AuthorityName,
    revoke: Revoke,
) -> Result<Logged<Arc<Authority>>, Error> {
    check_revocation(&revoke)?;
    let permit = may_write(ctx, caller, name)?;
    let _turn = ctx.authorities.changes.lock().await;
    let authority = known(ctx, name)?;
    let (key, _) = authority.place(&revoke.key).ok_or_else(|| unknown_key(name, &revoke.key))?;
    if let Some(first) = &key.revoked {
        let (from, until) = (seconds(first.from), seconds(first.until));
        if (from, until) == (seconds(revoke.from), seconds(revoke.until)) {
            return Ok(Logged { value: authority, log: None });
        }
        if !covers(&revoke, first.from, first.until) {
            return Err(narrower(name, &revoke.key));
        }
    }
    // First of all it stops signing: no signature of this node stands in the log after this.
    let holders = holders(ctx, &revoke.key);
    for private in holders.iter().filter_map(|holder| holder.place(&revoke.key)?.1.private.as_ref()) {
        keys::revoke(ctx, &through_tags(caller), private, revoke.reason.clone()).await?;
    }
    let log = record(ctx, caller, &permit, name, &in_words(&revoke)).await?;
    for other in holders.iter().filter(|holder| holder.name != *name) {
        record(ctx, caller, &permit, &other.name, &in_words(&revoke)).await?;
    }
    let revocation = AuthorityRevocation {
        at: now(ctx),
        from: revoke.from.map(whole_seconds),
        until: revoke.until.map(whole_seconds),
        reason: revoke.reason,
    };
    let _writing = ctx.writing.lock().await;
    let stored = ctx.store.revoke_authority_key(name.as_str(), revoke.key.as_str(), &revocation).await;
    let records = stored.map_err(|error| match error {
        StoreError::Conflict { .. } => narrower(name, &revoke.key),
        other => ctx.store_failed(other).into(),
    })?;
    let mut revoked = authority;
    for record in records {
        let authority = put(ctx, record)?;
        if authority.name == *name {
            revoked = authority;
        }
    }
    Ok(Logged::new(revoked, log))
}

fn check_revocation(revoke: &Revoke) -> Result<(), Error> {
    let bad = |why: &str| Err(Error::BadRequest(why.into()));
    if !(1..=256).contains(&revoke.reason.chars().count()) || revoke.reason.chars().any(char::is_control) {
        return bad("`reason` has 1 to 256 characters, none of them a control character");
    }
    match (revoke.from, revoke.until) {
        (None, Some(_)) => bad("`until` stands only beside `from`: without it all signatures are refused"),
        (Some(from), Some(until)) if until < from => bad("`until` is before `from`"),
        _ => Ok(()),
    }
}

/// Whether everything that was in doubt before is so by `revoke` too.
fn covers(revoke: &Revoke, from: Option<Timestamp>, until: Option<Timestamp>) -> bool {
    let (from, until) = (seconds(from), seconds(until));
    let from_covered = seconds(revoke.from).is_none_or(|new| from.is_some_and(|old| new <= old));
    let until_covered = seconds(revoke.until).is_none_or(|new| until.is_some_and(|old| new >= old));
    from_covered && until_covered
}

fn narrower(name: &AuthorityName, key: &KeyId) -> Error {
    Error::Exists(format!("key {key} of {name} is revoked: what is in doubt stays in doubt"))
}

fn in_words(revoke: &Revoke) -> String {
    let mut what = format!("revoke {}", revoke.key);
    for (word, time) in [("from", revoke.from), ("until", revoke.until)] {
        if let Some(time) = time {
            what = format!("{what} {word}={}", time::seconds(time));
        }
    }
    format!("{what} {}", revoke.reason)
}

/// Times count by whole seconds, since documents have no finer ones.
fn seconds(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::as_second)
}
