//! Fernet tokens under a passphrase, as the appliance's archives have them.
//!
//! ```text
//! K     = PBKDF2-HMAC-SHA256(passphrase, salt, 100000)          32 bytes: K[..16] signs, K[16..] encrypts
//! token = base64url( 80 | time u64 | IV 16 | AES-128-CBC, PKCS#7 | HMAC-SHA256 of all before it )
//! salt  = base64( 16 bytes )
//! ```
//! 100000 rounds are weak today; the format fixes them. The time is not looked at.

use std::num::NonZeroU32;

use aws_lc_rs::cipher::{
    AES_128, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey,
    UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{hmac, pbkdf2};
use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::{Zeroize as _, Zeroizing};

use super::ArchiveError;
use super::buffer::WipedBuffer;
use crate::soft::random;

const VERSION: u8 = 0x80;
const HEAD: usize = 1 + 8 + 16;
const TAG: usize = 32;
/// What a salt may have: 16 in practice.
const MAX_SALT: usize = 64;

/// An encrypted archive as texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// URL-safe base64.
    pub token: String,
    /// Standard base64 of 16 bytes.
    pub salt: String,
}

/// Decrypts a token.
///
/// - `salt`: base64 of the salt, standard alphabet.
/// - `token`: the token as text.
///
/// # Errors
/// [`ArchiveError::Salt`] if the salt is not base64 of 1 to 64 bytes; [`ArchiveError::Token`] if the passphrase
/// is wrong or the token damaged: nobody can tell which.
pub fn open(passphrase: &[u8], salt: &[u8], token: &[u8]) -> Result<Zeroizing<Vec<u8>>, ArchiveError> {
    let salt = decoder(&STANDARD).decode(salt).map_err(|_| ArchiveError::Salt)?;
    if !(1..=MAX_SALT).contains(&salt.len()) {
        return Err(ArchiveError::Salt);
    }
    let token = decoder(&URL_SAFE).decode(token).map_err(|_| ArchiveError::Token)?;
    let (signed, tag) = token.split_last_chunk::<TAG>().ok_or(ArchiveError::Token)?;
    if signed.len() < HEAD || signed[0] != VERSION {
        return Err(ArchiveError::Token);
    }
    let keys = Keys::derive(passphrase, &salt)?;
    hmac::verify(&keys.signing, signed, tag).map_err(|_| ArchiveError::Token)?;

    let (head, encrypted) = signed.split_at(HEAD);
    let iv: [u8; 16] = head[9..].try_into().map_err(|_| ArchiveError::Token)?;
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(keys.cipher()?).map_err(|_| ArchiveError::Token)?;
    let mut clear = Zeroizing::new(encrypted.to_vec());
    let length = key
        .decrypt(&mut clear, DecryptionContext::Iv128(FixedLength::from(iv)))
        .map_err(|_| ArchiveError::Token)?
        .len();
    clear[length..].zeroize();
    clear.truncate(length);
    Ok(clear)
}

/// Encrypts under a new salt and IV.
///
/// - `time`: Unix seconds.
///
/// # Errors
/// [`ArchiveError::Failed`] if the library fails.
pub fn seal(passphrase: &[u8], clear: &[u8], time: u64) -> Result<Sealed, ArchiveError> {
    let salt = random::<16>().map_err(failed)?;
    let iv = random::<16>().map_err(failed)?;
    let keys = Keys::derive(passphrase, salt.as_slice())?;
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(keys.cipher()?).map_err(failed)?;
    // With room for the padding: growing would leave the clear bytes behind.
    let mut body = Zeroizing::new(Vec::with_capacity(clear.len() + 16));
    body.extend_from_slice(clear);
    key.less_safe_encrypt(&mut *body, EncryptionContext::Iv128(FixedLength::from(*iv))).map_err(failed)?;

    let mut token = Vec::with_capacity(HEAD + body.len() + TAG);
    token.push(VERSION);
    token.extend_from_slice(&time.to_be_bytes());
    token.extend_from_slice(iv.as_slice());
    token.extend_from_slice(&body);
    let tag = hmac::sign(&keys.signing, &token);
    token.extend_from_slice(tag.as_ref());
    Ok(Sealed { token: decoder(&URL_SAFE).encode(token), salt: decoder(&STANDARD).encode(salt.as_slice()) })
}

/// The two halves of the derived key.
struct Keys {
    signing: hmac::Key,
    encryption: Zeroizing<[u8; 16]>,
}

/// Fixed by the format.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(100_000).expect("it is not zero");

