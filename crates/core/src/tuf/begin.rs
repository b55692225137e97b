//! What the first start makes.

use countersign_model::{Format, KeyName, KeyType, Surface};

use super::online::FIRST;
use super::who;
use crate::background;
use crate::context::Context;
use crate::error::Error;
use crate::keys::{self, NewKey};

/// Makes the key `tuf/online`, so that there is an online key for whoever prepares a first root. One that is retired or
/// revoked is left as it is.
///
/// # Errors
/// When log, key host or database fail, and if the policy was changed so that the surface may make no keys.
pub(crate) async fn make_missing(ctx: &Context) -> Result<(), Error> {
    let name = KeyName::owned(Surface::Tuf, FIRST)?;
    if !ctx.tuf.settings.enabled || ctx.cache.key(&name).is_some() {
        return Ok(());
    }
    let new = NewKey {
        name: name.clone(),
        key_type: KeyType::Ed25519,
        exportable: false,
        formats: Some(vec![Format::Tuf]),
    };
    match keys::create(ctx, &who::by_surface(ctx), new).await {
        Ok(_) => tracing::info!(key = %name, "a key for TUF metadata was made"),
        // Another node was first.
        Err(Error::NameTaken { .. }) => background::try_refresh(ctx).await?,
        Err(error) => return Err(error),
    }
    Ok(())
}
