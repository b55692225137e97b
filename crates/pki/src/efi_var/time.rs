//! EFI_TIME.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::Offset;

/// EFI_TIME (UEFI 2.10, 8.3) as authenticated variables have it: UTC, whole seconds, the rest zero.
///
/// ```text
/// Year u16le, Month, Day, Hour, Minute, Second, Pad1, Nanosecond u32, TimeZone i16, Daylight, Pad2
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EfiTime([u8; 16]);

impl EfiTime {
    /// The time of updates that append.
    pub const ZERO: Self = Self([0; 16]);

    /// The time in whole seconds, UTC; `None` outside the years 1900 to 9999.
    pub fn new(at: Timestamp) -> Option<Self> {
        let utc = Offset::UTC.to_datetime(at);
        let year = u16::try_from(utc.year()).ok().filter(|year| (1900..=9999).contains(year))?;
        let mut bytes = [0; 16];
        bytes[..2].copy_from_slice(&year.to_le_bytes());
        let fields = [utc.month(), utc.day(), utc.hour(), utc.minute(), utc.second()];
        for (slot, field) in bytes[2..7].iter_mut().zip(fields) {
            // Months to seconds are never negative.
            *slot = field.unsigned_abs();
        }
        Some(Self(bytes))
    }

    /// Reads 16 bytes; `None` if a field that is always zero is not.
    pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        (bytes[7..] == [0; 9]).then_some(Self(bytes))
    }

    /// As it stands in the variable.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for EfiTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [y0, y1, month, day, hour, minute, second, ..] = self.0;
        let year = u16::from_le_bytes([y0, y1]);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

impl fmt::Debug for EfiTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EfiTime({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_little_endian_and_the_rest_is_zero() {
        let time = EfiTime::new("2026-11-20T21:32:52.9Z".parse().unwrap()).unwrap();
        assert_eq!(hex::encode(time.as_bytes()), "ea070b14152034000000000000000000");
        assert_eq!(time.to_string(), "2026-11-20T21:32:52Z");
        assert_eq!(EfiTime::from_bytes(*time.as_bytes()), Some(time));
        assert_eq!(EfiTime::new("1899-12-31T23:59:59Z".parse().unwrap()), None);
        let mut zoned = *time.as_bytes();
        zoned[12] = 60;
        assert_eq!(EfiTime::from_bytes(zoned), None);
    }
}
