//! Writing tags.
//!
//! A write is decided on what the tag is, and made only if it is still that: else it is decided again, on what
//! the tag has become. What was signed meanwhile is kept for the next try, so that nothing is signed twice.

mod decide;
mod hide;

use countersign_model::Action;
use countersign_model::digest::sha256;
use countersign_model::entry;
use countersign_model::policy::Permit;
use countersign_records::tag::{AuthorityName, Payload, Tag};
use countersign_store::{ExpectedTag, TagRecord, TagSignature, TagWrite, WrittenTag};

use super::artifact::{NewHead, digest_of};
use super::authorities::{self, ForTag, Outcome, Signed, cut};
use super::file::{self, Op};
use super::name::TagName;
use super::read::{TagDocument, visible};
use super::requests::RequestDocument;
use super::sign::check_size;
use super::validate::{Who, validate};
use super::{Error, recorded};
use crate::LogRef;
use crate::caller::Caller;
use crate::context::Context;
use crate::{pipeline, publication};

use decide::{believe, expectation, in_whose_names, new_version};

pub use decide::{Belief, OverOthers};
pub use hide::{hide, restore};

/// What a tag shall say.
#[derive(Clone, Debug)]
pub enum Content {
    /// This text.
    Text(Payload),
    /// A head that names an artifact.
    Artifact(NewHead),
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
    let mut pen = Pen { ctx, caller, name, authorities: &authorities, over_others, made: None };
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
    let over_others = OverOthers::Refuse;
    let mut pen = Pen { ctx, caller, name, authorities: &authorities, over_others, made: None };
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

/// Takes in a file that is signed already: those of its signatures that verify now. Without credentials it can
/// be the first version of a tag, or add to the present one: files are public, so that an old one says nothing
/// about what whoever has it may do.
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
    let person = match writer {
        Writer::Caller(caller) => Some((caller, may_write(ctx, caller, name)?)),
        Writer::SelfSigned => None,
    };
    let tag = Tag::parse(&text)?;
    let (payload, signatures) = verified(ctx, &tag, text).await?;
    let signed_by =
        |other: &AuthorityName| signatures.iter().any(|signature| signature.authority == other.as_str());
    let mut log = None;
    for _ in 0..TRIES {
        let present = present(ctx, name).await?;
        believe(name, belief, present.as_ref())?;
        let expected = match writer {
            Writer::Caller(_) => expectation(present.as_ref(), payload, over_others, &signed_by)?,
            Writer::SelfSigned => expectation(present.as_ref(), payload, OverOthers::Refuse, &|_| false)?,
        };
        if let Some((caller, permit)) = &person
            && log.is_none()
            && changes(present.as_ref(), expected, &signatures)
        {
            let what = format!("merge {}", hex::encode(sha256(payload.as_bytes())));
            log = Some(record(ctx, caller, permit, name, &what).await?);
        }
        if let Some(mut written) = store(ctx, name, payload, &signatures, expected).await? {
            written.logs = log.into_iter().collect();
            return Ok(written);
        }
    }
    Err(busy(name))
}

/// Whether a write of these signatures would change anything.
fn changes(present: Option<&TagRecord>, expected: ExpectedTag, signatures: &[TagSignature]) -> bool {
    let has = |tag: &TagRecord, new: &TagSignature| {
        tag.signatures.iter().any(|old| old.authority == new.authority && old.block == new.block)
    };
    match (present, expected) {
        (Some(tag), ExpectedTag::Same(_)) => signatures.iter().any(|new| !has(tag, new)),
        _ => true,
    }
}

/// Writes to the signing log who is about to change a tag without a signature that is made here.
async fn record(
    ctx: &Context,
    caller: &Caller,
    permit: &Permit,
    name: &TagName,
    what: &str,
) -> Result<LogRef, Error> {
    let subject = cut(&format!("{name} {what}"));
    Ok(pipeline::record(ctx, caller, permit, entry::Op::TagWrite, None, Some(subject)).await?)
}

/// Adds signatures that enough principals have agreed to: to the tag they are for, if it still has the version
/// that was seen, or the same content by now. Doing it again changes nothing. Whether the tag has them.
///
/// - `holds`: who else might have been signed for by whoever asked.
///
/// # Errors
/// [`Error::Hidden`], [`Error::AmbiguousName`]; [`Error::Exists`] for other content than that version's if
/// others have signed that since.
pub(crate) async fn add_approved(
    ctx: &Context,
    tag: ForTag<'_>,
    text: Vec<u8>,
    holds: &(dyn Fn(&AuthorityName) -> bool + Send + Sync),
) -> Result<bool, Error> {
    let file = Tag::parse(&text)?;
    let (payload, signatures) = verified(ctx, &file, text).await?;
    let signed_by = |other: &str| signatures.iter().any(|signature| signature.authority == other);
    let holds = |other: &AuthorityName| signed_by(other.as_str()) || holds(other);
    for _ in 0..TRIES {
        let present = present(ctx, tag.name).await?;
        let expected = match &present {
            None if tag.seen == 0 => ExpectedTag::Absent,
            Some(present) if present.payload == payload.as_bytes() => {
                // An older signature takes no newer one's place.
                let there = |name: &str| present.signatures.iter().any(|old| old.authority == name);
                if signatures.iter().all(|new| there(&new.authority)) {
                    return Ok(true);
                }
                ExpectedTag::Same(present.version)
            }
            Some(present) if present.version == tag.seen => {
                expectation(Some(present), payload, tag.over_others, &holds)?
            }
            _ => return Ok(false),
        };
        if store(ctx, tag.name, payload, &signatures, expected).await?.is_some() {
            return Ok(true);
        }
    }
    Err(busy(tag.name))
}

fn may_write(ctx: &Context, caller: &Caller, name: &TagName) -> Result<Permit, Error> {
    Ok(pipeline::authorise_person(ctx, caller, Action::TagWrite, &name.resource())?)
}

/// The current version, unless there is none.
async fn present(ctx: &Context, name: &TagName) -> Result<Option<TagRecord>, Error> {
    ctx.store.tag(name.as_str(), None).await?.map(visible).transpose()
}

/// Signs, and remembers what it signed.
struct Pen<'a> {
    ctx: &'a Context,
    caller: &'a Caller,
    name: &'a TagName,
    authorities: &'a [AuthorityName],
    over_others: OverOthers,
    made: Option<(Payload, Vec<Signed>)>,
}

impl Pen<'_> {
    /// `None` if the tag has become another one.
    async fn write(
        &mut self,
        payload: &Payload,
        expected: ExpectedTag,
    ) -> Result<Option<WriteOutcome>, Error> {
        let Self { ctx, caller, name, authorities, over_others, .. } = *self;
        let seen = match expected {
            ExpectedTag::Absent => 0,
            ExpectedTag::Same(version) | ExpectedTag::Other(version) => version,
        };
        let for_tag = ForTag { name, seen, over_others };
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
                    match authorities::sign(ctx, caller, authority, payload, Some(for_tag)).await? {
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

fn busy(name: &TagName) -> Error {
    Error::NewVersion(format!("{name} is being changed all the time"))
}
