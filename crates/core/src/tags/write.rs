//! Writing tags.
//!
//! A write is decided on what the tag is, and made only if it is still that: else it is decided again, on what
//! the tag has become. What was signed meanwhile is kept for the next try, so that nothing is signed twice.

use countersign_model::digest::sha256;
use countersign_model::{Action, PrincipalName};
use countersign_records::tag::{AuthorityName, Payload, Tag};
use countersign_store::{ExpectedTag, TagRecord, TagSignature, TagWrite, WrittenTag};

use super::artifact::{NewHead, digest_of};
use super::authorities::{self, Outcome, Signed};
use super::file::{self, Op, signers};
use super::name::TagName;
use super::read::{TagDocument, visible};
use super::requests::RequestDocument;
use super::sign::{check_signers, check_size};
use super::validate::{Who, validate};
use super::{Error, recorded};
use crate::LogRef;
use crate::caller::Caller;
use crate::context::Context;
use crate::{pipeline, publication};

/// What a tag shall say.
#[derive(Clone, Debug)]
pub enum Content {
    /// This text.
    Text(Payload),
    /// A head that names an artifact.
    Artifact(NewHead),
}

/// What a client believes the tag to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Belief {
    /// SHA-256 of the current payload is one of these; `None`: whatever it is.
    pub payload_sha256: Option<Vec<[u8; 32]>>,
    /// There is such a tag (`If-Match: *`).
    pub exists: bool,
    /// The current version.
    pub version: Option<u64>,
}

/// Whether other content than the present makes a new version, where others have signed the present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverOthers {
    /// It is refused.
    Refuse,
    /// It does.
    NewVersion,
}

/// Who writes a file that is signed already.
#[derive(Clone, Copy, Debug)]
pub enum Writer<'a> {
    /// Somebody with `tag:write`.
    Caller(&'a Caller),
    /// Whoever has a file that one of our authorities signed.
    SelfSigned,
}

/// A write that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// What was written to, as it is now.
    pub tag: TagDocument,
    /// Whether it is a new version, or the first.
    pub created: bool,
    /// Its entry in the publication log; `None` if there was nothing to change.
    pub index: Option<u64>,
    /// Where the signatures stand in the signing log.
    pub logs: Vec<LogRef>,
}

/// What came of a write that asks for a signature.
#[derive(Clone, Debug)]
pub enum WriteOutcome {
    /// It is made.
    Written(Box<Written>),
    /// More principals must agree; then the signature is added.
    Waiting(Box<RequestDocument>),
}

/// How often a write is decided anew because others write to the same tag.
const TRIES: usize = 32;

/// Makes a tag or a version of it, or adds a signature where the content is the present one.
///
/// - `authorities`: in whose names to sign; none: in that of the one for which the caller may.
///
/// # Errors
/// Not permitted; [`Error::NoAuthority`] where the caller may sign for several, and those of [`authorities::sign`];
/// [`Error::Hidden`]; [`Error::PreconditionFailed`], [`Error::NewVersion`]; [`Error::Exists`] for other content
/// than the present if others have signed that; [`Error::AmbiguousName`].
pub async fn post(
    ctx: &Context,
    caller: &Caller,
    name: &TagName,
    content: &Content,
    authorities: Vec<AuthorityName>,
    over_others: OverOthers,
    belief: &Belief,
) -> Result<WriteOutcome, Error> {
    may_write(ctx, caller, name)?;
    let authorities = in_whose_names(ctx, caller, authorities)?;
    let holds = |other: &AuthorityName| {
        let known = authorities::find(ctx, other);
        known.is_some_and(|known| authorities::may_sign(ctx, caller, &known).is_ok())
    };
    let mut pen = Pen { ctx, caller, name, authorities: &authorities, made: None };
    for _ in 0..TRIES {
        let now = ctx.now();
        let present = present(ctx, name).await?;
        believe(name, belief, present.as_ref())?;
        let payload = match content {
            Content::Text(payload) => payload.clone(),
            Content::Artifact(head) => {
                head.payload(name, present.as_ref().map(|tag| tag.payload.as_slice()), now)?
            }
        };
        check_size(&payload)?;
        let expected = expectation(present.as_ref(), &payload, over_others, &holds)?;
        if let Some(outcome) = pen.write(&payload, expected).await? {
            return Ok(outcome);
        }
    }
    Err(busy(name))
}

