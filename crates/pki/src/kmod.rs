//! Signed Linux kernel modules: a signature at the end of the file.
//!
//! ```text
//! module ‖ CMS SignedData ‖ module_signature (12 bytes) ‖ "~Module signature appended~\n"
//!                           algo 0, hash 0, id_type 2, signer_len 0, key_id_len 0, 0 0 0, length of the CMS (u32be)
//! ```
//!
//! As `scripts/sign-file` of the kernel makes it (`include/linux/module_signature.h`): SHA-512, detached, no
//! certificate inside, no signed attributes (`mod_verify_sig` refuses those). Any bytes can be signed, also a
//! module that has a signature: the kernel looks at the last one.

use const_oid::db::rfc5911::ID_DATA;
use countersign_model::{Digest, HashAlg, KeyType, RawSignature, Scheme, ToSign};

use crate::algorithm::Parameters;
use crate::cms::{self, CmsError, Content, Embed, SignedData, Spec, Wrapping};
use crate::x509::Certificate;

/// What a signed module ends with.
pub const MAGIC: &[u8] = b"~Module signature appended~\n";

/// `PKEY_ID_PKCS7`, the only kind of signature that kernels still take.
const ID_TYPE_PKCS7: u8 = 2;

/// Bytes of a `module_signature`.
const TRAILER: usize = 12;

/// Why a module cannot be signed, or its signature is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KmodError {
    /// There is nothing to sign.
    #[error("the module is empty")]
    Empty,
    /// The file does not end in [`MAGIC`].
    #[error("the module is not signed")]
    NotSigned,
    /// What stands before [`MAGIC`] is no `module_signature` of PKCS#7.
    #[error("the module's signature is cut off or of an unknown kind")]
    Trailer,
    /// The signature has signed attributes.
    #[error("the module's signature has signed attributes, which kernels refuse")]
    Attributes,
    /// The SignedData cannot be made or is not accepted.
    #[error(transparent)]
    Cms(#[from] CmsError),
}

impl KmodError {
    /// One sentence for the person who reads the terminal or the log.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Empty => "give the module's file",
            Self::NotSigned => "`strip` removes the signature too: sign after stripping",
            Self::Trailer => "sign the module again",
            Self::Attributes => "sign it with `countersign sign --format kmod`, or the kernel's `sign-file`",
            Self::Cms(error) => error.hint(),
        }
    }
}

/// The scheme that a key of this type signs modules with: SHA-512 with RSA as PKCS#1 v1.5 or with ECDSA.
pub fn scheme_for(key_type: KeyType) -> Option<Scheme> {
    match key_type {
        KeyType::Rsa(_) => Some(Scheme::RsaPkcs1(HashAlg::Sha512)),
        KeyType::P256 | KeyType::P384 | KeyType::P521 => Some(Scheme::Ecdsa(HashAlg::Sha512)),
        KeyType::Secp256k1 | KeyType::Ed25519 => None,
    }
}

/// Prepares `module` to be signed by the key of `signer`.
///
/// # Errors
/// [`KmodError::Empty`]; [`CmsError::Key`] unless [`scheme_for`] gives a scheme.
pub fn prepare(module: Vec<u8>, signer: &Certificate) -> Result<(ToSign, Pending), KmodError> {
    if module.is_empty() {
        return Err(KmodError::Empty);
    }
    let digest = HashAlg::Sha512.digest(&module);
    let (to_sign, appendix) = prepare_digest(digest, signer)?;
    Ok((to_sign, Pending { module, digest, appendix }))
}

/// Prepares a module of which only the SHA-512 is here; what is made is appended to the module elsewhere.
///
/// # Errors
/// [`CmsError::Key`] unless [`scheme_for`] gives a scheme, [`CmsError::Hash`] for a digest of another hash.
pub fn prepare_digest(digest: Digest, signer: &Certificate) -> Result<(ToSign, PendingAppendix), KmodError> {
    let key_type = signer.public_key().key_type();
    let scheme = scheme_for(key_type).ok_or(CmsError::Key(key_type))?;
    let spec = Spec {
        scheme,
        parameters: Parameters::Absent,
        content_type: ID_DATA,
        encapsulated: None,
        digest: Content::Digest(digest).digest(HashAlg::Sha512)?,
        signing_time: None,
        certificate: Embed::No,
        wrapping: Wrapping::ContentInfo,
    };
    let (to_sign, cms) = spec.prepare(signer)?;
    Ok((to_sign, PendingAppendix { cms }))
}

