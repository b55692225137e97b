//! The kinds of keys that are measured.

use clap::ValueEnum;
use serde::Serialize;

/// A kind of key, in the words of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
#[value(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the names are the documentation")]
pub enum Kind {
    #[value(name = "rsa-2048")]
    Rsa2048,
    #[value(name = "rsa-4096")]
    Rsa4096,
    P256,
    P384,
    P521,
    Ed25519,
}

impl Kind {
    /// In the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa4096 => "rsa-4096",
            Self::P256 => "p256",
            Self::P384 => "p384",
            Self::P521 => "p521",
            Self::Ed25519 => "ed25519",
        }
    }

    /// Whether it is an elliptic curve.
    pub fn is_curve(self) -> bool {
        !matches!(self, Self::Rsa2048 | Self::Rsa4096)
    }

    /// For `openssl speed`.
    pub fn openssl(self) -> &'static str {
        match self {
            Self::Rsa2048 => "rsa2048",
            Self::Rsa4096 => "rsa4096",
            Self::P256 => "ecdsap256",
            Self::P384 => "ecdsap384",
            Self::P521 => "ecdsap521",
            Self::Ed25519 => "ed25519",
        }
    }

    /// What is signed, as members of a request: a digest of the default scheme's hash, for Ed25519 a message
    /// of 32 bytes.
    pub fn content(self) -> String {
        let digest =
            |hash: &str, length: usize| format!(r#""digest":"{hash}:{}""#, hex::encode(vec![7; length]));
        match self {
            Self::Rsa2048 | Self::Rsa4096 | Self::P256 => digest("sha256", 32),
            Self::P384 => digest("sha384", 48),
            Self::P521 => digest("sha512", 64),
            Self::Ed25519 => {
                use base64::Engine as _;
                let message = base64::engine::general_purpose::STANDARD.encode([7; 32]);
                format!(r#""message":"{message}""#)
            }
        }
    }
}
