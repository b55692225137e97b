//! The protocol between the front and the key host.
//!
//! ```text
//! frame   = length (u32, little-endian, of what follows) | id (u64) | body
//! body    = Request or Response in postcard's encoding
//! ```
//! The front opens with [`Request::Hello`]; the key host accepts nothing else before. Requests are
//! pipelined: answers carry the id of their request and come in any order. A frame is at most
//! [`MAX_FRAME`] bytes, and nothing is allocated by a length that was only announced.

use std::io::{self, Read};

use countersign_model::entry::Op;
use countersign_model::{Format, KeyName, KeyType, Name, PrincipalName, RequestId, Scheme, Surface, ToSign};
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::archive::{ArchivedKey, PublicPart};

/// Changes whenever the messages do. Both sides are the same binary, so a mismatch means a half upgrade.
pub const VERSION: u32 = 3;

/// The largest frame: the largest message that Ed25519 may sign (64 MiB), and room for its circumstances.
pub const MAX_FRAME: usize = (64 << 20) + (4 << 20);

/// The most texts that one MAC is compared with.
pub const MAX_MAC_TEXTS: usize = 4;

/// Bytes that are wiped when dropped and never shown.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret(#[serde(with = "serde_bytes")] pub Vec<u8>);

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A data key as it is stored: its id, and itself under the seal key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrappedDataKey {
    /// 32 hex digits.
    pub id: String,
    /// See [`crate::seal`].
    #[serde(with = "serde_bytes")]
    pub wrapped: Vec<u8>,
}

/// What the database remembers of the log: it must be in the log that is found on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownHead {
    /// Number of entries.
    pub size: u64,
    /// Root hash at that size.
    pub root: [u8; 32],
}

/// The first message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hello {
    /// [`VERSION`] of the front.
    pub version: u32,
    /// Name of this node and origin of its log.
    pub origin: Name,
    /// All data keys of the deployment. Empty only at the very first start: then the key host makes one,
    /// and a seal key if there is none.
    pub data_keys: Vec<WrappedDataKey>,
    /// The last checkpoint that the database knows.
    pub known_head: Option<KnownHead>,
    /// A passphrase that was typed at a prompt.
    pub passphrase: Option<Secret>,
}

/// Answer to [`Hello`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// A data key that was made just now: to be stored before anything else is asked.
    pub new_data_key: Option<WrappedDataKey>,
    /// The log's verifier key (C2SP signed-note).
    pub verifier_key: String,
    /// Entries in the log.
    pub log_size: u64,
    /// What the process gave up, for `doctor`: a line each, starting with `ok` or `warning`.
    pub sandbox: Vec<String>,
    /// How the seal key is kept, in words.
    pub seal: String,
}

/// Who asks for what, as it will stand in the log. Taken from a permit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Who caused it.
    pub principal: PrincipalName,
    /// The surface that was asked.
    pub surface: Surface,
    /// `sha256:HEX` of the policy that allowed it.
    pub policy: String,
    /// The request.
    pub request_id: RequestId,
}

/// What a new key is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySpec {
    /// Its name; a surface's key has the surface in it.
    pub name: KeyName,
    /// Whether it can leave the key host, encrypted.
    pub exportable: bool,
    /// The only formats that it may sign; `None`: every format that policy allows.
    pub formats: Option<Vec<Format>>,
}

/// One signature to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignItem {
    /// Index in [`Request::Sign::blobs`].
    pub blob: u32,
    /// The key that the permit names: the blob must be this key's.
    pub key: KeyName,
    /// Circumstances for the log.
    pub cause: Cause,
    /// How the signature will be written.
    pub format: Format,
    /// The scheme.
    pub scheme: Scheme,
    /// The bytes.
    pub to_sign: WireToSign,
    /// SHA-256 of what the caller gave.
    pub input: Option<[u8; 32]>,
    /// What was named.
    pub subject: Option<String>,
    /// Whether to check the signature before it is released.
    pub check: Check,
}

/// When the key host checks a signature as a stranger would, before it releases it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Check {
    /// If it is of RSA.
    #[default]
    Rsa,
    /// Always.
    Always,
    /// Not where whoever asks checks what the signature becomes, and releases it only then: what is in a format of its
    /// own. A bare signature of RSA is checked here all the same.
    ByCaller,
}

