//! Requests that wait until enough principals agree.
//!
//! An authority with a threshold signs when as many principals as that have said yes to the same payload.
//! Who asks first has said yes; each has one voice, and the first word of each counts; one no ends it. What
//! the voices are worth is looked at again when the last one has come: a principal who was disabled meanwhile,
//! or may no longer sign, does not count.
//!
//! The signature is made once: whoever brings the last voice claims the request, signs, and stores the
//! result. If that process dies in between, the claim ends after a minute, and any further voice (also a second
//! one of the same principal, which changes nothing else) signs again.

use std::time::Duration;

use countersign_model::policy::Ask;
use countersign_model::token::base32;
use countersign_model::{Action, PrincipalName, Resource, Surface, time};
use countersign_records::tag::{AuthorityName, Payload, Tag, TagFile, WeakKeys};
pub use countersign_store::Voice;
use countersign_store::{NewTagRequest, StoreError, TagRequestRecord, TagRequestState};
use countersign_verify::authority;
use jiff::SignedDuration;
use serde::Serialize;

use super::authorities::{self, Authority, ForTag, Outcome, Signed};
use super::{Error, OverOthers, TagName, write};
use crate::caller::Caller;
use crate::context::Context;
use crate::random;

/// How long a request waits.
const LIFE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How long one that has ended is kept.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How long one process has to sign, once it has begun.
const CLAIM: SignedDuration = SignedDuration::from_secs(60);

/// How long a voice waits for a signature that another one has begun.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many requests to one authority may wait.
const MOST_WAITING: u32 = 1000;

/// What the API says about a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RequestDocument {
    /// Its id.
    pub id: String,
    /// Who shall sign.
    pub authority: String,
    /// SHA-256 of the payload, hex.
    pub payload_sha256: String,
    /// Who agrees, in the order in which they did.
    pub have: Vec<String>,
    /// How many must.
    pub need: u32,
    /// `waiting`, `signed`, `refused` or `expired`.
    pub state: &'static str,
    /// The signed file, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed: Option<String>,
    /// The signed file in base64, if it is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_base64: Option<String>,
    /// The tag that the signature is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// What shall be signed, as text: for who may agree to it only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// What shall be signed in base64, if it is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload_base64: Option<String>,
    /// When it ends without a result: RFC 3339.
    pub expires: String,
}

/// Asks in the name of `caller`, who may sign for `authority`.
///
/// # Errors
/// As [`authorities::sign`].
pub(crate) async fn ask(
    ctx: &Context,
    caller: &Caller,
    authority: &Authority,
    payload: &Payload,
    for_tag: Option<ForTag<'_>>,
) -> Result<Outcome, Error> {
    let now = ctx.now();
    let id = base32(&random::bytes::<16>()?);
    let new = NewTagRequest {
        id: &id,
        authority: authority.name.as_str(),
        tag: for_tag.map_or("", |tag| tag.name.as_str()),
        seen: for_tag.map_or(0, |tag| tag.seen),
        over_others: for_tag.is_some_and(|tag| tag.over_others == OverOthers::NewVersion),
        payload: payload.as_bytes(),
        payload_sha256: countersign_model::digest::sha256(payload.as_bytes()),
        need: authority.threshold,
        expires: now.checked_add(LIFE).unwrap_or(now),
        principal: caller.identity.principal.as_str(),
        most: MOST_WAITING,
    };
    let request = match ctx.store.ask_tag_request(&new, now).await {
        Err(StoreError::Conflict { .. }) => {
            let why = format!("{MOST_WAITING} requests to {} wait already", authority.name);
            return Err(crate::Error::Conflict(why).into());
        }
        other => other?,
    };
    let (request, made) = settle(ctx, caller, request).await?;
    match (made, request.state) {
        (Some(signed), _) => Ok(Outcome::Signed(signed)),
        (None, TagRequestState::Signed) => Ok(Outcome::Signed(signed_elsewhere(ctx, authority, &request)?)),
        _ => Ok(Outcome::Waiting(Box::new(document(ctx, &request, Shows::Payload)))),
    }
}

/// A request, for anybody who knows its id. Who may agree to it is shown the payload too.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get(ctx: &Context, caller: Option<&Caller>, id: &str) -> Result<RequestDocument, Error> {
    let request = find(ctx, id).await?;
    let authority = authority_of(ctx, &request)?;
    let may_agree = caller.is_some_and(|caller| authorities::may_sign(ctx, caller, &authority).is_ok());
    let shows = if may_agree { Shows::Payload } else { Shows::Digest };
    Ok(document(ctx, &request, shows))
}

