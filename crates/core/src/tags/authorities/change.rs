//! Changes of authorities. Each is allowed by `authority:write` on `authority:NAME`, and has an entry
//! `authority-set` in the signing log before it is made.

use std::sync::Arc;

use countersign_model::entry::Op;
use countersign_model::policy::Permit;
use countersign_model::{Action, Format, KeyName, KeyType, PrincipalName, PublicKey, Surface, time};
use countersign_records::authorities::{AuthorityKey, algorithm_of};
use countersign_records::tag::{AuthorityName, scheme_for};
use countersign_store::{AuthorityKeyRecord, AuthorityRecord, KeyEnd, StoreError};
use countersign_verify::tag::TrustedKey;
use jiff::Timestamp;

use super::{Authority, Error, find, holders, known, resource, through_tags};
use crate::caller::Caller;
use crate::context::Context;
use crate::keys::{self, NewKey};
use crate::pipeline::{self, Logged};

/// What a key of an authority signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyUse {
    /// Tags, and nothing else.
    Tags,
    /// Bytes as they are, and nothing else.
    Detached,
}

/// An authority to be made, with a key inside.
#[derive(Clone, Debug)]
pub struct NewAuthority {
    /// Its name.
    pub name: AuthorityName,
    /// The type of its keys: one that tags can be signed with.
    pub algorithm: KeyType,
    /// How many principals must agree before it signs; 1: whoever asks.
    pub threshold: u32,
    /// The principals whose voices count; `None`: all whom policy lets sign.
    pub principals: Option<Vec<PrincipalName>>,
    /// Whether it gets a second key for detached signatures.
    pub detached: bool,
}

/// A new key in the place of the one in use.
#[derive(Clone, Debug)]
pub struct Rotate {
    /// Its type; `None`: that of the key before it.
    pub algorithm: Option<KeyType>,
    /// The last moment of the key before it; `None`: its tags stay valid.
    pub not_after: Option<Timestamp>,
    /// Which key. One for detached signatures is made where there was none.
    pub of: KeyUse,
}

/// A key whose private half is kept elsewhere.
#[derive(Clone, Debug)]
pub struct Register {
    /// `PUBLIC KEY`, `RSA PUBLIC KEY` or `CERTIFICATE`, in PEM.
    pub pem: String,
    /// It is valid from then on; `None`: as its certificate says, or from now on.
    pub not_before: Option<Timestamp>,
    /// It is valid until then; `None`: as its certificate says, or without end.
    pub not_after: Option<Timestamp>,
    /// What it signs.
    pub of: KeyUse,
}

/// Makes an authority, with keys that never leave.
///
/// # Errors
/// [`Error::BadAuthorityName`] for a name that paths use otherwise, [`Error::BadRequest`] for a threshold that
/// cannot be reached or a key type without tags; not permitted; [`Error::Exists`].
pub async fn create(
    ctx: &Context,
    caller: &Caller,
    new: NewAuthority,
) -> Result<Logged<Arc<Authority>>, Error> {
    check_name(&new.name)?;
    let permit = may_write(ctx, caller, &new.name)?;
    check_made(new.algorithm)?;
    check_threshold(new.threshold, new.principals.as_deref())?;
    let _turn = ctx.authorities.changes.lock().await;
    if find(ctx, &new.name).is_some() {
        return Err(exists(&new.name));
    }
    let mut keys = vec![make_key(ctx, caller, &new.name, 1, new.algorithm, KeyUse::Tags).await?];
    if new.detached {
        let next = keys[0].number + 1;
        keys.push(make_key(ctx, caller, &new.name, next, new.algorithm, KeyUse::Detached).await?);
    }
    let mut what = format!("create threshold={}", new.threshold);
    if let Some(principals) = &new.principals {
        let names: Vec<_> = principals.iter().map(PrincipalName::as_str).collect();
        what = format!("{what} principals={}", names.join(","));
    }
    let log = record(ctx, caller, &permit, &new.name, &what).await?;
    let now = now(ctx);
    let record = AuthorityRecord {
        name: new.name.to_string(),
        threshold: new.threshold,
        principals: new.principals.map(|names| names.iter().map(ToString::to_string).collect()),
        keys,
        created: now,
        updated: now,
    };
    insert(ctx, &new.name, record).await.map(|authority| Logged::new(authority, log))
}

