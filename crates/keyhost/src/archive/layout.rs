//! Which file of an archive is what.
//!
//! Real archives hold litter: a `.key` without its `.crt` (left by a failed creation), an `x509/.crt`, backups
//! and locks of GnuPG, empty `.esl`. It is passed over and named in [`Contents::skipped`].

use std::collections::BTreeSet;

use countersign_model::key::PrivateKey as _;
use countersign_model::{PublicKey, pem};
use zeroize::Zeroizing;

use super::buffer::WipedBuffer;
use super::name::{is_certificate_id, is_fingerprint, is_hex_id, is_list_name, shown};
use super::tar::{Files, Writer};
use super::{ArchiveError, ArchivedKey, Contents, MAX_KEYS, NamedFile, PublicPart, VariableFile, gnupg, pki};
use crate::soft::{ImportError, SoftKey};

/// The variables that an archive has.
pub const VARIABLES: [&str; 4] = ["PK", "KEK", "db", "dbx"];

/// Sorts out the files of an archive.
///
/// # Errors
/// [`ArchiveError`]; nothing is taken then.
pub fn read(files: &Files<'_>) -> Result<Contents, ArchiveError> {
    let is_key = |path: &&String| [".key", "private.pem", "_key.pem"].iter().any(|end| path.ends_with(end));
    // Before any is read: each takes milliseconds.
    if files.keys().filter(is_key).count() > MAX_KEYS {
        return Err(ArchiveError::TooLarge);
    }
    let mut contents = Contents::default();
    for (path, content) in files {
        match path.split_once('/') {
            Some(("x509", file)) => read_x509(path, file, content, files, &mut contents)?,
            Some(("rsa", file)) => read_rsa(path, file, content, files, &mut contents)?,
            Some(("gpg" | "pki", _)) => {}
            _ => contents.skipped.push(path.clone()),
        }
    }
    read_gnupg(files, &mut contents)?;
    pki::read(files, &mut contents)?;
    let Contents { keys, public, .. } = &contents;
    if keys.len() > MAX_KEYS {
        return Err(ArchiveError::TooLarge);
    }
    if keys.is_empty() && *public == PublicPart::default() {
        return Err(ArchiveError::Empty);
    }
    Ok(contents)
}

fn read_x509(
    path: &str,
    file: &str,
    content: &[u8],
    files: &Files<'_>,
    contents: &mut Contents,
) -> Result<(), ArchiveError> {
    let has = |extension: &str, name: &str| files.contains_key(&format!("x509/{name}.{extension}"));
    let public = &mut contents.public;
    match file.rsplit_once('.') {
        Some((id, "crt" | "key" | "der")) if !is_certificate_id(id) && has("crt", id) && has("key", id) => {
            return Err(ArchiveError::Id(shown(id)));
        }
        Some((id, "crt")) if is_certificate_id(id) => {
            public_key(path, content)?;
            public.certificates.push(NamedFile { name: id.to_owned(), content: content.to_vec() });
        }
        Some((id, "key")) if is_certificate_id(id) && has("crt", id) => {
            let key = private_key(path, content)?;
            let certificate = format!("x509/{id}.crt");
            let certified = public_key(&certificate, files.get(&certificate).copied().unwrap_or_default())?;
            if certified != *key.public() {
                return Err(ArchiveError::Mismatch(certificate));
            }
            contents.keys.push((ArchivedKey::Certificate(id.to_owned()), key));
        }
        // The certificate once more.
        Some((id, "der")) if has("crt", id) => {}
        Some((name, "esl")) if is_certificate_id(name) && !content.is_empty() => {
            public.lists.push(NamedFile { name: name.to_owned(), content: content.to_vec() });
        }
        Some((name, "auth")) => match name.rsplit_once('.') {
            Some((list, variable)) if is_list_name(list) && VARIABLES.contains(&variable) => {
                let (list, variable) = (list.to_owned(), variable.to_owned());
                public.variables.push(VariableFile { list, variable, content: content.to_vec() });
            }
            _ => contents.skipped.push(path.to_owned()),
        },
        _ => contents.skipped.push(path.to_owned()),
    }
    Ok(())
}

fn read_rsa(
    path: &str,
    file: &str,
    content: &[u8],
    files: &Files<'_>,
    contents: &mut Contents,
) -> Result<(), ArchiveError> {
    match file.split_once('/') {
        Some((id, "private.pem")) if is_hex_id(id) => {
            let key = private_key(path, content)?;
            let public = format!("rsa/{id}/public.pem");
            if let Some(text) = files.get(&public)
                && public_key(&public, text)? != *key.public()
            {
                return Err(ArchiveError::Mismatch(public));
            }
            contents.keys.push((ArchivedKey::Rsa(id.to_owned()), key));
        }
        Some((id, "public.pem")) if files.contains_key(&format!("rsa/{id}/private.pem")) => {}
        _ => contents.skipped.push(path.to_owned()),
    }
    Ok(())
}

