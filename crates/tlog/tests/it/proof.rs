use std::collections::HashSet;

use countersign_tlog::hash::{Hash, Head, MAX_TREE_SIZE};
use countersign_tlog::proof::{self, ProofError, ReadError, verify_consistency, verify_inclusion};
use countersign_tlog::tile::TileId;
use proptest::prelude::*;

use crate::support::{OtherLog, TestLog, entry, other, ours};

/// Sizes and places where something begins or ends.
const SIZES: [u64; 12] = [1, 2, 3, 4, 7, 8, 255, 256, 257, 600, 1000, 1024];

fn heads(theirs: &OtherLog) -> impl Fn(u64) -> Head {
    |size| {
        let root = tlog_tiles::tree_hash(size, theirs).unwrap();
        Head { size, root: Hash::from_bytes(root.0) }
    }
}

#[test]
fn inclusion_proofs_are_those_of_tlog_tiles_and_both_accept_them() {
    let theirs = OtherLog::of_size(1024);
    let head = heads(&theirs);
    for size in SIZES {
        let log = TestLog::of_size(size);
        for index in [0, 1, 2, size / 2, 255, 256, size - 1].into_iter().filter(|i| *i < size) {
            let path = proof::inclusion(index, size, &|id| log.read(id)).unwrap();
            let expected = tlog_tiles::prove_record(size, index, &theirs).unwrap();
            assert_eq!(path, ours(&expected), "{index} in {size}");
            let leaf = Hash::leaf(&entry(index));
            assert_eq!(verify_inclusion(leaf, index, &head(size), &path), Ok(()));
            let root = other(head(size).root);
            tlog_tiles::check_record(&expected, size, root, index, other(leaf)).unwrap();
        }
    }
}

#[test]
fn consistency_proofs_are_those_of_tlog_tiles_and_both_accept_them() {
    let theirs = OtherLog::of_size(1024);
    let head = heads(&theirs);
    for new in SIZES {
        let log = TestLog::of_size(new);
        for old in SIZES.into_iter().filter(|old| *old <= new) {
            let path = proof::consistency(old, new, &|id| log.read(id)).unwrap();
            let expected = tlog_tiles::prove_tree(new, old, &theirs).unwrap();
            assert_eq!(path, ours(&expected), "{old} to {new}");
            assert_eq!(verify_consistency(&head(old), &head(new), &path), Ok(()));
            let (old_root, new_root) = (other(head(old).root), other(head(new).root));
            tlog_tiles::check_tree(&expected, new, new_root, old, old_root).unwrap();
        }
    }
}

#[test]
fn every_tree_continues_the_empty_one_and_itself_without_a_proof() {
    let log = TestLog::of_size(5);
    let head = log.head();
    assert_eq!(proof::consistency(0, 5, &|id| log.read(id)), Ok(vec![]));
    assert_eq!(proof::consistency(5, 5, &|id| log.read(id)), Ok(vec![]));
    assert_eq!(verify_consistency(&Head::empty(), &head, &[]), Ok(()));
    assert_eq!(verify_consistency(&head, &head, &[]), Ok(()));

    let forged = Head { size: 5, root: Hash::leaf(b"another") };
    assert_eq!(verify_consistency(&forged, &head, &[]), Err(ProofError::WrongRoot));
    let forged = Head { size: 0, root: Hash::leaf(b"another") };
    assert_eq!(verify_consistency(&forged, &head, &[]), Err(ProofError::WrongRoot));
    assert_eq!(verify_consistency(&head, &head, &[head.root]), Err(ProofError::Length));
}

#[test]
fn what_is_beyond_the_tree_is_refused_before_a_tile_is_read() {
    let unread = |id: TileId| -> Result<Vec<u8>, String> { panic!("read {id}") };
    assert_eq!(proof::inclusion(5, 5, &unread), Err(ReadError::NotInTree { index: 5, size: 5 }));
    assert_eq!(proof::inclusion(0, 0, &unread), Err(ReadError::NotInTree { index: 0, size: 0 }));
    assert_eq!(proof::consistency(6, 5, &unread), Err(ReadError::Backwards { old: 6, new: 5 }));
    let size = u64::MAX;
    assert_eq!(proof::inclusion(5, size, &unread), Err(ReadError::TooLarge { size }));
    assert_eq!(proof::consistency(5, size, &unread), Err(ReadError::TooLarge { size }));

    let head = Head { size: 5, root: Hash::empty_root() };
    assert_eq!(verify_inclusion(head.root, 5, &head, &[]), Err(ProofError::OutOfRange));
    let newer = Head { size: 6, ..head };
    assert_eq!(verify_consistency(&newer, &head, &[]), Err(ProofError::OutOfRange));
}

