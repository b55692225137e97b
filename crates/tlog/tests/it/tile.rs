use countersign_tlog::hash::MAX_TREE_SIZE;
use countersign_tlog::tile::{
    BundleError, BundleId, MAX_ENTRY, Resource, TileId, parse_bundle, parse_bundle_start, push_entry,
};
use proptest::prelude::*;

#[test]
fn paths_are_those_of_the_standard() {
    let tile = |level, index, width| Resource::Tile(TileId::new(level, index, width).unwrap());
    let entries = |index, width| Resource::Entries(BundleId::new(index, width).unwrap());
    for (resource, path) in [
        (Resource::Checkpoint, "checkpoint"),
        (tile(0, 0, 256), "tile/0/000"),
        (tile(1, 999, 256), "tile/1/999"),
        (tile(0, 1000, 256), "tile/0/x001/000"),
        (tile(4, 1_234_067, 1), "tile/4/x001/x234/067.p/1"),
        (tile(0, 273, 112), "tile/0/273.p/112"),
        (tile(7, 0, 127), "tile/7/000.p/127"),
        (tile(0, (1 << 55) - 1, 255), "tile/0/x036/x028/x797/x018/x963/967.p/255"),
        (entries(1_234_067, 256), "tile/entries/x001/x234/067"),
        (entries(0, 255), "tile/entries/000.p/255"),
    ] {
        assert_eq!(resource.to_string(), path);
        assert_eq!(path.parse(), Ok(resource));
    }
}

#[test]
fn any_other_spelling_of_a_path_is_refused() {
    for path in [
        "",
        "/",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "/tile/0/000",
        "tile/0/000/",
        "Checkpoint",
        "checkpoint/",
        // numbers that are not three digits, or have another sign or base
        "tile/0/0",
        "tile/0/0000",
        "tile/0/1000",
        "tile/0/+01",
        "tile/0/-01",
        "tile/0/ 01",
        "tile/0/0x1",
        "tile/0/٠٠١",
        // leading zeros and missing or misplaced marks
        "tile/00/000",
        "tile/+0/000",
        "tile/0/x000/001",
        "tile/0/x000/x001/001",
        "tile/0/001/001",
        "tile/0/x001",
        "tile/0/x001/x001",
        "tile/0/xx01/001",
        "tile/0/X001/001",
        // widths
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/007",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/0/000.p/1/1",
        "tile/0/000.p/+1",
        "tile/0/000.p/65537",
        "tile/0/x001.p/1/001",
        // tiles that no tree has
        "tile/8/000",
        "tile/63/000",
        "tile/256/000",
        "tile/7/000",
        "tile/7/000.p/128",
        "tile/7/001.p/1",
        "tile/0/x036/x028/x797/x018/x963/968",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
        "tile/0/x018/x446/x744/x073/x709/x551/616.p/255",
        // others' words, and ways out
        "tile/data/000",
        "tile/8/0/000",
        "tile/entries",
        "tile/entries/../000",
        "tile/0/../000",
        "tile/0/%30",
        "tile\\0\\000",
        "tile/0/000\0",
        "tile/0/000\n",
    ] {
        assert!(path.parse::<Resource>().is_err(), "{path:?}");
    }
    assert!("tile/0/".repeat(10_000).parse::<Resource>().is_err());
}

#[test]
fn a_tile_id_outside_every_tree_cannot_be_made() {
    assert_eq!(TileId::new(0, 0, 0), None);
    assert_eq!(TileId::new(0, 0, 257), None);
    assert_eq!(TileId::new(8, 0, 1), None);
    assert_eq!(TileId::new(0, u64::MAX, 1), None);
    assert_eq!(TileId::new(7, u64::MAX, 256), None);
    assert_eq!(TileId::new(0, MAX_TREE_SIZE >> 8, 256), None, "2^63 leaves are one too many");
    assert_eq!(TileId::new(0, 5, 7).and_then(|t| t.full()), TileId::new(0, 5, 256));
}

#[test]
fn the_bundle_of_an_entry_is_as_wide_as_the_log_has_it() {
    assert_eq!(BundleId::holding(0, 1), BundleId::new(0, 1));
    assert_eq!(BundleId::holding(0, 1000), BundleId::new(0, 256));
    assert_eq!(BundleId::holding(256, 256), None);
    assert_eq!(BundleId::holding(999, 1000), BundleId::new(3, 232));
    assert_eq!(BundleId::holding(u64::MAX, u64::MAX), None);
}

#[test]
fn a_bundle_is_lengths_and_bytes() {
    let mut bundle = Vec::new();
    for entry in [b"ab".as_slice(), b"", &[0x7a; 300]] {
        push_entry(&mut bundle, entry).unwrap();
    }
    assert_eq!(bundle[..8], *b"\x00\x02ab\x00\x00\x01\x2c");
    assert_eq!(parse_bundle(&bundle, 3), Ok(vec![b"ab".as_slice(), b"", &[0x7a; 300]]));
    assert_eq!(parse_bundle_start(&bundle, 2), Ok(vec![b"ab".as_slice(), b""]));
}

#[test]
fn a_bundle_with_more_or_fewer_entries_than_its_name_says_is_refused() {
    let bundle = b"\x00\x02ab\x00\x00";
    assert_eq!(parse_bundle(bundle, 1), Err(BundleError::Count { want: 1 }));
    assert_eq!(parse_bundle(bundle, 3), Err(BundleError::Count { want: 3 }));
    assert_eq!(parse_bundle(&bundle[..5], 2), Err(BundleError::Truncated { entry: 1 }));
    assert_eq!(parse_bundle(&bundle[..3], 1), Err(BundleError::Truncated { entry: 0 }));
    assert_eq!(parse_bundle(b"\xff\xffab", 1), Err(BundleError::Truncated { entry: 0 }));
    assert_eq!(parse_bundle(b"", u16::MAX), Err(BundleError::Count { want: u16::MAX }));
}

#[test]
fn the_longest_entry_fits_and_one_byte_more_is_refused() {
    let mut bundle = vec![0, 0];
    push_entry(&mut bundle, &[7; MAX_ENTRY]).unwrap();
    let before = bundle.clone();
    let refused = push_entry(&mut bundle, &[7; MAX_ENTRY + 1]);
    assert_eq!(refused, Err(BundleError::EntryTooLong { got: 65_536 }));
    assert_eq!(bundle, before);
    assert_eq!(parse_bundle(&bundle, 2).map(|e| e[1].len()), Ok(MAX_ENTRY));
}

proptest! {
    #[test]
    fn every_tile_path_goes_round(level in 0u8..8, index in any::<u64>(), width in 1u16..=256) {
        let index = index >> (9 + 8 * u32::from(level)).min(63);
        if let Some(id) = TileId::new(level, index, width) {
            prop_assert_eq!(id.to_string().parse(), Ok(Resource::Tile(id)));
        }
        if let Some(id) = BundleId::new(index, width) {
            prop_assert_eq!(id.to_string().parse(), Ok(Resource::Entries(id)));
        }
    }
}
