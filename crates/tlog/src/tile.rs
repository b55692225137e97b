//! Tiles and entry bundles: names, paths and bytes.
//!
//! Follows C2SP `tlog-tiles`. A tile is a run of up to 256 hashes of one height; a bundle has the
//! entries of the level 0 tile of the same index.

use std::fmt;
use std::str::FromStr;

use crate::hash::{HASH_SIZE, Hash, MAX_TREE_SIZE};
use crate::text::decimal;

/// Hashes in a full tile, entries in a full bundle.
pub const TILE_WIDTH: u16 = 256;

/// Bytes of a full tile.
pub const TILE_BYTES: usize = TILE_WIDTH as usize * HASH_SIZE;

/// The longest entry that a bundle can hold, in bytes.
pub const MAX_ENTRY: usize = u16::MAX as usize;

/// The height that one level of tiles spans.
pub(crate) const TILE_HEIGHT: u32 = 8;

/// The highest level of tiles that a tree of [`MAX_TREE_SIZE`] has.
const MAX_LEVEL: u8 = 7;

/// The longest path that [`Resource`] reads: `tile/entries/` with seven groups and `.p/255` is shorter.
const MAX_PATH: usize = 64;

/// Names a tile: `index` counts tiles of `level` from the left, `width` says how many hashes it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TileId {
    level: u8,
    index: u64,
    width: u16,
}

impl TileId {
    /// Names a tile, if a tree can have it.
    ///
    /// - `level`: 0 for leaf hashes.
    /// - `width`: 1 to 256; 256 is the full tile.
    pub fn new(level: u8, index: u64, width: u16) -> Option<Self> {
        let fits = (1..=TILE_WIDTH).contains(&width)
            && level <= MAX_LEVEL
            && index <= MAX_TREE_SIZE >> TILE_HEIGHT
            // At most 2^55 · 2^8 · 2^56, far below 2^128.
            && (u128::from(index) * u128::from(TILE_WIDTH) + u128::from(width))
                << (TILE_HEIGHT * u32::from(level))
                <= u128::from(MAX_TREE_SIZE);
        fits.then_some(Self { level, index, width })
    }

    /// The level: 0 has leaf hashes, 1 the roots of full tiles of level 0, and so on.
    pub fn level(&self) -> u8 {
        self.level
    }

    /// The place among the tiles of the level, from 0.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The number of hashes, 1 to 256.
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Whether the tile has all 256 hashes and so never changes.
    pub fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }

    /// The full tile in the same place, which a reader may take instead of a partial one. `None` if no
    /// tree can be that large.
    pub fn full(&self) -> Option<Self> {
        Self::new(self.level, self.index, TILE_WIDTH)
    }

    /// The tile of `level` that has hash number `number` of that level, as wide as a tree of `size`
    /// has it. `None` if such a tree does not have it.
    pub(crate) fn holding(level: u8, number: u64, size: u64) -> Option<Self> {
        let have = size.checked_shr(TILE_HEIGHT * u32::from(level)).unwrap_or(0);
        let index = number >> TILE_HEIGHT;
        let width = have.checked_sub(index << TILE_HEIGHT)?.min(u64::from(TILE_WIDTH));
        Self::new(level, index, u16::try_from(width).ok()?)
    }
}

impl fmt::Display for TileId {
    /// The path, e.g. `tile/0/x001/x234/067.p/8`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile/{}/", self.level)?;
        write_place(f, self.index, self.width)
    }
}

/// Names a bundle of entries; index and width as those of the level 0 tile that has their hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BundleId(TileId);

impl BundleId {
    /// Names a bundle, if a log can have it. `width`: 1 to 256.
    pub fn new(index: u64, width: u16) -> Option<Self> {
        TileId::new(0, index, width).map(Self)
    }

    /// The bundle with entry `entry` of a log of `size` entries, as wide as such a log has it.
    pub fn holding(entry: u64, size: u64) -> Option<Self> {
        if entry >= size {
            return None;
        }
        TileId::holding(0, entry, size).map(Self)
    }

