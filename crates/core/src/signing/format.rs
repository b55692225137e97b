//! Signatures in the formats of others, by keys of the native surface.
//!
//! What is made is what lies beside the content or is put into it: never the content itself. So the content may
//! stay where it is, but for the formats that need to see it.
//!
//! | format | made of | what it is |
//! |---|---|---|
//! | `openpgp` | the content, also streamed | a signature packet |
//! | `cms` | the content, also streamed, or its digest | a detached SignedData in DER |
//! | `kmod` | the content, also streamed, or its SHA-512 | what is appended to the module |
//! | `authenticode` | the image, or its Authenticode digest | a SignedData for the certificate table |
//! | `rpi-eeprom` | the content, also streamed, or its SHA-256 | the three lines of the `.sig` |
//! | `efi-var` | signature lists | the whole `.auth`, lists included |
//!
//! Who signs in a format made of certificates has one, and sends it along: it must be of the key that signs.

use countersign_model::digest::{Hasher, sha256};
use countersign_model::{Digest, Format, HashAlg, KeyName, KeyType, PublicKey, RawSignature, Scheme, ToSign};
use countersign_openpgp::{DetachedSignature, Issuer, certificate as openpgp, detached};
use countersign_pki::efi_var::{self, EfiTime, Update, Variable};
use countersign_pki::kmod::{self, KmodError, SignedModule};
use countersign_pki::x509::Certificate;
use countersign_pki::{authenticode, cms, rpi_eeprom};
use jiff::Timestamp;

use super::Content;
use crate::caller::Caller;
use crate::context::Context;
use crate::error::Error;
use crate::pipeline::{self, Admitted};

/// A format, and what it needs beside the content.
#[derive(Clone, Debug)]
pub enum Parameters {
    /// A detached OpenPGP signature, by the key of this certificate that signs: the primary one or a subkey.
    OpenPgp(Box<openpgp::Certificate>),
    /// A detached SignedData.
    Cms {
        /// The signer.
        signer: Box<Certificate>,
        /// Whether it says when it was signed.
        time: SigningTime,
    },
    /// The signature of a PE image.
    Authenticode(Box<Certificate>),
    /// The signature of a kernel module.
    Kmod(Box<Certificate>),
    /// A signed update of a secure boot variable.
    EfiVar {
        /// The signer.
        signer: Box<Certificate>,
        /// The variable.
        variable: Variable,
        /// What becomes of what the variable has.
        write: Write,
    },
    /// The lines beside a Raspberry Pi image.
    RpiEeprom,
}

/// Whether a SignedData says when it was signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SigningTime {
    /// As a signed attribute.
    #[default]
    Said,
    /// There are no signed attributes: the same content gives the same bytes with RSA.
    Unsaid,
}

/// What an update does to what the variable has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Write {
    /// Takes its place.
    #[default]
    Replace,
    /// Is added to it.
    Append,
}

impl Parameters {
    /// The format.
    pub fn format(&self) -> Format {
        match self {
            Self::OpenPgp(_) => Format::Openpgp,
            Self::Cms { .. } => Format::Cms,
            Self::Authenticode(_) => Format::Authenticode,
            Self::Kmod(_) => Format::Kmod,
            Self::EfiVar { .. } => Format::EfiVar,
            Self::RpiEeprom => Format::RpiEeprom,
        }
    }
}

/// The scheme that a key of this type signs with in a format; `None` if it cannot.
pub fn scheme_for(format: Format, key_type: KeyType) -> Option<Scheme> {
    match format {
        Format::Openpgp => detached::scheme_for(key_type),
        Format::Cms => cms::scheme_for(key_type),
        Format::Authenticode => authenticode::scheme_for(key_type),
        Format::Kmod => kmod::scheme_for(key_type),
        Format::EfiVar => efi_var::scheme_for(key_type),
        Format::RpiEeprom => (key_type == KeyType::Rsa(2048)).then_some(Scheme::RsaPkcs1(HashAlg::Sha256)),
        Format::X509 => countersign_pki::x509::scheme_for(key_type),
        _ => None,
    }
}

