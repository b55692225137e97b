//! A log in memory, the same log in the other implementation, and keys.

use std::collections::HashMap;

use countersign_model::signing::{RawSignature, ToSign};
use countersign_tlog::checkpoint::Checkpoint;
use countersign_tlog::hash::{Hash, Head};
use countersign_tlog::note::{SignedNote, VerifierKey};
use countersign_tlog::tile::{Tile, TileId};
use countersign_tlog::tree::Tree;
use signed_note::{Signer as _, StandardSigner};

/// A key that other implementations use in their own tests.
pub const NEUMANN: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
pub const NEUMANN_PRIVATE: &str =
    "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";

/// A log whose writer keeps what the tree reports, as a directory would.
#[derive(Default)]
pub struct TestLog {
    pub tree: Tree,
    pub tiles: HashMap<TileId, Vec<u8>>,
}

impl TestLog {
    pub fn of_size(size: u64) -> Self {
        let mut log = Self::default();
        for number in 0..size {
            log.append(&entry(number));
        }
        log.publish();
        log
    }

    pub fn append(&mut self, entry: &[u8]) {
        let full = self.tree.append(Hash::leaf(entry));
        self.store(full);
    }

    /// Stores the partial tiles that a checkpoint of this size needs.
    pub fn publish(&mut self) {
        let partial = self.tree.partial_tiles();
        self.store(partial);
    }

    fn store(&mut self, tiles: Vec<Tile>) {
        for tile in tiles {
            assert_eq!(tile.data.len(), 32 * usize::from(tile.id.width()));
            let before = self.tiles.insert(tile.id, tile.data);
            assert_eq!(before, None, "{} is reported once", tile.id);
        }
    }

    pub fn read(&self, id: TileId) -> Result<Vec<u8>, String> {
        self.tiles.get(&id).cloned().ok_or_else(|| "no such tile".to_owned())
    }

    pub fn head(&self) -> Head {
        self.tree.head()
    }
}

pub fn entry(number: u64) -> Vec<u8> {
    format!("entry {number}").into_bytes()
}

/// The same log in the crate `tlog_tiles`.
#[derive(Default)]
pub struct OtherLog {
    hashes: Vec<tlog_tiles::Hash>,
}

impl OtherLog {
    pub fn of_size(size: u64) -> Self {
        let mut log = Self::default();
        for number in 0..size {
            let new = tlog_tiles::stored_hashes(number, &entry(number), &log).unwrap();
            log.hashes.extend(new);
        }
        log
    }
}

impl tlog_tiles::HashReader for OtherLog {
    fn read_hashes(&self, places: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        Ok(places.iter().map(|place| self.hashes[usize::try_from(*place).unwrap()]).collect())
    }
}

pub fn other(hash: Hash) -> tlog_tiles::Hash {
    tlog_tiles::Hash(*hash.as_bytes())
}

pub fn ours(hashes: &[tlog_tiles::Hash]) -> Vec<Hash> {
    hashes.iter().map(|hash| Hash::from_bytes(hash.0)).collect()
}

pub fn neumann() -> VerifierKey {
    NEUMANN.parse().unwrap()
}

/// Signs with Neumann's key, by the other implementation.
pub fn neumann_signs(to_sign: &ToSign) -> RawSignature {
    let signer = StandardSigner::new(NEUMANN_PRIVATE).unwrap();
    RawSignature(signer.sign(to_sign.as_bytes()).unwrap())
}

pub fn signed_checkpoint(head: Head) -> SignedNote {
    let checkpoint = Checkpoint::new("PeterNeumann", head);
    let (to_sign, pending) = checkpoint.prepare(&neumann()).unwrap();
    pending.finish(neumann_signs(&to_sign)).unwrap()
}
