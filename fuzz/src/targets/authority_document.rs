//! Documents of one authority.

use countersign_records::authorities::{AuthorityKey, AuthorityKeys};

/// A key is what its members say, is there once, and is read again as it is written.
pub fn authority_document(data: &[u8]) {
    let Ok(authority) = serde_json::from_slice::<AuthorityKeys>(data) else { return };
    for key in &authority.keys {
        assert_eq!(key.id, key.public_key.id());
        assert_eq!(authority.key(&key.id), Some(key));
        let written = serde_json::to_value(key).expect("a key is JSON");
        let read: AuthorityKey = serde_json::from_value(written.clone()).expect("our own key is read again");
        assert_eq!(serde_json::to_value(&read).expect("a key is JSON"), written);
    }
}