/// What a body is hashed with as it arrives; `None` for formats that need the whole.
pub(super) fn streamed_hash(format: Format, scheme: Scheme) -> Option<HashAlg> {
    match format {
        Format::Authenticode | Format::EfiVar => None,
        // Also Ed25519, which has no hash of its own, signs a SHA-512.
        Format::Openpgp => Some(HashAlg::Sha512),
        _ => scheme.hash(),
    }
}

/// As [`pipeline::admit`], with the scheme that follows from the format and the key.
///
/// # Errors
/// As that; then [`Error::FormatMismatch`], and [`Error::InvalidRequest`] for another `scheme` than that.
pub(crate) fn admit(
    ctx: &Context,
    caller: &Caller,
    key: &KeyName,
    scheme: Option<Scheme>,
    format: Format,
) -> Result<Admitted, Error> {
    let own = ctx.cache.key(key).and_then(|key| scheme_for(format, key.key_type));
    let admitted = pipeline::admit(ctx, caller, key, own, |_| format)?;
    let Some(own) = own else {
        return Err(Error::FormatMismatch { format, key_type: admitted.key.key_type });
    };
    match scheme.filter(|scheme| *scheme != own) {
        None => Ok(admitted),
        Some(_) => {
            let why = format!("in format `{format}` this key signs with `{own}`: leave `scheme` out");
            Err(Error::invalid("scheme", why))
        }
    }
}

/// Whose key signs, and when.
pub(super) struct Signer<'a> {
    pub(super) key: &'a PublicKey,
    pub(super) now: Timestamp,
}

impl Signer<'_> {
    /// Its certificate must be of the key that signs.
    fn check(&self, certificate: &Certificate) -> Result<(), Error> {
        if certificate.public_key() == self.key { Ok(()) } else { Err(other_key()) }
    }

    fn issuer(&self, certificate: &openpgp::Certificate) -> Result<(Issuer, u32), Error> {
        let at = seconds(self.now)?;
        let key = certificate.keys().find(|key| key.public() == self.key).ok_or_else(other_key)?;
        // A subkey's own signatures are looked at when what it signed is verified.
        let hint = "give the newest form of the certificate, or make a new one";
        certificate.check(at).map_err(|e| by_certificate(e, hint))?;
        let issuer = Issuer::new(self.key, key.created()).ok_or_else(other_key)?;
        Ok((issuer, at))
    }
}

fn other_key() -> Error {
    Error::NotSignable {
        member: "certificate",
        why: "the certificate is not of the key that shall sign".into(),
        hint: "compare its public key with that of the key's document",
    }
}

/// OpenPGP has times of 32 bits.
pub(crate) fn seconds(at: Timestamp) -> Result<u32, Error> {
    u32::try_from(at.as_second())
        .map_err(|_| Error::Internal("the clock shows a time that OpenPGP does not have".into()))
}

/// What the key gets.
pub(super) struct Prepared {
    pub(super) to_sign: ToSign,
    /// SHA-256 of what the caller gave; `None` if that was a digest.
    pub(super) input: Option<[u8; 32]>,
    pub(super) pending: Pending,
}

/// What finishing and verifying needs.
pub(super) enum Pending {
    OpenPgp { pending: detached::Pending, certificate: Box<openpgp::Certificate>, content: Hasher, at: u32 },
    Cms { pending: cms::Pending, signer: Box<Certificate>, digest: Digest },
    Authenticode { pending: authenticode::PendingSignature, signer: Box<Certificate>, digest: Digest },
    Kmod { pending: kmod::PendingAppendix, signer: Box<Certificate>, digest: Digest },
    EfiVar { pending: efi_var::Pending, signer: Box<Certificate>, variable: Variable },
    RpiEeprom { pending: rpi_eeprom::Pending, key: PublicKey, digest: [u8; 32] },
}

