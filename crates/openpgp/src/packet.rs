//! Packet framing: old-format headers out, both formats in.

/// The tags that are used here (RFC 4880, 4.3).
pub(crate) const SIGNATURE: u8 = 2;
pub(crate) const PUBLIC_KEY: u8 = 6;
pub(crate) const MARKER: u8 = 10;
pub(crate) const TRUST: u8 = 12;
pub(crate) const USER_ID: u8 = 13;
pub(crate) const PUBLIC_SUBKEY: u8 = 14;
pub(crate) const PADDING: u8 = 21;

/// One packet among others, with its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet<'a> {
    pub(crate) tag: u8,
    pub(crate) whole: &'a [u8],
    pub(crate) body: &'a [u8],
}

/// Bytes that are not a whole number of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not OpenPGP packets")]
pub(crate) struct BadPacket;

/// Appends a packet with an old-format header and the shortest length (RFC 4880, 4.2.1).
pub(crate) fn write(tag: u8, body: &[u8], out: &mut Vec<u8>) {
    let first = 0x80 | tag << 2;
    match body.len() {
        length @ 0..=0xff => out.extend_from_slice(&[first, length as u8]),
        length @ 0x100..=0xffff => {
            out.push(first | 1);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(first | 2);
            out.extend_from_slice(&(length as u32).to_be_bytes());
        }
    }
    out.extend_from_slice(body);
}

/// Takes the first packet off `bytes`. Partial and indeterminate lengths belong to messages, not to keys and
/// signatures: refused.
pub(crate) fn take<'a>(bytes: &mut &'a [u8]) -> Result<Packet<'a>, BadPacket> {
    let all = *bytes;
    let (first, rest) = all.split_first().ok_or(BadPacket)?;
    let big_endian = |octets: usize| {
        let digits = rest.get(..octets)?;
        Some((octets, digits.iter().fold(0usize, |n, d| n << 8 | usize::from(*d))))
    };
    let (tag, length) = if first & 0xc0 == 0xc0 {
        let length = match rest.first() {
            Some(length @ 0..=191) => Some((1, usize::from(*length))),
            Some(high @ 192..=223) => {
                rest.get(1).map(|low| (2, ((usize::from(*high) - 192) << 8) + usize::from(*low) + 192))
            }
            Some(255) => rest.get(1..5).map(|d| (5, d.iter().fold(0usize, |n, d| n << 8 | usize::from(*d)))),
            _ => None,
        };
        (first & 0x3f, length)
    } else if first & 0x80 != 0 {
        let length = match first & 3 {
            0 => big_endian(1),
            1 => big_endian(2),
            2 => big_endian(4),
            _ => None,
        };
        (first >> 2 & 0x0f, length)
    } else {
        return Err(BadPacket);
    };
    let (octets, length) = length.ok_or(BadPacket)?;
    let start = 1 + octets;
    let end = start.checked_add(length).ok_or(BadPacket)?;
    let whole = all.get(..end).ok_or(BadPacket)?;
    *bytes = &all[end..];
    Ok(Packet { tag, whole, body: &whole[start..] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_at_every_width_of_the_length() {
        for length in [0, 1, 0xff, 0x100, 0xffff, 0x1_0000] {
            let body = vec![7; length];
            let mut bytes = Vec::new();
            write(SIGNATURE, &body, &mut bytes);
            bytes.push(1);
            let mut rest = bytes.as_slice();
            let packet = take(&mut rest).unwrap();
            assert_eq!((packet.tag, packet.body, rest), (SIGNATURE, body.as_slice(), [1].as_slice()));
            assert!(take(&mut &bytes[..packet.whole.len() - 1]).is_err(), "cut short");
        }
    }

    #[test]
    fn new_format_headers_are_read_and_partial_lengths_refused() {
        // RFC 9580, 4.2.1: the examples of lengths 100 and 1723.
        let mut bytes = vec![0xc0 | USER_ID, 0x64];
        bytes.extend_from_slice(&[1; 100]);
        assert_eq!(take(&mut bytes.as_slice()).unwrap().body.len(), 100);
        let mut bytes = vec![0xc0 | USER_ID, 0xc5, 0xfb];
        bytes.extend_from_slice(&[1; 1723]);
        assert_eq!(take(&mut bytes.as_slice()).unwrap().body.len(), 1723);
        let mut five = vec![0xc0 | USER_ID, 0xff, 0, 0, 0, 2];
        five.extend_from_slice(&[1; 2]);
        assert_eq!(take(&mut five.as_slice()).unwrap().body.len(), 2);
        for bad in
            [&[][..], &[0x00, 0], &[0xc2, 0xe1, 0, 0], &[0x8b, 0, 0], &[0xc2, 0xff, 0xff, 0xff, 0xff, 0xff]]
        {
            assert!(take(&mut &bad[..]).is_err(), "{bad:02x?}");
        }
    }
}
