//! Certificate chains of the keys that sign content: readers who have pinned the root believe a signature by any
//! key that the chain at its `x5u` leads to.
//!
//! ```text
//! key:collections/ca/root           P-384   10 years   pinned by readers
//!   └ key:collections/ca/intermediate P-384  2 years   certified again when a year is left
//!       └ key:collections/NAME      P-384     30 days   NAME.content-signature.DOMAIN, for code signing;
//!                                                       certified again when half its time is over
//! ```
//!
//! Keys of the native surface that the configuration names have leaves too. A chain is published under the hash of
//! its PEM text and never changes or goes; a new one has another address, and what points to the old one is signed
//! again ([`signer::refresh`](super::signer::refresh)) long before it ends.
//!
//! The root is not renewed: whoever has pinned it would not know the next one. `doctor` and the metrics tell of its
//! end; nothing below it outlives it.

mod issue;
mod renew;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use countersign_model::KeyName;
use countersign_pki::chain::Chain;
use countersign_pki::x509::Certificate;
use countersign_records::collections::content_signature::Bundle;
use countersign_store::{AuthorityRole, ContentChain};
use jiff::Timestamp;

use super::settings::Settings;
use super::{autograph, signer};
use crate::context::Context;
use crate::error::Error;

pub use renew::renew;
pub(crate) use renew::{begin, start};

/// Where chains are, below the address of the server.
const PLACE: &str = "/chains/";

/// The chains that new signatures name, as this process knows them.
#[derive(Debug, Default)]
pub(super) struct State(RwLock<HashMap<KeyName, Arc<Used>>>);

/// A chain that is in use.
#[derive(Debug)]
struct Used {
    sha256: String,
    x5u: String,
    chain: Chain,
}

/// A certificate of a chain that is in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// The key whose chain it is in.
    pub key: Owner,
    /// `leaf`, `intermediate` or `root`; in longer chains of others also `intermediate-2` and so on, upwards.
    pub element: &'static str,
    /// Its last second.
    pub not_after: Timestamp,
}

/// Whose chain it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A key of ours.
    Key(KeyName),
    /// The key with this id at an Autograph that signs for us.
    Autograph(String),
}

impl std::fmt::Display for Owner {
    /// `collections/main`, `autograph:KEYID`: no name of a key has a colon.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(name) => name.fmt(f),
            Self::Autograph(id) => write!(f, "autograph:{id}"),
        }
    }
}

/// Where readers fetch the chain of `key`, if it has one.
pub fn x5u_of(ctx: &Context, key: &KeyName) -> Option<String> {
    used(ctx, key).map(|used| used.x5u.clone())
}

fn used(ctx: &Context, key: &KeyName) -> Option<Arc<Used>> {
    let chains = ctx.collections.chains.0.read().unwrap_or_else(PoisonError::into_inner);
    chains.get(key).map(Arc::clone)
}

/// Every certificate of every chain in use, in the order of the keys, the leaf first: ours, then those of Autographs,
/// as far as they were seen ([`autograph::look`](super::autograph::look)).
pub fn in_use(ctx: &Context) -> Vec<Element> {
    let chains = ctx.collections.chains.0.read().unwrap_or_else(PoisonError::into_inner);
    let mut keys: Vec<(&KeyName, &Arc<Used>)> = chains.iter().collect();
    keys.sort_unstable_by_key(|(key, _)| *key);
    let elements = |(key, used): (&KeyName, &Arc<Used>)| {
        let names = ["leaf", "intermediate", "root"].into_iter();
        let certificates = names.zip(used.chain.certificates());
        let element = |(element, certificate): (_, &Certificate)| Element {
            key: Owner::Key(key.clone()),
            element,
            not_after: certificate.not_after(),
        };
        certificates.map(element).collect::<Vec<_>>()
    };
    let own = keys.into_iter().flat_map(elements);
    own.chain(autograph::in_use(ctx)).collect()
}

/// The PEM text of a chain that is or was in use. `sha256`: its hash, 64 hex digits in lower case.
///
/// # Errors
/// When the database does not answer.
pub async fn pem(ctx: &Context, sha256: &str) -> Result<Option<String>, Error> {
    let hex = |b: u8| b.is_ascii_digit() || matches!(b, b'a'..=b'f');
    if sha256.len() != 64 || !sha256.bytes().all(hex) {
        return Ok(None);
    }
    Ok(ctx.store.content_chain(sha256).await?)
}

/// The root's certificate, PEM: what readers pin. `None` before anything was signed with a chain.
///
/// # Errors
/// When the database does not answer.
pub async fn root(ctx: &Context) -> Result<Option<String>, Error> {
    let authorities = ctx.store.content_authorities().await?;
    let root = authorities.into_iter().find(|authority| authority.role == AuthorityRole::Root);
    Ok(root.map(|root| root.certificate))
}

/// Whether one of these signatures is by a key of ours that has another chain by now.
pub(super) fn is_stale(ctx: &Context, keys: &[KeyName], bundles: &[Bundle]) -> bool {
    let id = |key: &KeyName| signer::keys::id_of(key).to_owned();
    keys.iter().any(|key| {
        let Some(used) = used(ctx, key) else { return false };
        let by_key = |bundle: &&Bundle| bundle.signer_id.as_deref() == Some(&*id(key));
        bundles.iter().filter(by_key).any(|bundle| bundle.x5u() != Some(&used.x5u))
    })
}

/// The keys that are to have a chain: those that resources are signed with, and those of the native surface that
/// are named.
fn wanted(settings: &Settings) -> Vec<KeyName> {
    if !settings.chains {
        return Vec::new();
    }
    let mut keys = signer::keys::wanted(&settings.resources);
    keys.extend(settings.chain_keys.iter().cloned());
    keys
}

/// Refuses native keys that would be certified under the name of a key of collections: whoever may sign with the
/// one could speak for the other.
///
/// # Errors
/// [`Error::InvalidRequest`].
pub(super) fn check(settings: &Settings) -> Result<(), Error> {
    let own = signer::keys::wanted(&settings.resources);
    for key in &settings.chain_keys {
        let bad = |why: &str| {
            Err(Error::invalid("collections.chain_keys", format!("`collections.chain_keys`: `{key}` {why}")))
        };
        if key.owner().is_some() {
            return bad("is not a key of the native surface");
        }
        if own.iter().any(|own| signer::keys::id_of(own).eq_ignore_ascii_case(key.as_str())) {
            return bad("has the name of a key that collections are signed with");
        }
    }
    Ok(())
}

/// The host name that a key's leaf is for.
fn host_of(settings: &Settings, key: &KeyName) -> String {
    format!("{}.content-signature.{}", signer::keys::id_of(key), settings.chain_domain)
}

/// Takes over what the database has: other nodes renew chains too.
async fn load(ctx: &Context) -> Result<(), Error> {
    let settings = &ctx.collections.settings;
    let wanted = wanted(settings);
    let mut chains = HashMap::new();
    for ContentChain { sha256, key, pem, .. } in ctx.store.current_content_chains().await? {
        let Ok(key) = key.parse::<KeyName>() else { continue };
        if !wanted.contains(&key) {
            continue;
        }
        match Chain::from_pem(&pem) {
            Ok(chain) => {
                let x5u = format!("{}{PLACE}{sha256}.pem", settings.public_url);
                chains.insert(key, Arc::new(Used { sha256, x5u, chain }));
            }
            Err(error) => tracing::error!(%error, %key, "the chain of a key cannot be read"),
        }
    }
    *ctx.collections.chains.0.write().unwrap_or_else(PoisonError::into_inner) = chains;
    Ok(())
}
