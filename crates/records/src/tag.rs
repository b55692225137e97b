//! Tags: a text file that carries the signatures of several authorities below its own lines.
//!
//! ```text
//! build=42                                          payload: every line before the first header
//! job=nightly
//! === SIGNATURE jenkins                             header: one space each
//! VSo8kW+uROrPXaqH0D0d406ThBhmSOokJOUB/CxwSGKG…     base64, 76 characters a line
//! puayuDTBRnH9U4b3nGAiJJdIykLPriUwIyajTRq8Ha5j…
//! === SIGNATURE release-team                        blocks in the order of NAME.sig, byte by byte
//! MEQCIARlklP9voyT3/oXUEeF3Kk46swb45CvYfDh+xIi…
//! ```
//!
//! A signature covers the payload lines, each with its line feed, with SHA-256: RSA as PKCS#1 v1.5, any
//! curve as ECDSA in DER. So any tool can check it:
//! `awk '/^=== SIGNATURE /{exit}{print}' FILE | openssl dgst -sha256 -verify KEY -signature SIG`.
//!
//! A file is read in two ways. [`TagFile`] reads any file, also one that others have damaged, and says
//! which signatures hold. [`Tag`] reads only what is safe to sign: a header line inside a text would make
//! a verifier see a shorter text, so everything below the first header must be well-formed blocks.
//! A tag about an artifact's bytes is such a text too: its [`head`] names them by their digest.
//!
//! ```
//! use countersign_model::{PublicKey, RawSignature, Scheme, ToSign};
//! use countersign_records::tag::{self, AuthorityName, Payload, Tag, TagFile, WeakKeys};
//!
//! # fn at_the_key_host(_: Scheme, _: ToSign) -> RawSignature { RawSignature(vec![7; 256]) }
//! let mut tag = Tag::new(Payload::new(b"build=42\njob=nightly")?);
//! let jenkins: AuthorityName = "jenkins".parse()?;
//!
//! let scheme: Scheme = "rsa-pkcs1-sha256".parse()?;
//! let (to_sign, pending) = tag::prepare(tag.payload(), scheme)?;
//! let signature = at_the_key_host(scheme, to_sign);
//! tag.put(tag::finish(pending, jenkins.clone(), &signature)?);
//!
//! let bytes = tag.to_bytes();
//! let file = TagFile::parse(&bytes)?;
//! assert_eq!(file.payload(), b"build=42\njob=nightly\n");
//! assert!(file.block(&jenkins).is_ok());
//! // file.verify(&jenkins, &public_key, WeakKeys::Refuse)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod authority;
mod block;
pub mod head;
mod lines;
mod read;
mod write;

use countersign_model::{HashAlg, KeyType, RawSignature, Scheme, ToSign};

pub use authority::AuthorityName;
pub use block::Block;
pub use read::{FoundBlock, TagFile, WeakKeys};
pub use write::{Payload, Tag};

/// The scheme that a key of this type signs tags with; `None` for types that cannot.
///
/// SHA-256 whatever the curve. Ed25519 signs messages, not digests, and is not part of the format.
pub fn scheme_for(key_type: KeyType) -> Option<Scheme> {
    match key_type {
        KeyType::Rsa(_) => Some(Scheme::RsaPkcs1(HashAlg::Sha256)),
        KeyType::P256 | KeyType::P384 | KeyType::P521 | KeyType::Secp256k1 => {
            Some(Scheme::Ecdsa(HashAlg::Sha256))
        }
        KeyType::Ed25519 => None,
    }
}

/// What [`finish`] needs to know when the signature has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    scheme: Scheme,
}

/// Prepares `payload` to be signed under `scheme`.
///
/// # Errors
/// [`FormatError::Scheme`] unless the scheme is one that [`scheme_for`] gives.
pub fn prepare(payload: &Payload, scheme: Scheme) -> Result<(ToSign, Pending), FormatError> {
    match scheme {
        Scheme::RsaPkcs1(HashAlg::Sha256) | Scheme::Ecdsa(HashAlg::Sha256) => {
            Ok((ToSign::of_message(scheme, payload.as_bytes()), Pending { scheme }))
        }
        other => Err(FormatError::Scheme(other)),
    }
}

/// Makes the block of `authority` from the bare signature.
///
/// # Errors
/// [`FormatError::Length`] if the signature is not of a length that a block can have.
pub fn finish(
    pending: Pending,
    authority: AuthorityName,
    signature: &RawSignature,
) -> Result<Block, FormatError> {
    let signature = signature.encode(pending.scheme, countersign_model::Encoding::Der);
    Block::new(authority, signature)
}

/// Why something cannot be a signature in a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// A scheme that the format does not know.
    #[error("a tag cannot be signed with scheme `{0}`: only with `rsa-pkcs1-sha256` and `ecdsa-sha256`")]
    Scheme(Scheme),
    /// Shorter or longer than any signature.
    #[error("a signature in a tag has 8 to 2048 bytes, not {0}")]
    Length(usize),
}

/// Why a tag is refused. The texts are those that users of the format know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TagError {
    /// There are no payload lines.
    #[error("cannot sign an empty file")]
    Empty,
    /// Below a header line stands something else than well-formed blocks.
    #[error("payload contains a signature header line: line {line}")]
    HeaderLine {
        /// The header line, counted from 1.
        line: usize,
    },
    /// A payload line that a person may take for a header.
    #[error("payload contains a line that looks like a signature header: line {line}")]
    LookAlike {
        /// The line, counted from 1.
        line: usize,
    },
    /// The name breaks the grammar of [`AuthorityName`].
    #[error("bad authority name: {got}")]
    BadName {
        /// What was given, escaped and cut.
        got: String,
    },
    /// No block of this authority, or an empty one.
    #[error("not signed by {name}")]
    NotSigned {
        /// The authority.
        name: AuthorityName,
    },
    /// Several blocks of this authority.
    #[error("duplicate signature block for {name}")]
    Duplicate {
        /// The authority.
        name: AuthorityName,
    },
    /// The signature does not verify, or is not one.
    #[error("invalid signature for {name}")]
    InvalidSignature {
        /// The authority.
        name: AuthorityName,
    },
    /// RSA with fewer than 2048 bits.
    #[error("weak key for {name}")]
    WeakKey {
        /// The authority.
        name: AuthorityName,
    },
    /// A key that cannot make or check signatures of this format.
    #[error("unsupported key type for {name}")]
    UnsupportedKey {
        /// The authority.
        name: AuthorityName,
    },
}

impl TagError {
    /// One sentence for the person who reads the terminal.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Empty => "a tag has at least one line of text before its signatures",
            Self::HeaderLine { .. } => {
                "everything below it would be cut off from what is signed: remove the line, or what stands \
                 below it and is no signature"
            }
            Self::LookAlike { .. } => "readers could take it for the end of the text: reword the line",
            Self::BadName { .. } => {
                "1 to 64 of `A-Z a-z 0-9 . _ @ + -`, beginning with a letter, a digit or `_`, without `..`"
            }
            Self::NotSigned { .. } => "ask the authority to sign it",
            Self::Duplicate { .. } => "keep the one block that verifies, or let the authority sign again",
            Self::InvalidSignature { .. } => {
                "the text was changed after signing, or another key signed it: do not trust it"
            }
            Self::WeakKey { .. } => {
                "RSA keys have at least 2048 bits; old signatures can be read with `--allow-weak`"
            }
            Self::UnsupportedKey { .. } => "tags are signed with RSA, P-256, P-384, P-521 or secp256k1 keys",
        }
    }
}
