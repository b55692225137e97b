//! The appliance's archive: all keys of one service under a passphrase, as balenaSign exports and imports it.
//!
//! ```text
//! token = Fernet( gzip( tar ) )             see [`fernet`], [`tar`]
//!
//! gpg/pubring.kbx                           public keys                     see [`gnupg`]
//! gpg/private-keys-v1.d/KEYGRIP.key         their private halves
//! x509/ID.crt  x509/ID.key                  certificate and its key, PEM    see [`layout`]
//! x509/ID.esl  x509/LIST.esl                EFI signature lists
//! x509/LIST.{PK,KEK,db,dbx}.auth            signed variables
//! rsa/ID/private.pem  rsa/ID/public.pem
//! pki/TREE/…                                HAB and AHAB trees              see [`pki`]
//! ```
//! Everything with a private half is read and written here, in the key host, and nowhere else: what goes to the
//! front is sealed, or public. [`read`] takes all or nothing.

mod buffer;
pub mod fernet;
pub mod gnupg;
pub mod layout;
mod name;
pub mod pki;
mod rsa;
mod sexp;
pub mod tar;

use countersign_model::KeyName;
use serde::{Deserialize, Serialize};

pub use fernet::Sealed;
pub use name::{is_certificate_id, is_list_name};

use crate::soft::{ImportError, SoftKey};
use crate::wire::HostError;

/// The most bytes that an archive may have unpacked.
pub const MAX_UNPACKED: usize = 48 << 20;
/// The most private keys that are imported or exported at once.
pub const MAX_KEYS: usize = 1000;

/// Which key of an archive: where it stands there, and what it is called here.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ArchivedKey {
    /// `x509/ID.key`, the key of the certificate `ID`: see [`is_certificate_id`].
    Certificate(String),
    /// `rsa/ID/private.pem`: 1 to 64 lower-case hex digits.
    Rsa(String),
    /// The private half of the OpenPGP key with this fingerprint: 40 upper-case hex digits.
    OpenPgp(String),
    /// `pki/TREE/keys/NAME_key.pem`.
    Pki {
        /// 1 to 64 lower-case hex digits.
        tree: String,
        /// The certificate's common name, e.g. `SRK1_sha256_4096_65537_v3_ca`.
        name: String,
    },
}

impl ArchivedKey {
    /// The name that the key has here, as the appliance's: `appliance/cert/ID`, `appliance/rsa/ID`,
    /// `appliance/gpg/FINGERPRINT`, `appliance/imx/TREE/NAME`.
    ///
    /// Characters of a certificate's id that a key name cannot have are written `+` and two hex digits; of a
    /// long one the end is replaced by `++` and a part of its SHA-256.
    ///
    /// # Errors
    /// [`ArchiveError::Id`] if the id breaks its grammar.
    pub fn key_name(&self) -> Result<KeyName, ArchiveError> {
        name::key_name(self)
    }

    /// Whether the key `name` can stand here in an archive that is written: it has this place's own name, or
    /// it is an RSA or OpenPGP key that was made here, which was named before its id was known.
    ///
    /// # Errors
    /// [`ArchiveError::Id`] if the id breaks its grammar.
    pub fn can_be(&self, name: &KeyName) -> Result<bool, ArchiveError> {
        name::can_be(self, name)
    }
}

/// A file and what it is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedFile {
    /// Without folder and extension.
    pub name: String,
    /// The bytes.
    #[serde(with = "serde_bytes")]
    pub content: Vec<u8>,
}

/// `x509/LIST.VARIABLE.auth`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VariableFile {
    /// The list's name: see [`is_list_name`].
    pub list: String,
    /// `PK`, `KEK`, `db` or `dbx`.
    pub variable: String,
    /// The authenticated variable.
    #[serde(with = "serde_bytes")]
    pub content: Vec<u8>,
}

/// A file of a HAB or AHAB tree that is no private key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeFile {
    /// The tree's id.
    pub tree: String,
    /// Below the tree: `crts/NAME_crt.pem`, `SRK_table.bin`, …
    pub path: String,
    /// The bytes.
    #[serde(with = "serde_bytes")]
    pub content: Vec<u8>,
}

/// What is not secret in an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicPart {
    /// Certificates in PEM by id. One without a key among [`Contents::keys`] has none in the archive.
    pub certificates: Vec<NamedFile>,
    /// EFI signature lists by the certificate's id or the list's name. None is empty.
    pub lists: Vec<NamedFile>,
    /// Signed variables.
    pub variables: Vec<VariableFile>,
    /// Packets of OpenPGP keys by fingerprint. From a keybox GnuPG's trust packets are among them.
    pub openpgp: Vec<NamedFile>,
    /// Files of HAB and AHAB trees.
    pub trees: Vec<TreeFile>,
}

