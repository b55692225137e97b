//! The one way to a key: policy → permit → state of the key → key host (log, then sign).
//!
//! Every surface signs by [`admit`] and [`sign`] or [`sign_many`]; every other change of trust is allowed
//! by [`authorise`] and written to the log by [`record`] before it is made.

use std::sync::Arc;

use countersign_keyhost::client::{LogRef, SignJob, SignedRef};
use countersign_keyhost::wire::Check;
use countersign_model::entry::Op;
use countersign_model::policy::{Denial, Permit};
use countersign_model::{Action, Format, KeyId, KeyName, RawSignature, Resource, Scheme, ToSign};

use crate::caller::Caller;
use crate::context::Context;
use crate::error::Error;
use crate::snapshot::Key;

/// A change of trust, and where its entry in the log stands; `log` is `None` if there was nothing left
/// to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged<T> {
    /// What was changed, as it is now.
    pub value: T,
    /// Its entry.
    pub log: Option<LogRef>,
}

impl<T> Logged<T> {
    pub(crate) fn new(value: T, log: LogRef) -> Self {
        Self { value, log: Some(log) }
    }
}

/// Asks the policy whether `caller` may do `action` on `resource`.
///
/// # Errors
/// [`Error::NotPermitted`].
pub fn authorise(
    ctx: &Context,
    caller: &Caller,
    action: Action,
    resource: &Resource,
) -> Result<Permit, Error> {
    judge(ctx, caller, action, resource, None, None)
}

/// Whether `caller` may do `action` on `resource`, for lists that show what one may read.
pub fn may(ctx: &Context, caller: &Caller, action: Action, resource: &Resource) -> bool {
    let current = ctx.cache.policy();
    caller.ask(action, resource, None, None, |ask| current.policy.decide(ask).is_ok())
}

/// Asks the policy whether the person who calls may do `action` on `resource`, also through a surface whose
/// keys are used in the name of `surface:NAME`: `tag:write` on a tag, `authority:sign` on an authority.
///
/// # Errors
/// [`Error::NotPermitted`].
pub fn authorise_person(
    ctx: &Context,
    caller: &Caller,
    action: Action,
    resource: &Resource,
) -> Result<Permit, Error> {
    let current = ctx.cache.policy();
    caller
        .ask_in_person(action, resource, None, None, |ask| current.policy.permit(ask))
        .map_err(|denial| not_permitted(caller, action, resource, denial))
}

fn not_permitted(caller: &Caller, action: Action, resource: &Resource, denial: Denial) -> Error {
    Error::NotPermitted {
        principal: caller.identity.principal.clone(),
        action,
        resource: resource.clone(),
        why: denial.into(),
    }
}

fn judge(
    ctx: &Context,
    caller: &Caller,
    action: Action,
    resource: &Resource,
    format: Option<Format>,
    scheme: Option<Scheme>,
) -> Result<Permit, Error> {
    let current = ctx.cache.policy();
    caller
        .ask(action, resource, format, scheme, |ask| current.policy.permit(ask))
        .map_err(|denial| not_permitted(caller, action, resource, denial))
}

/// Writes a change of trust to the log. To be called before the change is made.
///
/// # Errors
/// When the log cannot be written; then the change must not be made.
pub async fn record(
    ctx: &Context,
    caller: &Caller,
    permit: &Permit,
    op: Op,
    key: Option<(KeyName, KeyId)>,
    subject: Option<String>,
) -> Result<LogRef, Error> {
    let log = ctx.key_host.record(permit, &caller.request_id, op, key, subject).await?;
    ctx.told(&log);
    Ok(log)
}

/// A key that the caller may sign with, in one scheme and format.
pub struct Admitted {
    permit: Permit,
    pub(crate) key: Arc<Key>,
    /// The scheme asked for, or the key's default.
    pub scheme: Scheme,
    /// How the signature will be written.
    pub format: Format,
}

