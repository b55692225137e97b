//! X.509 certificates (RFC 5280): read, and made self-signed as `openssl req -new -x509` makes them.
//!
//! ```text
//! Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signature }
//!                            version 3, serial, issuer = subject, validity, key,
//!                            subjectKeyIdentifier, authorityKeyIdentifier, basicConstraints CA:TRUE
//! ```
//!
//! [`prepare`] makes a self-signed one; [`crate::ca`] issues the others.

mod certificate;

use std::fmt;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use countersign_model::pem::PemError;
use countersign_model::public_key::PublicKeyError;
use countersign_model::{KeyType, PublicKey, RawSignature, Scheme, ToSign};
use jiff::{SignedDuration, Timestamp};

use crate::algorithm::{self, SignatureLength};
use crate::asn1::{self, NotDer, Reader};
use crate::extension;
use crate::subject::Subject;

pub use certificate::Certificate;

/// The longest certificate that is read, in bytes of DER.
pub const MAX_CERTIFICATE: usize = 1 << 16;

/// Why a certificate cannot be made, read or trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum X509Error {
    /// The text is not PEM.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// No block of the text is a certificate.
    #[error("no `CERTIFICATE` block")]
    NoCertificate,
    /// Not a certificate of version 3 or 1 in DER.
    #[error("not an X.509 certificate in DER")]
    Malformed,
    /// More than [`MAX_CERTIFICATE`] bytes.
    #[error("a certificate of {got} bytes is too long: at most {MAX_CERTIFICATE}")]
    TooLong {
        /// Its length in bytes.
        got: usize,
    },
    /// The key in it cannot be used.
    #[error("the certificate's key: {0}")]
    Key(#[from] PublicKeyError),
    /// No scheme of certificates fits the key.
    #[error("certificates are not made with keys of type `{0}`")]
    Scheme(KeyType),
    /// A validity that X.509 cannot express.
    #[error("a certificate ends at least one second after it begins and before the year 10000")]
    Validity,
    /// The answer of the key is no signature of its type.
    #[error(transparent)]
    SignatureLength(#[from] SignatureLength),
    /// Signed with an algorithm that is not accepted.
    #[error("the certificate is signed with an algorithm that is not accepted")]
    Algorithm,
    /// The signature does not verify.
    #[error("the certificate was not signed by this key")]
    NotSignedBy,
}

impl X509Error {
    /// One sentence for the person who reads the terminal or the log.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Pem(_) | Self::NoCertificate | Self::Malformed | Self::TooLong { .. } => {
                "give one certificate as DER, or as PEM with `-----BEGIN CERTIFICATE-----`"
            }
            Self::Key(_) | Self::Scheme(_) => "use an RSA, P-256, P-384, P-521 or Ed25519 key",
            Self::Validity => "give fewer days: 7305 are twenty years",
            Self::SignatureLength(_) => "the key is not the one that the certificate names",
            Self::Algorithm => "RSA with PKCS#1 v1.5, ECDSA and Ed25519 with SHA-2 are accepted",
            Self::NotSignedBy => "another authority issued it, or it was altered",
        }
    }
}

impl From<NotDer> for X509Error {
    fn from(NotDer: NotDer) -> Self {
        Self::Malformed
    }
}

/// A serial number as this project gives them: positive, 159 random bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SerialNumber([u8; 20]);

impl SerialNumber {
    /// From 20 random bytes. The highest bit is cleared, so that DER needs no twenty-first byte.
    pub fn from_random(mut bytes: [u8; 20]) -> Self {
        bytes[0] &= 0x7f;
        if bytes == [0; 20] {
            // RFC 5280, 4.1.2.2: zero is not a serial number.
            bytes[19] = 1;
        }
        Self(bytes)
    }

    /// One of a sequence, above zero.
    pub(crate) fn from_number(number: u32) -> Self {
        let mut bytes = [0; 20];
        bytes[16..].copy_from_slice(&number.max(1).to_be_bytes());
        Self(bytes)
    }

    /// The content of its INTEGER.
    pub(crate) fn bytes(self) -> Vec<u8> {
        // An element this short has two octets before its content.
        self.to_der().split_off(2)
    }

    fn to_der(self) -> Vec<u8> {
        asn1::unsigned(&self.0)
    }
}

impl fmt::Debug for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SerialNumber({})", hex::encode(self.0))
    }
}

/// From when to when a certificate is valid, both inclusive; whole seconds, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    not_before: Timestamp,
    not_after: Timestamp,
}

impl Validity {
    /// From one second to another; fractions are cut off.
    ///
    /// # Errors
    /// [`X509Error::Validity`] if it ends before it begins, or outside the years 0 to 9999.
    pub fn new(not_before: Timestamp, not_after: Timestamp) -> Result<Self, X509Error> {
        let whole = |at: Timestamp| {
            let second = Timestamp::from_second(at.as_second()).ok();
            second.filter(|second| asn1::time(*second).is_some()).ok_or(X509Error::Validity)
        };
        let (not_before, not_after) = (whole(not_before)?, whole(not_after)?);
        if not_before >= not_after {
            return Err(X509Error::Validity);
        }
        Ok(Self { not_before, not_after })
    }

