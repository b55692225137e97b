//! What a signer does with what it is asked for.

use countersign_model::{Format, Scheme};

use super::Error;
use super::settings::{Kind, OpenPgpMode};
use super::sign::How;
use super::signer::Signer;

/// What is put before data that are signed as content.
const PREFIX: &[u8] = b"Content-Signature:\0";

/// What follows from the signer and from what is asked of it.
pub(super) struct Plan {
    pub(super) scheme: Chosen,
    pub(super) format: Format,
    pub(super) subject: Subject,
}

/// With which scheme.
pub(super) enum Chosen {
    Scheme(Scheme),
    /// ECDSA with the hash that was given, whichever it is.
    ByLength(Scheme),
}

/// What the content is.
pub(super) enum Subject {
    /// The hash that is signed.
    Digest,
    /// What is hashed, behind a prefix.
    Data { prefix: &'static [u8] },
    /// What is signed with OpenPGP, detached.
    Document,
}

impl Plan {
    /// # Errors
    /// [`Error::NotImplemented`] for what the signer does not make; [`Error::Invalid`] for a key that its type of
    /// signer has no scheme for.
    pub(super) fn of(signer: &Signer, how: How) -> Result<Self, Error> {
        let not = |operation| Error::NotImplemented { signer: signer.id.clone(), operation };
        let scheme = signer.scheme().ok_or_else(|| {
            let (id, key_type) = (&signer.id, signer.key.key_type);
            Error::Invalid(format!("signer \"{id}\" does not sign with a key of type {key_type}"))
        })?;
        let chosen = Chosen::Scheme(scheme);
        let data = |prefix, scheme, format| Self { scheme, format, subject: Subject::Data { prefix } };
        let digest = |scheme| Self { scheme, format: Format::Raw, subject: Subject::Digest };
        Ok(match (&signer.kind, how) {
            (Kind::Content { .. }, How::Data) => data(PREFIX, chosen, Format::ContentSignature),
            (Kind::Content { .. }, How::Hash | How::Seed { hash: None, .. }) => {
                digest(Chosen::ByLength(scheme))
            }
            (Kind::Content { .. }, How::Seed { hash: Some(hash), prefixed, .. }) => {
                let (prefix, format) =
                    if prefixed { (PREFIX, Format::ContentSignature) } else { (&b""[..], Format::Raw) };
                data(prefix, Chosen::Scheme(Scheme::Ecdsa(hash)), format)
            }
            (Kind::Rsa(..), How::Data) => data(b"", chosen, Format::Raw),
            (Kind::Rsa(..), How::Hash) => digest(chosen),
            (Kind::OpenPgp(OpenPgpMode::Gpg2, _), How::Data) => {
                Self { scheme: chosen, format: Format::Openpgp, subject: Subject::Document }
            }
            (Kind::OpenPgp(OpenPgpMode::Debsign, _), How::Data) => return Err(not("data")),
            (Kind::OpenPgp(..), How::Hash) => return Err(not("hash")),
            (_, How::File) => return Err(not("file")),
            (Kind::Rsa(..) | Kind::OpenPgp(..), How::Seed { .. }) => return Err(not("content")),
        })
    }
}