/// What was read from an archive.
#[derive(Default)]
pub struct Contents {
    /// The private keys, each once.
    pub keys: Vec<(ArchivedKey, SoftKey)>,
    /// What is not secret.
    pub public: PublicPart,
    /// Files that were passed over, as litter or of no use here. Directories and empty files are not listed.
    pub skipped: Vec<String>,
}

/// Why an archive is not taken or not written. Never shows a key or a passphrase.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The salt is not base64 of 1 to 64 bytes.
    #[error("the salt is not base64 of 1 to 64 bytes")]
    Salt,
    /// Wrong passphrase or damaged token.
    #[error("the passphrase does not open the archive, or the archive is damaged")]
    Token,
    /// Not gzip inside.
    #[error("the archive is not gzip, or is cut short")]
    Gzip,
    /// Not tar inside.
    #[error("the archive is not tar, or is cut short")]
    Tar,
    /// An entry that no archive in good faith has.
    #[error("the archive is refused for its entry `{path}`: {why}")]
    Entry {
        /// Escaped and cut.
        path: String,
        /// In words.
        why: &'static str,
    },
    /// More than is read.
    #[error(
        "the archive is too large: at most {MAX_UNPACKED} bytes unpacked, {} entries and {MAX_KEYS} keys",
        tar::MAX_ENTRIES
    )]
    TooLarge,
    /// Nothing of what an archive has.
    #[error("the archive is empty")]
    Empty,
    /// An id that breaks its grammar.
    #[error("`{0}` is not a valid id")]
    Id(String),
    /// A private key that cannot be imported.
    #[error("the key `{path}` of the archive: {error}")]
    Key {
        /// Its file.
        path: String,
        /// Why.
        error: ImportError,
    },
    /// A private key of GnuPG under a passphrase of its own, or on a card.
    #[error("the key `{path}` of the archive is protected by a passphrase of its own: remove that one first")]
    Protected {
        /// Its file.
        path: String,
    },
    /// The keybox is damaged.
    #[error("the keybox `gpg/pubring.kbx` is damaged")]
    Keybox,
    /// Two files that should hold the same key.
    #[error("`{0}` and its private key do not belong together")]
    Mismatch(String),
    /// Deriving the keys that encrypt the private keys of a tree would cost too much.
    #[error("the private keys of the tree `{0}` are encrypted too costly")]
    TooCostly(String),
    /// A key that its place in the archive cannot hold.
    #[error("the key `{0}` is of a type that the archive has no place for")]
    Type(KeyName),
    /// The library failed.
    #[error("the archive could not be written: {0}")]
    Failed(String),
}

impl ArchiveError {
    fn key(path: &str, error: ImportError) -> Self {
        Self::Key { path: path.into(), error }
    }
}

impl From<ArchiveError> for HostError {
    fn from(error: ArchiveError) -> Self {
        let text = error.to_string();
        match error {
            ArchiveError::Token => Self::WrongPassphrase(text),
            ArchiveError::Empty => Self::EmptyArchive,
            ArchiveError::Key { error: ImportError::Weak(_), .. } => Self::WeakKey(text),
            ArchiveError::Failed(_) => Self::Internal(text),
            _ => Self::BadArchive(text),
        }
    }
}

/// Decrypts and reads an archive: all or nothing.
///
/// - `passphrase`: as bytes, not decoded.
/// - `salt`: base64; `token`: URL-safe base64.
///
/// # Errors
/// [`ArchiveError`].
pub fn read(passphrase: &[u8], salt: &[u8], token: &[u8]) -> Result<Contents, ArchiveError> {
    unpack(&fernet::open(passphrase, salt, token)?)
}

/// Reads an archive that is decrypted already: gzip.
///
/// # Errors
/// [`ArchiveError`].
pub fn unpack(packed: &[u8]) -> Result<Contents, ArchiveError> {
    let unpacked = fernet::gunzip(packed, MAX_UNPACKED)?;
    layout::read(&tar::read(unpacked.as_slice())?)
}

/// Writes and encrypts an archive.
///
/// - `keys`: the private keys, exportable all of them: for the caller to see to.
/// - `public`: what stands beside them; every certificate and OpenPGP key of `keys` must be among it.
/// - `time`: Unix seconds.
///
/// # Errors
/// [`ArchiveError`].
pub fn write(
    keys: &[(ArchivedKey, &SoftKey)],
    public: &PublicPart,
    passphrase: &[u8],
    time: u64,
) -> Result<Sealed, ArchiveError> {
    let unpacked = layout::write(keys, public, time)?;
    if unpacked.as_slice().len() > MAX_UNPACKED {
        return Err(ArchiveError::TooLarge);
    }
    fernet::seal(passphrase, fernet::gzip(unpacked.as_slice())?.as_slice(), time)
}
