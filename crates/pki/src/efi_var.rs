//! Authenticated updates of the UEFI variables PK, KEK, db and dbx (UEFI 2.10, 8.2.2): `.auth` files.
//!
//! ```text
//! EFI_VARIABLE_AUTHENTICATION_2: EFI_TIME (16 bytes), then
//! WIN_CERTIFICATE_UEFI_GUID:     dwLength u32, wRevision 0x0200, wCertificateType 0x0ef1, pkcs7 GUID,
//!                                SignedData in DER, without ContentInfo, detached, with the certificate
//! the signature lists:           what the variable becomes, or what is appended to it
//! ```
//!
//! Signed is: name in UTF-16LE without NUL ‖ vendor GUID ‖ attributes u32 ‖ EFI_TIME ‖ lists. So an update
//! made to replace is no update to append.

mod time;

use const_oid::db::rfc5911::ID_DATA;
use countersign_model::digest::Hasher;
use countersign_model::{Digest, HashAlg, KeyType, RawSignature, Scheme, ToSign};

use crate::algorithm::Parameters;
use crate::cms::{self, CmsError, Embed, SignedData, Spec, Wrapping};
use crate::esl::{EslError, Guid, SignatureDatabase};
use crate::x509::Certificate;

pub use time::EfiTime;

const SCHEME: Scheme = Scheme::RsaPkcs1(HashAlg::Sha256);

/// `EFI_GLOBAL_VARIABLE`: PK and KEK.
pub const GLOBAL_VARIABLE: Guid =
    Guid::new(0x8be4df61, 0x93ca, 0x11d2, [0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c]);

/// `EFI_IMAGE_SECURITY_DATABASE`: db and dbx.
pub const IMAGE_SECURITY_DATABASE: Guid =
    Guid::new(0xd719b2cb, 0x3d3a, 0x4596, [0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f]);

/// `EFI_CERT_TYPE_PKCS7`.
const CERT_TYPE_PKCS7: Guid =
    Guid::new(0x4aafd29d, 0x68df, 0x49ee, [0x8a, 0xa9, 0x34, 0x7d, 0x37, 0x56, 0x65, 0xa7]);

/// Bytes of a `WIN_CERTIFICATE_UEFI_GUID` before its data.
const CERTIFICATE_HEAD: usize = 24;

/// `wRevision`.
const REVISION: u16 = 0x0200;

/// `WIN_CERT_TYPE_EFI_GUID`.
const TYPE_EFI_GUID: u16 = 0x0ef1;

/// Non-volatile, for boot services and run time, authenticated by time.
const ATTRIBUTES: u32 = 0x27;

/// `EFI_VARIABLE_APPEND_WRITE`.
const APPEND_WRITE: u32 = 0x40;

/// Why an update cannot be signed, or is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EfiVarError {
    /// The content is not signature lists.
    #[error(transparent)]
    Esl(#[from] EslError),
    /// A time outside of those that EFI_TIME has.
    #[error("the time of the update is outside the years 1900 to 9999")]
    Time,
    /// A SignedData that firmware cannot read, for its certificate is too large.
    #[error("the signer's certificate is too large for firmware")]
    TooLarge,
    /// Not an update as the module's documentation draws it.
    #[error("not an authenticated variable update: {0}")]
    Malformed(&'static str),
    /// The SignedData cannot be made or is not accepted.
    #[error(transparent)]
    Cms(#[from] CmsError),
}

impl EfiVarError {
    /// One sentence for the person who reads the terminal or the log.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Esl(error) => error.hint(),
            Self::Time => "set the clock",
            Self::TooLarge => "use a certificate of a few kilobytes",
            Self::Malformed(_) => "give the `.auth` file, not the signature lists or the certificate",
            Self::Cms(CmsError::OtherContent | CmsError::Invalid) => {
                "lists, time, variable or kind of update are not those that were signed: do not write it"
            }
            Self::Cms(error) => error.hint(),
        }
    }
}

