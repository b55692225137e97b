//! Keys of secure boot: a certificate, and where the key to it is.

use countersign_core::appliance::CertificateId;
use countersign_model::{KeyName, PublicKey};
use countersign_pki::x509::Certificate;
use serde_json::Value;

use super::appliance;
use crate::api::Api;
use crate::args::KeyArg;
use crate::commands::verify::read_certificate;
use crate::failure::Failure;

/// A certificate that is in a variable or comes into it, and where its key is.
#[derive(Clone, Debug)]
pub struct Holder {
    /// What the person calls it.
    pub name: String,
    /// The certificate.
    pub certificate: Certificate,
    /// Where its key is.
    pub place: KeyPlace,
}

/// Where a key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// In the signing appliance.
    Appliance(CertificateId),
    /// Among the keys of the server.
    Native(KeyName),
    /// Not known here: it signs nothing.
    Elsewhere,
}

impl Holder {
    /// Reads the certificate, from its file or from the appliance.
    ///
    /// # Errors
    /// If it is not there, or is no certificate.
    pub async fn find(api: &Api, from: &KeyArg) -> Result<Self, Failure> {
        Ok(match from {
            KeyArg::Appliance(id) => Self {
                name: id.as_str().to_owned(),
                certificate: appliance::certificate(api, id).await?,
                place: KeyPlace::Appliance(id.clone()),
            },
            KeyArg::Native(key, file) => Self {
                name: key.to_string(),
                certificate: read_certificate(file)?,
                place: KeyPlace::Native(key.clone()),
            },
            KeyArg::File(file) => Self {
                name: file.display().to_string(),
                certificate: read_certificate(file)?,
                place: KeyPlace::Elsewhere,
            },
        })
    }

    /// [`find`](Self::find) for each.
    ///
    /// # Errors
    /// As there.
    pub async fn find_all(api: &Api, from: impl IntoIterator<Item = &KeyArg>) -> Result<Vec<Self>, Failure> {
        let mut found = Vec::new();
        for one in from {
            found.push(Self::find(api, one).await?);
        }
        Ok(found)
    }

    /// The public key.
    pub fn key(&self) -> &PublicKey {
        self.certificate.public_key()
    }

    /// Its id, if the appliance has it.
    pub fn appliance_id(&self) -> Option<&CertificateId> {
        match &self.place {
            KeyPlace::Appliance(id) => Some(id),
            KeyPlace::Native(_) | KeyPlace::Elsewhere => None,
        }
    }

    /// For `--json`.
    pub fn document(&self) -> Value {
        serde_json::json!({
            "name": self.name,
            "subject": self.certificate.subject().to_string(),
            "key_id": self.key().id().to_string(),
        })
    }
}
