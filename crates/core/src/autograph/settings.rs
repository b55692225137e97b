//! What the configuration says of signers.

use std::sync::Arc;

use countersign_model::{HashAlg, KeyName};
use countersign_openpgp::{Certificate, CertificateError};

/// What the configuration says.
#[derive(Clone, Debug)]
pub struct Settings {
    /// By how many seconds a request's time may differ from ours. Default 60.
    pub skew_seconds: u32,
    /// The Hawk id behind the id `monitor`, under which the monitor of the original asks.
    pub monitor: Option<String>,
    /// Signers whose id is not the name of their key, or that make something else than keys of their type do.
    pub signers: Vec<SignerSettings>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { skew_seconds: 60, monitor: None, signers: Vec::new() }
    }
}

/// A signer.
#[derive(Clone, Debug)]
pub struct SignerSettings {
    /// What clients call it: 1 to 255 of `A-Z a-z 0-9 - _ .`.
    pub id: String,
    /// The key.
    pub key: KeyName,
    /// What it makes; `None`: what keys of its type do.
    pub kind: Option<Kind>,
    /// Where its certificate chain is.
    pub x5u: Option<String>,
}

/// What a signer makes.
#[derive(Clone, Debug)]
pub enum Kind {
    /// `contentsignature`, and `contentsignaturepki` where there is a chain that says so.
    Content {
        /// Whether clients are told that the chain's end is renewed.
        pki: bool,
    },
    /// `genericrsa`.
    Rsa(Padding, HashAlg),
    /// `gpg2`.
    OpenPgp(OpenPgpMode, Arc<Certificate>),
}

/// The padding of an RSA signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// PKCS#1 v1.5.
    Pkcs15,
    /// PSS, with a salt as long as the hash.
    Pss,
}

/// What an OpenPGP signer signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenPgpMode {
    /// Data: a detached signature.
    Gpg2,
    /// A Debian source package's control files: clear-signed.
    Debsign,
}

/// Why a signer cannot be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The id.
    #[error("the signer id `{0}` is not 1 to 255 of `A-Z a-z 0-9 - _ .`")]
    Id(String),
    /// Two signers have it.
    #[error("the signer id `{0}` stands twice")]
    Twice(String),
    /// A key that belongs to a surface.
    #[error("signer `{0}`: its key belongs to another surface")]
    Owned(String),
    /// The certificate.
    #[error("signer `{id}`: the OpenPGP certificate cannot be used: {error}")]
    Certificate {
        /// The signer.
        id: String,
        /// Why.
        error: CertificateError,
    },
}

impl Settings {
    /// Checks the signers one by one.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn check(self) -> Result<Self, SettingsError> {
        for (i, signer) in self.signers.iter().enumerate() {
            let id = &signer.id;
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
            if !(1..=255).contains(&id.len()) || !id.bytes().all(plain) {
                return Err(SettingsError::Id(id.clone()));
            }
            if self.signers[..i].iter().any(|other| other.id == *id) {
                return Err(SettingsError::Twice(id.clone()));
            }
            if signer.key.owner().is_some() {
                return Err(SettingsError::Owned(id.clone()));
            }
        }
        Ok(self)
    }

    /// The Hawk pair behind an id that was sent.
    pub(super) fn pair_of<'a>(&'a self, id: &'a str) -> &'a str {
        match &self.monitor {
            Some(pair) if id == "monitor" => pair,
            _ => id,
        }
    }
}

impl Kind {
    /// An OpenPGP signer, with its certificate in armor.
    ///
    /// # Errors
    /// [`SettingsError::Certificate`].
    pub fn openpgp(id: &str, mode: OpenPgpMode, certificate: &str) -> Result<Self, SettingsError> {
        let read = Certificate::read(certificate.as_bytes());
        let read = read.map_err(|error| SettingsError::Certificate { id: id.to_owned(), error })?;
        Ok(Self::OpenPgp(mode, Arc::new(read)))
    }
}