impl Check {
    /// Whether a signature by a key of `key_type` that is to be written in `format` is checked by the key host.
    pub fn applies(self, key_type: KeyType, format: Format) -> bool {
        let bare = matches!(format, Format::Raw | Format::RawUnprefixed | Format::ContentSignature);
        match self {
            Self::Always => true,
            Self::Rsa => matches!(key_type, KeyType::Rsa(_)),
            Self::ByCaller => matches!(key_type, KeyType::Rsa(_)) && bare,
        }
    }
}

/// [`ToSign`] on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WireToSign {
    /// A message.
    Message(#[serde(with = "serde_bytes")] Vec<u8>),
    /// A digest; its length says which hash.
    Digest(#[serde(with = "serde_bytes")] Vec<u8>),
}

impl From<ToSign> for WireToSign {
    fn from(to_sign: ToSign) -> Self {
        match to_sign {
            ToSign::Message(message) => Self::Message(message),
            ToSign::Digest(digest) => Self::Digest(digest.as_bytes().to_vec()),
        }
    }
}

impl WireToSign {
    /// The value for `scheme`; `None` if a digest is not as long as the scheme's.
    pub fn into_to_sign(self, scheme: Scheme) -> Option<ToSign> {
        match self {
            Self::Message(message) => Some(ToSign::Message(message)),
            Self::Digest(bytes) => {
                countersign_model::Digest::new(scheme.hash()?, &bytes).ok().map(ToSign::Digest)
            }
        }
    }
}

/// What the front asks.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "one is made and sent at a time")]
pub enum Request {
    /// Opens the connection.
    Hello(Hello),
    /// Makes a key.
    Generate {
        /// Circumstances for the log.
        cause: Cause,
        /// What it is to be.
        spec: KeySpec,
        /// Its type.
        key_type: KeyType,
    },
    /// Takes in a key.
    Import {
        /// Circumstances for the log.
        cause: Cause,
        /// What it is to be.
        spec: KeySpec,
        /// The PEM text, undecoded.
        pem: Secret,
        /// For encrypted PKCS#8.
        passphrase: Option<Secret>,
    },
    /// Gives out an exportable key as encrypted PKCS#8.
    Export {
        /// Circumstances for the log.
        cause: Cause,
        /// The key that the permit names: the blob must be this key's.
        key: KeyName,
        /// The sealed key.
        #[serde(with = "serde_bytes")]
        blob: Vec<u8>,
        /// What to encrypt it with.
        passphrase: Secret,
    },
    /// Signs. The items of one request are logged with one durable write and signed by all cores.
    Sign {
        /// The sealed keys that the items name by index.
        blobs: Vec<serde_bytes::ByteBuf>,
        /// The signatures to make.
        items: Vec<SignItem>,
    },
    /// Writes a change of trust to the log, before the front makes it.
    Record {
        /// Circumstances for the log.
        cause: Cause,
        /// What changes.
        op: Op,
        /// The key that changes, and its id.
        key: Option<(KeyName, countersign_model::KeyId)>,
        /// What else changes.
        subject: Option<String>,
    },
    /// Makes the checkpoint of all entries that are durable now, and puts its tiles on disk.
    Checkpoint,
    /// Makes a random secret for a Hawk credential and seals it.
    MakeSecret {
        /// The credential that it is sealed for.
        id: String,
    },
    /// Says whether a request was signed with the secret of a Hawk credential. No secret leaves for it.
    CheckMac {
        /// The credential.
        id: String,
        /// Its secret, sealed; `None`: there is no such credential, and the answer is no, at the same price.
        sealed: Option<serde_bytes::ByteBuf>,
        /// What may have been signed: a request by each of the names that the server has. At most
        /// [`MAX_MAC_TEXTS`].
        texts: Vec<serde_bytes::ByteBuf>,
        /// HMAC-SHA-256, as it was sent.
        #[serde(with = "serde_bytes")]
        mac: Vec<u8>,
    },
    /// All data keys under `passphrase`, for a backup.
    WrapForBackup {
        /// Circumstances for the log.
        cause: Cause,
        /// The backup's passphrase.
        passphrase: Secret,
    },
    /// All data keys under a new seal key, which becomes the one in force at [`Request::CommitSeal`].
    RotateSeal {
        /// Circumstances for the log.
        cause: Cause,
        /// What the new seal key is.
        to: NewSeal,
    },
    /// Puts the new seal key in the place of the old one.
    CommitSeal,
    /// Takes in all keys of an archive of the appliance, or none.
    ArchiveImport {
        /// Circumstances for the log.
        cause: Cause,
        /// The archive's passphrase.
        passphrase: Secret,
        /// Base64 text.
        #[serde(with = "serde_bytes")]
        salt: Vec<u8>,
        /// URL-safe base64 text.
        #[serde(with = "serde_bytes")]
        token: Vec<u8>,
    },
    /// Gives out keys of the appliance as an archive.
    ArchiveExport {
        /// Circumstances for the log.
        cause: Cause,
        /// The archive's passphrase, of any length: the original's clients choose it.
        passphrase: Secret,
        /// Where each key stands in the archive, and the sealed key.
        keys: Vec<(ArchivedKey, serde_bytes::ByteBuf)>,
        /// What stands beside the keys.
        public: PublicPart,
    },
    /// Finds out whether the log can be written again, without an entry.
    ProbeLog,
}

/// What a new seal key is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NewSeal {
    /// Another one of the same kind: a new file, or the same passphrase with new salts.
    SameKind,
    /// 32 new random bytes in a file.
    File,
    /// This passphrase.
    Passphrase(Secret),
}

