//! Keys at rest.
//!
//! ```text
//! seal key ──wraps──▶ data key ──seals──▶ private key (blob in the database)
//!
//! wrapped data key = "CSW1" | kind (0 raw, 1 argon2id) | [salt 16 | m KiB u32 | t u32 | p u32] | nonce 12 | ciphertext, tag
//! sealed blob      = "CSB1" | data key id 16 | header length u16 | header (postcard) | nonce 12 | ciphertext, tag
//! ```
//! AES-256-GCM with random nonces. Everything before the nonce is associated data: a blob cannot be
//! passed off as another key's, nor its usage changed. Numbers are big-endian.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use countersign_model::{Format, KeyName, KeyType, Surface};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::soft::random;
use crate::wire::{HostError, WrappedDataKey};

/// Where the seal key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SealSource {
    /// `DATA/host/seal.key`, 32 bytes, mode 0600; made at the first start.
    File,
    /// A passphrase in a file.
    PassphraseFile(PathBuf),
    /// A systemd credential of this name (`$CREDENTIALS_DIRECTORY/NAME`): a passphrase.
    Credential(String),
    /// A passphrase typed at a prompt, sent with the first message and not kept.
    Prompt,
}

/// What data keys are wrapped with.
pub enum SealKey {
    /// 32 random bytes.
    Raw(Zeroizing<[u8; 32]>),
    /// Argon2id makes the key, with a salt of its own for each data key.
    Passphrase(Zeroizing<Vec<u8>>),
}

impl SealKey {
    /// `file` or `passphrase`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Raw(_) => "file",
            Self::Passphrase(_) => "passphrase",
        }
    }
}

/// What a sealed key is allowed to be: authenticated with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobHeader {
    /// The key's name: a surface's key has its owner in it.
    pub name: KeyName,
    /// SHA-256 of the SubjectPublicKeyInfo.
    pub id: [u8; 32],
    /// The key's type.
    pub key_type: KeyType,
    /// Whether it may leave, encrypted.
    pub exportable: bool,
    /// The only formats that it may sign; `None`: any.
    pub formats: Option<Vec<Format>>,
}

impl BlobHeader {
    /// Whether the key is one of `surface`.
    ///
    /// # Errors
    /// [`HostError::OwnedBy`].
    pub fn belongs_to(&self, surface: Surface) -> Result<(), HostError> {
        let owner = self.name.owner().unwrap_or(Surface::Native);
        if owner == surface { Ok(()) } else { Err(HostError::OwnedBy(owner)) }
    }

    /// Whether the key may sign `format` when `surface` asks. Autograph's clients sign with native keys.
    ///
    /// # Errors
    /// [`HostError::OwnedBy`] or [`HostError::FormatNotAllowed`].
    pub fn allows(&self, surface: Surface, format: Format) -> Result<(), HostError> {
        let of_autograph = [Format::ContentSignature, Format::Raw, Format::Openpgp];
        match surface {
            Surface::Autograph if !of_autograph.contains(&format) => {
                return Err(HostError::FormatNotAllowed(format));
            }
            Surface::Autograph => self.belongs_to(Surface::Native)?,
            surface => self.belongs_to(surface)?,
        }
        match &self.formats {
            Some(formats) if !formats.contains(&format) => Err(HostError::FormatNotAllowed(format)),
            _ => Ok(()),
        }
    }
}

/// The data keys in the clear, and which of them seals.
pub struct DataKeys {
    keys: BTreeMap<[u8; 16], Zeroizing<[u8; 32]>>,
    current: [u8; 16],
}

const WRAP_MAGIC: &[u8; 4] = b"CSW1";
const BLOB_MAGIC: &[u8; 4] = b"CSB1";
const KIND_RAW: u8 = 0;
const KIND_ARGON2ID: u8 = 1;
/// RFC 9106's second recommendation: 64 MiB, 3 passes.
const ARGON2_MEMORY_KIB: u32 = 64 << 10;
const ARGON2_PASSES: u32 = 3;
/// What a stored parameter may ask for at most, so that a changed file cannot exhaust the machine.
const ARGON2_MAX_MEMORY_KIB: u32 = 1 << 20;

impl DataKeys {
    /// Makes the first data key of a deployment.
    ///
    /// # Errors
    /// [`HostError::Internal`] if there is no randomness.
    pub fn generate() -> Result<Self, HostError> {
        let id = random::<16>().map_err(internal)?;
        let keys = BTreeMap::from([(*id, random::<32>().map_err(internal)?)]);
        Ok(Self { keys, current: *id })
    }

