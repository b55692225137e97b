//! Content signatures: what is signed of a collection, and the bundle that carries the signature.
//!
//! Two profiles exist. **Modern**: ECDSA over `Content-Signature:␀` and the canonical JSON of
//! `{"data": [records by id], "last_modified": "timestamp"}`, in URL-safe base64 without padding. **Seed**, of
//! 2016: the records alone, no prefix, numbers as Python writes them, in standard base64.

mod bundle;
mod writer;

use countersign_model::{HashAlg, KeyType, Scheme};

pub use bundle::{Bundle, Encoding, Pending, Signer};
pub use writer::{Writer, prepare, prepare_digest};

/// What stands before a modern message, so that nothing else that a key signs is one.
pub const PREFIX: &[u8] = b"Content-Signature:\x00";

/// Which bytes are signed, and how a bundle is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    /// Remote Settings, Autograph.
    Modern,
    /// The first Kinto signer.
    Seed,
}

/// ECDSA on a curve with the hash of its size. Text form `p384ecdsa`, as in the bundle's `mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// P-256 with SHA-256.
    P256,
    /// P-384 with SHA-384: what collections are signed with.
    #[default]
    P384,
    /// P-521 with SHA-512.
    P521,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    /// The text form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::P256 => "p256ecdsa",
            Self::P384 => "p384ecdsa",
            Self::P521 => "p521ecdsa",
        }
    }

    /// The mode of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == name)
    }

    /// The mode that a key of this type signs in; `None` for types that do not sign content.
    pub fn of_key(key_type: KeyType) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.key_type() == key_type)
    }

    /// The type of key.
    pub fn key_type(self) -> KeyType {
        match self {
            Self::P256 => KeyType::P256,
            Self::P384 => KeyType::P384,
            Self::P521 => KeyType::P521,
        }
    }

    /// The hash.
    pub fn hash(self) -> HashAlg {
        match self {
            Self::P256 => HashAlg::Sha256,
            Self::P384 => HashAlg::Sha384,
            Self::P521 => HashAlg::Sha512,
        }
    }

    /// The scheme that a key signs with.
    pub fn scheme(self) -> Scheme {
        Scheme::Ecdsa(self.hash())
    }
}

/// Why content is not signed, or a bundle not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentSignatureError {
    /// A record that comes before the one given last, or the same again.
    #[error("record `{id}` is given twice or does not come in the order of ids")]
    Order {
        /// The record's id.
        id: String,
    },
    /// A digest of another hash.
    #[error("the mode `{}` signs a digest of {}, not of {given}", .mode.as_str(), .mode.hash())]
    Digest {
        /// How is to be signed.
        mode: Mode,
        /// The hash of the digest that was given.
        given: HashAlg,
    },
    /// An answer of the key that is no signature of the mode.
    #[error("the signature is not {want} bytes long but {got}")]
    Length {
        /// The length of `r‖s` in bytes.
        want: usize,
        /// What was given.
        got: usize,
    },
    /// A mode that is not known.
    #[error("unknown mode `{0}` of a content signature")]
    Mode(String),
    /// An encoding or a hash of the seed's profile that is not known.
    #[error("unknown encoding `{0}` of a content signature")]
    Encoding(String),
    /// The signature is not in base64.
    #[error("the content signature is not base64")]
    Base64,
    /// A key that does not sign in the bundle's mode.
    #[error("a key of type `{key_type}` does not sign in the mode `{}`", .mode.as_str())]
    Key {
        /// The key's type.
        key_type: KeyType,
        /// The bundle's mode.
        mode: Mode,
    },
    /// The mathematics say no.
    #[error("the content signature is not valid for this key and content")]
    Invalid,
}

impl ContentSignatureError {
    /// One sentence for the person who reads the terminal or the log.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Order { .. } => "give the live records sorted by the code points of their ids",
            Self::Digest { .. } => {
                "hash `Content-Signature:`, a zero byte and the content with the mode's hash"
            }
            Self::Length { .. } | Self::Base64 => {
                "a signature is r and s, each as wide as the field, in base64"
            }
            Self::Mode(_) | Self::Key { .. } => "`p256ecdsa`, `p384ecdsa` and `p521ecdsa` are known",
            Self::Encoding(_) => "`rs_base64` and `rs_base64url` with `sha384` are known",
            Self::Invalid => "fetch the whole collection again; if it stays so, do not trust it",
        }
    }
}

#[cfg(test)]
mod tests;
