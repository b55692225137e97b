//! Signatures in the formats of others: OpenPGP, CMS, certificates, and what boots.
//!
//! Trust is a key or a certificate that the caller has from elsewhere; nothing that comes with a signature is
//! believed by itself. What a boot loader or a kernel would accept is accepted, so for those there is no time:
//! they have no clock.
//!
//! | function | what is checked | under which trust |
//! |---|---|---|
//! | [`openpgp`] | a detached signature beside a file | OpenPGP keys |
//! | [`cms`] | a detached SignedData beside a file | the signer's certificate, or its issuer's |
//! | [`certificate`] | who issued a certificate | the issuer's certificate |
//! | [`authenticode`] | a PE image with its signatures inside | a certificate, as in db |
//! | [`kernel_module`] | a module with its signature at its end | a certificate, as in a kernel |
//! | [`efi_variable`] | an `.auth` file | the certificate of whoever may write it |
//! | [`rpi_eeprom`] | three lines beside an image | an RSA-2048 key |

use countersign_model::digest::Hasher;
use countersign_model::{Digest, HashAlg, KeyType, PublicKey};
use countersign_openpgp::{DetachedSignature, Good, Refusal, SignatureError};
use countersign_pki::authenticode::AuthenticodeError;
use countersign_pki::ca::CaError;
use countersign_pki::cms::{CmsError, Content as Signed, SignedData};
use countersign_pki::efi_var::{EfiVarError, Update, Variable};
use countersign_pki::kmod::KmodError;
use countersign_pki::rpi_eeprom::{EepromError, EepromSignature};
use countersign_pki::x509::Certificate;
use countersign_pki::{ca, efi_var, kmod};
use jiff::Timestamp;

use crate::tag::At;

/// A file as it is read, in pieces of any length: hashed by every hash that a signature beside it may name.
#[derive(Clone)]
pub struct Content {
    hashers: [Hasher; 3],
}

impl Default for Content {
    fn default() -> Self {
        Self::new()
    }
}

impl Content {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { hashers: [HashAlg::Sha256, HashAlg::Sha384, HashAlg::Sha512].map(Hasher::new) }
    }

    /// Content that is at hand as a whole.
    pub fn of(bytes: &[u8]) -> Self {
        let mut content = Self::new();
        content.update(bytes);
        content
    }

    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        for hasher in &mut self.hashers {
            hasher.update(bytes);
        }
    }

    fn hasher(&self, hash: HashAlg) -> Hasher {
        let [sha256, sha384, sha512] = &self.hashers;
        match hash {
            HashAlg::Sha256 => sha256.clone(),
            HashAlg::Sha384 => sha384.clone(),
            HashAlg::Sha512 => sha512.clone(),
        }
    }

    /// The digest of what was read.
    pub fn digest(&self, hash: HashAlg) -> Digest {
        self.hasher(hash).finish()
    }
}