    /// The place among the bundles, from 0; its first entry is number `256 · index`.
    pub fn index(&self) -> u64 {
        self.0.index
    }

    /// The number of entries, 1 to 256.
    pub fn width(&self) -> u16 {
        self.0.width
    }

    /// The level 0 tile with the hashes of these entries.
    pub fn tile(&self) -> TileId {
        self.0
    }
}

impl fmt::Display for BundleId {
    /// The path, e.g. `tile/entries/x001/x234/067.p/8`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tile/entries/")?;
        write_place(f, self.0.index, self.0.width)
    }
}

/// What a path below a log's prefix names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// `checkpoint`.
    Checkpoint,
    /// `tile/LEVEL/…`.
    Tile(TileId),
    /// `tile/entries/…`.
    Entries(BundleId),
}

/// A path that names nothing a log can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no path of a tiled log: it has `checkpoint`, `tile/LEVEL/NNN` and `tile/entries/NNN`")]
pub struct BadPath;

impl BadPath {
    /// One sentence for the person who asked.
    pub fn hint(&self) -> &'static str {
        "index 1234067 is written `x001/x234/067`; a partial tile ends in `.p/WIDTH`, 1 to 255"
    }
}

impl FromStr for Resource {
    type Err = BadPath;

    /// Reads a path without the log's prefix and without a leading `/`. Each resource has exactly one
    /// path; any other spelling is refused, so a path read here is safe as a file name.
    fn from_str(path: &str) -> Result<Self, BadPath> {
        parse_resource(path).ok_or(BadPath)
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checkpoint => f.write_str("checkpoint"),
            Self::Tile(id) => id.fmt(f),
            Self::Entries(id) => id.fmt(f),
        }
    }
}

fn parse_resource(path: &str) -> Option<Resource> {
    if path.len() > MAX_PATH {
        return None;
    }
    if path == "checkpoint" {
        return Some(Resource::Checkpoint);
    }
    let (kind, place) = path.strip_prefix("tile/")?.split_once('/')?;
    let (index, width) = parse_place(place)?;
    if kind == "entries" {
        return BundleId::new(index, width).map(Resource::Entries);
    }
    let level = u8::try_from(decimal(kind)?).ok()?;
    TileId::new(level, index, width).map(Resource::Tile)
}

/// Reads `x001/x234/067` or `x001/x234/067.p/8`.
fn parse_place(text: &str) -> Option<(u64, u16)> {
    let (number, width) = match text.split_once(".p/") {
        Some((number, width)) => (number, u16::try_from(decimal(width)?).ok()?),
        None => (text, TILE_WIDTH),
    };
    if text.len() != number.len() && !(1..TILE_WIDTH).contains(&width) {
        return None;
    }
    let mut groups = number.split('/').rev();
    let mut index = parse_group(groups.next()?)?;
    let mut scale: u64 = 1;
    let mut first = None;
    for group in groups {
        let value = parse_group(group.strip_prefix('x')?)?;
        scale = scale.checked_mul(1000)?;
        index = value.checked_mul(scale)?.checked_add(index)?;
        first = Some(value);
    }
    // `x000/001` would be a second spelling of `001`.
    if first == Some(0) { None } else { Some((index, width)) }
}

/// Reads three digits.
fn parse_group(text: &str) -> Option<u64> {
    let digits = text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

fn write_place(f: &mut fmt::Formatter<'_>, index: u64, width: u16) -> fmt::Result {
    let mut groups = vec![index % 1000];
    let mut rest = index / 1000;
    while rest > 0 {
        groups.push(rest % 1000);
        rest /= 1000;
    }
    for group in groups[1..].iter().rev() {
        write!(f, "x{group:03}/")?;
    }
    write!(f, "{:03}", groups[0])?;
    if width < TILE_WIDTH { write!(f, ".p/{width}") } else { Ok(()) }
}

/// A tile with its bytes, as a file has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Which tile it is.
    pub id: TileId,
    /// `id.width()` hashes of 32 bytes, one after the other.
    pub data: Vec<u8>,
}

