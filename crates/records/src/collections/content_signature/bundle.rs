//! The bundle: a signature and what a reader needs to find its key.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD, URL_SAFE_NO_PAD};
use countersign_model::{PublicKey, RawSignature, Scheme, ToSign};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ContentSignatureError, Mode, Profile};

/// A signature as it stands in the metadata of a collection and in the answers of Autograph. What others write
/// into it is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bundle {
    /// `r‖s` in base64, of the kind that the profile says.
    pub signature: String,
    /// Where the chain of certificates is, as PEM; empty if the key is known otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x5u: Option<String>,
    /// The [`Mode`]; `p384ecdsa` where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// The key's SubjectPublicKeyInfo in base64. Whoever reads it here knows nothing about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// `contentsignature` or `contentsignaturepki`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What the signer calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer_id: Option<String>,
    /// What the signer calls this signature.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Seed: `sha384`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash_algorithm: Option<String>,
    /// Seed: [`Encoding`]. That it is there tells the profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_encoding: Option<String>,
    /// Every other member.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// How the seed writes a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `rs_base64`: the standard alphabet, with padding.
    Standard,
    /// `rs_base64url`: the URL-safe one.
    UrlSafe,
}

impl Encoding {
    /// The name in `signature_encoding`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "rs_base64",
            Self::UrlSafe => "rs_base64url",
        }
    }
}

/// Whose signature it is, for the bundle's members. What is empty is left out, but `x5u`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Signer<'a> {
    /// Where the chain is.
    pub x5u: &'a str,
    /// The key.
    pub public_key: Option<&'a PublicKey>,
    /// The signer's name for itself.
    pub id: &'a str,
    /// The signer's name for this signature.
    pub reference: &'a str,
}

/// What [`finish`](Self::finish) will need when the signature is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    profile: Profile,
    mode: Mode,
}

impl Pending {
    pub(super) fn new(profile: Profile, mode: Mode) -> Self {
        Self { profile, mode }
    }

    /// The scheme that the key signs with.
    pub fn scheme(&self) -> Scheme {
        self.mode.scheme()
    }

    /// The mode, which says of which type the key is.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The bundle. Does not check the signature: release it only after [`Bundle::verify`].
    ///
    /// A modern bundle has `x5u`, be it empty, and the `type` `contentsignaturepki` where it is not.
    ///
    /// # Errors
    /// [`ContentSignatureError::Length`] if `raw` is not a signature of the mode.
    pub fn finish(self, raw: &RawSignature, signer: Signer<'_>) -> Result<Bundle, ContentSignatureError> {
        check_length(self.mode, &raw.0)?;
        Ok(match self.profile {
            Profile::Modern => Bundle {
                signature: URL_SAFE_NO_PAD.encode(&raw.0),
                x5u: Some(signer.x5u.to_owned()),
                mode: Some(self.mode.as_str().to_owned()),
                public_key: signer.public_key.map(|key| STANDARD.encode(key.spki())),
                kind: Some(if signer.x5u.is_empty() { PLAIN } else { WITH_CHAIN }.to_owned()),
                signer_id: some(signer.id),
                reference: some(signer.reference),
                ..Bundle::default()
            },
            Profile::Seed => Bundle {
                signature: STANDARD.encode(&raw.0),
                hash_algorithm: Some(self.mode.hash().as_str().to_owned()),
                signature_encoding: Some(Encoding::Standard.as_str().to_owned()),
                ..Bundle::default()
            },
        })
    }
}

const PLAIN: &str = "contentsignature";
const WITH_CHAIN: &str = "contentsignaturepki";

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn check_length(mode: Mode, raw: &[u8]) -> Result<(), ContentSignatureError> {
    let want = mode.key_type().ecdsa_width().map_or(0, |width| 2 * width);
    if raw.len() == want { Ok(()) } else { Err(ContentSignatureError::Length { want, got: raw.len() }) }
}

impl Bundle {
    /// Which bytes it says are signed.
    pub fn profile(&self) -> Profile {
        if self.signature_encoding.is_some() { Profile::Seed } else { Profile::Modern }
    }

    /// The mode.
    ///
    /// # Errors
    /// [`ContentSignatureError::Mode`], [`ContentSignatureError::Encoding`] for an unknown hash.
    pub fn mode(&self) -> Result<Mode, ContentSignatureError> {
        match (&self.mode, &self.hash_algorithm) {
            (Some(name), _) => {
                Mode::of_name(name).ok_or_else(|| ContentSignatureError::Mode(name.to_owned()))
            }
            (None, Some(hash)) => Mode::ALL
                .into_iter()
                .find(|mode| mode.hash().as_str() == hash)
                .ok_or_else(|| ContentSignatureError::Encoding(hash.to_owned())),
            (None, None) => Ok(Mode::default()),
        }
    }

    /// Where the chain of certificates is, if the bundle says so.
    pub fn x5u(&self) -> Option<&str> {
        self.x5u.as_deref().filter(|x5u| !x5u.is_empty())
    }

    /// The signature as `r‖s`.
    ///
    /// # Errors
    /// [`ContentSignatureError::Encoding`], [`ContentSignatureError::Base64`], [`ContentSignatureError::Length`],
    /// [`ContentSignatureError::Mode`].
    pub fn raw(&self) -> Result<RawSignature, ContentSignatureError> {
        let engine = match self.signature_encoding.as_deref() {
            None => &URL_SAFE,
            Some(name) if name == Encoding::UrlSafe.as_str() => &URL_SAFE,
            Some(name) if name == Encoding::Standard.as_str() => &STANDARD,
            Some(name) => return Err(ContentSignatureError::Encoding(name.to_owned())),
        };
        let raw = engine.decode(&self.signature).map_err(|_| ContentSignatureError::Base64)?;
        check_length(self.mode()?, &raw)?;
        Ok(RawSignature(raw))
    }

    /// Checks the signature by a key. `to_sign`: the digest of the message in the bundle's profile and mode, from
    /// [`Writer`](super::Writer) or [`prepare`](super::prepare).
    ///
    /// # Errors
    /// [`ContentSignatureError`].
    pub fn verify(&self, key: &PublicKey, to_sign: &ToSign) -> Result<(), ContentSignatureError> {
        let mode = self.mode()?;
        if key.key_type() != mode.key_type() {
            return Err(ContentSignatureError::Key { key_type: key.key_type(), mode });
        }
        let raw = self.raw()?;
        key.verify(mode.scheme(), to_sign, &raw).map_err(|_| ContentSignatureError::Invalid)
    }
}

/// Autograph leaves the padding out, others write it.
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
