//! The signing log's one writer.
//!
//! ```text
//! DATA/log/ORIGIN/
//!   key                  the checkpoint key, sealed
//!   journal/NNNN…        entries as they came, from entry NNNN… on: what is durable
//!   tile/…  checkpoint   the same in the C2SP tlog-tiles layout, for readers: derived from the journal
//! ```
//! An entry counts as written when its bytes are in the journal and the file is synced. Many entries share
//! one sync (group commit). A second thread turns them into tiles; when a segment's tiles are on disk the
//! segment goes. After a crash the segments that are left are replayed.

mod disk;
mod journal;
mod tiler;
mod writer;

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use countersign_model::key::PrivateKey as _;
use countersign_model::{KeyType, Name};
use countersign_tlog::hash::Hash;
use countersign_tlog::note::{NoteKeyName, VerifierKey};
use countersign_tlog::proof;
use countersign_tlog::tile::{Tile, TileId};
use countersign_tlog::tree::Tree;

pub use writer::{Draft, LogWriter, Then};

use crate::seal::DataKeys;
use crate::soft::SoftKey;
use crate::wire::{HostError, KnownHead};
use disk::DiskTiles;
use journal::{Journal, ReadBack};

/// Entries in a bundle, and hashes in a full tile.
const WIDTH: u64 = 256;

/// A log that was read back and checked, ready to be written on.
pub struct OpenLog {
    journal: Journal,
    disk: DiskTiles,
    tree: Tree,
    /// The entries since the last full bundle, in the form of a bundle.
    bundle: Vec<u8>,
    key: SoftKey,
    verifier: VerifierKey,
    origin: Name,
    lock: File,
}

impl OpenLog {
    /// Opens the log of `origin` in `log_dir`, or begins it.
    ///
    /// # Errors
    /// [`HostError::LogRolledBack`] if the log is not the one that the database knows, or was damaged
    /// before its end; [`HostError::Log`] if files cannot be read or written.
    pub fn open(
        log_dir: &Path,
        origin: &Name,
        keys: &DataKeys,
        known: Option<&KnownHead>,
    ) -> Result<Self, HostError> {
        let dir = log_dir.join(origin.as_str());
        let lock = lock(&dir)?;
        let disk = DiskTiles::new(&dir);
        let journal = ReadBack::of(&dir.join("journal")).map_err(HostError::Log)?;
        let base = journal.segments.first().map_or(0, |segment| segment.first);
        let mut tree = Tree::load(base, &disk)
            .map_err(|e| HostError::LogRolledBack(format!("the log's tiles are incomplete: {e}")))?;
        let mut bundle = Vec::new();
        let mut finished = Vec::new();
        for segment in &journal.segments {
            if segment.first != tree.size() {
                let why = format!("the log's journal has a gap before entry {}", segment.first);
                return Err(HostError::LogRolledBack(why));
            }
            for entry in segment.entries() {
                finished.extend(add(&mut tree, &mut bundle, entry)?);
            }
        }
        check_known(&tree, &disk, &finished, known)?;

        // It is the right one: only now is anything of it changed.
        let journal = journal.open().map_err(HostError::Log)?;
        for file in &finished {
            disk.write_again(file).map_err(|e| HostError::Log(e.to_string()))?;
        }
        disk.mend_partial(&tree.partial_tiles()).map_err(|e| HostError::Log(e.to_string()))?;
        let key = open_key(&dir.join("key"), origin, keys, tree.size())?;
        let name: NoteKeyName =
            origin.as_str().parse().map_err(|e| HostError::Internal(format!("the log's name: {e}")))?;
        let verifier = VerifierKey::new(name, key.public().clone())
            .map_err(|e| HostError::Internal(format!("the log's key: {e}")))?;
        Ok(Self { journal, disk, tree, bundle, key, verifier, origin: origin.clone(), lock })
    }

    /// Entries in the log.
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The verifier key of its checkpoints.
    pub fn verifier_key(&self) -> String {
        self.verifier.to_string()
    }
}

/// Only one process writes a log. A front that is killed and started again may find the key host of before
/// at its last work: it is waited for, so that both do not write at one place.
fn lock(dir: &Path) -> Result<File, HostError> {
    const PATIENCE: Duration = Duration::from_secs(15);
    let failed = |e: std::io::Error| HostError::Log(format!("the log's directory: {e}"));
    std::fs::create_dir_all(dir).map_err(failed)?;
    let lock = File::open(dir).map_err(failed)?;
    let begun = Instant::now();
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(HostError::Log("another process writes this log".into()));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
}

