//! OpenPGP public keys, binary and armored.

use countersign_openpgp::{Certificate, KeyQuery};

/// What is read comes out in both forms as the same packets, and is judged without harm at any time.
pub fn openpgp_certificate(data: &[u8]) {
    let Ok(all) = Certificate::read_all(data) else { return };
    for certificate in all.iter().take(4) {
        let again = Certificate::from_packets(certificate.packets()).expect("our own packets are read again");
        assert_eq!(again.packets(), certificate.packets());
        let armored =
            Certificate::read(certificate.to_armored().as_bytes()).expect("our own armor is read again");
        assert_eq!(armored.packets(), certificate.packets());
        assert_eq!(armored.user_ids().count(), certificate.user_ids().count());
        assert!(certificate.answers_to(&KeyQuery::Fingerprint(certificate.fingerprint())));
        for at in [0, certificate.primary().created(), u32::MAX] {
            let _ = certificate.check(at);
        }
    }
}
