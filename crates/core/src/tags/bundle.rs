//! The bundle: all authorities with their keys in one document, signed by a root key, for readers that
//! cannot or will not ask.
//!
//! The server signs it with a key of its own, made at its first use, whenever something has changed or half
//! of the bundle's life is over. An operator who keeps the root key elsewhere signs the bundle there and
//! installs it with that key's public half: from then on the server gives out what it was given, until the
//! next one is installed.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use countersign_model::digest::sha256;
use countersign_model::entry::Op;
use countersign_model::{
    Action, Format, KeyId, KeyName, KeyType, PrincipalName, PublicKey, Resource, Surface, ToSign, canonical,
    time,
};
use countersign_records::authorities::{Bundle, Content, finish, prepare, root_scheme};
use countersign_store::{BundleRecord, StoreError};
use countersign_verify::bundle::{self as verify, BundleError, Expired};
use jiff::{SignedDuration, Timestamp};

use super::Error;
use super::authorities::{self, Authority};
use crate::background;
use crate::caller::{Caller, Identity};
use crate::context::Context;
use crate::keys::{self, NewKey};
use crate::pipeline::{self, Logged, Order};

/// How long a bundle may be relied on.
pub const LIFE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What a node remembers of the bundle.
#[derive(Default)]
pub(crate) struct Kept {
    /// Held to issue or install one. Readers do not wait for it.
    issuing: tokio::sync::Mutex<()>,
    /// What was given out last.
    last: std::sync::RwLock<Option<Arc<Current>>>,
}

/// A bundle, and the authorities that it was found to agree with.
struct Current {
    authorities: Vec<Arc<Authority>>,
    content: [u8; 32],
    record: BundleRecord,
}

impl Kept {
    fn last(&self) -> Option<Arc<Current>> {
        self.last.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, current: Option<Arc<Current>>) {
        *self.last.write().unwrap_or_else(PoisonError::into_inner) = current;
    }
}

/// The authorities as they are in the database, not as a node remembers them.
struct Latest {
    generation: i64,
    authorities: Vec<Arc<Authority>>,
}

/// How often a bundle is prepared anew because something changes meanwhile.
const TRIES: usize = 8;

/// A bundle as it is given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleDocument {
    /// JSON in canonical form.
    pub document: String,
    /// Its version.
    pub version: u64,
    /// Whether something has changed since, and only who has the root key can say so.
    pub stale: bool,
}

/// The bundle of all authorities. For anybody.
///
/// # Errors
/// When the database does not answer; when a new one cannot be signed.
pub async fn get(ctx: &Context) -> Result<BundleDocument, Error> {
    current(ctx).await.map(|current| document(&current))
}

fn document(Current { record, content, .. }: &Current) -> BundleDocument {
    BundleDocument {
        document: record.document.clone(),
        version: record.version,
        stale: record.root.is_some() && record.content != *content,
    }
}

/// The public half of the root key, `PUBLIC KEY` in PEM. For anybody.
///
/// # Errors
/// When the database does not answer; when the key cannot be made.
pub async fn root_pem(ctx: &Context) -> Result<String, Error> {
    match &current(ctx).await?.record.root {
        Some(pem) => Ok(pem.clone()),
        None => Ok(keys::public_pem(ctx, &own_root(ctx).await?)?),
    }
}

/// What a bundle of now would say, to be signed elsewhere: `{"signed": …}` in canonical form.
///
/// # Errors
/// Not permitted; when the database does not answer.
pub async fn draft(ctx: &Context, caller: &Caller) -> Result<Vec<u8>, Error> {
    pipeline::authorise_person(ctx, caller, Action::AuthorityWrite, &resource())?;
    let before = ctx.store.authority_bundle().await?.map_or(0, |record| record.version);
    let content = content(&latest(ctx).await?.authorities, before + 1, ctx.now())?;
    // Ed25519 signs the text itself.
    let (to_sign, _) = prepare(&content, KeyType::Ed25519).map_err(internal)?;
    let mut draft = br#"{"signed": "#.to_vec();
    draft.extend_from_slice(to_sign.as_bytes());
    draft.extend_from_slice(b"}\n");
    Ok(draft)
}

