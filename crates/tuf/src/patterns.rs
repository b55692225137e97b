//! Path patterns of delegations (specification 4.5, PATHPATTERN).
//!
//! A pattern has as many segments as the paths that it matches, and each segment is matched by itself: `*` and
//! `?` do not cross `/`. Inside a segment clients have the shell's wildcards, so these are too: `*` any
//! characters, `?` one, `[a-z]` one of these, `[!a-z]` one that is not.

/// A pattern that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    segments: Vec<Vec<Token>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Any,
    One,
    Char(char),
    Class { negated: bool, ranges: Vec<(char, char)> },
}

impl Pattern {
    /// Reads a pattern. Every text is one: a `[` without its `]` stands for itself.
    pub fn new(text: &str) -> Self {
        Self { text: text.to_owned(), segments: text.split('/').map(tokens).collect() }
    }

    /// The pattern as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it matches `path`. Takes time by the product of both lengths at most.
    pub fn matches(&self, path: &str) -> bool {
        let mut segments = path.split('/');
        self.segments.iter().all(|tokens| segments.next().is_some_and(|segment| fits(tokens, segment)))
            && segments.next().is_none()
    }
}

fn tokens(segment: &str) -> Vec<Token> {
    let chars: Vec<char> = segment.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    // Where there is no `]` behind one `[`, there is none behind the others: it is looked for once.
    let last_end = chars.iter().rposition(|c| *c == ']').unwrap_or(0);
    while let Some(c) = chars.get(at) {
        at += 1;
        match c {
            '*' if tokens.last() == Some(&Token::Any) => {}
            '*' => tokens.push(Token::Any),
            '?' => tokens.push(Token::One),
            '[' => match class_end(&chars, at, last_end) {
                Some(end) => {
                    tokens.push(class(&chars[at..end]));
                    at = end + 1;
                }
                None => tokens.push(Token::Char('[')),
            },
            c => tokens.push(Token::Char(*c)),
        }
    }
    tokens
}

/// Where the class that starts at `from` ends: at a `]` that is not its first character.
fn class_end(chars: &[char], from: usize, last_end: usize) -> Option<usize> {
    let mut at = from;
    if chars.get(at) == Some(&'!') {
        at += 1;
    }
    if chars.get(at) == Some(&']') {
        at += 1;
    }
    if at > last_end {
        return None;
    }
    chars[at..].iter().position(|c| *c == ']').map(|end| at + end)
}

fn class(body: &[char]) -> Token {
    let (negated, body) = match body {
        ['!', rest @ ..] => (true, rest),
        body => (false, body),
    };
    let mut ranges = Vec::new();
    let mut rest = body;
    loop {
        match rest {
            [first, '-', last, more @ ..] => {
                ranges.push((*first, *last));
                rest = more;
            }
            [one, more @ ..] => {
                ranges.push((*one, *one));
                rest = more;
            }
            [] => return Token::Class { negated, ranges },
        }
    }
}

impl Token {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Any => false,
            Self::One => true,
            Self::Char(own) => *own == c,
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&c)) != *negated
            }
        }
    }
}

/// A match that fails goes back to the last `*` only, which takes one character more: what earlier ones took
/// need not be tried again.
fn fits(tokens: &[Token], segment: &str) -> bool {
    let mut rest = segment.chars();
    let mut at = 0;
    let mut star: Option<(usize, std::str::Chars<'_>)> = None;
    loop {
        if tokens.get(at) == Some(&Token::Any) {
            at += 1;
            star = Some((at, rest.clone()));
            continue;
        }
        let mut ahead = rest.clone();
        match (ahead.next(), tokens.get(at)) {
            (None, None) => return true,
            (Some(c), Some(token)) if token.takes(c) => {
                rest = ahead;
                at += 1;
                continue;
            }
            _ => {}
        }
        let Some((after, taken)) = &mut star else { return false };
        if taken.next().is_none() {
            return false;
        }
        at = *after;
        rest = taken.clone();
    }
}