    /// Unwraps the data keys of a deployment. The last one seals.
    ///
    /// # Errors
    /// [`HostError::Seal`] if one does not open: the seal key is not the one of this deployment.
    pub fn unwrap(wrapped: &[WrappedDataKey], seal: &SealKey) -> Result<Self, HostError> {
        let mut keys = BTreeMap::new();
        let mut current = None;
        for data_key in wrapped {
            let id = parse_id(&data_key.id)
                .ok_or_else(|| HostError::Seal("a data key in the database has a malformed id".into()))?;
            keys.insert(id, unwrap(&data_key.wrapped, &id, seal)?);
            current = Some(id);
        }
        let current = current.ok_or_else(|| HostError::Seal("there are no data keys".into()))?;
        Ok(Self { keys, current })
    }

    /// All data keys, wrapped with `seal`.
    ///
    /// # Errors
    /// [`HostError::Internal`] if the library fails.
    pub fn wrap(&self, seal: &SealKey) -> Result<Vec<WrappedDataKey>, HostError> {
        // The one that seals goes last, which is how `unwrap` knows it.
        let mut ids: Vec<_> = self.keys.keys().filter(|id| **id != self.current).collect();
        ids.push(&self.current);
        ids.into_iter()
            .map(|id| Ok(WrappedDataKey { id: hex(id), wrapped: wrap(&self.keys[id], id, seal)? }))
            .collect()
    }

    /// Seals a private key (PKCS#8) under its header.
    ///
    /// # Errors
    /// [`HostError::Internal`] if the library fails.
    pub fn seal(&self, header: &BlobHeader, pkcs8: &[u8]) -> Result<Vec<u8>, HostError> {
        let header = postcard::to_stdvec(header).map_err(internal)?;
        self.seal_with(&header, pkcs8)
    }

    /// Opens a sealed private key.
    ///
    /// # Errors
    /// [`HostError::BadBlob`] if it was changed, cut or sealed elsewhere.
    pub fn open(&self, blob: &[u8]) -> Result<(BlobHeader, Zeroizing<Vec<u8>>), HostError> {
        let (header, secret) = self.open_with(blob)?;
        Ok((postcard::from_bytes(header).map_err(|_| HostError::BadBlob)?, secret))
    }

    /// Seals another small secret for one use, named by `context`.
    ///
    /// # Errors
    /// [`HostError::Internal`] if the library fails.
    pub fn seal_secret(&self, context: &str, secret: &[u8]) -> Result<Vec<u8>, HostError> {
        self.seal_with(format!("secret:{context}").as_bytes(), secret)
    }

    /// Opens what [`Self::seal_secret`] sealed for the same context.
    ///
    /// # Errors
    /// [`HostError::BadBlob`] if it was changed, or sealed for another use.
    pub fn open_secret(&self, context: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, HostError> {
        let (header, secret) = self.open_with(sealed)?;
        if header != format!("secret:{context}").as_bytes() {
            return Err(HostError::BadBlob);
        }
        Ok(secret)
    }

    fn seal_with(&self, header: &[u8], secret: &[u8]) -> Result<Vec<u8>, HostError> {
        let length = u16::try_from(header.len()).map_err(internal)?;
        let mut blob = Vec::with_capacity(secret.len() + header.len() + 64);
        blob.extend_from_slice(BLOB_MAGIC);
        blob.extend_from_slice(&self.current);
        blob.extend_from_slice(&length.to_be_bytes());
        blob.extend_from_slice(header);
        encrypt(&self.keys[&self.current], secret, &mut blob)?;
        Ok(blob)
    }

    fn open_with<'a>(&self, blob: &'a [u8]) -> Result<(&'a [u8], Zeroizing<Vec<u8>>), HostError> {
        let fixed = BLOB_MAGIC.len() + 16 + 2;
        if blob.len() < fixed || !blob.starts_with(BLOB_MAGIC) {
            return Err(HostError::BadBlob);
        }
        let key = self.keys.get(&blob[4..20]).ok_or(HostError::BadBlob)?;
        let length = usize::from(u16::from_be_bytes([blob[20], blob[21]]));
        let (associated, sealed) = blob.split_at_checked(fixed + length).ok_or(HostError::BadBlob)?;
        let secret = decrypt(key, associated, sealed).ok_or(HostError::BadBlob)?;
        Ok((&associated[fixed..], secret))
    }
}

