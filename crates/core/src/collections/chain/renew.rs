//! When chains are made: before the first signature, and long before they end. By one node at a time.

use std::sync::atomic::Ordering;
use std::time::Duration;

use countersign_model::digest::sha256;
use countersign_model::{Format, KeyName, KeyType, PublicKey, Surface};
use countersign_pki::extension::AltName;
use countersign_pki::x509::Certificate;
use countersign_store::{AuthorityRole, ContentAuthority, ContentChain};
use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinHandle;

use super::{Used, host_of, issue, load, used, wanted};
use crate::background;
use crate::collections::signer::keys::by_surface;
use crate::context::Context;
use crate::error::Error;
use crate::keys::{self, NewKey};
use crate::lease::{self, Lease};
use crate::snapshot::KeyState;

/// How often a node looks whether a chain is due, and takes over those of others.
const PERIOD: Duration = Duration::from_secs(60);

/// The intermediate is certified again when this is left.
const INTERMEDIATE_LEFT: SignedDuration = SignedDuration::from_hours(365 * 24);

/// The first time, before the first request: what is signed has a chain from the beginning. A failure is no reason
/// not to start, since nothing that is needed for it has to be there: it is tried again.
pub(crate) async fn begin(ctx: &Context) {
    if let Err(error) = renew(ctx, ctx.now()).await {
        tracing::warn!(%error, "the chains of content signatures could not be made");
    }
}

/// Starts what renews.
pub(crate) fn start(ctx: &Context) -> JoinHandle<()> {
    // The task holds the context weakly, so that it does not keep a dropped deployment alive.
    let weak = ctx.downgrade();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(PERIOD).await;
            let Some(ctx) = Context::upgrade(&weak) else { return };
            if !ctx.begun.load(Ordering::Acquire) {
                continue;
            }
            if let Err(error) = renew(&ctx, ctx.now()).await {
                tracing::error!(%error, "a chain of content signatures could not be renewed");
            }
        }
    })
}

/// Makes the chains that are missing or due at `now`, if no other node does. Says how many were made.
///
/// # Errors
/// When log, key host or database fail, and if the policy was changed so that the surface may make no certificates.
pub async fn renew(ctx: &Context, now: Timestamp) -> Result<u32, Error> {
    let wanted = wanted(&ctx.collections.settings);
    if wanted.is_empty() {
        return Ok(0);
    }
    load(ctx).await?;
    if due(ctx, &wanted, now).is_empty() {
        return Ok(0);
    }
    let Some(held) = Lease::take(ctx, "content-chains", lease::LENGTH).await? else { return Ok(0) };
    let made = async {
        // Whoever had the lease before may have made some of them.
        load(ctx).await?;
        let due = due(ctx, &wanted, now);
        let made = if due.is_empty() { 0 } else { make(ctx, due, now).await? };
        load(ctx).await?;
        Ok(made)
    };
    let made = made.await;
    held.release().await;
    made
}

/// The keys without a chain, or with one that is to be replaced, with their public halves. Keys that are not there
/// (yet), or cannot have a chain, are left out.
fn due(ctx: &Context, wanted: &[KeyName], now: Timestamp) -> Vec<(KeyName, PublicKey)> {
    let mut due = Vec::new();
    for name in wanted {
        let Some(key) = ctx.cache.key(name) else { continue };
        // Nobody vouches any longer for a key that was ended.
        if key.state != KeyState::Active {
            continue;
        }
        let Ok(public) = key.public() else { continue };
        let host = host_of(&ctx.collections.settings, name);
        if !matches!(key.key_type, KeyType::P256 | KeyType::P384 | KeyType::P521) || !is_certifiable(&host) {
            // At every look, and so not louder.
            tracing::debug!(key = %name, %host, "a key cannot have a chain: it is no EC key, or no host name");
            continue;
        }
        if used(ctx, name).is_none_or(|used| is_due(&used, public, &host, now)) {
            due.push((name.clone(), public.clone()));
        }
    }
    due
}

fn is_certifiable(host: &str) -> bool {
    format!("dns:{host}").parse::<AltName>().is_ok()
}

/// Whether less than half of the leaf's time is left, or it is of another key or name.
fn is_due(used: &Used, key: &PublicKey, host: &str, now: Timestamp) -> bool {
    let leaf = used.chain.leaf();
    let named = leaf.alt_names().iter().any(|name| *name == AltName::Dns(host.to_owned()));
    leaf.public_key() != key || !named || is_half_over(leaf, now)
}

fn is_half_over(certificate: &Certificate, now: Timestamp) -> bool {
    let (from, to) = (certificate.not_before().as_second(), certificate.not_after().as_second());
    to - now.as_second() < (to - from) / 2
}

/// An authority, and the key that it signs with.
struct Authority {
    key: KeyName,
    certificate: Certificate,
}

