//! Signing in the name of an authority.

use std::sync::Arc;

use countersign_model::digest::sha256;
use countersign_model::{
    Action, Digest, Encoding, Format, HashAlg, KeyId, KeyName, PublicKey, RawSignature, Scheme, ToSign,
};
use countersign_records::tag::{self, AuthorityName, Block, Payload, Tag, scheme_for};
use jiff::Timestamp;

use super::change::{KeyUse, cut};
use super::{Authority, Error, known, resource, through_tags};
use crate::LogRef;
use crate::caller::Caller;
use crate::context::Context;
use crate::pipeline::{self, Order};
use crate::tags::requests::{self, RequestDocument};
use crate::tags::{OverOthers, TagName};

/// What came of asking an authority to sign.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The signature is there.
    Signed(Signed),
    /// More principals must agree.
    Waiting(Box<RequestDocument>),
}

/// A signature of an authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// It, as it stands in a tag.
    pub block: Block,
    /// The key that made it.
    pub key: KeyId,
    /// When.
    pub at: Timestamp,
    /// Its entry in the signing log; `None` if another request caused it.
    pub log: Option<LogRef>,
}

/// The tag that a signature is for.
#[derive(Clone, Copy, Debug)]
pub struct ForTag<'a> {
    /// Its name.
    pub name: &'a TagName,
    /// Its current version, which is replaced or signed; 0: there is none.
    pub seen: u64,
    /// Whether another content than that version's makes a new one also where others have signed it.
    pub over_others: OverOthers,
}

/// A signature over bytes as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detached {
    /// RSA as long as the modulus, ECDSA in DER: what `openssl dgst -sha256 -signature` takes.
    pub signature: Vec<u8>,
    /// The key that made it.
    pub key: KeyId,
    /// When.
    pub at: Timestamp,
    /// Its entry in the signing log.
    pub log: LogRef,
}

/// Whether `caller` may sign as this authority, or be one of those who must agree.
///
/// # Errors
/// Not permitted by policy; [`Error::NotAllowed`] for who is not on the authority's list.
pub fn may_sign(ctx: &Context, caller: &Caller, authority: &Authority) -> Result<(), Error> {
    pipeline::authorise_person(ctx, caller, Action::AuthoritySign, &resource(&authority.name))?;
    let principal = &caller.identity.principal;
    if authority.principals.as_ref().is_some_and(|list| !list.contains(principal)) {
        let why = format!("`{principal}` is not one of those who sign for {}", authority.name);
        return Err(Error::NotAllowed(why));
    }
    Ok(())
}

/// Signs `payload` in the name of an authority: at once, or when enough principals agree, where asking is a
/// voice for it.
///
/// - `for_tag`: the tag that the signature is for. When it is made later, it is added to that tag.
///
/// # Errors
/// [`Error::UnknownAuthority`]; those of [`may_sign`]; [`Error::NotAllowed`] for an authority without a key
/// here, [`Error::Revoked`] if that is revoked; what the pipeline refuses.
pub async fn sign(
    ctx: &Context,
    caller: &Caller,
    name: &AuthorityName,
    payload: &Payload,
    for_tag: Option<ForTag<'_>>,
) -> Result<Outcome, Error> {
    let authority = known(ctx, name)?;
    may_sign(ctx, caller, &authority)?;
    if authority.threshold > 1 {
        // Nobody shall be asked to agree to what cannot be signed.
        signer(&authority, KeyUse::Tags)?;
        return requests::ask(ctx, caller, &authority, payload, for_tag).await;
    }
    let subject = for_tag.map(|tag| cut(&format!("tag {}", tag.name)));
    sign_now(ctx, caller, authority, payload, subject).await.map(Outcome::Signed)
}

/// Signs what enough principals have agreed to. Only for [`requests`].
pub(crate) async fn sign_approved(
    ctx: &Context,
    caller: &Caller,
    name: &AuthorityName,
    payload: &Payload,
    subject: &str,
) -> Result<Signed, Error> {
    sign_now(ctx, caller, known(ctx, name)?, payload, Some(cut(subject))).await
}

async fn sign_now(
    ctx: &Context,
    caller: &Caller,
    authority: Arc<Authority>,
    payload: &Payload,
    subject: Option<String>,
) -> Result<Signed, Error> {
    let name = &authority.name;
    match sign_with_current(ctx, caller, &authority, payload, subject.clone()).await {
        // Its key was rotated between the look and the signature: with the new one.
        Err(Error::Core(crate::Error::KeyRetired(_))) => {
            let authority = known(ctx, name)?;
            sign_with_current(ctx, caller, &authority, payload, subject).await
        }
        other => other,
    }
}

