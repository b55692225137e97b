//! The publisher: one step makes what is new in the database part of the published log.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use countersign_model::Name;
use countersign_store::{HeadChange, LogHead, PublicationLease, StoreError};
use countersign_tlog::checkpoint::Checkpoint;
use countersign_tlog::hash::Hash;
use countersign_tlog::note::{SignedNote, VerifierKey};
use countersign_tlog::tree::{Tree, partial_tile_ids};
use jiff::SignedDuration;
use tokio::task::JoinHandle;

use super::place::{Fetched, Place};
use super::{Halt, key};
use crate::context::Context;
use crate::error::Error;

/// Between two checkpoints of a log there is at least this much time.
const SPACING: SignedDuration = SignedDuration::from_secs(1);

/// How often a node looks for what others published.
const PERIOD: Duration = Duration::from_secs(1);

/// How soon a node looks again that found another one publishing.
const BUSY: Duration = Duration::from_millis(100);

/// A lease is much longer than any one request to the place of files may take, and is taken again when a
/// third of it is over: who still writes after its end was not running.
const LEASE: Duration = Duration::from_secs(90);

/// Hashes that are read from the database at once.
const PAGE: u32 = 4096;

/// Whether there must be a checkpoint when nothing was published yet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// An unused log stays without name, key and checkpoint.
    IfUsed,
    /// Somebody asks for it.
    Now,
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Everything is published, or there was nothing yet.
    Idle,
    /// A new checkpoint is there.
    Published,
    /// There is more, and the last checkpoint is too young.
    TooSoon(Duration),
    /// There is more, and another node is at it.
    Busy,
}

/// Starts the publisher of this node.
pub(crate) fn start(ctx: &Context) -> JoinHandle<()> {
    // A task holds the context weakly, so that it does not keep a dropped deployment alive.
    let weak = ctx.downgrade();
    let wake = Arc::clone(&ctx.publication.wake);
    tokio::spawn(async move {
        loop {
            let Some(ctx) = Context::upgrade(&weak) else { return };
            let pause = if ctx.begun.load(Ordering::Acquire) { turn(&ctx).await } else { PERIOD };
            drop(ctx);
            // Woken early, it looks once more and finds the checkpoint too young.
            let _ = tokio::time::timeout(pause, wake.notified()).await;
        }
    })
}

/// One step, and how long to wait for the next one.
async fn turn(ctx: &Context) -> Duration {
    match step(ctx, Wanted::IfUsed).await {
        Ok(Step::TooSoon(rest)) => rest,
        Ok(Step::Busy) => BUSY,
        Ok(Step::Idle | Step::Published) => PERIOD,
        // Said once, where it begins.
        Err(Error::PublicationStopped(_)) => PERIOD,
        Err(error) => {
            tracing::warn!(%error, "nothing could be published now");
            PERIOD
        }
    }
}

/// Publishes what is left before the end, if that can be done at once.
pub(crate) async fn finish(ctx: &Context) {
    if let Err(error) = step(ctx, Wanted::IfUsed).await {
        tracing::warn!(%error, "what was written last is published after the next start");
    }
}

/// Takes over what other nodes published, and publishes what is new.
///
/// # Errors
/// [`Error::PublicationStopped`], which stays until a step succeeds again; when database, files or key host
/// do not answer: the next step goes on from what is there.
pub(super) async fn step(ctx: &Context, wanted: Wanted) -> Result<Step, Error> {
    let mut tree = ctx.publication.tree.lock().await;
    // Lost if the step fails or is given up: then the next one begins with what is published.
    let known = tree.take();
    let result = try_step(ctx, known, wanted).await;
    let mut halt = ctx.publication.halt.lock().unwrap_or_else(PoisonError::into_inner);
    match result {
        Ok((step, known)) => {
            *tree = known;
            if halt.take().is_some() {
                tracing::info!("the publication log goes on");
            }
            Ok(step)
        }
        Err(Error::PublicationStopped(why)) => {
            if halt.as_ref() != Some(&why) {
                tracing::error!(error = %why, hint = why.hint(), "the publication log stopped");
            }
            *halt = Some(why.clone());
            Err(why.into())
        }
        Err(error) => Err(error),
    }
}

