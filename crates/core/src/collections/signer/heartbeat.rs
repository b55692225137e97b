//! Whether the keys sign: what a heartbeat asks.

use countersign_model::Format;
use countersign_records::collections::content_signature::{Mode, Profile, Writer};

use super::keys;
use crate::collections::autograph;
use crate::context::Context;
use crate::error::Error;
use crate::pipeline::{self, Order};

/// Makes a signature with every key that something is signed with, over nothing, and keeps none of them.
///
/// # Errors
/// Why one cannot be made.
pub async fn heartbeat(ctx: &Context) -> Result<(), Error> {
    let caller = keys::by_surface(ctx);
    let (to_sign, pending) = Writer::new(Profile::Modern, Mode::P384).finish(0);
    let mut orders = Vec::new();
    for name in keys::wanted(&ctx.collections.settings.resources) {
        let scheme = Some(pending.scheme());
        let admitted = pipeline::admit(ctx, &caller, &name, scheme, |_| Format::ContentSignature)?;
        let subject = Some("heartbeat".to_owned());
        orders.push(Order { admitted, to_sign: to_sign.clone(), input: None, subject });
    }
    if !orders.is_empty() {
        let signed = pipeline::sign_many(ctx, &caller, orders).await?;
        signed.into_iter().try_for_each(|signed| signed.map(drop))?;
    }
    elsewhere(ctx).await
}

/// The same by every Autograph.
async fn elsewhere(ctx: &Context) -> Result<(), Error> {
    for (autograph, profile) in autograph::services(&ctx.collections.settings) {
        let probed = autograph::probe(ctx, autograph, profile).await;
        probed.map_err(|error| Error::Internal(format!("the Autograph at `{}`: {error}", autograph.url)))?;
    }
    Ok(())
}
