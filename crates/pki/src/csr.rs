//! Requests for certificates (PKCS#10, RFC 2986).
//!
//! ```text
//! CertificationRequest ::= SEQUENCE { { 0, subject, key, [0] attributes }, algorithm, signature }
//! ```
//!
//! The key signs its own request: who sends it has the private half. A request that does not prove this is
//! not read.

use const_oid::db::rfc5912::ID_EXTENSION_REQ;
use countersign_model::pem::{self, PemError};
use countersign_model::public_key::PublicKeyError;
use countersign_model::{KeyType, PublicKey, RawSignature, Scheme, ToSign};

use crate::algorithm::{self, SignatureLength};
use crate::asn1::{self, NotDer, Reader};
use crate::extension::{self, AltName, Critical, Extensions, Purpose};
use crate::subject::Subject;
use crate::x509::scheme_for;

/// The longest request that is read, in bytes of DER.
pub const MAX_REQUEST: usize = 1 << 16;

const LABEL: &str = "CERTIFICATE REQUEST";

/// Why a request cannot be made, read or believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CsrError {
    /// The text is not PEM.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// No block of the text is a request.
    #[error("no `CERTIFICATE REQUEST` block")]
    NoRequest,
    /// Not a request in DER.
    #[error("not a certificate request in DER")]
    Malformed,
    /// More than [`MAX_REQUEST`] bytes.
    #[error("a certificate request of {got} bytes is too long: at most {MAX_REQUEST}")]
    TooLong {
        /// Its length in bytes.
        got: usize,
    },
    /// The key in it cannot be used.
    #[error("the request's key: {0}")]
    Key(#[from] PublicKeyError),
    /// No scheme of certificates fits the key.
    #[error("certificate requests are not made with keys of type `{0}`")]
    Scheme(KeyType),
    /// The answer of the key is no signature of its type.
    #[error(transparent)]
    SignatureLength(#[from] SignatureLength),
    /// Signed with an algorithm that is not accepted.
    #[error("the request is signed with an algorithm that is not accepted")]
    Algorithm,
    /// The request is not signed by the key in it.
    #[error("the request is not signed by the key that it names")]
    NoPossession,
}

impl CsrError {
    /// One sentence for the person who reads the terminal or the log.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Pem(_) | Self::NoRequest | Self::Malformed | Self::TooLong { .. } => {
                "give a request as DER, or as PEM with `-----BEGIN CERTIFICATE REQUEST-----`"
            }
            Self::Key(_) | Self::Scheme(_) => "use an RSA, P-256, P-384, P-521 or Ed25519 key",
            Self::SignatureLength(_) => "the key is not the one that the request names",
            Self::Algorithm => "RSA with PKCS#1 v1.5, ECDSA and Ed25519 with SHA-2 are accepted",
            Self::NoPossession => "make the request again with the private key of the key in it",
        }
    }
}

impl From<NotDer> for CsrError {
    fn from(NotDer: NotDer) -> Self {
        Self::Malformed
    }
}

/// Prepares a request for `key`, to be signed by its private half.
///
/// `alt_names`: asked for as an extension; none is fine.
///
/// # Errors
/// [`CsrError::Scheme`] for types of key that certificates are not made with.
pub fn prepare(
    subject: &Subject,
    key: &PublicKey,
    alt_names: &[AltName],
) -> Result<(ToSign, Pending), CsrError> {
    let key_type = key.key_type();
    let scheme = scheme_for(key_type).ok_or(CsrError::Scheme(key_type))?;
    let attributes = if alt_names.is_empty() { Vec::new() } else { extension_request(alt_names) };
    let info = asn1::sequence(&[
        &asn1::unsigned(&[0]),
        subject.der(),
        key.spki(),
        &asn1::element(asn1::context_constructed(0), &[&attributes]),
    ]);
    let to_sign = ToSign::of_message(scheme, &info);
    Ok((to_sign, Pending { info, scheme, key_type }))
}

/// The attribute `extensionRequest` (RFC 2985, 5.4.2).
fn extension_request(alt_names: &[AltName]) -> Vec<u8> {
    let extensions = asn1::sequence(&[&extension::subject_alt_name(alt_names, Critical::No)]);
    asn1::sequence(&[&asn1::oid(&ID_EXTENSION_REQ), &asn1::set_of(vec![extensions])])
}

/// What [`finish`](Self::finish) will need when the signature is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The CertificationRequestInfo in DER.
    info: Vec<u8>,
    scheme: Scheme,
    key_type: KeyType,
}