/// Finds `key` and checks that `caller` may sign with it now.
///
/// - `scheme`: `None` for the key's default.
/// - `format_of`: the format that the surface writes with a scheme.
///
/// # Errors
/// In this order: [`Error::NotPermitted`], whether or not the key exists; [`Error::UnknownKey`];
/// [`Error::KeyRevoked`] and [`Error::KeyRetired`]; [`Error::SchemeMismatch`];
/// [`Error::FormatNotAllowed`].
pub fn admit(
    ctx: &Context,
    caller: &Caller,
    key: &KeyName,
    scheme: Option<Scheme>,
    format_of: impl Fn(Scheme) -> Format,
) -> Result<Admitted, Error> {
    let Some(key) = ctx.cache.key(key) else {
        return Err(refuse_unknown(ctx, caller, key, scheme, format_of));
    };
    admit_key(ctx, caller, key, scheme, format_of)
}

/// As [`admit`], with a key that may not be stored yet.
pub(crate) fn admit_key(
    ctx: &Context,
    caller: &Caller,
    key: Arc<Key>,
    scheme: Option<Scheme>,
    format_of: impl Fn(Scheme) -> Format,
) -> Result<Admitted, Error> {
    let scheme = scheme.unwrap_or_else(|| key.key_type.default_scheme());
    let format = format_of(scheme);
    let permit = judge(ctx, caller, Action::KeySign, &key.resource, Some(format), Some(scheme))?;
    key.check_signs(key.state.stored())?;
    if !scheme.fits(key.key_type) {
        return Err(Error::SchemeMismatch { scheme, key_type: key.key_type });
    }
    if key.formats.as_ref().is_some_and(|formats| !formats.contains(&format)) {
        return Err(Error::FormatNotAllowed { key: key.name.clone(), format });
    }
    Ok(Admitted { permit, key, scheme, format })
}

/// Without permission nobody learns that there is no such key. When no scheme is named, a caller who
/// could sign with any would be told.
fn refuse_unknown(
    ctx: &Context,
    caller: &Caller,
    key: &KeyName,
    scheme: Option<Scheme>,
    format_of: impl Fn(Scheme) -> Format,
) -> Error {
    let resource = Resource::key(key);
    let schemes = scheme.as_ref().map_or(Scheme::ALL.as_slice(), std::slice::from_ref);
    let mut denied = None;
    for &scheme in schemes {
        let format = Some(format_of(scheme));
        match judge(ctx, caller, Action::KeySign, &resource, format, Some(scheme)) {
            Ok(_) => return Error::UnknownKey(key.clone()),
            Err(denial) => denied = denied.or(Some(denial)),
        }
    }
    denied.unwrap_or_else(|| Error::UnknownKey(key.clone()))
}

/// What one signature is made of.
pub struct Order {
    /// The key and the permission to use it.
    pub admitted: Admitted,
    /// The bytes.
    pub to_sign: ToSign,
    /// SHA-256 of what the caller gave; `None` if that was a digest.
    pub input: Option<[u8; 32]>,
    /// What was named.
    pub subject: Option<String>,
}

impl Order {
    /// - `least`: what the key host checks if nothing asks for more.
    fn into_job(self, ctx: &Context, caller: &Caller, least: Check) -> (Permit, SignJob) {
        let Admitted { permit, key, scheme, format } = self.admitted;
        // Formats are checked by whoever finishes them; by the key host RSA, and content signatures, which are bare
        // ones in another spelling.
        let always = ctx.limits.verify_raw || format == Format::ContentSignature;
        let job = SignJob {
            blob: Arc::clone(&key.blob),
            format,
            scheme,
            to_sign: self.to_sign,
            input: self.input,
            subject: self.subject,
            request_id: caller.request_id.clone(),
            check: if always { Check::Always } else { least },
        };
        (permit, job)
    }
}

