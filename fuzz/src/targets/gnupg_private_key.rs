//! GnuPG's private key files.

use countersign_keyhost::archive::gnupg::{read_private_key, write_private_key};
use countersign_model::key::PrivateKey as _;

/// A key that is let in can be written in our form and is let in from it as the same key; no error shows any
/// of it.
pub fn gnupg_private_key(data: &[u8]) {
    match read_private_key("k", data) {
        Ok(key) => {
            let pkcs8 = key.to_pkcs8().expect("a key that was let in can be sealed");
            let (grip, file) = write_private_key(&pkcs8).expect("only RSA keys are let in");
            assert_eq!(grip.len(), 40);
            let again = read_private_key("k", &file).expect("our own file is read again");
            assert_eq!(again.public().id(), key.public().id());
        }
        Err(error) => assert!(error.to_string().len() < 300, "an error is a sentence: {error}"),
    }
}
