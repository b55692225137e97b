//! OpenPGP keys and detached signatures.

use countersign_model::Format;
use countersign_model::digest::sha256;
use countersign_openpgp::{DetachedSignature, KeyQuery, UserId, detached, key};
use countersign_store::{ApplianceBatch, OpenPgpRecord};
use jiff::Timestamp;

use super::id::random_key_name;
use super::making::{self, Job, Made};
use super::memory::{self, OpenPgpKey};
use super::{Error, on_payload, rsa_bits};
use crate::caller::Caller;
use crate::context::Context;

/// An OpenPGP key to be made.
#[derive(Clone, Debug)]
pub struct NewOpenPgpKey {
    /// Whose it is.
    pub user_id: UserId,
    /// 2048 or 4096 bits.
    pub key_length: u32,
}

/// An OpenPGP key that is not stored yet.
pub(super) struct MadeOpenPgpKey {
    pub(super) key: Made,
    pub(super) record: OpenPgpRecord,
}

/// Makes an OpenPGP key and gives its fingerprint: 40 upper-case hex digits.
///
/// # Errors
/// [`Error::Invalid`] for a length that is not made.
pub async fn create_openpgp_key(ctx: &Context, caller: &Caller, new: NewOpenPgpKey) -> Result<String, Error> {
    rsa_bits(new.key_length)?;
    let made = make(ctx, caller, &new).await?;
    let fingerprint = made.record.fingerprint.clone();
    let batch = ApplianceBatch {
        keys: vec![made.key.record],
        openpgp: vec![made.record],
        ..ApplianceBatch::default()
    };
    making::keep(ctx, &batch, || format!("GPG key '{fingerprint}' already exists")).await?;
    Ok(fingerprint)
}

/// Makes an OpenPGP key. Its name cannot be the fingerprint, which is known only when the key is made.
pub(super) async fn make(
    ctx: &Context,
    caller: &Caller,
    new: &NewOpenPgpKey,
) -> Result<MadeOpenPgpKey, Error> {
    let name = random_key_name("gpg")?;
    let key = making::make(ctx, caller, name, rsa_bits(new.key_length)?).await?;
    let now = ctx.now();
    let (to_sign, pending) = key::prepare(&key.public, &new.user_id, seconds(now)?)?;
    let fingerprint = pending.fingerprint().to_string();
    let scheme = pending.scheme();
    let raw = key.sign(ctx, caller, Format::Openpgp, scheme, to_sign, &fingerprint).await?;
    // Finishing verifies the certification.
    let certificate = pending.finish(&raw)?;
    let record = OpenPgpRecord {
        fingerprint,
        signing_key: key.record.name.clone(),
        public_key: certificate.packets().to_vec(),
        created: now,
    };
    Ok(MadeOpenPgpKey { key, record })
}

/// OpenPGP has times of 32 bits.
fn seconds(at: Timestamp) -> Result<u32, Error> {
    u32::try_from(at.as_second()).map_err(|_| {
        crate::Error::Internal("the clock shows a time that OpenPGP does not have".into()).into()
    })
}

/// The fingerprints of all keys, for anybody.
///
/// # Errors
/// Those of any read.
pub async fn openpgp_fingerprints(ctx: &Context) -> Result<Vec<String>, Error> {
    Ok(ctx.store.openpgp_keys().await?.into_iter().map(|key| key.fingerprint).collect())
}

/// A key's public half, armoured, for anybody.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] for a text that is no key id, and for an ambiguous one.
pub async fn openpgp_armored(ctx: &Context, id: &str) -> Result<String, Error> {
    Ok(find(ctx, id).await?.certificate.to_armored())
}

async fn find(ctx: &Context, id: &str) -> Result<std::sync::Arc<OpenPgpKey>, Error> {
    let unknown = || Error::NotFound(format!("GPG key '{id}' is unknown"));
    let query: KeyQuery = id.parse().map_err(|_| unknown())?;
    memory::openpgp(ctx, &query).await?.ok_or_else(unknown)
}

/// Signs a document: a binary detached signature packet.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] for an ambiguous key id.
pub async fn sign_document(
    ctx: &Context,
    caller: &Caller,
    id: &str,
    document: Vec<u8>,
) -> Result<Vec<u8>, Error> {
    let signer = find(ctx, id).await?;
    let created = seconds(ctx.now())?;
    let (input, content) = on_payload(document.len(), move || {
        let mut content = detached::hasher();
        content.update(&document);
        Ok((sha256(&document), content))
    })
    .await?;
    let (to_sign, pending) = detached::prepare(&signer.certificate.issuer(), content.clone(), created);
    let job = Job {
        key: &signer.key,
        format: |_| Format::Openpgp,
        scheme: pending.scheme(),
        to_sign,
        input: Some(input),
        subject: signer.certificate.fingerprint().to_string(),
    };
    let signature = making::sign_unchecked(ctx, caller, job).await?;
    signature.verified_by(|raw| {
        let signature = pending.finish(&raw)?;
        verify(&signer, &signature, content, created)?;
        Ok(signature)
    })
}

/// Reads the packet as a stranger would.
fn verify(
    signer: &OpenPgpKey,
    packet: &[u8],
    content: countersign_model::digest::Hasher,
    at: u32,
) -> Result<(), Error> {
    let found = DetachedSignature::read(packet).map_err(|why| Error::unverified("OpenPGP signature", why))?;
    let [signature] = found.as_slice() else {
        return Err(Error::unverified("OpenPGP signature", "it is not one packet"));
    };
    signature.verify(content, std::slice::from_ref(&signer.certificate), at)?;
    Ok(())
}
