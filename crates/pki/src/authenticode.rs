//! Authenticode signatures of PE images: EFI programs, kernels with an EFI stub.
//!
//! ```text
//! headers … sections … data after them, zeros up to a multiple of 8
//! certificate table:  WIN_CERTIFICATE: dwLength u32, 0x0200, 0x0002, SignedData in DER, zeros up to 8
//!                     and any number more
//! ```
//!
//! The signature covers a SpcIndirectDataContent, that is the image's digest ([`PeImage::digest`]), through
//! signed attributes. An image that is signed already gets one more: the digest leaves the table out, so
//! all stay valid. Firmware, shim and `sbverify` look at each; the kernel's kexec wants a table of one.
//!
//! Follows "Windows Authenticode Portable Executable Signature Format" 1.0 and `sbsign`.

mod pe;
mod spc;

use countersign_model::{Digest, HashAlg, KeyType, RawSignature, Scheme, ToSign};
use jiff::Timestamp;

use crate::algorithm::Parameters;
use crate::cms::{self, CmsError, Embed, SignedData, Spec, Wrapping};
use crate::x509::{Certificate, X509Error};

pub use pe::{PeError, PeImage};

const SCHEME: Scheme = Scheme::RsaPkcs1(HashAlg::Sha256);

/// The longest chain that [`verify`] follows from a signer to the certificate that is trusted.
const MAX_CHAIN: usize = 5;

/// Why an image cannot be signed, or its signatures are not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthenticodeError {
    /// Not a PE image, or a damaged one.
    #[error(transparent)]
    Pe(#[from] PeError),
    /// A SignedData that firmware cannot read, for its certificate is too large.
    #[error("the signer's certificate is too large for firmware")]
    TooLarge,
    /// The image has no signature.
    #[error("the image is not signed")]
    NotSigned,
    /// The signature does not say SHA-256 of an image.
    #[error("the signature is not one of a PE image by SHA-256")]
    Content,
    /// The SignedData cannot be made or is not accepted.
    #[error(transparent)]
    Cms(#[from] CmsError),
}

impl AuthenticodeError {
    /// One sentence for the person who reads the terminal or the log.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Pe(error) => error.hint(),
            Self::TooLarge => "use a certificate of a few kilobytes",
            Self::NotSigned => "sign it with `countersign sign --format authenticode`",
            Self::Content => "sign the image again: firmware takes nothing else",
            Self::Cms(error) => error.hint(),
        }
    }
}

/// The scheme that a key of this type signs images with: firmware knows RSA with SHA-256.
pub fn scheme_for(key_type: KeyType) -> Option<Scheme> {
    matches!(key_type, KeyType::Rsa(_)).then_some(SCHEME)
}

/// Prepares `image` to be signed by the key of `signer`, or signed once more.
///
/// # Errors
/// [`AuthenticodeError::Pe`] for anything but a whole image; [`CmsError::Key`] unless [`scheme_for`] gives
/// a scheme.
pub fn prepare(
    image: Vec<u8>,
    signer: &Certificate,
    signing_time: Timestamp,
) -> Result<(ToSign, Pending), AuthenticodeError> {
    let digest = PeImage::parse(&image)?.digest();
    let (to_sign, signature) = prepare_digest(digest, signer, signing_time)?;
    Ok((to_sign, Pending { image, signature }))
}

/// Prepares the signature of an image of which only the [digest](PeImage::digest) is here; what is made goes
/// into the image elsewhere, by [`attach`].
///
/// # Errors
/// [`CmsError::Key`] unless [`scheme_for`] gives a scheme, [`CmsError::Hash`] for a digest of another hash.
pub fn prepare_digest(
    digest: Digest,
    signer: &Certificate,
    signing_time: Timestamp,
) -> Result<(ToSign, PendingSignature), AuthenticodeError> {
    let image = cms::Content::Digest(digest).digest(HashAlg::Sha256)?;
    let content = spc::indirect_data(&image);
    let spec = Spec {
        scheme: SCHEME,
        parameters: Parameters::Null,
        content_type: spc::INDIRECT_DATA,
        encapsulated: Some(&content),
        digest: spc::content_digest(&content)?,
        signing_time: Some(signing_time),
        certificate: Embed::Yes,
        wrapping: Wrapping::ContentInfo,
    };
    let (to_sign, cms) = spec.prepare(signer)?;
    Ok((to_sign, PendingSignature { cms }))
}

/// What [`finish`](Self::finish) will need when the signature is there: the image itself among it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    image: Vec<u8>,
    signature: PendingSignature,
}

impl Pending {
    /// The scheme that the key signs with.
    pub fn scheme(&self) -> Scheme {
        self.signature.scheme()
    }

