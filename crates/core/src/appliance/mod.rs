//! The signing appliance: certificates, secure boot lists, kernel modules, OpenPGP, Raspberry Pi, i.MX trees.
//!
//! Clients name things by ids of their own: a certificate by any short text, an OpenPGP key by its fingerprint,
//! an RSA key and a tree by 32 hex digits. The keys behind them are `key:appliance/…` and belong to this surface.
//! What an id stands for never changes and is never taken away, so it is kept in memory once it was read.
//!
//! ```text
//! certificates   make, show, sign a digest          secureboot  freeze lists, sign updates and programs
//! openpgp        make, show, sign a document        rsa         make, show, sign an EEPROM image
//! modules        sign kernel modules                trees       i.MX trees and fuse values
//! bootstrap      one of everything, or nothing      making      keys that are stored with what they are for
//! transfer       everything in one archive, in and out
//! ```
//!
//! Every artifact is verified with the code that strangers use before it is released.

mod bootstrap;
mod certificates;
mod error;
mod id;
mod making;
mod memory;
mod modules;
mod openpgp;
mod rsa;
mod secureboot;
mod transfer;
mod trees;

pub use bootstrap::{Bootstrap, BootstrapCertificates, Bootstrapped, bootstrap};
pub use certificates::{NewCertificate, certificate_pem, create_certificate, sign_digest};
pub use error::Error;
pub use id::CertificateId;
pub(crate) use memory::Memory;
pub use modules::sign_module;
pub use openpgp::{NewOpenPgpKey, create_openpgp_key, openpgp_armored, openpgp_fingerprints, sign_document};
pub use rsa::{create_rsa_key, rsa_ids, rsa_pem, sign_eeprom};
pub use secureboot::{
    ListDocument, MAX_IDS, MAX_LIST, SignExternal, SignList, list, sign_external, sign_list, sign_program,
};
pub use transfer::{Archive, export, import};
pub use trees::{create_tree, tree_fuses, tree_ids};

/// Whether clients may ask for 2048 or 4096 bits.
fn rsa_bits(key_length: u32) -> Result<countersign_model::KeyType, Error> {
    match key_length {
        2048 | 4096 => Ok(countersign_model::KeyType::Rsa(key_length)),
        other => Err(Error::invalid(format!("key_length is 2048 or 4096, not {other}"))),
    }
}

/// Payloads above this size are worked on beside the runtime's own threads.
const LARGE: usize = 256 << 10;

/// Runs work on a payload of `len` bytes.
async fn on_payload<T: Send + 'static>(
    len: usize,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    if len <= LARGE {
        return work();
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| crate::Error::Internal("work was cut short".into()))?
}
