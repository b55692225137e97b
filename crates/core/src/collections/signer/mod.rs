//! The signer: what may be done to collections that are signed, and what follows from it, in the transaction of
//! the request that causes it.
//!
//! ```text
//! resource   what is signed, and where it is published     rules      what is refused
//! workflow   what each status does                         source     the source's status and tracking fields
//! publish    copying what differs                          sign       hash, sign, check, bundle
//! groups     editors and reviewers                         events     who is told
//! keys       made at start                                 refresh    signatures that have become old
//! stamp      the timestamp within a text                   covered    what was signed last
//! remember   the history of what was copied
//! ```

mod covered;
pub mod events;
mod groups;
mod heartbeat;
pub mod keys;
mod publish;
pub mod refresh;
mod remember;
pub mod resource;
mod rules;
mod sign;
mod source;
mod stamp;
mod workflow;

pub use heartbeat::heartbeat;
pub use resource::{BadResource, Matched, Place, Resources};
pub(super) use sign::bundles_of;
pub(crate) use sign::verify;

use serde_json::Value;

use super::call::{Call, Method, Target};
use super::change::{Change, Proposal};
use super::default_bucket;
use super::error::Error;
use super::uri::Kind;
use super::who::Who;
use super::work::Work;
use crate::context::Context;
use workflow::Step;

/// The user id of what is done by nobody: in the history, and for signatures that are made again.
pub const PLUGIN: &str = "plugin:remote-settings";

/// Whether a call may make signatures: then it has a transaction of its own.
pub(crate) fn is_signing(ctx: &Context, call: &Call) -> bool {
    let resources = &ctx.collections.resources;
    match &call.target {
        _ if matches!(call.method, Method::Get | Method::Head) => false,
        // In somebody's own bucket: what its id is says who asks.
        Target::Object(uri) if uri.kind() == Kind::Collection => {
            resources.of(uri).is_some() && (call.method != Method::Patch || may_sign(call))
                || default_bucket::is_meant(&call.target) && !resources.is_empty() && may_sign(call)
        }
        Target::List(list) if list.kind() == Kind::Collection => {
            resources.sources().any(|place| Some(place.bucket.as_str()) == list.bucket_id())
        }
        _ => false,
    }
}

/// Whether a call is judged by what only the database knows, so that what is staged must be there before.
pub(crate) fn queries(ctx: &Context, call: &Call) -> bool {
    let is_bucket = matches!(&call.target, Target::Object(uri) if uri.kind() == Kind::Bucket);
    is_signing(ctx, call) || is_bucket && call.method == Method::Delete
}

/// Whether a change asks for a status that signs.
fn may_sign(call: &Call) -> bool {
    let Ok(Some(body)) = &call.body else { return false };
    match body.value.get("data").and_then(|data| data.get("status")) {
        Some(Value::String(status)) => status.starts_with("to-"),
        Some(_) => false,
        // A patch of another form says it elsewhere.
        None => body.value.is_array(),
    }
}

/// Judges what is about to be done, and may adjust it. Nothing is staged.
///
/// # Errors
/// [`Error::Refused`], [`Error::Forbidden`] for what the rules of signing do not allow.
pub(crate) async fn before(
    work: &mut Work<'_>,
    who: &Who,
    principals: &[String],
    proposal: &mut Proposal<'_>,
) -> Result<(), Error> {
    let ctx = work.ctx;
    let resources = &ctx.collections.resources;
    match proposal.uri.kind() {
        Kind::Record => match (resources.of(proposal.uri), &proposal.new) {
            (Some(matched), Some(draft)) => rules::check_record(&matched, draft.data),
            _ => Ok(()),
        },
        Kind::Collection => {
            if let Some(matched) = resources.of(proposal.uri) {
                rules::check_source(work, who, principals, &matched, proposal).await?;
            }
            if proposal.new.is_none() {
                rules::check_unused(work, resources, proposal.uri).await?;
            }
            Ok(())
        }
        Kind::Bucket if !resources.names_bucket(&proposal.uri.id) => Ok(()),
        Kind::Bucket => match (proposal.old, &proposal.new) {
            (None, _) => rules::check_maker(ctx, who),
            (Some(_), None) => rules::check_unused_bucket(work, resources, proposal).await,
            (Some(_), Some(_)) => Ok(()),
        },
        Kind::Group | Kind::History | Kind::Account => Ok(()),
    }
}

/// Does what follows from what was done; it is staged.
///
/// - `call`: what was asked for.
///
/// # Errors
/// Only such that undo everything: [`Error::Unavailable`] if the signer fails, [`Error::Other`].
pub(crate) async fn after(
    work: &mut Work<'_>,
    who: &Who,
    principals: &[String],
    call: &Call,
    change: &Change,
) -> Result<(), Error> {
    let ctx = work.ctx;
    let Some(matched) = ctx.collections.resources.of(&change.uri) else { return Ok(()) };
    match change.uri.kind() {
        Kind::Record if !matched.is_seed() => {
            source::edited(work, &matched.source, groups::user_of(who)).await
        }
        Kind::Collection => Step { who, principals, call, matched: &matched }.follow(work, change).await,
        _ => Ok(()),
    }
}
