//! Keys in TUF metadata, and signatures by them.

use countersign_tuf::canonical;
use countersign_tuf::key::{Key, default_id, key_object};

/// A line with a key object, then a line with a signature in hex. A key that can be used is the same key when it
/// is written by us.
pub fn tuf_key(data: &[u8]) {
    let (object, signature) = match data.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &b""[..]),
    };
    let Ok(object) = canonical::read(object) else { return };
    let Ok(key) = Key::from_value(&object) else { return };
    let signature = String::from_utf8_lossy(signature);
    let _ = key.verify(b"countersign test message", signature.trim_end());
    assert!(key.is_same(&key));
    let (Some(public), Some(scheme)) = (key.public_key(), key.signing_scheme()) else {
        assert!(key.usable().is_err());
        return;
    };
    let own = key_object(public, scheme).expect("it was read from such an object");
    let again = Key::from_value(&own).expect("our own object is read again");
    assert!(again.is_same(&key) && again.usable().is_ok());
    assert!(default_id(&own).is_ok());
}
