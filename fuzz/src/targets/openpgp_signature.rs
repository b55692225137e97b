//! Detached OpenPGP signatures, binary and armored.

use std::sync::OnceLock;

use countersign_openpgp::{Certificate, DetachedSignature};

/// A signature that a key of the seeds is found to have made is one of the seeds', over their content.
pub fn openpgp_signature(data: &[u8]) {
    let Ok(found) = DetachedSignature::read(data) else { return };
    for signature in &found {
        for at in [0, u32::MAX] {
            let content = signature.hash_of(b"not what the seeds are over");
            assert!(signature.verify(content, keys(), at).is_err());
        }
        if let Ok(good) = signature.verify(signature.hash_of(b"hello"), keys(), 1_795_300_000) {
            assert_eq!(good.signed_at, signature.created());
        }
    }
}

fn keys() -> &'static [Certificate] {
    static KEYS: OnceLock<Vec<Certificate>> = OnceLock::new();
    KEYS.get_or_init(|| {
        let seeds: [&[u8]; 2] = [
            include_bytes!("../../../fixtures/openpgp/subkey.asc"),
            include_bytes!("../../../fixtures/openpgp/weak-hash.asc"),
        ];
        seeds.iter().map(|seed| Certificate::read(seed).expect("a seed is a key")).collect()
    })
}
