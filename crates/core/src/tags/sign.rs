//! Signing a text that is given back and not kept.

use countersign_records::tag::{AuthorityName, Payload, Tag};

use super::authorities::{self, Outcome, Signed};
use super::requests::RequestDocument;
use super::{Error, MAX_PAYLOAD};
use crate::caller::Caller;
use crate::context::Context;

/// How a text to be signed comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Alone: no line is a header or looks like one.
    Payload,
    /// With signatures below it, well-formed and one for each authority, and nothing else.
    Signed,
}

/// A text with the signatures that were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedText {
    /// The signed file.
    pub file: Vec<u8>,
    /// What was signed now.
    pub signatures: Vec<Signed>,
    /// How many lines the payload has.
    pub lines: usize,
    /// Whose signatures were there before and are kept. They were not verified.
    pub kept: Vec<AuthorityName>,
}

/// What came of asking for signatures.
#[derive(Clone, Debug)]
pub enum SignOutcome {
    /// All are there.
    Signed(Box<SignedText>),
    /// More principals must agree.
    Waiting(Box<RequestDocument>),
}

/// Reads a text to be signed.
///
/// # Errors
/// [`Error::Empty`], [`Error::TooLarge`], [`Error::HeaderInPayload`].
pub fn read(text: Vec<u8>, form: Form) -> Result<Tag, Error> {
    let tag = match form {
        Form::Payload => Tag::new(Payload::new(text)?),
        Form::Signed => Tag::parse(&text)?,
    };
    check_size(tag.payload())?;
    Ok(tag)
}

pub(super) fn check_size(payload: &Payload) -> Result<(), Error> {
    if payload.as_bytes().len() > MAX_PAYLOAD {
        return Err(Error::TooLarge { what: "the payload", limit: MAX_PAYLOAD as u64 });
    }
    Ok(())
}

/// Checks that `caller` may sign in these names, before anything is signed.
///
/// # Errors
/// [`Error::NoAuthority`] without any; [`Error::UnknownAuthority`]; not permitted; [`Error::BadRequest`] for
/// several of which one needs more voices than one.
pub(super) fn check_signers(
    ctx: &Context,
    caller: &Caller,
    authorities: &[AuthorityName],
) -> Result<(), Error> {
    if authorities.is_empty() {
        return Err(Error::NoAuthority);
    }
    let known = authorities.iter().map(|name| authorities::known(ctx, name));
    let known = known.collect::<Result<Vec<_>, _>>()?;
    for authority in &known {
        authorities::may_sign(ctx, caller, authority)?;
    }
    match known.iter().find(|authority| authority.threshold > 1) {
        Some(authority) if known.len() > 1 => {
            let (name, need) = (&authority.name, authority.threshold);
            Err(Error::BadRequest(format!("{name} needs {need} voices: ask for its signature alone")))
        }
        _ => Ok(()),
    }
}

/// Signs `tag` in the names of these authorities. A block that one of them has already is replaced.
///
/// # Errors
/// As `check_signers` and [`authorities::sign`].
pub async fn sign(
    ctx: &Context,
    caller: &Caller,
    mut tag: Tag,
    authorities: &[AuthorityName],
) -> Result<SignOutcome, Error> {
    check_signers(ctx, caller, authorities)?;
    let mut signatures = Vec::with_capacity(authorities.len());
    for name in authorities {
        match authorities::sign(ctx, caller, name, tag.payload(), None).await? {
            Outcome::Signed(signed) => signatures.push(signed),
            Outcome::Waiting(request) => return Ok(SignOutcome::Waiting(request)),
        }
    }
    let kept = tag.blocks().map(|block| block.authority().clone());
    let kept = kept.filter(|name| !authorities.contains(name)).collect();
    for signed in &signatures {
        tag.put(signed.block.clone());
    }
    let (file, lines) = (tag.to_bytes(), tag.payload().line_count());
    Ok(SignOutcome::Signed(Box::new(SignedText { file, signatures, lines, kept })))
}
