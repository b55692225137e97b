//! Which of our keys sign a role, and the signatures.

use std::collections::BTreeSet;
use std::sync::Arc;

use countersign_model::digest::sha256;
use countersign_model::{Format, KeyName, PublicKey, Surface};
use countersign_tuf::key::Key;
use countersign_tuf::root::{Keys, Role};
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::Error;
use crate::pipeline::{self, Order};
use crate::tuf::who;

/// A key of ours, as metadata name it.
#[derive(Clone, Debug)]
pub(in crate::tuf) struct Signer {
    /// Its id in the metadata that name it.
    pub keyid: String,
    /// Its public half, with the scheme of the metadata.
    pub key: Key,
    /// The private half: `tuf/NAME`.
    pub name: KeyName,
}

/// The keys of `role` that are ours, in its order: compared by public value, whatever id, name or address metadata give
/// them. Those that are retired or revoked are among them.
pub(in crate::tuf) fn of_role(ctx: &Context, role: &Role, keys: &Keys) -> Vec<Signer> {
    let named = role.keys(keys).filter_map(|(keyid, key)| {
        let name = find(ctx, key.public_key()?)?;
        Some(Signer { keyid: keyid.to_owned(), key: key.clone(), name })
    });
    named.collect()
}

/// Whether our keys alone meet the threshold of `role`.
pub(in crate::tuf) fn are_enough(role: &Role, signers: &[Signer]) -> bool {
    let mut distinct: Vec<_> = signers.iter().map(|signer| signer.key.public_value()).collect();
    distinct.sort_unstable();
    distinct.dedup();
    distinct.len() as u64 >= role.threshold
}

/// The keys of ours that may sign `role` now, retired and revoked ones left out.
///
/// - `name`: the role's, for the message.
///
/// # Errors
/// What is wrong, if they are fewer than its threshold: clients refuse what they sign.
pub(in crate::tuf) fn enough(
    ctx: &Context,
    name: &str,
    role: &Role,
    keys: &Keys,
) -> Result<Vec<Signer>, String> {
    let mut signers = of_role(ctx, role, keys);
    let mut why = "its keys are not in the key host".to_owned();
    signers.retain(|signer| match check(ctx, signer) {
        Ok(()) => true,
        Err(error) => {
            why = error.to_string();
            false
        }
    });
    if are_enough(role, &signers) { Ok(signers) } else { Err(format!("Role {name} cannot be signed: {why}")) }
}

/// Whether the threshold of `role` can be met at all: by keys of ours that may sign now, and keys of others.
///
/// # Errors
/// Why not.
pub(in crate::tuf) fn reachable(ctx: &Context, name: &str, role: &Role, keys: &Keys) -> Result<(), String> {
    let own = of_role(ctx, role, keys);
    let refused: Vec<(&Key, Error)> =
        own.iter().filter_map(|signer| Some((&signer.key, check(ctx, signer).err()?))).collect();
    let Some((_, why)) = refused.first() else { return Ok(()) };
    let may_sign =
        |key: &Key| refused.iter().all(|(refused, _)| refused.public_value() != key.public_value());
    let rest: BTreeSet<_> =
        role.keys(keys).filter(|(_, key)| may_sign(key)).map(|(_, key)| key.public_value()).collect();
    if rest.len() as u64 >= role.threshold {
        Ok(())
    } else {
        Err(format!("Role {name} cannot be signed: {why}"))
    }
}

fn find(ctx: &Context, public: &PublicKey) -> Option<KeyName> {
    let snapshot = ctx.cache.read();
    let prefix = format!("{}/", Surface::Tuf);
    let ours = snapshot.keys.values().filter(|key| key.name.as_str().starts_with(&prefix));
    ours.into_iter().find(|key| key.spki == public.spki()).map(|key| key.name.clone())
}

/// Whether the key may be used now.
///
/// # Errors
/// Those of [`pipeline::admit`]: it is retired, revoked, or policy forbids it.
pub(in crate::tuf) fn check(ctx: &Context, signer: &Signer) -> Result<(), Error> {
    let scheme = signer.key.signing_scheme();
    pipeline::admit(ctx, &who::by_surface(ctx), &signer.name, scheme, |_| Format::Tuf).map(drop)
}

/// What is to be signed by several keys.
pub(in crate::tuf) struct ToSign {
    /// For the log: `3 bins-0a`.
    pub subject: String,
    /// The canonical bytes of `signed`.
    pub message: Vec<u8>,
    pub signers: Arc<[Signer]>,
}

/// Signs all, with one durable write to the log. For each of `items` the array that stands in `signatures`, as text;
/// every signature in it was verified.
///
/// # Errors
/// When a key refuses or the key host fails: then there is none at all.
pub(in crate::tuf) async fn sign(ctx: &Context, items: Vec<ToSign>) -> Result<Vec<String>, Error> {
    let caller = who::by_surface(ctx);
    let mut orders = Vec::with_capacity(items.len());
    for item in &items {
        let input = sha256(&item.message);
        for signer in item.signers.iter() {
            let scheme = signer.key.signing_scheme();
            let to_sign = signer.key.to_sign(&item.message).map_err(internal)?;
            let admitted = pipeline::admit(ctx, &caller, &signer.name, scheme, |_| Format::Tuf)?;
            orders.push(Order { admitted, to_sign, input: Some(input), subject: Some(item.subject.clone()) });
        }
    }
    let signed = pipeline::sign_many(ctx, &caller, orders).await?;
    let mut raw = Vec::with_capacity(signed.len());
    for signature in signed {
        raw.push(signature?.signature);
    }
    let verified = tokio::task::spawn_blocking(move || {
        let mut raw = raw.into_iter();
        items.iter().map(|item| signatures(item, &mut raw)).collect()
    });
    verified.await.map_err(|_| internal("signatures could not be verified"))?
}

/// Whether the signatures that were stored for each of `items`, a JSON array as text, are over its message, by all of
/// its signers. Others among them are let be: their keys have been retired since.
///
/// # Errors
/// When it cannot be told.
pub(in crate::tuf) async fn are_good(items: Vec<(ToSign, String)>) -> Result<Vec<bool>, Error> {
    let judged = tokio::task::spawn_blocking(move || {
        items.iter().map(|(item, stored)| is_good(item, stored)).collect()
    });
    judged.await.map_err(|_| internal("signatures could not be verified"))
}

fn is_good(item: &ToSign, stored: &str) -> bool {
    let Ok(Value::Array(stored)) = serde_json::from_str(stored) else { return false };
    item.signers.iter().all(|signer| {
        let mut own = stored.iter().filter(|signature| signature["keyid"] == signer.keyid.as_str());
        own.any(|own| own["sig"].as_str().is_some_and(|sig| signer.key.verify(&item.message, sig).is_ok()))
    })
}

fn signatures(
    item: &ToSign,
    raw: &mut impl Iterator<Item = countersign_model::RawSignature>,
) -> Result<String, Error> {
    let mut array = Vec::with_capacity(item.signers.len());
    for signer in item.signers.iter() {
        let raw = raw.next().ok_or_else(|| internal("a signature is missing"))?;
        let sig = signer.key.signature_text(&raw).map_err(internal)?;
        signer.key.verify(&item.message, &sig).map_err(internal)?;
        array.push(json!({"keyid": signer.keyid, "sig": sig}));
    }
    Ok(Value::Array(array).to_string())
}

fn internal(why: impl ToString) -> Error {
    Error::Internal(why.to_string())
}
