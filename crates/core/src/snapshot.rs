//! What the database says about keys, principals, tokens, policy and authorities, in memory.
//!
//! Every request reads from here, so that signing touches no database. What is written on this node is
//! put in at once, under [`Context::writing`](crate::Context), and what other nodes write comes by a
//! reload of everything when the database's generation has moved.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock, RwLock, RwLockReadGuard, RwLockWriteGuard};

use countersign_model::policy::{Narrowing, Policy, Rule};
use countersign_model::{Format, KeyId, KeyName, KeyType, Name, PrincipalName, PublicKey, Resource};
use countersign_records::tag::AuthorityName;
use countersign_store::{
    KeyRecord, KeyState as StoredState, PolicyRecord, PrincipalRecord, Store, TokenKind, TokenRecord,
};
use jiff::Timestamp;

use crate::caller::{Identity, TokenRef};
use crate::error::Error;
use crate::tags::authorities::Authority;

/// A key as the front knows it: the public half, and the private half sealed.
pub(crate) struct Key {
    pub name: KeyName,
    pub id: KeyId,
    pub key_type: KeyType,
    pub resource: Resource,
    pub blob: Arc<[u8]>,
    pub spki: Vec<u8>,
    pub state: KeyState,
    pub exportable: bool,
    pub formats: Option<Vec<Format>>,
    pub backend: String,
    pub created: Timestamp,
    /// Held for reading while the key signs, and for writing while it is retired or revoked, so that the
    /// log of this node has no signature after the entry that ends the signing.
    pub signing: tokio::sync::RwLock<StoredState>,
    public: OnceLock<Option<PublicKey>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyState {
    Active,
    Retired,
    Revoked { at: Timestamp, reason: String },
}

/// A principal's record.
pub(crate) struct Principal {
    pub name: PrincipalName,
    pub roles: Vec<Name>,
    pub created: Timestamp,
    pub disabled: bool,
}

/// A token or a Hawk pair that is not revoked.
pub(crate) struct TokenEntry {
    pub identity: Arc<Identity>,
    pub secret: TokenSecret,
    pub expires: Option<Timestamp>,
    /// Unix milliseconds of the last use, and of the last use that the database knows.
    used: AtomicI64,
    stored: AtomicI64,
}

/// What tells whether somebody has the secret of a credential.
pub(crate) enum TokenSecret {
    /// SHA-256 of a token's.
    Hash([u8; 32]),
    /// A Hawk pair's, sealed: the key host can check a MAC with it.
    Hawk(Vec<u8>),
}

/// The policy in force.
pub(crate) struct CurrentPolicy {
    pub version: i64,
    pub policy: Policy,
}

/// All of it.
pub(crate) struct Snapshot {
    pub keys: BTreeMap<KeyName, Arc<Key>>,
    pub principals: BTreeMap<PrincipalName, Arc<Principal>>,
    pub tokens: HashMap<String, Arc<TokenEntry>>,
    pub policy: Arc<CurrentPolicy>,
    pub authorities: BTreeMap<AuthorityName, Arc<Authority>>,
}

/// The snapshot behind its lock. Nothing waits while it is held.
pub(crate) struct Cache(RwLock<Snapshot>);

impl Cache {
    pub(crate) fn new(snapshot: Snapshot) -> Self {
        Self(RwLock::new(snapshot))
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Snapshot> {
        // Every change is one insertion, so a panic of another thread leaves nothing half done.
        self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Snapshot> {
        self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn policy(&self) -> Arc<CurrentPolicy> {
        Arc::clone(&self.read().policy)
    }

    pub(crate) fn key(&self, name: &KeyName) -> Option<Arc<Key>> {
        self.read().keys.get(name).cloned()
    }

    pub(crate) fn principal(&self, name: &PrincipalName) -> Option<Arc<Principal>> {
        self.read().principals.get(name).cloned()
    }
}

impl Snapshot {
    /// Reads everything. Entries that did not change are taken over from `old`.
    pub(crate) async fn load(store: &Store, now: Timestamp, old: Option<&Cache>) -> Result<Self, Error> {
        let policy = match store.current_policy().await? {
            Some(record) => CurrentPolicy::from_record(&record)?,
            None => CurrentPolicy { version: 0, policy: Policy::builtin() },
        };
        let principal_records = store.all_principals().await?;
        let token_records = store.live_tokens(now).await?;
        let key_records = store.all_keys().await?;
        let authority_records = store.all_authorities().await?;

        let mut snapshot = Self {
            keys: BTreeMap::new(),
            principals: BTreeMap::new(),
            tokens: HashMap::with_capacity(token_records.len()),
            policy: Arc::new(policy),
            authorities: BTreeMap::new(),
        };
        for record in principal_records {
            let principal = Principal::from_record(&record)?;
            snapshot.principals.insert(principal.name.clone(), Arc::new(principal));
        }
        for record in authority_records {
            let authority = Authority::from_record(record)?;
            snapshot.authorities.insert(authority.name.clone(), Arc::new(authority));
        }
        let old = old.map(Cache::read);
        for record in key_records {
            let key = match old.as_ref().and_then(|old| old.same_key(&record)) {
                Some(key) => key,
                None => Arc::new(Key::from_record(record)?),
            };
            snapshot.keys.insert(key.name.clone(), key);
        }
        for record in token_records {
            let entry = match old.as_ref().and_then(|old| old.tokens.get(&record.id)) {
                Some(entry) => Some(Arc::clone(entry)),
                None => snapshot.token_entry(&record)?,
            };
            if let Some(entry) = entry {
                snapshot.tokens.insert(record.id, entry);
            }
        }
        Ok(snapshot)
    }

    /// Whether a credential is in force: not expired, and its principal not disabled.
    pub(crate) fn counts(&self, entry: &TokenEntry, now: Timestamp) -> bool {
        let principal = self.principals.get(&entry.identity.principal);
        principal.is_some_and(|principal| !principal.disabled)
            && entry.expires.is_none_or(|expires| now < expires)
    }

    fn same_key(&self, record: &KeyRecord) -> Option<Arc<Key>> {
        let key = self.keys.get(&record.name.parse().ok()?)?;
        let same = key.id.as_str() == record.id && key.state.stored() == record.state;
        (same && *key.blob == *record.blob).then(|| Arc::clone(key))
    }

    /// `None` for a credential whose principal is not there.
    pub(crate) fn token_entry(&self, record: &TokenRecord) -> Result<Option<Arc<TokenEntry>>, Error> {
        let what = || format!("token `{}`", record.id);
        let Some(principal) = self.principals.get(&parsed(&record.principal, what)?) else {
            return Ok(None);
        };
        let secret = match (record.kind, &record.sealed) {
            (TokenKind::Token, _) => record.hash.as_slice().try_into().map(TokenSecret::Hash).ok(),
            (TokenKind::Hawk, sealed) => sealed.clone().map(TokenSecret::Hawk),
        };
        let secret = secret.ok_or_else(|| damaged(what()))?;
        let narrowing = (record.actions.is_some() || record.resources.is_some())
            .then(|| Narrowing { actions: record.actions.clone(), resources: record.resources.clone() });
        let used = record.last_used.map_or(0, Timestamp::as_millisecond);
        let token = TokenRef { id: record.id.clone(), expires: record.expires };
        Ok(Some(Arc::new(TokenEntry {
            identity: Arc::new(Identity {
                principal: principal.name.clone(),
                roles: principal.roles.clone(),
                narrowing,
                token: Some(token),
            }),
            secret,
            expires: record.expires,
            used: AtomicI64::new(used),
            stored: AtomicI64::new(used),
        })))
    }

    /// The roles of `principal`: those of its record, or those that its realm implies.
    pub(crate) fn roles_of(&self, principal: &PrincipalName) -> Option<Vec<Name>> {
        match principal.as_str().contains(':') {
            false => self.principals.get(principal).map(|p| p.roles.clone()),
            true => Some(implied_roles(principal)),
        }
    }
}

/// The roles of a principal that a surface vouches for: whom balenaCloud lets in may use the appliance.
pub(crate) fn implied_roles(principal: &PrincipalName) -> Vec<Name> {
    let appliance = principal.as_str().starts_with("balena:");
    if appliance { vec!["appliance".parse().expect("a constant name")] } else { Vec::new() }
}

impl TokenEntry {
    pub(crate) fn touch(&self, now: Timestamp) {
        self.used.store(now.as_millisecond(), Ordering::Relaxed);
    }

    /// The time of a use that the database does not know yet. Half a minute is close enough: a busy token
    /// is not written again and again.
    pub(crate) fn unstored_use(&self) -> Option<Timestamp> {
        const CLOSE_ENOUGH: i64 = 30_000;
        let used = self.used.load(Ordering::Relaxed);
        let stored = self.stored.load(Ordering::Relaxed);
        (used - stored > CLOSE_ENOUGH).then(|| countersign_model::time::from_unix_millis(used))
    }

    pub(crate) fn use_is_stored(&self, time: Timestamp) {
        self.stored.store(time.as_millisecond(), Ordering::Relaxed);
    }
}

impl CurrentPolicy {
    pub(crate) fn from_record(record: &PolicyRecord) -> Result<Self, Error> {
        let what = || format!("policy version {}", record.version);
        let rules: Vec<Rule> = serde_json::from_str(&record.rules).map_err(|_| damaged(what()))?;
        let policy = Policy::new(rules).map_err(|_| damaged(what()))?;
        if policy.hash() != record.hash {
            return Err(damaged(what()));
        }
        Ok(Self { version: record.version, policy })
    }
}

impl Principal {
    pub(crate) fn from_record(record: &PrincipalRecord) -> Result<Self, Error> {
        let what = || format!("principal `{}`", record.name);
        let roles: Result<Vec<Name>, Error> = record.roles.iter().map(|role| parsed(role, what)).collect();
        Ok(Self {
            name: parsed(&record.name, what)?,
            roles: roles?,
            created: record.created,
            disabled: record.disabled,
        })
    }
}

impl KeyState {
    pub(crate) fn stored(&self) -> StoredState {
        match self {
            Self::Active => StoredState::Active,
            Self::Retired => StoredState::Retired,
            Self::Revoked { .. } => StoredState::Revoked,
        }
    }

    /// The word for it, as in the API.
    pub(crate) fn as_str(&self) -> &'static str {
        self.stored().as_str()
    }
}

impl Key {
    pub(crate) fn from_record(record: KeyRecord) -> Result<Self, Error> {
        let what = || format!("key `{}`", record.name);
        let name: KeyName = parsed(&record.name, what)?;
        let formats: Option<Result<Vec<Format>, Error>> =
            record.formats.as_ref().map(|list| list.iter().map(|f| parsed(f, what)).collect());
        let state = match (record.state, record.revoked_at) {
            (StoredState::Active, _) => KeyState::Active,
            (StoredState::Retired, _) => KeyState::Retired,
            (StoredState::Revoked, Some(at)) => {
                KeyState::Revoked { at, reason: record.revoked_reason.clone().unwrap_or_default() }
            }
            (StoredState::Revoked, None) => return Err(damaged(what())),
        };
        Ok(Self {
            id: parsed(&record.id, what)?,
            key_type: parsed(&record.key_type, what)?,
            formats: formats.transpose()?,
            resource: Resource::key(&name),
            signing: tokio::sync::RwLock::new(record.state),
            name,
            blob: record.blob.into(),
            spki: record.spki,
            state,
            exportable: record.exportable,
            backend: record.backend,
            created: record.created,
            public: OnceLock::new(),
        })
    }

    /// Whether a key in this state signs.
    ///
    /// # Errors
    /// [`Error::KeyRetired`], [`Error::KeyRevoked`].
    pub(crate) fn check_signs(&self, state: StoredState) -> Result<(), Error> {
        match state {
            StoredState::Active => Ok(()),
            StoredState::Retired => Err(Error::KeyRetired(self.name.clone())),
            StoredState::Revoked => Err(Error::KeyRevoked(self.name.clone())),
        }
    }

    /// The public half, parsed at its first use.
    pub(crate) fn public(&self) -> Result<&PublicKey, Error> {
        self.public
            .get_or_init(|| PublicKey::from_spki(&self.spki).ok())
            .as_ref()
            .ok_or_else(|| damaged(format!("key `{}`", self.name)))
    }
}

fn parsed<T: std::str::FromStr>(text: &str, what: impl Fn() -> String) -> Result<T, Error> {
    text.parse().map_err(|_| damaged(what()))
}

fn damaged(what: String) -> Error {
    Error::Internal(format!("the database's record of {what} is damaged"))
}