/// Public keys without a private half, and private halves without a public key, are of no use.
fn read_gnupg(files: &Files<'_>, contents: &mut Contents) -> Result<(), ArchiveError> {
    const KEYBOX: &str = "gpg/pubring.kbx";
    let blocks = gnupg::read_keybox(files.get(KEYBOX).copied().unwrap_or_default())?;
    let mut taken = BTreeSet::new();
    for (path, content) in files.range("gpg/".to_owned().."gpg0".to_owned()) {
        let is_key = path.strip_prefix("gpg/private-keys-v1.d/").is_some_and(is_key_file);
        if !is_key {
            if path != KEYBOX {
                contents.skipped.push(path.clone());
            }
            continue;
        }
        let key = gnupg::read_private_key(path, content)?;
        let modulus = key.public().rsa_components().map(|(modulus, _)| modulus);
        let own =
            blocks.iter().filter(|block| block.modulus.is_some() && block.modulus == modulus.as_deref());
        let mut owners = own.filter(|block| taken.insert(block.fingerprint.clone())).peekable();
        if owners.peek().is_none() {
            contents.skipped.push(path.clone());
            continue;
        }
        // One key with two creation times is two keys to OpenPGP: hardly ever, but it must not be lost.
        for block in owners {
            let fingerprint = block.fingerprint.clone();
            let copy = copy_of(path, &key)?;
            contents.keys.push((ArchivedKey::OpenPgp(fingerprint.clone()), copy));
            contents.public.openpgp.push(NamedFile { name: fingerprint, content: block.packets.to_vec() });
        }
    }
    let foreign = blocks.iter().filter(|block| !taken.contains(&block.fingerprint));
    contents.skipped.extend(foreign.map(|block| format!("{KEYBOX}: {}", block.fingerprint)));
    Ok(())
}

