//! Inclusion and consistency proofs: made from tiles, checked against heads.
//!
//! Proofs are those of RFC 6962, 2.1.1 and 2.1.2. A reader that fetches tiles asynchronously asks
//! [`inclusion_tiles`] or [`consistency_tiles`] what to fetch, and then makes the proof from memory.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Display;
use std::ops::Range;

use crate::hash::{Hash, Head, MAX_TREE_SIZE};
use crate::tile::{BadTile, TILE_HEIGHT, TILE_WIDTH, TileId, tile_hashes};
use crate::tree::complete_root;

/// The most hashes that a proof in a tree of [`MAX_TREE_SIZE`] has.
pub const MAX_PROOF: usize = 64;

/// Where the tiles of a log come from: a directory, a cache, a map. Closures of the same shape are
/// readers.
pub trait TileReader {
    /// Why a tile could not be read.
    type Error: Display;

    /// The bytes of `tile`. A wider tile of the same place will do: once a tile is full, a log may
    /// delete the partial ones.
    ///
    /// # Errors
    /// When the tile cannot be had.
    fn read(&self, tile: TileId) -> Result<Vec<u8>, Self::Error>;
}

impl<F, E> TileReader for F
where
    F: Fn(TileId) -> Result<Vec<u8>, E>,
    E: Display,
{
    type Error = E;

    fn read(&self, tile: TileId) -> Result<Vec<u8>, E> {
        self(tile)
    }
}

/// Why something could not be computed from tiles. `E` is the reader's own error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError<E: Display> {
    /// The entry is beyond the end of the tree.
    #[error("entry {index} is not in a tree of {size} entries")]
    NotInTree {
        /// The entry asked for, from 0.
        index: u64,
        /// The size of the tree.
        size: u64,
    },
    /// The older tree is larger than the newer one.
    #[error("a tree of {new} entries does not continue one of {old}")]
    Backwards {
        /// The size of the older tree.
        old: u64,
        /// The size of the newer tree.
        new: u64,
    },
    /// The size is beyond what a log can have.
    #[error("no tree has {size} entries: at most 2^63 - 1")]
    TooLarge {
        /// The size asked for.
        size: u64,
    },
    /// The reader did not give a tile.
    #[error("cannot read `{tile}`: {error}")]
    Reader {
        /// The tile asked for.
        tile: TileId,
        /// What the reader said.
        error: E,
    },
    /// The reader gave bytes that are not the tile.
    #[error(transparent)]
    Tile(#[from] BadTile),
}

impl<E: Display> ReadError<E> {
    /// One sentence for the person who reads the terminal or the log.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotInTree { .. } => {
                "entries are counted from 0; a checkpoint fetched after the answer covers its entry"
            }
            Self::Backwards { .. } => {
                "name the older size first; a log that shrank was rolled back: do not trust it"
            }
            Self::TooLarge { .. } => "the checkpoint is wrong: do not trust it",
            Self::Reader { .. } => "the log does not serve a tile that its checkpoint needs",
            Self::Tile(_) => "fetch the tile again; if it stays so, the log has lost data",
        }
    }
}

/// The root of the first `size` leaves.
///
/// # Errors
/// [`ReadError`] if `size` is too large, or a tile is missing or malformed.
pub fn root<R: TileReader + ?Sized>(size: u64, tiles: &R) -> Result<Hash, ReadError<R::Error>> {
    check_size(size)?;
    let whole = 0..size;
    let mut roots = Subtrees { size, tiles }.hash(std::slice::from_ref(&whole))?;
    Ok(roots.pop().unwrap_or_else(Hash::empty_root))
}

/// Proves that leaf `index`, counted from 0, is in the tree of `size` leaves: the sibling hashes from
/// the leaf up. Empty for a tree of one leaf.
///
/// # Errors
/// [`ReadError`] if there is no such leaf, or a tile is missing or malformed.
pub fn inclusion<R: TileReader + ?Sized>(
    index: u64,
    size: u64,
    tiles: &R,
) -> Result<Vec<Hash>, ReadError<R::Error>> {
    let ranges = inclusion_ranges(index, size)?;
    Subtrees { size, tiles }.hash(&ranges)
}

/// Proves that the tree of `old` leaves is the beginning of the tree of `new` leaves. Empty when one
/// of them has no leaves or they are the same.
///
/// # Errors
/// [`ReadError`] if `old` is larger than `new`, or a tile is missing or malformed.
pub fn consistency<R: TileReader + ?Sized>(
    old: u64,
    new: u64,
    tiles: &R,
) -> Result<Vec<Hash>, ReadError<R::Error>> {
    let ranges = consistency_ranges(old, new)?;
    Subtrees { size: new, tiles }.hash(&ranges)
}

