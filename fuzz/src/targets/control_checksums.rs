//! Debian's control files, in which size and digests of a file are renewed.

use countersign_core::autograph::checksums::renewed;

/// Lines stay lines, a file that is not named changes nothing, and what was renewed stays as it is.
pub fn control_checksums(data: &[u8]) {
    assert_eq!(renewed(data, "a file that is not named", b"abc"), data);
    let once = renewed(data, "x_1.dsc", b"abc");
    let lines = |text: &[u8]| text.iter().filter(|b| **b == b'\n').count();
    assert_eq!(lines(&once), lines(data));
    assert_eq!(renewed(&once, "x_1.dsc", b"abc"), once);
}
