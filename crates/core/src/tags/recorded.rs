//! When a signature was recorded: what counts for a key that was revoked for a part of its time.
//!
//! The signing log says which key signed which content when. An index of it in the database is kept by every
//! node for its own log, a second behind, and for the logs before it whose files it has; so it can be made again
//! from the logs at any time.

use std::sync::atomic::Ordering;

use countersign_keyhost::client::Status;
use countersign_model::KeyId;
use countersign_model::digest::sha256;
use countersign_model::entry::{Entry, Op};
use countersign_model::{Name, Surface, ToSign};
use countersign_records::authorities::KeyRevocation;
use countersign_records::tag::{TagFile, WeakKeys};
use countersign_store::{RecordedSignature, RecordedTimes};
use jiff::Timestamp;

use super::Error;
use super::authorities::Authority;
use crate::context::Context;
use crate::log;

/// How many entries are taken into the index at a time.
const STEP: u64 = 256;

/// When this signature of `authority` was recorded, to be given to `verify::authority::judge`. Looks into
/// the database only if the key that made it is revoked for a part of its time.
///
/// # Errors
/// When log or database cannot be read.
pub async fn find(
    ctx: &Context,
    authority: &Authority,
    file: &TagFile<'_>,
) -> Result<Option<Timestamp>, Error> {
    let windowed = |revoked: &Option<KeyRevocation>| revoked.as_ref().is_some_and(|r| r.from.is_some());
    let mut keys = authority.to_verify().keys.iter().rev();
    let made_by = keys.find(|key| {
        windowed(&key.revoked)
            && !key.detached
            && file.verify(&authority.name, &key.public_key, WeakKeys::Allow).is_ok()
    });
    let Some((key, revoked)) = made_by.and_then(|key| Some((key, key.revoked.as_ref()?))) else {
        return Ok(None);
    };
    of_payload(ctx, &key.id, &sha256(file.payload()), revoked).await
}

/// When `key` signed the payload with this SHA-256, at the time that speaks most for it: outside the window
/// of the revocation, if it ever did.
///
/// # Errors
/// When log or database cannot be read.
pub async fn of_payload(
    ctx: &Context,
    key: &KeyId,
    payload_sha256: &[u8; 32],
    revoked: &KeyRevocation,
) -> Result<Option<Timestamp>, Error> {
    // As in the log: SHA-256 of the bytes that the scheme gets, which are a digest here.
    let to_sign = sha256(payload_sha256);
    let mut times = ctx.store.recorded_times(key.as_str(), &to_sign).await?;
    if times.is_none() {
        catch_up(ctx).await?;
        times = ctx.store.recorded_times(key.as_str(), &to_sign).await?;
    }
    let best = |RecordedTimes { first, last }| {
        let before = revoked.from.is_some_and(|from| first.as_second() < from.as_second());
        let after = revoked.until.is_some_and(|until| last.as_second() > until.as_second());
        if !before && after { last } else { first }
    };
    Ok(times.map(best))
}

/// The fingerprint under which the log has a signature of the payload with this SHA-256.
pub fn fingerprint(payload_sha256: &[u8; 32]) -> [u8; 32] {
    countersign_model::Digest::new(countersign_model::HashAlg::Sha256, payload_sha256)
        .map_or_else(|_| sha256(payload_sha256), |digest| ToSign::Digest(digest).fingerprint())
}

/// Keeps the index close behind the log.
pub(crate) async fn follow(ctx: &Context) {
    let open = matches!(ctx.key_host.status(), Status::Ready(_));
    if open && let Err(error) = catch_up(ctx).await {
        tracing::warn!(%error, "the index of signatures does not follow the log");
    }
}

async fn catch_up(ctx: &Context) -> Result<(), crate::Error> {
    catch_up_on_earlier(ctx).await?;
    let size = log::fresh_head(ctx).await?.size;
    if ctx.authorities.recorded.load(Ordering::Acquire) >= size {
        return Ok(());
    }
    take_in(ctx, &ctx.node, size).await?;
    ctx.authorities.recorded.fetch_max(size, Ordering::AcqRel);
    Ok(())
}

/// Takes in what the index does not have yet of logs that grow no more: those from before a restore.
async fn catch_up_on_earlier(ctx: &Context) -> Result<(), crate::Error> {
    if ctx.authorities.earlier.load(Ordering::Acquire) {
        return Ok(());
    }
    for (origin, size) in log::earlier(ctx).await? {
        if let Err(error) = take_in(ctx, &origin, size).await {
            tracing::warn!(%error, %origin, "the index has not all signatures of an earlier log");
        }
    }
    ctx.authorities.earlier.store(true, Ordering::Release);
    Ok(())
}

/// Takes in the entries below `size` that are not in the index yet.
async fn take_in(ctx: &Context, origin: &Name, size: u64) -> Result<(), crate::Error> {
    let mut from = ctx.store.recorded_until(origin.as_str()).await?;
    while from < size {
        let until = size.min(from + STEP);
        let signatures = read(ctx, origin, from, until).await?;
        ctx.store.add_recorded(origin.as_str(), until, &signatures).await?;
        from = until;
    }
    Ok(())
}

/// The signatures of authorities among the entries `from..until` of a log whose files are here.
async fn read(
    ctx: &Context,
    origin: &Name,
    from: u64,
    until: u64,
) -> Result<Vec<RecordedSignature>, crate::Error> {
    let reader = log::Reader::new(ctx, origin);
    let cut_short = |_| crate::Error::Internal("reading the log was cut short".into());
    let read = move || {
        let mut signatures = Vec::new();
        reader.backwards(until, until - from, |_, leaf| {
            signatures.extend(Entry::parse(leaf).ok().and_then(signature));
            true
        })?;
        Ok(signatures)
    };
    tokio::task::spawn_blocking(read).await.map_err(cut_short)?
}

fn signature(entry: Entry) -> Option<RecordedSignature> {
    if entry.op != Op::Sign || entry.surface != Surface::Tags {
        return None;
    }
    let mut to_sign = [0; 32];
    hex::decode_to_slice(entry.to_sign?.strip_prefix("sha256:")?, &mut to_sign).ok()?;
    let at = entry.time.parse().ok()?;
    Some(RecordedSignature { key_id: entry.key_id?.to_string(), to_sign, at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_has_the_fingerprint_that_the_log_gives_it() {
        let digest = sha256(b"build=42\n");
        assert_eq!(fingerprint(&digest), sha256(&digest));
    }
}