/// The tiles that [`inclusion`] reads for the same arguments.
///
/// # Errors
/// [`ReadError::NotInTree`] or [`ReadError::TooLarge`].
pub fn inclusion_tiles(index: u64, size: u64) -> Result<Vec<TileId>, ReadError<Infallible>> {
    Ok(tiles_of(&inclusion_ranges(index, size)?, size))
}

/// The tiles that [`consistency`] reads for the same arguments.
///
/// # Errors
/// [`ReadError::Backwards`] or [`ReadError::TooLarge`].
pub fn consistency_tiles(old: u64, new: u64) -> Result<Vec<TileId>, ReadError<Infallible>> {
    Ok(tiles_of(&consistency_ranges(old, new)?, new))
}

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The entry or the older tree is beyond the end of the tree.
    #[error("the proof is about something beyond the end of the tree")]
    OutOfRange,
    /// The proof does not have as many hashes as these sizes need.
    #[error("the proof has the wrong number of hashes")]
    Length,
    /// The hashes do not lead to the root.
    #[error("the proof does not lead to the root of the tree")]
    WrongRoot,
}

impl ProofError {
    /// One sentence for the person who reads the terminal or the log.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::OutOfRange => "ask for a proof against a newer checkpoint",
            Self::Length => "the proof was made for another tree size or entry",
            Self::WrongRoot => "the entry, the proof or the checkpoint was altered: do not trust it",
        }
    }
}

/// Checks that `leaf` is leaf number `index` of the tree with `head`.
///
/// # Errors
/// [`ProofError`]: it is not, or `proof` does not show it.
///
/// Follows RFC 9162, 2.1.3.2.
pub fn verify_inclusion(leaf: Hash, index: u64, head: &Head, proof: &[Hash]) -> Result<(), ProofError> {
    if index >= head.size {
        return Err(ProofError::OutOfRange);
    }
    let mut node = index;
    let mut last = head.size - 1;
    let mut hash = leaf;
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if node & 1 == 1 || node == last {
            hash = Hash::node(*sibling, hash);
            climb_past_missing_siblings(&mut node, &mut last);
        } else {
            hash = Hash::node(hash, *sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::Length);
    }
    if hash == head.root { Ok(()) } else { Err(ProofError::WrongRoot) }
}

/// Checks that the tree with head `new` begins with the tree with head `old`.
///
/// # Errors
/// [`ProofError`]: it does not, or `proof` does not show it.
///
/// Follows RFC 9162, 2.1.4.2. Every tree begins with the empty one, and with itself: the proof is then
/// empty.
pub fn verify_consistency(old: &Head, new: &Head, proof: &[Hash]) -> Result<(), ProofError> {
    if old.size > new.size {
        return Err(ProofError::OutOfRange);
    }
    if old.size == 0 || old.size == new.size {
        let same = if old.size == 0 { Hash::empty_root() } else { new.root };
        return match (proof.is_empty(), old.root == same) {
            (false, _) => Err(ProofError::Length),
            (true, false) => Err(ProofError::WrongRoot),
            (true, true) => Ok(()),
        };
    }
    let mut node = old.size - 1;
    let mut last = new.size - 1;
    // Climb to the root of the old tree's last complete subtree; the proof starts with it, unless it
    // is the whole old tree.
    let up = node.trailing_ones();
    node >>= up;
    last >>= up;
    let (start, path) = if old.size.is_power_of_two() {
        (old.root, proof)
    } else {
        let (first, rest) = proof.split_first().ok_or(ProofError::Length)?;
        (*first, rest)
    };
    let (mut old_hash, mut new_hash) = (start, start);
    for sibling in path {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if node & 1 == 1 || node == last {
            old_hash = Hash::node(*sibling, old_hash);
            new_hash = Hash::node(*sibling, new_hash);
            climb_past_missing_siblings(&mut node, &mut last);
        } else {
            new_hash = Hash::node(new_hash, *sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::Length);
    }
    if old_hash == old.root && new_hash == new.root { Ok(()) } else { Err(ProofError::WrongRoot) }
}

/// On the right edge a node without a sibling stands for its parent: climbs to where it is a right
/// child, or to the root.
fn climb_past_missing_siblings(node: &mut u64, last: &mut u64) {
    while *node & 1 == 0 && *node != 0 {
        *node >>= 1;
        *last >>= 1;
    }
}

fn check_size<E: Display>(size: u64) -> Result<(), ReadError<E>> {
    if size > MAX_TREE_SIZE { Err(ReadError::TooLarge { size }) } else { Ok(()) }
}

/// The leaves under each hash of an inclusion proof, in the proof's order.
fn inclusion_ranges<E: Display>(index: u64, size: u64) -> Result<Vec<Range<u64>>, ReadError<E>> {
    check_size(size)?;
    if index >= size {
        return Err(ReadError::NotInTree { index, size });
    }
    let mut ranges = Vec::new();
    let (mut low, mut high) = (0, size);
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            ranges.push(middle..high);
            high = middle;
        } else {
            ranges.push(low..middle);
            low = middle;
        }
    }
    ranges.reverse();
    Ok(ranges)
}