/// What the key host answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    /// To [`Request::Hello`].
    Welcome(Welcome),
    /// To [`Request::Generate`] and [`Request::Import`].
    Key {
        /// SubjectPublicKeyInfo in DER.
        #[serde(with = "serde_bytes")]
        spki: Vec<u8>,
        /// The sealed key.
        #[serde(with = "serde_bytes")]
        blob: Vec<u8>,
        /// Index of its entry.
        index: u64,
    },
    /// To [`Request::Export`].
    Exported {
        /// `ENCRYPTED PRIVATE KEY`.
        pem: Secret,
        /// Index of its entry.
        index: u64,
    },
    /// To [`Request::Sign`], in the order of the items.
    Signed(Vec<Result<Signed, HostError>>),
    /// To [`Request::Record`].
    Recorded {
        /// Index of the entry.
        index: u64,
    },
    /// To [`Request::Checkpoint`].
    Checkpoint(HeadNote),
    /// To [`Request::MakeSecret`].
    Secret {
        /// The secret.
        secret: Secret,
        /// Itself, sealed.
        #[serde(with = "serde_bytes")]
        sealed: Vec<u8>,
    },
    /// To [`Request::CheckMac`]: whether it is the MAC of one of the texts.
    MacChecked(bool),
    /// To [`Request::WrapForBackup`].
    BackupKeys {
        /// All data keys.
        keys: Vec<WrappedDataKey>,
        /// Index of its entry.
        index: u64,
    },
    /// To [`Request::RotateSeal`].
    NewSeal {
        /// All data keys.
        keys: Vec<WrappedDataKey>,
        /// Index of its entry.
        index: u64,
    },
    /// To [`Request::CommitSeal`] and [`Request::ProbeLog`].
    Done,
    /// To [`Request::ArchiveImport`].
    ArchiveImported {
        /// The keys, sealed.
        keys: Vec<ImportedKey>,
        /// What is not secret.
        public: PublicPart,
        /// Files that were passed over.
        skipped: Vec<String>,
        /// Index of the first key's entry; those of the others follow.
        index: u64,
    },
    /// To [`Request::ArchiveExport`].
    ArchiveExported {
        /// URL-safe base64.
        token: String,
        /// Standard base64.
        salt: String,
        /// Index of the first key's entry; those of the others follow.
        index: u64,
    },
    /// The request as a whole was refused.
    Refused(HostError),
}

/// A signature and where its entry stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// The bare signature.
    #[serde(with = "serde_bytes")]
    pub signature: Vec<u8>,
    /// Index of its entry.
    pub index: u64,
}

