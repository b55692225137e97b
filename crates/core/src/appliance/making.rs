//! Keys that are stored together with what they are made for, or not at all.

use std::sync::Arc;

use countersign_keyhost::client::SignedRef;
use countersign_keyhost::wire::KeySpec;
use countersign_model::{
    Action, Format, KeyName, KeyType, PublicKey, RawSignature, Resource, Scheme, ToSign,
};
use countersign_store::{ApplianceBatch, KeyRecord, KeyState, StoreError};
use jiff::Timestamp;

use super::Error;
use crate::background;
use crate::caller::Caller;
use crate::context::Context;
use crate::pipeline::{self, Order, Unchecked};
use crate::snapshot::Key;

/// A new key that nobody knows of yet.
pub(super) struct Made {
    pub(super) public: PublicKey,
    pub(super) record: KeyRecord,
    key: Arc<Key>,
}

/// Whether `caller` may make a key of this name. To be asked for all names before the first key is made.
pub(super) fn check_may_make(ctx: &Context, caller: &Caller, name: &KeyName) -> Result<(), Error> {
    pipeline::authorise(ctx, caller, Action::KeyCreate, &Resource::key(name))?;
    Ok(())
}

/// Makes a key, which is exportable and lets itself be used in all formats of this surface.
pub(super) async fn make(
    ctx: &Context,
    caller: &Caller,
    name: KeyName,
    key_type: KeyType,
) -> Result<Made, Error> {
    let permit = pipeline::authorise(ctx, caller, Action::KeyCreate, &Resource::key(&name))?;
    let spec = KeySpec { name: name.clone(), exportable: true, formats: None };
    let made = ctx
        .key_host
        .generate(&permit, &caller.request_id, spec, key_type)
        .await
        .map_err(|error| crate::Error::of_host(error, &name))?;
    ctx.told(&made.log);
    let record = record(&name, &made.public, made.blob, ctx.now());
    let key = Arc::new(Key::from_record(record.clone())?);
    Ok(Made { public: made.public, record, key })
}

/// The record of a key of this surface, which is exportable and has no formats of its own.
pub(super) fn record(name: &KeyName, public: &PublicKey, blob: Vec<u8>, created: Timestamp) -> KeyRecord {
    KeyRecord {
        name: name.to_string(),
        id: public.id().to_string(),
        key_type: public.key_type().to_string(),
        owner: name.owner().map(|surface| surface.to_string()),
        spki: public.spki().to_vec(),
        blob,
        state: KeyState::Active,
        exportable: true,
        formats: None,
        backend: "soft".to_owned(),
        created,
        revoked_at: None,
        revoked_reason: None,
    }
}

impl Made {
    /// Signs with the key before it is stored.
    pub(super) async fn sign(
        &self,
        ctx: &Context,
        caller: &Caller,
        format: Format,
        scheme: Scheme,
        to_sign: ToSign,
        subject: &str,
    ) -> Result<RawSignature, Error> {
        let admitted = pipeline::admit_key(ctx, caller, Arc::clone(&self.key), Some(scheme), |_| format)?;
        let input = Some(countersign_model::digest::sha256(to_sign.as_bytes()));
        let order = Order { admitted, to_sign, input, subject: Some(subject.to_owned()) };
        Ok(pipeline::sign(ctx, caller, order).await?.signature)
    }
}

/// What an existing key signs.
pub(super) struct Job<'a> {
    pub(super) key: &'a KeyName,
    pub(super) format: fn(Scheme) -> Format,
    pub(super) scheme: Scheme,
    pub(super) to_sign: ToSign,
    /// SHA-256 of what the caller gave; `None` if that was a digest.
    pub(super) input: Option<[u8; 32]>,
    /// What was named.
    pub(super) subject: String,
}

/// Learns of a key that the tables of this surface name, if another node has only just made it.
pub(super) async fn learn(ctx: &Context, key: &KeyName) -> Result<(), Error> {
    if ctx.cache.key(key).is_none() {
        background::try_refresh(ctx).await?;
    }
    Ok(())
}

/// Signs with an existing key.
pub(super) async fn sign(ctx: &Context, caller: &Caller, job: Job<'_>) -> Result<SignedRef, Error> {
    Ok(pipeline::sign(ctx, caller, order(ctx, caller, job).await?).await?)
}

/// As [`sign`], where what is made of the signature is verified before it is released.
pub(super) async fn sign_unchecked(ctx: &Context, caller: &Caller, job: Job<'_>) -> Result<Unchecked, Error> {
    Ok(pipeline::sign_unchecked(ctx, caller, order(ctx, caller, job).await?).await?)
}

async fn order(ctx: &Context, caller: &Caller, job: Job<'_>) -> Result<Order, Error> {
    let Job { key, format, scheme, to_sign, input, subject } = job;
    learn(ctx, key).await?;
    let admitted = pipeline::admit(ctx, caller, key, Some(scheme), format)?;
    let subject: String = subject.chars().take(256).collect();
    Ok(Order { admitted, to_sign, input, subject: Some(subject) })
}

/// Stores all that a request made. `taken` says in this surface's words what a conflict means.
pub(super) async fn keep(
    ctx: &Context,
    batch: &ApplianceBatch,
    taken: impl FnOnce() -> String,
) -> Result<(), Error> {
    let _writing = ctx.writing.lock().await;
    ctx.store.insert_appliance(batch).await.map_err(|error| match error {
        StoreError::Conflict { .. } => {
            // Another node may have made it: learn of it.
            let _ = ctx.store_failed(error);
            Error::Conflict(taken())
        }
        other => ctx.store_failed(other).into(),
    })?;
    let mut cache = ctx.cache.write();
    for record in &batch.keys {
        let key = Key::from_record(record.clone())?;
        cache.keys.insert(key.name.clone(), key.into());
    }
    Ok(())
}