/// Makes a new key and uses it from now on. What the one before it signed stays valid, until `not_after`
/// if that is given.
///
/// # Errors
/// [`Error::BadRequest`]; not permitted; [`Error::UnknownAuthority`]; a conflict if another node changes the
/// authority at the same time.
pub async fn rotate(
    ctx: &Context,
    caller: &Caller,
    name: &AuthorityName,
    rotate: Rotate,
) -> Result<Logged<Arc<Authority>>, Error> {
    let permit = may_write(ctx, caller, name)?;
    let _turn = ctx.authorities.changes.lock().await;
    let authority = known(ctx, name)?;
    let old = authority.signer(rotate.of).map(|(key, private)| (key.clone(), private.clone()));
    let algorithm = rotate.algorithm.unwrap_or_else(|| {
        // As the key before it, though that may be revoked; else as the key for tags.
        let before = [rotate.of, KeyUse::Tags].into_iter().find_map(|of| {
            let made = authority.last_made(of).map(|(key, _)| key);
            made.or_else(|| authority.current(of)).map(|key| key.public_key.key_type())
        });
        before.unwrap_or(KeyType::P256)
    });
    check_made(algorithm)?;
    if rotate.not_after.is_some_and(|end| end < ctx.now()) {
        let why = "`not_after` has passed: to refuse what the old key signed, revoke it";
        return Err(Error::BadRequest(why.into()));
    }
    let key = make_key(ctx, caller, name, authority.highest_number() + 1, algorithm, rotate.of).await?;
    let mut what = format!("rotate {}", key.id);
    if let Some(end) = rotate.not_after {
        what = format!("{what} not-after={}", time::seconds(end));
    }
    let log = record(ctx, caller, &permit, name, &what).await?;
    let number = old.as_ref().and_then(|(key, _)| Some(authority.place(&key.id)?.1.number));
    let ends = number.zip(rotate.not_after).map(|(number, not_after)| KeyEnd { number, not_after });
    let authority = add_key(ctx, name, &key, ends).await?;
    if let Some((_, private)) = old
        && let Err(error) = keys::retire(ctx, &through_tags(caller), &private).await
    {
        // Nobody signs with it any more: the authority has a newer one.
        tracing::warn!(%error, key = %private, "the key before a rotation was not retired");
    }
    Ok(Logged::new(authority, log))
}

/// Takes in a public key whose private half is kept elsewhere. An authority that is not there is made: one
/// without a key here, whose tags come with their signatures.
///
/// # Errors
/// [`Error::BadRequest`] for what is no public key or one that cannot sign tags; not permitted, also for a key
/// of another authority without the same right to that, since who revokes it there revokes it here;
/// [`Error::Exists`] if the authority has this key already; [`Error::Revoked`] if it is revoked elsewhere.
pub async fn register(
    ctx: &Context,
    caller: &Caller,
    name: &AuthorityName,
    register: Register,
) -> Result<Logged<Arc<Authority>>, Error> {
    check_name(name)?;
    let permit = may_write(ctx, caller, name)?;
    let key = read_external(&register, now(ctx))?;
    let _turn = ctx.authorities.changes.lock().await;
    let present = find(ctx, name);
    if present.as_ref().is_some_and(|authority| authority.place(&key.id).is_some()) {
        return Err(Error::Exists(format!("{name} has key {} already", key.id)));
    }
    for holder in holders(ctx, &key.id) {
        may_write(ctx, caller, &holder.name)?;
        if holder.place(&key.id).is_some_and(|(key, _)| key.revoked.is_some()) {
            let message = format!("key {} is revoked as one of {}", key.id, holder.name);
            return Err(Error::Revoked { name: holder.name.clone(), message });
        }
    }
    let number = present.as_ref().map_or(1, |authority| authority.highest_number() + 1);
    let record_of = AuthorityKeyRecord {
        number,
        id: key.id.to_string(),
        spki: key.public_key.spki().to_vec(),
        signing_key: None,
        detached: key.detached,
        not_before: key.not_before,
        not_after: key.not_after,
        revoked: None,
    };
    let log = record(ctx, caller, &permit, name, &format!("register {}", key.id)).await?;
    let authority = if present.is_some() {
        add_key(ctx, name, &record_of, None).await?
    } else {
        let now = now(ctx);
        let record = AuthorityRecord {
            name: name.to_string(),
            threshold: 1,
            principals: None,
            keys: vec![record_of],
            created: now,
            updated: now,
        };
        insert(ctx, name, record).await?
    };
    Ok(Logged::new(authority, log))
}

pub(super) fn may_write(ctx: &Context, caller: &Caller, name: &AuthorityName) -> Result<Permit, Error> {
    Ok(pipeline::authorise_person(ctx, caller, Action::AuthorityWrite, &resource(name))?)
}

/// `/authorities/bundle` and `/authorities/NAME.pub` are paths of their own.
fn check_name(name: &AuthorityName) -> Result<(), Error> {
    let text = name.as_str();
    if text == "bundle" || text.ends_with(".pub") {
        return Err(Error::BadAuthorityName(format!("{text}: not `bundle`, and not ending in `.pub`")));
    }
    Ok(())
}

fn check_made(algorithm: KeyType) -> Result<(), Error> {
    if KeyType::MADE.contains(&algorithm) && scheme_for(algorithm).is_some() {
        return Ok(());
    }
    let words = "`rsa-2048`, `rsa-3072`, `rsa-4096`, `ec-p256`, `ec-p384` or `ec-p521`";
    Err(Error::BadRequest(format!("keys of authorities are {words}, not `{}`", algorithm_of(algorithm))))
}

