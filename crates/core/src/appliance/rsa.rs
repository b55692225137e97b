//! RSA keys of Raspberry Pi boards, and EEPROM images signed by them.

use countersign_model::digest::sha256;
use countersign_model::{Format, KeyType};
use countersign_pki::rpi_eeprom;
use countersign_store::{ApplianceBatch, RsaRecord};

use super::id::random_key_name;
use super::making::{self, Job, Made};
use super::{Error, memory, on_payload};
use crate::caller::Caller;
use crate::context::Context;
use crate::keys;

/// Makes an RSA-2048 key and gives its id: the first 32 hex digits of its SubjectPublicKeyInfo's SHA-256.
///
/// # Errors
/// When key host or database fail.
pub async fn create_rsa_key(ctx: &Context, caller: &Caller) -> Result<String, Error> {
    let (key, record) = make(ctx, caller).await?;
    let id = record.id.clone();
    let batch = ApplianceBatch { keys: vec![key.record], rsa: vec![record], ..ApplianceBatch::default() };
    making::keep(ctx, &batch, || format!("RSA key {id} already exists")).await?;
    Ok(id)
}

pub(super) async fn make(ctx: &Context, caller: &Caller) -> Result<(Made, RsaRecord), Error> {
    let name = random_key_name("rsa")?;
    let key = making::make(ctx, caller, name, KeyType::Rsa(2048)).await?;
    let id = hex::encode(&sha256(key.public.spki())[..16]);
    let record = RsaRecord { id, signing_key: key.record.name.clone(), created: ctx.now() };
    Ok((key, record))
}

/// The ids of all RSA keys, for anybody.
///
/// # Errors
/// Those of any read.
pub async fn rsa_ids(ctx: &Context) -> Result<Vec<String>, Error> {
    Ok(ctx.store.rsa_keys().await?.into_iter().map(|key| key.id).collect())
}

/// An RSA key's public half in PEM, for anybody.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn rsa_pem(ctx: &Context, id: &str) -> Result<String, Error> {
    let key = find(ctx, id).await?;
    Ok(keys::public_pem(ctx, &key)?)
}

async fn find(ctx: &Context, id: &str) -> Result<countersign_model::KeyName, Error> {
    let found = memory::rsa(ctx, &id.to_ascii_lowercase()).await?;
    let found = found.ok_or_else(|| Error::NotFound(format!("RSA key {id} is unknown")))?;
    making::learn(ctx, &found).await?;
    Ok(found)
}

/// Signs an EEPROM image: three lines of text.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn sign_eeprom(ctx: &Context, caller: &Caller, id: &str, image: Vec<u8>) -> Result<String, Error> {
    let name = find(ctx, id).await?;
    let key = keys::find(ctx, &name)?;
    let digest = on_payload(image.len(), move || Ok(sha256(&image))).await?;
    let (to_sign, pending) = rpi_eeprom::prepare(digest, ctx.now(), key.public()?)?;
    let job = Job {
        key: &name,
        format: |_| Format::RpiEeprom,
        scheme: pending.scheme(),
        to_sign,
        input: Some(digest),
        subject: id.to_owned(),
    };
    let signed = making::sign(ctx, caller, job).await?;
    let text = pending.finish(signed.signature)?;
    rpi_eeprom::verify(&text, digest, key.public()?).map_err(|why| Error::unverified("EEPROM text", why))?;
    Ok(text)
}
