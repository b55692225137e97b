//! Root metadata, and what a role is: keys and a threshold (specification 4.3).

use std::collections::{BTreeMap, BTreeSet};

use crate::key::{Key, PublicValue};
use crate::metadata::{Kind, MetadataError};
use crate::shape::{Members, bad, distinct_texts, object, object_member, positive};

/// Keys by key id.
pub type Keys = BTreeMap<String, Key>;

/// Who may sign: so many distinct keys of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Ids of keys, in the order of the metadata, none twice.
    pub keyids: Vec<String>,
    /// How many must sign, from 1 up. More than there are keys can never be met.
    pub threshold: u64,
}

/// A view of root metadata.
#[derive(Clone, Debug)]
pub struct Root {
    /// Every key that a role names, and maybe others.
    pub keys: Keys,
    root: Role,
    timestamp: Role,
    snapshot: Role,
    targets: Role,
    /// Whether files are served under names with their version or hash.
    pub consistent_snapshot: bool,
}

impl Role {
    pub(crate) fn read(members: &Members) -> Result<Self, MetadataError> {
        Ok(Self { keyids: distinct_texts(members, "keyids")?, threshold: positive(members, "threshold")? })
    }

    /// The role's keys that `keys` has, with their ids.
    pub fn keys<'a>(&'a self, keys: &'a Keys) -> impl Iterator<Item = (&'a str, &'a Key)> {
        self.keyids.iter().filter_map(|keyid| Some((keyid.as_str(), keys.get(keyid)?)))
    }

    /// The role's public keys, however they are named.
    pub fn public_values<'a>(&'a self, keys: &'a Keys) -> BTreeSet<&'a PublicValue> {
        self.keys(keys).map(|(_, key)| key.public_value()).collect()
    }

    /// The role's keys as [`Key::is_same`] tells them apart, however they are named: public value and scheme.
    pub fn identities<'a>(&'a self, keys: &'a Keys) -> BTreeSet<(&'a PublicValue, &'a str)> {
        self.keys(keys).map(|(_, key)| (key.public_value(), key.scheme())).collect()
    }
}

impl Root {
    pub(crate) fn read(signed: &Members) -> Result<Self, MetadataError> {
        let roles = object_member(signed, "roles")?;
        let role = |kind: Kind| {
            let role = roles.get(kind.as_str()).ok_or_else(|| bad(kind.as_str(), "among the roles"))?;
            Role::read(object(role, kind.as_str())?)
        };
        let consistent_snapshot = match signed.get("consistent_snapshot") {
            None => false,
            Some(value) => value.as_bool().ok_or_else(|| bad("consistent_snapshot", "true or false"))?,
        };
        Ok(Self {
            keys: read_keys(object_member(signed, "keys")?)?,
            root: role(Kind::Root)?,
            timestamp: role(Kind::Timestamp)?,
            snapshot: role(Kind::Snapshot)?,
            targets: role(Kind::Targets)?,
            consistent_snapshot,
        })
    }

    /// A top-level role.
    pub fn role(&self, kind: Kind) -> &Role {
        match kind {
            Kind::Root => &self.root,
            Kind::Timestamp => &self.timestamp,
            Kind::Snapshot => &self.snapshot,
            Kind::Targets => &self.targets,
        }
    }

    /// Whether a public key of this role is no longer one of it in `newer`.
    pub fn loses_keys(&self, newer: &Self, kind: Kind) -> bool {
        let kept = newer.role(kind).public_values(&newer.keys);
        !self.role(kind).public_values(&self.keys).is_subset(&kept)
    }

    /// Whether this role has the same keys in `other`, used in the same way, however they are named. A key with
    /// another scheme is another: its signatures of before do not verify any more.
    pub fn has_same_keys(&self, other: &Self, kind: Kind) -> bool {
        self.role(kind).identities(&self.keys) == other.role(kind).identities(&other.keys)
    }
}

pub(crate) fn read_keys(members: &Members) -> Result<Keys, MetadataError> {
    members.iter().map(|(keyid, key)| Ok((keyid.clone(), Key::from_value(key)?))).collect()
}
