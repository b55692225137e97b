//! Cryptographic Message Syntax (RFC 5652): SignedData with one signer.
//!
//! ```text
//! ContentInfo ::= { signedData, [0] SignedData }            left out in EFI variables
//! SignedData  ::= { 1, { hash }, { content type, content? }, certificates?, { SignerInfo } }
//! SignerInfo  ::= { 1, issuer and serial, hash, [0] attributes?, algorithm, signature }
//! ```
//!
//! Two shapes are made: without signed attributes the signature covers the content; with them it covers the
//! attributes (as a SET, tag 0x31), and one of those is the content's digest. [`prepare_detached`] makes a
//! signature beside a file, as `openssl cms -sign -binary` does; the boot formats have variants of
//! their own. [`SignedData`] reads all, and [`SignedData::verify`] checks them.

mod read;

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5911::{ID_CONTENT_TYPE, ID_DATA, ID_MESSAGE_DIGEST, ID_SIGNED_DATA, ID_SIGNING_TIME};
use countersign_model::{Digest, HashAlg, KeyType, RawSignature, Scheme, ToSign};
use jiff::Timestamp;

use crate::algorithm::{self, Parameters, SignatureLength};
use crate::asn1::{self, NotDer};
use crate::x509::Certificate;

pub use read::SignedData;

/// `version` of SignedData and of SignerInfo, with issuer and serial number (5.1, 5.3).
const VERSION_1: u8 = 1;

/// Why something cannot be signed, or a signature is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CmsError {
    /// No scheme of this format fits the signer's key.
    #[error("this format is not signed with keys of type `{0}`")]
    Key(KeyType),
    /// A digest of another hash than the format signs.
    #[error("the content's digest is {got}, but {want} is signed")]
    Hash {
        /// The hash that is signed.
        want: HashAlg,
        /// The hash given.
        got: HashAlg,
    },
    /// A signing time that cannot be written.
    #[error("the signing time is outside the years 0 to 9999")]
    Time,
    /// The answer of the key is no signature of its type.
    #[error(transparent)]
    SignatureLength(#[from] SignatureLength),
    /// Not a SignedData in DER.
    #[error("not a SignedData in DER")]
    Malformed,
    /// Nobody among the signers is this certificate.
    #[error("not signed by this certificate")]
    NotSignedBy,
    /// A hash or a signature algorithm that is not accepted.
    #[error("signed with an algorithm that is not accepted")]
    Algorithm,
    /// The signed attributes are about another content.
    #[error("the signature is of another content")]
    OtherContent,
    /// The mathematics say no.
    #[error("the signature is not valid for this certificate and content")]
    Invalid,
}

impl CmsError {
    /// One sentence for the person who reads the terminal or the log.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Key(_) => "use an RSA key: every verifier takes it",
            Self::Hash { .. } => "hash the content again, or send the content itself",
            Self::Time => "set the clock",
            Self::SignatureLength(_) => "the key is not the one that the certificate names",
            Self::Malformed => "give the signature in DER, without PEM and with nothing after it",
            Self::NotSignedBy => {
                "the signature names another issuer or serial number: get the right certificate"
            }
            Self::Algorithm => "SHA-2 with RSA PKCS#1 v1.5 or ECDSA is accepted",
            Self::OtherContent | Self::Invalid => {
                "content or signature was altered, or another key signed: do not trust it"
            }
        }
    }
}

impl From<NotDer> for CmsError {
    fn from(NotDer: NotDer) -> Self {
        Self::Malformed
    }
}

/// What is signed: given whole, or hashed by the caller, who may have had it in pieces.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// The bytes.
    Bytes(&'a [u8]),
    /// Their digest.
    Digest(Digest),
}

impl Content<'_> {
    /// The content's digest under `hash`.
    ///
    /// # Errors
    /// [`CmsError::Hash`] if it was hashed with another function.
    pub(crate) fn digest(&self, hash: HashAlg) -> Result<Digest, CmsError> {
        match self {
            Self::Bytes(bytes) => Ok(hash.digest(bytes)),
            Self::Digest(digest) if digest.alg() == hash => Ok(*digest),
            Self::Digest(digest) => Err(CmsError::Hash { want: hash, got: digest.alg() }),
        }
    }
}

/// The scheme that a key of this type signs with in [`prepare_detached`].
///
/// RSA with SHA-256 as PKCS#1 v1.5, curves with the hash of their size. Ed25519 signs messages, not digests,
/// and few verifiers know it in CMS.
pub fn scheme_for(key_type: KeyType) -> Option<Scheme> {
    match key_type {
        KeyType::Rsa(_) | KeyType::P256 | KeyType::P384 | KeyType::P521 => Some(key_type.default_scheme()),
        KeyType::Secp256k1 | KeyType::Ed25519 => None,
    }
}

/// Prepares a detached signature of `content`, with the signer's certificate in it.
///
/// `signing_time`: becomes a signed attribute, in whole seconds; without it there are no signed attributes.
///
/// # Errors
/// [`CmsError::Key`], [`CmsError::Hash`], [`CmsError::Time`].
pub fn prepare_detached(
    content: Content<'_>,
    signer: &Certificate,
    signing_time: Option<Timestamp>,
) -> Result<(ToSign, Pending), CmsError> {
    let key_type = signer.public_key().key_type();
    let scheme = scheme_for(key_type).ok_or(CmsError::Key(key_type))?;
    let hash = scheme.hash().ok_or(CmsError::Key(key_type))?;
    Spec {
        scheme,
        parameters: Parameters::Absent,
        content_type: ID_DATA,
        encapsulated: None,
        digest: content.digest(hash)?,
        signing_time,
        certificate: Embed::Yes,
        wrapping: Wrapping::ContentInfo,
    }
    .prepare(signer)
}

