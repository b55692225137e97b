//! Tables of i.MX super root keys.

use countersign_pki::imx::srk;

/// A table's entries are cut out of the input and fill it; then it has a fuse value.
pub fn imx_srk_table(data: &[u8]) {
    if let Ok((_, entries)) = srk::entries(data) {
        assert_eq!(entries.iter().map(|entry| entry.len()).sum::<usize>() + 4, data.len());
    }
    if let Ok(fuses) = srk::fuses(data) {
        assert!(matches!(fuses.len(), 32 | 64));
        assert!(srk::entries(data).is_ok());
    }
}