/// Logs durably, then signs.
///
/// # Errors
/// [`Error::KeyRevoked`] and [`Error::KeyRetired`] if that happened since it was admitted, and what the key
/// host refuses; nothing is released then.
pub async fn sign(ctx: &Context, caller: &Caller, order: Order) -> Result<SignedRef, Error> {
    sign_checked(ctx, caller, order, Check::Rsa).await
}

/// As [`sign`], but that the key host does not check a signature of RSA that is to be written in a format: the caller
/// checks what it becomes.
///
/// # Errors
/// As [`sign`].
pub(crate) async fn sign_unchecked(ctx: &Context, caller: &Caller, order: Order) -> Result<Unchecked, Error> {
    Ok(Unchecked(sign_checked(ctx, caller, order, Check::ByCaller).await?.signature))
}

/// A signature that nobody has checked with the public key yet.
pub(crate) struct Unchecked(RawSignature);

impl Unchecked {
    /// What `finish` makes of it: it must check the signature, and release nothing that does not verify.
    pub(crate) fn verified_by<T, E>(self, finish: impl FnOnce(RawSignature) -> Result<T, E>) -> Result<T, E> {
        finish(self.0)
    }
}

async fn sign_checked(
    ctx: &Context,
    caller: &Caller,
    order: Order,
    check: Check,
) -> Result<SignedRef, Error> {
    let key = Arc::clone(&order.admitted.key);
    // Held until the signature is there: a retirement or revocation waits for it.
    let signing = key.signing.read().await;
    key.check_signs(*signing)?;
    let (permit, job) = order.into_job(ctx, caller, check);
    let signed = ctx.key_host.sign(&permit, job).await.map_err(|e| Error::of_host(e, &key.name))?;
    ctx.told(&signed.log);
    Ok(signed)
}

/// Logs all with one durable write, then signs with all cores. The answers are in the order of `orders`.
///
/// # Errors
/// When nothing at all could be signed; an order's own refusal is in its place.
pub async fn sign_many(
    ctx: &Context,
    caller: &Caller,
    orders: Vec<Order>,
) -> Result<Vec<Result<SignedRef, Error>>, Error> {
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<Arc<Key>> = orders.iter().map(|order| Arc::clone(&order.admitted.key)).collect();
    let mut distinct = keys.clone();
    // Each once, and in one order for all: a lock taken twice would wait for a writer in between.
    distinct.sort_unstable_by_key(Arc::as_ptr);
    distinct.dedup_by(|a, b| Arc::ptr_eq(a, b));
    let mut signing = Vec::with_capacity(distinct.len());
    for key in &distinct {
        signing.push((Arc::as_ptr(key).addr(), key.signing.read().await));
    }
    let still_signs = |key: &Arc<Key>| {
        let place = signing.binary_search_by_key(&Arc::as_ptr(key).addr(), |(address, _)| *address);
        // Every key is among the distinct ones.
        let held = place.ok().and_then(|place| signing.get(place));
        let (_, state) = held.ok_or_else(|| Error::Internal("a key of the batch is not held".into()))?;
        key.check_signs(**state)
    };

    let checked: Vec<Result<(), Error>> = keys.iter().map(still_signs).collect();
    let admitted = orders.into_iter().zip(&checked).filter(|(_, checked)| checked.is_ok());
    let jobs: Vec<_> = admitted.map(|(order, _)| order.into_job(ctx, caller, Check::Rsa)).collect();
    let count = jobs.len();
    let signed = if count == 0 { Vec::new() } else { ctx.key_host.sign_batch(jobs).await? };
    if signed.len() != count {
        return Err(Error::Internal("the key host answered another number of items".into()));
    }
    let mut signed = signed.into_iter();
    let answers = checked.into_iter().zip(&keys).map(|(checked, key)| {
        checked?;
        // There are as many as passed the check.
        let result = signed.next().ok_or_else(|| Error::Internal("an item was not answered".into()))?;
        let signed = result.map_err(|error| Error::of_host(error, &key.name))?;
        ctx.told(&signed.log);
        Ok(signed)
    });
    Ok(answers.collect())
}
