//! What was read once: names stand for the same thing for ever.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use countersign_model::KeyName;
use countersign_openpgp::{Certificate as OpenPgpCertificate, Fingerprint, KeyQuery};
use countersign_pki::esl::{Guid, SignatureList};
use countersign_pki::x509;
use countersign_store::{CertificateRecord, OpenPgpRecord};

use super::{CertificateId, Error};
use crate::context::Context;

/// Certificates and keys that were looked up.
#[derive(Default)]
pub(crate) struct Memory {
    certificates: RwLock<HashMap<String, Arc<Certificate>>>,
    openpgp: RwLock<HashMap<Fingerprint, Arc<OpenPgpKey>>>,
    rsa: RwLock<HashMap<String, KeyName>>,
}

/// A certificate, and the key that it is for.
pub(crate) struct Certificate {
    pub(super) key: KeyName,
    pub(super) certificate: x509::Certificate,
    owner: Guid,
}

impl Certificate {
    /// Its signature list.
    pub(super) fn list(&self) -> SignatureList {
        SignatureList::x509(self.owner, self.certificate.der())
    }
}

/// An OpenPGP key, and the key behind it.
pub(crate) struct OpenPgpKey {
    pub(super) key: KeyName,
    pub(super) certificate: OpenPgpCertificate,
}

/// The certificate of that name; `None` if there is none.
pub(super) async fn certificate(
    ctx: &Context,
    id: &CertificateId,
) -> Result<Option<Arc<Certificate>>, Error> {
    let memory = &ctx.appliance;
    if let Some(found) = read(&memory.certificates).get(id.as_str()) {
        return Ok(Some(Arc::clone(found)));
    }
    let Some(record) = ctx.store.certificate(id.as_str()).await? else { return Ok(None) };
    let found = Arc::new(certificate_of(record)?);
    write(&memory.certificates).insert(id.as_str().to_owned(), Arc::clone(&found));
    Ok(Some(found))
}

fn certificate_of(record: CertificateRecord) -> Result<Certificate, Error> {
    let damaged = || crate::Error::Internal(format!("certificate `{}` is damaged", record.id));
    Ok(Certificate {
        key: record.signing_key.parse().map_err(|_| damaged())?,
        certificate: x509::Certificate::from_der(&record.der).map_err(|_| damaged())?,
        owner: Guid::from_bytes(record.owner),
    })
}

/// The OpenPGP key that is meant; `None` if there is none.
///
/// # Errors
/// [`Error::Invalid`] if a short id means several.
pub(super) async fn openpgp(ctx: &Context, query: &KeyQuery) -> Result<Option<Arc<OpenPgpKey>>, Error> {
    let memory = &ctx.appliance.openpgp;
    if let KeyQuery::Fingerprint(fingerprint) = query
        && let Some(found) = read(memory).get(fingerprint)
    {
        return Ok(Some(Arc::clone(found)));
    }
    // A short id is looked for among all there are now, so that an ambiguous one is noticed.
    let mut meant = ctx.store.openpgp_keys_ending(&query.to_string()).await?.into_iter();
    let Some(record) = meant.next() else { return Ok(None) };
    if meant.next().is_some() {
        return Err(Error::invalid("the key id is ambiguous: give the whole fingerprint"));
    }
    let found = Arc::new(openpgp_of(record)?);
    write(memory).insert(found.certificate.fingerprint(), Arc::clone(&found));
    Ok(Some(found))
}

fn openpgp_of(record: OpenPgpRecord) -> Result<OpenPgpKey, Error> {
    let damaged = || crate::Error::Internal(format!("OpenPGP key `{}` is damaged", record.fingerprint));
    Ok(OpenPgpKey {
        key: record.signing_key.parse().map_err(|_| damaged())?,
        certificate: OpenPgpCertificate::from_packets(&record.public_key).map_err(|_| damaged())?,
    })
}

/// The key behind the RSA key of that name; `None` if there is none.
pub(super) async fn rsa(ctx: &Context, id: &str) -> Result<Option<KeyName>, Error> {
    let memory = &ctx.appliance.rsa;
    if let Some(found) = read(memory).get(id) {
        return Ok(Some(found.clone()));
    }
    let Some(record) = ctx.store.rsa_key(id).await? else { return Ok(None) };
    let damaged = |_| crate::Error::Internal(format!("RSA key `{id}` is damaged"));
    let key: KeyName = record.signing_key.parse().map_err(damaged)?;
    write(memory).insert(record.id, key.clone());
    Ok(Some(key))
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