impl Keys {
    fn derive(passphrase: &[u8], salt: &[u8]) -> Result<Self, ArchiveError> {
        if passphrase.is_empty() {
            return Err(ArchiveError::Token);
        }
        let mut key = Zeroizing::new([0; 32]);
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ITERATIONS, salt, passphrase, key.as_mut_slice());
        let mut encryption = Zeroizing::new([0; 16]);
        encryption.copy_from_slice(&key[16..]);
        Ok(Self { signing: hmac::Key::new(hmac::HMAC_SHA256, &key[..16]), encryption })
    }

    fn cipher(&self) -> Result<UnboundCipherKey, ArchiveError> {
        UnboundCipherKey::new(&AES_128, self.encryption.as_slice()).map_err(failed)
    }
}

/// Padding is written, and may be missing where it is read.
fn decoder(alphabet: &base64::alphabet::Alphabet) -> GeneralPurpose {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(alphabet, config)
}

fn failed(error: impl std::fmt::Display) -> ArchiveError {
    ArchiveError::Failed(error.to_string())
}

/// Gzip (RFC 1952) of `clear`.
///
/// # Errors
/// [`ArchiveError::Failed`].
pub(super) fn gzip(clear: &[u8]) -> Result<WipedBuffer, ArchiveError> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(WipedBuffer::new(), flate2::Compression::default());
    encoder.write_all(clear).map_err(failed)?;
    encoder.finish().map_err(failed)
}

/// What is in a gzip file of one member, at most `limit` bytes.
///
/// # Errors
/// [`ArchiveError::Gzip`], [`ArchiveError::TooLarge`].
pub(super) fn gunzip(packed: &[u8], limit: usize) -> Result<WipedBuffer, ArchiveError> {
    let mut decoder = flate2::bufread::GzDecoder::new(packed);
    let clear = WipedBuffer::read_from(&mut decoder, limit).map_err(|_| ArchiveError::Gzip)?;
    let clear = clear.ok_or(ArchiveError::TooLarge)?;
    if decoder.into_inner().is_empty() { Ok(clear) } else { Err(ArchiveError::Gzip) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_with_its_passphrase_and_salt_only() {
        let sealed = seal(b"passphrase", b"clear text", 1_700_000_000).unwrap();
        let (salt, token) = (sealed.salt.as_bytes(), sealed.token.as_bytes());
        assert_eq!(open(b"passphrase", salt, token).unwrap().as_slice(), b"clear text");
        assert_eq!(open(b"Passphrase", salt, token).unwrap_err(), ArchiveError::Token);
        assert_eq!(open(b"", salt, token).unwrap_err(), ArchiveError::Token);
        assert_eq!(open(b"passphrase", b"AAAA", token).unwrap_err(), ArchiveError::Token);
        for bad in [&b""[..], b"!", b"=", b"A", &[b'A'; 100]] {
            assert_eq!(open(b"passphrase", bad, token).unwrap_err(), ArchiveError::Salt, "{bad:?}");
        }
        for bad in [&b""[..], b"gAAA", b"****", &token[..token.len() - 4]] {
            assert_eq!(open(b"passphrase", salt, bad).unwrap_err(), ArchiveError::Token);
        }
    }

    #[test]
    fn any_length_is_padded_and_comes_back() {
        for length in [0, 1, 15, 16, 17, 4096] {
            let clear = vec![7; length];
            let sealed = seal(b"p", &clear, 0).unwrap();
            let opened = open(b"p", sealed.salt.as_bytes(), sealed.token.as_bytes()).unwrap();
            assert_eq!(*opened, clear);
        }
    }

    #[test]
    fn a_gzip_bomb_stops_at_the_limit() {
        let packed = gzip(&vec![0; 1 << 20]).unwrap();
        assert!(packed.as_slice().len() < 2000);
        assert_eq!(gunzip(packed.as_slice(), 1 << 20).unwrap().as_slice().len(), 1 << 20);
        assert_eq!(gunzip(packed.as_slice(), (1 << 20) - 1).err(), Some(ArchiveError::TooLarge));
        let trailing = [packed.as_slice(), b"x"].concat();
        assert_eq!(gunzip(&trailing, 1 << 20).err(), Some(ArchiveError::Gzip));
        assert_eq!(gunzip(&packed.as_slice()[..100], 1 << 20).err(), Some(ArchiveError::Gzip));
        assert_eq!(gunzip(b"", 1).err(), Some(ArchiveError::Gzip));
    }
}