async fn try_step(ctx: &Context, known: Option<Tree>, wanted: Wanted) -> Result<(Step, Option<Tree>), Error> {
    let origin = match key::origin(ctx).await? {
        Some(origin) => origin,
        None if wanted == Wanted::IfUsed && ctx.store.publication_size().await? == 0 => {
            return Ok((Step::Idle, None));
        }
        None => key::origin_or_new(ctx).await?,
    };
    let (head, size) = stored(ctx, &origin).await?;
    let published = head.as_ref().map(|head| head.size);
    let followed = published.is_some() && known.as_ref().map(Tree::size) == published;
    let more = match published {
        Some(published) => size > published,
        None => size > 0 || wanted == Wanted::Now,
    };
    if !more && (followed || published.is_none()) {
        return Ok((Step::Idle, known));
    }
    if followed && let Some(rest) = too_soon(ctx, head.as_ref()) {
        return Ok((Step::TooSoon(rest), known));
    }
    let Some(mut lease) = Lease::take(ctx).await? else { return Ok((Step::Busy, known)) };
    let result = advance(ctx, &mut lease, &origin, known).await;
    lease.release().await;
    result.map(|(step, tree)| (step, Some(tree)))
}

/// What is published, and how many entries there are.
async fn stored(ctx: &Context, origin: &Name) -> Result<(Option<LogHead>, u64), Error> {
    // The head before the size: what is published in between is not taken for entries that were lost.
    let head = ctx.store.log_head(origin.as_str()).await?;
    let size = ctx.store.publication_size().await?;
    match &head {
        Some(LogHead { size: published, .. }) if size < *published => {
            Err(Halt::EntriesLost { published: *published, have: size }.into())
        }
        _ => Ok((head, size)),
    }
}

/// How long the next checkpoint has to wait for; `None` if it has not. A head from the future says nothing.
fn too_soon(ctx: &Context, head: Option<&LogHead>) -> Option<Duration> {
    let age = ctx.now().duration_since(head?.updated);
    let young = !age.is_negative() && age < SPACING;
    young.then(|| (SPACING - age).unsigned_abs())
}

/// From what this node knows to the head in the database, and from there to all `size` entries.
async fn advance(
    ctx: &Context,
    lease: &mut Lease<'_>,
    origin: &Name,
    known: Option<Tree>,
) -> Result<(Step, Tree), Error> {
    // Who had the lease before may have published more since this node looked: only now nobody else does.
    let (head, size) = stored(ctx, origin).await?;
    let verifier = key::verifier_or_new(ctx, origin).await?;
    let place = Place { files: &ctx.files, origin };
    let shown = place.checkpoint().await?;
    let mut tree = match known {
        Some(tree) => tree,
        None => open(&place, &verifier, shown.as_deref(), head.as_ref()).await?,
    };

    if let Some(head) = head {
        if shown.as_deref() == Some(head.checkpoint.as_bytes()) {
            // The place is shared, and its files are written already.
            grow(ctx, lease, None, &mut tree, head.size).await?;
            check_root(&tree, &head)?;
        } else {
            let old = tree.size();
            grow(ctx, lease, Some(&place), &mut tree, head.size).await?;
            check_root(&tree, &head)?;
            put_partial(&place, &tree).await?;
            lease.keep().await?;
            place.put_checkpoint(&head.checkpoint).await?;
            remove_partial(&place, old, tree.size()).await;
        }
        let rest = too_soon(ctx, Some(&head));
        let published = head.size;
        announce(ctx, head);
        match rest {
            _ if size <= published => return Ok((Step::Idle, tree)),
            Some(rest) => return Ok((Step::TooSoon(rest), tree)),
            None => {}
        }
    }

    let old = tree.size();
    grow(ctx, lease, Some(&place), &mut tree, size).await?;
    put_partial(&place, &tree).await?;
    let note = key::sign(ctx, &verifier, &Checkpoint::new(origin.as_str(), tree.head())).await?;
    let head = LogHead {
        origin: origin.to_string(),
        size: tree.size(),
        root: *tree.root().as_bytes(),
        checkpoint: note.to_string(),
        verifier_key: verifier.to_string(),
        updated: ctx.now(),
    };
    record(ctx, lease, &head).await?;
    lease.keep().await?;
    place.put_checkpoint(&head.checkpoint).await?;
    remove_partial(&place, old, tree.size()).await;
    announce(ctx, head);
    Ok((Step::Published, tree))
}

/// The tree of what the files have, compared with what the database knows.
async fn open(
    place: &Place<'_>,
    verifier: &VerifierKey,
    shown: Option<&[u8]>,
    head: Option<&LogHead>,
) -> Result<Tree, Error> {
    let Some(shown) = shown else { return Ok(Tree::new()) };
    let bad = |why: String| Error::from(Halt::BadCheckpoint { why });
    let note = SignedNote::parse(shown).map_err(|error| bad(error.to_string()))?;
    let shown = Checkpoint::open(&note, verifier).map_err(|error| bad(error.to_string()))?.head;
    // The database has every head before the files have it.
    let known = head.map_or(0, |head| head.size);
    if shown.size > known || head.is_none() {
        return Err(Halt::RolledBack { published: shown.size, known }.into());
    }
    if head.is_some_and(|head| head.size == shown.size && head.root != *shown.root.as_bytes()) {
        return Err(Halt::Forked { size: shown.size }.into());
    }

    let mut tiles = Fetched::default();
    for id in partial_tile_ids(shown.size) {
        tiles.0.extend(place.tile(id).await?.map(|data| (id, data)));
    }
    match Tree::load(shown.size, &tiles) {
        Ok(tree) if tree.root() == shown.root => Ok(tree),
        _ => {
            tracing::warn!(origin = %place.origin, "tiles are missing: all are made again from the database");
            Ok(Tree::new())
        }
    }
}