    /// The signed image: nothing but CheckSum, the directory's entry and what is appended differs. Does not
    /// check the signature: release it only after [`verify`].
    ///
    /// # Errors
    /// [`CmsError::SignatureLength`] if `raw` is not a signature of the key's type; as [`attach`].
    pub fn finish(self, raw: RawSignature) -> Result<Vec<u8>, AuthenticodeError> {
        attach(self.image, &self.signature.finish(raw)?)
    }
}

/// What [`finish`](Self::finish) will need when the signature is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingSignature {
    cms: cms::Pending,
}

impl PendingSignature {
    /// The scheme that the key signs with.
    pub fn scheme(&self) -> Scheme {
        self.cms.scheme()
    }

    /// The SignedData in DER.
    ///
    /// # Errors
    /// [`CmsError::SignatureLength`] if `raw` is not a signature of the key's type;
    /// [`AuthenticodeError::TooLarge`] beyond what firmware reads.
    pub fn finish(self, raw: RawSignature) -> Result<Vec<u8>, AuthenticodeError> {
        let der = self.cms.finish(raw)?;
        // Firmware reads lengths of two octets only: 256 to 65535 bytes.
        if der.starts_with(&[0x30, 0x82]) { Ok(der) } else { Err(AuthenticodeError::TooLarge) }
    }
}

/// Puts a SignedData into the certificate table of `image`, after those that it has.
///
/// # Errors
/// [`AuthenticodeError::Pe`] for anything but a whole image; [`PeError::TooLarge`] when it would have 4 GiB.
pub fn attach(image: Vec<u8>, signature: &[u8]) -> Result<Vec<u8>, AuthenticodeError> {
    let layout = pe::Layout::parse(&image)?;
    Ok(layout.attach(image, signature)?)
}

/// Checks that one of the image's signatures is by `trusted`, or by a certificate that came along and that
/// `trusted` issued, as firmware does with a certificate in db. Firmware has no clock: validity is not
/// looked at.
///
/// # Errors
/// [`AuthenticodeError::NotSigned`] without signatures; else why the last one was not accepted.
pub fn verify(image: &[u8], trusted: &Certificate) -> Result<(), AuthenticodeError> {
    let image = PeImage::parse(image)?;
    let digest = image.digest();
    let mut verdict = Err(AuthenticodeError::NotSigned);
    for signature in image.signatures() {
        verdict = verify_digest(signature, &digest, trusted);
        if verdict.is_ok() {
            break;
        }
    }
    verdict
}

/// As [`verify`], for one signature of an image of which only the [digest](PeImage::digest) is here.
///
/// - `signature`: a SignedData in DER, with any padding after it.
///
/// # Errors
/// [`AuthenticodeError`].
pub fn verify_digest(
    signature: &[u8],
    image: &Digest,
    trusted: &Certificate,
) -> Result<(), AuthenticodeError> {
    // `dwLength` may count the padding in.
    let signed = SignedData::parse(spc::first_element(signature).ok_or(CmsError::Malformed)?)?;
    signed.expect(Wrapping::ContentInfo)?;
    let content = signed.content().filter(|_| signed.content_type() == spc::INDIRECT_DATA);
    let content = content.ok_or(AuthenticodeError::Content)?;
    if spc::image_digest(content).ok_or(AuthenticodeError::Content)? != image.as_bytes() {
        return Err(CmsError::OtherContent.into());
    }
    let digest = |hash| match hash {
        HashAlg::Sha256 => spc::content_digest(content),
        _ => Err(CmsError::Algorithm),
    };
    match signed.verify(trusted, digest) {
        Err(CmsError::NotSignedBy) => {}
        verdict => return Ok(verdict?),
    }
    let others: Vec<Certificate> =
        signed.certificates().iter().filter_map(|der| Certificate::from_der(der).ok()).collect();
    let signer = others.iter().find(|certificate| chains(certificate, &others, trusted));
    Ok(signed.verify(signer.ok_or(CmsError::NotSignedBy)?, digest)?)
}

/// Whether `trusted` issued `certificate`, or one of `others` that issued it.
fn chains(certificate: &Certificate, others: &[Certificate], trusted: &Certificate) -> bool {
    let issued = |below: &Certificate, above: &Certificate| -> bool {
        let signed: Result<(), X509Error> = below.is_signed_by(above.public_key());
        below.issuer() == above.subject() && above.is_authority() && signed.is_ok()
    };
    let mut at = certificate;
    for _ in 0..MAX_CHAIN {
        if issued(at, trusted) {
            return true;
        }
        match others.iter().find(|above| *above != at && issued(at, above)) {
            Some(above) => at = above,
            None => return false,
        }
    }
    false
}
