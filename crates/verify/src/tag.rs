//! Who signed a tag file.

use countersign_model::public_key::{PublicKey, PublicKeyError};
use countersign_model::{KeyId, pem};
use countersign_records::tag::{AuthorityName, TagError, TagFile, WeakKeys};
use der::{Decode as _, Encode as _};
use jiff::Timestamp;
use x509_cert::Certificate;
use x509_cert::time::Time;

/// A public key that a verifier trusts, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedKey {
    /// The key.
    pub key: PublicKey,
    /// From this time on, if it is known.
    pub not_before: Option<Timestamp>,
    /// Up to and with this time, if it is known.
    pub not_after: Option<Timestamp>,
}

/// When signatures are judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum At {
    /// At no particular time: the times of keys do not count.
    #[default]
    AnyTime,
    /// At this time: the key must be valid then.
    Time(Timestamp),
}

/// Why an authority's word does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TagProblem {
    /// The file does not say so.
    #[error(transparent)]
    Tag(#[from] TagError),
    /// The key is valid from a later time on.
    #[error("key of {name} is not valid before {not_before}")]
    NotYetValid {
        /// The authority.
        name: AuthorityName,
        /// The first valid time.
        not_before: Timestamp,
    },
    /// The key was valid up to an earlier time.
    #[error("key of {name} expired {not_after}")]
    Expired {
        /// The authority.
        name: AuthorityName,
        /// The last valid time.
        not_after: Timestamp,
    },
}

impl TagProblem {
    /// One sentence for the person who reads the terminal.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Tag(error) => error.hint(),
            Self::NotYetValid { .. } | Self::Expired { .. } => {
                "the certificate beside the key says so: is it the key that signed then?"
            }
        }
    }

    /// The verdict in one word, as `--json` and the tag service give it.
    pub fn status(&self) -> &'static str {
        match self {
            Self::Tag(TagError::NotSigned { .. }) => "missing",
            Self::NotYetValid { .. } => "not-yet-valid",
            Self::Tag(_) | Self::Expired { .. } => "invalid",
        }
    }
}

impl TrustedKey {
    /// A key without times.
    pub fn new(key: PublicKey) -> Self {
        Self { key, not_before: None, not_after: None }
    }

    /// Reads a public key file: the first `PUBLIC KEY`, else `RSA PUBLIC KEY`, else the key of a
    /// `CERTIFICATE`. A certificate of that key gives it its times; its signature is not looked at.
    ///
    /// # Errors
    /// [`PublicKeyError`].
    pub fn from_pem(text: &str) -> Result<Self, PublicKeyError> {
        let mut trusted = Self::new(PublicKey::from_pem(text)?);
        let blocks = pem::blocks(text)?;
        let certificates = blocks.iter().filter(|block| block.label == "CERTIFICATE");
        for certificate in certificates.filter_map(|block| Certificate::from_der(&block.der).ok()) {
            let certificate = certificate.tbs_certificate();
            let spki = certificate.subject_public_key_info().to_der().unwrap_or_default();
            if spki == trusted.key.spki() {
                trusted.not_before = timestamp(certificate.validity().not_before);
                trusted.not_after = timestamp(certificate.validity().not_after);
                break;
            }
        }
        Ok(trusted)
    }
}

fn timestamp(time: Time) -> Option<Timestamp> {
    let seconds = i64::try_from(time.to_unix_duration().as_secs()).ok()?;
    Timestamp::from_second(seconds).ok()
}

/// Checks that `authority` signed the payload of `file` with a key that was valid at the time, and returns
/// the key's id.
///
/// A verdict over several authorities is the conjunction of theirs, and over none it is no.
///
/// # Errors
/// [`TagProblem`].
pub fn verify(
    file: &TagFile<'_>,
    authority: &AuthorityName,
    trusted: &TrustedKey,
    at: At,
    weak_keys: WeakKeys,
) -> Result<KeyId, TagProblem> {
    file.verify(authority, &trusted.key, weak_keys)?;
    if let At::Time(time) = at {
        if let Some(not_before) = trusted.not_before.filter(|from| time < *from) {
            return Err(TagProblem::NotYetValid { name: authority.clone(), not_before });
        }
        // X.509 times are whole seconds, and the last one counts in full (RFC 5280, 4.1.2.5).
        if let Some(not_after) = trusted.not_after.filter(|until| time.as_second() > until.as_second()) {
            return Err(TagProblem::Expired { name: authority.clone(), not_after });
        }
    }
    Ok(trusted.key.id())
}
