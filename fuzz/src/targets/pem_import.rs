//! Private keys that somebody wants to bring.

use countersign_keyhost::soft::{ImportError, SoftKey};
use countersign_model::key::PrivateKey as _;
use countersign_model::pem;
use der::Decode as _;
use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::pkcs5::pbes2::Kdf;

/// A key that is let in is let in again from its own PKCS#8 as the same key; no error shows any of it.
pub fn pem_import(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut results = vec![SoftKey::from_pem(text, None)];
    if is_cheap(text) {
        results.push(SoftKey::from_pem(text, Some(b"passphrase of the seeds")));
    }
    for result in results {
        match result {
            Ok(key) => same_again(&key),
            Err(ImportError::Malformed(why)) => assert!(why.len() < 1000, "an error is a sentence: {why}"),
            Err(_) => {}
        }
    }
}

fn same_again(key: &SoftKey) {
    let pkcs8 = key.to_pkcs8().expect("a key that was let in can be sealed");
    let again = SoftKey::from_pkcs8(key.public().key_type(), &pkcs8).expect("our own PKCS#8 is read again");
    assert_eq!(again.public().id(), key.public().id());
}

/// Whether trying the passphrase costs next to nothing, or is refused before it costs anything. In between
/// lies what a person may wait for and a fuzzer should not.
fn is_cheap(text: &str) -> bool {
    const REFUSED: u64 = 10_000_000;
    let Ok(blocks) = pem::blocks(text) else { return true };
    blocks.iter().all(|block| {
        let Ok(info) = EncryptedPrivateKeyInfoRef::from_der(&block.der) else { return true };
        let Some(pbes2) = info.encryption_algorithm.pbes2() else { return true };
        match &pbes2.kdf {
            Kdf::Pbkdf2(parameters) => {
                let iterations = u64::from(parameters.iteration_count);
                iterations <= 10_000 || iterations > REFUSED
            }
            Kdf::Scrypt(parameters) => {
                let cost = u128::from(parameters.cost_parameter)
                    * u128::from(parameters.block_size)
                    * u128::from(parameters.parallelization);
                128 * cost <= 1 << 20 || 128 * cost > 1 << 30
            }
            _ => true,
        }
    })
}