/// Bytes that are not the tile that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{id}` has {got} bytes, which is not {want} bytes or a wider tile")]
pub struct BadTile {
    /// The tile that was asked for.
    pub id: TileId,
    /// The bytes that it has at least.
    pub want: usize,
    /// The bytes that were there.
    pub got: usize,
}

/// Reads the hashes of tile `id` from `data`, which may be a wider tile of the same place.
///
/// # Errors
/// [`BadTile`] if `data` is too short, longer than a full tile, or no whole number of hashes.
pub fn tile_hashes(id: TileId, data: &[u8]) -> Result<Vec<Hash>, BadTile> {
    let want = usize::from(id.width) * HASH_SIZE;
    if data.len() < want || data.len() > TILE_BYTES || !data.len().is_multiple_of(HASH_SIZE) {
        return Err(BadTile { id, want, got: data.len() });
    }
    let (hashes, _) = data[..want].as_chunks::<HASH_SIZE>();
    Ok(hashes.iter().copied().map(Hash::from_bytes).collect())
}

/// An entry or a bundle that does not fit the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The entry is longer than its length prefix can say.
    #[error("an entry of {got} bytes is too long: at most 65535")]
    EntryTooLong {
        /// Its length in bytes.
        got: usize,
    },
    /// The bundle ends inside an entry.
    #[error("the bundle ends inside entry {entry}")]
    Truncated {
        /// The entry's place in the bundle, from 0.
        entry: usize,
    },
    /// The bundle does not have as many entries as its name says.
    #[error("the bundle does not have the {want} entries that its name says")]
    Count {
        /// The number in the name.
        want: u16,
    },
}

impl BundleError {
    /// One sentence for the person who reads the terminal or the log.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::EntryTooLong { .. } => "log a digest of the data instead of the data",
            Self::Truncated { .. } | Self::Count { .. } => {
                "fetch the bundle again; if it stays so, the log has lost data"
            }
        }
    }
}

/// Adds one entry to the end of a bundle: its length as two bytes, big-endian, and its bytes.
///
/// # Errors
/// [`BundleError::EntryTooLong`] beyond [`MAX_ENTRY`]; `bundle` is then unchanged.
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), BundleError> {
    let length = u16::try_from(entry.len()).map_err(|_| BundleError::EntryTooLong { got: entry.len() })?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// Reads a bundle of exactly `width` entries.
///
/// # Errors
/// [`BundleError::Truncated`] or [`BundleError::Count`], the latter also for bytes after the last entry.
pub fn parse_bundle(bytes: &[u8], width: u16) -> Result<Vec<&[u8]>, BundleError> {
    let entries = parse_bundle_start(bytes, width)?;
    let used: usize = entries.iter().map(|e| 2 + e.len()).sum();
    if used == bytes.len() { Ok(entries) } else { Err(BundleError::Count { want: width }) }
}

/// Reads the first `width` entries of a bundle that may have more, such as a full bundle taken in
/// place of a partial one.
///
/// # Errors
/// [`BundleError::Truncated`]; [`BundleError::Count`] if there are fewer entries.
pub fn parse_bundle_start(bytes: &[u8], width: u16) -> Result<Vec<&[u8]>, BundleError> {
    let mut entries = Vec::with_capacity(usize::from(width.min(TILE_WIDTH)));
    let mut rest = bytes;
    for entry in 0..usize::from(width) {
        if rest.is_empty() {
            return Err(BundleError::Count { want: width });
        }
        let truncated = BundleError::Truncated { entry };
        let (length, after) = rest.split_first_chunk::<2>().ok_or(truncated)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (bytes, after) = after.split_at_checked(length).ok_or(truncated)?;
        entries.push(bytes);
        rest = after;
    }
    Ok(entries)
}
