//! Chains of certificates.

use countersign_pki::chain::{Chain, MAX_CERTIFICATES};
use countersign_pki::extension::Purpose;

/// A chain is bounded and kept as it was given; whatever it is, it is judged.
pub fn certificate_chain(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(chain) = Chain::from_pem(text) else { return };
    let count = chain.certificates().count();
    assert!((1..=MAX_CERTIFICATES).contains(&count));
    assert_eq!(Chain::from_pem(&chain.to_pem()).as_ref(), Ok(&chain));
    if let Ok(at) = "2026-12-01T00:00:00Z".parse() {
        let verdict = chain.verify(Purpose::CodeSigning, at);
        assert!(count > 1 || verdict.is_err(), "nobody vouches for themselves");
    }
}
