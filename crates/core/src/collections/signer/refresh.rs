//! Signatures that have become old are made again, so that readers' certificates and caches never outlive them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use countersign_records::collections::status::Stamp;
use countersign_store::ObjectRow;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;

use super::resource::Matched;
use super::sign::bundles_of;
use super::{PLUGIN, keys};
use crate::collections::call::{Answer, Behavior, Body, Call, Conditions, Form, Method, Target};
use crate::collections::chain;
use crate::collections::error::Error;
use crate::collections::reading::monitor::collections_at;
use crate::collections::uri::ObjectUri;
use crate::collections::who::Who;
use crate::collections::writer::execute;
use crate::context::Context;
use crate::lease::{self, Lease};
use crate::random;

/// How often a node looks for what is due, about.
const PERIOD: Duration = Duration::from_secs(600);

/// After a start, the first look comes within this time.
const FIRST: Duration = Duration::from_secs(30);

/// Starts what signs again.
pub(crate) fn start(ctx: &Context) -> JoinHandle<()> {
    // The task holds the context weakly, so that it does not keep a dropped deployment alive.
    let weak = ctx.downgrade();
    tokio::spawn(async move {
        let mut pause = some_of(FIRST);
        loop {
            tokio::time::sleep(pause).await;
            let Some(ctx) = Context::upgrade(&weak) else { return };
            if ctx.begun.load(Ordering::Acquire)
                && let Err(error) = run(&ctx).await
            {
                tracing::warn!(%error, "signatures that are old could not be made again now");
            }
            pause = PERIOD / 2 + some_of(PERIOD);
        }
    })
}

/// A random part of a time, so that nodes do not do the same at once.
fn some_of(time: Duration) -> Duration {
    let part = random::bytes::<1>().map_or(128, |[byte]| byte);
    time * u32::from(part) / 256
}

/// Signs again what is due, if no other node does. Says how many collections were signed.
///
/// # Errors
/// When the database does not answer. A collection that could not be signed is logged, and due again.
pub async fn run(ctx: &Context) -> Result<u32, Error> {
    if ctx.collections.resources.is_empty() {
        return Ok(0);
    }
    if due(ctx).await?.is_empty() {
        ctx.collections.refreshed.left.store(0, Ordering::Relaxed);
        return Ok(0);
    }
    let Some(held) = Lease::take(ctx, "collections-refresh", lease::LENGTH).await? else { return Ok(0) };
    let signed = sign_due(ctx, &held).await;
    held.release().await;
    signed
}

async fn sign_due(ctx: &Context, lease: &Lease) -> Result<u32, Error> {
    let (mut signed, mut left) = (0, 0);
    // Who had the lease before may have signed some of them.
    for source in due(ctx).await? {
        lease.keep(ctx).await?;
        match sign(ctx, &source).await {
            Ok(()) => signed += 1,
            Err(Error::Refused(why)) => {
                left += 1;
                tracing::warn!(%why, %source, "a collection is not signed again");
            }
            Err(error) => tracing::error!(%error, %source, "a collection could not be signed again"),
        }
    }
    ctx.collections.refreshed.left.store(left, Ordering::Relaxed);
    Ok(signed)
}

/// What was found when this node looked last.
#[derive(Debug, Default)]
pub(crate) struct State {
    left: AtomicU64,
}

/// How many collections were not signed again when this node looked last, because they are not as they were signed.
pub fn left(ctx: &Context) -> u64 {
    ctx.collections.refreshed.left.load(Ordering::Relaxed)
}

/// The sources of which a signature is older than the configuration says, or names a chain that was replaced.
///
/// # Errors
/// When the database does not answer.
pub async fn due(ctx: &Context) -> Result<Vec<ObjectUri>, Error> {
    let resources = &ctx.collections.resources;
    let after = ctx.collections.settings.refresh_after;
    let now = ctx.now();
    let mut tx = ctx.store.collections_read().await?;
    let mut due = Vec::new();
    for place in resources.sources() {
        for source in collections_at(&mut tx, place).await? {
            // A collection that is named itself is found at its own place.
            let Some(matched) = resources.of(&source) else { continue };
            if matched.is_seed() || due.contains(&source) {
                continue;
            }
            let key = |uri: &ObjectUri| (uri.list.to_string(), uri.id.clone());
            let keys: Vec<_> = std::iter::once(&source).chain(matched.published()).map(key).collect();
            let rows = tx.objects(&keys).await?;
            let row = |uri: &ObjectUri| {
                let (list, id) = key(uri);
                rows.iter().find(|row| row.list == list && row.id == id && !row.deleted)
            };
            if row(&matched.destination).is_none() {
                continue;
            }
            let stale = |uri| row(uri).is_some_and(|published| is_stale(ctx, &matched, uri, published));
            if row(&source).is_none_or(|source| is_old(source, now, after)) || matched.published().any(stale)
            {
                due.push(source);
            }
        }
    }
    Ok(due)
}

/// Whether the chain of a key that signed is another one by now.
fn is_stale(ctx: &Context, matched: &Matched<'_>, uri: &ObjectUri, published: &ObjectRow) -> bool {
    chain::is_stale(ctx, &keys::keys_for(matched, uri), &bundles_of(published))
}

/// Whether what a source says of its last signature is too long ago, or cannot be read.
fn is_old(source: &ObjectRow, now: Timestamp, after: Duration) -> bool {
    let data: Map<String, Value> = serde_json::from_str(&source.data).unwrap_or_default();
    let date = data.get(Stamp::Signature.date()).and_then(Value::as_str);
    let signed: Option<Timestamp> = date.and_then(|date| date.parse().ok());
    signed.is_none_or(|signed| now.duration_since(signed).unsigned_abs() > after)
}

/// Asks for a new signature, as whoever may write the collection could.
async fn sign(ctx: &Context, source: &ObjectUri) -> Result<(), Error> {
    let who = Who { caller: keys::by_surface(ctx), user: Some(PLUGIN.into()), admin: true };
    let call = Call {
        method: Method::Patch,
        target: Target::Object(source.clone()),
        conditions: Conditions::default(),
        query: Vec::new(),
        body: Ok(Some(Body { form: Form::Json, value: json!({"data": {"status": "to-resign"}}) })),
        behavior: Behavior::default(),
    };
    match execute(ctx, &who, vec![call]).await.pop() {
        Some(Answer::Refused(error)) => Err(error),
        _ => Ok(()),
    }
}
