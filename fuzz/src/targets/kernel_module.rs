//! Signed kernel modules.

use countersign_pki::kmod::{MAGIC, SignedModule, verify};

use super::certificate::known;

/// A module that verifies has been read, and its parts fill the file.
pub fn kernel_module(data: &[u8]) {
    let verified = verify(data, &known()).is_ok();
    match SignedModule::parse(data) {
        Ok(signed) => assert_eq!(signed.module.len() + signed.cms.len() + 12 + MAGIC.len(), data.len()),
        Err(_) => assert!(!verified),
    }
}
