//! The first answer again: a request with an idempotency key is done once.
//!
//! A surface begins with a fingerprint of the request. It gets a [`Claim`] to run the request, or the
//! answer that was given before; while the first is running, the second waits. Answers are kept 24 h.

use std::str::FromStr;
use std::time::Duration;

use countersign_model::PrincipalName;
use countersign_model::digest::sha256_parts;
use countersign_store::{Begin, StoreError};
use jiff::SignedDuration;
use tokio::time::Instant;

use crate::caller::Identity;
use crate::context::Context;
use crate::error::Error;

/// What a client chose to name one request by: 1 to 128 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl FromStr for IdempotencyKey {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self, Error> {
        let ok = (1..=128).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_graphic());
        let why = "an idempotency key has 1 to 128 visible ASCII characters";
        if ok { Ok(Self(s.to_owned())) } else { Err(Error::invalid("Idempotency-Key", why)) }
    }
}

/// What is to be done.
#[derive(Debug)]
pub enum Begun {
    /// Run the request, then [`finish`] or [`forget`].
    Fresh(Claim),
    /// Give this answer.
    Replay(StoredAnswer),
}

/// The right to run a request, until it is finished or its lease has passed.
#[derive(Debug)]
#[must_use = "a claim that is neither finished nor forgotten makes the next request wait"]
pub struct Claim {
    principal: PrincipalName,
    key: IdempotencyKey,
    fence: i64,
}

/// An answer as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAnswer {
    /// HTTP status.
    pub status: u16,
    /// Header names and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// How long a request may run before another may take its place.
///
/// It is not renewed while the request runs: the whole body has arrived before it begins, and what follows
/// waits for no client. The slowest, a batch of a thousand RSA-4096 signatures and an import with a costly
/// passphrase, take seconds, and a key host that answers nothing for half a minute is replaced. Should one
/// outlast it all the same, both are run: each has an entry of its own in the log, and only the later
/// answer is kept.
const LEASE: SignedDuration = SignedDuration::from_secs(60);
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// Begins a request.
///
/// - `identity`: who asks. The key is its principal's, and what a narrowed token may do is part of the
///   request: it never gets the answer that a wider one got.
/// - `fingerprint`: a hash of method, path, query and body.
///
/// # Errors
/// [`Error::IdempotencyMismatch`] if the key was used for another request; when the database does not
/// answer.
pub async fn begin(
    ctx: &Context,
    identity: &Identity,
    key: &IdempotencyKey,
    fingerprint: [u8; 32],
) -> Result<Begun, Error> {
    let principal = &identity.principal;
    let fingerprint = with_narrowing(identity, fingerprint)?;
    let deadline = Instant::now() + LEASE.unsigned_abs() + Duration::from_secs(5);
    let mut pause = Duration::from_millis(5);
    loop {
        let now = ctx.now();
        let lease_until = now.checked_add(LEASE).unwrap_or(now);
        let begun = ctx
            .store
            .idempotency_begin(principal.as_str(), &key.0, fingerprint, now, lease_until, ctx.node.as_str())
            .await?;
        match begun {
            Begin::Fresh { fence } => {
                return Ok(Begun::Fresh(Claim { principal: principal.clone(), key: key.clone(), fence }));
            }
            Begin::Done { status, headers, body } => {
                return Ok(Begun::Replay(StoredAnswer { status, headers, body }));
            }
            Begin::Mismatch => return Err(Error::IdempotencyMismatch),
            Begin::Running if Instant::now() >= deadline => {
                return Err(Error::StorageUnavailable(
                    "the first request of this key is still running".into(),
                ));
            }
            Begin::Running => {}
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(250));
    }
}

/// Not the token's id: after a token was replaced by one with the same rights, a retry is still a retry.
fn with_narrowing(identity: &Identity, fingerprint: [u8; 32]) -> Result<[u8; 32], Error> {
    let Some(narrowing) = &identity.narrowing else { return Ok(fingerprint) };
    let text = serde_json::to_vec(&(&narrowing.actions, &narrowing.resources))
        .map_err(|_| Error::Internal("the token's limits could not be written as JSON".into()))?;
    Ok(sha256_parts(&[&fingerprint, &text]))
}

/// Keeps the answer of a request that was run.
///
/// # Errors
/// When the database does not answer, also not for a while. The answer must not be given then: the next
/// request would get another one.
pub async fn finish(ctx: &Context, claim: Claim, answer: &StoredAnswer) -> Result<(), Error> {
    let Claim { principal, key, fence } = claim;
    let StoredAnswer { status, headers, body } = answer;
    let finish = || ctx.store.idempotency_finish(principal.as_str(), &key.0, fence, *status, headers, body);
    not_lost(patiently(finish).await)
}

/// Ends a request whose answer is not kept: the next one with this key runs.
///
/// # Errors
/// When the database does not answer; then the next one waits until the lease has passed.
pub async fn forget(ctx: &Context, claim: Claim) -> Result<(), Error> {
    let forget = || ctx.store.idempotency_forget(claim.principal.as_str(), &claim.key.0, claim.fence);
    not_lost(patiently(forget).await)
}

/// Tries for some seconds: a connection that was cut is soon made again, and what is not written here
/// makes the next request wait for a whole lease. An attempt that was made though its answer was lost is
/// no harm: the next one finds the lease gone.
async fn patiently<F: Future<Output = Result<(), StoreError>>>(
    write: impl Fn() -> F,
) -> Result<(), StoreError> {
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut pause = Duration::from_millis(10);
    loop {
        match write().await {
            Err(error) if error.is_retryable() && Instant::now() < deadline => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(500));
            }
            result => return result,
        }
    }
}

/// Somebody else has taken over after the lease: theirs is the answer that is kept.
fn not_lost(result: Result<(), StoreError>) -> Result<(), Error> {
    match result {
        Err(StoreError::LeaseLost { .. }) => Ok(()),
        other => other.map_err(Error::from),
    }
}

/// Removes what is older than a day.
pub(crate) async fn expire(ctx: &Context) {
    let now = ctx.now();
    let before = now.checked_sub(KEPT).unwrap_or(now);
    loop {
        match ctx.store.idempotency_expire(before).await {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => return tracing::warn!(%error, "old idempotency keys were not removed"),
        }
    }
}
