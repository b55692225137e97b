//! Signatures of Raspberry Pi boot images and EEPROM configuration: three lines of text beside the file.
//!
//! ```text
//! 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824     SHA-256 of the file
//! ts: 1795210390                                                       Unix seconds
//! rsa2048: 1839133d27e7e5c15891b4deaa2f7eaa…                           RSASSA-PKCS1-v1_5, 512 digits
//! ```
//!
//! As `rpi-eeprom-digest` writes it and `rpi-eeprom-digest -v` checks it. The boot ROM knows RSA-2048 only.

use countersign_model::{Digest, HashAlg, KeyType, PublicKey, RawSignature, Scheme, ToSign};
use jiff::Timestamp;

use crate::algorithm::{self, SignatureLength};

const SCHEME: Scheme = Scheme::RsaPkcs1(HashAlg::Sha256);

/// The longest text that is read, in bytes. What is written here has 598 at most.
const MAX_TEXT: usize = 4096;

/// Why a file cannot be signed, or its signature is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EepromError {
    /// Not an RSA-2048 key.
    #[error("Raspberry Pi images are signed with RSA-2048 keys, not with keys of type `{0}`")]
    Key(KeyType),
    /// A time before 1970.
    #[error("the time of the signature is before 1970")]
    Time,
    /// The answer of the key is no signature of its type.
    #[error(transparent)]
    SignatureLength(#[from] SignatureLength),
    /// Not the lines that the module's documentation draws.
    #[error("not the signature of a Raspberry Pi image: line {line} is malformed")]
    Malformed {
        /// Counted from 1.
        line: usize,
    },
    /// The text is about another file.
    #[error("the signature is of another file: its first line is another digest")]
    OtherFile,
    /// The mathematics say no.
    #[error("the signature is not valid for this key and file")]
    Invalid,
}

impl EepromError {
    /// One sentence for the person who reads the terminal or the log.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Key(_) => "make a key of type `rsa-2048`: the boot ROM takes no other",
            Self::Time => "set the clock",
            Self::SignatureLength(_) => "the key is not the one that was prepared for",
            Self::Malformed { .. } => "give the `.sig` text that lies beside the image",
            Self::OtherFile => "sign this file, or check the one that was signed",
            Self::Invalid => "another key signed it, or the text was altered: do not flash it",
        }
    }
}

/// What [`finish`](Self::finish) will need when the signature is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    digest: [u8; 32],
    seconds: i64,
    key_type: KeyType,
}

/// Prepares a file to be signed by the private half of `key`.
///
/// - `digest`: SHA-256 of the file.
/// - `time`: when; written as whole seconds.
///
/// # Errors
/// [`EepromError::Key`] unless it is an RSA-2048 key, [`EepromError::Time`] before 1970.
pub fn prepare(digest: [u8; 32], time: Timestamp, key: &PublicKey) -> Result<(ToSign, Pending), EepromError> {
    let key_type = rsa_2048(key)?;
    let seconds = time.as_second();
    if seconds < 0 {
        return Err(EepromError::Time);
    }
    Ok((to_sign(digest), Pending { digest, seconds, key_type }))
}

impl Pending {
    /// The scheme that the key signs with.
    pub fn scheme(&self) -> Scheme {
        SCHEME
    }

    /// The three lines, ASCII. Does not check the signature: release them only after [`verify`].
    ///
    /// # Errors
    /// [`EepromError::SignatureLength`] if `raw` is not as long as the modulus.
    pub fn finish(self, raw: RawSignature) -> Result<String, EepromError> {
        let signature = algorithm::encode(&raw, SCHEME, self.key_type)?;
        let (digest, seconds) = (hex::encode(self.digest), self.seconds);
        Ok(format!("{digest}\nts: {seconds}\nrsa2048: {}\n", hex::encode(signature)))
    }
}

/// The lines of a signature, read. That it exists says nothing about whether it verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EepromSignature {
    /// SHA-256 of the file, it says.
    pub digest: [u8; 32],
    /// Unix seconds. Not protected by the signature.
    pub seconds: u64,
    /// 256 bytes.
    pub signature: Vec<u8>,
}

impl EepromSignature {
    /// Reads the three lines, or four with the `target-soc:` of newer tools.
    ///
    /// # Errors
    /// [`EepromError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, EepromError> {
        let malformed = |line| EepromError::Malformed { line };
        if text.len() > MAX_TEXT {
            return Err(malformed(1));
        }
        let mut lines: Vec<&str> = text.split('\n').collect();
        if lines.pop() != Some("") {
            return Err(malformed(lines.len() + 1));
        }
        if lines.len() == 4 && lines[2].starts_with("target-soc: ") {
            lines.remove(2);
        }
        let [digest, time, signature] = lines[..] else { return Err(malformed(lines.len().min(3) + 1)) };
        let digest = digits(digest).and_then(|d| d.try_into().ok()).ok_or_else(|| malformed(1))?;
        let seconds = time.strip_prefix("ts: ").ok_or_else(|| malformed(2))?;
        if !seconds.bytes().all(|b| b.is_ascii_digit()) {
            return Err(malformed(2));
        }
        let seconds = seconds.parse().map_err(|_| malformed(2))?;
        let signature = signature.strip_prefix("rsa2048: ").and_then(digits).ok_or_else(|| malformed(3))?;
        if signature.len() != 256 {
            return Err(malformed(3));
        }
        Ok(Self { digest, seconds, signature })
    }
}

/// Checks a signature's text for the file with this SHA-256.
///
/// # Errors
/// [`EepromError`].
pub fn verify(text: &str, digest: [u8; 32], key: &PublicKey) -> Result<EepromSignature, EepromError> {
    rsa_2048(key)?;
    let read = EepromSignature::parse(text)?;
    if read.digest != digest {
        return Err(EepromError::OtherFile);
    }
    key.verify(SCHEME, &to_sign(digest), &RawSignature(read.signature.clone()))
        .map_err(|_| EepromError::Invalid)?;
    Ok(read)
}

fn to_sign(digest: [u8; 32]) -> ToSign {
    ToSign::Digest(Digest::new(HashAlg::Sha256, &digest).expect("32 bytes: the type says so"))
}

fn rsa_2048(key: &PublicKey) -> Result<KeyType, EepromError> {
    match key.key_type() {
        rsa @ KeyType::Rsa(2048) => Ok(rsa),
        other => Err(EepromError::Key(other)),
    }
}

/// Lower-case hex.
fn digits(text: &str) -> Option<Vec<u8>> {
    let lower = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if lower { hex::decode(text).ok() } else { None }
}