fn wrap(data_key: &[u8; 32], id: &[u8; 16], seal: &SealKey) -> Result<Vec<u8>, HostError> {
    let mut out = WRAP_MAGIC.to_vec();
    let key = match seal {
        SealKey::Raw(key) => {
            out.push(KIND_RAW);
            key.clone()
        }
        SealKey::Passphrase(passphrase) => {
            let salt = random::<16>().map_err(internal)?;
            out.push(KIND_ARGON2ID);
            out.extend_from_slice(salt.as_slice());
            for number in [ARGON2_MEMORY_KIB, ARGON2_PASSES, 1] {
                out.extend_from_slice(&number.to_be_bytes());
            }
            derive(passphrase, salt.as_slice(), ARGON2_MEMORY_KIB, ARGON2_PASSES, 1)?
        }
    };
    // The id is bound by standing in front while encrypting, and is not stored twice.
    let mut bound = [id.as_slice(), &out].concat();
    encrypt(&key, data_key, &mut bound)?;
    Ok(bound.split_off(id.len()))
}

fn unwrap(wrapped: &[u8], id: &[u8; 16], seal: &SealKey) -> Result<Zeroizing<[u8; 32]>, HostError> {
    let malformed = || HostError::Seal("a data key in the database is malformed".into());
    let kind = *wrapped.strip_prefix(WRAP_MAGIC).and_then(<[u8]>::first).ok_or_else(malformed)?;
    let (head, key) = match (kind, seal) {
        (KIND_RAW, SealKey::Raw(key)) => (5, key.clone()),
        (KIND_ARGON2ID, SealKey::Passphrase(passphrase)) => {
            let fields: &[u8; 28] =
                wrapped.get(5..33).and_then(|f| f.try_into().ok()).ok_or_else(malformed)?;
            let number =
                |at: usize| u32::from_be_bytes([fields[at], fields[at + 1], fields[at + 2], fields[at + 3]]);
            let (memory, passes, lanes) = (number(16), number(20), number(24));
            if memory > ARGON2_MAX_MEMORY_KIB || passes > 100 || lanes > 16 {
                return Err(malformed());
            }
            (33, derive(passphrase, &fields[..16], memory, passes, lanes)?)
        }
        (KIND_RAW, SealKey::Passphrase(_)) => {
            let why = "the data keys are sealed with a key file, but a passphrase is configured";
            return Err(HostError::Seal(why.into()));
        }
        (KIND_ARGON2ID, SealKey::Raw(_)) => return Err(sealed_with_passphrase()),
        _ => return Err(malformed()),
    };
    let bound = [id.as_slice(), &wrapped[..head]].concat();
    let wrong = || {
        let what = if kind == KIND_RAW { "seal key" } else { "passphrase of the seal key" };
        HostError::Seal(format!("the {what} is not the one that this deployment's keys are sealed with"))
    };
    let clear = decrypt(&key, &bound, &wrapped[head..]).ok_or_else(wrong)?;
    let bytes: [u8; 32] = clear.as_slice().try_into().map_err(|_| malformed())?;
    Ok(Zeroizing::new(bytes))
}

fn derive(
    passphrase: &[u8],
    salt: &[u8],
    memory_kib: u32,
    passes: u32,
    lanes: u32,
) -> Result<Zeroizing<[u8; 32]>, HostError> {
    let params = Params::new(memory_kib, passes, lanes, Some(32)).map_err(internal)?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase, salt, key.as_mut_slice())
        .map_err(internal)?;
    Ok(key)
}

/// Appends nonce, ciphertext and tag to `out`; what stands in `out` already is the associated data.
fn encrypt(key: &[u8; 32], clear: &[u8], out: &mut Vec<u8>) -> Result<(), HostError> {
    let cipher = RandomizedNonceKey::new(&AES_256_GCM, key).map_err(internal)?;
    // With room for the tag: growing would leave the clear bytes behind.
    let mut buffer = Zeroizing::new(Vec::with_capacity(clear.len() + AES_256_GCM.tag_len()));
    buffer.extend_from_slice(clear);
    let nonce = cipher.seal_in_place_append_tag(Aad::from(out.as_slice()), &mut *buffer).map_err(internal)?;
    out.extend_from_slice(nonce.as_ref());
    out.extend_from_slice(&buffer);
    Ok(())
}

fn decrypt(key: &[u8; 32], associated: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let cipher = RandomizedNonceKey::new(&AES_256_GCM, key).ok()?;
    let mut buffer = Zeroizing::new(ciphertext.to_vec());
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let length = cipher.open_in_place(nonce, Aad::from(associated), &mut buffer).ok()?.len();
    buffer.truncate(length);
    Some(buffer)
}

