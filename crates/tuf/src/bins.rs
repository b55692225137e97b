//! Hash bins: one delegation that names many roles (TAP 15, "Succinct hash bin delegations").

use countersign_model::digest::sha256;

use crate::metadata::MetadataError;
use crate::root::Role;
use crate::shape::{Members, bad, positive, text};

/// How many bins a repository may be made with.
pub const MAX_BINS: u64 = 16_384;

/// A number of bins that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the number of bins is {0}: it must be a power of two from 2 to {MAX_BINS}")]
pub struct BadCount(pub u64);

/// A view of `succinct_roles`: 2 to the power `bit_length` bins with the same keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuccinctRoles {
    /// Keys and threshold of each bin.
    pub role: Role,
    bit_length: u8,
    name_prefix: String,
}

/// The number of bits for `count` bins.
///
/// # Errors
/// [`BadCount`] unless it is a power of two from 2 to [`MAX_BINS`].
pub fn bit_length(count: u64) -> Result<u8, BadCount> {
    if count.is_power_of_two() && (2..=MAX_BINS).contains(&count) {
        Ok(count.trailing_zeros() as u8)
    } else {
        Err(BadCount(count))
    }
}

impl SuccinctRoles {
    pub(crate) fn read(members: &Members) -> Result<Self, MetadataError> {
        let bit_length = u8::try_from(positive(members, "bit_length")?).ok().filter(|bits| *bits <= 32);
        Ok(Self {
            role: Role::read(members)?,
            bit_length: bit_length.ok_or_else(|| bad("bit_length", "from 1 to 32"))?,
            name_prefix: text(members, "name_prefix")?.to_owned(),
        })
    }

    /// Bits of a path's hash that choose its bin, 1 to 32.
    pub fn bit_length(&self) -> u8 {
        self.bit_length
    }

    /// How many bins there are.
    pub fn count(&self) -> u64 {
        1 << self.bit_length
    }

    /// The number of the bin that `path` belongs to: the first bits of SHA-256(`path`), a big-endian number.
    ///
    /// `path`: exactly as it stands in metadata, UTF-8, neither decoded nor normalised.
    pub fn bin_of(&self, path: &str) -> u32 {
        let hash = sha256(path.as_bytes());
        let head = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
        head >> (32 - self.bit_length)
    }

    /// The name of the bin that `path` belongs to.
    pub fn role_of(&self, path: &str) -> String {
        self.name(self.bin_of(path))
    }

    /// The name of a bin: prefix, `-`, number in lower-case hex, padded to the width of the greatest.
    pub fn name(&self, bin: u32) -> String {
        format!("{}-{bin:0width$x}", self.name_prefix, width = self.width())
    }

    /// The number of the bin of this name.
    pub fn bin_named(&self, name: &str) -> Option<u32> {
        let digits = name.strip_prefix(&self.name_prefix)?.strip_prefix('-')?;
        let lower = digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let bin = u32::from_str_radix(digits, 16).ok().filter(|_| lower && digits.len() == self.width())?;
        (u64::from(bin) < self.count()).then_some(bin)
    }

    /// The names of all bins, in order.
    pub fn names(&self) -> impl Iterator<Item = String> {
        (0..self.count()).map(|bin| self.name(bin as u32))
    }

    fn width(&self) -> usize {
        usize::from(self.bit_length).div_ceil(4)
    }
}
