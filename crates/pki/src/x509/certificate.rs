//! Certificates as they are read.

use std::fmt;
use std::ops::Range;

use countersign_model::public_key::{Verifiers, VerifyError};
use countersign_model::{PublicKey, RawSignature, Scheme, ToSign, pem};
use jiff::Timestamp;

use super::{MAX_CERTIFICATE, X509Error, key_identifier};
use crate::algorithm;
use crate::asn1::{self, INTEGER, Reader};
use crate::extension::{self, Extensions};
use crate::subject::Subject;

const LABEL: &str = "CERTIFICATE";

/// A certificate, kept as it was given. That it exists says nothing about who signed it, or whether it is
/// still valid.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    /// Where the tbsCertificate stands in `der`.
    tbs: Range<usize>,
    serial: Vec<u8>,
    issuer: Subject,
    subject: Subject,
    not_before: Timestamp,
    not_after: Timestamp,
    key: PublicKey,
    verifiers: Verifiers,
    extensions: Extensions,
    /// The AlgorithmIdentifier of the signature.
    algorithm: Vec<u8>,
    signature: Vec<u8>,
}

impl Certificate {
    /// Reads one certificate, and nothing after it.
    ///
    /// # Errors
    /// [`X509Error`] if it is malformed, too long, or of a key that cannot be used.
    pub fn from_der(der: &[u8]) -> Result<Self, X509Error> {
        if der.len() > MAX_CERTIFICATE {
            return Err(X509Error::TooLong { got: der.len() });
        }
        let mut outer = Reader::new(der);
        let whole = outer.expect(asn1::SEQUENCE)?;
        outer.finish()?;
        let mut outer = Reader::new(whole.content);
        let tbs = outer.expect(asn1::SEQUENCE)?;
        let algorithm = outer.expect(asn1::SEQUENCE)?.raw;
        let signature = outer.bit_string()?;
        outer.finish()?;

        let mut fields = Reader::new(tbs.content);
        if let Some(version) = fields.optional(asn1::context_constructed(0))? {
            Reader::new(version.content).small_integer()?;
        }
        let serial = fields.expect(INTEGER)?;
        // 4.1.1.2: the algorithm stands inside and outside, once protected and once not.
        if fields.expect(asn1::SEQUENCE)?.raw != algorithm || serial.content.is_empty() {
            return Err(X509Error::Malformed);
        }
        let issuer = Subject::from_der(fields.expect(asn1::SEQUENCE)?.raw)?;
        let mut validity = fields.sequence()?;
        let (not_before, not_after) = (validity.time()?, validity.time()?);
        validity.finish()?;
        let subject = Subject::from_der(fields.expect(asn1::SEQUENCE)?.raw)?;
        let key = PublicKey::from_spki(fields.expect(asn1::SEQUENCE)?.raw)?;
        for unique_id in [1, 2] {
            fields.optional(asn1::context(unique_id))?;
        }
        let extensions = match fields.optional(asn1::context_constructed(3))? {
            Some(explicit) => {
                let mut explicit = Reader::new(explicit.content);
                let list = explicit.sequence()?;
                explicit.finish()?;
                Extensions::read(list)?
            }
            None => Extensions::default(),
        };
        fields.finish()?;

        let start = der.len() - whole.content.len();
        Ok(Self {
            tbs: start..start + tbs.raw.len(),
            serial: serial.content.to_vec(),
            issuer,
            subject,
            not_before,
            not_after,
            key,
            verifiers: Verifiers::default(),
            extensions,
            algorithm: algorithm.to_vec(),
            signature: signature.to_vec(),
            der: der.to_vec(),
        })
    }

    /// Reads the first `CERTIFICATE` of a PEM text.
    ///
    /// # Errors
    /// [`X509Error`].
    pub fn from_pem(text: &str) -> Result<Self, X509Error> {
        let blocks = pem::blocks(text)?;
        let block = blocks.iter().find(|block| block.label == LABEL).ok_or(X509Error::NoCertificate)?;
        Self::from_der(&block.der)
    }

    /// The certificate in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The certificate as one PEM block.
    pub fn to_pem(&self) -> String {
        pem::encode(LABEL, &self.der)
    }

    /// The key that is certified.
    pub fn public_key(&self) -> &PublicKey {
        &self.key
    }

    /// Whose key it is.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Who says so.
    pub fn issuer(&self) -> &Subject {
        &self.issuer
    }

    /// The serial number as DER has it: big-endian, two's complement.
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// The first second of its validity.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// The last second of its validity.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// The signature value, as it stands in the certificate.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// The key identifier that it states, or that of its key.
    pub fn key_identifier(&self) -> Vec<u8> {
        match &self.extensions.subject_key_identifier {
            Some(id) => id.clone(),
            None => key_identifier(&self.key).to_vec(),
        }
    }

    /// The other names of the subject, of the kinds that are known here.
    pub fn alt_names(&self) -> &[extension::AltName] {
        &self.extensions.alt_names
    }

    /// What the key is for; empty if the certificate does not say.
    pub fn purposes(&self) -> &[extension::Purpose] {
        &self.extensions.purposes
    }

    /// Checks a signature by its key, which is parsed once for all signatures that are checked with this certificate.
    pub(crate) fn verify_with_key(
        &self,
        scheme: Scheme,
        to_sign: &ToSign,
        signature: &RawSignature,
    ) -> Result<(), VerifyError> {
        self.verifiers.verify(&self.key, scheme, to_sign, signature)
    }

    pub(crate) fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// IssuerAndSerialNumber (RFC 5652, 10.2.4): how signatures name this certificate.
    pub(crate) fn issuer_and_serial(&self) -> Vec<u8> {
        asn1::sequence(&[self.issuer.der(), &asn1::element(INTEGER, &[&self.serial])])
    }

    /// Whether it may issue certificates: an authority, whose key may sign them where that is said.
    pub fn is_authority(&self) -> bool {
        self.extensions.basic_constraints.is_some_and(|constraints| constraints.ca)
            && self.extensions.key_usage.is_none_or(|usage| usage & extension::KEY_CERT_SIGN != 0)
    }

    /// Checks that `key` signed this certificate. Says nothing of validity or authority.
    ///
    /// # Errors
    /// [`X509Error::Algorithm`], [`X509Error::NotSignedBy`].
    pub fn is_signed_by(&self, key: &PublicKey) -> Result<(), X509Error> {
        let scheme = algorithm::read_signature(&self.algorithm).ok_or(X509Error::Algorithm)?;
        let signature = algorithm::decode(&self.signature, key).ok_or(X509Error::NotSignedBy)?;
        let to_sign = ToSign::of_message(scheme, &self.der[self.tbs.clone()]);
        key.verify(scheme, &to_sign, &signature).map_err(|_| X509Error::NotSignedBy)
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({}, serial {})", self.subject, hex::encode(&self.serial))
    }
}