/// The seal key file, and the one that will take its place after a rotation.
pub struct SealFile {
    path: PathBuf,
}

impl SealFile {
    /// The files in `DATA/host`.
    pub fn new(host_dir: &Path) -> Self {
        Self { path: host_dir.join("seal.key") }
    }

    /// The key in force.
    ///
    /// # Errors
    /// [`HostError::Seal`] if it cannot be read, is open to others, or has the wrong size.
    pub fn read(&self) -> Result<Option<SealKey>, HostError> {
        read_key(&self.path)
    }

    /// The key of a rotation that was not finished.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_next(&self) -> Result<Option<SealKey>, HostError> {
        read_key(&self.next_path())
    }

    /// Makes the first key.
    ///
    /// # Errors
    /// [`HostError::Seal`] if it cannot be written.
    pub fn create(&self) -> Result<SealKey, HostError> {
        write_key(&self.path)
    }

    /// Makes the key that [`Self::commit`] will put in force.
    ///
    /// # Errors
    /// [`HostError::Seal`] if it cannot be written, or there is one: it may be the one that the database's
    /// data keys are wrapped with. The next start finds out and tidies up.
    pub fn create_next(&self) -> Result<SealKey, HostError> {
        let next = self.next_path();
        if next.exists() {
            let why = "a rotation of the seal key was not finished: start the server once, which finishes it";
            return Err(HostError::Seal(why.into()));
        }
        write_key(&next)
    }

    /// Removes the key of a rotation that never came into force.
    ///
    /// # Errors
    /// [`HostError::Seal`] if the file system refuses.
    pub fn discard_next(&self) -> Result<(), HostError> {
        let next = self.next_path();
        match fs::remove_file(&next) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(seal_error(&next, &e)),
            _ => Ok(()),
        }
    }

    /// Puts the next key in force.
    ///
    /// # Errors
    /// [`HostError::Seal`] if there is none, or the file system refuses.
    pub fn commit(&self) -> Result<(), HostError> {
        let next = self.next_path();
        fs::rename(&next, &self.path)
            .and_then(|()| sync_parent(&self.path))
            .map_err(|e| seal_error(&next, &e))
    }

    /// Removes the key in force, after a passphrase has taken its place.
    ///
    /// # Errors
    /// [`HostError::Seal`] if the file system refuses.
    pub fn remove(&self) -> Result<(), HostError> {
        match fs::remove_file(&self.path).and_then(|()| sync_parent(&self.path)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(seal_error(&self.path, &e)),
            _ => Ok(()),
        }
    }

    fn next_path(&self) -> PathBuf {
        self.path.with_extension("key.next")
    }
}

fn read_key(path: &Path) -> Result<Option<SealKey>, HostError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(seal_error(path, &e)),
    };
    let mode = fs::metadata(path).map_err(|e| seal_error(path, &e))?.permissions().mode();
    if mode & 0o077 != 0 {
        let why = format!("the seal key file is open to others (mode {:o}); `chmod 600` it", mode & 0o777);
        return Err(HostError::Seal(why));
    }
    let key = bytes
        .as_slice()
        .try_into()
        .map_err(|_| HostError::Seal(format!("the seal key file has {} bytes, not 32", bytes.len())))?;
    Ok(Some(SealKey::Raw(Zeroizing::new(key))))
}

fn write_key(path: &Path) -> Result<SealKey, HostError> {
    let key = random::<32>().map_err(internal)?;
    let write = || {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(key.as_slice())?;
        file.sync_all()?;
        sync_parent(path)
    };
    write().map_err(|e| seal_error(path, &e))?;
    Ok(SealKey::Raw(key))
}