async fn make(ctx: &Context, due: Vec<(KeyName, PublicKey)>, now: Timestamp) -> Result<u32, Error> {
    let root = root(ctx, now).await?;
    let intermediate = intermediate(ctx, &root, now).await?;
    let mut made = 0;
    for (key, public) in due {
        let host = host_of(&ctx.collections.settings, &key);
        let Authority { key: signer, certificate: issuer } = &intermediate;
        let leaf = issue::leaf(ctx, signer, issuer, &public, &host, now).await?;
        let pem = issue::checked([&leaf, issuer, &root.certificate], &host, now)?;
        let sha256 = hex::encode(sha256(pem.as_bytes()));
        let not_after = leaf.not_after();
        let replaced = used(ctx, &key).map(|used| used.sha256.clone());
        let name = key.to_string();
        let chain = ContentChain { sha256, key: name, pem, not_after, made: now };
        if ctx.store.put_content_chain(&chain, replaced.as_deref()).await? {
            tracing::info!(%key, %not_after, "a key has a new chain of certificates");
            made += 1;
        }
    }
    Ok(made)
}

async fn root(ctx: &Context, now: Timestamp) -> Result<Authority, Error> {
    if let Some(root) = stored(ctx, AuthorityRole::Root).await? {
        return Ok(root);
    }
    let (key, _) = authority_key(ctx, "ca/root").await?;
    let certificate = issue::root(ctx, &key, &ctx.collections.settings.chain_domain, now).await?;
    put(ctx, AuthorityRole::Root, Authority { key, certificate }, None).await
}

async fn intermediate(ctx: &Context, root: &Authority, now: Timestamp) -> Result<Authority, Error> {
    let present = stored(ctx, AuthorityRole::Intermediate).await?;
    if let Some(present) = present {
        let Authority { key, certificate } = &present;
        let root_ends_first = certificate.not_after() >= root.certificate.not_after();
        let lasts = certificate.not_after().duration_since(now) > INTERMEDIATE_LEFT;
        let is_below = certificate.is_signed_by(root.certificate.public_key()).is_ok();
        if is_below && (lasts || root_ends_first) {
            return Ok(present);
        }
        let (key, public) = authority_key(ctx, local_id(key)).await?;
        let replaces = certificate.to_pem();
        let certificate = certify(ctx, root, &public, now).await?;
        return put(ctx, AuthorityRole::Intermediate, Authority { key, certificate }, Some(&replaces)).await;
    }
    let (key, public) = authority_key(ctx, "ca/intermediate").await?;
    let certificate = certify(ctx, root, &public, now).await?;
    put(ctx, AuthorityRole::Intermediate, Authority { key, certificate }, None).await
}

async fn certify(
    ctx: &Context,
    root: &Authority,
    key: &PublicKey,
    now: Timestamp,
) -> Result<Certificate, Error> {
    let domain = &ctx.collections.settings.chain_domain;
    issue::intermediate(ctx, &root.key, &root.certificate, key, domain, now).await
}

fn local_id(key: &KeyName) -> &str {
    crate::collections::signer::keys::id_of(key)
}

async fn stored(ctx: &Context, role: AuthorityRole) -> Result<Option<Authority>, Error> {
    let authorities = ctx.store.content_authorities().await?;
    let Some(found) = authorities.into_iter().find(|authority| authority.role == role) else {
        return Ok(None);
    };
    let unreadable = |why: &dyn std::fmt::Display| {
        Error::Internal(format!("the stored {} of content signatures: {why}", role.as_str()))
    };
    let key = found.key.parse().map_err(|error| unreadable(&error))?;
    let certificate = Certificate::from_pem(&found.certificate).map_err(|error| unreadable(&error))?;
    Ok(Some(Authority { key, certificate }))
}

/// Stores an authority; if another node was first, gives that one's.
async fn put(
    ctx: &Context,
    role: AuthorityRole,
    authority: Authority,
    replaces: Option<&str>,
) -> Result<Authority, Error> {
    let record = ContentAuthority {
        role,
        key: authority.key.to_string(),
        certificate: authority.certificate.to_pem(),
        not_after: authority.certificate.not_after(),
    };
    if ctx.store.put_content_authority(&record, replaces).await? {
        let (role, not_after) = (role.as_str(), record.not_after);
        tracing::info!(role, %not_after, "an authority for content signatures was certified");
        return Ok(authority);
    }
    stored(ctx, role).await?.ok_or_else(|| Error::Internal("an authority was lost".into()))
}

/// The key of an authority, made if it is not there.
async fn authority_key(ctx: &Context, id: &str) -> Result<(KeyName, PublicKey), Error> {
    let name =
        KeyName::owned(Surface::Collections, id).map_err(|error| Error::Internal(error.to_string()))?;
    if ctx.cache.key(&name).is_none() {
        // Another node may have made it.
        background::try_refresh(ctx).await?;
    }
    if ctx.cache.key(&name).is_none() {
        let new = NewKey {
            name: name.clone(),
            key_type: KeyType::P384,
            exportable: false,
            formats: Some(vec![Format::X509]),
        };
        match keys::create(ctx, &by_surface(ctx), new).await {
            Ok(_) => tracing::info!(key = %name, "a key of the authority for content signatures was made"),
            Err(Error::NameTaken { .. }) => background::try_refresh(ctx).await?,
            Err(error) => return Err(error),
        }
    }
    let key = ctx.cache.key(&name).ok_or_else(|| Error::UnknownKey(name.clone()))?;
    let public = key.public()?.clone();
    Ok((name, public))
}
