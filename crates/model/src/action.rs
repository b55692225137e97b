//! What may be done, and to what.

use std::fmt;
use std::str::FromStr;

use crate::name::{BadName, KeyName};

/// Something that policy can allow. Text form `SUBJECT:VERB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is its own text form, listed in docs/surfaces/native.md")]
pub enum Action {
    KeyCreate,
    KeyRead,
    KeyImport,
    KeySign,
    KeyRetire,
    KeyRevoke,
    KeyExport,
    PrincipalRead,
    PrincipalWrite,
    PolicyRead,
    PolicyWrite,
    LogRead,
    MetricsRead,
    AuthorityRead,
    AuthorityWrite,
    AuthoritySign,
    TagRead,
    TagWrite,
    CollectionAdmin,
    TufRead,
    TufWrite,
    TufSign,
    TufDelete,
    AttestationWrite,
    AttestationModerate,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 25] = [
        Self::KeyCreate,
        Self::KeyRead,
        Self::KeyImport,
        Self::KeySign,
        Self::KeyRetire,
        Self::KeyRevoke,
        Self::KeyExport,
        Self::PrincipalRead,
        Self::PrincipalWrite,
        Self::PolicyRead,
        Self::PolicyWrite,
        Self::LogRead,
        Self::MetricsRead,
        Self::AuthorityRead,
        Self::AuthorityWrite,
        Self::AuthoritySign,
        Self::TagRead,
        Self::TagWrite,
        Self::CollectionAdmin,
        Self::TufRead,
        Self::TufWrite,
        Self::TufSign,
        Self::TufDelete,
        Self::AttestationWrite,
        Self::AttestationModerate,
    ];

    /// The text form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KeyCreate => "key:create",
            Self::KeyRead => "key:read",
            Self::KeyImport => "key:import",
            Self::KeySign => "key:sign",
            Self::KeyRetire => "key:retire",
            Self::KeyRevoke => "key:revoke",
            Self::KeyExport => "key:export",
            Self::PrincipalRead => "principal:read",
            Self::PrincipalWrite => "principal:write",
            Self::PolicyRead => "policy:read",
            Self::PolicyWrite => "policy:write",
            Self::LogRead => "log:read",
            Self::MetricsRead => "metrics:read",
            Self::AuthorityRead => "authority:read",
            Self::AuthorityWrite => "authority:write",
            Self::AuthoritySign => "authority:sign",
            Self::TagRead => "tag:read",
            Self::TagWrite => "tag:write",
            Self::CollectionAdmin => "collection:admin",
            Self::TufRead => "tuf:read",
            Self::TufWrite => "tuf:write",
            Self::TufSign => "tuf:sign",
            Self::TufDelete => "tuf:delete",
            Self::AttestationWrite => "attestation:write",
            Self::AttestationModerate => "attestation:moderate",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Action {
    type Err = BadName;
    fn from_str(s: &str) -> Result<Self, BadName> {
        Self::ALL
            .into_iter()
            .find(|action| action.as_str() == s)
            .ok_or_else(|| BadName::new("action", s, "such as `key:sign` or `policy:read`"))
    }
}

/// What an action is done to: `key:NAME`, `principal:NAME`, `policy`, `log:ORIGIN`, …
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource(String);

impl Resource {
    /// What resources with a name are.
    pub(crate) const KINDS: [&str; 7] = ["key", "authority", "tag", "tuf", "collection", "principal", "log"];

    /// A key.
    pub fn key(name: &KeyName) -> Self {
        Self(format!("key:{name}"))
    }

    /// A principal.
    pub fn principal(name: &str) -> Self {
        Self(format!("principal:{name}"))
    }

    /// A log.
    pub fn log(origin: &str) -> Self {
        Self(format!("log:{origin}"))
    }

    /// An authority.
    pub fn authority(name: &str) -> Self {
        Self(format!("authority:{name}"))
    }

    /// A tag.
    pub fn tag(name: &str) -> Self {
        Self(format!("tag:{name}"))
    }

    /// The policy itself.
    pub fn policy() -> Self {
        Self("policy".into())
    }

    /// The metrics.
    pub fn metrics() -> Self {
        Self("metrics".into())
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key that is named, if it is one.
    pub fn as_key(&self) -> Option<KeyName> {
        self.0.strip_prefix("key:")?.parse().ok()
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Resource {
    type Err = BadName;
    fn from_str(s: &str) -> Result<Self, BadName> {
        let ok = match s.split_once(':') {
            Some(("key", name)) => name.parse::<KeyName>().is_ok(),
            Some((kind, name)) => {
                Self::KINDS.contains(&kind)
                    && (1..=300).contains(&name.len())
                    && !name.bytes().any(|b| b.is_ascii_control())
            }
            None => matches!(s, "policy" | "metrics"),
        };
        let rule = "`KIND:NAME` such as `key:release`, or `policy` or `metrics`";
        if ok { Ok(Self(s.into())) } else { Err(BadName::new("resource", s, rule)) }
    }
}
