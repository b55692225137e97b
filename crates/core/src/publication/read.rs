//! The published log, read: checkpoint, tiles, bundles, and the same in JSON for who has no tlog client.

use std::sync::Arc;

use bytes::Bytes;
use countersign_store::{LogHead, PublicationEntry};
use countersign_tlog::hash::{HASH_SIZE, Hash};
use countersign_tlog::proof::{self, ReadError};
use countersign_tlog::tile::{BundleId, TileId, push_entry};
use serde::{Serialize, Serializer};

use super::place::{Fetched, Place};
use super::publisher::{Wanted, step};
use super::{check, key};
use crate::context::Context;
use crate::error::Error;

/// The most entries of one answer.
pub const MOST_ENTRIES: u64 = 1000;

/// After an answer has this many bytes of entries, it gets no more of them.
const ENOUGH: usize = 8 << 20;

/// Entries that are read from the database at once.
const PAGE: u64 = 64;

/// Some entries of the log: `{"start":A,"entries":[BASE64…]}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EntriesDocument {
    /// The number of the first one.
    pub start: u64,
    /// The leaves; that of a masked entry is `masked:` and its hash in hex.
    #[serde(serialize_with = "base64_list")]
    pub entries: Vec<Vec<u8>>,
}

/// A proof: `{"leaf":I,"size":N,"hashes":[BASE64…]}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProofDocument {
    /// What is proved to be in the tree: a leaf by its number, or for consistency the older tree by its size.
    pub leaf: u64,
    /// The number of entries in the tree.
    pub size: u64,
    /// The proof's hashes, as in RFC 6962, 2.1.1 and 2.1.2.
    #[serde(serialize_with = "base64_hashes")]
    pub hashes: Vec<Hash>,
}

fn base64_list<S: Serializer>(list: &[Vec<u8>], serializer: S) -> Result<S::Ok, S::Error> {
    use base64::Engine as _;
    serializer.collect_seq(list.iter().map(|bytes| base64::engine::general_purpose::STANDARD.encode(bytes)))
}

fn base64_hashes<S: Serializer>(hashes: &[Hash], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(hashes.iter().map(Hash::to_base64))
}

/// The newest head that can be read here. An unused log begins when it is first asked for.
async fn head(ctx: &Context) -> Result<Arc<LogHead>, Error> {
    let known = || ctx.publication.head.borrow().clone();
    if let Some(head) = known() {
        return Ok(head);
    }
    check(ctx)?;
    step(ctx, Wanted::Now).await?;
    known().ok_or_else(|| Error::StorageUnavailable("the publication log is being opened".into()))
}

/// The verifier key of the log (C2SP signed-note).
///
/// # Errors
/// When the log was never used and cannot be begun.
pub async fn verifier_key(ctx: &Context) -> Result<String, Error> {
    if let Some(origin) = key::origin(ctx).await?
        && let Some(verifier) = key::verifier(ctx, &origin)?
    {
        return Ok(verifier.to_string());
    }
    Ok(head(ctx).await?.verifier_key.clone())
}

/// The newest checkpoint, a signed note. All tiles that it needs are there.
///
/// # Errors
/// When the log was never used and cannot be begun, and after a restart of a log that had to stop.
pub async fn checkpoint(ctx: &Context) -> Result<String, Error> {
    Ok(head(ctx).await?.checkpoint.clone())
}

/// The bytes of a tile of hashes.
///
/// # Errors
/// [`Error::NotFound`] beyond the newest checkpoint; when the files do not answer.
pub async fn tile(ctx: &Context, id: TileId) -> Result<Bytes, Error> {
    let head = head(ctx).await?;
    let origin = head.origin.parse()?;
    read_tile(&Place { files: &ctx.files, origin: &origin }, id, head.size).await
}

/// A tile of a log of `size` entries, from the tile that the files have in its place.
async fn read_tile(place: &Place<'_>, id: TileId, size: u64) -> Result<Bytes, Error> {
    let beyond = || Error::NotFound(format!("`{id}` in the log"));
    let first = id.index().checked_mul(256).ok_or_else(beyond)?;
    let have = size.checked_shr(8 * u32::from(id.level())).unwrap_or(0).saturating_sub(first).min(256);
    // At most 256, so it fits.
    let stored =
        TileId::new(id.level(), id.index(), have as u16).filter(|stored| stored.width() >= id.width());
    let stored = stored.ok_or_else(beyond)?;
    let mut data = place.tile(stored).await?;
    if data.is_none()
        && let Some(full) = id.full()
    {
        // It has become full since the head was read.
        data = place.tile(full).await?;
    }
    let wanted = usize::from(id.width()) * HASH_SIZE;
    match data {
        Some(data) if data.len() >= wanted => Ok(data.slice(..wanted)),
        _ => Err(Error::LogUnavailable(format!("`{id}` of the publication log is missing or damaged"))),
    }
}

