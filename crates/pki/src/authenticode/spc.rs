//! SpcIndirectDataContent: what an Authenticode signature signs in place of the image.
//!
//! ```text
//! SEQUENCE { SEQUENCE { SPC_PE_IMAGE_DATA, SpcPeImageData }, DigestInfo { sha256, digest of the image } }
//! ```

use const_oid::ObjectIdentifier;
use countersign_model::{Digest, HashAlg};

use crate::algorithm::{self, Parameters};
use crate::asn1::{self, OCTET_STRING, Reader};
use crate::cms::CmsError;

/// SPC_INDIRECT_DATA_OBJID.
pub(super) const INDIRECT_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.4");

/// SPC_PE_IMAGE_DATA_OBJID.
const PE_IMAGE_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.15");

/// What stands where there once was a file's name.
const OBSOLETE: &str = "<<<Obsolete>>>";

/// The content for an image with this digest, SHA-256.
pub(super) fn indirect_data(image: &Digest) -> Vec<u8> {
    let name: Vec<u8> = OBSOLETE.encode_utf16().flat_map(u16::to_be_bytes).collect();
    // SpcLink [2] EXPLICIT is a choice, SpcString [0] IMPLICIT a BMPString.
    let link = asn1::element(asn1::context_constructed(2), &[&asn1::element(asn1::context(0), &[&name])]);
    let file = asn1::element(asn1::context_constructed(0), &[&link]);
    let image_data = asn1::sequence(&[&asn1::bit_string(&[]), &file]);
    let data = asn1::sequence(&[&asn1::oid(&PE_IMAGE_DATA), &image_data]);
    let hash = algorithm::hash(HashAlg::Sha256, Parameters::Null);
    asn1::sequence(&[&data, &asn1::sequence(&[&hash, &asn1::octet_string(image.as_bytes())])])
}

/// SHA-256 of what is inside the content's SEQUENCE, without its tag and length (PKCS#7, 9.3).
pub(super) fn content_digest(content: &[u8]) -> Result<Digest, CmsError> {
    let mut reader = Reader::new(content);
    let inside = reader.expect(asn1::SEQUENCE)?.content;
    reader.finish()?;
    Ok(HashAlg::Sha256.digest(inside))
}

/// The image's digest in a content; `None` if it is of another kind or hash.
pub(super) fn image_digest(content: &[u8]) -> Option<&[u8]> {
    let mut outer = Reader::new(content);
    let mut inside = outer.sequence().ok()?;
    let mut data = inside.sequence().ok()?;
    let mut info = inside.sequence().ok()?;
    inside.finish().ok()?;
    let hash = info.expect(asn1::SEQUENCE).ok()?.raw;
    let digest = info.expect(OCTET_STRING).ok()?.content;
    info.finish().ok()?;
    let right = data.oid() == Ok(PE_IMAGE_DATA) && algorithm::read_hash(hash) == Some(HashAlg::Sha256);
    right.then_some(digest)
}

/// The first element of DER, without the zeros after it.
pub(super) fn first_element(bytes: &[u8]) -> Option<&[u8]> {
    Reader::new(bytes).expect(asn1::SEQUENCE).ok().map(|element| element.raw)
}