/// Why a signature is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// RSA below 2048 bits.
    #[error("a key of type `{0}` is too weak to be believed")]
    WeakKey(KeyType),
    /// The signer's certificate, or its issuer's, was not valid at the time asked about.
    #[error("the certificate is valid from {not_before} to {not_after}, and not at {at}")]
    NotValidAt {
        /// The first second.
        not_before: Timestamp,
        /// The last second.
        not_after: Timestamp,
        /// The time asked about.
        at: Timestamp,
    },
    /// A time that OpenPGP does not have: before 1970 or after 2106.
    #[error("{0} is outside the times of OpenPGP")]
    Time(Timestamp),
    /// Not OpenPGP signatures.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// An OpenPGP signature that does not count.
    #[error(transparent)]
    Refusal(#[from] Refusal),
    /// A SignedData that does not count.
    #[error(transparent)]
    Cms(#[from] CmsError),
    /// A certificate that was not issued so.
    #[error(transparent)]
    Certificate(#[from] CaError),
    /// A PE image's signatures do not count.
    #[error(transparent)]
    Authenticode(#[from] AuthenticodeError),
    /// A module's signature does not count.
    #[error(transparent)]
    Kmod(#[from] KmodError),
    /// An update of a variable does not count.
    #[error(transparent)]
    EfiVar(#[from] EfiVarError),
    /// A Raspberry Pi signature does not count.
    #[error(transparent)]
    Eeprom(#[from] EepromError),
}

impl FormatError {
    /// One sentence for the person who reads the terminal or the log.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::WeakKey(_) => "RSA keys have at least 2048 bits: ask for a signature by a stronger key",
            Self::NotValidAt { .. } => "ask about the time at which it was signed, or get a new signature",
            Self::Time(_) => "name a time from 1970 to 2106",
            Self::Signature(_) => "give the `.sig` or `.asc` file that lies beside the content",
            Self::Refusal(error) => error.hint(),
            Self::Cms(error) => error.hint(),
            Self::Certificate(error) => error.hint(),
            Self::Authenticode(error) => error.hint(),
            Self::Kmod(error) => error.hint(),
            Self::EfiVar(error) => error.hint(),
            Self::Eeprom(error) => error.hint(),
        }
    }
}

fn check_strength(key: &PublicKey) -> Result<(), FormatError> {
    if key.is_weak() { Err(FormatError::WeakKey(key.key_type())) } else { Ok(()) }
}

/// Checks a detached OpenPGP signature file, binary or armored: one of its signatures must hold.
///
/// - `trusted`: the keys whose signatures are wanted.
/// - `now`: OpenPGP keys and signatures expire, so the question is always about a time.
///
/// # Errors
/// [`FormatError::Signature`]; the [`Refusal`] of the first signature if none holds;
/// [`FormatError::WeakKey`]; [`FormatError::Time`].
pub fn openpgp(
    signatures: &[u8],
    content: &Content,
    trusted: &[countersign_openpgp::Certificate],
    now: Timestamp,
) -> Result<Good, FormatError> {
    let at = u32::try_from(now.as_second()).map_err(|_| FormatError::Time(now))?;
    let mut refusal = None;
    for signature in DetachedSignature::read(signatures)? {
        match signature.verify(content.hasher(signature.hash()), trusted, at) {
            Ok(good) => {
                let keys = trusted.iter().flat_map(countersign_openpgp::Certificate::keys);
                for key in keys.filter(|key| key.fingerprint() == good.key) {
                    check_strength(key.public())?;
                }
                return Ok(good);
            }
            Err(error) => refusal = refusal.or(Some(error)),
        }
    }
    // There is at least one: a file without signatures is not read.
    Err(refusal.map_or(FormatError::Signature(SignatureError::Malformed), FormatError::Refusal))
}

/// Checks a detached SignedData in DER, and returns whose signature it is.
///
/// - `trusted`: the signer's certificate, or the certificate of the authority that issued the signer's, which
///   then comes along in the SignedData.
/// - `at`: when the certificates must be valid. What they say they are for is not looked at.
///
/// # Errors
/// [`FormatError::Cms`], [`FormatError::WeakKey`], [`FormatError::NotValidAt`].
pub fn cms(der: &[u8], content: &Content, trusted: &Certificate, at: At) -> Result<Certificate, FormatError> {
    match cms_by(der, content, trusted) {
        Err(CmsError::NotSignedBy) => {}
        verdict => {
            verdict?;
            check_valid(trusted, at)?;
            return Ok(trusted.clone());
        }
    }
    let signed = SignedData::parse(der)?;
    let along = signed.certificates().iter().filter_map(|der| Certificate::from_der(der).ok());
    for signer in along.filter(|signer| issued(signer, trusted).is_ok()) {
        match cms_by(der, content, &signer) {
            Err(CmsError::NotSignedBy) => {}
            verdict => {
                verdict?;
                check_valid(trusted, at)?;
                check_valid(&signer, at)?;
                return Ok(signer);
            }
        }
    }
    Err(CmsError::NotSignedBy.into())
}

/// Whether `signer` itself signed.
fn cms_by(der: &[u8], content: &Content, signer: &Certificate) -> Result<(), CmsError> {
    let verify =
        |hash| countersign_pki::cms::verify_detached(der, Signed::Digest(content.digest(hash)), signer);
    match verify(HashAlg::Sha256) {
        // Which hash it is stands in the signature.
        Err(CmsError::Hash { want, .. }) => verify(want),
        verdict => verdict,
    }
}

fn check_valid(certificate: &Certificate, at: At) -> Result<(), FormatError> {
    check_strength(certificate.public_key())?;
    let (not_before, not_after) = (certificate.not_before(), certificate.not_after());
    match at {
        // The last second counts in full (RFC 5280, 4.1.2.5).
        At::Time(at) if at < not_before || at.as_second() > not_after.as_second() => {
            Err(FormatError::NotValidAt { not_before, not_after, at })
        }
        _ => Ok(()),
    }
}

/// Whether `issuer` is an authority that issued `certificate`; their times are not looked at.
fn issued(certificate: &Certificate, issuer: &Certificate) -> Result<(), CaError> {
    ca::verify(certificate, issuer, certificate.not_before()).or_else(|error| match error {
        CaError::Validity => Ok(()),
        error => Err(error),
    })
}

/// Checks that `issuer` issued `certificate`, or that it is the same one and signed itself.
///
/// # Errors
/// [`FormatError::Certificate`], [`FormatError::WeakKey`], [`FormatError::NotValidAt`].
pub fn certificate(certificate: &Certificate, issuer: &Certificate, at: At) -> Result<(), FormatError> {
    if certificate == issuer {
        certificate.is_signed_by(issuer.public_key()).map_err(CaError::X509)?;
    } else {
        issued(certificate, issuer)?;
        check_valid(issuer, at)?;
    }
    check_valid(certificate, at)
}

/// Checks that one of the signatures of a PE image is by `trusted`, as firmware does with a certificate in db.
///
/// # Errors
/// [`FormatError::Authenticode`], [`FormatError::WeakKey`].
pub fn authenticode(image: &[u8], trusted: &Certificate) -> Result<(), FormatError> {
    check_strength(trusted.public_key())?;
    Ok(countersign_pki::authenticode::verify(image, trusted)?)
}

/// Checks that the last signature of a kernel module is by `trusted`, as a kernel with that certificate does.
///
/// # Errors
/// [`FormatError::Kmod`], [`FormatError::WeakKey`].
pub fn kernel_module(module: &[u8], trusted: &Certificate) -> Result<(), FormatError> {
    check_strength(trusted.public_key())?;
    Ok(kmod::verify(module, trusted)?)
}

/// Checks an update of a secure boot variable, and returns whether it replaces or appends.
///
/// # Errors
/// [`FormatError::EfiVar`], [`FormatError::WeakKey`].
pub fn efi_variable(auth: &[u8], variable: Variable, trusted: &Certificate) -> Result<Update, FormatError> {
    check_strength(trusted.public_key())?;
    Ok(efi_var::verify(auth, variable, trusted)?)
}

/// Checks the text beside a Raspberry Pi image.
///
/// # Errors
/// [`FormatError::Eeprom`].
pub fn rpi_eeprom(text: &str, image: &Content, key: &PublicKey) -> Result<EepromSignature, FormatError> {
    let digest = image.digest(HashAlg::Sha256);
    let digest = digest.as_bytes().try_into().expect("32 bytes: SHA-256");
    Ok(countersign_pki::rpi_eeprom::verify(text, digest, key)?)
}
