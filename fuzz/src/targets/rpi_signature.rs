//! Signatures of Raspberry Pi images.

use countersign_pki::rpi_eeprom::EepromSignature;

/// What is read has a signature of the one length.
pub fn rpi_signature(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(read) = EepromSignature::parse(text)
    {
        assert_eq!(read.signature.len(), 256);
        assert!(text.starts_with(|c: char| c.is_ascii_hexdigit()));
    }
}
