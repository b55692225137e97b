//! Which signers a client may use, and which one it means.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use countersign_model::KeyName;

use super::signer::Signer;
use super::{Autograph, Error};
use crate::caller::Caller;
use crate::context::Context;
use crate::snapshot::{CurrentPolicy, Key, KeyState, Snapshot};

/// Who asks, also by the id that refusals name.
pub(super) struct Client<'a> {
    pub(super) caller: &'a Caller,
    /// The Hawk id, as it was sent.
    pub(super) id: &'a str,
}

impl Client<'_> {
    pub(super) fn may_not(&self, key: &str) -> Error {
        Error::NotForYou { id: self.id.to_owned(), key: key.chars().take(255).collect() }
    }

    /// The signer of a request, which the client may have sign something: what else is wrong can be said.
    ///
    /// - `key_id`: none or an empty one for the client's default: the first that is open to it of those in the
    ///   configuration, else the oldest native key. By age, so that a new key never takes another's place.
    ///
    /// # Errors
    /// [`Error::NotForYou`], the same whether there is such a signer or not; [`Error::NoDefault`].
    pub(super) fn signer(
        &self,
        autograph: &Autograph,
        ctx: &Context,
        key_id: Option<&str>,
    ) -> Result<Signer, Error> {
        match key_id.filter(|id| !id.is_empty()) {
            Some(id) => {
                let signer = named(autograph, ctx, id).filter(|signer| signer.is_for(ctx, self.caller));
                signer.ok_or_else(|| self.may_not(id))
            }
            None => {
                let default = self.first_configured(autograph, ctx);
                let default = default.or_else(|| self.oldest_native(autograph, ctx));
                default.ok_or_else(|| Error::NoDefault(self.id.to_owned()))
            }
        }
    }

    /// The signers that the client may use, at most `most`: those of the configuration, then native keys in the order
    /// of their names. Looks at every key.
    pub(super) fn signers(&self, autograph: &Autograph, ctx: &Context, most: usize) -> Vec<Signer> {
        let configured = autograph.settings.signers.iter();
        let configured = configured.filter_map(|settings| Signer::configured(ctx, settings));
        let native = native_keys(autograph, &ctx.cache.read());
        let all = configured.chain(native.into_iter().filter_map(Signer::native));
        all.filter(|signer| signer.is_open_to(ctx, self.caller)).take(most).collect()
    }

    fn first_configured(&self, autograph: &Autograph, ctx: &Context) -> Option<Signer> {
        let configured = autograph.settings.signers.iter();
        let mut configured = configured.filter_map(|settings| Signer::configured(ctx, settings));
        configured.find(|signer| signer.is_open_to(ctx, self.caller))
    }

    fn oldest_native(&self, autograph: &Autograph, ctx: &Context) -> Option<Signer> {
        let open = |signer: &Signer| signer.is_open_to(ctx, self.caller);
        let (state, known) = {
            let snapshot = ctx.cache.read();
            let state = State::of(&snapshot);
            let known = autograph.defaults.get(&state, self.caller);
            (state, known.map(|name| name.and_then(|name| snapshot.keys.get(&name).cloned())))
        };
        match known {
            Some(None) => return None,
            // It may have been retired since, and then the next one comes.
            Some(Some(key)) => {
                if let Some(signer) = Signer::native(key).filter(open) {
                    return Some(signer);
                }
            }
            None => {}
        }
        let mut keys = native_keys(autograph, &ctx.cache.read());
        // As exact as the database has it.
        keys.sort_by_key(|key| key.created.as_millisecond());
        let oldest = keys.into_iter().filter_map(Signer::native).find(open);
        autograph.defaults.put(state, self.caller, oldest.as_ref().map(|signer| signer.key.name.clone()));
        oldest
    }
}

/// The ids of the signers that the client may use, in the order of the alphabet.
///
/// # Errors
/// [`Error::Other`] if they are not asked for by whom they are for.
pub fn keyids(
    autograph: &Autograph,
    ctx: &Context,
    caller: &Caller,
    id: &str,
    of: &str,
) -> Result<Vec<String>, Error> {
    if id != of {
        return Err(Error::Other { id: id.to_owned(), other: of.to_owned() });
    }
    let signers = Client { caller, id }.signers(autograph, ctx, MOST_LISTED);
    let mut ids: Vec<String> = signers.into_iter().map(|signer| signer.id).collect();
    ids.sort_unstable();
    Ok(ids)
}

/// The signer of that id, whoever may use it; a key's own name is hidden by a signer of the configuration.
fn named(autograph: &Autograph, ctx: &Context, id: &str) -> Option<Signer> {
    if let Some(settings) = autograph.settings.signers.iter().find(|settings| settings.id == id) {
        return Signer::configured(ctx, settings);
    }
    let name = id.parse::<KeyName>().ok().filter(|name| name.owner().is_none())?;
    Signer::native(ctx.cache.key(&name)?)
}

/// The keys that sign under their own names, in the order of these.
fn native_keys(autograph: &Autograph, snapshot: &Snapshot) -> Vec<Arc<Key>> {
    let hidden: HashSet<&str> = autograph.settings.signers.iter().map(|signer| signer.id.as_str()).collect();
    let sign = |key: &&Arc<Key>| {
        key.state == KeyState::Active && key.name.owner().is_none() && !hidden.contains(key.name.as_str())
    };
    snapshot.keys.values().filter(sign).map(Arc::clone).collect()
}

/// The oldest native keys that are open to clients, so that not every request without a key id looks at all keys.
#[derive(Default)]
pub(super) struct Defaults(Mutex<Remembered>);

/// Which native key is whose follows from the client and from this: states of keys only end, and no key is deleted.
struct State {
    policy: Arc<CurrentPolicy>,
    keys: usize,
}

#[derive(Default)]
struct Remembered {
    state: Option<State>,
    /// By the id of the Hawk pair.
    of: HashMap<String, Option<KeyName>>,
}

/// The most ids that are listed.
const MOST_LISTED: usize = 100_000;

/// The most clients whose defaults are remembered.
const MOST_REMEMBERED: usize = 10_000;

impl State {
    fn of(snapshot: &Snapshot) -> Self {
        Self { policy: Arc::clone(&snapshot.policy), keys: snapshot.keys.len() }
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.policy, &other.policy) && self.keys == other.keys
    }
}

impl Defaults {
    /// `None` if it is not known; `Some(None)` if there is none.
    fn get(&self, state: &State, caller: &Caller) -> Option<Option<KeyName>> {
        let remembered = self.lock();
        let current = remembered.state.as_ref().is_some_and(|known| known.is(state));
        remembered.of.get(pair(caller)?).filter(|_| current).cloned()
    }

    /// - `state`: from before the keys were looked at, so that a key that came meanwhile is not overlooked.
    fn put(&self, state: State, caller: &Caller, default: Option<KeyName>) {
        let Some(pair) = pair(caller) else { return };
        let mut remembered = self.lock();
        let current = remembered.state.as_ref().is_some_and(|known| known.is(&state));
        if !current || remembered.of.len() >= MOST_REMEMBERED {
            *remembered = Remembered { state: Some(state), of: HashMap::new() };
        }
        remembered.of.insert(pair.to_owned(), default);
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        // Whatever a panic left there is either whole or absent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pair(caller: &Caller) -> Option<&str> {
    Some(&caller.identity.token.as_ref()?.id)
}
