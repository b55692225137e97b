//! What goes to a key and what comes back.

use crate::digest::{Digest, sha256};
use crate::scheme::Scheme;

/// The bytes that a key signs.
///
/// Schemes with a hash take its [`Digest`]; Ed25519 and `rsa-pkcs1-raw` take the message itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToSign {
    /// The message, for schemes without a hash.
    Message(Vec<u8>),
    /// The digest, for schemes with one.
    Digest(Digest),
}

impl ToSign {
    /// What `scheme` signs for `message`.
    pub fn of_message(scheme: Scheme, message: &[u8]) -> Self {
        match scheme.hash() {
            Some(hash) => Self::Digest(hash.digest(message)),
            None => Self::Message(message.to_vec()),
        }
    }

    /// The bytes that the scheme gets.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Message(message) => message,
            Self::Digest(digest) => digest.as_bytes(),
        }
    }

    /// The log's name for what is signed: SHA-256 of the digest's bytes, or of the message where the
    /// scheme has no hash. The same whether the caller sent a message, a digest or a stream.
    pub fn fingerprint(&self) -> [u8; 32] {
        sha256(self.as_bytes())
    }

    /// Whether `scheme` can sign this: a digest of its own hash, or a message where it has none.
    pub fn suits(&self, scheme: Scheme) -> bool {
        match self {
            Self::Message(_) => scheme.hash().is_none(),
            Self::Digest(digest) => scheme.hash() == Some(digest.alg()),
        }
    }
}

/// A bare signature: Ed25519 64 bytes; ECDSA `r‖s`, each as wide as the field; RSA as long as the modulus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawSignature(pub Vec<u8>);

/// How an ECDSA signature is written. Other schemes have one form only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// `SEQUENCE { r INTEGER, s INTEGER }` in DER (RFC 3279, 2.2.3): what OpenSSL reads.
    #[default]
    Der,
    /// `r‖s`, each as wide as the field (IEEE P1363).
    Raw,
}

/// An ECDSA signature that is not in the form it should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an ECDSA signature in {0}")]
pub struct BadSignature(&'static str);

impl RawSignature {
    /// The signature as `encoding` says. Schemes other than ECDSA stay as they are.
    pub fn encode(&self, scheme: Scheme, encoding: Encoding) -> Vec<u8> {
        match (scheme, encoding) {
            (Scheme::Ecdsa(_), Encoding::Der) => ecdsa_to_der(&self.0),
            _ => self.0.clone(),
        }
    }

    /// Reads a signature in `encoding`. `width`: bytes of `r`, from [`crate::KeyType::ecdsa_width`].
    ///
    /// # Errors
    /// [`BadSignature`] if ECDSA DER is malformed, not minimal, or too wide for the field.
    pub fn decode(bytes: &[u8], width: Option<usize>, encoding: Encoding) -> Result<Self, BadSignature> {
        match (width, encoding) {
            (Some(width), Encoding::Der) => ecdsa_from_der(bytes, width).map(Self),
            (Some(width), Encoding::Raw) if bytes.len() != 2 * width => {
                Err(BadSignature("the raw form r‖s: wrong length"))
            }
            _ => Ok(Self(bytes.to_vec())),
        }
    }
}

fn ecdsa_to_der(raw: &[u8]) -> Vec<u8> {
    let (r, s) = raw.split_at(raw.len() / 2);
    let mut body = Vec::with_capacity(raw.len() + 8);
    for part in [r, s] {
        let zeros = part.iter().take_while(|b| **b == 0).count();
        let digits = &part[zeros.min(part.len().saturating_sub(1))..];
        let pad = digits.first().is_some_and(|b| b & 0x80 != 0);
        body.push(0x02);
        // At most 67 bytes: the length is one octet.
        body.push((digits.len() + usize::from(pad)) as u8);
        if pad {
            body.push(0);
        }
        body.extend_from_slice(digits);
    }
    let mut der = vec![0x30];
    if body.len() >= 0x80 {
        der.push(0x81);
    }
    der.push(body.len() as u8);
    der.extend_from_slice(&body);
    der
}

fn ecdsa_from_der(der: &[u8], width: usize) -> Result<Vec<u8>, BadSignature> {
    use der::Decode as _;

    #[derive(der::Sequence)]
    struct EcdsaSigValue {
        r: der::asn1::Uint,
        s: der::asn1::Uint,
    }

    let bad = || BadSignature("DER form");
    let value = EcdsaSigValue::from_der(der).map_err(|_| bad())?;
    let mut raw = vec![0; 2 * width];
    for (part, slot) in [&value.r, &value.s].into_iter().zip(raw.chunks_exact_mut(width)) {
        let digits = part.as_bytes();
        let start = width.checked_sub(digits.len()).ok_or_else(bad)?;
        slot[start..].copy_from_slice(digits);
    }
    Ok(raw)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::HashAlg;

    #[test]
    fn ecdsa_forms_go_round_with_leading_zeros_and_high_bits() {
        for width in [32, 48, 66] {
            for (first, second) in [(0x00, 0x80), (0xff, 0x00), (0x7f, 0x01)] {
                let mut raw = vec![0x55; 2 * width];
                raw[0] = first;
                raw[1] = second;
                raw[width] = second;
                let der = ecdsa_to_der(&raw);
                assert_eq!(ecdsa_from_der(&der, width), Ok(raw));
            }
        }
    }

    #[test]
    fn malformed_der_is_refused() {
        let der = ecdsa_to_der(&[0x55; 64]);
        assert!(ecdsa_from_der(&der, 31).is_err(), "too wide for the field");
        assert!(ecdsa_from_der(&der[..der.len() - 1], 32).is_err(), "cut short");
        let mut longer = der.clone();
        longer.push(0);
        assert!(ecdsa_from_der(&longer, 32).is_err(), "trailing byte");
    }

    #[test]
    fn a_digest_suits_only_schemes_of_its_own_hash() {
        let to_sign = ToSign::of_message(Scheme::Ecdsa(HashAlg::Sha384), b"x");
        assert!(to_sign.suits(Scheme::RsaPss(HashAlg::Sha384)));
        assert!(!to_sign.suits(Scheme::RsaPss(HashAlg::Sha256)));
        assert!(!to_sign.suits(Scheme::Ed25519));
    }
}
