//! Authorities: who vouches for tags, with which keys over time.
//!
//! ```text
//! change     make one, rotate its key, register a key of elsewhere
//! revoke     no longer believe a key
//! sign       sign a tag in its name, at once or when enough principals agree
//! ```
//!
//! An authority's private keys are made here and never leave, or are kept elsewhere by whoever registers the
//! public half. Everything that a verdict needs is in memory: to judge a signature touches no database.

mod change;
mod revoke;
mod sign;

use std::sync::Arc;

use countersign_model::{KeyId, KeyName, PrincipalName, Resource, Surface, pem, time};
use countersign_records::authorities::{AuthorityKey, AuthorityKeys, KeyRevocation};
use countersign_records::tag::AuthorityName;
use countersign_store::{AuthorityKeyRecord, AuthorityRecord};
use jiff::Timestamp;
use serde::Serialize;

use super::Error;
use crate::caller::Caller;
use crate::context::Context;

pub(super) use change::cut;
pub use change::{KeyUse, NewAuthority, Register, Rotate, create, register, rotate};
pub use revoke::{Revoke, revoke};
pub use sign::{Detached, ForTag, Outcome, Signed, may_sign, sign, sign_detached};
pub(crate) use sign::{file_of, sign_approved};

/// An authority as every node has it in memory.
#[derive(Debug)]
pub struct Authority {
    /// Its name.
    pub name: AuthorityName,
    /// How many principals must agree before it signs; 1: whoever asks.
    pub threshold: u32,
    /// The principals whose voices count; `None`: all whom policy lets sign.
    pub principals: Option<Vec<PrincipalName>>,
    /// When it was last changed.
    pub updated: Timestamp,
    keys: AuthorityKeys,
    /// Beside each of the keys, in their order.
    places: Vec<Place>,
}

/// Where a key of an authority is.
#[derive(Clone, Debug)]
struct Place {
    /// Its number among the keys of the authority, from 1.
    number: u32,
    /// The private half, if it is kept here.
    private: Option<KeyName>,
}

/// What is not in the database: turns, and the bundle that was given out last.
#[derive(Default)]
pub(crate) struct State {
    /// Held while an authority is changed on this node: rare, and slow where a key is made.
    pub changes: tokio::sync::Mutex<()>,
    pub bundle: super::bundle::Kept,
    /// How many entries of this node's log are in the index of signatures.
    pub recorded: std::sync::atomic::AtomicU64,
    /// Whether those of the logs before it are.
    pub earlier: std::sync::atomic::AtomicBool,
}

/// The authority of that name.
pub fn find(ctx: &Context, name: &AuthorityName) -> Option<Arc<Authority>> {
    ctx.cache.read().authorities.get(name).cloned()
}

/// The authority of that name.
///
/// # Errors
/// [`Error::UnknownAuthority`].
pub fn known(ctx: &Context, name: &AuthorityName) -> Result<Arc<Authority>, Error> {
    find(ctx, name).ok_or_else(|| Error::UnknownAuthority(name.to_string()))
}

/// All authorities, in the order of their names.
pub fn all(ctx: &Context) -> Vec<Arc<Authority>> {
    ctx.cache.read().authorities.values().cloned().collect()
}

/// The authorities that have the key with this id.
fn holders(ctx: &Context, id: &KeyId) -> Vec<Arc<Authority>> {
    all(ctx).into_iter().filter(|authority| authority.place(id).is_some()).collect()
}

/// What the API says about all authorities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuthorityList {
    /// In the order of their names.
    pub authorities: Vec<AuthoritySummary>,
}

/// An authority in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuthoritySummary {
    /// Its name.
    pub name: String,
    /// How many keys it has or had.
    pub keys: usize,
    /// The key in use; `None`: it is revoked, and no other has taken its place.
    pub current: Option<KeyId>,
    /// How many principals must agree before it signs.
    pub threshold: u32,
}

/// What the API says about one authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuthorityDocument {
    /// Its name.
    pub name: String,
    /// Its keys, the newest last.
    pub keys: Vec<AuthorityKey>,
    /// When it was last changed: RFC 3339.
    pub updated: String,
}

/// The authorities with the keys that they use now. For anybody.
pub fn list(ctx: &Context) -> AuthorityList {
    let summary = |authority: Arc<Authority>| AuthoritySummary {
        name: authority.name.to_string(),
        keys: authority.keys.keys.len(),
        current: authority.current(KeyUse::Tags).map(|key| key.id.clone()),
        threshold: authority.threshold,
    };
    AuthorityList { authorities: all(ctx).into_iter().map(summary).collect() }
}