/// What [`finish`](Self::finish) will need when the signature is there: the module itself among it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Given out by finishing only, and never written to: `digest` is its digest until then.
    module: Vec<u8>,
    digest: Digest,
    appendix: PendingAppendix,
}

impl Pending {
    /// The scheme that the key signs with.
    pub fn scheme(&self) -> Scheme {
        self.appendix.scheme()
    }

    /// The signed module. Does not check the signature: release it only after [`verify`], or use
    /// [`finish_verified`](Self::finish_verified).
    ///
    /// # Errors
    /// [`CmsError::SignatureLength`] if `raw` is not a signature of the key's type.
    pub fn finish(self, raw: RawSignature) -> Result<Vec<u8>, KmodError> {
        let appendix = self.appendix.finish(raw)?;
        let mut signed = self.module;
        signed.reserve_exact(appendix.len());
        signed.extend_from_slice(&appendix);
        Ok(signed)
    }

    /// The signed module, read and verified as [`verify`] does it, but that the module is hashed once: what stands
    /// in front of the signature was neither given out nor written to since [`prepare`] hashed it.
    ///
    /// # Errors
    /// As [`finish`](Self::finish); as [`verify`], also if `signer` is not who it was prepared for.
    pub fn finish_verified(self, raw: RawSignature, signer: &Certificate) -> Result<Vec<u8>, KmodError> {
        let (len, digest) = (self.module.len(), Content::Digest(self.digest));
        let signed = self.finish(raw)?;
        verify_with(&signed, signer, |module, hash| {
            // What was hashed is the first `len` bytes, so this is what tells whether the reader sees them and no more.
            if module.len() == len { digest.digest(hash) } else { Err(CmsError::OtherContent) }
        })?;
        Ok(signed)
    }
}

/// What [`finish`](Self::finish) will need when the signature is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingAppendix {
    cms: cms::Pending,
}

impl PendingAppendix {
    /// The scheme that the key signs with.
    pub fn scheme(&self) -> Scheme {
        self.cms.scheme()
    }

    /// What comes after the module.
    ///
    /// # Errors
    /// [`CmsError::SignatureLength`] if `raw` is not a signature of the key's type.
    pub fn finish(self, raw: RawSignature) -> Result<Vec<u8>, KmodError> {
        let mut bytes = self.cms.finish(raw)?;
        // A certificate's names are bounded, so the length has 32 bits.
        let length = u32::try_from(bytes.len()).map_err(|_| KmodError::Trailer)?;
        bytes.extend_from_slice(&[0, 0, ID_TYPE_PKCS7, 0, 0, 0, 0, 0]);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(MAGIC);
        Ok(bytes)
    }
}

/// A signed module, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedModule<'a> {
    /// What is signed.
    pub module: &'a [u8],
    /// The SignedData in DER.
    pub cms: &'a [u8],
}

impl<'a> SignedModule<'a> {
    /// Takes the last signature off.
    ///
    /// # Errors
    /// [`KmodError::NotSigned`], [`KmodError::Trailer`].
    pub fn parse(file: &'a [u8]) -> Result<Self, KmodError> {
        let rest = file.strip_suffix(MAGIC).ok_or(KmodError::NotSigned)?;
        let (rest, trailer) = rest.split_last_chunk::<TRAILER>().ok_or(KmodError::Trailer)?;
        let [0, 0, ID_TYPE_PKCS7, 0, 0, 0, 0, 0, length @ ..] = *trailer else {
            return Err(KmodError::Trailer);
        };
        let start = usize::try_from(u32::from_be_bytes(length)).ok().and_then(|n| rest.len().checked_sub(n));
        let (module, cms) = rest.split_at(start.ok_or(KmodError::Trailer)?);
        Ok(Self { module, cms })
    }
}

/// Checks that the last signature of a module is by `signer`, as a kernel with that certificate would.
///
/// # Errors
/// [`KmodError`].
pub fn verify(file: &[u8], signer: &Certificate) -> Result<(), KmodError> {
    verify_with(file, signer, |module, hash| Ok(hash.digest(module)))
}

/// - `digest`: gives the digest of the file's module.
fn verify_with(
    file: &[u8],
    signer: &Certificate,
    digest: impl Fn(&[u8], HashAlg) -> Result<Digest, CmsError>,
) -> Result<(), KmodError> {
    let signed = SignedModule::parse(file)?;
    let data = SignedData::parse(signed.cms)?;
    data.expect(Wrapping::ContentInfo)?;
    data.expect_detached_data()?;
    if data.has_attributes() {
        return Err(KmodError::Attributes);
    }
    Ok(data.verify(signer, |hash| digest(signed.module, hash))?)
}
