//! Records of a backup, inside its encryption; and the header outside it.

use countersign_core::backup::Header;
use countersign_core::backup::records::Records;

/// Records that are read are written again byte by byte, up to the end record.
pub fn backup_records(data: &[u8]) {
    let _ = Header::read(&mut &*data);
    let mut records = Records::new(data);
    let mut written = Vec::new();
    while let Ok(Some(record)) = records.next_record() {
        written.extend(record.to_bytes().expect("it was read, so it is not too long"));
    }
    assert!(data.starts_with(&written));
}