/// A public key of an authority, `PUBLIC KEY` in PEM. For anybody.
///
/// - `id`: which one; `None`: the one in use for tags.
///
/// # Errors
/// [`Error::UnknownAuthority`], [`Error::NotFound`]; [`Error::Gone`] for a revoked key, and where the one in use
/// was revoked and has no successor.
pub fn public_pem(ctx: &Context, name: &AuthorityName, id: Option<&KeyId>) -> Result<String, Error> {
    let authority = known(ctx, name)?;
    let key = match id {
        None => authority.current(KeyUse::Tags).ok_or_else(|| without_successor(name))?,
        Some(id) => authority.keys.key(id).ok_or_else(|| unknown_key(name, id))?,
    };
    if key.revoked.is_some() {
        return Err(Error::Gone(format!("key {} of {name} is revoked", key.id)));
    }
    Ok(pem::encode("PUBLIC KEY", key.public_key.spki()))
}

fn without_successor(name: &AuthorityName) -> Error {
    Error::Gone(format!("the key of {name} is revoked, and has no successor"))
}

fn unknown_key(name: &AuthorityName, id: &KeyId) -> Error {
    Error::NotFound(format!("key {id} of authority {name}"))
}

impl Authority {
    pub(crate) fn from_record(record: AuthorityRecord) -> Result<Self, crate::Error> {
        let damaged = || {
            crate::Error::Internal(format!("the database's record of authority `{}` is damaged", record.name))
        };
        let name: AuthorityName = record.name.parse().map_err(|_| damaged())?;
        let principals =
            record.principals.as_ref().map(|names| names.iter().map(|name| name.parse()).collect());
        let mut keys = Vec::with_capacity(record.keys.len());
        let mut places = Vec::with_capacity(record.keys.len());
        for key in &record.keys {
            let private = key.signing_key.as_ref().map(|name| name.parse()).transpose();
            places.push(Place { number: key.number, private: private.map_err(|_| damaged())? });
            keys.push(read_key(key).ok_or_else(damaged)?);
        }
        Ok(Self {
            threshold: record.threshold,
            principals: principals.transpose().map_err(|_| damaged())?,
            updated: record.updated,
            keys: AuthorityKeys::new(name.clone(), keys).map_err(|_| damaged())?,
            name,
            places,
        })
    }

    /// Its keys, as whoever judges a signature needs them.
    pub fn to_verify(&self) -> &AuthorityKeys {
        &self.keys
    }

    /// What the API says about it.
    pub fn document(&self) -> AuthorityDocument {
        AuthorityDocument {
            name: self.name.to_string(),
            keys: self.keys.keys.clone(),
            updated: time::seconds(self.updated),
        }
    }

    /// The key in use: the one that signs here; where there is none, the newest one of elsewhere that is not
    /// revoked. So a key that is registered beside one that signs here does not take its place.
    pub fn current(&self, of: KeyUse) -> Option<&AuthorityKey> {
        let elsewhere = || {
            let mut keys = self.newest_first(of);
            keys.find(|(key, place)| place.private.is_none() && key.revoked.is_none()).map(|(key, _)| key)
        };
        self.signer(of).map(|(key, _)| key).or_else(elsewhere)
    }

    /// The key that signs here now, and the name of its private half.
    fn signer(&self, of: KeyUse) -> Option<(&AuthorityKey, &KeyName)> {
        self.last_made(of).filter(|(key, _)| key.revoked.is_none())
    }

    /// The newest key whose private half is here. Those before it gave way to it for good, also where it is
    /// revoked since.
    fn last_made(&self, of: KeyUse) -> Option<(&AuthorityKey, &KeyName)> {
        self.newest_first(of).find_map(|(key, place)| Some((key, place.private.as_ref()?)))
    }

    fn newest_first(&self, of: KeyUse) -> impl Iterator<Item = (&AuthorityKey, &Place)> {
        let keys = self.keys.keys.iter().zip(&self.places).rev();
        keys.filter(move |(key, _)| key.detached == (of == KeyUse::Detached))
    }

    /// Where the key with this id is.
    fn place(&self, id: &KeyId) -> Option<(&AuthorityKey, &Place)> {
        self.keys.keys.iter().zip(&self.places).find(|(key, _)| key.id == *id)
    }

    fn highest_number(&self) -> u32 {
        self.places.iter().map(|place| place.number).max().unwrap_or(0)
    }
}

fn read_key(record: &AuthorityKeyRecord) -> Option<AuthorityKey> {
    let public_key = countersign_model::PublicKey::from_spki(&record.spki).ok()?;
    let mut key = AuthorityKey::new(public_key, record.not_before);
    if key.id.as_str() != record.id {
        return None;
    }
    key.not_after = record.not_after;
    key.detached = record.detached;
    key.revoked = record.revoked.as_ref().map(|revoked| KeyRevocation {
        at: revoked.at,
        from: revoked.from,
        until: revoked.until,
        reason: revoked.reason.clone(),
    });
    Some(key)
}

fn resource(name: &AuthorityName) -> Resource {
    Resource::authority(name.as_str())
}

/// The same caller through the surface that owns the keys of authorities.
fn through_tags(caller: &Caller) -> Caller {
    Caller::new(Arc::clone(&caller.identity), Surface::Tags, caller.request_id.clone())
}
