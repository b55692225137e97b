//! Key types and signature schemes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::digest::HashAlg;
use crate::name::BadName;

/// What kind of key it is. Text form `rsa-2048`, `p256`, `ed25519`, …
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum KeyType {
    /// RSA with this many bits in the modulus.
    Rsa(u32),
    /// NIST P-256 (secp256r1).
    P256,
    /// NIST P-384 (secp384r1).
    P384,
    /// NIST P-521 (secp521r1).
    P521,
    /// secp256k1: accepted in tag files, never made here.
    Secp256k1,
    /// Ed25519 (RFC 8032).
    Ed25519,
}

impl KeyType {
    /// The types that a key can be made with.
    pub const MADE: [Self; 7] = [
        Self::Rsa(2048),
        Self::Rsa(3072),
        Self::Rsa(4096),
        Self::P256,
        Self::P384,
        Self::P521,
        Self::Ed25519,
    ];

    /// Whether it is an elliptic curve for ECDSA; then the width of `r` and of `s` in bytes.
    pub fn ecdsa_width(self) -> Option<usize> {
        match self {
            Self::P256 | Self::Secp256k1 => Some(32),
            Self::P384 => Some(48),
            Self::P521 => Some(66),
            Self::Rsa(_) | Self::Ed25519 => None,
        }
    }

    /// The schemes that fit, the default first.
    pub fn schemes(self) -> Vec<Scheme> {
        let default = self.default_scheme();
        let others = Scheme::ALL.into_iter().filter(|s| s.fits(self) && *s != default);
        std::iter::once(default).chain(others).collect()
    }

    /// The scheme used when none is named.
    pub fn default_scheme(self) -> Scheme {
        match self {
            Self::Rsa(_) => Scheme::RsaPkcs1(HashAlg::Sha256),
            Self::P256 | Self::Secp256k1 => Scheme::Ecdsa(HashAlg::Sha256),
            Self::P384 => Scheme::Ecdsa(HashAlg::Sha384),
            Self::P521 => Scheme::Ecdsa(HashAlg::Sha512),
            Self::Ed25519 => Scheme::Ed25519,
        }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa(bits) => write!(f, "rsa-{bits}"),
            Self::P256 => f.write_str("p256"),
            Self::P384 => f.write_str("p384"),
            Self::P521 => f.write_str("p521"),
            Self::Secp256k1 => f.write_str("secp256k1"),
            Self::Ed25519 => f.write_str("ed25519"),
        }
    }
}

impl FromStr for KeyType {
    type Err = BadName;
    fn from_str(s: &str) -> Result<Self, BadName> {
        let bad =
            || BadName::new("key type", s, "one of `rsa-2048 rsa-3072 rsa-4096 p256 p384 p521 ed25519`");
        Ok(match s {
            "p256" => Self::P256,
            "p384" => Self::P384,
            "p521" => Self::P521,
            "secp256k1" => Self::Secp256k1,
            "ed25519" => Self::Ed25519,
            _ => {
                let bits = s.strip_prefix("rsa-").ok_or_else(bad)?;
                let bits: u32 = bits.parse().map_err(|_| bad())?;
                if !(512..=16384).contains(&bits) || format!("rsa-{bits}") != s {
                    return Err(bad());
                }
                Self::Rsa(bits)
            }
        })
    }
}

impl TryFrom<String> for KeyType {
    type Error = BadName;
    fn try_from(s: String) -> Result<Self, BadName> {
        s.parse()
    }
}

impl From<KeyType> for String {
    fn from(key_type: KeyType) -> String {
        key_type.to_string()
    }
}

/// An algorithm with its parameters. Text form as in the native API, e.g. `rsa-pss-sha256`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Scheme {
    /// RSASSA-PKCS1-v1_5 (RFC 8017, 8.2).
    RsaPkcs1(HashAlg),
    /// EMSA-PKCS1-v1_5 padding of the given bytes, without DigestInfo.
    RsaPkcs1Raw,
    /// RSASSA-PSS (RFC 8017, 8.1), MGF1 with the same hash, salt as long as the digest.
    RsaPss(HashAlg),
    /// ECDSA (FIPS 186-5) on the key's curve, whatever its size.
    Ecdsa(HashAlg),
    /// Pure Ed25519 (RFC 8032).
    Ed25519,
}