#[test]
fn the_tiles_to_fetch_are_exactly_the_tiles_that_are_read() {
    let log = TestLog::of_size(70_000);
    let seen = std::cell::RefCell::new(HashSet::new());
    let tiles = |id| {
        assert!(seen.borrow_mut().insert(id), "{id} is read once");
        log.read(id)
    };
    for index in [0, 300, 65_535, 65_536, 69_999] {
        seen.borrow_mut().clear();
        let path = proof::inclusion(index, 70_000, &tiles).unwrap();
        let named: HashSet<_> = proof::inclusion_tiles(index, 70_000).unwrap().into_iter().collect();
        assert_eq!(*seen.borrow(), named);
        let leaf = Hash::leaf(&entry(index));
        assert_eq!(verify_inclusion(leaf, index, &log.head(), &path), Ok(()));
    }
    for old in [1, 300, 65_536, 69_999] {
        seen.borrow_mut().clear();
        proof::consistency(old, 70_000, &tiles).unwrap();
        let named: HashSet<_> = proof::consistency_tiles(old, 70_000).unwrap().into_iter().collect();
        assert_eq!(*seen.borrow(), named);
    }
}

#[test]
fn the_largest_tree_has_proofs_too() {
    let zeros = |id: TileId| Ok::<_, String>(vec![0; 32 * usize::from(id.width())]);
    let size = MAX_TREE_SIZE;
    let head = Head { size, root: proof::root(size, &zeros).unwrap() };
    for index in [0, 1 << 40, size - 1] {
        let path = proof::inclusion(index, size, &zeros).unwrap();
        assert!(path.len() <= proof::MAX_PROOF);
        let leaf = Hash::from_bytes([0; 32]);
        // Tiles of zeros do not fit together, but the number of hashes is right.
        assert_ne!(verify_inclusion(leaf, index, &head, &path), Err(ProofError::Length));
        assert_ne!(verify_inclusion(leaf, index, &head, &path), Err(ProofError::OutOfRange));
    }
    let path = proof::consistency(size - 1, size, &zeros).unwrap();
    assert!(path.len() <= proof::MAX_PROOF);
}

fn flip(hash: Hash, bit: usize) -> Hash {
    let mut bytes = *hash.as_bytes();
    bytes[bit / 8] ^= 1 << (bit % 8);
    Hash::from_bytes(bytes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn an_inclusion_proof_holds_and_no_bit_of_it_can_change(
        size in 1u64..1500, index in any::<prop::sample::Index>(), bit in 0usize..256,
    ) {
        let index = index.index(usize::try_from(size).unwrap()) as u64;
        let log = TestLog::of_size(size);
        let head = log.head();
        let leaf = Hash::leaf(&entry(index));
        let path = proof::inclusion(index, size, &|id| log.read(id)).unwrap();
        prop_assert_eq!(verify_inclusion(leaf, index, &head, &path), Ok(()));

        let wrong = Err(ProofError::WrongRoot);
        prop_assert_eq!(verify_inclusion(flip(leaf, bit), index, &head, &path), wrong);
        let forged = Head { root: flip(head.root, bit), ..head };
        prop_assert_eq!(verify_inclusion(leaf, index, &forged, &path), wrong);
        for place in 0..path.len() {
            let mut altered = path.clone();
            altered[place] = flip(altered[place], bit);
            prop_assert_eq!(verify_inclusion(leaf, index, &head, &altered), wrong);
        }
        for other in [index ^ 1, index + 1, index / 2].into_iter().filter(|i| *i != index) {
            prop_assert!(verify_inclusion(leaf, other, &head, &path).is_err());
        }
        let longer = [path.as_slice(), &[leaf]].concat();
        prop_assert_eq!(verify_inclusion(leaf, index, &head, &longer), Err(ProofError::Length));
        if let Some((_, shorter)) = path.split_last() {
            prop_assert!(verify_inclusion(leaf, index, &head, shorter).is_err());
        }
    }

    #[test]
    fn a_consistency_proof_holds_and_no_bit_of_it_can_change(
        new in 2u64..1500, old in any::<prop::sample::Index>(), bit in 0usize..256,
    ) {
        let old = 1 + old.index(usize::try_from(new - 1).unwrap()) as u64;
        let log = TestLog::of_size(new);
        let (old_head, new_head) = (TestLog::of_size(old).head(), log.head());
        let path = proof::consistency(old, new, &|id| log.read(id)).unwrap();
        prop_assert_eq!(verify_consistency(&old_head, &new_head, &path), Ok(()));

        let wrong = Err(ProofError::WrongRoot);
        let forged = Head { root: flip(old_head.root, bit), ..old_head };
        prop_assert_eq!(verify_consistency(&forged, &new_head, &path), wrong);
        let forged = Head { root: flip(new_head.root, bit), ..new_head };
        prop_assert_eq!(verify_consistency(&old_head, &forged, &path), wrong);
        for place in 0..path.len() {
            let mut altered = path.clone();
            altered[place] = flip(altered[place], bit);
            prop_assert_eq!(verify_consistency(&old_head, &new_head, &altered), wrong);
        }
        let longer = [path.as_slice(), &[new_head.root]].concat();
        prop_assert_eq!(verify_consistency(&old_head, &new_head, &longer), Err(ProofError::Length));
        if let Some((_, shorter)) = path.split_last() {
            prop_assert!(verify_consistency(&old_head, &new_head, shorter).is_err());
        }
    }
}
