//! SSH's forms of public keys and signatures, and the four messages of an agent that is asked to sign.
//!
//! ```text
//! we ask      11                                   agent   12  count (blob comment)…
//! we ask      13  blob data flags                  agent   14  (format signature)        5: it refuses
//! blob        "ssh-ed25519" key | "ecdsa-sha2-nistp256" curve point | "ssh-rsa" e n
//! ```
//!
//! Numbers are big-endian, 32 bits; texts and bytes have their length before them (RFC 4251, 5; RFC 4253, 6.6;
//! RFC 5656, 3.1; RFC 8332, 3; RFC 8709, 4; the agent: draft-ietf-sshm-ssh-agent). An agent signs the bytes that it is
//! given, with no frame around them, so its keys can sign whatever takes Ed25519, ECDSA or RSA PKCS#1 v1.5. Keys of
//! security tokens (`sk-…`) sign a frame of their own and are not read.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use der::Encode as _;
use der::asn1::UintRef;

use crate::digest::{HashAlg, sha256};
use crate::public_key::{PublicKey, PublicKeyError};
use crate::scheme::{KeyType, Scheme};
use crate::signing::RawSignature;

/// The longest message of an agent, in bytes: what OpenSSH's programs take.
pub const MAX_MESSAGE: usize = 256 << 10;

const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
const RSA_SHA2_256: u32 = 2;
const RSA_SHA2_512: u32 = 4;

/// Why bytes are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SshError {
    /// The agent says no.
    #[error("the agent refuses")]
    Refused,
    /// Too short, too long, or another message.
    #[error("not the {0} that it should be")]
    Malformed(&'static str),
    /// A kind of key that cannot sign for us.
    #[error("unsupported kind of SSH key: ssh-ed25519, ecdsa-sha2-nistp256, -384, -521 and ssh-rsa are")]
    Unsupported,
    /// A kind that is known, with a value that is none.
    #[error(transparent)]
    Key(#[from] PublicKeyError),
}

/// A key that an agent has.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The public key as the agent names it.
    pub blob: Vec<u8>,
    /// What its owner calls it.
    pub comment: String,
    /// The key, if it is of a kind that can sign for us.
    pub public: Option<PublicKey>,
}

impl Identity {
    /// `SHA256:` and base64 without padding, as `ssh-add -l` prints it.
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", STANDARD_NO_PAD.encode(sha256(&self.blob)))
    }
}

/// Asks for the keys that an agent has.
pub fn request_identities() -> Vec<u8> {
    vec![REQUEST_IDENTITIES]
}

/// Reads the answer to [`request_identities`], without the length before it.
///
/// # Errors
/// [`SshError`]; keys of other kinds are no error.
pub fn identities(answer: &[u8]) -> Result<Vec<Identity>, SshError> {
    let mut rest = body(answer, IDENTITIES, "list of keys")?;
    let count = rest.number()?;
    let mut found = Vec::new();
    for _ in 0..count {
        // Each takes eight bytes at least, so a great count with few bytes ends here.
        let blob = rest.bytes()?.to_vec();
        let comment = String::from_utf8_lossy(rest.bytes()?).into_owned();
        let public = public_key(&blob).ok();
        found.push(Identity { blob, comment, public });
    }
    rest.end()?;
    Ok(found)
}

/// Asks for a signature over `data`; `None` for a scheme that no agent has.
pub fn sign_request(blob: &[u8], data: &[u8], scheme: Scheme) -> Option<Vec<u8>> {
    let flags = match scheme {
        Scheme::Ed25519 | Scheme::Ecdsa(_) => 0,
        Scheme::RsaPkcs1(HashAlg::Sha256) => RSA_SHA2_256,
        Scheme::RsaPkcs1(HashAlg::Sha512) => RSA_SHA2_512,
        _ => return None,
    };
    let mut out = vec![SIGN_REQUEST];
    for bytes in [blob, data] {
        out.extend_from_slice(&u32::try_from(bytes.len()).ok()?.to_be_bytes());
        out.extend_from_slice(bytes);
    }
    out.extend_from_slice(&flags.to_be_bytes());
    Some(out)
}

