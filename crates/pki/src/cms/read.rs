//! SignedData as others write it.

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5911::{ID_CONTENT_TYPE, ID_DATA, ID_MESSAGE_DIGEST, ID_SIGNED_DATA, ID_SIGNING_TIME};
use countersign_model::{Digest, HashAlg, ToSign};
use jiff::Timestamp;

use super::{CmsError, Wrapping};
use crate::algorithm;
use crate::asn1::{self, NotDer, OCTET_STRING, Reader, SEQUENCE, SET};
use crate::x509::Certificate;

/// The most signers that are read.
const MAX_SIGNERS: usize = 16;

/// The most certificates that are read.
const MAX_CERTIFICATES: usize = 64;

/// A SignedData, borrowed from the bytes it was read from. That it exists says nothing about whether its
/// signatures verify: see [`verify`](Self::verify).
#[derive(Clone, Debug)]
pub struct SignedData<'a> {
    wrapping: Wrapping,
    content_type: ObjectIdentifier,
    content: Option<&'a [u8]>,
    certificates: Vec<&'a [u8]>,
    signers: Vec<SignerInfo<'a>>,
}

#[derive(Clone, Copy, Debug)]
struct SignerInfo<'a> {
    /// IssuerAndSerialNumber, or `[0]` and a key identifier.
    id: asn1::Element<'a>,
    /// AlgorithmIdentifiers.
    hash: &'a [u8],
    algorithm: &'a [u8],
    /// The content of `[0]`: what is signed, but for the tag.
    attributes: Option<&'a [u8]>,
    signature: &'a [u8],
}

impl<'a> SignedData<'a> {
    /// Reads a SignedData in a ContentInfo or bare, and nothing after it.
    ///
    /// # Errors
    /// [`CmsError::Malformed`].
    pub fn parse(der: &'a [u8]) -> Result<Self, CmsError> {
        let mut outer = Reader::new(der);
        let mut inside = outer.sequence()?;
        outer.finish()?;
        let mut wrapped = inside;
        let mut wrapping = Wrapping::Bare;
        // A SignedData begins with its version, a ContentInfo with its type.
        if wrapped.oid().is_ok_and(|oid| oid == ID_SIGNED_DATA) {
            let mut explicit = wrapped.inside(asn1::context_constructed(0))?;
            wrapped.finish()?;
            inside = explicit.sequence()?;
            explicit.finish()?;
            wrapping = Wrapping::ContentInfo;
        }
        Ok(Self::read(wrapping, inside)?)
    }

    fn read(wrapping: Wrapping, mut inside: Reader<'a>) -> Result<Self, NotDer> {
        // 5.1: what is in it decides; 1 in PKCS#7, and with everything that is verified here.
        if !matches!(inside.small_integer()?, 1 | 3..=5) {
            return Err(NotDer);
        }
        let hashes = inside.expect(SET)?.content;
        let mut info = inside.sequence()?;
        let content_type = info.oid()?;
        let content = info.optional(asn1::context_constructed(0))?.map(|explicit| explicit.content);
        info.finish()?;
        let mut certificates = Vec::new();
        if let Some(set) = inside.optional(asn1::context_constructed(0))? {
            let mut set = Reader::new(set.content);
            while !set.is_empty() && certificates.len() < MAX_CERTIFICATES {
                certificates.push(set.next()?.raw);
            }
            set.finish()?;
        }
        // Revocation lists: not looked at.
        inside.optional(asn1::context_constructed(1))?;
        let mut set = inside.inside(SET)?;
        inside.finish()?;
        let mut signers = Vec::new();
        while !set.is_empty() && signers.len() < MAX_SIGNERS {
            signers.push(SignerInfo::read(set.sequence()?)?);
        }
        set.finish()?;
        if !signers.iter().all(|signer| lists(hashes, signer.hash)) {
            return Err(NotDer);
        }
        Ok(Self { wrapping, content_type, content, certificates, signers })
    }

    /// Checks that it has the shape of a format.
    ///
    /// # Errors
    /// [`CmsError::Malformed`] if it is wrapped otherwise.
    pub(crate) fn expect(&self, wrapping: Wrapping) -> Result<(), CmsError> {
        if self.wrapping == wrapping { Ok(()) } else { Err(CmsError::Malformed) }
    }

    /// Checks that bytes are signed that are not inside.
    ///
    /// # Errors
    /// [`CmsError::OtherContent`] for another type of content, or with the content inside.
    pub(crate) fn expect_detached_data(&self) -> Result<(), CmsError> {
        if self.content_type == ID_DATA && self.content.is_none() {
            Ok(())
        } else {
            Err(CmsError::OtherContent)
        }
    }

    /// What kind of content is signed.
    pub fn content_type(&self) -> ObjectIdentifier {
        self.content_type
    }

