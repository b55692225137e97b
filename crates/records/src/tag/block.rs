//! Well-formed signature blocks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{AuthorityName, FormatError};

/// A signature of an authority: one header line and at least one line of base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    authority: AuthorityName,
    /// The lines below the header, each with its line feed, as they came or as we write them.
    text: Vec<u8>,
    signature: Vec<u8>,
}

/// Bytes that a signature may have: the shortest ECDSA in DER, and far beyond RSA-8192.
const LENGTH: std::ops::RangeInclusive<usize> = 8..=2048;

/// Characters in a line of base64, by custom.
const WIDTH: usize = 76;

impl Block {
    /// The block with this signature, written out.
    pub(super) fn new(authority: AuthorityName, signature: Vec<u8>) -> Result<Self, FormatError> {
        if !LENGTH.contains(&signature.len()) {
            return Err(FormatError::Length(signature.len()));
        }
        Ok(Self { authority, text: wrap(&signature), signature })
    }

    /// Takes a block as it was found: `body` is what stands below the header. `None` unless the name is
    /// one, the lines are base64 and nothing else, and decode to a signature's length.
    pub(super) fn well_formed(name: &[u8], body: &[u8]) -> Option<Self> {
        let authority = AuthorityName::from_bytes(name)?;
        let mut text = body.to_vec();
        if text.last() != Some(&b'\n') {
            text.push(b'\n');
        }
        if text.starts_with(b"\n") || text.windows(2).any(|pair| pair == b"\n\n") {
            return None;
        }
        let signature = decode(&text)?;
        LENGTH.contains(&signature.len()).then_some(Self { authority, text, signature })
    }

    /// Who signed.
    pub fn authority(&self) -> &AuthorityName {
        &self.authority
    }

    /// The signature as the format has it: RSA as long as the modulus, ECDSA in DER.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// The signature as text: lines of base64, each with its line feed.
    pub fn base64_lines(&self) -> &[u8] {
        &self.text
    }
}

/// Base64 in lines of 76 characters, each with its line feed.
fn wrap(signature: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    for line in STANDARD.encode(signature).as_bytes().chunks(WIDTH) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text
}

/// The signature in the lines below a header: standard base64 with padding, line feeds ignored. `None` if
/// it has any other byte, or is longer than any signature.
pub(super) fn decode(body: &[u8]) -> Option<Vec<u8>> {
    let longest = LENGTH.end().div_ceil(3) * 4;
    let characters: Vec<u8> = body.iter().copied().filter(|b| *b != b'\n').take(longest + 1).collect();
    if characters.len() > longest { None } else { STANDARD.decode(characters).ok() }
}
