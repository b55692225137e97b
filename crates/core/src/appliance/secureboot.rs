//! UEFI secure boot: lists of certificates, signed updates of the variables that hold them, and programs.

use std::sync::Arc;

use countersign_model::Format;
use countersign_model::digest::sha256;
use countersign_pki::authenticode;
use countersign_pki::efi_var::{self, EfiTime, Update, Variable};
use countersign_pki::esl::SignatureDatabase;
use countersign_pki::list_name::{list_name, sorted_unique};
use countersign_pki::x509;
use countersign_store::{ApplianceBatch, ListRecord};

use super::making::{self, Job, Made};
use super::memory::{self, Certificate};
use super::{CertificateId, Error, certificates, on_payload};
use crate::caller::Caller;
use crate::context::Context;

/// The most ids that a list may be named by: each is looked up by itself.
pub const MAX_IDS: usize = 64;

/// The longest list that a client may bring. The largest that are published have some tens of KiB, and no
/// firmware has MiBs of room for variables.
pub const MAX_LIST: usize = 8 << 20;

/// A list to be signed for a variable, and frozen.
#[derive(Clone, Debug)]
pub struct SignList {
    /// The variable.
    pub variable: Variable,
    /// The certificates, at least one; order and repetitions do not matter.
    pub ids: Vec<CertificateId>,
    /// Whose key signs.
    pub signer: CertificateId,
    /// Whether it is added to what the variable has.
    pub append: bool,
}

/// A list that a client made, to be signed and given back.
#[derive(Clone, Debug)]
pub struct SignExternal {
    /// The variable.
    pub variable: Variable,
    /// The signature lists.
    pub esl: Vec<u8>,
    /// Whose key signs.
    pub signer: CertificateId,
    /// Whether it is added to what the variable has.
    pub append: bool,
}

/// A signed list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListDocument {
    /// The authenticated update of the variable.
    pub auth: Vec<u8>,
    /// The signature lists.
    pub esl: Vec<u8>,
    /// The certificates in the order of their ids, DER.
    pub certificates: Vec<Vec<u8>>,
}

/// Signs a list of our own certificates for a variable. What is signed once stays as it is.
///
/// # Errors
/// [`Error::NotFound`] for certificates that are not there, [`Error::Conflict`] if the list is signed already.
pub async fn sign_list(ctx: &Context, caller: &Caller, order: SignList) -> Result<(), Error> {
    let (name, ids) = name_of(&order.ids)?;
    let mut lists = Vec::new();
    for certificate in find_all(ctx, &ids).await? {
        lists.push(certificate.list());
    }
    let signer = certificates::signer(ctx, &order.signer).await?;
    let variable = order.variable;
    let signed_already = || format!("{} for '{}' has already been signed", variable.name(), ids.join(","));
    if ctx.store.certificate_list(&name, variable.name()).await?.is_some() {
        return Err(Error::Conflict(signed_already()));
    }
    let esl = SignatureDatabase::new(lists)?.to_bytes();
    let record = sign(ctx, caller, &name, variable, order.append, esl, &signer).await?;
    let batch = ApplianceBatch { lists: vec![record], ..ApplianceBatch::default() };
    making::keep(ctx, &batch, signed_already).await
}

/// The name of the set of certificates, and their ids in order, each once.
fn name_of(ids: &[CertificateId]) -> Result<(String, Vec<&str>), Error> {
    if ids.is_empty() {
        return Err(Error::invalid("give at least one certificate id"));
    }
    if ids.len() > MAX_IDS {
        return Err(Error::invalid(format!("a list has at most {MAX_IDS} certificate ids")));
    }
    let texts = || ids.iter().map(CertificateId::as_str);
    Ok((list_name(texts()), sorted_unique(texts())))
}

/// All certificates of these names; several that are missing are named together.
async fn find_all(ctx: &Context, ids: &[&str]) -> Result<Vec<Arc<Certificate>>, Error> {
    let mut found = Vec::new();
    let mut missing = Vec::new();
    for id in ids {
        match memory::certificate(ctx, &id.parse()?).await? {
            Some(certificate) => found.push(certificate),
            None => missing.push(format!("Certificate '{id}' does not exist")),
        }
    }
    if missing.is_empty() { Ok(found) } else { Err(Error::NotFound(missing.join("; "))) }
}

/// Signs an update, verifies it, and gives it as it is stored.
async fn sign(
    ctx: &Context,
    caller: &Caller,
    list: &str,
    variable: Variable,
    append: bool,
    esl: Vec<u8>,
    signer: &Arc<Certificate>,
) -> Result<ListRecord, Error> {
    let auth = sign_update(ctx, caller, variable, append, esl.clone(), signer).await?;
    Ok(ListRecord {
        list: list.to_owned(),
        variable: variable.name().to_owned(),
        esl,
        auth,
        created: ctx.now(),
    })
}

