//! Public keys in PEM and DER.

use countersign_model::{PublicKey, Scheme};

/// What is read as a public key has one SubjectPublicKeyInfo and one id, and checking a signature with it
/// ends, whatever the key.
pub fn public_key_pem(data: &[u8]) {
    if let Ok(key) = PublicKey::from_spki(data) {
        same_again(&key);
    }
    let _ = PublicKey::from_rsa_public_key(data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(key) = PublicKey::from_pem(text) {
        same_again(&key);
    }
}

fn same_again(key: &PublicKey) {
    let again = PublicKey::from_pem(&key.to_pem()).expect("our own PEM is read again");
    assert_eq!(again.spki(), key.spki());
    assert_eq!(again.id(), key.id());
    for scheme in Scheme::ALL {
        let _ = key.verifier(scheme);
    }
}