/// A variable of secure boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Variable {
    /// The platform key: signs PK and KEK.
    Pk,
    /// Key exchange keys: sign db and dbx.
    Kek,
    /// What may start.
    Db,
    /// What may not, whatever db says.
    Dbx,
}

impl Variable {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pk, Self::Kek, Self::Db, Self::Dbx];

    /// The variable's name: `PK`, `KEK`, `db` or `dbx`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pk => "PK",
            Self::Kek => "KEK",
            Self::Db => "db",
            Self::Dbx => "dbx",
        }
    }

    /// The vendor GUID that its name belongs to.
    pub fn vendor(self) -> Guid {
        match self {
            Self::Pk | Self::Kek => GLOBAL_VARIABLE,
            Self::Db | Self::Dbx => IMAGE_SECURITY_DATABASE,
        }
    }
}

impl std::fmt::Display for Variable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no variable of secure boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the variables of secure boot are `PK`, `KEK`, `db` and `dbx`")]
pub struct BadVariable;

impl std::str::FromStr for Variable {
    type Err = BadVariable;

    fn from_str(text: &str) -> Result<Self, BadVariable> {
        Self::ALL.into_iter().find(|variable| variable.name() == text).ok_or(BadVariable)
    }
}

/// What an update does to the variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// Becomes the variable. Firmware takes it only if this time is later than that of the last one.
    Replace(EfiTime),
    /// Is added. Its time is zero: the same lists give the same bytes, and the variable's time stays.
    Append,
}

impl Update {
    fn time(self) -> EfiTime {
        match self {
            Self::Replace(time) => time,
            Self::Append => EfiTime::ZERO,
        }
    }

    fn attributes(self) -> u32 {
        match self {
            Self::Replace(_) => ATTRIBUTES,
            Self::Append => ATTRIBUTES | APPEND_WRITE,
        }
    }
}

/// The scheme that a key of this type signs updates with: firmware knows RSA with SHA-256.
pub fn scheme_for(key_type: KeyType) -> Option<Scheme> {
    matches!(key_type, KeyType::Rsa(_)).then_some(SCHEME)
}

/// Prepares an update of `variable`, to be signed by the key of `signer`.
///
/// Firmware wants PK and KEK signed by PK, db and dbx by a KEK; this is for the caller to choose.
///
/// # Errors
/// [`EfiVarError::Esl`] if `esl` is not signature lists up to its last byte; [`CmsError::Key`] unless
/// [`scheme_for`] gives a scheme.
pub fn prepare(
    variable: Variable,
    update: Update,
    esl: Vec<u8>,
    signer: &Certificate,
) -> Result<(ToSign, Pending), EfiVarError> {
    SignatureDatabase::parse(&esl)?;
    let spec = Spec {
        scheme: SCHEME,
        parameters: Parameters::Null,
        content_type: ID_DATA,
        encapsulated: None,
        digest: digest(variable, update.attributes(), update.time(), &esl),
        signing_time: None,
        certificate: Embed::Yes,
        wrapping: Wrapping::Bare,
    };
    let (to_sign, cms) = spec.prepare(signer)?;
    Ok((to_sign, Pending { time: update.time(), esl, cms }))
}

fn digest(variable: Variable, attributes: u32, time: EfiTime, esl: &[u8]) -> Digest {
    let mut hasher = Hasher::new(HashAlg::Sha256);
    for unit in variable.name().encode_utf16() {
        hasher.update(&unit.to_le_bytes());
    }
    hasher.update(variable.vendor().as_bytes());
    hasher.update(&attributes.to_le_bytes());
    hasher.update(time.as_bytes());
    hasher.update(esl);
    hasher.finish()
}

/// What [`finish`](Self::finish) will need when the signature is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    time: EfiTime,
    esl: Vec<u8>,
    cms: cms::Pending,
}

impl Pending {
    /// The scheme that the key signs with.
    pub fn scheme(&self) -> Scheme {
        self.cms.scheme()
    }