/// Signs the present payload.
///
/// # Errors
/// As [`post`]; [`Error::UnknownTag`].
pub async fn countersign(
    ctx: &Context,
    caller: &Caller,
    name: &TagName,
    authorities: Vec<AuthorityName>,
    belief: &Belief,
) -> Result<WriteOutcome, Error> {
    may_write(ctx, caller, name)?;
    let authorities = in_whose_names(ctx, caller, authorities)?;
    let mut pen = Pen { ctx, caller, name, authorities: &authorities, made: None };
    let mut seen = None;
    for _ in 0..TRIES {
        let present = present(ctx, name).await?;
        believe(name, belief, present.as_ref())?;
        let present = present.ok_or_else(|| Error::UnknownTag(name.to_string()))?;
        if *seen.get_or_insert(present.version) != present.version {
            return Err(new_version(name, present.version));
        }
        let payload = Payload::new(present.payload)?;
        if let Some(outcome) = pen.write(&payload, ExpectedTag::Same(present.version)).await? {
            return Ok(outcome);
        }
    }
    Err(busy(name))
}

/// Takes in a file that is signed already: those of its signatures that verify now.
///
/// # Errors
/// [`Error::Empty`], [`Error::HeaderInPayload`], [`Error::TooLarge`]; not permitted; the first signature's own
/// refusal if none verifies; and as [`post`].
pub async fn merge(
    ctx: &Context,
    writer: Writer<'_>,
    name: &TagName,
    text: Vec<u8>,
    over_others: OverOthers,
    belief: &Belief,
) -> Result<Written, Error> {
    if let Writer::Caller(caller) = writer {
        may_write(ctx, caller, name)?;
    }
    let tag = Tag::parse(&text)?;
    let (payload, signatures) = verified(ctx, &tag, text).await?;
    let signed_by =
        |other: &AuthorityName| signatures.iter().any(|signature| signature.authority == other.as_str());
    // Without credentials nobody's signed version gives way.
    let over_others = match writer {
        Writer::Caller(_) => over_others,
        Writer::SelfSigned => OverOthers::Refuse,
    };
    for _ in 0..TRIES {
        let present = present(ctx, name).await?;
        believe(name, belief, present.as_ref())?;
        let expected = expectation(present.as_ref(), payload, over_others, &signed_by)?;
        if let Some(written) = store(ctx, name, payload, &signatures, expected).await? {
            return Ok(written);
        }
    }
    Err(busy(name))
}

