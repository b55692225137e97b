//! Keys at rest.

use std::sync::OnceLock;

use countersign_keyhost::seal::{DataKeys, SealKey};
use countersign_keyhost::wire::WrappedDataKey;

/// The first byte says how to read the rest: 0 as a sealed key, 1 as a sealed secret, both behind the magic
/// and the id of the data key; else as a wrapped data key. Nothing opens that was not sealed with these very
/// keys, which are made anew in each run.
pub fn sealed_blob(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    let (keys, start) = this_run();
    let blob = [start, rest].concat();
    match kind {
        0 => assert!(keys.open(&blob).is_err()),
        1 => assert!(keys.open_secret("hawk:seed", &blob).is_err()),
        _ => {
            let wrapped = WrappedDataKey { id: "00".repeat(16), wrapped: rest.to_vec() };
            let seal = SealKey::Raw([7; 32].into());
            assert!(DataKeys::unwrap(&[wrapped], &seal).is_err());
        }
    }
}

/// The data keys of this run, and how every blob that they seal begins.
fn this_run() -> &'static (DataKeys, Vec<u8>) {
    const MAGIC_AND_ID: usize = 4 + 16;
    static KEYS: OnceLock<(DataKeys, Vec<u8>)> = OnceLock::new();
    KEYS.get_or_init(|| {
        let keys = DataKeys::generate().expect("the machine has randomness");
        let mut start = keys.seal_secret("start", &[]).expect("an empty secret can be sealed");
        start.truncate(MAGIC_AND_ID);
        (keys, start)
    })
}
