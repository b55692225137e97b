//! X.509 certificates.

use std::sync::LazyLock;

use countersign_pki::x509::Certificate;

/// A certificate is kept as it was given.
pub fn certificate(data: &[u8]) {
    if let Ok(certificate) = Certificate::from_der(data) {
        assert_eq!(certificate.der(), data);
        assert_eq!(Certificate::from_pem(&certificate.to_pem()).as_ref(), Ok(&certificate));
        let _ = certificate.subject().to_string();
        let _ = certificate.is_signed_by(certificate.public_key());
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Certificate::from_pem(text);
    }
}

static KNOWN: LazyLock<Option<Certificate>> =
    LazyLock::new(|| Certificate::from_der(include_bytes!("../../corpus/certificate/db")).ok());

/// The signer of the seeds.
pub(super) fn known() -> Certificate {
    KNOWN.clone().unwrap_or_else(|| panic!("the seed is a certificate"))
}
