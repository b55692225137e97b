//! The keys that the configuration names: `key:collections/NAME`, P-384, made at start.

use std::sync::Arc;

use countersign_model::{Format, KeyName, KeyType, Name, PrincipalName, Surface};

use super::resource::Matched;
use crate::background;
use crate::caller::{Caller, Identity};
use crate::collections::settings::{Profile, ResourceSettings, Signer};
use crate::collections::uri::ObjectUri;
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
    let mut names: Vec<KeyName> = resources.iter().flat_map(names_of).map(key_name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The keys of ours that sign one resource.
fn names_of(resource: &ResourceSettings) -> impl Iterator<Item = &Name> {
    let names = match &resource.signer {
        Signer::Local(names) => names.as_slice(),
        Signer::Autograph(_) => &[],
    };
    names.iter().chain(&resource.preview_keys)
}

/// The keys of ours that sign `collection`, a preview or destination of `matched`; none, if an Autograph signs it.
pub(super) fn keys_for(matched: &Matched<'_>, collection: &ObjectUri) -> Vec<KeyName> {
    let Signer::Local(names) = &matched.settings.signer else { return Vec::new() };
    let is_preview = matched.preview.as_ref() == Some(collection);
    let own = &matched.settings.preview_keys;
    let names = if is_preview && !own.is_empty() { own } else { names };
    names.iter().map(key_name).collect()
}

/// Says which keys sign what was reviewed and what was not: what is signed does not name the collection, so that to
/// readers who believe the key one is as good as the other.
pub(crate) fn warn_of_shared(resources: &[ResourceSettings]) {
    for name in with_and_without_review(resources) {
        tracing::warn!(
            key = %name,
            "a key signs collections with review and collections without: whoever writes the latter can make \
             signatures that are good for the former; give them keys of their own"
        );
    }
}

fn with_and_without_review(resources: &[ResourceSettings]) -> Vec<KeyName> {
    let reviewed = |resource: &&ResourceSettings| {
        resource.profile != Profile::Seed
            && (resource.review || resource.review_by_collection.iter().any(|(_, review)| *review))
    };
    let (with, without): (Vec<_>, Vec<_>) = resources.iter().partition(reviewed);
    let with = with.into_iter().flat_map(names_of).map(key_name);
    let without: Vec<_> = without.into_iter().flat_map(names_of).map(key_name).collect();
    let mut both: Vec<_> = with.filter(|name| without.contains(name)).collect();
    both.sort_unstable();
    both.dedup();
    both
}

/// Makes the keys that are not there yet. Those that are retired or revoked are left as they are.
///
/// # Errors
/// When log, key host or database fail, and if the policy was changed so that the surface may make no keys.
pub(crate) async fn make_missing(ctx: &Context, resources: &[ResourceSettings]) -> Result<(), Error> {
    warn_of_shared(resources);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_for_what_is_reviewed_and_what_is_not_is_named() {
        let line = |review: bool, keys: [&str; 1], preview: &[&str]| ResourceSettings {
            source: "/buckets/s".into(),
            preview: None,
            destination: "/buckets/d".into(),
            review,
            review_by_collection: Vec::new(),
            allow_floats: false,
            hard_delete: false,
            signer: Signer::Local(keys.iter().map(|key| key.parse().unwrap()).collect()),
            preview_keys: preview.iter().map(|key| key.parse().unwrap()).collect(),
            profile: Profile::ContentSignature,
        };
        let shared = |lines: &[ResourceSettings]| {
            with_and_without_review(lines).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let none: [&str; 0] = [];
        assert_eq!(shared(&[line(true, ["a"], &[]), line(true, ["a"], &[])]), none);
        assert_eq!(shared(&[line(true, ["a"], &[]), line(false, ["b"], &[])]), none);
        let main = key_name(&"a".parse().unwrap()).to_string();
        assert_eq!(shared(&[line(true, ["a"], &[]), line(false, ["a"], &[])]), [main.as_str()]);
        assert_eq!(shared(&[line(true, ["b"], &["a"]), line(false, ["a"], &[])]), [main.as_str()]);
        let mut some = line(false, ["a"], &[]);
        some.review_by_collection = vec![("x".into(), true)];
        assert_eq!(shared(&[some, line(false, ["a"], &[])]), [main.as_str()]);
    }
}