fn sync_parent(path: &Path) -> io::Result<()> {
    fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

fn seal_error(path: &Path, error: &io::Error) -> HostError {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    HostError::Seal(format!("the seal key file `{name}`: {error}"))
}

/// Refuses data keys that are wrapped with a passphrase, where a key file is configured: then no file is missing.
///
/// # Errors
/// [`HostError::Seal`].
pub fn check_sealed_with_file(wrapped: &[WrappedDataKey]) -> Result<(), HostError> {
    let by_passphrase = |key: &WrappedDataKey| key.wrapped.get(WRAP_MAGIC.len()) == Some(&KIND_ARGON2ID);
    if wrapped.iter().any(by_passphrase) { Err(sealed_with_passphrase()) } else { Ok(()) }
}

fn sealed_with_passphrase() -> HostError {
    HostError::Seal("the data keys are sealed with a passphrase, but a key file is configured".into())
}

/// Reads the passphrase from a file: its first line, without the line end.
///
/// # Errors
/// [`HostError::Seal`] if it cannot be read, or the line is empty.
pub fn read_passphrase(path: &Path) -> Result<Zeroizing<Vec<u8>>, HostError> {
    let mut bytes = Zeroizing::new(
        fs::read(path).map_err(|e| HostError::Seal(format!("the passphrase file of the seal key: {e}")))?,
    );
    if let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
        // What is cut off is wiped with the rest: wiping covers the whole allocation.
        bytes.truncate(end);
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    check_passphrase(bytes)
}

/// A passphrase that seals.
///
/// # Errors
/// [`HostError::Seal`] if it is empty.
pub fn check_passphrase(passphrase: Zeroizing<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>, HostError> {
    if passphrase.is_empty() {
        return Err(HostError::Seal("the passphrase of the seal key is empty".into()));
    }
    Ok(passphrase)
}

fn internal(error: impl std::fmt::Display) -> HostError {
    HostError::Internal(error.to_string())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn parse_id(text: &str) -> Option<[u8; 16]> {
    if text.len() != 32 || !text.is_ascii() {
        return None;
    }
    let mut id = [0; 16];
    for (i, byte) in id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(byte: u8) -> SealKey {
        SealKey::Raw(Zeroizing::new([byte; 32]))
    }

    fn header(name: &str) -> BlobHeader {
        BlobHeader {
            name: name.parse().unwrap(),
            id: [1; 32],
            key_type: KeyType::P256,
            exportable: false,
            formats: None,
        }
    }

    #[test]
    fn a_sealed_key_opens_with_its_header_and_any_changed_byte_is_noticed() {
        let keys = DataKeys::generate().unwrap();
        let blob = keys.seal(&header("a"), b"private").unwrap();
        let (got, secret) = keys.open(&blob).unwrap();
        assert_eq!((got, secret.as_slice()), (header("a"), b"private".as_slice()));
        for i in 0..blob.len() {
            let mut changed = blob.clone();
            changed[i] ^= 1;
            assert_eq!(keys.open(&changed).unwrap_err(), HostError::BadBlob, "byte {i}");
            assert_eq!(keys.open(&blob[..i]).unwrap_err(), HostError::BadBlob, "cut at {i}");
        }
    }

    #[test]
    fn data_keys_open_with_their_own_seal_key_only() {
        let keys = DataKeys::generate().unwrap();
        let blob = keys.seal(&header("a"), b"private").unwrap();
        let passphrase = |text: &str| SealKey::Passphrase(Zeroizing::new(text.into()));
        for seal in [raw(1), passphrase("correct horse")] {
            let wrapped = keys.wrap(&seal).unwrap();
            let again = DataKeys::unwrap(&wrapped, &seal).unwrap();
            assert!(again.open(&blob).is_ok());
            for other in [raw(2), passphrase("battery staple")] {
                assert!(matches!(DataKeys::unwrap(&wrapped, &other), Err(HostError::Seal(_))));
            }
        }
        let mut swapped = keys.wrap(&raw(1)).unwrap();
        swapped[0].id = "00".repeat(16);
        assert!(DataKeys::unwrap(&swapped, &raw(1)).is_err(), "the id is bound");
    }

    #[test]
    fn a_key_serves_its_owner_and_its_formats_only() {
        let mut native = header("a");
        assert_eq!(native.allows(Surface::Native, Format::Raw), Ok(()));
        let refused = native.allows(Surface::Tuf, Format::Tuf);
        assert_eq!(refused, Err(HostError::OwnedBy(Surface::Native)));
        native.formats = Some(vec![Format::Tag]);
        let refused = native.allows(Surface::Native, Format::Raw);
        assert_eq!(refused, Err(HostError::FormatNotAllowed(Format::Raw)));
        let tuf = header("tuf/online");
        assert_eq!(tuf.allows(Surface::Native, Format::Raw), Err(HostError::OwnedBy(Surface::Tuf)));
    }

    #[test]
    fn a_key_file_open_to_others_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = SealFile::new(dir.path());
        assert!(file.read().unwrap().is_none());
        file.create().unwrap();
        assert!(file.read().unwrap().is_some());
        fs::set_permissions(dir.path().join("seal.key"), fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(file.read(), Err(HostError::Seal(_))));
    }
}