/// Adds the entries of the database up to `size`; what that makes full is written to `place`.
async fn grow(
    ctx: &Context,
    lease: &mut Lease<'_>,
    place: Option<&Place<'_>>,
    tree: &mut Tree,
    size: u64,
) -> Result<(), Error> {
    while tree.size() < size {
        // At most a page, so it fits.
        let wanted = (size - tree.size()).min(u64::from(PAGE)) as u32;
        let hashes = ctx.store.publication_hashes(tree.size(), wanted).await?;
        if hashes.len() < wanted as usize {
            let have = tree.size() + hashes.len() as u64;
            return Err(Halt::EntriesLost { published: size, have }.into());
        }
        for hash in hashes {
            for tile in tree.append(Hash::from_bytes(hash)) {
                if let Some(place) = place {
                    place.put_tile(tile).await?;
                }
            }
        }
        lease.keep().await?;
    }
    Ok(())
}

fn check_root(tree: &Tree, head: &LogHead) -> Result<(), Error> {
    if tree.size() == head.size && *tree.root().as_bytes() == head.root {
        return Ok(());
    }
    Err(Halt::Forked { size: head.size }.into())
}

async fn put_partial(place: &Place<'_>, tree: &Tree) -> Result<(), Error> {
    for tile in tree.partial_tiles() {
        place.put_tile(tile).await?;
    }
    Ok(())
}

/// Removes the partial tiles of a log of `old` entries that are full in one of `new`. They are in nobody's
/// way: what cannot be removed stays.
async fn remove_partial(place: &Place<'_>, old: u64, new: u64) {
    let still: Vec<_> = partial_tile_ids(new).map(|id| (id.level(), id.index())).collect();
    for id in partial_tile_ids(old).filter(|id| !still.contains(&(id.level(), id.index()))) {
        if let Some(full) = id.full()
            && let Err(error) = place.remove_partial(full).await
        {
            tracing::debug!(%error, tile = %full, "partial tiles were left behind");
        }
    }
}

/// Puts the new head in the database, which takes no smaller one and no other of the same size.
async fn record(ctx: &Context, lease: &mut Lease<'_>, head: &LogHead) -> Result<(), Error> {
    lease.keep().await?;
    match ctx.store.put_publication_head(head, lease.current).await {
        Ok(HeadChange::Stored) => Ok(()),
        Ok(HeadChange::Behind { .. }) | Err(StoreError::LeaseLost { .. }) => Err(another()),
        Err(StoreError::Conflict { .. }) => Err(Halt::Forked { size: head.size }.into()),
        Err(error) => Err(error.into()),
    }
}

/// Shows the readers of this node a head whose tiles are in its files.
fn announce(ctx: &Context, head: LogHead) {
    ctx.publication.head.send_if_modified(|known| {
        let newer = known.as_ref().is_none_or(|known| known.size < head.size);
        if newer {
            *known = Some(Arc::new(head));
        }
        newer
    });
}

fn another() -> Error {
    Error::StorageUnavailable("another node publishes".into())
}

/// The right to publish, kept while there is work.
struct Lease<'a> {
    ctx: &'a Context,
    current: PublicationLease,
    taken: Instant,
}

impl<'a> Lease<'a> {
    async fn take(ctx: &'a Context) -> Result<Option<Self>, Error> {
        let taken = Instant::now();
        let lease = ctx.store.lease_publication(ctx.node.as_str(), ctx.now(), LEASE).await?;
        Ok(lease.map(|current| Self { ctx, current, taken }))
    }

    async fn keep(&mut self) -> Result<(), Error> {
        if self.taken.elapsed() >= LEASE / 3 {
            *self = Self::take(self.ctx).await?.ok_or_else(another)?;
        }
        Ok(())
    }

    /// Gives it back, so that nobody waits for its end.
    async fn release(self) {
        if let Err(error) = self.ctx.store.release_publication(self.current).await {
            tracing::debug!(%error, "the lease on publishing runs out by itself");
        }
    }
}
