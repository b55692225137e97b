//! PEM blocks (RFC 7468) in a text that may hold several.

use pem_rfc7468::{Decoder, LineEnding};
use zeroize::Zeroizing;

/// One block: its label and its content. The content may be secret, so it is wiped when dropped.
pub struct Block {
    /// The text between `BEGIN` and the dashes, e.g. `PUBLIC KEY`.
    pub label: String,
    /// The content, usually DER.
    pub der: Zeroizing<Vec<u8>>,
}

/// Why a text holds no readable PEM.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// No `-----BEGIN …-----` line.
    #[error("no PEM block: a line `-----BEGIN …-----` is expected")]
    None,
    /// A block without its end, or with content that is not base64.
    #[error("PEM block {number} is malformed")]
    Malformed {
        /// Counted from 1.
        number: usize,
    },
    /// More blocks or bytes than any key file has.
    #[error("too large: at most {MAX_BLOCKS} PEM blocks in {MAX_BYTES} bytes")]
    TooLarge,
}

const MAX_BLOCKS: usize = 64;
const MAX_BYTES: usize = 1 << 20;
const BEGIN: &str = "-----BEGIN ";

/// All blocks of `text`, in order. What stands outside the blocks is passed over.
///
/// # Errors
/// [`PemError`]; never partial results.
pub fn blocks(text: &str) -> Result<Vec<Block>, PemError> {
    if text.len() > MAX_BYTES {
        return Err(PemError::TooLarge);
    }
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some(start) = find_line(rest, BEGIN) {
        if blocks.len() == MAX_BLOCKS {
            return Err(PemError::TooLarge);
        }
        let malformed = || PemError::Malformed { number: blocks.len() + 1 };
        let label = rest[start + BEGIN.len()..].split_once("-----").ok_or_else(malformed)?.0;
        let end_line = format!("-----END {label}-----");
        let end = start + rest[start..].find(&end_line).ok_or_else(malformed)? + end_line.len();
        let block = &rest[start..end];
        let der = decode(block.as_bytes()).ok_or_else(malformed)?;
        blocks.push(Block { label: label.to_owned(), der });
        rest = &rest[end..];
    }
    if blocks.is_empty() { Err(PemError::None) } else { Ok(blocks) }
}

fn decode(block: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut decoder = Decoder::new_detect_wrap(block).ok()?;
    let mut der = Zeroizing::new(vec![0; decoder.remaining_len()]);
    decoder.decode(&mut der).ok()?;
    Some(der)
}

/// Where a line that starts with `start` begins.
fn find_line(text: &str, start: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = text[from..].find(start).map(|i| i + from) {
        if at == 0 || text.as_bytes()[at - 1] == b'\n' {
            return Some(at);
        }
        from = at + start.len();
    }
    None
}

/// `der` as one block, lines of 64 characters, ending with a line feed.
pub fn encode(label: &'static str, der: &[u8]) -> String {
    pem_rfc7468::encode_string(label, LineEnding::LF, der)
        .expect("the label is a constant of ours and the length fits in memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_in_order_and_text_around_them_is_passed_over() {
        let text =
            format!("subject=x\n{}\nnoise\n{}", encode("PUBLIC KEY", b"a"), encode("CERTIFICATE", b"bc"));
        let got = blocks(&text).unwrap();
        let got: Vec<_> = got.iter().map(|b| (b.label.as_str(), b.der.as_slice())).collect();
        assert_eq!(got, [("PUBLIC KEY", b"a".as_slice()), ("CERTIFICATE", b"bc")]);
    }

    #[test]
    fn malformed_texts_are_refused() {
        assert_eq!(blocks("").err(), Some(PemError::None));
        assert_eq!(blocks("x-----BEGIN A-----").err(), Some(PemError::None));
        for bad in [
            "-----BEGIN A",
            "-----BEGIN A-----\nYQ==\n",
            "-----BEGIN A-----\nYQ==\n-----END B-----\n",
            "-----BEGIN A-----\n!!!!\n-----END A-----\n",
        ] {
            assert_eq!(blocks(bad).err(), Some(PemError::Malformed { number: 1 }), "{bad}");
        }
    }
}
