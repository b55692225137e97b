//! Inclusion and consistency proofs of any shape.

use countersign_tlog::hash::{Hash, Head};
use countersign_tlog::proof::{self, verify_consistency, verify_inclusion};
use countersign_tlog::tile::TileId;
use countersign_tlog::tree::Tree;

/// Two numbers of 8 bytes, then a root and hashes: checking them ends, whatever they are; and from tiles
/// that are all alike a tree of any size is read and proofs in it are made.
pub fn merkle_proof(data: &[u8]) {
    let Some((first, rest)) = data.split_first_chunk::<8>() else { return };
    let Some((second, rest)) = rest.split_first_chunk::<8>() else { return };
    let (first, second) = (u64::from_be_bytes(*first), u64::from_be_bytes(*second));

    let (hashes, _) = rest.as_chunks::<32>();
    let hashes: Vec<Hash> = hashes.iter().copied().map(Hash::from_bytes).collect();
    if let Some((root, path)) = hashes.split_first() {
        let old = Head { size: first, root: *root };
        let new = Head { size: second, root: *root };
        let _ = verify_inclusion(*root, first, &new, path);
        let _ = verify_consistency(&old, &new, path);
    }

    let tiles = |id: TileId| Ok::<_, String>(vec![0; 32 * usize::from(id.width())]);
    if let Ok(tree) = Tree::load(second, &tiles) {
        assert_eq!(proof::root(second, &tiles), Ok(tree.root()));
        assert_eq!(proof::inclusion(first, second, &tiles).is_ok(), first < second);
        assert_eq!(proof::consistency(first, second, &tiles).is_ok(), first <= second);
    }
}
