//! GnuPG's keyboxes.

use countersign_keyhost::archive::gnupg::{KeyBlock, read_keybox, write_keybox};

/// Keys that are read can be written to a keybox of ours, if their packets are whole, and are read from it again.
pub fn gnupg_keybox(data: &[u8]) {
    let Ok(blocks) = read_keybox(data) else { return };
    let whole: Vec<&KeyBlock<'_>> =
        blocks.iter().filter(|block| write_keybox([block.packets], 1_700_000_000).is_ok()).collect();
    let written = write_keybox(whole.iter().map(|block| block.packets), 1_700_000_000);
    let written = written.expect("keys that can be written one by one can be written together");
    let again = read_keybox(&written).expect("our own keybox is read again");
    assert_eq!(again.len(), whole.len());
    for (again, block) in again.iter().zip(whole) {
        assert_eq!((&again.fingerprint, again.packets), (&block.fingerprint, block.packets));
        assert_eq!(again.modulus, block.modulus);
    }
}
