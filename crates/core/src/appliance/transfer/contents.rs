//! What an archive stands for: keys, and what they are for.

use std::collections::{HashMap, HashSet};

use countersign_keyhost::archive::{ArchivedKey, NamedFile, PublicPart, VariableFile};
use countersign_keyhost::wire::ImportedKey;
use countersign_model::PublicKey;
use countersign_openpgp::Certificate as OpenPgpCertificate;
use countersign_pki::efi_var::AuthenticatedVariable;
use countersign_pki::esl::{Guid, SignatureDatabase};
use countersign_pki::x509::Certificate;
use countersign_store::{ApplianceBatch, CertificateRecord, KeyRecord, ListRecord, OpenPgpRecord, RsaRecord};
use jiff::Timestamp;

use super::super::{Error, making};
use super::{internal, trees};
use crate::random;

/// Everything that was found, whether it is new or not.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// As if all were new.
    pub(super) batch: ApplianceBatch,
    /// Certificates whose owner GUID stands in the archive; the others' was made up.
    pub(super) owned: HashSet<String>,
    /// What was passed over.
    pub(super) skipped: Vec<String>,
}

impl Found {
    /// The names of all keys.
    pub(super) fn key_names(&self) -> impl Iterator<Item = &str> {
        self.batch.keys.iter().map(|key| key.name.as_str())
    }
}

/// The private keys of an archive, sealed, by their place in it.
pub(super) type Keys = HashMap<ArchivedKey, Imported>;

/// A private key, sealed.
pub(super) struct Imported {
    pub(super) public: PublicKey,
    pub(super) record: KeyRecord,
}

/// Reads what the key host gave back.
///
/// # Errors
/// [`Error::Invalid`] for files that do not go together or are not what their names say.
pub(super) fn read(keys: Vec<ImportedKey>, public: PublicPart, now: Timestamp) -> Result<Found, Error> {
    let PublicPart { certificates, lists, variables, openpgp, trees } = public;
    let mut found = Found::default();
    let mut keys = keys.into_iter().map(|key| imported(key, now)).collect::<Result<Keys, _>>()?;
    let lists = Lists::of(lists);
    for file in certificates {
        let archived = ArchivedKey::Certificate(file.name.clone());
        match keys.remove(&archived) {
            Some(key) => read_certificate(&file, key, &lists, now, &mut found)?,
            // The surface signs by certificates: without its key it cannot use one.
            None => found.skipped.push(format!("x509/{}.crt", file.name)),
        }
    }
    for file in variables.into_iter().filter(|file| !file.content.is_empty()) {
        found.batch.lists.push(read_variable(file, &lists, now)?);
    }
    for file in openpgp {
        if let Some(key) = keys.remove(&ArchivedKey::OpenPgp(file.name.clone())) {
            read_openpgp(&file, key, now, &mut found.batch)?;
        }
    }
    trees::read(trees, &mut keys, now, &mut found)?;
    for (archived, key) in keys {
        match archived {
            ArchivedKey::Rsa(id) => {
                let signing_key = key.record.name.clone();
                found.batch.rsa.push(RsaRecord { id, signing_key, created: now });
                found.batch.keys.push(key.record);
            }
            other => found.skipped.push(format!("the key {other:?}")),
        }
    }
    Ok(found)
}

fn imported(key: ImportedKey, now: Timestamp) -> Result<(ArchivedKey, Imported), Error> {
    let name = key.archived.key_name().map_err(internal)?;
    let public = PublicKey::from_spki(&key.spki).map_err(internal)?;
    let record = making::record(&name, &public, key.blob, now);
    Ok((key.archived, Imported { public, record }))
}