/// Reads the answer to [`sign_request`], without the length before it. Whether it verifies is not looked at.
///
/// # Errors
/// [`SshError`]; also for a signature of another scheme than was asked for.
pub fn signature(answer: &[u8], public: &PublicKey, scheme: Scheme) -> Result<RawSignature, SshError> {
    const WHAT: &str = "signature";
    let mut message = body(answer, SIGN_RESPONSE, WHAT)?;
    let mut signature = Reader { rest: message.bytes()?, what: WHAT };
    message.end()?;
    let format = signature.bytes()?;
    let value = signature.bytes()?;
    signature.end()?;
    let malformed = || SshError::Malformed(WHAT);
    match (scheme, public.key_type()) {
        (Scheme::Ed25519, KeyType::Ed25519) if format == b"ssh-ed25519" && value.len() == 64 => {
            Ok(RawSignature(value.to_vec()))
        }
        (Scheme::Ecdsa(_), curve) if curve_of(format) == Some(curve) => {
            let width = curve.ecdsa_width().ok_or_else(malformed)?;
            let mut parts = Reader { rest: value, what: WHAT };
            let (r, s) = (parts.bytes()?, parts.bytes()?);
            parts.end()?;
            Ok(RawSignature([padded(r, width)?, padded(s, width)?].concat()))
        }
        (Scheme::RsaPkcs1(hash), KeyType::Rsa(bits)) if rsa_hash(format) == Some(hash) => {
            // Agents drop zeros at the beginning.
            padded(value, bits.div_ceil(8) as usize).map(RawSignature)
        }
        _ => Err(malformed()),
    }
}

/// Reads a public key.
///
/// # Errors
/// [`SshError`].
pub fn public_key(blob: &[u8]) -> Result<PublicKey, SshError> {
    const WHAT: &str = "public key";
    let mut rest = Reader { rest: blob, what: WHAT };
    let kind = rest.bytes()?;
    let key = match kind {
        b"ssh-ed25519" => {
            let bytes = rest.bytes()?.try_into().map_err(|_| SshError::Malformed(WHAT))?;
            PublicKey::from_ed25519(bytes)?
        }
        b"ssh-rsa" => {
            let (exponent, modulus) = (rest.bytes()?, rest.bytes()?);
            PublicKey::from_rsa_public_key(&rsa_public_key(modulus, exponent)?)?
        }
        kind => {
            let curve = curve_of(kind).ok_or(SshError::Unsupported)?;
            let name = rest.bytes()?;
            if kind.strip_prefix(b"ecdsa-sha2-".as_slice()) != Some(name) {
                return Err(SshError::Malformed(WHAT));
            }
            PublicKey::from_point(curve, rest.bytes()?)?
        }
    };
    rest.end()?;
    Ok(key)
}

/// Reads a line of a `.pub` file or of `authorized_keys` without options: kind, base64, comment.
///
/// # Errors
/// [`SshError`].
pub fn public_key_line(line: &str) -> Result<PublicKey, SshError> {
    let blob = line.split_ascii_whitespace().nth(1).ok_or(SshError::Malformed("line of a public key"))?;
    let blob = STANDARD.decode(blob).map_err(|_| SshError::Malformed("line of a public key"))?;
    public_key(&blob)
}

fn curve_of(kind: &[u8]) -> Option<KeyType> {
    match kind {
        b"ecdsa-sha2-nistp256" => Some(KeyType::P256),
        b"ecdsa-sha2-nistp384" => Some(KeyType::P384),
        b"ecdsa-sha2-nistp521" => Some(KeyType::P521),
        _ => None,
    }
}

fn rsa_hash(format: &[u8]) -> Option<HashAlg> {
    match format {
        b"rsa-sha2-256" => Some(HashAlg::Sha256),
        b"rsa-sha2-512" => Some(HashAlg::Sha512),
        _ => None,
    }
}

/// RSAPublicKey (RFC 8017, A.1.1). Numbers of SSH may have a zero in front, as those of DER.
fn rsa_public_key(modulus: &[u8], exponent: &[u8]) -> Result<Vec<u8>, SshError> {
    #[derive(der::Sequence)]
    struct RsaPublicKey<'a> {
        modulus: UintRef<'a>,
        exponent: UintRef<'a>,
    }
    let number = |bytes| UintRef::new(bytes).map_err(|_| SshError::Malformed("public key"));
    // The sign of a negative number.
    if [modulus, exponent].iter().any(|bytes| bytes.first().is_none_or(|first| first & 0x80 != 0)) {
        return Err(SshError::Malformed("public key"));
    }
    let key = RsaPublicKey { modulus: number(modulus)?, exponent: number(exponent)? };
    key.to_der().map_err(|_| SshError::Malformed("public key"))
}

