//! OpenPGP: documents with a signature beside them, and Debian's control files with one in them.

use std::sync::Arc;

use countersign_model::digest::{Hasher, sha256};
use countersign_model::{Format, HashAlg, RawSignature, ToSign};
use countersign_openpgp::{Certificate, ClearSigned, DetachedSignature, Issuer, cleartext, detached};

use super::client::Client;
use super::settings::{Kind, OpenPgpMode};
use super::sign::{Made, Signed, reference};
use super::signer::Signer;
use super::{Autograph, Content, Error, checksums};
use crate::caller::Caller;
use crate::context::Context;
use crate::pipeline::{self, Order};
use crate::signing::format::seconds;

/// Files that are to be signed by one signer.
#[derive(Clone, Debug)]
pub struct AskedFiles {
    /// The signer's id; `None` for the client's default.
    pub key_id: Option<String>,
    /// The files, at most [`MAX_FILES`].
    pub files: Vec<File>,
}

/// A file that is to be signed.
#[derive(Clone, Debug)]
pub struct File {
    /// Its name; see [`check_file_name`].
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// The most files of one request.
pub const MAX_FILES: usize = 32;

/// What is signed first is named, with its digests, in what is signed after it.
const STAGES: [&str; 3] = [".dsc", ".buildinfo", ".changes"];

/// Checks the name of a file: 1 to 256 of `A-Z a-z 0-9 - _ . + ~`, a letter or digit first and last, no two dots
/// together. Names are never part of a path here.
///
/// # Errors
/// [`Error::Invalid`].
pub fn check_file_name(name: &str) -> Result<(), Error> {
    let bytes = name.as_bytes();
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let known = |b: &u8| b.is_ascii_alphanumeric() || b"-_.+~".contains(b);
    let why = if !ends(bytes.first()) {
        "must start with an alphanumeric character"
    } else if !ends(bytes.last()) {
        "must end with an alphanumeric character"
    } else if bytes.len() > 256 || !bytes.iter().all(known) {
        "must match ^[-_\\.+~a-zA-Z0-9]{1,256}$"
    } else if name.contains("..") {
        "must not include '..'"
    } else {
        return Ok(());
    };
    Err(Error::Invalid(format!("invalid named file name: unsigned filename {why}")))
}

/// Clear-signs files, each stage of them with one durable write to the log; a file that was signed before is signed
/// anew. Sizes and digests of signed files are renewed in the files of the same request that name them.
///
/// # Errors
/// The first refusal, then nothing is given out: as [`super::prepare`], and [`Error::Invalid`] for names.
pub async fn sign_files(
    autograph: &Autograph,
    ctx: &Context,
    caller: &Caller,
    id: &str,
    asked: Vec<AskedFiles>,
) -> Result<Vec<Signed>, Error> {
    let client = Client { caller, id };
    let mut signers = Vec::with_capacity(asked.len());
    for AskedFiles { key_id, files } in &asked {
        let signer = client.signer(autograph, ctx, key_id.as_deref())?;
        if !matches!(signer.kind, Kind::OpenPgp(OpenPgpMode::Debsign, _)) {
            return Err(Error::NotImplemented { signer: signer.id, operation: "multiple file" });
        }
        check_files(files)?;
        signers.push(signer);
    }
    let mut files: Vec<Vec<File>> = asked.into_iter().map(|asked| asked.files).collect();
    for suffix in STAGES {
        sign_stage(ctx, &client, &signers, &mut files, suffix).await?;
    }
    let finish = |(signer, files): (Signer, Vec<File>)| {
        let files = files.into_iter().map(|file| (file.name, file.bytes)).collect();
        Ok(Signed { reference: reference()?, signer: signer.describe(ctx), made: Made::Files(files) })
    };
    signers.into_iter().zip(files).map(finish).collect()
}

fn check_files(files: &[File]) -> Result<(), Error> {
    for (i, File { name, .. }) in files.iter().enumerate() {
        check_file_name(name)?;
        if !STAGES.iter().any(|suffix| name.ends_with(suffix)) {
            return Err(Error::Invalid(format!(
                "cannot sign file {i}. File missing extension .buildinfo, .dsc, or .changes"
            )));
        }
        if files.iter().take(i).any(|other| other.name == *name) {
            return Err(Error::Invalid(format!("the file name {name} stands twice")));
        }
    }
    Ok(())
}

/// Signs the files of one suffix.
async fn sign_stage(
    ctx: &Context,
    client: &Client<'_>,
    signers: &[Signer],
    requests: &mut [Vec<File>],
    suffix: &str,
) -> Result<(), Error> {
    let (mut orders, mut pending) = (Vec::new(), Vec::new());
    for (request, (signer, files)) in signers.iter().zip(requests.iter()).enumerate() {
        let (issuer, certificate, at) = issuer(ctx, signer)?;
        let scheme = detached::scheme_for(signer.key.key_type).ok_or_else(other_key)?;
        for (place, file) in files.iter().enumerate().filter(|(_, file)| file.name.ends_with(suffix)) {
            let admitted = signer.admit(ctx, client, scheme, Format::Openpgp)?;
            let text = text_of(file, files, suffix)?;
            let input = Some(sha256(&text));
            let (to_sign, unsigned) = cleartext::prepare(&issuer, text, at);
            orders.push(Order { admitted, to_sign, input, subject: Some(file.name.clone()) });
            pending.push((request, place, unsigned, Arc::clone(&certificate), at));
        }
    }
    let signed = pipeline::sign_many(ctx, client.caller, orders).await?;
    for ((request, place, unsigned, certificate, at), signed) in pending.into_iter().zip(signed) {
        let document = unsigned.finish(&signed?.signature).map_err(|e| unverified(&e))?;
        let read = ClearSigned::read(&document).map_err(|e| unverified(&e))?;
        read.verify(std::slice::from_ref(&*certificate), at).map_err(|e| by_certificate(&e, e.hint()))?;
        let file = requests.get_mut(request).and_then(|files| files.get_mut(place));
        file.ok_or_else(|| crate::Error::Internal("a file has gone".into()))?.bytes = document;
    }
    Ok(())
}

/// What is to be signed of a file: its text, without the signature that it may have, and with the digests of the
/// files that were signed in the stages before.
fn text_of(file: &File, files: &[File], suffix: &str) -> Result<Vec<u8>, Error> {
    let mut text = if ClearSigned::is_begun(&file.bytes) {
        let read = ClearSigned::read(&file.bytes)
            .map_err(|why| Error::Invalid(format!("{} is no clear-signed file: {why}", file.name)))?;
        read.text().to_vec()
    } else {
        file.bytes.clone()
    };
    let before = STAGES.iter().take_while(|stage| **stage != suffix);
    for stage in before {
        for signed in files.iter().filter(|other| other.name.ends_with(stage)) {
            text = checksums::renewed(&text, &signed.name, &signed.bytes);
        }
    }
    Ok(text)
}

/// A detached signature that is to be made.
pub(super) struct OpenPgpPending {
    pending: detached::Pending,
    certificate: Arc<Certificate>,
    content: Hasher,
    at: u32,
}

/// Prepares a detached signature over a content, and gives the SHA-256 of that.
pub(super) fn prepare_detached(
    ctx: &Context,
    signer: &Signer,
    content: Content<'_>,
) -> Result<(ToSign, [u8; 32], OpenPgpPending), Error> {
    let (issuer, certificate, at) = issuer(ctx, signer)?;
    let (mut hasher, mut input) = (detached::hasher(), Hasher::new(HashAlg::Sha256));
    content.each(|bytes| {
        hasher.update(bytes);
        input.update(bytes);
    })?;
    let input = input.finish().as_bytes().try_into();
    let input = input.map_err(|_| crate::Error::Internal("a SHA-256 of another length".into()))?;
    let (to_sign, pending) = detached::prepare(&issuer, hasher.clone(), at);
    Ok((to_sign, input, OpenPgpPending { pending, certificate, content: hasher, at }))
}

impl OpenPgpPending {
    /// The signature in armor, read and verified as a stranger would.
    pub(super) fn finish_detached(self, raw: &RawSignature) -> Result<String, Error> {
        let Self { pending, certificate, content, at } = self;
        let packet = pending.finish(raw).map_err(|e| unverified(&e))?;
        let read = DetachedSignature::read(&packet).map_err(|e| unverified(&e))?;
        let [signature] = read.as_slice() else { return Err(unverified(&"it is not one packet")) };
        let trusted = std::slice::from_ref(&*certificate);
        signature.verify(content, trusted, at).map_err(|e| by_certificate(&e, e.hint()))?;
        Ok(detached::to_armored(&packet))
    }
}

/// Who signs, by its certificate, and when.
fn issuer(ctx: &Context, signer: &Signer) -> Result<(Issuer, Arc<Certificate>, u32), Error> {
    let Kind::OpenPgp(_, certificate) = &signer.kind else {
        return Err(crate::Error::Internal("a signer without a certificate".into()).into());
    };
    let at = seconds(ctx.now())?;
    let public = signer.key.public()?;
    let key = certificate.keys().find(|key| key.public() == public).ok_or_else(other_key)?;
    certificate
        .check(at)
        .map_err(|e| by_certificate(&e, "give the newest form of the certificate, or make a new one"))?;
    let issuer = Issuer::new(public, key.created()).ok_or_else(other_key)?;
    Ok((issuer, Arc::clone(certificate), at))
}

fn other_key() -> Error {
    let why = "the signer's certificate is not of its key";
    by_certificate(&why, "compare its public key with that of the key's document")
}

fn by_certificate(error: &dyn std::fmt::Display, hint: &'static str) -> Error {
    Error::Core(crate::Error::NotSignable { member: "certificate", why: error.to_string(), hint })
}

fn unverified(why: &dyn std::fmt::Display) -> Error {
    Error::Core(crate::Error::Internal(format!("the OpenPGP signature that was made does not verify: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_those_of_debian_packages() {
        for good in ["a", "sphinx_1.7.2-1.dsc", "a+b~c.changes", &"a".repeat(256)] {
            assert!(check_file_name(good).is_ok(), "{good}");
        }
        for bad in ["", ".dsc", "a.", "a..b", "a/b", "../a", "a b", "a\0b", "ä", "a:b", &"a".repeat(257)] {
            assert!(check_file_name(bad).is_err(), "{bad}");
        }
    }
}