/// Says yes or no to a request. With the last yes it is signed. A second voice changes nothing.
///
/// - `payload_sha256`: what the principal believes to decide on.
///
/// # Errors
/// [`Error::NotFound`]; who may not sign for the authority; [`Error::PreconditionFailed`] if the payload is
/// another one; what signing refuses.
pub async fn voice(
    ctx: &Context,
    caller: &Caller,
    id: &str,
    payload_sha256: &[u8; 32],
    voice: Voice,
) -> Result<RequestDocument, Error> {
    let request = find(ctx, id).await?;
    let authority = authority_of(ctx, &request)?;
    authorities::may_sign(ctx, caller, &authority)?;
    if request.payload_sha256 != *payload_sha256 {
        let why = format!("the request is about another payload: {}", hex::encode(request.payload_sha256));
        return Err(Error::PreconditionFailed(why));
    }
    let principal = caller.identity.principal.as_str();
    let mut request = ctx.store.voice_tag_request(id, principal, voice, ctx.now()).await?;
    if voice == Voice::Approve {
        (request, _) = settle(ctx, caller, request).await?;
    }
    Ok(document(ctx, &request, Shows::Payload))
}

/// Removes requests that ended long ago.
pub(crate) async fn expire(ctx: &Context) {
    let Ok(before) = ctx.now().checked_sub(KEPT) else { return };
    loop {
        match ctx.store.remove_tag_requests(before).await {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => return tracing::warn!(%error, "old requests for signatures were not removed"),
        }
    }
}

async fn find(ctx: &Context, id: &str) -> Result<TagRequestRecord, Error> {
    let unknown = || Error::NotFound("such request".into());
    if id.is_empty() || id.len() > 64 || !id.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(unknown());
    }
    ctx.store.tag_request(id, ctx.now()).await?.ok_or_else(unknown)
}

fn authority_of(ctx: &Context, request: &TagRequestRecord) -> Result<std::sync::Arc<Authority>, Error> {
    let name: AuthorityName = request.authority.parse()?;
    authorities::known(ctx, &name)
}