/// A key of an archive, sealed: exportable, for every format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedKey {
    /// Where it stood; [`ArchivedKey::key_name`] is its name now.
    pub archived: ArchivedKey,
    /// SubjectPublicKeyInfo in DER.
    #[serde(with = "serde_bytes")]
    pub spki: Vec<u8>,
    /// The sealed key.
    #[serde(with = "serde_bytes")]
    pub blob: Vec<u8>,
}

/// A signed head of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadNote {
    /// Number of entries.
    pub size: u64,
    /// Root hash at that size.
    pub root: [u8; 32],
    /// The signed note.
    pub note: String,
}

/// Why the key host refused. Nothing was signed, or what was signed is not released.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum HostError {
    /// The key host is not there: starting, restarting or gone.
    #[error("the key host is not available")]
    Unavailable,
    /// The log cannot be written.
    #[error("the signing log cannot be written: {0}")]
    Log(String),
    /// The log cannot grow: the disk is full.
    #[error("the signing log cannot grow: the disk is full")]
    LogFull,
    /// The log on disk is not the one that the database knows.
    #[error("{0}")]
    LogRolledBack(String),
    /// The seal key is missing or wrong.
    #[error("{0}")]
    Seal(String),
    /// The key host waits for its passphrase.
    #[error("the key host is locked: it waits for the passphrase of the seal key")]
    Locked,
    /// A sealed key does not open: damaged, or of another deployment.
    #[error("the sealed key cannot be opened: it is damaged or belongs to another deployment")]
    BadBlob,
    /// Scheme and key do not go together.
    #[error("scheme `{scheme}` does not fit a key of type `{key_type}`")]
    SchemeMismatch {
        /// The scheme asked for.
        scheme: Scheme,
        /// The key's type.
        key_type: KeyType,
    },
    /// A digest where a message is needed, or one of another hash.
    #[error("scheme `{0}` cannot sign what was given")]
    Unsuitable(Scheme),
    /// Too many bytes for `rsa-pkcs1-raw`.
    #[error("{got} bytes do not fit: this key signs at most {max} bytes without DigestInfo")]
    MessageTooLong {
        /// Bytes given.
        got: u64,
        /// Modulus length less 11.
        max: u64,
    },
    /// The key's own list of formats, sealed with it, forbids this one.
    #[error("the key signs no format `{0}`")]
    FormatNotAllowed(Format),
    /// The key belongs to another surface.
    #[error("the key belongs to the surface `{0}`")]
    OwnedBy(Surface),
    /// Not a private key that can be imported.
    #[error("{0}")]
    MalformedKey(String),
    /// Too weak to be let in.
    #[error("{0}")]
    WeakKey(String),
    /// Wrong or missing passphrase.
    #[error("{0}")]
    WrongPassphrase(String),
    /// The key derivation of an encrypted key would cost too much.
    #[error("{0}")]
    KdfTooCostly(String),
    /// An archive that is not one, or is refused as a whole.
    #[error("{0}")]
    BadArchive(String),
    /// An archive without anything in it.
    #[error("the archive is empty")]
    EmptyArchive,
    /// The key was made to stay.
    #[error("the key is not exportable")]
    NotExportable,
    /// The signature did not verify and was thrown away.
    #[error("the signature did not verify and was not released")]
    NotVerified,
    /// The front broke the protocol.
    #[error("protocol error: {0}")]
    Protocol(String),
    /// Anything else inside the key host.
    #[error("the key host failed: {0}")]
    Internal(String),
}

/// A frame that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The connection ended or failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Announced larger than [`MAX_FRAME`].
    #[error("a frame of {0} bytes is over the limit")]
    TooLarge(usize),
    /// Not a message.
    #[error("a frame does not hold a message")]
    Malformed,
}

/// Appends one frame to `out`.
///
/// # Errors
/// [`FrameError::TooLarge`]; `out` is then as it was.
pub fn encode(id: u64, body: &impl Serialize, out: &mut Vec<u8>) -> Result<(), FrameError> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&id.to_le_bytes());
    let written = postcard::to_extend(body, std::mem::take(out)).map_err(|_| FrameError::Malformed)?;
    *out = written;
    let length = out.len() - start - 4;
    if length > MAX_FRAME {
        wipe(&mut out[start..]);
        out.truncate(start);
        return Err(FrameError::TooLarge(length));
    }
    out[start..start + 4].copy_from_slice(&(length as u32).to_le_bytes());
    Ok(())
}