use HashAlg::{Sha256, Sha384, Sha512};

impl Scheme {
    /// Every scheme.
    pub const ALL: [Self; 11] = [
        Self::RsaPkcs1(Sha256),
        Self::RsaPkcs1(Sha384),
        Self::RsaPkcs1(Sha512),
        Self::RsaPkcs1Raw,
        Self::RsaPss(Sha256),
        Self::RsaPss(Sha384),
        Self::RsaPss(Sha512),
        Self::Ecdsa(Sha256),
        Self::Ecdsa(Sha384),
        Self::Ecdsa(Sha512),
        Self::Ed25519,
    ];

    /// The text form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RsaPkcs1(Sha256) => "rsa-pkcs1-sha256",
            Self::RsaPkcs1(Sha384) => "rsa-pkcs1-sha384",
            Self::RsaPkcs1(Sha512) => "rsa-pkcs1-sha512",
            Self::RsaPkcs1Raw => "rsa-pkcs1-raw",
            Self::RsaPss(Sha256) => "rsa-pss-sha256",
            Self::RsaPss(Sha384) => "rsa-pss-sha384",
            Self::RsaPss(Sha512) => "rsa-pss-sha512",
            Self::Ecdsa(Sha256) => "ecdsa-sha256",
            Self::Ecdsa(Sha384) => "ecdsa-sha384",
            Self::Ecdsa(Sha512) => "ecdsa-sha512",
            Self::Ed25519 => "ed25519",
        }
    }

    /// The hash that is signed; `None` where the scheme takes the message itself.
    pub fn hash(self) -> Option<HashAlg> {
        match self {
            Self::RsaPkcs1(hash) | Self::RsaPss(hash) | Self::Ecdsa(hash) => Some(hash),
            Self::RsaPkcs1Raw | Self::Ed25519 => None,
        }
    }

    /// Whether a key of this type can sign with it.
    pub fn fits(self, key: KeyType) -> bool {
        match self {
            Self::RsaPkcs1(_) | Self::RsaPkcs1Raw | Self::RsaPss(_) => {
                matches!(key, KeyType::Rsa(_))
            }
            Self::Ecdsa(hash) => match key {
                KeyType::Secp256k1 => hash == Sha256,
                _ => key.ecdsa_width().is_some(),
            },
            Self::Ed25519 => key == KeyType::Ed25519,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scheme {
    type Err = BadName;
    fn from_str(s: &str) -> Result<Self, BadName> {
        Self::ALL.into_iter().find(|scheme| scheme.as_str() == s).ok_or_else(|| {
            BadName::new("scheme", s, "such as `rsa-pkcs1-sha256`, `ecdsa-sha256` or `ed25519`")
        })
    }
}

impl TryFrom<String> for Scheme {
    type Error = BadName;
    fn try_from(s: String) -> Result<Self, BadName> {
        s.parse()
    }
}

impl From<Scheme> for String {
    fn from(scheme: Scheme) -> String {
        scheme.as_str().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_go_round() {
        for scheme in Scheme::ALL {
            assert_eq!(scheme.as_str().parse(), Ok(scheme));
        }
        for key_type in KeyType::MADE {
            assert_eq!(key_type.to_string().parse(), Ok(key_type));
        }
        for bad in ["rsa-02048", "rsa-", "rsa-99999", "P256", "ed448"] {
            assert!(bad.parse::<KeyType>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_type_lists_its_default_first_and_only_schemes_that_fit() {
        for key_type in KeyType::MADE {
            let schemes = key_type.schemes();
            assert_eq!(schemes[0], key_type.default_scheme());
            assert!(schemes.iter().all(|s| s.fits(key_type)));
        }
        assert_eq!(KeyType::Rsa(2048).schemes().len(), 7);
        assert_eq!(KeyType::P521.schemes().len(), 3);
        assert_eq!(KeyType::Ed25519.schemes(), [Scheme::Ed25519]);
    }
}
