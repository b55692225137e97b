//! Keys: make, import, list, retire, revoke, export.

use countersign_keyhost::client::MadeKey;
use countersign_keyhost::wire::{KeySpec, Secret};
use countersign_model::entry::Op;
use countersign_model::policy::Permit;
use countersign_model::{Action, Format, KeyId, KeyName, KeyType, Resource, Scheme, pem, time};
use countersign_store::{KeyRecord, KeyState as StoredState, StoreError};
use serde::Serialize;

use crate::caller::Caller;
use crate::context::Context;
use crate::error::Error;
use crate::page::Page;
use crate::pipeline::{self, Logged};
use crate::snapshot::{Key, KeyState};

/// What the API says about a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyDocument {
    /// Its name.
    pub name: KeyName,
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub id: KeyId,
    /// Its type.
    #[serde(rename = "type")]
    pub key_type: KeyType,
    /// The schemes that it can sign with, the default first.
    pub schemes: Vec<Scheme>,
    /// `active`, `retired` or `revoked`.
    pub state: &'static str,
    /// Whether it can be taken out, encrypted.
    pub exportable: bool,
    /// The only formats that it signs; `None`: all that policy allows.
    pub formats: Option<Vec<Format>>,
    /// What holds it.
    pub backend: String,
    /// When it was made or imported: RFC 3339.
    pub created: String,
    /// When and why it was revoked.
    pub revoked: Option<Revocation>,
    /// `PUBLIC KEY` in PEM.
    pub public_key: String,
}

/// When and why a key was revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Revocation {
    /// RFC 3339.
    pub at: String,
    /// In the words of who did it.
    pub reason: String,
}

/// A page of keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyList {
    /// In the order of their names.
    pub keys: Vec<KeyDocument>,
    /// What to ask for after this page; `None`: this was the last one.
    pub next: Option<KeyName>,
}

/// A key to be made.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Its name.
    pub name: KeyName,
    /// Its type, one of [`KeyType::MADE`].
    pub key_type: KeyType,
    /// Whether it can be taken out, encrypted.
    pub exportable: bool,
    /// The only formats that it will sign.
    pub formats: Option<Vec<Format>>,
}

/// A key to be taken in.
#[derive(Clone, Debug)]
pub struct ImportKey {
    /// Its name.
    pub name: KeyName,
    /// The PEM text, undecoded: only the key host looks into it.
    pub pem: Secret,
    /// For encrypted PKCS#8.
    pub passphrase: Option<Secret>,
    /// Whether it can be taken out again, encrypted.
    pub exportable: bool,
    /// The only formats that it will sign.
    pub formats: Option<Vec<Format>>,
}

/// Makes a key. Of many that make one name at the same time, exactly one succeeds.
///
/// # Errors
/// [`Error::NotPermitted`], [`Error::NameTaken`], [`Error::InvalidRequest`] for a type that is not made
/// here or an unusable list of formats, and when key host or database fail.
pub async fn create(ctx: &Context, caller: &Caller, new: NewKey) -> Result<Logged<KeyDocument>, Error> {
    if !KeyType::MADE.contains(&new.key_type) {
        return Err(Error::invalid("type", format!("keys of type `{}` are not made here", new.key_type)));
    }
    check_formats(new.formats.as_deref())?;
    let permit = pipeline::authorise(ctx, caller, Action::KeyCreate, &Resource::key(&new.name))?;
    let _turn = ctx.naming.turn(&new.name).await;
    check_free(ctx, &new.name)?;
    let spec = spec(&new.name, new.exportable, &new.formats);
    let made = ctx
        .key_host
        .generate(&permit, &caller.request_id, spec, new.key_type)
        .await
        .map_err(|e| Error::of_host(e, &new.name))?;
    keep(ctx, new.name, new.exportable, new.formats, made).await
}

/// Takes in a private key.
///
/// # Errors
/// As [`create`], and for a text that is no private key, a weak one, a wrong passphrase, and a key
/// derivation that would cost too much.
pub async fn import(ctx: &Context, caller: &Caller, new: ImportKey) -> Result<Logged<KeyDocument>, Error> {
    check_formats(new.formats.as_deref())?;
    let permit = pipeline::authorise(ctx, caller, Action::KeyImport, &Resource::key(&new.name))?;
    let _turn = ctx.naming.turn(&new.name).await;
    check_free(ctx, &new.name)?;
    let spec = spec(&new.name, new.exportable, &new.formats);
    let made = ctx
        .key_host
        .import(&permit, &caller.request_id, spec, new.pem, new.passphrase)
        .await
        .map_err(|e| Error::of_host(e, &new.name))?;
    keep(ctx, new.name, new.exportable, new.formats, made).await
}