/// `KEYGRIP.key`.
fn is_key_file(name: &str) -> bool {
    name.strip_suffix(".key")
        .is_some_and(|grip| grip.len() == 40 && grip.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn copy_of(path: &str, key: &SoftKey) -> Result<SoftKey, ArchiveError> {
    let failed =
        |e: countersign_model::key::KeyError| ArchiveError::key(path, ImportError::Malformed(e.to_string()));
    SoftKey::from_pkcs8(key.public().key_type(), &key.to_pkcs8().map_err(failed)?).map_err(failed)
}

fn private_key(path: &str, content: &[u8]) -> Result<SoftKey, ArchiveError> {
    let refused = |error| ArchiveError::key(path, error);
    let text =
        std::str::from_utf8(content).map_err(|_| refused(ImportError::Malformed("it is not text".into())))?;
    SoftKey::from_pem(text, None).map_err(refused)
}

/// The public key of a certificate or of a `PUBLIC KEY` block.
fn public_key(path: &str, content: &[u8]) -> Result<PublicKey, ArchiveError> {
    let refused = |why: String| ArchiveError::key(path, ImportError::Malformed(why));
    let text = std::str::from_utf8(content).map_err(|_| refused("it is not text".into()))?;
    PublicKey::from_pem(text).map_err(|error| refused(error.to_string()))
}

/// Puts an archive together, in the order that the original has.
///
/// # Errors
/// [`ArchiveError`].
pub(super) fn write(
    keys: &[(ArchivedKey, &SoftKey)],
    public: &PublicPart,
    time: u64,
) -> Result<WipedBuffer, ArchiveError> {
    if keys.len() > MAX_KEYS {
        return Err(ArchiveError::TooLarge);
    }
    let mut archive = Writer::new(time);
    write_gnupg(keys, public, time, &mut archive)?;
    write_rsa(keys, &mut archive)?;
    archive.directory("pki", 0o755)?;
    pki::write(keys, &public.trees, &mut archive)?;
    write_x509(keys, public, &mut archive)?;
    archive.finish()
}

/// GnuPG makes what is missing (trust database, locks) itself.
fn write_gnupg(
    keys: &[(ArchivedKey, &SoftKey)],
    public: &PublicPart,
    time: u64,
    archive: &mut Writer,
) -> Result<(), ArchiveError> {
    archive.directory("gpg", 0o700)?;
    archive.directory("gpg/private-keys-v1.d", 0o700)?;
    let mut packets = Vec::new();
    for (archived, key) in keys {
        let ArchivedKey::OpenPgp(fingerprint) = archived else { continue };
        let mismatch = || ArchiveError::Mismatch(format!("gpg/{}", shown(fingerprint)));
        let file = public.openpgp.iter().find(|file| file.name == *fingerprint).ok_or_else(mismatch)?;
        let modulus = key.public().rsa_components().map(|(modulus, _)| modulus);
        let own = gnupg::KeyBlock::of_packets(&file.content)
            .is_some_and(|block| block.fingerprint == *fingerprint && block.modulus == modulus.as_deref());
        if !own || !is_fingerprint(fingerprint) {
            return Err(mismatch());
        }
        let pkcs8 = key.to_pkcs8().map_err(|e| ArchiveError::Failed(e.to_string()))?;
        let (grip, content) = match gnupg::write_private_key(&pkcs8) {
            Some(written) => written,
            None => return Err(ArchiveError::Type(archived.key_name()?)),
        };
        archive.file(&format!("gpg/private-keys-v1.d/{grip}.key"), 0o600, &content)?;
        packets.push(file.content.as_slice());
    }
    let keybox = gnupg::write_keybox(packets, u32::try_from(time).unwrap_or(u32::MAX))?;
    archive.file("gpg/pubring.kbx", 0o644, &keybox)
}

fn write_rsa(keys: &[(ArchivedKey, &SoftKey)], archive: &mut Writer) -> Result<(), ArchiveError> {
    archive.directory("rsa", 0o755)?;
    for (archived, key) in keys {
        let ArchivedKey::Rsa(id) = archived else { continue };
        archived.key_name()?;
        archive.directory(&format!("rsa/{id}"), 0o700)?;
        archive.file(&format!("rsa/{id}/private.pem"), 0o600, pkcs8_pem(key)?.as_bytes())?;
        archive.file(&format!("rsa/{id}/public.pem"), 0o644, key.public().to_pem().as_bytes())?;
    }
    Ok(())
}

fn write_x509(
    keys: &[(ArchivedKey, &SoftKey)],
    public: &PublicPart,
    archive: &mut Writer,
) -> Result<(), ArchiveError> {
    let checked = |name: &str, valid: bool| if valid { Ok(()) } else { Err(ArchiveError::Id(shown(name))) };
    archive.directory("x509", 0o755)?;
    for NamedFile { name, content } in &public.certificates {
        checked(name, is_certificate_id(name))?;
        archive.file(&format!("x509/{name}.crt"), 0o644, content)?;
    }
    for (archived, key) in keys {
        let ArchivedKey::Certificate(id) = archived else { continue };
        archived.key_name()?;
        let path = format!("x509/{id}.crt");
        let mismatch = || ArchiveError::Mismatch(path.clone());
        let certificate = public.certificates.iter().find(|file| file.name == *id).ok_or_else(mismatch)?;
        if public_key(&path, &certificate.content)? != *key.public() {
            return Err(mismatch());
        }
        archive.file(&format!("x509/{id}.key"), 0o600, pkcs8_pem(key)?.as_bytes())?;
    }
    for NamedFile { name, content } in &public.lists {
        checked(name, is_certificate_id(name))?;
        if let Some(certificate) = public.certificates.iter().find(|file| file.name == *name) {
            // The original shows a certificate of a list by this file.
            archive.file(&format!("x509/{name}.der"), 0o644, &der_of(name, &certificate.content)?)?;
        }
        archive.file(&format!("x509/{name}.esl"), 0o644, content)?;
    }
    for VariableFile { list, variable, content } in &public.variables {
        checked(list, is_list_name(list) && VARIABLES.contains(&variable.as_str()))?;
        archive.file(&format!("x509/{list}.{variable}.auth"), 0o600, content)?;
    }
    Ok(())
}

/// The certificate `id` without its armour.
fn der_of(id: &str, certificate: &[u8]) -> Result<Vec<u8>, ArchiveError> {
    let path = format!("x509/{id}.crt");
    let refused = |why: &str| ArchiveError::key(&path, ImportError::Malformed(why.into()));
    let text = std::str::from_utf8(certificate).map_err(|_| refused("it is not text"))?;
    let blocks = pem::blocks(text).map_err(|error| refused(&error.to_string()))?;
    let found = blocks.into_iter().find(|block| block.label == "CERTIFICATE");
    found.map(|block| block.der.to_vec()).ok_or_else(|| refused("it is not a certificate"))
}

fn pkcs8_pem(key: &SoftKey) -> Result<Zeroizing<String>, ArchiveError> {
    let der = key.to_pkcs8().map_err(|e| ArchiveError::Failed(e.to_string()))?;
    Ok(Zeroizing::new(pem::encode("PRIVATE KEY", &der)))
}