    /// `days` times 86400 seconds.
    ///
    /// # Errors
    /// [`X509Error::Validity`] for no days, and beyond the year 9999.
    pub fn days(not_before: Timestamp, days: u32) -> Result<Self, X509Error> {
        let length = SignedDuration::from_secs(i64::from(days) * 86400);
        Self::new(not_before, not_before.checked_add(length).map_err(|_| X509Error::Validity)?)
    }

    /// The first second.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// The last second.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    fn to_der(self) -> Result<Vec<u8>, X509Error> {
        let time = |at| asn1::time(at).ok_or(X509Error::Validity);
        Ok(asn1::sequence(&[&time(self.not_before)?, &time(self.not_after)?]))
    }
}

/// The scheme that a key of this type signs certificates with: RSA with SHA-256 as PKCS#1 v1.5, curves with
/// the hash of their size, Ed25519. `None` for types that cannot.
pub fn scheme_for(key_type: KeyType) -> Option<Scheme> {
    match key_type {
        KeyType::Secp256k1 => None,
        _ => Some(key_type.default_scheme()),
    }
}

/// The key identifier of a public key: SHA-1 of the bytes in `subjectPublicKey` (RFC 5280, 4.2.1.2, method 1).
///
/// A name, not a protection: kernels show it in `/proc/keys`, and installers compare it with what
/// `openssl x509 -ocspid` says.
pub fn key_identifier(key: &PublicKey) -> [u8; 20] {
    let mut id = [0; 20];
    let bits = Reader::new(key.spki()).sequence().and_then(|mut spki| {
        spki.sequence()?;
        spki.bit_string()
    });
    // A `PublicKey` holds a SubjectPublicKeyInfo that has been read.
    id.copy_from_slice(digest(&SHA1_FOR_LEGACY_USE_ONLY, bits.unwrap_or_default()).as_ref());
    id
}

/// Prepares a self-signed certificate of `key`, with the extensions of OpenSSL's stock configuration.
///
/// # Errors
/// [`X509Error::Scheme`] for types of key that certificates are not made with.
pub fn prepare(
    subject: &Subject,
    key: &PublicKey,
    serial: SerialNumber,
    validity: Validity,
) -> Result<(ToSign, Pending), X509Error> {
    let id = key_identifier(key);
    let extensions = [
        extension::subject_key_identifier(&id),
        extension::authority_key_identifier(&id),
        extension::basic_constraints_ca(None),
    ];
    let body = Body { serial, issuer: subject, validity, subject, key, extensions: &extensions };
    Pending::new(&body, key)
}

/// What stands in a certificate but for the algorithm, which follows from the issuer's key.
pub(crate) struct Body<'a> {
    pub(crate) serial: SerialNumber,
    pub(crate) issuer: &'a Subject,
    pub(crate) validity: Validity,
    pub(crate) subject: &'a Subject,
    pub(crate) key: &'a PublicKey,
    pub(crate) extensions: &'a [Vec<u8>],
}

/// What [`finish`](Self::finish) will need when the signature is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The tbsCertificate in DER.
    tbs: Vec<u8>,
    scheme: Scheme,
    issuer_key: KeyType,
}

impl Pending {
    pub(crate) fn new(body: &Body<'_>, issuer_key: &PublicKey) -> Result<(ToSign, Self), X509Error> {
        let key_type = issuer_key.key_type();
        let scheme = scheme_for(key_type).ok_or(X509Error::Scheme(key_type))?;
        Self::under(scheme, body, key_type)
    }

    /// To be signed under a scheme that is not the one that the key's type suggests.
    pub(crate) fn under(
        scheme: Scheme,
        body: &Body<'_>,
        key_type: KeyType,
    ) -> Result<(ToSign, Self), X509Error> {
        let algorithm = algorithm::signature(scheme).ok_or(X509Error::Scheme(key_type))?;
        let extensions: Vec<&[u8]> = body.extensions.iter().map(Vec::as_slice).collect();
        let tbs = asn1::sequence(&[
            &asn1::element(asn1::context_constructed(0), &[&asn1::unsigned(&[VERSION_3])]),
            &body.serial.to_der(),
            &algorithm,
            body.issuer.der(),
            &body.validity.to_der()?,
            body.subject.der(),
            body.key.spki(),
            &asn1::element(asn1::context_constructed(3), &[&asn1::sequence(&extensions)]),
        ]);
        let to_sign = ToSign::of_message(scheme, &tbs);
        Ok((to_sign, Self { tbs, scheme, issuer_key: key_type }))
    }

    /// The scheme that the key signs with.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Puts the signature into the certificate. Does not check it: release the certificate only after
    /// [`Certificate::is_signed_by`].
    ///
    /// # Errors
    /// [`X509Error::SignatureLength`] if `raw` is not a signature of the key's type.
    pub fn finish(self, raw: RawSignature) -> Result<Certificate, X509Error> {
        let signature = algorithm::encode(&raw, self.scheme, self.issuer_key)?;
        let algorithm = algorithm::signature(self.scheme).ok_or(X509Error::Scheme(self.issuer_key))?;
        Certificate::from_der(&asn1::sequence(&[&self.tbs, &algorithm, &asn1::bit_string(&signature)]))
    }
}

/// `version` counts from zero.
const VERSION_3: u8 = 2;
