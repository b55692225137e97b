//! HAB and AHAB trees: `pki/TREE/`.
//!
//! ```text
//! keys/NAME_key.pem  keys/NAME_key.der      PKCS#8, encrypted
//! keys/key_pass.txt                         what with: the first line
//! crts/NAME_crt.pem  crts/NAME_crt.der      certificates
//! SRK_table.bin  SRK_efuses.bin             what the fuses are burnt with
//! ```
//! The password stands beside the keys, so it protects nothing; a new one is made for each export.

use std::collections::BTreeMap;

use countersign_model::pem;
use pkcs8::pkcs5::pbes2::{EncryptionScheme, Kdf, Parameters, Pbkdf2Params};
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef};
use zeroize::Zeroizing;

use super::name::{is_hex_id, is_plain_part};
use super::tar::{Files, Writer};
use super::{ArchiveError, ArchivedKey, Contents, TreeFile};
use crate::soft::{ImportError, SoftKey, random};

/// Reads the trees. What lies beside them (the working folders of a tree in the making) is passed over.
///
/// # Errors
/// [`ArchiveError::Key`], [`ArchiveError::TooCostly`].
pub(super) fn read(files: &Files<'_>, contents: &mut Contents) -> Result<(), ArchiveError> {
    let mut budget = MAX_ITERATIONS;
    for (path, content) in files {
        let Some(below) = path.strip_prefix("pki/") else { continue };
        match below.split_once('/') {
            Some((tree, inner)) if is_hex_id(tree) && is_tree_file(inner) => {
                let (tree, path) = (tree.to_owned(), inner.to_owned());
                contents.public.trees.push(TreeFile { tree, path, content: content.to_vec() });
            }
            Some((tree, inner)) if is_hex_id(tree) && key_name(inner).is_some() => {
                let name = key_name(inner).unwrap_or_default().to_owned();
                let password = files.get(&format!("pki/{tree}/keys/key_pass.txt"));
                let key = read_key(path, tree, content, password.copied(), &mut budget)?;
                contents.keys.push((ArchivedKey::Pki { tree: tree.to_owned(), name }, key));
            }
            // The same keys once more, and the authority's own notes.
            _ => contents.skipped.push(path.clone()),
        }
    }
    Ok(())
}

/// Certificates, and the binaries at the top.
fn is_tree_file(path: &str) -> bool {
    match path.split_once('/') {
        Some(("crts", file)) => is_plain_part(file) && (file.ends_with(".pem") || file.ends_with(".der")),
        Some(_) => false,
        None => is_plain_part(path) && path.ends_with(".bin"),
    }
}

/// `NAME` of `keys/NAME_key.pem`.
fn key_name(path: &str) -> Option<&str> {
    path.strip_prefix("keys/")?.strip_suffix("_key.pem").filter(|name| is_plain_part(name))
}

/// What all keys of an archive may cost together: about as long as two encrypted keys of the costliest kind.
const MAX_ITERATIONS: u64 = 20_000_000;

fn read_key(
    path: &str,
    tree: &str,
    content: &[u8],
    password: Option<&[u8]>,
    budget: &mut u64,
) -> Result<SoftKey, ArchiveError> {
    let refused = |why: &str| ArchiveError::key(path, ImportError::Malformed(why.into()));
    let text = std::str::from_utf8(content).map_err(|_| refused("it is not text"))?;
    let blocks = pem::blocks(text).map_err(|e| refused(&e.to_string()))?;
    for block in blocks.iter().filter(|block| block.label == "ENCRYPTED PRIVATE KEY") {
        *budget = iterations(&block.der)
            .and_then(|cost| budget.checked_sub(cost))
            .ok_or_else(|| ArchiveError::TooCostly(tree.to_owned()))?;
    }
    let password = password.and_then(|text| text.split(|b| matches!(b, b'\n' | b'\r')).next());
    SoftKey::from_pem(text, password).map_err(|error| ArchiveError::key(path, error))
}

