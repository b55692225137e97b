//! ASCII armor (RFC 4880, 6).
//!
//! ```text
//! -----BEGIN PGP SIGNATURE-----
//! Comment: headers are passed over          any number, then an empty line
//!
//! iQEzBAABCgAdFiEE4XJOsGHNTVicXgQC…         64 characters a line
//! =njUN                                     CRC-24; may be missing
//! -----END PGP SIGNATURE-----
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The longest armored text that is read, in bytes.
pub(crate) const MAX_TEXT: usize = 8 << 20;

/// What stands in the armor's first line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    PublicKey,
    SecretKey,
    Signature,
}

impl Kind {
    fn label(self) -> &'static str {
        match self {
            Self::PublicKey => "PGP PUBLIC KEY BLOCK",
            Self::SecretKey => "PGP PRIVATE KEY BLOCK",
            Self::Signature => "PGP SIGNATURE",
        }
    }

    fn begin(self) -> String {
        format!("-----BEGIN {}-----", self.label())
    }

    fn end(self) -> String {
        format!("-----END {}-----", self.label())
    }
}

/// `packets` in armor: lines of 64 characters, a checksum, no headers.
pub(crate) fn encode(kind: Kind, packets: &[u8]) -> String {
    let body = STANDARD.encode(packets);
    let mut text = String::with_capacity(body.len() + body.len() / 64 + 100);
    text.push_str(&kind.begin());
    text.push_str("\n\n");
    for line in body.as_bytes().chunks(64) {
        text.extend(line.iter().map(|b| char::from(*b)));
        text.push('\n');
    }
    text.push('=');
    text.push_str(&STANDARD.encode(crc24(packets)));
    text.push('\n');
    text.push_str(&kind.end());
    text.push('\n');
    text
}

/// Whether `bytes` begin like text rather than like a packet, whose first bit is set.
pub(crate) fn is_armored(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|b| b & 0x80 == 0)
}

/// Whether there is an armored block of this kind.
pub(crate) fn has(kind: Kind, text: &[u8]) -> bool {
    let begin = kind.begin();
    lines(text).any(|line| line == begin.as_bytes())
}

/// The packets in the first block of its kind; `None` if there is none, or it is damaged or longer than
/// [`MAX_TEXT`]. Text before and after it is passed over.
pub(crate) fn decode(kind: Kind, text: &[u8]) -> Option<Vec<u8>> {
    if text.len() > MAX_TEXT {
        return None;
    }
    let (begin, end) = (kind.begin(), kind.end());
    let mut lines = lines(text);
    lines.find(|line| *line == begin.as_bytes())?;
    // Headers, up to the empty line.
    lines.find(|line| line.is_empty() || !line.contains(&b':')).filter(|line| line.is_empty())?;
    let mut body = Vec::new();
    let mut checksum = None;
    loop {
        match lines.next()? {
            line if line == end.as_bytes() => break,
            line if line.first() == Some(&b'=') && checksum.is_none() => checksum = Some(&line[1..]),
            line if checksum.is_none() => body.extend_from_slice(line),
            _ => return None,
        }
    }
    let packets = STANDARD.decode(body).ok()?;
    let matches = checksum.is_none_or(|text| STANDARD.decode(text).is_ok_and(|sum| sum == crc24(&packets)));
    matches.then_some(packets)
}

/// Lines without their ends and without spaces around them.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|b| *b == b'\n').map(<[u8]>::trim_ascii)
}

/// RFC 4880, 6.1.
fn crc24(bytes: &[u8]) -> [u8; 3] {
    let mut crc = 0x00b7_04ce_u32;
    for byte in bytes {
        crc ^= u32::from(*byte) << 16;
        for _ in 0..8 {
            crc <<= 1;
            if crc & 0x0100_0000 != 0 {
                crc ^= 0x0186_4cfb;
            }
        }
    }
    let [_, a, b, c] = crc.to_be_bytes();
    [a, b, c]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_between_other_text_and_with_any_line_end() {
        let block = encode(Kind::Signature, &[0x88; 100]);
        let headed = block.replacen("\n\n", "\nVersion: 1\nComment: a: b\n\n", 1);
        for text in [&block, &format!("before\n{block}after\n"), &headed, &block.replace('\n', "\r\n")] {
            assert_eq!(decode(Kind::Signature, text.as_bytes()).unwrap(), [0x88; 100], "{text}");
        }
        let without: String =
            block.lines().filter(|line| !line.starts_with('=')).map(|l| format!("{l}\n")).collect();
        assert_eq!(decode(Kind::Signature, without.as_bytes()).unwrap(), [0x88; 100]);
    }

    #[test]
    fn damaged_blocks_and_those_of_another_kind_are_refused() {
        let block = encode(Kind::Signature, &[0x88; 100]);
        assert!(decode(Kind::PublicKey, block.as_bytes()).is_none());
        let cut = &block[..block.len() - 10];
        for bad in [
            cut,
            &block.replacen("iIiI", "iIiJ", 1),
            &block.replacen("iIiI", "i!iI", 1),
            &block.replacen("\n\n", "\n", 1),
        ] {
            assert!(decode(Kind::Signature, bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
