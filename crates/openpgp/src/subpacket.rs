//! Subpackets: what a signature says beside that it is one (RFC 4880, 5.2.3.1).

/// Types that are used here.
pub(crate) const CREATED: u8 = 2;
pub(crate) const SIGNATURE_LIFETIME: u8 = 3;
pub(crate) const KEY_LIFETIME: u8 = 9;
pub(crate) const ISSUER: u8 = 16;
pub(crate) const PREFERRED_HASHES: u8 = 21;
pub(crate) const KEY_FLAGS: u8 = 27;
pub(crate) const REVOCATION_REASON: u8 = 29;
pub(crate) const FEATURES: u8 = 30;
pub(crate) const EMBEDDED: u8 = 32;
pub(crate) const ISSUER_FINGERPRINT: u8 = 33;

/// Types that may be critical: those above, and those that change nothing for whoever only verifies
/// (exportable, revocable, preferences, primary user id, policy, signer's user id).
const UNDERSTOOD: [u8; 19] = [
    CREATED,
    SIGNATURE_LIFETIME,
    4,
    7,
    KEY_LIFETIME,
    11,
    ISSUER,
    PREFERRED_HASHES,
    22,
    23,
    25,
    26,
    KEY_FLAGS,
    28,
    REVOCATION_REASON,
    FEATURES,
    EMBEDDED,
    ISSUER_FINGERPRINT,
    34,
];

const CRITICAL: u8 = 0x80;

/// The subpackets of the hashed or of the unhashed area: type, with its critical bit, and content.
#[derive(Clone, Debug)]
pub(crate) struct Area(Vec<(u8, Vec<u8>)>);

impl Area {
    /// Reads a whole area.
    pub(crate) fn parse(mut bytes: &[u8]) -> Option<Self> {
        let mut subpackets = Vec::new();
        while let Some((first, rest)) = bytes.split_first() {
            let (length, rest) = match *first {
                length @ 0..=191 => (usize::from(length), rest),
                high @ 192..=254 => {
                    let (low, rest) = rest.split_first()?;
                    (((usize::from(high) - 192) << 8) + usize::from(*low) + 192, rest)
                }
                255 => {
                    let (length, rest) = rest.split_first_chunk::<4>()?;
                    (u32::from_be_bytes(*length) as usize, rest)
                }
            };
            let (subpacket, rest) = rest.split_at_checked(length)?;
            let (kind, content) = subpacket.split_first()?;
            subpackets.push((*kind, content.to_vec()));
            bytes = rest;
        }
        Some(Self(subpackets))
    }

    /// The content of the first subpacket of this type.
    pub(crate) fn find(&self, kind: u8) -> Option<&[u8]> {
        self.0.iter().find(|(found, _)| found & !CRITICAL == kind).map(|(_, content)| content.as_slice())
    }

    /// The content of a subpacket of four bytes: a time or a number of seconds.
    pub(crate) fn number(&self, kind: u8) -> Option<u32> {
        Some(u32::from_be_bytes(self.find(kind)?.try_into().ok()?))
    }

    /// The type of a critical subpacket that a verifier here does not understand.
    pub(crate) fn not_understood(&self) -> Option<u8> {
        let critical =
            self.0.iter().filter(|(kind, _)| kind & CRITICAL != 0).map(|(kind, _)| kind & !CRITICAL);
        critical.into_iter().find(|kind| !UNDERSTOOD.contains(kind))
    }
}

/// Appends a subpacket of at most 190 bytes that is not critical.
pub(crate) fn write(kind: u8, content: &[u8], out: &mut Vec<u8>) {
    out.push(1 + content.len() as u8);
    out.push(kind);
    out.extend_from_slice(content);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_all_widths_are_read_and_cut_ones_refused() {
        let long = [vec![192, 8, 20], vec![7; 199]].concat();
        assert_eq!(Area::parse(&long).unwrap().find(20), Some(&[7; 199][..]));
        let five = [255, 0, 0, 0, 2, 0x80 | 27, 3];
        assert_eq!(Area::parse(&five).unwrap().find(27), Some(&[3][..]));
        assert!(Area::parse(&[]).unwrap().find(2).is_none());
        for bad in [&[0][..], &[2, 27], &[192], &[255, 0, 0, 0], &[255, 0xff, 0xff, 0xff, 0xff, 1]] {
            assert!(Area::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_critical_subpacket_must_be_understood() {
        let area = |kind: u8| Area::parse(&[2, kind, 0]).unwrap().not_understood();
        assert_eq!(area(0x80 | 27), None);
        assert_eq!(area(20), None, "not critical");
        assert_eq!(area(0x80 | 20), Some(20), "a notation may mean anything");
        assert_eq!(area(0x80 | 100), Some(100));
    }
}