async fn sign_with_current(
    ctx: &Context,
    caller: &Caller,
    authority: &Authority,
    payload: &Payload,
    subject: Option<String>,
) -> Result<Signed, Error> {
    let Signer { public, private, scheme } = signer(authority, KeyUse::Tags)?;
    let (to_sign, pending) = tag::prepare(payload, scheme).map_err(internal)?;
    let content = to_sign.clone();
    let input = sha256_of(&to_sign).unwrap_or_else(|| sha256(payload.as_bytes()));
    let caller = through_tags(caller);
    let admitted = pipeline::admit(ctx, &caller, private, Some(scheme), |_| Format::Tag)?;
    let order = Order { admitted, to_sign, input: Some(input), subject };
    let signed = pipeline::sign(ctx, &caller, order).await?;
    let block = tag::finish(pending, authority.name.clone(), &signed.signature).map_err(internal)?;
    verify(public, scheme, &content, block.signature())?;
    Ok(Signed { block, key: public.id(), at: ctx.now(), log: Some(signed.log) })
}

/// Signs bytes as they are, by a key that does nothing else.
///
/// - `digest`: SHA-256 of the bytes.
///
/// # Errors
/// As [`sign`]; [`Error::NotAllowed`] also for an authority without such a key, or one that needs several
/// voices, since nobody could see what they agree to.
pub async fn sign_detached(
    ctx: &Context,
    caller: &Caller,
    name: &AuthorityName,
    digest: [u8; 32],
) -> Result<Detached, Error> {
    let authority = known(ctx, name)?;
    may_sign(ctx, caller, &authority)?;
    if authority.threshold > 1 {
        let why = format!("{name} needs {} voices, and signs tags only", authority.threshold);
        return Err(Error::NotAllowed(why));
    }
    let Signer { public, private, scheme } = signer(&authority, KeyUse::Detached)?;
    let to_sign = ToSign::Digest(Digest::new(HashAlg::Sha256, &digest).map_err(internal)?);
    let content = to_sign.clone();
    let caller = through_tags(caller);
    let admitted = pipeline::admit(ctx, &caller, private, Some(scheme), |_| Format::Raw)?;
    let order = Order { admitted, to_sign, input: Some(digest), subject: None };
    let signed = pipeline::sign(ctx, &caller, order).await?;
    let signature = signed.signature.encode(scheme, Encoding::Der);
    verify(public, scheme, &content, &signature)?;
    Ok(Detached { signature, key: public.id(), at: ctx.now(), log: signed.log })
}

/// A key that signs here, and how.
struct Signer<'a> {
    public: &'a PublicKey,
    private: &'a KeyName,
    scheme: Scheme,
}

fn signer(authority: &Authority, of: KeyUse) -> Result<Signer<'_>, Error> {
    let name = &authority.name;
    if let Some((key, private)) = authority.signer(of) {
        let public = &key.public_key;
        let scheme = scheme_for(public.key_type());
        let scheme = scheme.ok_or_else(|| internal("a key of an authority that cannot sign tags"))?;
        return Ok(Signer { public, private, scheme });
    }
    let detached = of == KeyUse::Detached;
    let keys = || authority.keys.keys.iter().zip(&authority.places);
    let had_one = keys().any(|(key, place)| key.detached == detached && place.private.is_some());
    Err(match of {
        _ if had_one => Error::Revoked {
            name: name.clone(),
            message: format!("the key of {name} is revoked: rotate it to sign again"),
        },
        KeyUse::Tags => Error::NotAllowed(format!("the key of {name} is not kept here: sign where it is")),
        KeyUse::Detached => Error::NotAllowed(format!(
            "{name} has no key for detached signatures: a key for tags signs nothing else"
        )),
    })
}

/// Checks a signature before it is released, by what a stranger would use.
fn verify(public: &PublicKey, scheme: Scheme, content: &ToSign, signature: &[u8]) -> Result<(), Error> {
    let width = public.key_type().ecdsa_width();
    let raw = RawSignature::decode(signature, width, Encoding::Der).map_err(internal)?;
    public.verify(scheme, content, &raw).map_err(internal)
}

/// What is signed is the digest of the payload, so that it need not be taken twice.
fn sha256_of(to_sign: &ToSign) -> Option<[u8; 32]> {
    match to_sign {
        ToSign::Digest(digest) => digest.as_bytes().try_into().ok(),
        ToSign::Message(_) => None,
    }
}

fn internal(error: impl ToString) -> Error {
    Error::Core(crate::Error::Internal(format!("a signature could not be released: {}", error.to_string())))
}

/// The file of a payload with one signature.
pub(crate) fn file_of(payload: &Payload, block: Block) -> Vec<u8> {
    let mut tag = Tag::new(payload.clone());
    tag.put(block);
    tag.to_bytes()
}