async fn sign_update(
    ctx: &Context,
    caller: &Caller,
    variable: Variable,
    append: bool,
    esl: Vec<u8>,
    signer: &Arc<Certificate>,
) -> Result<Vec<u8>, Error> {
    let (len, update, with) = (esl.len(), update(ctx, append)?, Arc::clone(signer));
    let (input, (to_sign, pending)) = on_payload(len, move || {
        let input = sha256(&esl);
        Ok((input, efi_var::prepare(variable, update, esl, &with.certificate)?))
    })
    .await?;
    let job = Job {
        key: &signer.key,
        format: |_| Format::EfiVar,
        scheme: pending.scheme(),
        to_sign,
        input: Some(input),
        subject: variable.name().to_owned(),
    };
    let signature = making::sign_unchecked(ctx, caller, job).await?;
    let with = Arc::clone(signer);
    on_payload(len, move || {
        signature.verified_by(|raw| {
            let auth = pending.finish(raw)?;
            efi_var::verify(&auth, variable, &with.certificate)
                .map_err(|why| Error::unverified("update", why))?;
            Ok(auth)
        })
    })
    .await
}

/// Signs an update by a key that is not stored yet.
pub(super) async fn sign_by_new(
    ctx: &Context,
    caller: &Caller,
    variable: Variable,
    esl: Vec<u8>,
    key: &Made,
    certificate: &x509::Certificate,
) -> Result<Vec<u8>, Error> {
    let (to_sign, pending) = efi_var::prepare(variable, update(ctx, false)?, esl, certificate)?;
    let scheme = pending.scheme();
    let raw = key.sign(ctx, caller, Format::EfiVar, scheme, to_sign, variable.name()).await?;
    let auth = pending.finish(raw)?;
    efi_var::verify(&auth, variable, certificate).map_err(|why| Error::unverified("update", why))?;
    Ok(auth)
}

/// An update that replaces has the time, one that appends has none.
fn update(ctx: &Context, append: bool) -> Result<Update, Error> {
    if append {
        return Ok(Update::Append);
    }
    let time = EfiTime::new(ctx.now())
        .ok_or_else(|| crate::Error::Internal("the clock shows a time that UEFI does not have".into()))?;
    Ok(Update::Replace(time))
}

/// Signs a list that the client made.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] if it is not made of signature lists and nothing else, or longer than
/// [`MAX_LIST`].
pub async fn sign_external(ctx: &Context, caller: &Caller, order: SignExternal) -> Result<Vec<u8>, Error> {
    let SignExternal { variable, esl, signer, append } = order;
    if esl.len() > MAX_LIST {
        return Err(Error::invalid(format!("the signature lists have more than {MAX_LIST} bytes")));
    }
    let esl = on_payload(esl.len(), move || {
        SignatureDatabase::parse(&esl)?;
        Ok(esl)
    })
    .await?;
    let signer = certificates::signer(ctx, &signer).await?;
    sign_update(ctx, caller, variable, append, esl, &signer).await
}

/// A signed list, for anybody.
///
/// # Errors
/// [`Error::NotFound`] for certificates that are not there and for a list that was not signed.
pub async fn list(ctx: &Context, variable: Variable, ids: &[CertificateId]) -> Result<ListDocument, Error> {
    let (name, ids) = name_of(ids)?;
    let certificates = find_all(ctx, &ids).await?;
    let found = ctx.store.certificate_list(&name, variable.name()).await?;
    let missing = || Error::NotFound(format!("{} not found for given certificate list", variable.name()));
    let ListRecord { auth, esl, .. } = found.ok_or_else(missing)?;
    let certificates = certificates.iter().map(|one| one.certificate.der().to_vec()).collect();
    Ok(ListDocument { auth, esl, certificates })
}

/// Adds a signature to a program: a PE image.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] for bytes that are no PE image, or a damaged one.
pub async fn sign_program(
    ctx: &Context,
    caller: &Caller,
    id: &CertificateId,
    image: Vec<u8>,
) -> Result<Vec<u8>, Error> {
    let signer = certificates::signer(ctx, id).await?;
    let (len, now, with) = (image.len(), ctx.now(), Arc::clone(&signer));
    let (input, (to_sign, pending)) = on_payload(len, move || {
        let input = sha256(&image);
        Ok((input, authenticode::prepare(image, &with.certificate, now)?))
    })
    .await?;
    let job = Job {
        key: &signer.key,
        format: |_| Format::Authenticode,
        scheme: pending.scheme(),
        to_sign,
        input: Some(input),
        subject: id.to_string(),
    };
    let signature = making::sign_unchecked(ctx, caller, job).await?;
    on_payload(len, move || {
        signature.verified_by(|raw| {
            let image = pending.finish(raw)?;
            authenticode::verify(&image, &signer.certificate)
                .map_err(|why| Error::unverified("program", why))?;
            Ok(image)
        })
    })
    .await
}
