//! Self-signed certificates, and bare signatures of digests by their keys.

use countersign_model::{Format, KeyName};
use countersign_pki::esl::{Guid, SignatureList};
use countersign_pki::raw_digest;
use countersign_pki::subject::Subject;
use countersign_pki::x509::{self, SerialNumber, Validity};
use countersign_store::{ApplianceBatch, CertificateRecord};

use super::making::{self, Job, Made};
use super::memory::{self, Certificate};
use super::{CertificateId, Error, rsa_bits};
use crate::caller::Caller;
use crate::context::Context;
use crate::random;

/// A certificate to be made.
#[derive(Clone, Debug)]
pub struct NewCertificate {
    /// The client's name for it.
    pub id: CertificateId,
    /// Whom it names.
    pub subject: Subject,
    /// 2048 or 4096 bits.
    pub key_length: u32,
    /// How long it is valid, in days, at least 1.
    pub days: u32,
}

/// A certificate that is not stored yet.
pub(super) struct MadeCertificate {
    pub(super) key: Made,
    pub(super) certificate: x509::Certificate,
    pub(super) record: CertificateRecord,
}

impl MadeCertificate {
    /// Its signature list.
    pub(super) fn list(&self) -> SignatureList {
        SignatureList::x509(Guid::from_bytes(self.record.owner), self.certificate.der())
    }
}

/// Makes a key and its self-signed certificate, and gives the certificate in PEM. Of many that make one name at
/// the same time, exactly one succeeds.
///
/// # Errors
/// [`Error::Conflict`] if the name is taken, [`Error::Invalid`] for lengths and times that cannot be.
pub async fn create_certificate(
    ctx: &Context,
    caller: &Caller,
    new: NewCertificate,
) -> Result<String, Error> {
    let name = new.id.key_name()?;
    rsa_bits(new.key_length)?;
    validity(ctx, &new)?;
    making::check_may_make(ctx, caller, &name)?;
    let _turn = ctx.naming.turn(&name).await;
    check_free(ctx, &new.id).await?;
    let made = make(ctx, caller, &new, name).await?;
    let pem = made.certificate.to_pem();
    let batch = ApplianceBatch {
        keys: vec![made.key.record],
        certificates: vec![made.record],
        ..ApplianceBatch::default()
    };
    making::keep(ctx, &batch, || already_exists(&new.id)).await?;
    Ok(pem)
}

/// Whether what is asked for can be made at all: to be checked before any key is made.
pub(super) fn validity(ctx: &Context, new: &NewCertificate) -> Result<Validity, Error> {
    Ok(Validity::days(ctx.now(), new.days)?)
}

/// # Errors
/// [`Error::Conflict`] if there is a certificate of this name.
pub(super) async fn check_free(ctx: &Context, id: &CertificateId) -> Result<(), Error> {
    match memory::certificate(ctx, id).await? {
        None => Ok(()),
        Some(_) => Err(Error::Conflict(already_exists(id))),
    }
}

pub(super) fn already_exists(id: &CertificateId) -> String {
    format!("Certificate '{id}' already exists")
}

/// Makes a key and its certificate.
pub(super) async fn make(
    ctx: &Context,
    caller: &Caller,
    new: &NewCertificate,
    name: KeyName,
) -> Result<MadeCertificate, Error> {
    let key = making::make(ctx, caller, name, rsa_bits(new.key_length)?).await?;
    let serial = SerialNumber::from_random(random::bytes()?);
    let (to_sign, pending) = x509::prepare(&new.subject, &key.public, serial, validity(ctx, new)?)?;
    let scheme = pending.scheme();
    let raw = key.sign(ctx, caller, Format::X509, scheme, to_sign, new.id.as_str()).await?;
    let certificate = pending.finish(raw)?;
    certificate.is_signed_by(&key.public).map_err(|why| Error::unverified("certificate", why))?;
    let record = CertificateRecord {
        id: new.id.to_string(),
        signing_key: key.record.name.clone(),
        der: certificate.der().to_vec(),
        owner: *Guid::from_random(random::bytes()?).as_bytes(),
        created: ctx.now(),
    };
    Ok(MadeCertificate { key, certificate, record })
}

/// A certificate in PEM, for anybody; `missing` is this route's word for one that is not there.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn certificate_pem(ctx: &Context, id: &CertificateId, missing: &str) -> Result<String, Error> {
    let found = memory::certificate(ctx, id).await?;
    let found = found.ok_or_else(|| Error::NotFound(format!("Certificate '{id}' {missing}")))?;
    Ok(found.certificate.to_pem())
}

/// The certificate that signs.
pub(super) async fn signer(ctx: &Context, id: &CertificateId) -> Result<std::sync::Arc<Certificate>, Error> {
    let found = memory::certificate(ctx, id).await?;
    found.ok_or_else(|| Error::NotFound(format!("Private key '{id}' does not exist")))
}

/// Signs 32 bytes bare, without DigestInfo, by the key of a certificate.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn sign_digest(
    ctx: &Context,
    caller: &Caller,
    id: &CertificateId,
    digest: [u8; 32],
) -> Result<Vec<u8>, Error> {
    let signer = signer(ctx, id).await?;
    let public = signer.certificate.public_key();
    let (to_sign, pending) = raw_digest::prepare(digest, public)?;
    let job = Job {
        key: &signer.key,
        format: Format::of_native,
        scheme: pending.scheme(),
        to_sign,
        input: None,
        subject: format!("{id} sha256:{}", hex::encode(digest)),
    };
    let signed = making::sign(ctx, caller, job).await?;
    let signature = pending.finish(signed.signature)?;
    raw_digest::verify(&signature, digest, public).map_err(|why| Error::unverified("signature", why))?;
    Ok(signature)
}
