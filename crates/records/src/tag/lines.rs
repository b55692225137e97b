//! Lines, and which of them are headers.

/// A line of a file.
pub(super) struct Line<'a> {
    /// Counted from 1.
    pub number: usize,
    /// Where it begins.
    pub start: usize,
    /// Its bytes without the line feed.
    pub text: &'a [u8],
}

/// The lines of `bytes`, which may lack the last line feed.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let mut start = 0;
    bytes.split_inclusive(|b| *b == b'\n').enumerate().map(move |(index, whole)| {
        let line = Line { number: index + 1, start, text: whole.strip_suffix(b"\n").unwrap_or(whole) };
        start += whole.len();
        line
    })
}

/// The name in a header line, `^=== SIGNATURE ([^ ]+) *$`, as it stands there. `None` for other lines.
pub(super) fn header_name(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"=== SIGNATURE ")?;
    let end = rest.iter().rposition(|b| *b != b' ')? + 1;
    let name = &rest[..end];
    if name.contains(&b' ') { None } else { Some(name) }
}

/// Whether a person could take the line for a header: `^[ \t]*===[ \t]*SIGNATURE\b` in any case. A carriage
/// return counts as the end of a line, since it looks like one.
pub(super) fn looks_like_header(line: &[u8]) -> bool {
    line.split(|b| *b == b'\r').any(|line| {
        let Some(rest) = skip_blanks(line).strip_prefix(b"===") else { return false };
        let Some((word, after)) = skip_blanks(rest).split_at_checked(SIGNATURE.len()) else { return false };
        let ends = after.first().is_none_or(|b| !b.is_ascii_alphanumeric() && *b != b'_');
        word.eq_ignore_ascii_case(SIGNATURE) && ends
    })
}

const SIGNATURE: &[u8] = b"SIGNATURE";

fn skip_blanks(bytes: &[u8]) -> &[u8] {
    let blanks = bytes.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    &bytes[blanks..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_form_is_a_header() {
        assert_eq!(header_name(b"=== SIGNATURE a"), Some(b"a".as_slice()));
        assert_eq!(header_name(b"=== SIGNATURE a   "), Some(b"a".as_slice()));
        assert_eq!(header_name(b"=== SIGNATURE a\tb"), Some(b"a\tb".as_slice()));
        assert_eq!(header_name(b"=== SIGNATURE a\r"), Some(b"a\r".as_slice()));
        for line in [
            "=== SIGNATURE",
            "=== SIGNATURE ",
            "=== SIGNATURE  a",
            "=== SIGNATURE a b",
            " === SIGNATURE a",
            "===  SIGNATURE a",
            "==== SIGNATURE a",
            "=== signature a",
            "===\tSIGNATURE a",
            "=== SIGNATUREa",
        ] {
            assert_eq!(header_name(line.as_bytes()), None, "{line:?}");
        }
    }

    #[test]
    fn what_a_person_takes_for_a_header_looks_like_one() {
        for line in [
            "=== SIGNATURE",
            "=== SIGNATURE a",
            "=== Signature a b",
            " \t===\tsignature",
            "===SIGNATURE:",
            "=== SIGNATURE\r",
            "x\r=== SIGNATURE a",
            "\r\r=== SIGNATURE",
            "=== SIGNATURE-x",
        ] {
            assert!(looks_like_header(line.as_bytes()), "{line:?}");
        }
        for line in ["", "===", "=== SIGNATURES", "=== SIGNATURE_a", "== SIGNATURE a", "x === SIGNATURE a"] {
            assert!(!looks_like_header(line.as_bytes()), "{line:?}");
        }
    }

    #[test]
    fn lines_know_where_they_begin() {
        let got: Vec<_> = lines(b"a\n\nbc").map(|l| (l.number, l.start, l.text.to_vec())).collect();
        assert_eq!(got, [(1, 0, b"a".to_vec()), (2, 2, b"".to_vec()), (3, 3, b"bc".to_vec())]);
        assert_eq!(lines(b"").count(), 0);
    }
}