/// Adds signatures that enough principals have agreed to: to the tag they are for, if it is still the one that
/// they are for. `None` if it has become another one.
///
/// # Errors
/// [`Error::Hidden`], [`Error::AmbiguousName`].
pub(crate) async fn add_approved(
    ctx: &Context,
    name: &TagName,
    text: Vec<u8>,
) -> Result<Option<Written>, Error> {
    let outcome = merge(ctx, Writer::SelfSigned, name, text, OverOthers::Refuse, &Belief::default()).await;
    match outcome {
        Ok(written) => Ok(Some(written)),
        Err(Error::Exists(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Hides a tag: nothing of it is lost. One that is hidden stays as it is.
///
/// # Errors
/// Not permitted; [`Error::UnknownTag`]; [`Error::PreconditionFailed`], [`Error::NewVersion`].
pub async fn hide(ctx: &Context, caller: &Caller, name: &TagName, belief: &Belief) -> Result<(), Error> {
    may_write(ctx, caller, name)?;
    let now = ctx.now();
    believe(name, belief, ctx.store.tag(name.as_str(), None).await?.as_ref())?;
    let by = caller.identity.principal.as_str();
    let leaf = |tag: &TagRecord| file::leaf(Op::Hide, tag, now);
    let (_, index) = ctx.store.hide_tag(name.as_str(), by, now, &leaf).await.map_err(|e| unknown(name, e))?;
    published(ctx, index);
    Ok(())
}

/// Shows a hidden tag again. One that is not hidden stays as it is.
///
/// # Errors
/// Not permitted; [`Error::UnknownTag`].
pub async fn restore(ctx: &Context, caller: &Caller, name: &TagName) -> Result<Written, Error> {
    may_write(ctx, caller, name)?;
    let now = ctx.now();
    let leaf = |tag: &TagRecord| file::leaf(Op::Restore, tag, now);
    let (tag, index) = ctx.store.restore_tag(name.as_str(), &leaf).await.map_err(|e| unknown(name, e))?;
    published(ctx, index);
    Ok(Written { tag: TagDocument::of(&tag), created: false, index, logs: Vec::new() })
}

fn unknown(name: &TagName, error: countersign_store::StoreError) -> Error {
    match error {
        countersign_store::StoreError::NotFound { .. } => Error::UnknownTag(name.to_string()),
        other => other.into(),
    }
}

fn may_write(ctx: &Context, caller: &Caller, name: &TagName) -> Result<(), Error> {
    pipeline::authorise_person(ctx, caller, Action::TagWrite, &name.resource())?;
    Ok(())
}

/// The authorities that were named, or the only one that the caller may sign for.
fn in_whose_names(
    ctx: &Context,
    caller: &Caller,
    named: Vec<AuthorityName>,
) -> Result<Vec<AuthorityName>, Error> {
    if !named.is_empty() {
        check_signers(ctx, caller, &named)?;
        return Ok(named);
    }
    let all = authorities::all(ctx);
    let mut held = all.iter().filter(|authority| authorities::may_sign(ctx, caller, authority).is_ok());
    match (held.next(), held.next()) {
        (Some(only), None) => Ok(vec![only.name.clone()]),
        (Some(_), Some(_)) => Err(Error::NoAuthority),
        (None, _) => Err(no_authority(&caller.identity.principal)),
    }
}

fn no_authority(principal: &PrincipalName) -> Error {
    Error::NotAllowed(format!("`{principal}` may not sign for any authority"))
}

/// The current version, unless there is none.
async fn present(ctx: &Context, name: &TagName) -> Result<Option<TagRecord>, Error> {
    ctx.store.tag(name.as_str(), None).await?.map(visible).transpose()
}

/// Checks what a client believes.
fn believe(name: &TagName, belief: &Belief, present: Option<&TagRecord>) -> Result<(), Error> {
    let failed = |why: String| Err(Error::PreconditionFailed(why));
    let Some(tag) = present else {
        if belief.exists || belief.payload_sha256.is_some() || belief.version.is_some() {
            return Err(Error::UnknownTag(name.to_string()));
        }
        return Ok(());
    };
    if let Some(wanted) = belief.version.filter(|wanted| *wanted != tag.version) {
        if wanted == 0 || wanted > tag.version {
            return Err(Error::UnknownTag(format!("{name} of version {wanted}")));
        }
        return Err(new_version(name, tag.version));
    }
    if belief.payload_sha256.as_ref().is_some_and(|list| !list.contains(&tag.payload_sha256)) {
        return failed(format!("the payload of {name} is {}", hex::encode(tag.payload_sha256)));
    }
    Ok(())
}

/// What a write of `payload` means for the present tag.
fn expectation(
    present: Option<&TagRecord>,
    payload: &Payload,
    over_others: OverOthers,
    holds: &dyn Fn(&AuthorityName) -> bool,
) -> Result<ExpectedTag, Error> {
    let Some(tag) = present else { return Ok(ExpectedTag::Absent) };
    if tag.payload == payload.as_bytes() {
        return Ok(ExpectedTag::Same(tag.version));
    }
    match signers(tag).find(|name| !holds(name)) {
        Some(other) if over_others == OverOthers::Refuse => Err(Error::Exists(format!(
            "{} has another content, and {other} signed it: a new version must be asked for",
            tag.name
        ))),
        _ => Ok(ExpectedTag::Other(tag.version)),
    }
}

/// Signs, and remembers what it signed.
struct Pen<'a> {
    ctx: &'a Context,
    caller: &'a Caller,
    name: &'a TagName,
    authorities: &'a [AuthorityName],
    made: Option<(Payload, Vec<Signed>)>,
}

impl Pen<'_> {
    /// `None` if the tag has become another one.
    async fn write(
        &mut self,
        payload: &Payload,
        expected: ExpectedTag,
    ) -> Result<Option<WriteOutcome>, Error> {
        let Self { ctx, caller, name, authorities, .. } = *self;
        let names: Vec<&str> = authorities.iter().map(AuthorityName::as_str).collect();
        // Before anything is signed; it is looked at again when it is written.
        if let Some(other) = ctx.store.shadowed_tag(name.as_str(), &names, expected).await? {
            return Err(ambiguous(name, &other));
        }
        let made = match self.made.take() {
            Some((signed, made)) if signed == *payload => made,
            _ => {
                let mut made = Vec::with_capacity(authorities.len());
                for authority in authorities {
                    match authorities::sign(ctx, caller, authority, payload, Some(name)).await? {
                        Outcome::Signed(signed) => made.push(signed),
                        Outcome::Waiting(request) => return Ok(Some(WriteOutcome::Waiting(request))),
                    }
                }
                made
            }
        };
        let signature = |signed: &Signed| TagSignature {
            authority: signed.block.authority().to_string(),
            key_id: signed.key.to_string(),
            block: signed.block.base64_lines().to_vec(),
            recorded: signed.at,
        };
        let signatures: Vec<TagSignature> = made.iter().map(signature).collect();
        let Some(mut written) = store(ctx, name, payload, &signatures, expected).await? else {
            self.made = Some((payload.clone(), made));
            return Ok(None);
        };
        written.logs = made.into_iter().filter_map(|signed| signed.log).collect();
        Ok(Some(WriteOutcome::Written(Box::new(written))))
    }
}

/// The blocks of a file that verify now.
async fn verified<'t>(
    ctx: &Context,
    tag: &'t Tag,
    text: Vec<u8>,
) -> Result<(&'t Payload, Vec<TagSignature>), Error> {
    check_size(tag.payload())?;
    let names: Vec<AuthorityName> = tag.blocks().map(|block| block.authority().clone()).collect();
    if names.is_empty() {
        return Err(Error::NotSigned("anybody".into()));
    }
    let verdict = validate(ctx, text, Who::Named(names)).await?;
    let mut signatures = Vec::new();
    for (name, judgement) in verdict.judgements.iter().filter(|(_, judgement)| judgement.is_valid()) {
        let (Some(block), Some(key)) = (tag.block(name), &judgement.key) else { continue };
        signatures.push(TagSignature {
            authority: name.to_string(),
            key_id: key.to_string(),
            block: block.base64_lines().to_vec(),
            recorded: ctx.now(),
        });
    }
    match verdict.refusal() {
        // A name that nobody registered is no better than a signature that does not verify.
        Some(Error::UnknownAuthority(name)) if signatures.is_empty() => {
            Err(Error::NotAllowed(format!("no signature verifies: there is no authority {name}")))
        }
        Some(refusal) if signatures.is_empty() => Err(refusal),
        _ => Ok((tag.payload(), signatures)),
    }
}

/// `None` if the tag has become another one than expected.
async fn store(
    ctx: &Context,
    name: &TagName,
    payload: &Payload,
    signatures: &[TagSignature],
    expected: ExpectedTag,
) -> Result<Option<Written>, Error> {
    let now = ctx.now();
    let payload_sha256 = sha256(payload.as_bytes());
    let digest = digest_of(payload.as_bytes());
    let created = !matches!(expected, ExpectedTag::Same(_));
    let op = if created { Op::Create } else { Op::Sign };
    let write = TagWrite {
        name: name.as_str(),
        payload: payload.as_bytes(),
        payload_sha256,
        to_sign: recorded::fingerprint(&payload_sha256),
        digest: digest.as_deref(),
        signatures,
        expected,
        now,
    };
    match ctx.store.write_tag(&write, &|tag: &TagRecord| file::leaf(op, tag, now)).await? {
        WrittenTag::Stored { tag, index } => {
            published(ctx, index);
            Ok(Some(Written { tag: TagDocument::of(&tag), created, index, logs: Vec::new() }))
        }
        WrittenTag::Changed => Ok(None),
        WrittenTag::Ambiguous { other } => Err(ambiguous(name, &other)),
    }
}

fn published(ctx: &Context, index: Option<u64>) {
    if index.is_some() {
        publication::wake(ctx);
    }
}

fn ambiguous(name: &TagName, other: &str) -> Error {
    Error::AmbiguousName(format!("{name} would take over the path of a signature of {other}"))
}

fn new_version(name: &TagName, version: u64) -> Error {
    Error::NewVersion(format!("{name} has a new version, {version}"))
}

fn busy(name: &TagName) -> Error {
    Error::NewVersion(format!("{name} is being changed all the time"))
}
