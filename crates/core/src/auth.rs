//! Who is it: tokens against the hashes of their secrets.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use countersign_model::token::Token;

use crate::caller::Identity;
use crate::context::Context;
use crate::snapshot::TokenSecret;

/// What somebody showed to say who they are.
#[derive(Clone, Copy)]
pub enum Presented<'a> {
    /// A token by itself: `Bearer` or `X-API-Key`.
    Token(&'a str),
    /// A token with the name of its principal: `Basic`. The name must match.
    NamedToken {
        /// The name.
        principal: &'a str,
        /// The token.
        token: &'a str,
    },
    /// Nothing but that they came over the control socket, which only the owner of the data directory can.
    Control,
}

/// The credentials are unknown, wrong, expired or revoked, or their principal is disabled. Which of these
/// is not said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the credentials are not valid")]
pub struct BadCredentials;

/// Finds who `presented` belongs to. From memory; takes as long for an unknown token as for a wrong one.
///
/// # Errors
/// [`BadCredentials`], one answer for all reasons.
pub fn authenticate(ctx: &Context, presented: Presented<'_>) -> Result<Arc<Identity>, BadCredentials> {
    let (name, text) = match presented {
        Presented::Control => return Ok(Arc::clone(&ctx.control)),
        Presented::Token(token) => (None, token),
        Presented::NamedToken { principal, token } => (Some(principal), token),
    };
    // The checksum of the form is not a secret, so refusing by it early tells nothing.
    let token = Token::parse(text).map_err(|_| BadCredentials)?;
    let shown = token.secret_hash();

    let now = ctx.now();
    let snapshot = ctx.cache.read();
    let entry = snapshot.tokens.get(token.id());
    // No secret has this hash, as far as anybody knows: the comparison takes the same time and fails.
    let known = entry.map_or(&NO_SECRET, |entry| match &entry.secret {
        TokenSecret::Hash(hash) => hash,
        TokenSecret::Hawk(_) => &NO_SECRET,
    });
    let same = verify_slices_are_equal(known, &shown).is_ok();
    let entry = entry.filter(|_| same).ok_or(BadCredentials)?;

    let named = name.is_none_or(|name| name == entry.identity.principal.as_str());
    if !(snapshot.counts(entry, now) && named) {
        return Err(BadCredentials);
    }
    entry.touch(now);
    Ok(Arc::clone(&entry.identity))
}

const NO_SECRET: [u8; 32] = [0; 32];