/// Prepares a signature in a format.
///
/// - `limit`: the most bytes of a content that is needed whole.
///
/// # Errors
/// [`Error::NotSignable`], with the member at fault; those of a digest that does not suit; [`Error::TooLarge`].
pub(super) fn prepare(
    parameters: Parameters,
    signer: &Signer<'_>,
    content: Content,
    limit: u64,
) -> Result<Prepared, Error> {
    let format = parameters.format();
    match parameters {
        Parameters::OpenPgp(certificate) => {
            let (issuer, at) = signer.issuer(&certificate)?;
            let (content, input) = open_hash(format, content)?;
            let (to_sign, pending) = detached::prepare(&issuer, content.clone(), at);
            let pending = Pending::OpenPgp { pending, certificate, content, at };
            Ok(Prepared { to_sign, input: Some(input), pending })
        }
        Parameters::Cms { signer: certificate, time } => {
            signer.check(&certificate)?;
            let (digest, input) = digest(format, signer.key, content)?;
            let time = (time == SigningTime::Said).then_some(signer.now);
            let (to_sign, pending) = cms::prepare_detached(cms::Content::Digest(digest), &certificate, time)
                .map_err(|e| by_certificate(e, e.hint()))?;
            Ok(Prepared { to_sign, input, pending: Pending::Cms { pending, signer: certificate, digest } })
        }
        Parameters::Kmod(certificate) => {
            signer.check(&certificate)?;
            if matches!(&content, Content::Message(message) if message.is_empty()) {
                return Err(by_content(KmodError::Empty, KmodError::Empty.hint()));
            }
            let (digest, input) = digest(format, signer.key, content)?;
            let (to_sign, pending) =
                kmod::prepare_digest(digest, &certificate).map_err(|e| by_certificate(e, e.hint()))?;
            Ok(Prepared { to_sign, input, pending: Pending::Kmod { pending, signer: certificate, digest } })
        }
        Parameters::Authenticode(certificate) => {
            signer.check(&certificate)?;
            let (digest, input) = image_digest(signer.key, content, limit)?;
            let (to_sign, pending) = authenticode::prepare_digest(digest, &certificate, signer.now)
                .map_err(|e| by_certificate(e, e.hint()))?;
            let pending = Pending::Authenticode { pending, signer: certificate, digest };
            Ok(Prepared { to_sign, input, pending })
        }
        Parameters::EfiVar { signer: certificate, variable, write } => {
            signer.check(&certificate)?;
            let esl = whole(format, content, limit)?;
            let input = Some(sha256(&esl));
            let (to_sign, pending) =
                efi_var::prepare(variable, update(write, signer.now)?, esl, &certificate)
                    .map_err(|e| by_content(e, e.hint()))?;
            Ok(Prepared {
                to_sign,
                input,
                pending: Pending::EfiVar { pending, signer: certificate, variable },
            })
        }
        Parameters::RpiEeprom => {
            let (of_image, input) = digest(format, signer.key, content)?;
            let digest = of_image.as_bytes().try_into().expect("32 bytes: the scheme has SHA-256");
            let (to_sign, pending) =
                rpi_eeprom::prepare(digest, signer.now, signer.key).map_err(|e| by_content(e, e.hint()))?;
            let key = signer.key.clone();
            Ok(Prepared { to_sign, input, pending: Pending::RpiEeprom { pending, key, digest } })
        }
    }
}

fn by_certificate(error: impl std::fmt::Display, hint: &'static str) -> Error {
    Error::NotSignable { member: "certificate", why: error.to_string(), hint }
}

fn by_content(error: impl std::fmt::Display, hint: &'static str) -> Error {
    Error::NotSignable { member: "message", why: error.to_string(), hint }
}

fn update(write: Write, now: Timestamp) -> Result<Update, Error> {
    let unknown = || Error::Internal("the clock shows a time that UEFI does not have".into());
    Ok(match write {
        Write::Append => Update::Append,
        Write::Replace => Update::Replace(EfiTime::new(now).ok_or_else(unknown)?),
    })
}

/// The content's digest under the hash of the scheme.
fn digest(format: Format, key: &PublicKey, content: Content) -> Result<(Digest, Option<[u8; 32]>), Error> {
    let key_type = key.key_type();
    let scheme = scheme_for(format, key_type).ok_or(Error::FormatMismatch { format, key_type })?;
    match super::to_sign(scheme, key_type, content, 0)? {
        (ToSign::Digest(digest), input) => Ok((digest, input)),
        (ToSign::Message(_), _) => Err(Error::FormatTakesNoDigest(format)),
    }
}