/// A file for readers that became complete.
struct Finished {
    /// Path below the log's directory.
    path: String,
    data: Vec<u8>,
}

/// Adds an entry to tree and bundle; returns the tiles and the bundle that it made full.
fn add(tree: &mut Tree, bundle: &mut Vec<u8>, entry: &[u8]) -> Result<Vec<Finished>, HostError> {
    countersign_tlog::tile::push_entry(bundle, entry).map_err(|e| HostError::Log(e.to_string()))?;
    let tiles = tree.append(Hash::leaf(entry));
    let mut finished: Vec<Finished> = tiles.into_iter().map(Finished::tile).collect();
    if tree.size().is_multiple_of(WIDTH) {
        let index = tree.size() / WIDTH - 1;
        finished.push(Finished::bundle(index, WIDTH as u16, std::mem::take(bundle))?);
    }
    Ok(finished)
}

impl Finished {
    fn tile(tile: Tile) -> Self {
        Self { path: tile.id.to_string(), data: tile.data }
    }

    fn bundle(index: u64, width: u16, data: Vec<u8>) -> Result<Self, HostError> {
        let id = countersign_tlog::tile::BundleId::new(index, width)
            .ok_or_else(|| HostError::Log("the log is full".into()))?;
        Ok(Self { path: id.to_string(), data })
    }
}

/// The database remembers a head of this log: it must still be in it.
fn check_known(
    tree: &Tree,
    disk: &DiskTiles,
    finished: &[Finished],
    known: Option<&KnownHead>,
) -> Result<(), HostError> {
    let Some(known) = known else { return Ok(()) };
    if tree.size() < known.size {
        return Err(HostError::LogRolledBack(format!(
            "the signing log has {} entries, but the database knows of {}: it was rolled back or cut",
            tree.size(),
            known.size
        )));
    }
    let partial = tree.partial_tiles();
    // What the journal has comes before what is on the disk, which may miss it after a crash.
    let finished: HashMap<&str, &[u8]> = finished.iter().map(|f| (f.path.as_str(), &f.data[..])).collect();
    let on_disk = disk.with_partial(&partial);
    let read = |id: TileId| {
        let full = id.full().unwrap_or(id).to_string();
        finished.get(full.as_str()).map_or_else(|| on_disk(id), |data| Ok(data.to_vec()))
    };
    let root = proof::root(known.size, &read)
        .map_err(|e| HostError::LogRolledBack(format!("the log's tiles are incomplete: {e}")))?;
    if *root.as_bytes() != known.root {
        return Err(HostError::LogRolledBack(format!(
            "the first {} entries of the signing log are not those that the database knows",
            known.size
        )));
    }
    Ok(())
}

/// The checkpoint key lies beside the log, sealed; it is made with the log.
fn open_key(path: &Path, origin: &Name, keys: &DataKeys, size: u64) -> Result<SoftKey, HostError> {
    let context = format!("log/{origin}");
    let failed = |e: std::io::Error| HostError::Log(format!("the log's checkpoint key: {e}"));
    match std::fs::read(path) {
        Ok(sealed) => {
            let pkcs8 = keys.open_secret(&context, &sealed)?;
            SoftKey::from_pkcs8(KeyType::Ed25519, &pkcs8).map_err(|e| HostError::Internal(e.to_string()))
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && size == 0 => {
            let key = SoftKey::generate(KeyType::Ed25519).map_err(|e| HostError::Internal(e.to_string()))?;
            let pkcs8 = key.to_pkcs8().map_err(|e| HostError::Internal(e.to_string()))?;
            let sealed = keys.seal_secret(&context, &pkcs8)?;
            disk::write_durably(path, &sealed).map_err(failed)?;
            Ok(key)
        }
        Err(e) => Err(failed(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_writer_waits_until_the_one_before_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let before = lock(dir.path()).unwrap();
        let path = dir.path().to_owned();
        let next = std::thread::spawn(move || lock(&path).is_ok());
        std::thread::sleep(Duration::from_millis(100));
        assert!(!next.is_finished(), "both would write");
        drop(before);
        assert!(next.join().unwrap());
    }
}
