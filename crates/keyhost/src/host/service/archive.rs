//! All keys of the appliance in and out at once.

use std::sync::Arc;
use std::time::SystemTime;

use countersign_model::entry::Op;
use countersign_model::key::PrivateKey as _;
use countersign_model::{KeyId, KeyName, KeyType, Surface, digest};

use super::{Service, key_error, trust_change};
use crate::archive::{self, ArchivedKey, PublicPart};
use crate::host::cache::LoadedKey;
use crate::log::Draft;
use crate::seal::BlobHeader;
use crate::soft::SoftKey;
use crate::wire::{Cause, HostError, ImportedKey, Response, Secret};

/// What the entries name, beside the keys.
const SUBJECT: &str = "archive";

impl Service {
    /// Reads and seals all keys, then logs them all with one durable write: before it nothing of them leaves.
    pub(super) fn archive_import(
        self: &Arc<Self>,
        id: u64,
        cause: Cause,
        passphrase: &Secret,
        salt: &[u8],
        token: &[u8],
    ) {
        let read = for_the_appliance(&cause)
            .and_then(|()| Ok(archive::read(&passphrase.0, salt, token)?))
            .and_then(|contents| {
                let sealed: Result<Vec<_>, _> =
                    contents.keys.iter().map(|(archived, key)| self.seal_archived(archived, key)).collect();
                Ok((sealed?, contents.public, contents.skipped))
            });
        let (sealed, public, skipped) = match read {
            Ok(read) => read,
            Err(error) => return self.answer(id, Err(error)),
        };
        let (names, keys): (Vec<_>, Vec<_>) = sealed.into_iter().unzip();
        let drafts = drafts(&cause, Op::KeyImport, names);
        self.append_all_then(id, drafts, |index| Response::ArchiveImported { keys, public, skipped, index });
    }

    fn seal_archived(
        &self,
        archived: &ArchivedKey,
        key: &SoftKey,
    ) -> Result<((KeyName, KeyId), ImportedKey), HostError> {
        check_kind(archived, key)?;
        let header = BlobHeader {
            name: archived.key_name()?,
            id: digest::sha256(key.public().spki()),
            key_type: key.public().key_type(),
            exportable: true,
            formats: None,
        };
        let blob = self.keys.seal(&header, &key.to_pkcs8().map_err(key_error)?)?;
        let imported = ImportedKey { archived: archived.clone(), spki: key.public().spki().to_vec(), blob };
        Ok(((header.name, key.public().id()), imported))
    }

    /// Opens and checks all keys, writes the archive, and logs each key before the archive leaves.
    pub(super) fn archive_export(
        self: &Arc<Self>,
        id: u64,
        cause: Cause,
        passphrase: &Secret,
        keys: &[(ArchivedKey, serde_bytes::ByteBuf)],
        public: &PublicPart,
    ) {
        let written = for_the_appliance(&cause).and_then(|()| {
            let loaded: Result<Vec<_>, _> =
                keys.iter().map(|(archived, blob)| self.exportable(&cause, archived, blob)).collect();
            let loaded = loaded?;
            let private: Vec<_> =
                keys.iter().zip(&loaded).map(|((archived, _), key)| (archived.clone(), &key.key)).collect();
            let sealed = archive::write(&private, public, &passphrase.0, now())?;
            let names = loaded.iter().map(|key| (key.header.name.clone(), key.id.clone())).collect();
            Ok((names, sealed))
        });
        match written {
            Ok((names, archive::Sealed { token, salt })) => {
                let drafts = drafts(&cause, Op::KeyExport, names);
                self.append_all_then(id, drafts, |index| Response::ArchiveExported { token, salt, index });
            }
            Err(error) => self.answer(id, Err(error)),
        }
    }

    fn exportable(
        &self,
        cause: &Cause,
        archived: &ArchivedKey,
        blob: &[u8],
    ) -> Result<Arc<LoadedKey>, HostError> {
        let key = self.cache.get_or_open(&self.keys, blob)?;
        if !archived.can_be(&key.header.name)? {
            return Err(HostError::BadBlob);
        }
        if !key.header.exportable {
            return Err(HostError::NotExportable);
        }
        key.header.belongs_to(cause.surface)?;
        Ok(key)
    }

    fn append_all_then(
        self: &Arc<Self>,
        id: u64,
        drafts: Vec<Draft>,
        respond: impl FnOnce(u64) -> Response + Send + 'static,
    ) {
        let service = Arc::clone(self);
        self.log.append(
            drafts,
            Box::new(move |index| {
                service.answer(id, index.map(respond));
                service.outbox.flush();
            }),
        );
    }
}

/// Keys of which this surface makes nothing, or nothing that their place in the archive stands for, stay out.
fn check_kind(archived: &ArchivedKey, key: &SoftKey) -> Result<(), HostError> {
    let found = key.public().key_type();
    let (fits, wanted) = match archived {
        ArchivedKey::Rsa(_) => (found == KeyType::Rsa(2048), "an RSA key of 2048 bits"),
        _ => (
            KeyType::MADE.contains(&found),
            "an RSA key of 2048, 3072 or 4096 bits, or one of type P-256, P-384, P-521 or Ed25519",
        ),
    };
    if fits {
        return Ok(());
    }
    let name = archived.key_name()?;
    Err(HostError::BadArchive(format!(
        "the key of `{name}` in the archive is {found}, where {wanted} is expected"
    )))
}

fn for_the_appliance(cause: &Cause) -> Result<(), HostError> {
    if cause.surface == Surface::Appliance { Ok(()) } else { Err(HostError::OwnedBy(Surface::Appliance)) }
}

/// An entry a key; one without a key if there are none, so that every archive leaves a trace.
fn drafts(cause: &Cause, op: Op, keys: Vec<(KeyName, KeyId)>) -> Vec<Draft> {
    let draft = |name, id| trust_change(cause.clone(), op, name, id, Some(SUBJECT.into()));
    if keys.is_empty() {
        return vec![draft(None, None)];
    }
    keys.into_iter().map(|(name, id)| draft(Some(name), Some(id))).collect()
}

/// Unix seconds.
fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs())
}
