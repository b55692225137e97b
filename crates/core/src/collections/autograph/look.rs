//! Learns when the chains of Autographs end, without waiting for somebody to publish something.
//!
//! A service is asked for a signature over nothing, which comes with the chain that it uses now. Then the chains are
//! fetched that published collections name: what was signed before the service had a new chain names the old one, and
//! readers need that until it is signed again.
//!
//! Who may write a published collection may name any address there. So chains are fetched only from hosts at which a
//! service has its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use countersign_pki::chain::Chain;
use countersign_records::collections::content_signature::Bundle;
use tokio::task::JoinHandle;

use super::ends::{self, Ends, KeyOf};
use super::{judge, probe};
use crate::collections::error::Error;
use crate::collections::reading::monitor::collections_at;
use crate::collections::settings::{AutographSettings, Signer};
use crate::collections::signer::bundles_of;
use crate::context::Context;

/// After a start, the first look comes after this time.
const FIRST: Duration = Duration::from_secs(60);

/// How often a node looks.
const PERIOD: Duration = Duration::from_secs(600);

/// A service is asked again if it has signed nothing for so long.
const ASK_AGAIN: Duration = Duration::from_secs(3600);

/// The most published chains that are looked at.
const MOST: usize = 64;

/// The longest address of one, in bytes.
const LONGEST_ADDRESS: usize = 2048;

/// How long one is waited for.
const EACH: Duration = Duration::from_secs(5);

/// How long all of them are.
const ALL: Duration = Duration::from_secs(60);

/// Starts what looks.
pub(crate) fn start(ctx: &Context) -> JoinHandle<()> {
    // The task holds the context weakly, so that it does not keep a dropped deployment alive.
    let weak = ctx.downgrade();
    tokio::spawn(async move {
        let mut pause = FIRST;
        loop {
            tokio::time::sleep(pause).await;
            let Some(ctx) = Context::upgrade(&weak) else { return };
            if ctx.begun.load(Ordering::Acquire)
                && let Err(error) = look(&ctx).await
            {
                tracing::warn!(%error, "the chains of Autographs could not be looked at now");
            }
            pause = PERIOD;
        }
    })
}

/// Learns when the chains of Autographs end: see [`chain::in_use`](crate::collections::chain::in_use).
///
/// # Errors
/// When the database does not answer. A service or a chain that cannot be had is logged, and looked at the next time;
/// until then what was known of it stays.
pub async fn look(ctx: &Context) -> Result<(), Error> {
    ask(ctx).await;
    let wanted = published(ctx).await?;
    let found = fetch(ctx, wanted).await;
    ctx.collections.autographs.seen.publish(found);
    Ok(())
}

/// Asks those who said nothing of one of their keys for a while.
async fn ask(ctx: &Context) {
    for (settings, profile) in probe::services(&ctx.collections.settings) {
        let (now, seen) = (ctx.now(), &ctx.collections.autographs.seen);
        let is_known = |id: &String| {
            let key = KeyOf { url: settings.url.clone(), id: id.clone() };
            seen.is_known(&key, now, ASK_AGAIN)
        };
        if settings.key_ids.iter().all(is_known) {
            continue;
        }
        if let Err(error) = probe::probe(ctx, settings, profile).await {
            tracing::warn!(%error, url = %settings.url, "an Autograph does not say which chain it uses");
        }
    }
}

/// The chains that published collections name, with the keys that they are for.
async fn published(ctx: &Context) -> Result<BTreeSet<(KeyOf, String)>, Error> {
    let mut found = BTreeSet::new();
    let origins = ctx.collections.autographs.seen.origins();
    if origins.is_empty() {
        return Ok(found);
    }
    let resources = &ctx.collections.resources;
    let mut tx = ctx.store.collections_read().await?;
    for place in resources.monitored() {
        for uri in collections_at(&mut tx, &place).await? {
            let sources = resources.published_at(&place.bucket, &uri.id);
            let Some(matched) = sources.first() else { continue };
            let Signer::Autograph(settings) = &matched.settings.signer else { continue };
            let rows = tx.objects(&[(uri.list.to_string(), uri.id.clone())]).await?;
            let bundles = rows
                .iter()
                .filter(|row| !row.deleted)
                .flat_map(|row| bundles_of(row).into_iter().enumerate());
            for (at, bundle) in bundles {
                let Some(id) = key_id_of(settings, at, &bundle) else { continue };
                let x5u =
                    bundle.x5u().filter(|x5u| x5u.len() <= LONGEST_ADDRESS && ends::is_at(x5u, &origins));
                let Some(x5u) = x5u else { continue };
                let one = (KeyOf { url: settings.url.clone(), id: id.to_owned() }, x5u.to_owned());
                if found.len() < MOST {
                    found.insert(one);
                } else if !found.contains(&one) {
                    tracing::warn!(most = MOST, "published collections name more chains than are looked at");
                    return Ok(found);
                }
            }
        }
    }
    Ok(found)
}

/// By which of the keys a signature is: as it says, or where it says nothing by its place.
fn key_id_of<'a>(settings: &'a AutographSettings, at: usize, bundle: &Bundle) -> Option<&'a str> {
    let ids = &settings.key_ids;
    let found = match &bundle.signer_id {
        Some(said) => ids.iter().find(|id| *id == said),
        None => ids.get(at),
    };
    found.map(String::as_str)
}

/// Fetches chains, each once. Of one that cannot be had stays what was known.
async fn fetch(ctx: &Context, wanted: BTreeSet<(KeyOf, String)>) -> BTreeMap<(KeyOf, String), Ends> {
    let seen = &ctx.collections.autographs.seen;
    let deadline = Instant::now() + ALL;
    let mut fetched: BTreeMap<String, Option<Ends>> = BTreeMap::new();
    let mut found = BTreeMap::new();
    for (key, x5u) in wanted {
        if !fetched.contains_key(&x5u) {
            let left = deadline.saturating_duration_since(Instant::now());
            let ends = if left.is_zero() { None } else { ends_at(ctx, &x5u, left.min(EACH)).await };
            fetched.insert(x5u.clone(), ends);
        }
        let ends = fetched.get(&x5u).cloned().flatten().or_else(|| seen.published_at(&key, &x5u));
        found.extend(ends.map(|ends| ((key, x5u), ends)));
    }
    found
}

/// When the chain at an address ends, good or not: one that has ended is what somebody wants to know.
async fn ends_at(ctx: &Context, x5u: &str, timeout: Duration) -> Option<Ends> {
    let unusable = |why: &dyn std::fmt::Display| {
        tracing::warn!(%why, x5u, "the chain that a published collection names cannot be had");
    };
    let pem = judge::fetch(ctx, x5u, timeout).await.inspect_err(|error| unusable(error)).ok()?;
    let chain = Chain::from_pem(&pem).inspect_err(|error| unusable(error)).ok()?;
    Some(Ends::of(&chain))
}
