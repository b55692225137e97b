//! The bundle: all authorities with their keys in one document, signed by a root key, for readers that
//! cannot or will not ask.
//!
//! The server signs it with a key of its own, made at its first use, whenever something has changed or half
//! of the bundle's life is over. An operator who keeps the root key elsewhere signs the bundle there and
//! installs it with that key's public half: from then on the server gives out what it was given, until the
//! next one is installed.

use std::sync::Arc;

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
use crate::caller::{Caller, Identity};
use crate::context::Context;
use crate::keys::{self, NewKey};
use crate::pipeline::{self, Logged, Order};

/// How long a bundle may be relied on.
pub const LIFE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The bundle that was given out last, and the authorities that it was found to agree with.
pub(crate) type Kept = tokio::sync::Mutex<Option<Current>>;

/// See [`Kept`].
pub(crate) struct Current {
    authorities: Vec<Arc<Authority>>,
    content: [u8; 32],
    record: Arc<BundleRecord>,
}

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
    let mut kept = ctx.authorities.bundle.lock().await;
    let (record, content) = current(ctx, &mut kept).await?;
    Ok(BundleDocument {
        document: record.document.clone(),
        version: record.version,
        stale: record.root.is_some() && record.content != content,
    })
}

/// The public half of the root key, `PUBLIC KEY` in PEM. For anybody.
///
/// # Errors
/// When the database does not answer; when the key cannot be made.
pub async fn root_pem(ctx: &Context) -> Result<String, Error> {
    let mut kept = ctx.authorities.bundle.lock().await;
    let (record, _) = current(ctx, &mut kept).await?;
    match &record.root {
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
    let content = content(&authorities::all(ctx), before + 1, ctx.now())?;
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
    let mut kept = ctx.authorities.bundle.lock().await;
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
    let present = authorities::all(ctx);
    if content_hash(&said)? != content_hash(&content(&present, said.version, now)?)? {
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
    store(ctx, before.as_ref(), &record).await?;
    *kept = None;
    let document = BundleDocument { document: record.document, version: record.version, stale: false };
    Ok(Logged::new(document, log))
}

/// Lets the server sign bundles again, with its own key.
///
/// # Errors
/// Not permitted; when log or database cannot be written.
pub async fn uninstall(ctx: &Context, caller: &Caller) -> Result<Logged<BundleDocument>, Error> {
    let permit = pipeline::authorise_person(ctx, caller, Action::AuthorityWrite, &resource())?;
    let mut kept = ctx.authorities.bundle.lock().await;
    let before = ctx.store.authority_bundle().await?;
    let mut log = None;
    if before.as_ref().is_some_and(|record| record.root.is_some()) {
        let subject = Some("bundle root own".to_owned());
        log = Some(pipeline::record(ctx, caller, &permit, Op::AuthoritySet, None, subject).await?);
        issue(ctx, before.as_ref()).await?;
        *kept = None;
    }
    let (record, _) = current(ctx, &mut kept).await?;
    let document =
        BundleDocument { document: record.document.clone(), version: record.version, stale: false };
    Ok(Logged { value: document, log })
}

/// The rights to the bundle are those to an authority that nobody can make.
fn resource() -> Resource {
    Resource::authority("bundle")
}

/// The bundle to give out now, issued if need be, and the hash of what a bundle of now says.
async fn current(ctx: &Context, kept: &mut Option<Current>) -> Result<(Arc<BundleRecord>, [u8; 32]), Error> {
    let now = ctx.now();
    let present = authorities::all(ctx);
    let same = |kept: &Current| {
        kept.authorities.len() == present.len()
            && kept.authorities.iter().zip(&present).all(|(old, new)| Arc::ptr_eq(old, new))
    };
    if let Some(kept) = kept.as_ref().filter(|kept| same(kept) && is_fresh(&kept.record, now))
        && !ctx.shared
    {
        return Ok((Arc::clone(&kept.record), kept.content));
    }
    let content = match kept.as_ref().filter(|kept| same(kept)) {
        Some(kept) => kept.content,
        None => content_hash(&content(&present, 1, now)?)?,
    };
    let mut tries = 0;
    let record = loop {
        let before = ctx.store.authority_bundle().await?;
        match before {
            Some(record) if record.root.is_some() => break record,
            Some(record) if record.content == content && is_fresh(&record, now) => break record,
            before => match issue(ctx, before.as_ref()).await {
                Ok(record) => break record,
                // Another node was faster: look at what it has issued.
                Err(Error::Core(crate::Error::Conflict(_))) if tries < 3 => tries += 1,
                Err(error) => return Err(error),
            },
        }
    };
    let record = Arc::new(record);
    *kept = Some(Current { authorities: present, content, record: Arc::clone(&record) });
    Ok((record, content))
}

/// Whether less than half of its life is over.
fn is_fresh(record: &BundleRecord, now: Timestamp) -> bool {
    let life = record.expires.duration_since(record.issued);
    record.issued.checked_add(life / 2).is_ok_and(|half| now < half)
}

/// Signs a bundle of now with the server's own key, and stores it.
async fn issue(ctx: &Context, before: Option<&BundleRecord>) -> Result<BundleRecord, Error> {
    let version = before.map_or(0, |record| record.version) + 1;
    let content = content(&authorities::all(ctx), version, ctx.now())?;
    let name = own_root(ctx).await?;
    let root = keys::find(ctx, &name)?.public()?.clone();
    let scheme = root_scheme(root.key_type());
    let (to_sign, pending) = prepare(&content, root.key_type()).map_err(internal)?;
    let caller = system(ctx);
    let admitted = pipeline::admit(ctx, &caller, &name, Some(scheme), |_| Format::Attestation)?;
    let input = match &to_sign {
        ToSign::Message(message) => Some(sha256(message)),
        ToSign::Digest(_) => None,
    };
    let subject = Some(format!("authorities bundle {version}"));
    let order = Order { admitted, to_sign, input, subject };
    let signed = pipeline::sign(ctx, &caller, order).await?;
    let document = finish(pending, &root.id(), &signed.signature).map_err(internal)?;
    let said = verify::verify(&document, &root, ctx.now(), None, Expired::Refuse).map_err(internal)?;
    let record = BundleRecord {
        version,
        content: content_hash(&said)?,
        document: String::from_utf8(document).map_err(internal)?,
        issued: content.issued,
        expires: content.expires,
        root: None,
    };
    store(ctx, before, &record).await?;
    Ok(record)
}

async fn store(ctx: &Context, before: Option<&BundleRecord>, record: &BundleRecord) -> Result<(), Error> {
    let replaces = before.map_or(0, |before| before.version);
    ctx.store.put_authority_bundle(replaces, record).await.map_err(|error| match error {
        StoreError::Conflict { .. } => {
            crate::Error::Conflict("another bundle was issued meanwhile".into()).into()
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
    let new = NewKey {
        name: name.clone(),
        key_type: KeyType::Ed25519,
        exportable: false,
        formats: Some(vec![Format::Attestation]),
    };
    match keys::create(ctx, &system(ctx), new).await {
        Ok(_) => Ok(name),
        // Another node has made it: it is here as soon as this one has looked.
        Err(crate::Error::NameTaken { .. }) if ctx.cache.key(&name).is_some() => Ok(name),
        Err(crate::Error::NameTaken { .. }) => {
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