/// Checks a detached signature of `content` by `signer`.
///
/// # Errors
/// [`CmsError`].
pub fn verify_detached(der: &[u8], content: Content<'_>, signer: &Certificate) -> Result<(), CmsError> {
    let signed = SignedData::parse(der)?;
    signed.expect(Wrapping::ContentInfo)?;
    signed.expect_detached_data()?;
    signed.verify(signer, |hash| content.digest(hash))
}

/// Whether the signer's certificate is in the SignedData.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Embed {
    Yes,
    No,
}

/// Whether the SignedData stands in a ContentInfo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrapping {
    ContentInfo,
    Bare,
}

/// One SignedData to be made.
pub(crate) struct Spec<'a> {
    pub(crate) scheme: Scheme,
    /// After each hash.
    pub(crate) parameters: Parameters,
    pub(crate) content_type: ObjectIdentifier,
    /// The content in DER, if it is inside.
    pub(crate) encapsulated: Option<&'a [u8]>,
    /// Of the content, under the scheme's hash.
    pub(crate) digest: Digest,
    /// With it there are signed attributes.
    pub(crate) signing_time: Option<Timestamp>,
    pub(crate) certificate: Embed,
    pub(crate) wrapping: Wrapping,
}

impl Spec<'_> {
    pub(crate) fn prepare(self, signer: &Certificate) -> Result<(ToSign, Pending), CmsError> {
        let key_type = signer.public_key().key_type();
        let scheme = self.scheme;
        let signature_algorithm = algorithm::signer_info_signature(scheme).ok_or(CmsError::Key(key_type))?;
        if !scheme.fits(key_type) {
            return Err(CmsError::Key(key_type));
        }
        let hash = algorithm::hash(self.digest.alg(), self.parameters);
        let attributes = match self.signing_time {
            Some(time) => self.attributes(time)?,
            None => Vec::new(),
        };
        let to_sign = if attributes.is_empty() {
            ToSign::Digest(self.digest)
        } else {
            // 5.4: the attributes are signed under the tag of a SET.
            ToSign::of_message(scheme, &asn1::set_of(attributes.clone()))
        };

        let attributes = match attributes.is_empty() {
            true => Vec::new(),
            false => asn1::tagged_set_of(asn1::context_constructed(0), attributes),
        };
        let version = asn1::unsigned(&[VERSION_1]);
        let signer_info =
            [version.as_slice(), &signer.issuer_and_serial(), &hash, &attributes, &signature_algorithm]
                .concat();
        let certificates = match self.certificate {
            Embed::Yes => asn1::element(asn1::context_constructed(0), &[signer.der()]),
            Embed::No => Vec::new(),
        };
        let head = [version, asn1::set_of(vec![hash]), self.content_info(), certificates].concat();
        Ok((to_sign, Pending { head, signer_info, wrapping: self.wrapping, scheme, key_type }))
    }

    fn content_info(&self) -> Vec<u8> {
        let content = match self.encapsulated {
            Some(content) => asn1::element(asn1::context_constructed(0), &[content]),
            None => Vec::new(),
        };
        asn1::sequence(&[&asn1::oid(&self.content_type), &content])
    }

    /// Signed attributes (11.1 to 11.3), each an Attribute in DER.
    fn attributes(&self, signing_time: Timestamp) -> Result<Vec<Vec<u8>>, CmsError> {
        let attribute = |oid, value: Vec<u8>| asn1::sequence(&[&asn1::oid(&oid), &asn1::set_of(vec![value])]);
        Ok(vec![
            attribute(ID_CONTENT_TYPE, asn1::oid(&self.content_type)),
            attribute(ID_SIGNING_TIME, asn1::time(signing_time).ok_or(CmsError::Time)?),
            attribute(ID_MESSAGE_DIGEST, asn1::octet_string(self.digest.as_bytes())),
        ])
    }
}

/// What [`finish`](Self::finish) will need when the signature is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// SignedData up to its signers.
    head: Vec<u8>,
    /// The SignerInfo up to its signature.
    signer_info: Vec<u8>,
    wrapping: Wrapping,
    scheme: Scheme,
    key_type: KeyType,
}

impl Pending {
    /// The scheme that the key signs with.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The SignedData in DER. Does not check the signature: release it only after a `verify`.
    ///
    /// # Errors
    /// [`CmsError::SignatureLength`] if `raw` is not a signature of the key's type.
    pub fn finish(self, raw: RawSignature) -> Result<Vec<u8>, CmsError> {
        let signature = algorithm::encode(&raw, self.scheme, self.key_type)?;
        let signer_info = asn1::sequence(&[&self.signer_info, &asn1::octet_string(&signature)]);
        let signed_data = asn1::sequence(&[&self.head, &asn1::set_of(vec![signer_info])]);
        Ok(match self.wrapping {
            Wrapping::Bare => signed_data,
            Wrapping::ContentInfo => asn1::sequence(&[
                &asn1::oid(&ID_SIGNED_DATA),
                &asn1::element(asn1::context_constructed(0), &[&signed_data]),
            ]),
        })
    }
}
