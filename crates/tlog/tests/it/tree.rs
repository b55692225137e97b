use countersign_tlog::hash::{Hash, MAX_TREE_SIZE};
use countersign_tlog::proof::{self, ReadError};
use countersign_tlog::tile::TileId;
use countersign_tlog::tree::Tree;
use proptest::prelude::*;

use crate::support::{OtherLog, TestLog, entry, other};

#[test]
fn roots_are_those_of_the_certificate_transparency_reference_vectors() {
    let entries =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut tree = Tree::new();
    assert_eq!(tree.root().to_string(), roots[0]);
    for (entry, root) in entries.iter().zip(&roots[1..]) {
        let full = tree.append(Hash::leaf(&hex::decode(entry).unwrap()));
        assert_eq!(full, []);
        assert_eq!(tree.root().to_string(), *root, "after {} leaves", tree.size());
    }
}

#[test]
fn every_root_is_the_one_that_tlog_tiles_computes() {
    let theirs = OtherLog::of_size(1100);
    let mut tree = Tree::new();
    for size in 0..1100 {
        let root = tlog_tiles::tree_hash(size, &theirs).unwrap();
        assert_eq!(other(tree.root()), root, "size {size}");
        let _ = tree.append(Hash::leaf(&entry(size)));
    }
}

#[test]
fn the_tiles_are_those_of_tlog_tiles_byte_by_byte_in_name_and_content() {
    // 256, 257 and 65 536 are where tiles and levels begin; the last has three levels.
    for size in [1, 255, 256, 257, 511, 512, 65_536, 70_000] {
        let theirs = OtherLog::of_size(size);
        let log = TestLog::of_size(size);
        let expected = tlog_tiles::Tile::new_tiles(8, 0, size);
        assert_eq!(log.tiles.len(), expected.len(), "size {size}");
        for tile in expected {
            let width = u16::try_from(tile.width()).unwrap();
            let id = TileId::new(tile.level(), tile.level_index(), width).unwrap();
            assert_eq!(id.to_string(), tile.path().replacen("tile/8/", "tile/", 1));
            assert_eq!(log.read(id), Ok(tile.read_data(&theirs).unwrap()), "{id}");
        }
    }
}

#[test]
fn a_tree_is_rebuilt_from_its_partial_tiles_and_grows_as_if_never_stopped() {
    for size in [0, 1, 2, 3, 255, 256, 257, 1000, 65_535, 65_536, 65_537, 70_000] {
        let log = TestLog::of_size(size);
        let mut kept = log.tree.clone();
        let mut loaded = Tree::load(size, &|id| log.read(id)).unwrap();
        assert_eq!(loaded, kept, "size {size}");
        for number in size..size + 600 {
            let leaf = Hash::leaf(&entry(number));
            assert_eq!(loaded.append(leaf), kept.append(leaf), "entry {number}");
        }
        assert_eq!(loaded.head(), kept.head());
        assert_eq!(loaded.partial_tiles(), kept.partial_tiles());
    }
}

#[test]
fn a_full_tile_serves_where_the_partial_one_was_deleted() {
    let log = TestLog::of_size(1000);
    let old = TestLog::of_size(900);
    let only_newest = |id: TileId| match log.read(id) {
        Ok(data) => Ok(data),
        Err(_) => log.read(TileId::new(0, id.index(), 232).unwrap()),
    };
    assert_eq!(Tree::load(900, &only_newest).unwrap(), old.tree);
    assert_eq!(proof::root(900, &only_newest), Ok(old.head().root));
}

#[test]
fn a_missing_a_short_and_an_oversized_tile_are_errors() {
    let missing = |_| Err::<Vec<u8>, _>("gone");
    let id = TileId::new(0, 0, 3).unwrap();
    assert_eq!(Tree::load(3, &missing), Err(ReadError::Reader { tile: id, error: "gone" }));

    for wrong in [0, 32, 95, 97, 8192 + 32] {
        let tiles = |_| Ok::<_, String>(vec![0; wrong]);
        assert!(matches!(Tree::load(3, &tiles), Err(ReadError::Tile(_))), "{wrong} bytes");
    }
}

#[test]
fn a_size_that_no_tree_can_have_is_refused_and_the_largest_is_not() {
    let zeros = |id: TileId| Ok::<_, String>(vec![0; 32 * usize::from(id.width())]);
    for size in [MAX_TREE_SIZE + 1, u64::MAX] {
        assert_eq!(Tree::load(size, &zeros), Err(ReadError::TooLarge { size }));
        assert_eq!(proof::root(size, &zeros), Err(ReadError::TooLarge { size }));
    }
    let tree = Tree::load(MAX_TREE_SIZE, &zeros).unwrap();
    assert_eq!(Ok(tree.root()), proof::root(MAX_TREE_SIZE, &zeros));

    // The carry that goes through every level.
    let mut tree = Tree::load((1 << 56) - 1, &zeros).unwrap();
    assert_eq!(tree.append(Hash::leaf(b"")).len(), 7);
    assert_eq!(tree.partial_tiles().len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn kept_and_rebuilt_trees_are_equal_at_any_size(size in 0u64..3000) {
        let log = TestLog::of_size(size);
        let loaded = Tree::load(size, &|id| log.read(id)).unwrap();
        prop_assert_eq!(&loaded, &log.tree);
        prop_assert_eq!(proof::root(size, &|id| log.read(id)), Ok(log.head().root));
    }
}
