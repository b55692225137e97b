//! Whether the keys sign: what a heartbeat asks.

use std::time::Instant;

use countersign_model::Format;
use countersign_records::collections::content_signature::{Mode, Profile, Writer};

use super::keys;
use crate::collections::autograph;
use crate::collections::settings::{self, Signer};
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
    let mut asked = Vec::new();
    for resource in &ctx.collections.settings.resources {
        let Signer::Autograph(autograph) = &resource.signer else { continue };
        let (profile, content) = match resource.profile {
            settings::Profile::ContentSignature => (Profile::Modern, r#"{"data":[],"last_modified":"0"}"#),
            settings::Profile::Seed => (Profile::Seed, r#"[{"id":"heartbeat"}]"#),
        };
        let one = (&autograph.url, &autograph.id, &autograph.key_ids, &autograph.pins, profile);
        if asked.contains(&one) {
            continue;
        }
        asked.push(one);
        let deadline = Instant::now() + autograph.timeout;
        let signed = autograph::sign(ctx, autograph, profile, &[content.to_owned()], deadline).await;
        signed.map_err(|error| Error::Internal(format!("the Autograph at `{}`: {error}", autograph.url)))?;
    }
    Ok(())
}