/// Signs the request if it has the voices, unless somebody else does, for whom it waits a while. Gives the
/// request as it is then, and the signature if it was made here.
async fn settle(
    ctx: &Context,
    caller: &Caller,
    request: TagRequestRecord,
) -> Result<(TagRequestRecord, Option<Signed>), Error> {
    if request.state == TagRequestState::Signed {
        add_to_tag(ctx, &request).await;
        return Ok((request, None));
    }
    let authority = authority_of(ctx, &request)?;
    let voices = counted(ctx, &authority, &request);
    if request.state != TagRequestState::Waiting || voices.len() < request.need as usize {
        return Ok((request, None));
    }
    let begun = tokio::time::Instant::now();
    loop {
        let now = ctx.now();
        let until = time::from_unix_millis(now.checked_add(CLAIM).unwrap_or(now).as_millisecond());
        if ctx.store.claim_tag_request(&request.id, now, until).await? {
            let made = make(ctx, caller, &authority, &request, &voices).await;
            if made.is_err() {
                // Whoever tries next need not wait.
                let _ = ctx.store.release_tag_request(&request.id, until, ctx.now()).await;
            }
            let (request, signed) = made?;
            add_to_tag(ctx, &request).await;
            return Ok((request, Some(signed)));
        }
        let present = find(ctx, &request.id).await?;
        if present.state != TagRequestState::Waiting || begun.elapsed() > PATIENCE {
            return Ok((present, None));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Signs, and stores the result.
async fn make(
    ctx: &Context,
    caller: &Caller,
    authority: &Authority,
    request: &TagRequestRecord,
    voices: &[PrincipalName],
) -> Result<(TagRequestRecord, Signed), Error> {
    let payload = Payload::new(request.payload.clone())?;
    let names: Vec<_> = voices.iter().map(PrincipalName::as_str).collect();
    let subject = format!("request {} by {}", request.id, names.join(" "));
    let signed = authorities::sign_approved(ctx, caller, &authority.name, &payload, &subject).await?;
    let file = authorities::file_of(&payload, signed.block.clone());
    let request = ctx.store.complete_tag_request(&request.id, &file).await?;
    Ok((request, signed))
}

/// The principals whose yes counts now.
fn counted(ctx: &Context, authority: &Authority, request: &TagRequestRecord) -> Vec<PrincipalName> {
    let yes = request.voices.iter().filter(|voice| voice.voice == Voice::Approve);
    let names = yes.filter_map(|voice| voice.principal.parse::<PrincipalName>().ok());
    names.filter(|name| still_counts(ctx, authority, name)).collect()
}

/// Whether a principal is there, enabled, on the list, and may sign for the authority by the policy in force.
fn still_counts(ctx: &Context, authority: &Authority, name: &PrincipalName) -> bool {
    let listed = authority.principals.as_ref().is_none_or(|list| list.contains(name));
    let disabled = ctx.cache.principal(name).is_some_and(|principal| principal.disabled);
    let snapshot = ctx.cache.read();
    let Some(roles) = snapshot.roles_of(name) else { return false };
    let policy = std::sync::Arc::clone(&snapshot.policy);
    drop(snapshot);
    let ask = Ask {
        caller: name,
        judged: name,
        roles: &roles,
        narrowing: None,
        surface: Surface::Tags,
        action: Action::AuthoritySign,
        resource: &Resource::authority(authority.name.as_str()),
        format: None,
        scheme: None,
    };
    listed && !disabled && policy.policy.decide(&ask).is_ok()
}

/// Adds the signature to the tag that it is for, once. The tag may be another one by now, or hidden: then the
/// signed text of the request is all there is.
async fn add_to_tag(ctx: &Context, request: &TagRequestRecord) {
    let (Ok(name), Some(signed)) = (request.tag.parse::<TagName>(), &request.signed) else { return };
    let over_others = if request.over_others { OverOthers::NewVersion } else { OverOthers::Refuse };
    let tag = ForTag { name: &name, seen: request.seen, over_others };
    // Who asked might have signed for these too.
    let asked: Option<PrincipalName> = request.voices.first().and_then(|voice| voice.principal.parse().ok());
    let holds = |other: &AuthorityName| {
        let known = authorities::find(ctx, other).zip(asked.as_ref());
        known.is_some_and(|(known, asked)| still_counts(ctx, &known, asked))
    };
    match write::add_approved(ctx, tag, signed.clone(), &holds).await {
        Ok(true) => {}
        Ok(false) | Err(Error::Exists(_)) => {
            tracing::info!(tag = %name, request = request.id, "the tag has another content by now");
        }
        Err(error) => {
            tracing::warn!(%error, tag = %name, request = request.id, "a signature was not added to its tag");
        }
    }
}

/// The signature in a request that somebody else has completed.
fn signed_elsewhere(
    ctx: &Context,
    authority: &Authority,
    request: &TagRequestRecord,
) -> Result<Signed, Error> {
    let damaged = || Error::Core(crate::Error::Internal("a stored request has no signature".into()));
    let bytes = request.signed.as_deref().ok_or_else(damaged)?;
    let block = Tag::parse(bytes)?.block(&authority.name).cloned().ok_or_else(damaged)?;
    let file = TagFile::parse(bytes)?;
    let now = ctx.now();
    let judgement = authority::judge(&file, authority.to_verify(), Some(now), now, WeakKeys::Refuse);
    let key = judgement.key.ok_or_else(damaged)?;
    Ok(Signed { block, key, at: now, log: None })
}

/// What a document shows of the payload.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shows {
    Payload,
    Digest,
}

fn document(ctx: &Context, request: &TagRequestRecord, shows: Shows) -> RequestDocument {
    let (signed, signed_base64) = text_or_base64(request.signed.as_deref());
    // That of a request that came to nothing is forgotten.
    let payload = Some(request.payload.as_slice()).filter(|p| shows == Shows::Payload && !p.is_empty());
    let (payload, payload_base64) = text_or_base64(payload);
    RequestDocument {
        id: request.id.clone(),
        authority: request.authority.clone(),
        payload_sha256: hex::encode(request.payload_sha256),
        have: have(ctx, request),
        need: request.need,
        state: request.state.as_str(),
        signed,
        signed_base64,
        tag: Some(request.tag.clone()).filter(|tag| !tag.is_empty()),
        payload,
        payload_base64,
        expires: time::seconds(request.expires),
    }
}

/// Those whose voices count, while it waits; afterwards those who had one.
fn have(ctx: &Context, request: &TagRequestRecord) -> Vec<String> {
    match authority_of(ctx, request) {
        Ok(authority) if request.state == TagRequestState::Waiting => {
            counted(ctx, &authority, request).iter().map(ToString::to_string).collect()
        }
        _ => {
            let yes = request.voices.iter().filter(|voice| voice.voice == Voice::Approve);
            yes.map(|voice| voice.principal.clone()).collect()
        }
    }
}

fn text_or_base64(bytes: Option<&[u8]>) -> (Option<String>, Option<String>) {
    use base64::Engine as _;
    match bytes.map(std::str::from_utf8) {
        None => (None, None),
        Some(Ok(text)) => (Some(text.to_owned()), None),
        Some(Err(_)) => {
            let base64 = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
            (None, bytes.map(base64))
        }
    }
}
