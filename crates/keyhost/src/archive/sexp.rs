//! S-expressions as Libgcrypt writes them: canonical (`(3:rsa(1:n257:…))`) and advanced (`(rsa (n #00AB…#))`).

use zeroize::Zeroizing;

/// A list or an atom.
pub(super) enum Sexp {
    Atom(Zeroizing<Vec<u8>>),
    List(Vec<Sexp>),
}

/// Deeper nesting than any key has.
const MAX_DEPTH: usize = 16;
/// More atoms and lists than any key has.
const MAX_NODES: usize = 1000;

impl Sexp {
    /// Reads one expression; white space may follow.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let mut reader = Reader { rest: text, nodes: 0 };
        let sexp = reader.sexp(0)?;
        reader.skip_space();
        reader.rest.iter().all(|b| *b == 0).then_some(sexp)
    }

    /// The items of a list that begins with the atom `name`, without it.
    pub(super) fn named(&self, name: &str) -> Option<&[Self]> {
        match self {
            Self::List(items) => match items.split_first()? {
                (Self::Atom(first), rest) if first.as_slice() == name.as_bytes() => Some(rest),
                _ => None,
            },
            Self::Atom(_) => None,
        }
    }

    /// The name of a list: its first atom.
    pub(super) fn name(&self) -> Option<&[u8]> {
        match self {
            Self::List(items) => items.first()?.atom(),
            Self::Atom(_) => None,
        }
    }

    pub(super) fn atom(&self) -> Option<&[u8]> {
        match self {
            Self::Atom(bytes) => Some(bytes),
            Self::List(_) => None,
        }
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    nodes: usize,
}

impl Reader<'_> {
    fn sexp(&mut self, depth: usize) -> Option<Sexp> {
        self.nodes += 1;
        if depth > MAX_DEPTH || self.nodes > MAX_NODES {
            return None;
        }
        self.skip_space();
        if *self.rest.first()? != b'(' {
            return self.atom().map(Sexp::Atom);
        }
        self.rest = &self.rest[1..];
        let mut items = Vec::new();
        loop {
            self.skip_space();
            if *self.rest.first()? == b')' {
                self.rest = &self.rest[1..];
                return Some(Sexp::List(items));
            }
            items.push(self.sexp(depth + 1)?);
        }
    }

    fn atom(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        match *self.rest.first()? {
            b'#' => self.hex(),
            b'"' => self.quoted(),
            b'0'..=b'9' => self.verbatim(),
            _ => self.token(),
        }
    }

    /// `#00AB…#`, with white space anywhere.
    fn hex(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        let (digits, rest) = split_at_byte(&self.rest[1..], b'#')?;
        self.rest = rest;
        let digits = || digits.iter().filter(|b| !b.is_ascii_whitespace());
        let mut bytes = Zeroizing::new(Vec::with_capacity(digits().count() / 2));
        let mut high = None;
        for digit in digits() {
            let value = char::from(*digit).to_digit(16)? as u8;
            match high.take() {
                None => high = Some(value << 4),
                Some(high) => bytes.push(high | value),
            }
        }
        high.is_none().then_some(bytes)
    }

    /// `"text"`; no escapes: names and comments only.
    fn quoted(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        let (text, rest) = split_at_byte(&self.rest[1..], b'"')?;
        self.rest = rest;
        (!text.contains(&b'\\')).then(|| Zeroizing::new(text.to_vec()))
    }

    /// `3:abc`.
    fn verbatim(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        let (length, rest) = split_at_byte(self.rest, b':')?;
        let length: usize = std::str::from_utf8(length).ok().filter(|l| l.len() <= 6)?.parse().ok()?;
        let (bytes, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        Some(Zeroizing::new(bytes.to_vec()))
    }

    /// `private-key`.
    fn token(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        let is_part = |b: &u8| b.is_ascii_alphanumeric() || b"-./_:*+=".contains(b);
        let length = self.rest.iter().take_while(|b| is_part(b)).count();
        let (token, rest) = self.rest.split_at(length);
        self.rest = rest;
        (length > 0).then(|| Zeroizing::new(token.to_vec()))
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }
}

fn split_at_byte(bytes: &[u8], end: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|b| *b == end)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

/// Appends an atom in canonical form.
pub(super) fn write_atom(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(bytes.len().to_string().as_bytes());
    out.push(b':');
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expression in canonical form.
    fn canonical(text: &[u8]) -> Option<Vec<u8>> {
        fn write(sexp: &Sexp, out: &mut Vec<u8>) {
            match sexp {
                Sexp::Atom(bytes) => write_atom(bytes, out),
                Sexp::List(items) => {
                    out.push(b'(');
                    items.iter().for_each(|item| write(item, out));
                    out.push(b')');
                }
            }
        }
        let mut out = Vec::new();
        write(&Sexp::parse(text)?, &mut out);
        Some(out)
    }

    #[test]
    fn both_forms_are_the_same_expression() {
        let expected = b"(11:private-key(3:rsa(1:n3:\x00\xab\x01)(1:e1:\x03)))".to_vec();
        for text in [
            &b"(11:private-key(3:rsa(1:n3:\x00\xab\x01)(1:e1:\x03)))"[..],
            b"(private-key (rsa (n #00AB01#)(e #03#)))\n",
            b"(private-key\n (rsa\n  (n #00 ab\n 01#)\n (\"e\" #03#)\n ))\n",
        ] {
            assert_eq!(canonical(text), Some(expected.clone()));
        }
    }

    #[test]
    fn malformed_and_deep_expressions_are_refused() {
        let deep = [vec![b'('; 100], vec![b')'; 100]].concat();
        let wide = [&b"("[..], &b"a ".repeat(2000), b")"].concat();
        for bad in [
            &b""[..],
            b"(",
            b")",
            b"(a",
            b"(#0#)",
            b"(#0g#)",
            b"(\"a)",
            b"(9:a)",
            b"(99999999:a)",
            b"(a))",
            &deep,
            &wide,
        ] {
            assert_eq!(canonical(bad), None, "{:?}", String::from_utf8_lossy(&bad[..bad.len().min(20)]));
        }
    }
}
