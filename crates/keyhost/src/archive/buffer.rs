//! A buffer for bytes that hold keys: whatever memory it used is wiped. What packs and unpacks them keeps a window of
//! its own (32 KiB, in flate2), which stays in the key host's memory until it is used again.

use std::io::{self, Read, Write};

use zeroize::{Zeroize as _, Zeroizing};

/// Grows by moving to larger memory and wiping the old, which a plain `Vec` would leave behind.
pub(super) struct WipedBuffer {
    bytes: Zeroizing<Vec<u8>>,
}

impl WipedBuffer {
    pub(super) fn new() -> Self {
        Self { bytes: Zeroizing::new(Vec::with_capacity(64 << 10)) }
    }

    /// All that `source` has, at most `limit` bytes; `None` if there is more.
    ///
    /// # Errors
    /// As reading does.
    pub(super) fn read_from(source: &mut impl Read, limit: usize) -> io::Result<Option<Self>> {
        let mut buffer = Self::new();
        let mut piece = Zeroizing::new([0; 8 << 10]);
        loop {
            match source.read(piece.as_mut_slice())? {
                0 => return Ok(Some(buffer)),
                count if buffer.bytes.len() + count > limit => return Ok(None),
                count => buffer.push(&piece[..count]),
            }
        }
    }

    pub(super) fn push(&mut self, more: &[u8]) {
        let wanted = self.bytes.len() + more.len();
        if wanted > self.bytes.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(wanted.next_power_of_two()));
            larger.extend_from_slice(&self.bytes);
            self.bytes.zeroize();
            self.bytes = larger;
        }
        self.bytes.extend_from_slice(more);
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }
}

impl Write for WipedBuffer {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        self.push(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
