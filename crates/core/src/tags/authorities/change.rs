//! Changes of authorities. Each is allowed by `authority:write` on `authority:NAME`, and has an entry
//! `authority-set` in the signing log before it is made.

use std::sync::Arc;

use countersign_model::entry::Op;
use countersign_model::policy::Permit;
use countersign_model::{Action, Format, KeyId, KeyName, KeyType, PrincipalName, PublicKey, Surface, time};
use countersign_records::authorities::{AuthorityKey, algorithm_of};
use countersign_records::tag::{AuthorityName, scheme_for};
use countersign_store::{AuthorityKeyRecord, AuthorityRecord, AuthorityRevocation, KeyEnd, StoreError};
use countersign_verify::tag::TrustedKey;
use jiff::Timestamp;

use super::{Authority, Error, find, known, resource, through_tags, unknown_key};
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

/// That a key is not to be believed any more.
#[derive(Clone, Debug)]
pub struct Revoke {
    /// The key.
    pub key: KeyId,
    /// Why: 1 to 256 characters.
    pub reason: String,
    /// Since when its signatures are in doubt; `None`: all are.
    pub from: Option<Timestamp>,
    /// Until when; only beside `from`.
    pub until: Option<Timestamp>,
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
    let algorithm = match (rotate.algorithm, &old) {
        (Some(algorithm), _) => algorithm,
        (None, Some((key, _))) => key.public_key.key_type(),
        (None, None) => {
            authority.current(KeyUse::Tags).map_or(KeyType::P256, |key| key.public_key.key_type())
        }
    };
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
/// [`Error::BadRequest`] for what is no public key or one that cannot sign tags; not permitted;
/// [`Error::Exists`] if the authority has this key already.
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

/// Revokes a key, for good. A private half that is kept here signs no more. A second revocation can doubt
/// more signatures than the first, never fewer; one that says the same changes nothing.
///
/// # Errors
/// [`Error::BadRequest`] without a reason or for a window that is none; not permitted;
/// [`Error::UnknownAuthority`], [`Error::NotFound`]; [`Error::Exists`] for one that would doubt fewer.
pub async fn revoke(
    ctx: &Context,
    caller: &Caller,
    name: &AuthorityName,
    revoke: Revoke,
) -> Result<Logged<Arc<Authority>>, Error> {
    check_revocation(&revoke)?;
    let permit = may_write(ctx, caller, name)?;
    let _turn = ctx.authorities.changes.lock().await;
    let authority = known(ctx, name)?;
    let (key, place) = authority.place(&revoke.key).ok_or_else(|| unknown_key(name, &revoke.key))?;
    if let Some(first) = &key.revoked {
        let (from, until) = (seconds(first.from), seconds(first.until));
        if (from, until) == (seconds(revoke.from), seconds(revoke.until)) {
            return Ok(Logged { value: authority, log: None });
        }
        if !covers(&revoke, first.from, first.until) {
            return Err(narrower(name, &revoke.key));
        }
    }
    // First of all it stops signing: no signature of this node stands in the log after this.
    if let Some(private) = &place.private {
        keys::revoke(ctx, &through_tags(caller), private, revoke.reason.clone()).await?;
    }
    let log = record(ctx, caller, &permit, name, &in_words(&revoke)).await?;
    let revocation = AuthorityRevocation {
        at: now(ctx),
        from: revoke.from.map(whole_seconds),
        until: revoke.until.map(whole_seconds),
        reason: revoke.reason,
    };
    let _writing = ctx.writing.lock().await;
    let stored = ctx.store.revoke_authority_key(name.as_str(), revoke.key.as_str(), &revocation).await;
    let record = stored.map_err(|error| match error {
        StoreError::Conflict { .. } => narrower(name, &revoke.key),
        other => ctx.store_failed(other).into(),
    })?;
    put(ctx, record).map(|authority| Logged::new(authority, log))
}

fn check_revocation(revoke: &Revoke) -> Result<(), Error> {
    let bad = |why: &str| Err(Error::BadRequest(why.into()));
    if !(1..=256).contains(&revoke.reason.chars().count()) || revoke.reason.chars().any(char::is_control) {
        return bad("`reason` has 1 to 256 characters, none of them a control character");
    }
    match (revoke.from, revoke.until) {
        (None, Some(_)) => bad("`until` stands only beside `from`: without it all signatures are refused"),
        (Some(from), Some(until)) if until < from => bad("`until` is before `from`"),
        _ => Ok(()),
    }
}

/// Whether everything that was in doubt before is so by `revoke` too.
fn covers(revoke: &Revoke, from: Option<Timestamp>, until: Option<Timestamp>) -> bool {
    let (from, until) = (seconds(from), seconds(until));
    let from_covered = seconds(revoke.from).is_none_or(|new| from.is_some_and(|old| new <= old));
    let until_covered = seconds(revoke.until).is_none_or(|new| until.is_some_and(|old| new >= old));
    from_covered && until_covered
}

fn narrower(name: &AuthorityName, key: &KeyId) -> Error {
    Error::Exists(format!("key {key} of {name} is revoked: what is in doubt stays in doubt"))
}

fn in_words(revoke: &Revoke) -> String {
    let mut what = format!("revoke {}", revoke.key);
    for (word, time) in [("from", revoke.from), ("until", revoke.until)] {
        if let Some(time) = time {
            what = format!("{what} {word}={}", time::seconds(time));
        }
    }
    format!("{what} {}", revoke.reason)
}

/// Times count by whole seconds, since documents have no finer ones.
fn seconds(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::as_second)
}

fn may_write(ctx: &Context, caller: &Caller, name: &AuthorityName) -> Result<Permit, Error> {
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
async fn record(
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
pub(super) fn cut(text: &str) -> String {
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
fn put(ctx: &Context, record: AuthorityRecord) -> Result<Arc<Authority>, Error> {
    let authority = Arc::new(Authority::from_record(record)?);
    ctx.cache.write().authorities.insert(authority.name.clone(), Arc::clone(&authority));
    Ok(authority)
}

fn exists(name: &AuthorityName) -> Error {
    Error::Exists(format!("there is an authority {name} already"))
}

/// The time as documents write it, so that what is stored is what is said.
fn now(ctx: &Context) -> Timestamp {
    whole_seconds(ctx.now())
}

fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}
