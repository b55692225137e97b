//! Hash functions and digests.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest as lc;

/// A hash function that a scheme may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HashAlg {
    /// SHA-256, 32 bytes.
    Sha256,
    /// SHA-384, 48 bytes.
    Sha384,
    /// SHA-512, 64 bytes.
    Sha512,
}

impl HashAlg {
    /// `sha256`, `sha384` or `sha512`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// Length of a digest in bytes.
    pub fn digest_len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    fn algorithm(self) -> &'static lc::Algorithm {
        match self {
            Self::Sha256 => &lc::SHA256,
            Self::Sha384 => &lc::SHA384,
            Self::Sha512 => &lc::SHA512,
        }
    }

    /// The digest of `message`.
    pub fn digest(self, message: &[u8]) -> Digest {
        Digest::from_output(self, lc::digest(self.algorithm(), message).as_ref())
    }
}

impl fmt::Display for HashAlg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A digest and the function that made it. Text form `sha256:HEX`, lower case.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest {
    alg: HashAlg,
    bytes: [u8; 64],
}

/// Why a text or bytes are not a digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// Not `ALG:HEX` with a known algorithm.
    #[error("a digest is written `sha256:HEX`, `sha384:HEX` or `sha512:HEX`")]
    Malformed,
    /// The number of bytes is not the algorithm's.
    #[error("a {alg} digest is {want} bytes, this one has {got}", want = alg.digest_len())]
    Length {
        /// The algorithm that the text names.
        alg: HashAlg,
        /// The number of bytes given.
        got: usize,
    },
}

impl Digest {
    /// Takes the bytes of a digest made elsewhere.
    ///
    /// # Errors
    /// [`DigestError::Length`] if `bytes` is not as long as `alg` says.
    pub fn new(alg: HashAlg, bytes: &[u8]) -> Result<Self, DigestError> {
        if bytes.len() != alg.digest_len() {
            return Err(DigestError::Length { alg, got: bytes.len() });
        }
        Ok(Self::from_output(alg, bytes))
    }

    fn from_output(alg: HashAlg, output: &[u8]) -> Self {
        let mut bytes = [0; 64];
        bytes[..alg.digest_len()].copy_from_slice(output);
        Self { alg, bytes }
    }

    /// The hash function.
    pub fn alg(&self) -> HashAlg {
        self.alg
    }

    /// The digest itself, `alg().digest_len()` bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.alg.digest_len()]
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.alg, hex::encode(self.as_bytes()))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;
    fn from_str(s: &str) -> Result<Self, DigestError> {
        let (alg, hex_text) = s.split_once(':').ok_or(DigestError::Malformed)?;
        let alg = [HashAlg::Sha256, HashAlg::Sha384, HashAlg::Sha512]
            .into_iter()
            .find(|a| a.as_str() == alg)
            .ok_or(DigestError::Malformed)?;
        let lower = hex_text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !lower {
            return Err(DigestError::Malformed);
        }
        if hex_text.len() != 2 * alg.digest_len() {
            return Err(DigestError::Length { alg, got: hex_text.len() / 2 });
        }
        let bytes = hex::decode(hex_text).map_err(|_| DigestError::Malformed)?;
        Self::new(alg, &bytes)
    }
}

/// A digest in the making, for bytes that arrive in pieces.
#[derive(Clone)]
pub struct Hasher {
    alg: HashAlg,
    context: lc::Context,
}

impl Hasher {
    /// Starts with no bytes.
    pub fn new(alg: HashAlg) -> Self {
        Self { alg, context: lc::Context::new(alg.algorithm()) }
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
    }

    /// The digest of all bytes added.
    pub fn finish(self) -> Digest {
        Digest::from_output(self.alg, self.context.finish().as_ref())
    }
}

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    sha256_parts(&[bytes])
}

/// SHA-256 of the concatenation of `parts`.
pub fn sha256_parts(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = lc::Context::new(&lc::SHA256);
    for part in parts {
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// `sha256:` and the lower-case hex SHA-256 of `bytes`.
pub fn sha256_text(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(sha256(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_goes_round() {
        for alg in [HashAlg::Sha256, HashAlg::Sha384, HashAlg::Sha512] {
            let digest = alg.digest(b"abc");
            assert_eq!(digest.to_string().parse(), Ok(digest));
        }
        assert_eq!(
            sha256_text(b"abc"),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn a_digest_of_the_wrong_length_or_case_is_refused() {
        let short = format!("sha256:{}", "ab".repeat(31));
        assert_eq!(short.parse::<Digest>(), Err(DigestError::Length { alg: HashAlg::Sha256, got: 31 }));
        for bad in ["", "sha256", "md5:00", &format!("sha256:{}", "AB".repeat(32))] {
            assert_eq!(bad.parse::<Digest>(), Err(DigestError::Malformed), "{bad}");
        }
    }

    #[test]
    fn pieces_hash_as_the_whole() {
        let mut hasher = Hasher::new(HashAlg::Sha512);
        hasher.update(b"ab");
        hasher.update(b"c");
        assert_eq!(hasher.finish(), HashAlg::Sha512.digest(b"abc"));
    }
}
