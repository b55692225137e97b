//! By which key a signature is, and whether that key is one that is believed.
//!
//! An answer names a key, a chain that certifies it, or both. If it has both, they must say the same where the chain
//! can be fetched. What is pinned in the configuration must be there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use countersign_model::PublicKey;
use countersign_pki::chain::Chain;
use countersign_records::collections::content_signature::Bundle;

use super::answer::{self, AnswerError};
use super::ends::{Ends, KeyOf};
use super::{Error, LONGEST_ANSWER};
use crate::collections::outside::{HttpAnswer, HttpError, HttpMethod, HttpRequest, send};
use crate::collections::settings::AutographSettings;
use crate::context::Context;

/// Judges the answers to one request. A chain is fetched once.
pub(super) struct Judge<'a> {
    ctx: &'a Context,
    settings: &'a AutographSettings,
    deadline: Instant,
    chains: BTreeMap<String, Option<String>>,
    /// The signers whose chains were noted.
    noted: BTreeSet<String>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(ctx: &'a Context, settings: &'a AutographSettings, deadline: Instant) -> Self {
        Self { ctx, settings, deadline, chains: BTreeMap::new(), noted: BTreeSet::new() }
    }

    /// The key that a signature is to be verified with.
    ///
    /// - `signer`: the key id that was asked for.
    ///
    /// # Errors
    /// [`Error::Answer`] if there is none, or none that is believed.
    pub(super) async fn key_of(&mut self, signer: &str, bundle: &Bundle) -> Result<PublicKey, Error> {
        let (now, pins) = (self.ctx.now(), &self.settings.pins);
        let said = answer::key_of(signer, bundle)?;
        let is_noted = !self.noted.insert(signer.to_owned());
        let (ctx, settings) = (self.ctx, self.settings);
        let chain = match bundle.x5u() {
            Some(x5u) => self.chain(x5u, said.is_some()).await,
            None => None,
        };
        if !is_noted {
            note(ctx, settings, signer, bundle.x5u().zip(Some(chain)), said.as_ref());
        }
        let certified = match chain {
            Some(pem) => Some(answer::key_below(signer, pem, now, &pins.roots)?),
            None if pins.roots.is_empty() => None,
            None => return Err(AnswerError::NoChain(signer.to_owned()).into()),
        };
        let key = match (said, certified) {
            (Some(said), Some(certified)) if said != certified => {
                return Err(AnswerError::OtherKey(signer.to_owned()).into());
            }
            (Some(key), _) | (None, Some(key)) => key,
            (None, None) => return Err(AnswerError::NoKey(signer.to_owned()).into()),
        };
        if !pins.public_keys.is_empty() && !pins.public_keys.contains(&key) {
            return Err(AnswerError::NotPinned(signer.to_owned()).into());
        }
        Ok(key)
    }

    /// The chain at `x5u`, if it can be fetched: in half of the time that is left where there is a key without it.
    async fn chain(&mut self, x5u: &str, has_key: bool) -> Option<&str> {
        if !self.chains.contains_key(x5u) {
            let left = self.deadline.saturating_duration_since(Instant::now());
            let fetched = fetch(self.ctx, x5u, if has_key { left / 2 } else { left }).await;
            if let Err(error) = &fetched {
                tracing::warn!(%error, x5u, url = %self.settings.url, "the chain that an Autograph names cannot be had");
            }
            self.chains.insert(x5u.to_owned(), fetched.ok());
        }
        self.chains.get(x5u)?.as_deref()
    }
}

/// The text of a chain.
///
/// # Errors
/// [`HttpError`], also for another status than 200.
pub(super) async fn fetch(ctx: &Context, x5u: &str, timeout: Duration) -> Result<String, HttpError> {
    let request = HttpRequest {
        method: HttpMethod::Get,
        url: x5u.to_owned(),
        headers: Vec::new(),
        body: Bytes::new(),
        timeout,
        longest: LONGEST_ANSWER,
    };
    match send(ctx, request).await? {
        HttpAnswer { status: 200, body } => Ok(String::from_utf8_lossy(&body).into_owned()),
        HttpAnswer { status, .. } => Err(HttpError::Broken(format!("status {status}"))),
    }
}

/// Notes when the chain ends that a service named, if it could be had and is that of a key that is believed. Whether
/// it is good now does not matter: one that has ended is what somebody wants to know.
///
/// - `chain`: its address, and its text if it could be had.
/// - `said`: the key that the signature says it is by.
fn note(
    ctx: &Context,
    settings: &AutographSettings,
    signer: &str,
    chain: Option<(&str, Option<&str>)>,
    said: Option<&PublicKey>,
) {
    let (now, seen) = (ctx.now(), &ctx.collections.autographs.seen);
    let of = KeyOf { url: settings.url.clone(), id: signer.to_owned() };
    let Some((x5u, pem)) = chain else { return seen.name(of, None, now) };
    let Some(chain) = pem.and_then(|pem| Chain::from_pem(pem).ok()) else { return };
    let (key, pins) = (chain.leaf().public_key(), &settings.pins);
    let is_own = said.is_none_or(|said| said == key);
    let is_pinned = pins.public_keys.is_empty() || pins.public_keys.contains(key);
    if is_own && is_pinned && (pins.roots.is_empty() || pins.roots.contains(&chain.root_hash())) {
        seen.name(of, Some((x5u.to_owned(), Ends::of(&chain))), now);
    }
}