fn spec(name: &KeyName, exportable: bool, formats: &Option<Vec<Format>>) -> KeySpec {
    KeySpec { name: name.clone(), exportable, formats: formats.clone() }
}

fn check_free(ctx: &Context, name: &KeyName) -> Result<(), Error> {
    if ctx.cache.key(name).is_some() { Err(name_taken(name)) } else { Ok(()) }
}

fn name_taken(name: &KeyName) -> Error {
    Error::NameTaken { kind: "key", name: name.to_string() }
}

fn check_formats(formats: Option<&[Format]>) -> Result<(), Error> {
    let Some(formats) = formats else { return Ok(()) };
    if formats.is_empty() {
        return Err(Error::invalid("formats", "an empty list would let the key sign nothing"));
    }
    if (1..formats.len()).any(|i| formats[..i].contains(&formats[i])) {
        return Err(Error::invalid("formats", "a format stands twice"));
    }
    Ok(())
}

/// Stores a key that the key host made. Between nodes the database decides who is first: the loser's key
/// exists in the log, and nowhere else.
async fn keep(
    ctx: &Context,
    name: KeyName,
    exportable: bool,
    formats: Option<Vec<Format>>,
    made: MadeKey,
) -> Result<Logged<KeyDocument>, Error> {
    ctx.told(&made.log);
    let record = KeyRecord {
        name: name.to_string(),
        id: made.public.id().to_string(),
        key_type: made.public.key_type().to_string(),
        owner: name.owner().map(|surface| surface.to_string()),
        spki: made.public.spki().to_vec(),
        blob: made.blob,
        state: KeyState::Active.stored(),
        exportable,
        formats: formats.map(|list| list.iter().map(ToString::to_string).collect()),
        backend: "soft".to_owned(),
        created: ctx.now(),
        revoked_at: None,
        revoked_reason: None,
    };
    let key = Key::from_record(record.clone())?;
    let document = document(&key);

    let _writing = ctx.writing.lock().await;
    ctx.store.insert_key(&record).await.map_err(|error| match error {
        StoreError::Conflict { .. } => {
            // Another node may have made it: learn of it.
            let _ = ctx.store_failed(error);
            name_taken(&name)
        }
        other => ctx.store_failed(other),
    })?;
    ctx.cache.write().keys.insert(name, key.into());
    Ok(Logged::new(document, made.log))
}

/// The keys that `caller` may read.
///
/// # Errors
/// None now; the shape leaves room.
pub fn list(ctx: &Context, caller: &Caller, page: &Page) -> Result<KeyList, Error> {
    let keys: Vec<_> = ctx.cache.read().keys.values().cloned().collect();
    let wanted = keys
        .into_iter()
        .filter(|key| page.after.as_deref().is_none_or(|after| key.name.as_str() > after))
        .filter(|key| pipeline::may(ctx, caller, Action::KeyRead, &key.resource));
    let (keys, next) = page.cut(wanted, |key| key.name.clone());
    Ok(KeyList { keys: keys.iter().map(|key| document(key)).collect(), next })
}

/// One key.
///
/// # Errors
/// [`Error::NotPermitted`], [`Error::UnknownKey`].
pub fn get(ctx: &Context, caller: &Caller, name: &KeyName) -> Result<KeyDocument, Error> {
    pipeline::authorise(ctx, caller, Action::KeyRead, &Resource::key(name))?;
    find(ctx, name).map(|key| document(&key))
}

/// The public half in PEM, for anybody.
///
/// # Errors
/// [`Error::UnknownKey`].
pub fn public_pem(ctx: &Context, name: &KeyName) -> Result<String, Error> {
    find(ctx, name).map(|key| pem::encode("PUBLIC KEY", &key.spki))
}

pub(crate) fn find(ctx: &Context, name: &KeyName) -> Result<std::sync::Arc<Key>, Error> {
    ctx.cache.key(name).ok_or_else(|| Error::UnknownKey(name.clone()))
}

/// Ends the signing of a key; what it signed still verifies.
///
/// # Errors
/// [`Error::NotPermitted`], [`Error::UnknownKey`], and when log or database cannot be written.
pub async fn retire(ctx: &Context, caller: &Caller, name: &KeyName) -> Result<Logged<KeyDocument>, Error> {
    let permit = pipeline::authorise(ctx, caller, Action::KeyRetire, &Resource::key(name))?;
    // Held from the check to the write, so that what the log has did happen, and once.
    let _writing = ctx.writing.lock().await;
    let key = find(ctx, name)?;
    if key.state != KeyState::Active {
        return Ok(Logged { value: document(&key), log: None });
    }
    let log = end_signing(ctx, caller, &permit, &key, KeyState::Retired.stored(), None).await?;
    let record = ctx.store.retire_key(name.as_str()).await.map_err(|e| ctx.store_failed(e))?;
    replace(ctx, record, log)
}

