//! EFI signature lists.

use countersign_pki::esl::SignatureDatabase;

/// What is read as lists is written again byte by byte.
pub fn efi_signature_list(data: &[u8]) {
    if let Ok(database) = SignatureDatabase::parse(data) {
        assert_eq!(database.to_bytes(), data);
        assert!(database.lists().iter().all(|list| !list.entries().is_empty()));
    }
}
