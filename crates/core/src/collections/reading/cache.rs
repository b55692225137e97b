//! Changesets that were asked for, kept until the collection changes; bounded by bytes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};

use super::changeset::{self, Changeset, Which};
use super::kept::LOOK_AGAIN;
use crate::collections::error::Error;
use crate::collections::uri::ObjectUri;
use crate::collections::who::Who;
use crate::context::Context;

/// All changesets that are kept hold at most this many bytes.
const MOST_BYTES: usize = 256 << 20;

/// They are at most this many.
const MOST: usize = 4096;

/// The changesets in memory.
#[derive(Debug)]
pub(super) struct Cache {
    slots: Mutex<HashMap<Key, Arc<Slot>>>,
    /// A permit for each changeset that is read to be kept.
    turns: Semaphore,
    /// A permit for each other one: who asks for those waits for others like them.
    single_turns: Semaphore,
    /// Grows with every use: who has the smallest number was not used for the longest time.
    uses: AtomicU64,
}

/// Changesets that are read at a time to be kept, and others: each is in memory whole.
const AT_ONCE: usize = 8;
const SINGLE_AT_ONCE: usize = 2;

/// How long somebody waits for their turn.
const PATIENCE: Duration = Duration::from_secs(15);

async fn turn(turns: &Semaphore) -> Result<SemaphorePermit<'_>, Error> {
    let turn = tokio::time::timeout(PATIENCE, turns.acquire()).await;
    let busy = || Error::Unavailable("too many changesets are being read".into());
    turn.map_err(|_| busy())?.map_err(|_| busy())
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            slots: Mutex::default(),
            turns: Semaphore::new(AT_ONCE),
            single_turns: Semaphore::new(SINGLE_AT_ONCE),
            uses: AtomicU64::new(0),
        }
    }
}

type Key = (ObjectUri, Which);

#[derive(Debug)]
struct Slot {
    changeset: OnceCell<Arc<Changeset>>,
    /// When it was last known to be what the database has. Held while somebody looks.
    looked: tokio::sync::Mutex<Instant>,
    used: AtomicU64,
}

impl Slot {
    fn new() -> Self {
        Self {
            changeset: OnceCell::new(),
            looked: tokio::sync::Mutex::new(Instant::now()),
            used: AtomicU64::new(0),
        }
    }

    /// How many bytes it holds. What is being read counts when it is there.
    fn weight(&self) -> usize {
        self.changeset.get().map_or(0, |changeset| changeset.weight())
    }
}

impl Cache {
    /// The changeset; read if it is not kept, or is not what the database has any more.
    pub(super) async fn get(
        &self,
        ctx: &Context,
        who: &Who,
        uri: &ObjectUri,
        which: Which,
    ) -> Result<Arc<Changeset>, Error> {
        loop {
            let Some(which) = self.canonical(ctx, uri, which).await? else {
                return self.read_once(ctx, who, uri, which).await;
            };
            let (key, slot) = self.slot(uri, which);
            if let Some(kept) = slot.changeset.get() {
                // Who may read is part of what may have changed.
                if ctx.shared && !self.is_current(ctx, &key, &slot, kept).await? {
                    continue;
                }
                kept.check_reader(ctx, who).await?;
                return Ok(Arc::clone(kept));
            }
            let read = || async {
                let _turn = turn(&self.turns).await?;
                changeset::load(ctx, who, uri, which).await.map(Arc::new)
            };
            let read = slot.changeset.get_or_try_init(read).await;
            match read {
                Ok(_) => self.shrink(&slot),
                // Nothing is kept of names that somebody made up.
                Err(_) => self.remove(&key, &slot),
            }
            let changeset = Arc::clone(read?);
            // It was perhaps read by somebody else who may read it.
            changeset.check_reader(ctx, who).await?;
            return Ok(changeset);
        }
    }

    /// The name under which a changeset is kept; `None`: it is not.
    ///
    /// Whoever asks may name any timestamp: the same changes follow all those up to the next object's, so that there
    /// are no more changesets than objects. A part of one is of little use, and there could be one for each number.
    async fn canonical(&self, ctx: &Context, uri: &ObjectUri, which: Which) -> Result<Option<Which>, Error> {
        match which {
            Which { limit: Some(_), .. } => return Ok(None),
            Which { since: None, .. } => return Ok(Some(which)),
            Which { since: Some(_), .. } if self.lock().contains_key(&(uri.clone(), which)) => {
                return Ok(Some(which));
            }
            Which { since: Some(_), .. } => {}
        }
        let since = changeset::last_until(ctx, uri, which.since.unwrap_or_default()).await?;
        Ok(Some(Which { since: Some(since), limit: None }))
    }

    /// A changeset that is not kept.
    async fn read_once(
        &self,
        ctx: &Context,
        who: &Who,
        uri: &ObjectUri,
        which: Which,
    ) -> Result<Arc<Changeset>, Error> {
        let _turn = turn(&self.single_turns).await?;
        changeset::load(ctx, who, uri, which).await.map(Arc::new)
    }

    /// Who asks from now on for something of `forgets` gets what is read from now on.
    pub(super) fn forget(&self, forgets: impl Fn(&ObjectUri) -> bool) {
        self.lock().retain(|(uri, _), _| !forgets(uri));
    }

    fn slot(&self, uri: &ObjectUri, which: Which) -> (Key, Arc<Slot>) {
        let key = (uri.clone(), which);
        let slot = Arc::clone(self.lock().entry(key.clone()).or_insert_with(|| Arc::new(Slot::new())));
        slot.used.store(self.uses.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        (key, slot)
    }

    /// Whether `kept` is what the database has, as far as somebody looked lately; one looks for all.
    async fn is_current(
        &self,
        ctx: &Context,
        key: &Key,
        slot: &Arc<Slot>,
        kept: &Changeset,
    ) -> Result<bool, Error> {
        let mut looked = slot.looked.lock().await;
        if looked.elapsed() < LOOK_AGAIN {
            return Ok(true);
        }
        let now = Instant::now();
        if kept.is_current(ctx, &key.0).await? {
            *looked = now;
            return Ok(true);
        }
        self.remove(key, slot);
        Ok(false)
    }

    fn remove(&self, key: &Key, slot: &Arc<Slot>) {
        let mut slots = self.lock();
        if slots.get(key).is_some_and(|current| Arc::ptr_eq(current, slot)) {
            slots.remove(key);
        }
    }

    /// When it is too much, lets go of what was not used for the longest time, never of `newest`, until there is
    /// room for a while.
    fn shrink(&self, newest: &Arc<Slot>) {
        let mut slots = self.lock();
        let mut bytes: usize = slots.values().map(|slot| slot.weight()).sum();
        if bytes <= MOST_BYTES && slots.len() <= MOST {
            return;
        }
        let mut by_use: Vec<_> = slots
            .iter()
            .filter(|(_, slot)| slot.changeset.initialized() && !Arc::ptr_eq(slot, newest))
            .map(|(key, slot)| (slot.used.load(Ordering::Relaxed), slot.weight(), key.clone()))
            .collect();
        by_use.sort_unstable_by_key(|(used, ..)| *used);
        for (_, weight, key) in by_use {
            if bytes <= MOST_BYTES / 4 * 3 && slots.len() <= MOST / 4 * 3 {
                return;
            }
            slots.remove(&key);
            bytes -= weight;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