/// Iterations of PBKDF2, the only derivation that such keys have.
fn iterations(der: &[u8]) -> Option<u64> {
    let info = EncryptedPrivateKeyInfoRef::try_from(der).ok()?;
    match &info.encryption_algorithm.pbes2()?.kdf {
        Kdf::Pbkdf2(parameters) => Some(u64::from(parameters.iteration_count)),
        _ => None,
    }
}

/// Writes the trees that `keys` and `files` have.
///
/// # Errors
/// [`ArchiveError::Id`] for a name that no tree has, [`ArchiveError::Failed`].
pub(super) fn write(
    keys: &[(ArchivedKey, &SoftKey)],
    files: &[TreeFile],
    archive: &mut Writer,
) -> Result<(), ArchiveError> {
    let mut trees: BTreeMap<&str, Vec<(&str, &SoftKey)>> = BTreeMap::new();
    for (key, private) in keys {
        if let ArchivedKey::Pki { tree, name } = key {
            trees.entry(tree).or_default().push((name, private));
        }
    }
    for file in files {
        if !is_hex_id(&file.tree) || !is_tree_file(&file.path) {
            return Err(ArchiveError::Id(super::name::shown(&format!("{}/{}", file.tree, file.path))));
        }
        trees.entry(&file.tree).or_default();
    }
    for (tree, keys) in trees {
        for (folder, mode) in [("", 0o700), ("/crts", 0o700), ("/keys", 0o700)] {
            archive.directory(&format!("pki/{tree}{folder}"), mode)?;
        }
        for file in files.iter().filter(|file| file.tree == tree) {
            archive.file(&format!("pki/{tree}/{}", file.path), 0o600, &file.content)?;
        }
        let password = new_password()?;
        let mut lines = Zeroizing::new(String::with_capacity(2 * (password.len() + 1)));
        for piece in [password.as_str(), "\n", password.as_str(), "\n"] {
            lines.push_str(piece);
        }
        archive.file(&format!("pki/{tree}/keys/key_pass.txt"), 0o600, lines.as_bytes())?;
        for (name, key) in keys {
            let der = encrypt(key, password.as_bytes())?;
            let pem = pem::encode("ENCRYPTED PRIVATE KEY", &der);
            archive.file(&format!("pki/{tree}/keys/{name}_key.pem"), 0o600, pem.as_bytes())?;
            archive.file(&format!("pki/{tree}/keys/{name}_key.der"), 0o600, &der)?;
        }
    }
    Ok(())
}

fn new_password() -> Result<Zeroizing<String>, ArchiveError> {
    let bytes = random::<16>().map_err(failed)?;
    // Never larger than this, so no memory is left behind by growing.
    let mut digits = Zeroizing::new(String::with_capacity(32));
    for byte in bytes.iter() {
        let pair = [byte >> 4, byte & 0xf].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0'));
        digits.extend(pair);
    }
    Ok(digits)
}

/// As `openssl pkcs8 -topk8 -v2 aes-256-cbc` does. More rounds would protect nothing here.
fn encrypt(key: &SoftKey, password: &[u8]) -> Result<Vec<u8>, ArchiveError> {
    const ITERATIONS: u32 = 2048;
    let clear = key.to_pkcs8().map_err(failed)?;
    let (salt, iv) = (random::<16>().map_err(failed)?, random::<16>().map_err(failed)?);
    let kdf = Pbkdf2Params::hmac_sha256(ITERATIONS, salt.as_slice()).map_err(failed)?;
    let parameters = Parameters { kdf: kdf.into(), encryption: EncryptionScheme::Aes256Cbc { iv: *iv } };
    let info = PrivateKeyInfoRef::try_from(clear.as_slice()).map_err(failed)?;
    let encrypted = info.encrypt_with_params(parameters, password).map_err(failed)?;
    Ok(encrypted.as_bytes().to_vec())
}

fn failed(error: impl std::fmt::Display) -> ArchiveError {
    ArchiveError::Failed(error.to_string())
}
