//! Certificate chains of signers.

use countersign_model::KeyName;

use crate::collections::chain;
use crate::context::Context;

/// Where clients fetch the certificate chain of `key`, if this deployment keeps one for it: such a signer is of the
/// type `contentsignaturepki`.
///
/// A signer whose chain is kept elsewhere has its address in the configuration.
pub(super) fn x5u_of(ctx: &Context, key: &KeyName) -> Option<String> {
    chain::x5u_of(ctx, key)
}