/// A number without the zeros in front of it, and with as many as make it `width` bytes wide.
fn padded(number: &[u8], width: usize) -> Result<Vec<u8>, SshError> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let digits = &number[zeros..];
    let missing = width.checked_sub(digits.len()).ok_or(SshError::Malformed("signature"))?;
    Ok([vec![0; missing].as_slice(), digits].concat())
}

/// The rest of an answer after its number.
fn body<'a>(answer: &'a [u8], wanted: u8, what: &'static str) -> Result<Reader<'a>, SshError> {
    match answer.split_first() {
        Some((&FAILURE, _)) => Err(SshError::Refused),
        Some((kind, rest)) if *kind == wanted => Ok(Reader { rest, what }),
        _ => Err(SshError::Malformed(what)),
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    fn number(&mut self) -> Result<u32, SshError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(SshError::Malformed(self.what))?;
        self.rest = rest;
        Ok(u32::from_be_bytes(*bytes))
    }

    fn bytes(&mut self) -> Result<&'a [u8], SshError> {
        let length = self.number()? as usize;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(SshError::Malformed(self.what))?;
        self.rest = rest;
        Ok(bytes)
    }

    fn end(&self) -> Result<(), SshError> {
        if self.rest.is_empty() { Ok(()) } else { Err(SshError::Malformed(self.what)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // fixtures/ssh: made by `ssh-keygen`, and the same keys by `ssh-keygen -e -m PKCS8`.
    const ED25519: &str = include_str!("../../../fixtures/ssh/ed25519.pub");

    fn blob(line: &str) -> Vec<u8> {
        STANDARD.decode(line.split(' ').nth(1).unwrap()).unwrap()
    }

    #[test]
    fn a_line_of_a_pub_file_is_a_public_key() {
        let key = public_key_line(ED25519).unwrap();
        let bytes = hex::encode(key.ed25519_bytes().unwrap());
        assert_eq!(bytes, "8b022674c5a60d3dc0667186c618915a77b2237b122cb6c2ba8c109548801f2a");
        for (line, pem) in [
            (include_str!("../../../fixtures/ssh/p384.pub"), include_str!("../../../fixtures/ssh/p384.pem")),
            (include_str!("../../../fixtures/ssh/rsa.pub"), include_str!("../../../fixtures/ssh/rsa.pem")),
        ] {
            assert_eq!(public_key_line(line).unwrap(), PublicKey::from_pem(pem).unwrap());
        }
        for bad in ["", "ssh-ed25519", "ssh-ed25519 !", "ssh-ed25519 AAAA", "ssh-dss AAAAB3NzaC1kc3M="] {
            assert!(public_key_line(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_answer_that_is_cut_or_continued_is_no_answer() {
        let blob = blob(ED25519);
        let mut answer = vec![IDENTITIES, 0, 0, 0, 1];
        for part in [blob.as_slice(), b"ana"] {
            answer.extend_from_slice(&(part.len() as u32).to_be_bytes());
            answer.extend_from_slice(part);
        }
        let found = identities(&answer).unwrap();
        assert_eq!((found.len(), found[0].comment.as_str()), (1, "ana"));
        assert!(found[0].public.is_some());
        for cut in 0..answer.len() {
            assert!(identities(&answer[..cut]).is_err(), "{cut}");
        }
        answer.push(0);
        assert!(identities(&answer).is_err());
        assert_eq!(identities(&[FAILURE]).unwrap_err(), SshError::Refused);
        assert!(identities(&[IDENTITIES, 0xff, 0xff, 0xff, 0xff]).is_err());
    }

    #[test]
    fn an_agent_is_asked_for_what_it_can_do() {
        let flags = |scheme| sign_request(b"k", b"d", scheme).map(|m| m[m.len() - 1]);
        assert_eq!(flags(Scheme::Ed25519), Some(0));
        assert_eq!(flags(Scheme::RsaPkcs1(HashAlg::Sha512)), Some(4));
        assert_eq!(flags(Scheme::RsaPss(HashAlg::Sha256)), None);
        let message = sign_request(b"k", b"dd", Scheme::RsaPkcs1(HashAlg::Sha256)).unwrap();
        assert_eq!(message, [13, 0, 0, 0, 1, b'k', 0, 0, 0, 2, b'd', b'd', 0, 0, 0, 2]);
    }

    #[test]
    fn numbers_are_as_wide_as_they_must_be() {
        assert_eq!(padded(&[0, 0x80], 2).unwrap(), [0, 0x80]);
        assert_eq!(padded(&[1], 3).unwrap(), [0, 0, 1]);
        assert!(padded(&[1, 2, 3], 2).is_err());
    }
}