/// The leaves under each hash of a consistency proof, in the proof's order.
fn consistency_ranges<E: Display>(old: u64, new: u64) -> Result<Vec<Range<u64>>, ReadError<E>> {
    check_size(new)?;
    if old > new {
        return Err(ReadError::Backwards { old, new });
    }
    let mut ranges = Vec::new();
    if old == 0 {
        return Ok(ranges);
    }
    let (mut low, mut high) = (0, new);
    while high != old {
        let middle = low + split(high - low);
        if old <= middle {
            ranges.push(middle..high);
            high = middle;
        } else {
            ranges.push(low..middle);
            low = middle;
        }
    }
    // The verifier has the old root already: it is left out where it is the starting point.
    if low != 0 {
        ranges.push(low..high);
    }
    ranges.reverse();
    Ok(ranges)
}

/// Where a tree of `size` leaves, at least 2, divides: the largest power of two below `size`.
fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// A complete subtree: number `number`, counted from the left, of those with 2^`height` leaves.
struct Subtree {
    height: u32,
    number: u64,
}

/// The complete subtrees that `leaves` falls into, from the left. `leaves` is one that a proof or a
/// root needs: it starts at a multiple of its largest subtree.
fn subtrees_of(leaves: &Range<u64>) -> Vec<Subtree> {
    let mut found = Vec::new();
    let mut low = leaves.start;
    while low < leaves.end {
        let height = (leaves.end - low).ilog2();
        found.push(Subtree { height, number: low >> height });
        low += 1 << height;
    }
    found
}

impl Subtree {
    /// The tile with the hashes that this subtree is the root of, and their place in it.
    fn place(&self, size: u64) -> Option<(TileId, Range<usize>)> {
        let level = self.height / TILE_HEIGHT;
        let count = 1 << (self.height % TILE_HEIGHT);
        let first = self.number << (self.height % TILE_HEIGHT);
        let id = TileId::holding(u8::try_from(level).ok()?, first, size)?;
        let start = usize::try_from(first % u64::from(TILE_WIDTH)).ok()?;
        Some((id, start..start + count))
    }
}

fn tiles_of(ranges: &[Range<u64>], size: u64) -> Vec<TileId> {
    let mut ids: Vec<_> = ranges
        .iter()
        .flat_map(subtrees_of)
        .filter_map(|subtree| subtree.place(size))
        .map(|(id, _)| id)
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Reads `id` and its hashes.
pub(crate) fn read_tile<R: TileReader + ?Sized>(
    tiles: &R,
    id: TileId,
) -> Result<Vec<Hash>, ReadError<R::Error>> {
    let data = tiles.read(id).map_err(|error| ReadError::Reader { tile: id, error })?;
    Ok(tile_hashes(id, &data)?)
}

/// Hashes of subtrees of a tree of `size` leaves.
struct Subtrees<'a, R: ?Sized> {
    size: u64,
    tiles: &'a R,
}

impl<R: TileReader + ?Sized> Subtrees<'_, R> {
    /// The hash over each of `ranges`; reads each tile once.
    fn hash(&self, ranges: &[Range<u64>]) -> Result<Vec<Hash>, ReadError<R::Error>> {
        let mut read = BTreeMap::new();
        for id in tiles_of(ranges, self.size) {
            read.insert(id, read_tile(self.tiles, id)?);
        }
        // Each subtree is in a tile just read. Were it not, its hash would be left out, and the proof
        // would prove nothing.
        let hash = |subtree: &Subtree| {
            let (id, place) = subtree.place(self.size)?;
            Some(complete_root(read.get(&id)?.get(place)?))
        };
        let mut hashes = Vec::with_capacity(ranges.len());
        for range in ranges {
            let parts: Option<Vec<Hash>> = subtrees_of(range).iter().map(hash).collect();
            let right_first = parts.unwrap_or_default().into_iter().rev();
            let folded = right_first.reduce(|right, left| Hash::node(left, right));
            hashes.extend(folded);
        }
        Ok(hashes)
    }
}