/// Reads the content of one frame (what follows its length).
///
/// # Errors
/// [`FrameError::Malformed`] for anything but exactly one message.
pub fn decode<'a, T: Deserialize<'a>>(content: &'a [u8]) -> Result<(u64, T), FrameError> {
    let (id, body) = content.split_first_chunk::<8>().ok_or(FrameError::Malformed)?;
    let (message, rest) = postcard::take_from_bytes(body).map_err(|_| FrameError::Malformed)?;
    if !rest.is_empty() {
        return Err(FrameError::Malformed);
    }
    Ok((u64::from_le_bytes(*id), message))
}

/// Overwrites bytes that may have been part of a secret, at the speed of memory: every frame is wiped, most
/// of which hold none.
pub(crate) fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    // As far as the compiler knows somebody looks at the zeros, so it cannot leave them out.
    std::hint::black_box(bytes);
}

/// Splits a stream of bytes into frames. Keeps what is not complete yet, and wipes what it gave out.
#[derive(Default)]
pub struct FrameReader {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

const READ_SIZE: usize = 64 << 10;

impl FrameReader {
    /// The next complete frame in the buffer, if there is one.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`] as soon as the length is known.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, FrameError> {
        let have = &self.buffer[self.start..self.end];
        let Some((length, _)) = have.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_le_bytes(*length) as usize;
        if length > MAX_FRAME {
            return Err(FrameError::TooLarge(length));
        }
        if have.len() < 4 + length {
            return Ok(None);
        }
        let from = self.start + 4;
        self.start = from + length;
        Ok(Some(&self.buffer[from..from + length]))
    }

    /// Where to read more bytes into; tell with [`Self::filled`] how many came.
    pub fn space(&mut self) -> &mut [u8] {
        // What was given out may have held a passphrase or a key: wipe it before it is overwritten.
        if self.start > 0 {
            wipe(&mut self.buffer[..self.start]);
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        // Grows with the bytes that came, never with a length that was only announced.
        let wanted = self.end + READ_SIZE.max(self.end);
        if self.buffer.len() < self.end + READ_SIZE {
            let mut larger = vec![0; wanted];
            larger[..self.end].copy_from_slice(&self.buffer[..self.end]);
            wipe(&mut self.buffer);
            self.buffer = larger;
        } else if self.end == 0 && self.buffer.len() > 16 * READ_SIZE {
            self.buffer = vec![0; READ_SIZE];
        }
        &mut self.buffer[self.end..]
    }

    /// `count` bytes of [`Self::space`] hold data now.
    pub fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.buffer.len());
    }

    /// Reads once from `source`.
    ///
    /// # Errors
    /// [`FrameError::Io`]; the end of the stream is `UnexpectedEof`.
    pub fn fill_from(&mut self, source: &mut impl Read) -> Result<(), FrameError> {
        let count = source.read(self.space())?;
        if count == 0 {
            return Err(FrameError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        self.filled(count);
        Ok(())
    }
}

impl Drop for FrameReader {
    fn drop(&mut self) {
        wipe(&mut self.buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_signature_of_rsa_is_checked_by_the_key_host_whatever_the_caller_says() {
        let (rsa, p256) = (KeyType::Rsa(4096), KeyType::P256);
        for (check, key_type, format, expected) in [
            (Check::Rsa, rsa, Format::Kmod, true),
            (Check::Rsa, rsa, Format::Raw, true),
            (Check::Rsa, p256, Format::Raw, false),
            (Check::Always, p256, Format::Raw, true),
            (Check::Always, rsa, Format::Kmod, true),
            (Check::ByCaller, rsa, Format::Kmod, false),
            (Check::ByCaller, rsa, Format::Openpgp, false),
            (Check::ByCaller, rsa, Format::Raw, true),
            (Check::ByCaller, rsa, Format::RawUnprefixed, true),
            (Check::ByCaller, p256, Format::Kmod, false),
        ] {
            assert_eq!(check.applies(key_type, format), expected, "{check:?} {key_type} {format}");
        }
    }
}