/// Revokes a key: it signs no more, and nothing that it signed is valid any more. Not to be undone; a
/// second revocation changes nothing.
///
/// # Errors
/// As [`retire`]; [`Error::InvalidRequest`] without a reason or for one over 256 characters.
pub async fn revoke(
    ctx: &Context,
    caller: &Caller,
    name: &KeyName,
    reason: String,
) -> Result<Logged<KeyDocument>, Error> {
    if !(1..=256).contains(&reason.chars().count()) {
        return Err(Error::invalid("reason", "a reason has 1 to 256 characters"));
    }
    let permit = pipeline::authorise(ctx, caller, Action::KeyRevoke, &Resource::key(name))?;
    // Held from the check to the write, so that what the log has did happen, and once.
    let _writing = ctx.writing.lock().await;
    let key = find(ctx, name)?;
    if matches!(key.state, KeyState::Revoked { .. }) {
        return Ok(Logged { value: document(&key), log: None });
    }
    let now = ctx.now();
    let revoked = KeyState::Revoked { at: now, reason: reason.clone() }.stored();
    let log = end_signing(ctx, caller, &permit, &key, revoked, Some(reason.clone())).await?;
    let record = ctx.store.revoke_key(name.as_str(), now, &reason).await.map_err(|e| ctx.store_failed(e))?;
    replace(ctx, record, log)
}

/// Writes to the log that `key` signs no more, when what is being signed with it is done and before anything
/// else is: no signature of this node comes after the entry. If the entry cannot be written, the key goes on
/// signing. Once it is written the key has ended on this node, even if the database then fails: a second
/// try completes it. The caller holds `writing`, so that nobody waits here for two keys.
async fn end_signing(
    ctx: &Context,
    caller: &Caller,
    permit: &Permit,
    key: &Key,
    state: StoredState,
    reason: Option<String>,
) -> Result<crate::LogRef, Error> {
    let op = if state == StoredState::Retired { Op::KeyRetire } else { Op::KeyRevoke };
    let mut signing = key.signing.write().await;
    let about = Some((key.name.clone(), key.id.clone()));
    let log = pipeline::record(ctx, caller, permit, op, about, reason).await?;
    *signing = state;
    Ok(log)
}

/// Puts the changed record in the cache; the caller holds `writing`.
fn replace(ctx: &Context, record: KeyRecord, log: crate::LogRef) -> Result<Logged<KeyDocument>, Error> {
    let key = Key::from_record(record)?;
    let document = document(&key);
    ctx.cache.write().keys.insert(key.name.clone(), key.into());
    Ok(Logged::new(document, log))
}

/// Gives out an exportable key as encrypted PKCS#8, in PEM.
///
/// # Errors
/// [`Error::NotPermitted`], [`Error::UnknownKey`], [`Error::NotExportable`], [`Error::WrongPassphrase`]
/// for one of fewer than 12 characters, and when log or key host fail.
pub async fn export(
    ctx: &Context,
    caller: &Caller,
    name: &KeyName,
    passphrase: Secret,
) -> Result<Logged<Secret>, Error> {
    const SHORTEST: usize = 12;
    let permit = pipeline::authorise(ctx, caller, Action::KeyExport, &Resource::key(name))?;
    let key = find(ctx, name)?;
    if !key.exportable {
        return Err(Error::NotExportable(name.clone()));
    }
    let long_enough = std::str::from_utf8(&passphrase.0).is_ok_and(|text| text.chars().count() >= SHORTEST);
    if !long_enough {
        let why = format!("the passphrase of an exported key has at least {SHORTEST} characters");
        return Err(Error::WrongPassphrase(why));
    }
    let (pem, log) = ctx
        .key_host
        .export(&permit, &caller.request_id, &key.blob, passphrase)
        .await
        .map_err(|e| Error::of_host(e, name))?;
    ctx.told(&log);
    Ok(Logged::new(pem, log))
}

fn document(key: &Key) -> KeyDocument {
    let revoked = match &key.state {
        KeyState::Revoked { at, reason } => {
            Some(Revocation { at: time::seconds(*at), reason: reason.clone() })
        }
        _ => None,
    };
    KeyDocument {
        name: key.name.clone(),
        id: key.id.clone(),
        key_type: key.key_type,
        schemes: key.key_type.schemes(),
        state: key.state.as_str(),
        exportable: key.exportable,
        formats: key.formats.clone(),
        backend: key.backend.clone(),
        created: time::seconds(key.created),
        revoked,
        public_key: pem::encode("PUBLIC KEY", &key.spki),
    }
}