    /// The content in DER (in PKCS#7 of any kind, in CMS an OCTET STRING); `None` if it is elsewhere.
    pub fn content(&self) -> Option<&'a [u8]> {
        self.content
    }

    /// The certificates that came along, each in DER: not to be believed.
    pub fn certificates(&self) -> &[&'a [u8]] {
        &self.certificates
    }

    /// Whether a signer has signed attributes.
    pub fn has_attributes(&self) -> bool {
        self.signers.iter().any(|signer| signer.attributes.is_some())
    }

    /// When the first signer says that they signed.
    pub fn signing_time(&self) -> Option<Timestamp> {
        let mut value = Reader::new(self.signers.first()?.attribute(ID_SIGNING_TIME).ok()??);
        value.time().ok()
    }

    /// Checks that `signer` signed the content. `digest` gives the content's digest under a hash.
    ///
    /// # Errors
    /// [`CmsError::NotSignedBy`] if no signer names this certificate; else why its signature is not accepted,
    /// or what `digest` says.
    pub fn verify<E: From<CmsError>>(
        &self,
        signer: &Certificate,
        digest: impl Fn(HashAlg) -> Result<Digest, E>,
    ) -> Result<(), E> {
        let info = self.signers.iter().find(|info| info.names(signer)).ok_or(CmsError::NotSignedBy)?;
        let hash = algorithm::read_hash(info.hash).ok_or(CmsError::Algorithm)?;
        let digest = digest(hash)?;
        Ok(info.verify(signer, self.content_type, digest)?)
    }
}

/// Whether `digestAlgorithms` has a signer's hash, with either form of parameters.
fn lists(hashes: &[u8], wanted: &[u8]) -> bool {
    let mut hashes = Reader::new(hashes);
    let name = |der| Reader::new(der).sequence().and_then(|mut algorithm| algorithm.oid());
    while let Ok(hash) = hashes.next() {
        if name(hash.raw).is_ok() && name(hash.raw) == name(wanted) {
            return true;
        }
    }
    false
}

impl<'a> SignerInfo<'a> {
    fn read(mut info: Reader<'a>) -> Result<Self, NotDer> {
        let version = info.small_integer()?;
        let id = info.next()?;
        // 5.3: 1 with issuer and serial number, 3 with a key identifier.
        if (version, id.tag) != (1, SEQUENCE) && (version, id.tag) != (3, asn1::context(0)) {
            return Err(NotDer);
        }
        let hash = info.expect(SEQUENCE)?.raw;
        let attributes = info.optional(asn1::context_constructed(0))?.map(|set| set.content);
        let algorithm = info.expect(SEQUENCE)?.raw;
        let signature = info.expect(OCTET_STRING)?.content;
        // Unsigned attributes, countersignatures of time among them: not looked at.
        info.optional(asn1::context_constructed(1))?;
        info.finish()?;
        Ok(Self { id, hash, algorithm, attributes, signature })
    }

    fn names(&self, certificate: &Certificate) -> bool {
        match self.id.tag {
            SEQUENCE => self.id.raw == certificate.issuer_and_serial(),
            tag if tag == asn1::context(0) => self.id.content == certificate.key_identifier(),
            _ => false,
        }
    }

    /// The one value of an attribute.
    fn attribute(&self, wanted: ObjectIdentifier) -> Result<Option<&'a [u8]>, NotDer> {
        let mut attributes = Reader::new(self.attributes.unwrap_or_default());
        let mut found = None;
        while !attributes.is_empty() {
            let mut attribute = attributes.sequence()?;
            let oid = attribute.oid()?;
            let mut values = attribute.inside(SET)?;
            attribute.finish()?;
            if oid == wanted {
                let value = values.next()?.raw;
                values.finish()?;
                // 5.3: an attribute is there once, and these have one value.
                if found.replace(value).is_some() {
                    return Err(NotDer);
                }
            }
        }
        Ok(found)
    }

    fn verify(
        &self,
        signer: &Certificate,
        content_type: ObjectIdentifier,
        digest: Digest,
    ) -> Result<(), CmsError> {
        let scheme = algorithm::read_signer_info_signature(self.algorithm, digest.alg());
        let scheme = scheme.ok_or(CmsError::Algorithm)?;
        let to_sign = match self.attributes {
            None => ToSign::Digest(digest),
            Some(attributes) => {
                let is = |oid, want: Vec<u8>| Ok::<_, NotDer>(self.attribute(oid)? == Some(want.as_slice()));
                // 11.1 and 11.2: both must be there, and be about this content.
                if !is(ID_CONTENT_TYPE, asn1::oid(&content_type))?
                    || !is(ID_MESSAGE_DIGEST, asn1::octet_string(digest.as_bytes()))?
                {
                    return Err(CmsError::OtherContent);
                }
                ToSign::of_message(scheme, &asn1::element(SET, &[attributes]))
            }
        };
        let key = signer.public_key();
        let signature = algorithm::decode(self.signature, key).ok_or(CmsError::Invalid)?;
        signer.verify_with_key(scheme, &to_sign, &signature).map_err(|_| CmsError::Invalid)
    }
}