/// What a PE image's signature covers.
fn image_digest(key: &PublicKey, content: Content, limit: u64) -> Result<(Digest, Option<[u8; 32]>), Error> {
    match content {
        Content::Digest(_) | Content::WrongLength(_) => digest(Format::Authenticode, key, content),
        content => {
            let image = whole(Format::Authenticode, content, limit)?;
            let parsed = authenticode::PeImage::parse(&image).map_err(|e| by_content(e, e.hint()))?;
            Ok((parsed.digest(), Some(sha256(&image))))
        }
    }
}

/// The content itself.
fn whole(format: Format, content: Content, limit: u64) -> Result<Vec<u8>, Error> {
    match content {
        Content::Message(message) if message.len() as u64 > limit => {
            Err(Error::TooLarge { what: "the message", limit })
        }
        Content::Message(message) => Ok(message),
        Content::Digest(_) | Content::WrongLength(_) | Content::Streamed { .. } => {
            Err(Error::FormatTakesNoDigest(format))
        }
    }
}

/// The content in a hash to which more can be added.
fn open_hash(format: Format, content: Content) -> Result<(Hasher, [u8; 32]), Error> {
    match content {
        Content::Message(message) => {
            let mut hasher = detached::hasher();
            hasher.update(&message);
            Ok((hasher, sha256(&message)))
        }
        Content::Streamed { hasher, input } => Ok((hasher, input)),
        Content::Digest(_) | Content::WrongLength(_) => Err(Error::FormatTakesNoDigest(format)),
    }
}

impl Pending {
    pub(super) fn format(&self) -> Format {
        match self {
            Self::OpenPgp { .. } => Format::Openpgp,
            Self::Cms { .. } => Format::Cms,
            Self::Authenticode { .. } => Format::Authenticode,
            Self::Kmod { .. } => Format::Kmod,
            Self::EfiVar { .. } => Format::EfiVar,
            Self::RpiEeprom { .. } => Format::RpiEeprom,
        }
    }

    /// Puts the signature into its format, and reads and verifies that as a stranger would.
    pub(super) fn finish(self, raw: RawSignature) -> Result<Vec<u8>, Error> {
        let format = self.format();
        let bad = move |why: &dyn std::fmt::Display| {
            Error::Internal(format!(
                "the signature of format `{format}` that was made does not verify: {why}"
            ))
        };
        match self {
            Self::OpenPgp { pending, certificate, content, at } => {
                let packet = pending.finish(&raw).map_err(|e| bad(&e))?;
                let read = DetachedSignature::read(&packet).map_err(|e| bad(&e))?;
                let [signature] = read.as_slice() else { return Err(bad(&"it is not one packet")) };
                // Whether the key may sign is the certificate's word, which the caller brought.
                signature.verify(content, &[*certificate], at).map_err(|e| by_certificate(&e, e.hint()))?;
                Ok(packet)
            }
            Self::Cms { pending, signer, digest } => {
                let der = pending.finish(raw).map_err(|e| bad(&e))?;
                cms::verify_detached(&der, cms::Content::Digest(digest), &signer).map_err(|e| bad(&e))?;
                Ok(der)
            }
            Self::Authenticode { pending, signer, digest } => {
                let der = pending.finish(raw).map_err(|e| bad(&e))?;
                authenticode::verify_digest(&der, &digest, &signer).map_err(|e| bad(&e))?;
                Ok(der)
            }
            Self::Kmod { pending, signer, digest } => {
                let appendix = pending.finish(raw).map_err(|e| bad(&e))?;
                let der = SignedModule::parse(&appendix).map_err(|e| bad(&e))?.cms;
                cms::verify_detached(der, cms::Content::Digest(digest), &signer).map_err(|e| bad(&e))?;
                Ok(appendix)
            }
            Self::EfiVar { pending, signer, variable } => {
                let auth = pending.finish(raw).map_err(|e| bad(&e))?;
                efi_var::verify(&auth, variable, &signer).map_err(|e| bad(&e))?;
                Ok(auth)
            }
            Self::RpiEeprom { pending, key, digest } => {
                let lines = pending.finish(raw).map_err(|e| bad(&e))?;
                rpi_eeprom::verify(&lines, digest, &key).map_err(|e| bad(&e))?;
                Ok(lines.into_bytes())
            }
        }
    }
}
