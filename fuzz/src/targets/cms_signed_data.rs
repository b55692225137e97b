//! SignedData.

use countersign_pki::cms::{Content, SignedData, verify_detached};

use super::certificate::known;

/// What is read borrows from what was given.
pub fn cms_signed_data(data: &[u8]) {
    let verdict = verify_detached(data, Content::Bytes(b"seed\n"), &known());
    match SignedData::parse(data) {
        Ok(signed) => {
            let _ = signed.signing_time();
            assert!(signed.certificates().iter().all(|certificate| certificate.len() < data.len()));
            assert!(signed.content().is_none_or(|content| content.len() < data.len()));
        }
        Err(_) => assert!(verdict.is_err()),
    }
}
