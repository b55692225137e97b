//! PE images and their certificate tables.

use countersign_pki::authenticode::{PeImage, attach, verify};

use super::certificate::known;

/// An image that is read takes one more signature, with which it has the digest it had.
pub fn authenticode(data: &[u8]) {
    let _ = verify(data, &known());
    let Ok(image) = PeImage::parse(data) else {
        assert!(attach(data.to_vec(), b"\x30\x00").is_err());
        return;
    };
    let signed = attach(data.to_vec(), b"\x30\x00").unwrap_or_else(|error| panic!("{error}"));
    let again = PeImage::parse(&signed).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(again.digest(), image.digest());
    assert_eq!(again.signatures().count(), image.signatures().count() + 1);
    assert_eq!(signed.len() % 8, 0);
}
