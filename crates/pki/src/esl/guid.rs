//! GUIDs as UEFI writes them.

use std::fmt;
use std::str::FromStr;

/// A GUID: in memory the first three groups little-endian, as text
/// `8be4df61-93ca-11d2-aa0d-00e098032b8c` (UEFI 2.10, appendix A).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Guid([u8; 16]);

/// A text that is not a GUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a GUID is written like `8be4df61-93ca-11d2-aa0d-00e098032b8c`")]
pub struct BadGuid;

impl Guid {
    /// From its groups, the last two together.
    pub const fn new(first: u32, second: u16, third: u16, rest: [u8; 8]) -> Self {
        let (a, b, c) = (first.to_le_bytes(), second.to_le_bytes(), third.to_le_bytes());
        let [d, e, f, g, h, i, j, k] = rest;
        Self([a[0], a[1], a[2], a[3], b[0], b[1], c[0], c[1], d, e, f, g, h, i, j, k])
    }

    /// As it stands in memory.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// A random GUID (RFC 9562, version 4) of 16 random bytes.
    pub fn from_random(mut bytes: [u8; 16]) -> Self {
        // The version is in the third group, whose high byte comes second in memory.
        bytes[7] = bytes[7] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Self(bytes)
    }

    /// As it stands in memory.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// The places of the bytes of a GUID's text in memory.
const TEXT_ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, place) in TEXT_ORDER.into_iter().enumerate() {
            let dash = if matches!(number, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{dash}{:02x}", self.0[place])?;
        }
        Ok(())
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guid({self})")
    }
}

impl FromStr for Guid {
    type Err = BadGuid;

    fn from_str(text: &str) -> Result<Self, BadGuid> {
        let groups: Vec<&str> = text.split('-').collect();
        if groups.iter().map(|group| group.len()).ne([8, 4, 4, 4, 12]) {
            return Err(BadGuid);
        }
        let digits = hex::decode(groups.concat()).map_err(|_| BadGuid)?;
        let mut bytes = [0; 16];
        for (place, byte) in TEXT_ORDER.into_iter().zip(digits) {
            bytes[place] = byte;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_mixes_the_order_of_bytes() {
        let text = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
        let guid: Guid = text.parse().unwrap();
        assert_eq!(hex::encode(guid.as_bytes()), "61dfe48bca93d211aa0d00e098032b8c");
        assert_eq!(guid.to_string(), text);
        let rest = [0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c];
        assert_eq!(guid, Guid::new(0x8be4df61, 0x93ca, 0x11d2, rest));
        for bad in
            ["", "8be4df61", "8be4df6193ca11d2aa0d00e098032b8c", "8be4df61-93ca-11d2-aa0d-00e098032b8g"]
        {
            assert_eq!(bad.parse::<Guid>(), Err(BadGuid), "{bad}");
        }
    }

    #[test]
    fn a_random_guid_says_that_it_is_random() {
        let text = Guid::from_random([0xff; 16]).to_string();
        assert_eq!(text, "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
