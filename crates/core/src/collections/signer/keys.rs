//! The keys that the configuration names: `key:collections/NAME`, P-384, made at start.

use std::sync::Arc;

use countersign_model::{Format, KeyName, KeyType, Name, PrincipalName, Surface};

use crate::background;
use crate::caller::{Caller, Identity};
use crate::collections::settings::{ResourceSettings, Signer};
use crate::context::Context;
use crate::error::Error;
use crate::keys::{self, NewKey};

/// The full name of a signing key.
pub fn key_name(name: &Name) -> KeyName {
    KeyName::owned(Surface::Collections, name.as_str()).expect("a name is a good id")
}

/// The id of a key without its surface: `main` of `collections/main`; a native key's own name.
pub(crate) fn id_of(key: &KeyName) -> &str {
    key.as_str().split_once('/').map_or(key.as_str(), |(_, id)| id)
}

/// The surface's own request, for what nobody asked for.
pub(crate) fn by_surface(ctx: &Context) -> Caller {
    let principal = PrincipalName::surface(Surface::Collections);
    let identity = Identity { principal, roles: Vec::new(), narrowing: None, token: None };
    Caller::new(Arc::new(identity), Surface::Collections, ctx.request_id())
}

/// The names of all keys of ours that `resources` are signed with, each once.
pub(crate) fn wanted(resources: &[ResourceSettings]) -> Vec<KeyName> {
    let mut names: Vec<KeyName> = resources
        .iter()
        .filter_map(|resource| match &resource.signer {
            Signer::Local(names) => Some(names.iter().map(key_name)),
            Signer::Autograph(_) => None,
        })
        .flatten()
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Makes the keys that are not there yet. Those that are retired or revoked are left as they are.
///
/// # Errors
/// When log, key host or database fail, and if the policy was changed so that the surface may make no keys.
pub(crate) async fn make_missing(ctx: &Context, resources: &[ResourceSettings]) -> Result<(), Error> {
    for name in wanted(resources) {
        if ctx.cache.key(&name).is_some() {
            continue;
        }
        let new = NewKey {
            name: name.clone(),
            key_type: KeyType::P384,
            exportable: false,
            formats: Some(vec![Format::ContentSignature]),
        };
        match keys::create(ctx, &by_surface(ctx), new).await {
            Ok(_) => tracing::info!(key = %name, "a key for collections was made"),
            // Another node was first.
            Err(Error::NameTaken { .. }) => background::try_refresh(ctx).await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
