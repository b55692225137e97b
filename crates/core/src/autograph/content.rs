//! What is to be signed, as it came: in base64, and hashed while it is decoded, so that it is there once only.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Error;

/// What is to be signed.
#[derive(Clone, Copy)]
pub enum Content<'a> {
    /// Base64 in the standard alphabet, padded. Line ends do not count.
    Base64(&'a str),
    /// The bytes.
    Bytes(&'a [u8]),
}

/// Characters that are decoded at a time: a multiple of four.
const STEP: usize = 16 << 10;

impl Content<'_> {
    /// Gives all bytes to `take`, piece by piece, and tells how many they are.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is not base64; then `take` has had a part of it.
    pub fn each(self, mut take: impl FnMut(&[u8])) -> Result<u64, Error> {
        let text = match self {
            Self::Bytes(bytes) => {
                take(bytes);
                return Ok(bytes.len() as u64);
            }
            Self::Base64(text) => without_line_ends(text),
        };
        let mut buffer = [0; STEP / 4 * 3];
        let (mut length, mut rest) = (0, text.as_bytes());
        while !rest.is_empty() {
            let (step, after) = rest.split_at(rest.len().min(STEP));
            let count = STANDARD.decode_slice(step, &mut buffer).map_err(|_| malformed())?;
            // Padding ends it.
            if count < step.len() / 4 * 3 && !after.is_empty() {
                return Err(malformed());
            }
            take(buffer.get(..count).unwrap_or_default());
            length += count as u64;
            rest = after;
        }
        Ok(length)
    }

    /// All bytes.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is not base64.
    pub fn bytes(self) -> Result<Vec<u8>, Error> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.to_vec()),
            Self::Base64(text) => {
                STANDARD.decode(without_line_ends(text).as_bytes()).map_err(|_| malformed())
            }
        }
    }
}

fn without_line_ends(text: &str) -> Cow<'_, str> {
    if text.contains(['\r', '\n']) { text.replace(['\r', '\n'], "").into() } else { text.into() }
}

fn malformed() -> Error {
    Error::invalid("illegal base64 data")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_up_the_whole() {
        for length in [0, 1, 2, 3, 100, STEP / 4 * 3 - 1, STEP / 4 * 3, STEP / 4 * 3 + 1, 2 * STEP] {
            let bytes: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            let text = STANDARD.encode(&bytes);
            let mut found = Vec::new();
            assert_eq!(
                Content::Base64(&text).each(|piece| found.extend_from_slice(piece)).unwrap(),
                length as u64
            );
            assert!(found == bytes && Content::Base64(&text).bytes().unwrap() == bytes, "{length}");
        }
        let mut found = Vec::new();
        Content::Base64("aGVs\r\nbG8=\n").each(|piece| found.extend_from_slice(piece)).unwrap();
        assert_eq!(found, b"hello");
    }

    #[test]
    fn what_is_not_base64_is_refused() {
        let padded_inside = format!("{}AA=={}", "A".repeat(STEP - 4), "A".repeat(8));
        for bad in ["a", "aGVsbG8", "aGV-", "aGV ", "aA=a", "====", "aGVsbG9=", &padded_inside] {
            assert!(Content::Base64(bad).each(|_| {}).is_err(), "{bad:.20}");
            assert!(Content::Base64(bad).bytes().is_err(), "{bad:.20}");
        }
    }
}