fn check_threshold(threshold: u32, principals: Option<&[PrincipalName]>) -> Result<(), Error> {
    const MOST: usize = 100;
    let bad = |why: String| Err(Error::BadRequest(why));
    let most = match principals {
        None => MOST,
        Some([]) => return bad("`principals` is empty: nobody could sign".into()),
        Some(names) if (1..names.len()).any(|i| names[..i].contains(&names[i])) => {
            return bad("a principal stands twice".into());
        }
        Some(names) => names.len(),
    };
    if most > MOST || threshold == 0 || usize::try_from(threshold).map_or(true, |n| n > most) {
        return bad(format!("`threshold` is from 1 to the number of `principals`, at most {MOST}"));
    }
    Ok(())
}

fn read_external(register: &Register, now: Timestamp) -> Result<AuthorityKey, Error> {
    let bad = |why: String| Error::BadRequest(why);
    let trusted = TrustedKey::from_pem(&register.pem).map_err(|error| bad(error.to_string()))?;
    check_external(&trusted.key)?;
    let not_before = register.not_before.or(trusted.not_before).unwrap_or(now);
    let mut key = AuthorityKey::new(trusted.key, whole_seconds(not_before));
    key.not_after = register.not_after.or(trusted.not_after).map(whole_seconds);
    key.detached = register.of == KeyUse::Detached;
    if key.not_after.is_some_and(|end| end < key.not_before) {
        return Err(bad("`not_after` is before `not_before`".into()));
    }
    Ok(key)
}

fn check_external(key: &PublicKey) -> Result<(), Error> {
    if key.is_weak() {
        return Err(Error::BadRequest("the key is too weak: RSA has at least 2048 bits".into()));
    }
    if scheme_for(key.key_type()).is_none() {
        return Err(Error::BadRequest(format!("a key of type `{}` cannot sign tags", key.key_type())));
    }
    Ok(())
}

/// Makes the private key of an authority. A number whose key was made by an attempt that came to nothing
/// is passed over: keys' names are never used again.
async fn make_key(
    ctx: &Context,
    caller: &Caller,
    authority: &AuthorityName,
    from: u32,
    key_type: KeyType,
    of: KeyUse,
) -> Result<AuthorityKeyRecord, Error> {
    let mut number = from;
    let name = loop {
        let name =
            KeyName::owned(Surface::Tags, &format!("{authority}/{number}")).map_err(crate::Error::from)?;
        if ctx.cache.key(&name).is_none() {
            break name;
        }
        number += 1;
    };
    let format = if of == KeyUse::Detached { Format::Raw } else { Format::Tag };
    let new = NewKey { name: name.clone(), key_type, exportable: false, formats: Some(vec![format]) };
    let made = keys::create(ctx, &through_tags(caller), new).await?.value;
    let key = keys::find(ctx, &name)?;
    Ok(AuthorityKeyRecord {
        number,
        id: made.id.to_string(),
        spki: key.spki.clone(),
        signing_key: Some(name.to_string()),
        detached: of == KeyUse::Detached,
        not_before: now(ctx),
        not_after: None,
        revoked: None,
    })
}

/// Writes what is about to be changed to the signing log.
pub(super) async fn record(
    ctx: &Context,
    caller: &Caller,
    permit: &Permit,
    name: &AuthorityName,
    what: &str,
) -> Result<crate::LogRef, Error> {
    let subject = cut(&format!("{name} {what}"));
    Ok(pipeline::record(ctx, caller, permit, Op::AuthoritySet, None, Some(subject)).await?)
}

/// A subject of the signing log has at most 256 characters.
pub(in crate::tags) fn cut(text: &str) -> String {
    text.chars().take(256).collect()
}

async fn insert(
    ctx: &Context,
    name: &AuthorityName,
    record: AuthorityRecord,
) -> Result<Arc<Authority>, Error> {
    let _writing = ctx.writing.lock().await;
    ctx.store.insert_authority(&record).await.map_err(|error| match error {
        StoreError::Conflict { .. } => {
            // Another node has made it: learn of it.
            let _ = ctx.store_failed(error);
            exists(name)
        }
        other => ctx.store_failed(other).into(),
    })?;
    put(ctx, record)
}

async fn add_key(
    ctx: &Context,
    name: &AuthorityName,
    key: &AuthorityKeyRecord,
    ends: Option<KeyEnd>,
) -> Result<Arc<Authority>, Error> {
    let _writing = ctx.writing.lock().await;
    let stored = ctx.store.add_authority_key(name.as_str(), key, ends, now(ctx)).await;
    put(ctx, stored.map_err(|error| ctx.store_failed(error))?)
}

/// Puts the authority in memory; the caller holds `writing`.
pub(super) fn put(ctx: &Context, record: AuthorityRecord) -> Result<Arc<Authority>, Error> {
    let authority = Arc::new(Authority::from_record(record)?);
    ctx.cache.write().authorities.insert(authority.name.clone(), Arc::clone(&authority));
    Ok(authority)
}

fn exists(name: &AuthorityName) -> Error {
    Error::Exists(format!("there is an authority {name} already"))
}

/// The time as documents write it, so that what is stored is what is said.
pub(super) fn now(ctx: &Context) -> Timestamp {
    whole_seconds(ctx.now())
}

pub(super) fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}