/// Gives out a bundle that was signed elsewhere, from now on.
///
/// - `document`: the bundle; with the version of the one given out now (the same text, signed by another
///   key) or a larger one.
/// - `root`: the public half of the key that signed it, in PEM; `None`: the one that is registered already.
///
/// # Errors
/// Not permitted; [`Error::BadRequest`] for what is no bundle or key, or if no key is registered;
/// also if the root key did not sign it; [`Error::PreconditionFailed`] if it is too old, over,
/// or does not say what is true now.
pub async fn install(
    ctx: &Context,
    caller: &Caller,
    document: &[u8],
    root: Option<&str>,
) -> Result<Logged<BundleDocument>, Error> {
    let permit = pipeline::authorise_person(ctx, caller, Action::AuthorityWrite, &resource())?;
    let _issuing = ctx.authorities.bundle.issuing.lock().await;
    let before = ctx.store.authority_bundle().await?;
    let registered = before.as_ref().and_then(|record| record.root.as_deref());
    let pem = root.or(registered).ok_or_else(|| {
        Error::BadRequest("`root` is missing: the public key (PEM) that signed the bundle".into())
    })?;
    let root = PublicKey::from_pem(pem).map_err(|error| Error::BadRequest(format!("`root`: {error}")))?;
    if root.is_weak() {
        return Err(Error::BadRequest("`root` is too weak: RSA has at least 2048 bits".into()));
    }
    let now = ctx.now();
    let said = verify::verify(document, &root, now, None, Expired::Refuse).map_err(of_bundle)?;
    check_follows(document, &said, before.as_ref())?;
    let latest = latest(ctx).await?;
    if content_hash(&said)? != content_hash(&content(&latest.authorities, said.version, now)?)? {
        let why = "the bundle does not have the authorities of now: sign a new one";
        return Err(Error::PreconditionFailed(why.into()));
    }
    let text =
        std::str::from_utf8(document).map_err(|_| Error::BadRequest("the bundle is not text".into()))?;
    let subject = format!("bundle root {} version {}", root.id(), said.version);
    let log = pipeline::record(ctx, caller, &permit, Op::AuthoritySet, None, Some(subject)).await?;
    let record = BundleRecord {
        version: said.version,
        document: text.to_owned(),
        content: content_hash(&said)?,
        issued: said.issued,
        expires: said.expires,
        root: Some(root.to_pem()),
    };
    store(ctx, before.as_ref(), &latest, &record).await?;
    ctx.authorities.bundle.put(None);
    let document = BundleDocument { document: record.document, version: record.version, stale: false };
    Ok(Logged::new(document, log))
}

/// Lets the server sign bundles again, with its own key.
///
/// # Errors
/// Not permitted; when log or database cannot be written.
pub async fn uninstall(ctx: &Context, caller: &Caller) -> Result<Logged<BundleDocument>, Error> {
    let permit = pipeline::authorise_person(ctx, caller, Action::AuthorityWrite, &resource())?;
    let issuing = ctx.authorities.bundle.issuing.lock().await;
    let before = ctx.store.authority_bundle().await?;
    let mut log = None;
    if before.as_ref().is_some_and(|record| record.root.is_some()) {
        let subject = Some("bundle root own".to_owned());
        log = Some(pipeline::record(ctx, caller, &permit, Op::AuthoritySet, None, subject).await?);
        let root = own_root(ctx).await?;
        issue(ctx, &root, before.as_ref(), &latest(ctx).await?).await?;
        ctx.authorities.bundle.put(None);
    }
    drop(issuing);
    Ok(Logged { value: document(&*current(ctx).await?), log })
}

/// The rights to the bundle are those to an authority that nobody can make.
fn resource() -> Resource {
    Resource::authority("bundle")
}

