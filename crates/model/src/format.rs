//! Formats: how a signature is written.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::name::BadName;
use crate::scheme::Scheme;

/// How a signature is written. A key can be limited to some; policy rules can name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the names are the documentation: each is a format of its own crate")]
pub enum Format {
    /// A bare signature over bytes of the caller's choice.
    Raw,
    /// A bare RSA signature without DigestInfo: never implied, a rule must name it literally.
    RawUnprefixed,
    Tag,
    Openpgp,
    X509,
    Cms,
    Authenticode,
    EfiVar,
    Kmod,
    RpiEeprom,
    Hab,
    Ahab,
    ContentSignature,
    Tuf,
    Attestation,
    Dsse,
    Sshsig,
    Checkpoint,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 18] = [
        Self::Raw,
        Self::RawUnprefixed,
        Self::Tag,
        Self::Openpgp,
        Self::X509,
        Self::Cms,
        Self::Authenticode,
        Self::EfiVar,
        Self::Kmod,
        Self::RpiEeprom,
        Self::Hab,
        Self::Ahab,
        Self::ContentSignature,
        Self::Tuf,
        Self::Attestation,
        Self::Dsse,
        Self::Sshsig,
        Self::Checkpoint,
    ];

    /// The text form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::RawUnprefixed => "raw-unprefixed",
            Self::Tag => "tag",
            Self::Openpgp => "openpgp",
            Self::X509 => "x509",
            Self::Cms => "cms",
            Self::Authenticode => "authenticode",
            Self::EfiVar => "efi-var",
            Self::Kmod => "kmod",
            Self::RpiEeprom => "rpi-eeprom",
            Self::Hab => "hab",
            Self::Ahab => "ahab",
            Self::ContentSignature => "content-signature",
            Self::Tuf => "tuf",
            Self::Attestation => "attestation",
            Self::Dsse => "dsse",
            Self::Sshsig => "sshsig",
            Self::Checkpoint => "checkpoint",
        }
    }

    /// The format of a native sign request: `raw`, or `raw-unprefixed` with the scheme of that kind.
    pub fn of_native(scheme: Scheme) -> Self {
        if scheme == Scheme::RsaPkcs1Raw { Self::RawUnprefixed } else { Self::Raw }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = BadName;
    fn from_str(s: &str) -> Result<Self, BadName> {
        Self::ALL
            .into_iter()
            .find(|format| format.as_str() == s)
            .ok_or_else(|| BadName::new("format", s, "such as `raw`, `tag`, `openpgp` or `tuf`"))
    }
}
