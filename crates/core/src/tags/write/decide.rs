//! What a write means for the tag that is there.

use countersign_model::PrincipalName;
use countersign_records::tag::{AuthorityName, Payload};
use countersign_store::{ExpectedTag, TagRecord};

use crate::caller::Caller;
use crate::context::Context;
use crate::tags::Error;
use crate::tags::authorities;
use crate::tags::file::signers;
use crate::tags::name::TagName;
use crate::tags::sign::check_signers;

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

/// Checks what a client believes.
pub(super) fn believe(name: &TagName, belief: &Belief, present: Option<&TagRecord>) -> Result<(), Error> {
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
pub(super) fn expectation(
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

/// The authorities that were named, or the only one that the caller may sign for.
pub(super) fn in_whose_names(
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

pub(super) fn new_version(name: &TagName, version: u64) -> Error {
    Error::NewVersion(format!("{name} has a new version, {version}"))
}
