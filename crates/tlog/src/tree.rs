//! The tree of a log's single writer: only its right edge, in memory.

use crate::hash::{HASH_SIZE, Hash, Head, MAX_TREE_SIZE};
use crate::proof::{ReadError, TileReader, read_tile};
use crate::tile::{TILE_BYTES, TILE_HEIGHT, TILE_WIDTH, Tile, TileId};

/// A growing Merkle tree that remembers what it needs to grow, and no more: one partial tile a level
/// (at most 8 KiB each) and one hash for each complete subtree (at most 63).
///
/// A clone is a point to go back to when storing what [`append`](Self::append) reported fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    /// Roots of the complete subtrees that the leaves fall into, largest first: one for each 1 in the
    /// binary form of `size`.
    subtrees: Vec<Hash>,
    /// Bytes of the partial tile of each level, lowest first; empty where the level has none.
    edge: Vec<Vec<u8>>,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    /// A tree without leaves.
    pub fn new() -> Self {
        Self { size: 0, subtrees: Vec::new(), edge: Vec::new() }
    }

    /// Rebuilds the tree of `size` leaves from its partial tiles (at most eight reads).
    ///
    /// What `tiles` gives is believed: compare [`root`](Self::root) with a checkpoint that is trusted
    /// before the tree is used.
    ///
    /// # Errors
    /// [`ReadError`] if `size` is above [`MAX_TREE_SIZE`], or a tile is missing or malformed.
    pub fn load<R: TileReader + ?Sized>(size: u64, tiles: &R) -> Result<Self, ReadError<R::Error>> {
        if size > MAX_TREE_SIZE {
            return Err(ReadError::TooLarge { size });
        }
        let mut tree = Self { size, ..Self::new() };
        for id in partial_tile_ids(size) {
            let hashes = read_tile(tiles, id)?;
            tree.edge.resize(usize::from(id.level()) + 1, Vec::new());
            tree.edge[usize::from(id.level())] = concat(&hashes);

            // The tile's width in binary says which complete subtrees it has, largest first. They go
            // before those of the lower levels.
            let mut here = Vec::new();
            let mut rest = hashes.as_slice();
            while !rest.is_empty() {
                let (subtree, after) = rest.split_at(1 << rest.len().ilog2());
                here.push(complete_root(subtree));
                rest = after;
            }
            tree.subtrees.splice(0..0, here);
        }
        Ok(tree)
    }

    /// Adds a leaf and returns the tiles that this made full: none in 255 of 256 cases.
    ///
    /// Costs one node hash on average. The writer stores the returned tiles; they are not reported
    /// again, and [`partial_tiles`](Self::partial_tiles) no longer has their hashes.
    #[must_use = "full tiles are reported once and must be stored"]
    pub fn append(&mut self, leaf: Hash) -> Vec<Tile> {
        let mut full = Vec::new();
        let mut hash = leaf;
        let mut height = 0;
        // Adding a leaf is adding one in binary: each 1 that carries is a subtree that merges.
        loop {
            if height % TILE_HEIGHT == 0 {
                full.extend(self.push_edge(height / TILE_HEIGHT, hash));
            }
            if (self.size >> height) & 1 == 0 {
                break;
            }
            let Some(left) = self.subtrees.pop() else { break };
            hash = Hash::node(left, hash);
            height += 1;
        }
        self.subtrees.push(hash);
        self.size += 1;
        full
    }

    /// Adds a hash to the partial tile of `level`; returns the tile if that filled it.
    fn push_edge(&mut self, level: u32, hash: Hash) -> Option<Tile> {
        let place = level as usize;
        if self.edge.len() <= place {
            self.edge.resize(place + 1, Vec::new());
        }
        let data = &mut self.edge[place];
        if data.is_empty() {
            data.reserve_exact(TILE_BYTES);
        }
        data.extend_from_slice(hash.as_bytes());
        if data.len() < TILE_BYTES {
            return None;
        }
        let index = self.size.checked_shr(TILE_HEIGHT * (level + 1)).unwrap_or(0);
        let id = TileId::new(u8::try_from(level).ok()?, index, TILE_WIDTH)?;
        Some(Tile { id, data: std::mem::take(data) })
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root over all leaves. Costs one node hash for each complete subtree but one: at most 62.
    pub fn root(&self) -> Hash {
        let mut smallest_first = self.subtrees.iter().rev().copied();
        match smallest_first.next() {
            Some(last) => smallest_first.fold(last, |right, left| Hash::node(left, right)),
            None => Hash::empty_root(),
        }
    }

    /// Size and root together: what a checkpoint says.
    pub fn head(&self) -> Head {
        Head { size: self.size, root: self.root() }
    }

    /// The partial tiles that a reader needs for a checkpoint of the current size, lowest level first.
    pub fn partial_tiles(&self) -> Vec<Tile> {
        partial_tile_ids(self.size)
            .zip(self.edge.iter().filter(|data| !data.is_empty()))
            .map(|(id, data)| Tile { id, data: data.clone() })
            .collect()
    }
}

/// Names the partial tiles of a tree of `size` leaves, lowest level first.
pub fn partial_tile_ids(size: u64) -> impl Iterator<Item = TileId> {
    (0..8u8).filter_map(move |level| {
        let have = size >> (TILE_HEIGHT * u32::from(level));
        // Below 256: the conversion holds.
        let width = u16::try_from(have % u64::from(TILE_WIDTH)).ok()?;
        TileId::new(level, have / u64::from(TILE_WIDTH), width)
    })
}

/// The root over a number of hashes that is a power of two.
pub(crate) fn complete_root(hashes: &[Hash]) -> Hash {
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        let (pairs, _) = row.as_chunks::<2>();
        row = pairs.iter().map(|[left, right]| Hash::node(*left, *right)).collect();
    }
    row.first().copied().unwrap_or_else(Hash::empty_root)
}

fn concat(hashes: &[Hash]) -> Vec<u8> {
    let mut data = Vec::with_capacity(TILE_BYTES.max(hashes.len() * HASH_SIZE));
    for hash in hashes {
        data.extend_from_slice(hash.as_bytes());
    }
    data
}
