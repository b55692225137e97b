//! Refusals in the words of the service whose clients call.

use countersign_openpgp::{FinishError, KeyError, Refusal};
use countersign_pki::authenticode::AuthenticodeError;
use countersign_pki::efi_var::EfiVarError;
use countersign_pki::esl::EslError;
use countersign_pki::kmod::KmodError;
use countersign_pki::raw_digest::RawDigestError;
use countersign_pki::rpi_eeprom::EepromError;
use countersign_pki::x509::X509Error;

/// Why the appliance refuses.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What was sent cannot be used.
    #[error("{0}")]
    Invalid(String),
    /// There is nothing of that name.
    #[error("{0}")]
    NotFound(String),
    /// The name is taken, or the list is signed already.
    #[error("{0}")]
    Conflict(String),
    /// An archive that the passphrase does not open, or an empty one.
    #[error("{detail}")]
    Import {
        /// `Invalid Decryption Token` or `Invalid Import`.
        title: &'static str,
        /// The reason.
        detail: String,
    },
    /// What any surface can refuse.
    #[error(transparent)]
    Core(#[from] crate::Error),
}

impl Error {
    pub(super) fn invalid(why: impl Into<String>) -> Self {
        Self::Invalid(why.into())
    }

    /// An artifact that does not verify is never released.
    pub(super) fn unverified(what: &str, why: impl std::fmt::Display) -> Self {
        crate::Error::Internal(format!("the {what} that was made does not verify: {why}")).into()
    }
}

impl From<countersign_store::StoreError> for Error {
    fn from(error: countersign_store::StoreError) -> Self {
        crate::Error::from(error).into()
    }
}

impl From<X509Error> for Error {
    fn from(error: X509Error) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<AuthenticodeError> for Error {
    fn from(error: AuthenticodeError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<EfiVarError> for Error {
    fn from(error: EfiVarError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<EslError> for Error {
    fn from(error: EslError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<KmodError> for Error {
    fn from(error: KmodError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<RawDigestError> for Error {
    fn from(error: RawDigestError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<EepromError> for Error {
    fn from(error: EepromError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<KeyError> for Error {
    fn from(error: KeyError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<FinishError> for Error {
    fn from(error: FinishError) -> Self {
        Self::unverified("OpenPGP packet", error)
    }
}

impl From<Refusal> for Error {
    fn from(error: Refusal) -> Self {
        Self::unverified("OpenPGP signature", error)
    }
}