    /// The update. Does not check the signature: release it only after [`verify`].
    ///
    /// # Errors
    /// [`CmsError::SignatureLength`] if `raw` is not a signature of the key's type;
    /// [`EfiVarError::TooLarge`] beyond what firmware reads.
    pub fn finish(self, raw: RawSignature) -> Result<Vec<u8>, EfiVarError> {
        let der = self.cms.finish(raw)?;
        // Firmware tells a bare SignedData by these two octets, which hold for 256 to 65535 bytes.
        if !der.starts_with(&[0x30, 0x82]) {
            return Err(EfiVarError::TooLarge);
        }
        let length = u32::try_from(CERTIFICATE_HEAD + der.len()).map_err(|_| EfiVarError::TooLarge)?;
        let mut auth = Vec::with_capacity(16 + CERTIFICATE_HEAD + der.len() + self.esl.len());
        auth.extend_from_slice(self.time.as_bytes());
        auth.extend_from_slice(&length.to_le_bytes());
        auth.extend_from_slice(&REVISION.to_le_bytes());
        auth.extend_from_slice(&TYPE_EFI_GUID.to_le_bytes());
        auth.extend_from_slice(CERT_TYPE_PKCS7.as_bytes());
        auth.extend_from_slice(&der);
        auth.extend_from_slice(&self.esl);
        Ok(auth)
    }
}

/// An update, taken apart. That it exists says nothing about whether it verifies: see [`verify`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthenticatedVariable<'a> {
    /// When, or zero.
    pub time: EfiTime,
    /// The SignedData in DER.
    pub cms: &'a [u8],
    /// The signature lists.
    pub esl: &'a [u8],
}

impl<'a> AuthenticatedVariable<'a> {
    /// Reads an update. The lists in it may be empty: such updates delete a variable.
    ///
    /// # Errors
    /// [`EfiVarError::Malformed`].
    pub fn parse(auth: &'a [u8]) -> Result<Self, EfiVarError> {
        let cut_off = EfiVarError::Malformed("it is cut off");
        let (time, rest) = auth.split_first_chunk::<16>().ok_or(cut_off)?;
        let time = EfiTime::from_bytes(*time).ok_or(EfiVarError::Malformed("its time is not one"))?;
        let (head, _) = rest.split_first_chunk::<CERTIFICATE_HEAD>().ok_or(cut_off)?;
        let [l0, l1, l2, l3, r0, r1, t0, t1, guid @ ..] = *head;
        let length = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).map_err(|_| cut_off)?;
        if (u16::from_le_bytes([r0, r1]), u16::from_le_bytes([t0, t1])) != (REVISION, TYPE_EFI_GUID)
            || guid != *CERT_TYPE_PKCS7.as_bytes()
        {
            return Err(EfiVarError::Malformed("its certificate is not a SignedData"));
        }
        let cms = rest.get(CERTIFICATE_HEAD..length).ok_or(cut_off)?;
        Ok(Self { time, cms, esl: &rest[length..] })
    }
}

/// Checks that `auth` is an update of `variable` signed by `signer`, and says of which kind.
///
/// # Errors
/// [`EfiVarError`].
pub fn verify(auth: &[u8], variable: Variable, signer: &Certificate) -> Result<Update, EfiVarError> {
    let parsed = AuthenticatedVariable::parse(auth)?;
    SignatureDatabase::parse(parsed.esl)?;
    let signed = SignedData::parse(parsed.cms)?;
    // Newer firmware takes both, the standard and older firmware this one.
    signed.expect(Wrapping::Bare)?;
    signed.expect_detached_data()?;
    // The attributes are not in the file: they are those that verify.
    let as_update = |attributes| {
        let digest = |hash| match hash {
            HashAlg::Sha256 => Ok(digest(variable, attributes, parsed.time, parsed.esl)),
            _ => Err(CmsError::Algorithm),
        };
        signed.verify(signer, digest)
    };
    match as_update(ATTRIBUTES) {
        Ok(()) => Ok(Update::Replace(parsed.time)),
        Err(CmsError::Invalid) => {
            as_update(ATTRIBUTES | APPEND_WRITE)?;
            Ok(Update::Append)
        }
        Err(error) => Err(error.into()),
    }
}
