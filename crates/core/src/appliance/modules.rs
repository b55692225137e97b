//! Kernel modules.

use countersign_model::Format;
use countersign_model::digest::sha256;
use countersign_pki::kmod;

use super::making::{self, Job};
use super::{CertificateId, Error, certificates, on_payload};
use crate::caller::Caller;
use crate::context::Context;

/// Appends a signature to a kernel module, or to any other bytes.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Invalid`] for an empty payload.
pub async fn sign_module(
    ctx: &Context,
    caller: &Caller,
    id: &CertificateId,
    module: Vec<u8>,
) -> Result<Vec<u8>, Error> {
    let signer = certificates::signer(ctx, id).await?;
    let len = module.len();
    let with = std::sync::Arc::clone(&signer);
    let (input, (to_sign, pending)) = on_payload(len, move || {
        let input = sha256(&module);
        Ok((input, kmod::prepare(module, &with.certificate)?))
    })
    .await?;
    let job = Job {
        key: &signer.key,
        format: |_| Format::Kmod,
        scheme: pending.scheme(),
        to_sign,
        input: Some(input),
        subject: id.to_string(),
    };
    let signature = making::sign_unchecked(ctx, caller, job).await?;
    on_payload(len, move || {
        let module = signature.verified_by(|raw| pending.finish_verified(raw, &signer.certificate));
        module.map_err(|why| Error::unverified("module", why))
    })
    .await
}