/// The bytes of a bundle of entries.
///
/// # Errors
/// [`Error::NotFound`] beyond the newest checkpoint; when the database does not answer.
pub async fn bundle(ctx: &Context, id: BundleId) -> Result<Vec<u8>, Error> {
    let size = head(ctx).await?.size;
    let beyond = || Error::NotFound(format!("`{id}` in the log"));
    let first = id.index().checked_mul(256).ok_or_else(beyond)?;
    let width = u64::from(id.width());
    if first.checked_add(width).is_none_or(|end| end > size) {
        return Err(beyond());
    }
    let mut bundle = Vec::new();
    for leaf in leaves(ctx, first, width, usize::MAX).await? {
        push_entry(&mut bundle, &leaf).map_err(|error| Error::Internal(error.to_string()))?;
    }
    Ok(bundle)
}

/// The entries from number `start` to number `end`, that one too (as in RFC 6962, 4.6), but no more than
/// [`MOST_ENTRIES`], fewer if they are long, and none beyond the newest checkpoint.
///
/// # Errors
/// [`Error::InvalidRequest`] if `start` is beyond the newest checkpoint or `end` before `start`.
pub async fn entries(ctx: &Context, start: u64, end: u64) -> Result<EntriesDocument, Error> {
    let size = head(ctx).await?.size;
    if start > size {
        return Err(Error::invalid("start", format!("the log has {size} entries")));
    }
    if end < start {
        return Err(Error::invalid("end", "the end is before the start"));
    }
    let count = (end - start).saturating_add(1).min(MOST_ENTRIES).min(size - start);
    Ok(EntriesDocument { start, entries: leaves(ctx, start, count, ENOUGH).await? })
}

/// `count` leaves from number `first` on, which are there; fewer once they have `enough` bytes.
async fn leaves(ctx: &Context, first: u64, count: u64, enough: usize) -> Result<Vec<Vec<u8>>, Error> {
    let mut leaves = Vec::new();
    let mut bytes = 0;
    while (leaves.len() as u64) < count && bytes < enough {
        let next = first + leaves.len() as u64;
        // At most a page, so it fits.
        let wanted = (count - leaves.len() as u64).min(PAGE) as u32;
        let page = ctx.store.publication_entries(next, wanted).await?;
        let whole = page.len() == wanted as usize && (next..).zip(&page).all(|(n, entry)| entry.index == n);
        if !whole {
            return Err(Error::LogUnavailable("entries of the publication log are missing".into()));
        }
        for entry in page {
            let leaf = shown(entry);
            bytes += leaf.len();
            leaves.push(leaf);
        }
    }
    Ok(leaves)
}

/// What is shown of an entry: a masked one by its hash, which the tile of hashes has too.
fn shown(entry: PublicationEntry) -> Vec<u8> {
    let masked = || format!("masked:{}", Hash::from_bytes(entry.hash)).into_bytes();
    entry.leaf.unwrap_or_else(masked)
}

/// Proves that entry `index` is in the tree of `size` entries, or in that of the newest checkpoint.
///
/// # Errors
/// [`Error::InvalidRequest`] if there is no such tree yet or no such entry in it.
pub async fn inclusion(ctx: &Context, index: u64, size: Option<u64>) -> Result<ProofDocument, Error> {
    let size = tree_size(ctx, "size", size).await?;
    let needed = proof::inclusion_tiles(index, size).map_err(|error| not_in(&error, "index"))?;
    let tiles = fetch(ctx, needed).await?;
    let hashes = proof::inclusion(index, size, &tiles).map_err(|error| not_in(&error, "index"))?;
    Ok(ProofDocument { leaf: index, size, hashes })
}

/// Proves that the tree of `first` entries is the beginning of that of `second`, or of the newest checkpoint.
///
/// # Errors
/// [`Error::InvalidRequest`] if there is no such tree yet, or `second` is smaller than `first`.
pub async fn consistency(ctx: &Context, first: u64, second: Option<u64>) -> Result<ProofDocument, Error> {
    let size = tree_size(ctx, "second", second).await?;
    let needed = proof::consistency_tiles(first, size).map_err(|error| not_in(&error, "first"))?;
    let tiles = fetch(ctx, needed).await?;
    let hashes = proof::consistency(first, size, &tiles).map_err(|error| not_in(&error, "first"))?;
    Ok(ProofDocument { leaf: first, size, hashes })
}

async fn tree_size(ctx: &Context, member: &'static str, wanted: Option<u64>) -> Result<u64, Error> {
    let size = head(ctx).await?.size;
    match wanted {
        Some(wanted) if wanted > size => Err(Error::invalid(member, format!("the log has {size} entries"))),
        wanted => Ok(wanted.unwrap_or(size)),
    }
}

async fn fetch(ctx: &Context, ids: Vec<TileId>) -> Result<Fetched, Error> {
    let head = head(ctx).await?;
    let origin = head.origin.parse()?;
    let place = Place { files: &ctx.files, origin: &origin };
    let mut tiles = Fetched::default();
    for id in ids {
        tiles.0.insert(id, read_tile(&place, id, head.size).await?);
    }
    Ok(tiles)
}

fn not_in<E: std::fmt::Display>(error: &ReadError<E>, member: &'static str) -> Error {
    match error {
        ReadError::NotInTree { .. } | ReadError::Backwards { .. } | ReadError::TooLarge { .. } => {
            Error::invalid(member, error.to_string())
        }
        _ => Error::LogUnavailable(error.to_string()),
    }
}