fn read_certificate(
    file: &NamedFile,
    key: Imported,
    lists: &Lists,
    now: Timestamp,
    found: &mut Found,
) -> Result<(), Error> {
    let path = format!("x509/{}.crt", file.name);
    let certificate = certificate(&path, &file.content)?;
    if *certificate.public_key() != key.public {
        return Err(mismatch(&path));
    }
    let owner = match lists.owner(&file.name, certificate.der()) {
        Some(owner) => {
            found.owned.insert(file.name.clone());
            owner
        }
        // It never was in a list: the first one will show this.
        None => Guid::from_random(random::bytes()?),
    };
    found.batch.certificates.push(CertificateRecord {
        id: file.name.clone(),
        signing_key: key.record.name.clone(),
        der: certificate.der().to_vec(),
        owner: *owner.as_bytes(),
        created: now,
    });
    found.batch.keys.push(key.record);
    Ok(())
}

/// A certificate in PEM.
pub(super) fn certificate(path: &str, pem: &[u8]) -> Result<Certificate, Error> {
    let refused = |why: &str| Error::invalid(format!("`{path}` of the archive is not a certificate: {why}"));
    let text = std::str::from_utf8(pem).map_err(|_| refused("it is not text"))?;
    Certificate::from_pem(text).map_err(|error| refused(&error.to_string()))
}

/// A file and its private key that are not of one pair.
pub(super) fn mismatch(path: &str) -> Error {
    Error::invalid(format!("`{path}` of the archive and its private key do not belong together"))
}

/// The signature lists of an archive, each read once.
struct Lists {
    files: HashMap<String, Vec<u8>>,
    /// By certificate, in DER: its owner GUID in any list.
    owners: HashMap<Vec<u8>, Guid>,
}

impl Lists {
    /// What is not a list is litter.
    fn of(files: Vec<NamedFile>) -> Self {
        let files: HashMap<_, _> = files.into_iter().map(|file| (file.name, file.content)).collect();
        let databases = files.values().filter_map(|file| SignatureDatabase::parse(file).ok());
        let owners = databases.flat_map(|database| {
            let entries = database.lists().iter().flat_map(|list| list.entries());
            entries.map(|entry| (entry.data.clone(), entry.owner)).collect::<Vec<_>>()
        });
        Self { owners: owners.collect(), files }
    }

    /// The owner GUID that a certificate has in its own list, or in any.
    fn owner(&self, id: &str, der: &[u8]) -> Option<Guid> {
        let own = self.files.get(id).and_then(|file| SignatureDatabase::parse(file).ok());
        let own = own.and_then(|database| {
            let mut entries = database.lists().iter().flat_map(|list| list.entries());
            entries.find(|entry| entry.data == der).map(|entry| entry.owner)
        });
        own.or_else(|| self.owners.get(der).copied())
    }
}

/// A frozen list: its bytes are kept whatever they are, as clients were given them.
fn read_variable(file: VariableFile, lists: &Lists, now: Timestamp) -> Result<ListRecord, Error> {
    let VariableFile { list, variable, content } = file;
    let parsed = AuthenticatedVariable::parse(&content)
        .map_err(|error| Error::invalid(format!("`x509/{list}.{variable}.auth` of the archive: {error}")))?;
    let esl = lists.files.get(&list).map_or(parsed.esl, Vec::as_slice).to_vec();
    Ok(ListRecord { list, variable, esl, auth: content, created: now })
}

fn read_openpgp(
    file: &NamedFile,
    key: Imported,
    now: Timestamp,
    batch: &mut ApplianceBatch,
) -> Result<(), Error> {
    let path = format!("gpg/{}", file.name);
    let certificate = OpenPgpCertificate::from_packets(&file.content)
        .map_err(|error| Error::invalid(format!("`{path}` of the archive: {error}")))?;
    if certificate.fingerprint().to_string() != file.name || *certificate.primary().public() != key.public {
        return Err(mismatch(&path));
    }
    batch.openpgp.push(OpenPgpRecord {
        fingerprint: file.name.clone(),
        signing_key: key.record.name.clone(),
        public_key: certificate.packets().to_vec(),
        created: now,
    });
    batch.keys.push(key.record);
    Ok(())
}