impl Pending {
    /// The scheme that the key signs with.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Puts the signature into the request, and checks it.
    ///
    /// # Errors
    /// [`CsrError::SignatureLength`], [`CsrError::NoPossession`] if `raw` is not the key's signature.
    pub fn finish(self, raw: RawSignature) -> Result<Csr, CsrError> {
        let signature = algorithm::encode(&raw, self.scheme, self.key_type)?;
        let algorithm = algorithm::signature(self.scheme).ok_or(CsrError::Scheme(self.key_type))?;
        Csr::from_der(&asn1::sequence(&[&self.info, &algorithm, &asn1::bit_string(&signature)]))
    }
}

/// A request that the key in it has signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Csr {
    der: Vec<u8>,
    subject: Subject,
    key: PublicKey,
    extensions: Extensions,
}

impl Csr {
    /// Reads one request and nothing after it, and checks that its key signed it.
    ///
    /// # Errors
    /// [`CsrError`].
    pub fn from_der(der: &[u8]) -> Result<Self, CsrError> {
        if der.len() > MAX_REQUEST {
            return Err(CsrError::TooLong { got: der.len() });
        }
        let mut outer = Reader::new(der);
        let mut whole = outer.sequence()?;
        outer.finish()?;
        let info = whole.expect(asn1::SEQUENCE)?;
        let algorithm = whole.expect(asn1::SEQUENCE)?.raw;
        let signature = whole.bit_string()?;
        whole.finish()?;

        let mut fields = Reader::new(info.content);
        fields.small_integer()?;
        let subject = Subject::from_der(fields.expect(asn1::SEQUENCE)?.raw)?;
        let key = PublicKey::from_spki(fields.expect(asn1::SEQUENCE)?.raw)?;
        let extensions = match fields.optional(asn1::context_constructed(0))? {
            Some(attributes) => requested(Reader::new(attributes.content))?,
            None => Extensions::default(),
        };
        fields.finish()?;

        let scheme = algorithm::read_signature(algorithm).ok_or(CsrError::Algorithm)?;
        let signature = algorithm::decode(signature, &key).ok_or(CsrError::NoPossession)?;
        key.verify(scheme, &ToSign::of_message(scheme, info.raw), &signature)
            .map_err(|_| CsrError::NoPossession)?;
        Ok(Self { der: der.to_vec(), subject, key, extensions })
    }

    /// Reads the first request of a PEM text.
    ///
    /// # Errors
    /// [`CsrError`].
    pub fn from_pem(text: &str) -> Result<Self, CsrError> {
        let blocks = pem::blocks(text)?;
        let is_request = |label: &str| label == LABEL || label == "NEW CERTIFICATE REQUEST";
        let block = blocks.iter().find(|block| is_request(&block.label)).ok_or(CsrError::NoRequest)?;
        Self::from_der(&block.der)
    }

    /// The request in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The request as one PEM block.
    pub fn to_pem(&self) -> String {
        pem::encode(LABEL, &self.der)
    }

    /// The name asked for.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The key to be certified.
    pub fn public_key(&self) -> &PublicKey {
        &self.key
    }

    /// The other names asked for, of the kinds that are known here.
    pub fn alt_names(&self) -> &[AltName] {
        &self.extensions.alt_names
    }

    /// What the key shall be for; empty if the request does not say.
    pub fn purposes(&self) -> &[Purpose] {
        &self.extensions.purposes
    }

    /// Whether it asks for names of kinds that cannot be given.
    pub fn has_other_names(&self) -> bool {
        self.extensions.other_names
    }

    /// Whether it asks to become an authority.
    pub fn wants_authority(&self) -> bool {
        self.extensions.basic_constraints.is_some_and(|constraints| constraints.ca)
            || self.extensions.key_usage.is_some_and(|usage| usage & extension::KEY_CERT_SIGN != 0)
    }
}

/// The extensions asked for; at most one attribute may ask.
fn requested(mut attributes: Reader<'_>) -> Result<Extensions, NotDer> {
    let mut found = None;
    while !attributes.is_empty() {
        let mut attribute = attributes.sequence()?;
        let oid = attribute.oid()?;
        let mut values = attribute.inside(asn1::SET)?;
        attribute.finish()?;
        if oid == ID_EXTENSION_REQ {
            let extensions = Extensions::read(values.sequence()?)?;
            values.finish()?;
            if found.replace(extensions).is_some() {
                return Err(NotDer);
            }
        }
    }
    Ok(found.unwrap_or_default())
}
