//! Delegations of targets metadata: roles in order, or hash bins (specification 4.5; TAP 15).

use std::collections::BTreeSet;

use countersign_model::digest::sha256;
use serde_json::Value;

use crate::bins::SuccinctRoles;
use crate::metadata::{Kind, MetadataError};
use crate::patterns::Pattern;
use crate::root::{Keys, Role, read_keys};
use crate::shape::{Members, array, bad, member, object, object_member, text, texts};

/// A view of `delegations`.
#[derive(Clone, Debug)]
pub struct Delegations {
    /// The keys of all delegated roles.
    pub keys: Keys,
    /// The roles.
    pub delegated: Delegated,
}

/// Roles by name or by hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delegated {
    /// In the order in which they are asked. No name twice, none of a top-level role.
    Roles(Vec<DelegatedRole>),
    /// Hash bins.
    Bins(SuccinctRoles),
}

/// A delegated role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DelegatedRole {
    /// Its name, any text but the empty one.
    pub name: String,
    /// Who signs it.
    pub role: Role,
    /// Whether roles after it are not asked for a path that it is trusted with.
    pub terminating: bool,
    paths: Paths,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Paths {
    Patterns(Vec<Pattern>),
    /// Beginnings of the SHA-256 of a path in hex.
    HashPrefixes(Vec<String>),
}

/// A role to ask about a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// Its name.
    pub name: String,
    /// Whether nobody else is asked after it.
    pub terminating: bool,
}

impl Delegations {
    /// Reads the member `delegations` of targets metadata.
    ///
    /// # Errors
    /// [`MetadataError`].
    pub fn from_value(value: &Value) -> Result<Self, MetadataError> {
        Self::read(object(value, "delegations")?)
    }

    pub(crate) fn read(members: &Members) -> Result<Self, MetadataError> {
        let keys = read_keys(object_member(members, "keys")?)?;
        let given = |name| members.get(name).filter(|value| !value.is_null());
        let delegated = match (given("roles"), given("succinct_roles")) {
            (Some(_), None) => Delegated::Roles(read_roles(array(members, "roles")?)?),
            (None, Some(bins)) => Delegated::Bins(SuccinctRoles::read(object(bins, "succinct_roles")?)?),
            _ => return Err(bad("delegations", "an object with either `roles` or `succinct_roles`")),
        };
        Ok(Self { keys, delegated })
    }

    /// Keys and threshold of the delegated role `name`.
    pub fn role(&self, name: &str) -> Option<&Role> {
        match &self.delegated {
            Delegated::Roles(roles) => roles.iter().find(|role| role.name == name).map(|role| &role.role),
            Delegated::Bins(bins) => bins.bin_named(name).map(|_| &bins.role),
        }
    }

    /// The roles that are trusted with `path`, in the order in which they are asked, up to a terminating one.
    pub fn roles_for(&self, path: &str) -> Vec<Child> {
        match &self.delegated {
            Delegated::Bins(bins) => vec![Child { name: bins.role_of(path), terminating: true }],
            Delegated::Roles(roles) => {
                let mut children = Vec::new();
                for role in roles.iter().filter(|role| role.takes(path)) {
                    children.push(Child { name: role.name.clone(), terminating: role.terminating });
                    if role.terminating {
                        break;
                    }
                }
                children
            }
        }
    }

    /// The role that a new artifact at `path` goes to: the first that is trusted with it.
    pub fn home_of(&self, path: &str) -> Option<String> {
        self.roles_for(path).into_iter().next().map(|child| child.name)
    }
}

impl DelegatedRole {
    fn read(value: &Value) -> Result<Self, MetadataError> {
        let members = object(value, "roles[]")?;
        let name = text(members, "name")?;
        if name.is_empty() || Kind::of_name(name).is_some() {
            return Err(bad("name", "a name other than those of the top-level roles"));
        }
        let terminating = member(members, "terminating")?.as_bool();
        let given = |name| members.get(name).filter(|value| !value.is_null()).is_some();
        let paths = match (given("paths"), given("path_hash_prefixes")) {
            (true, false) => {
                Paths::Patterns(texts(members, "paths")?.iter().map(|p| Pattern::new(p)).collect())
            }
            (false, true) => Paths::HashPrefixes(texts(members, "path_hash_prefixes")?),
            _ => return Err(bad("roles[]", "an object with either `paths` or `path_hash_prefixes`")),
        };
        Ok(Self {
            name: name.to_owned(),
            role: Role::read(members)?,
            terminating: terminating.ok_or_else(|| bad("terminating", "true or false"))?,
            paths,
        })
    }

    /// Whether the role is trusted with `path`.
    pub fn takes(&self, path: &str) -> bool {
        match &self.paths {
            Paths::Patterns(patterns) => patterns.iter().any(|pattern| pattern.matches(path)),
            Paths::HashPrefixes(prefixes) => {
                let hash = hex::encode(sha256(path.as_bytes()));
                prefixes.iter().any(|prefix| hash.starts_with(prefix))
            }
        }
    }
}

fn read_roles(values: &[Value]) -> Result<Vec<DelegatedRole>, MetadataError> {
    let roles: Vec<DelegatedRole> = values.iter().map(DelegatedRole::read).collect::<Result<_, _>>()?;
    let names: BTreeSet<&str> = roles.iter().map(|role| role.name.as_str()).collect();
    if names.len() == roles.len() {
        Ok(roles)
    } else {
        Err(bad("roles", "without a name that is there twice"))
    }
}
