//! What of an archive is new here.

use std::collections::HashSet;

use countersign_store::{
    ApplianceBatch, CertificateRecord, ListRecord, OpenPgpRecord, RsaRecord, StoreError, TreeRecord,
};

use super::super::{Error, certificates};
use super::contents::Found;
use crate::context::Context;

/// What is to be stored of `found`: nothing if all of it is here already.
///
/// # Errors
/// [`Error::Conflict`] if something else has its name.
pub(super) async fn new_of(ctx: &Context, found: &Found) -> Result<ApplianceBatch, Error> {
    let all = &found.batch;
    let mut new = ApplianceBatch::default();
    let mut names: HashSet<&str> = HashSet::new();
    for certificate in &all.certificates {
        if is_new_certificate(ctx, certificate, found.owned.contains(&certificate.id)).await? {
            names.insert(&certificate.signing_key);
            new.certificates.push(certificate.clone());
        }
    }
    for list in &all.lists {
        if is_new_list(ctx, list).await? {
            new.lists.push(list.clone());
        }
    }
    let known = ctx.store.openpgp_keys().await?;
    for key in &all.openpgp {
        if is_new_openpgp(ctx, all, key, &known).await? {
            names.insert(&key.signing_key);
            new.openpgp.push(key.clone());
        }
    }
    let known = ctx.store.rsa_keys().await?;
    for key in &all.rsa {
        if is_new_rsa(ctx, all, key, &known).await? {
            names.insert(&key.signing_key);
            new.rsa.push(key.clone());
        }
    }
    for tree in &all.trees {
        if is_new_tree(ctx, tree).await? {
            names.extend(tree.members.iter().filter_map(|member| member.signing_key.as_deref()));
            new.trees.push(tree.clone());
        }
    }
    new.keys = all.keys.iter().filter(|key| names.contains(key.name.as_str())).cloned().collect();
    Ok(new)
}

/// - `owner_is_known`: whether the archive says whose the certificate's list is.
async fn is_new_certificate(
    ctx: &Context,
    found: &CertificateRecord,
    owner_is_known: bool,
) -> Result<bool, Error> {
    let Some(here) = ctx.store.certificate(&found.id).await? else { return Ok(true) };
    if here.der != found.der {
        return Err(Error::Conflict(certificates::already_exists(&found.id.parse()?)));
    }
    if owner_is_known && here.owner != found.owner {
        let other = format!("Certificate '{}' already exists with another signature list", found.id);
        return Err(Error::Conflict(other));
    }
    Ok(false)
}

async fn is_new_list(ctx: &Context, found: &ListRecord) -> Result<bool, Error> {
    let ListRecord { list, variable, .. } = found;
    let Some(here) = ctx.store.certificate_list(list, variable).await? else { return Ok(true) };
    if (&here.auth, &here.esl) != (&found.auth, &found.esl) {
        return Err(Error::Conflict(format!("{variable} for the list {list} has already been signed")));
    }
    Ok(false)
}

async fn is_new_openpgp(
    ctx: &Context,
    all: &ApplianceBatch,
    found: &OpenPgpRecord,
    known: &[OpenPgpRecord],
) -> Result<bool, Error> {
    let Some(here) = known.iter().find(|key| key.fingerprint == found.fingerprint) else { return Ok(true) };
    if !is_same_key(ctx, all, &here.signing_key, &found.signing_key).await? {
        return Err(Error::Conflict(format!("GPG key '{}' already exists", found.fingerprint)));
    }
    Ok(false)
}

async fn is_new_rsa(
    ctx: &Context,
    all: &ApplianceBatch,
    found: &RsaRecord,
    known: &[RsaRecord],
) -> Result<bool, Error> {
    let Some(here) = known.iter().find(|key| key.id == found.id) else { return Ok(true) };
    if !is_same_key(ctx, all, &here.signing_key, &found.signing_key).await? {
        return Err(Error::Conflict(format!("RSA key {} already exists", found.id)));
    }
    Ok(false)
}

/// Compares public halves: keys that were made here have other names than in an archive.
async fn is_same_key(
    ctx: &Context,
    all: &ApplianceBatch,
    here: &str,
    found: &str,
) -> Result<bool, StoreError> {
    let here = ctx.store.key(here).await?.map(|key| key.spki);
    let found = all.keys.iter().find(|key| key.name == found).map(|key| &key.spki);
    Ok(here.is_some() && here.as_ref() == found)
}

async fn is_new_tree(ctx: &Context, found: &TreeRecord) -> Result<bool, Error> {
    let Some(here) = ctx.store.tree(&found.id).await? else { return Ok(true) };
    let certificates = |tree: &TreeRecord| {
        let members = tree.members.iter();
        members.map(|member| (member.name.clone(), member.der.clone())).collect::<HashSet<_>>()
    };
    if here.srk_table != found.srk_table || certificates(&here) != certificates(found) {
        return Err(Error::Conflict(format!("PKI tree {} already exists", found.id)));
    }
    Ok(false)
}
