//! Certificate requests.

use countersign_pki::csr::Csr;

/// A request is kept as it was given.
pub fn csr(data: &[u8]) {
    if let Ok(request) = Csr::from_der(data) {
        assert_eq!(request.der(), data);
        assert_eq!(Csr::from_pem(&request.to_pem()).as_ref(), Ok(&request));
    }
}
