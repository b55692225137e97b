//! API tokens as text: recognisable, with a checksum, so that a scanner can find a leaked one.
//!
//! ```text
//! cst_ abcdefgh2345 _ <52 characters: 256 bits of secret> <6 characters: checksum>
//! ```
//! The alphabet is lower-case base32 (`a-z2-7`). The checksum is the first six characters of the base32
//! of SHA-256 of all the text before it.

use std::fmt;

use zeroize::Zeroizing;

use crate::digest::sha256;

/// Length of a token's id in characters.
pub const ID_LEN: usize = 12;
const SECRET_LEN: usize = 52;
const CHECK_LEN: usize = 6;
const PREFIX: &str = "cst_";
const TOKEN_LEN: usize = PREFIX.len() + ID_LEN + 1 + SECRET_LEN + CHECK_LEN;

/// A token whose form and checksum are right; whether it is known is for the store to say.
pub struct Token {
    text: Zeroizing<String>,
}

/// The text is not a token: wrong form, alphabet or checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a token: `cst_`, 12 characters, `_` and 58 characters of `a-z2-7` are expected")]
pub struct BadToken;

impl Token {
    /// A new token from random bytes: 8 for the id (60 bits are used) and 32 for the secret.
    pub fn from_random(id: [u8; 8], secret: &Zeroizing<[u8; 32]>) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(TOKEN_LEN));
        text.push_str(PREFIX);
        text.push_str(&base32(&id)[..ID_LEN]);
        text.push('_');
        text.push_str(&Zeroizing::new(base32(secret.as_slice())));
        let check = checksum(&text);
        text.push_str(&check);
        Self { text }
    }

    /// Reads a token. Looks at nothing but its form: the time taken says nothing about any secret.
    ///
    /// # Errors
    /// [`BadToken`] for any deviation.
    pub fn parse(text: &str) -> Result<Self, BadToken> {
        let body = text.strip_prefix(PREFIX).filter(|_| text.len() == TOKEN_LEN).ok_or(BadToken)?;
        let in_alphabet = body
            .bytes()
            .enumerate()
            .all(|(i, b)| if i == ID_LEN { b == b'_' } else { matches!(b, b'a'..=b'z' | b'2'..=b'7') });
        if !in_alphabet {
            return Err(BadToken);
        }
        let (head, check) = text.split_at(TOKEN_LEN - CHECK_LEN);
        if checksum(head) != check {
            return Err(BadToken);
        }
        Ok(Self { text: Zeroizing::new(text.to_owned()) })
    }

    /// The public part, by which the token is looked up and revoked.
    pub fn id(&self) -> &str {
        &self.text[PREFIX.len()..PREFIX.len() + ID_LEN]
    }

    /// What is stored: SHA-256 of the secret's text. A fast hash is enough for 256 random bits.
    pub fn secret_hash(&self) -> [u8; 32] {
        let start = PREFIX.len() + ID_LEN + 1;
        sha256(&self.text.as_bytes()[start..start + SECRET_LEN])
    }

    /// The whole text. To be shown once.
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}, ..)", self.id())
    }
}

fn checksum(text: &str) -> String {
    let mut check = base32(&sha256(text.as_bytes()));
    check.truncate(CHECK_LEN);
    check
}

/// Lower-case base32 without padding (RFC 4648, 6).
pub fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut out = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for chunk in bytes.chunks(5) {
        let mut group = [0u8; 8];
        group[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(group);
        for i in 0..(chunk.len() * 8).div_ceil(5) {
            out.push(char::from(ALPHABET[(bits >> (35 - 5 * i)) as usize & 31]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Token {
        Token::from_random([7; 8], &Zeroizing::new([9; 32]))
    }

    #[test]
    fn base32_is_rfc_4648_in_lower_case() {
        assert_eq!(base32(b""), "");
        assert_eq!(base32(b"f"), "my");
        assert_eq!(base32(b"fooba"), "mzxw6ytb");
        assert_eq!(base32(b"foobar"), "mzxw6ytboi");
    }

    #[test]
    fn a_token_goes_round_and_has_the_documented_form() {
        let token = example();
        assert_eq!(token.expose().len(), 4 + 12 + 1 + 52 + 6);
        let again = Token::parse(token.expose()).unwrap();
        assert_eq!((again.id(), again.secret_hash()), (token.id(), token.secret_hash()));
    }

    #[test]
    fn any_changed_character_is_refused() {
        let text = example().expose().to_owned();
        for i in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[i] = if bytes[i] == b'a' { b'b' } else { b'a' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(Token::parse(&changed).is_err(), "{changed}");
        }
        assert!(Token::parse(&text[1..]).is_err());
        assert!(Token::parse(&format!("{text}a")).is_err());
    }

    #[test]
    fn debug_does_not_show_the_secret() {
        let token = example();
        assert!(!format!("{token:?}").contains(&token.expose()[17..]));
    }
}