/// The bundle to give out now, issued if need be.
async fn current(ctx: &Context) -> Result<Arc<Current>, Error> {
    let now = ctx.now();
    let kept = &ctx.authorities.bundle;
    let present = authorities::all(ctx);
    let last = kept.last().filter(|last| same(&last.authorities, &present));
    if let Some(last) = last.as_ref().filter(|last| !ctx.shared && is_fresh(&last.record, now)) {
        return Ok(Arc::clone(last));
    }
    let content = match last {
        Some(last) => last.content,
        None => content_hash(&content(&present, 1, now)?)?,
    };
    let give = |authorities, content, record| {
        let current = Arc::new(Current { authorities, content, record });
        kept.put(Some(Arc::clone(&current)));
        Ok(current)
    };
    if let Some(record) = ctx.store.authority_bundle().await?
        && stands(&record, &content, now)
    {
        return give(present, content, record);
    }
    let _issuing = kept.issuing.lock().await;
    for _ in 0..TRIES {
        // Its key first: to make it is a change too.
        let root = own_root(ctx).await?;
        // Another node may have issued one of authorities that this one has not heard of yet.
        let latest = latest(ctx).await?;
        let content = content_hash(&self::content(&latest.authorities, 1, now)?)?;
        match ctx.store.authority_bundle().await? {
            Some(record) if stands(&record, &content, now) => {
                return give(latest.authorities, content, record);
            }
            before => match issue(ctx, &root, before.as_ref(), &latest).await {
                Ok(record) => return give(latest.authorities, content, record),
                // Another node was faster: look at what it has done.
                Err(Error::Core(crate::Error::Conflict(_))) => {}
                Err(error) => return Err(error),
            },
        }
    }
    Err(crate::Error::Conflict("the authorities are being changed all the time".into()).into())
}

fn same(old: &[Arc<Authority>], new: &[Arc<Authority>]) -> bool {
    old.len() == new.len() && old.iter().zip(new).all(|(old, new)| Arc::ptr_eq(old, new))
}

/// Whether a bundle is to be given out where one of now has this content.
fn stands(record: &BundleRecord, content: &[u8; 32], now: Timestamp) -> bool {
    record.root.is_some() || (record.content == *content && is_fresh(record, now))
}

/// Reads what other nodes have changed, so that no bundle takes back what an older one said.
async fn latest(ctx: &Context) -> Result<Latest, Error> {
    for _ in 0..TRIES {
        background::try_refresh(ctx).await?;
        // Whoever writes holds this until the memory has what the database has.
        let _writing = ctx.writing.lock().await;
        let generation = ctx.store.generation().await?;
        let known = !ctx.shared || generation == ctx.generation.load(Ordering::Acquire);
        if known && !ctx.stale.load(Ordering::Acquire) {
            return Ok(Latest { generation, authorities: authorities::all(ctx) });
        }
    }
    Err(crate::Error::StorageUnavailable("the authorities are being changed all the time".into()).into())
}

/// Whether less than half of its life is over.
fn is_fresh(record: &BundleRecord, now: Timestamp) -> bool {
    let life = record.expires.duration_since(record.issued);
    record.issued.checked_add(life / 2).is_ok_and(|half| now < half)
}

/// Signs a bundle of now with the server's own key, and stores it.
async fn issue(
    ctx: &Context,
    name: &KeyName,
    before: Option<&BundleRecord>,
    latest: &Latest,
) -> Result<BundleRecord, Error> {
    let version = before.map_or(0, |record| record.version) + 1;
    let content = content(&latest.authorities, version, ctx.now())?;
    let root = keys::find(ctx, name)?.public()?.clone();
    let scheme = root_scheme(root.key_type());
    let (to_sign, pending) = prepare(&content, root.key_type()).map_err(internal)?;
    let caller = system(ctx);
    let admitted = pipeline::admit(ctx, &caller, name, Some(scheme), |_| Format::Attestation)?;
    let input = match &to_sign {
        ToSign::Message(message) => Some(sha256(message)),
        ToSign::Digest(_) => None,
    };
    let subject = Some(format!("authorities bundle {version}"));
    let order = Order { admitted, to_sign, input, subject };
    let signed = pipeline::sign(ctx, &caller, order).await?;
    let document = finish(pending, &root.id(), &signed.signature).map_err(internal)?;
    verify::verify(&document, &root, ctx.now(), None, Expired::Refuse).map_err(internal)?;
    let record = BundleRecord {
        version,
        content: content_hash(&content)?,
        document: String::from_utf8(document).map_err(internal)?,
        issued: content.issued,
        expires: content.expires,
        root: None,
    };
    store(ctx, before, latest, &record).await?;
    Ok(record)
}

