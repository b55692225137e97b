//! Surfaces: families of endpoints that one kind of client speaks.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::name::BadName;

/// A family of endpoints. The signing log names it in every entry; a key may belong to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Surface {
    /// `/countersign/v1`: our own API.
    Native,
    /// balenaSign's clients.
    Appliance,
    /// Kinto's clients.
    Collections,
    /// Autograph's clients.
    Autograph,
    /// RSTUF's clients and any TUF client.
    Tuf,
    /// stags' clients.
    Tags,
    /// signet's clients.
    Attestations,
    /// The web console.
    Console,
    /// The transparency logs themselves: their checkpoint keys.
    Log,
}

impl Surface {
    /// All surfaces, in the order of the mount table.
    pub const ALL: [Self; 9] = [
        Self::Native,
        Self::Appliance,
        Self::Collections,
        Self::Autograph,
        Self::Tuf,
        Self::Tags,
        Self::Attestations,
        Self::Console,
        Self::Log,
    ];

    /// The name used in the log, in key names and in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Appliance => "appliance",
            Self::Collections => "collections",
            Self::Autograph => "autograph",
            Self::Tuf => "tuf",
            Self::Tags => "tags",
            Self::Attestations => "attestations",
            Self::Console => "console",
            Self::Log => "log",
        }
    }

    /// Whether policy judges the person who asks. Elsewhere the surface has permissions of its own, and
    /// policy judges the principal `surface:NAME` in the person's place.
    pub fn judges_people(self) -> bool {
        matches!(self, Self::Native | Self::Appliance | Self::Autograph)
    }

    /// Whether keys can belong to it (`key:SURFACE/ID`). Native keys have plain names.
    pub fn owns_keys(self) -> bool {
        !matches!(self, Self::Native | Self::Console)
    }
}

impl fmt::Display for Surface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Surface {
    type Err = BadName;
    fn from_str(s: &str) -> Result<Self, BadName> {
        Self::ALL
            .into_iter()
            .find(|surface| surface.as_str() == s)
            .ok_or_else(|| BadName::new("surface", s, "such as `native`, `appliance` or `tuf`"))
    }
}