async fn store(
    ctx: &Context,
    before: Option<&BundleRecord>,
    latest: &Latest,
    record: &BundleRecord,
) -> Result<(), Error> {
    let replaces = before.map_or(0, |before| before.version);
    let put = ctx.store.put_authority_bundle(replaces, latest.generation, record).await;
    put.map_err(|error| match error {
        StoreError::Conflict { .. } => {
            let why = "something was changed, or another bundle issued, meanwhile: try again";
            crate::Error::Conflict(why.into()).into()
        }
        other => Error::from(other),
    })
}

/// The name of the server's own root key, which is made at its first use.
async fn own_root(ctx: &Context) -> Result<KeyName, Error> {
    let name = KeyName::owned(Surface::Tags, "bundle").map_err(crate::Error::from)?;
    if ctx.cache.key(&name).is_some() {
        return Ok(name);
    }
    // Another node may have made it.
    background::try_refresh(ctx).await?;
    if ctx.cache.key(&name).is_some() {
        return Ok(name);
    }
    let new = NewKey {
        name: name.clone(),
        key_type: KeyType::Ed25519,
        exportable: false,
        formats: Some(vec![Format::Attestation]),
    };
    match keys::create(ctx, &system(ctx), new).await {
        Ok(_) => Ok(name),
        Err(crate::Error::NameTaken { .. }) => {
            background::try_refresh(ctx).await?;
            if ctx.cache.key(&name).is_some() {
                return Ok(name);
            }
            Err(crate::Error::StorageUnavailable("the key of the bundle is being made".into()).into())
        }
        Err(error) => Err(error.into()),
    }
}

/// What the surface does by itself is done in its own name.
fn system(ctx: &Context) -> Caller {
    let identity = Identity {
        principal: PrincipalName::surface(Surface::Tags),
        roles: Vec::new(),
        narrowing: None,
        token: None,
    };
    Caller::new(Arc::new(identity), Surface::Tags, ctx.request_id())
}

fn content(authorities: &[Arc<Authority>], version: u64, now: Timestamp) -> Result<Content, Error> {
    let issued = Timestamp::from_second(now.as_second()).map_err(internal)?;
    let expires = issued.checked_add(LIFE).map_err(internal)?;
    let keys = authorities.iter().map(|authority| authority.to_verify().clone());
    Ok(Content::new(version, issued, expires, keys))
}

/// SHA-256 of what a bundle says, whatever its version and times.
fn content_hash(content: &Content) -> Result<[u8; 32], Error> {
    let keys: std::collections::BTreeMap<_, _> =
        content.authorities.iter().map(|(name, authority)| (name, &authority.keys)).collect();
    let value = serde_json::to_value((keys, &content.revocations)).map_err(internal)?;
    Ok(sha256(&canonical::rfc8785(&value)))
}

/// A version is never given out with two texts, and never a lower one after a higher one.
fn check_follows(document: &[u8], said: &Content, before: Option<&BundleRecord>) -> Result<(), Error> {
    let Some(before) = before else { return Ok(()) };
    let too_old = |why: String| Err(Error::PreconditionFailed(why));
    if said.version < before.version {
        return too_old(format!("version {} is below the present {}", said.version, before.version));
    }
    if said.version == before.version {
        let signed = |bytes: &[u8]| Bundle::parse(bytes).map(|bundle| bundle.signed_bytes().to_vec());
        let same = signed(document).ok() == signed(before.document.as_bytes()).ok();
        if !same {
            return too_old(format!(
                "there is another bundle of version {}: take a higher one",
                said.version
            ));
        }
    }
    Ok(())
}

fn of_bundle(error: BundleError) -> Error {
    match error {
        BundleError::Malformed(_) => Error::BadRequest(error.to_string()),
        BundleError::Expired { expires } => {
            Error::PreconditionFailed(format!("the bundle expired {}", time::seconds(expires)))
        }
        _ => Error::BadRequest(error.to_string()),
    }
}

fn internal(error: impl ToString) -> Error {
    Error::Core(crate::Error::Internal(format!("the bundle of authorities: {}", error.to_string())))
}

/// The id of the key that signs bundles now, for `doctor` and the like.
///
/// # Errors
/// As [`root_pem`].
pub async fn root_id(ctx: &Context) -> Result<KeyId, Error> {
    let pem = root_pem(ctx).await?;
    Ok(PublicKey::from_pem(&pem).map_err(internal)?.id())
}
