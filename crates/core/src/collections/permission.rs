//! Who may do what: the permissions of an object and of those that it is in. Pure.
//!
//! ```text
//! write on an object            everything on it and on all that it is in it
//! read                          read it and all that is in it
//! K:create                      make a K in it; see that it exists (`read:attributes`)
//! ```

use std::sync::Arc;

use super::call::Permissions;
use super::object::Object;
use super::uri::Kind;

/// What somebody wants to do with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// See it. Of a bucket or collection: itself, not what is in it.
    Attributes,
    /// See it and what is in it.
    Read,
    /// Change it, or delete it.
    Write,
    /// Make one of this kind in it.
    Create(Kind),
}

/// An object and those that it is in, as far as they exist.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// The bucket.
    pub bucket: Option<Arc<Object>>,
    /// The collection.
    pub collection: Option<Arc<Object>>,
    /// A group or record.
    pub leaf: Option<Arc<Object>>,
}

/// The names of permissions that an object of this kind can have.
pub fn names(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Bucket => &["collection:create", "group:create", "read", "read:attributes", "write"],
        Kind::Collection => &["read", "record:create", "write"],
        Kind::Group | Kind::Record | Kind::History | Kind::Account => &["read", "write"],
    }
}

/// The permissions on the object itself that give `right` on it.
fn own(right: Right) -> &'static [&'static str] {
    match right {
        Right::Write => &["write"],
        Right::Read => &["write", "read"],
        Right::Attributes => {
            &["write", "read", "read:attributes", "record:create", "collection:create", "group:create"]
        }
        Right::Create(Kind::Collection) => &["write", "collection:create"],
        Right::Create(Kind::Group) => &["write", "group:create"],
        Right::Create(Kind::Record) => &["write", "record:create"],
        Right::Create(_) => &[],
    }
}

/// The permissions on what an object is in that give `right` on it.
fn inherited(right: Right) -> &'static [&'static str] {
    match right {
        Right::Write | Right::Create(_) => &["write"],
        Right::Read | Right::Attributes => &["write", "read"],
    }
}

/// Whether one of `names` is given to one of `principals`.
pub fn gives(permissions: &Permissions, names: &[&str], principals: &[String]) -> bool {
    names
        .iter()
        .filter_map(|name| permissions.get(*name))
        .any(|given| principals.iter().any(|principal| given.contains(principal.as_str())))
}

impl Place {
    /// Whether `principals` have `right` on what this is the place of: an object of `kind`, which need not exist.
    pub fn permits(&self, kind: Kind, right: Right, principals: &[String]) -> bool {
        let has = |object: &Option<Arc<Object>>, level: Kind| {
            let names = if level == kind { own(right) } else { inherited(right) };
            object.as_ref().is_some_and(|object| gives(&object.permissions, names, principals))
        };
        let in_collection = matches!(kind, Kind::Collection | Kind::Record);
        has(&self.bucket, Kind::Bucket)
            || in_collection && has(&self.collection, Kind::Collection)
            || !matches!(kind, Kind::Bucket | Kind::Collection) && has(&self.leaf, kind)
    }

    /// The object of `kind` itself.
    pub fn object(&self, kind: Kind) -> Option<&Arc<Object>> {
        match kind {
            Kind::Bucket => self.bucket.as_ref(),
            Kind::Collection => self.collection.as_ref(),
            _ => self.leaf.as_ref(),
        }
    }
}

/// All permissions that `principals` have on an object of `kind` by its own permissions: for `/permissions`.
pub fn all_of(kind: Kind, permissions: &Permissions, principals: &[String]) -> Vec<&'static str> {
    let has = |name: &str| gives(permissions, &[name], principals);
    let (write, read) = (has("write"), has("read"));
    let implied = |name: &str| write || has(name) || name == "read:attributes" && read;
    names(kind).iter().copied().filter(|name| implied(name)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;
    use crate::collections::uri::ObjectUri;

    fn with(uri: ObjectUri, permission: &str) -> Option<Arc<Object>> {
        let permissions = Permissions::from([(permission.to_owned(), ["ana".to_owned()].into())]);
        Some(Arc::new(Object::new(uri, 1, Map::new(), Arc::new(permissions)).unwrap()))
    }

    fn place(level: Kind, permission: &str) -> Place {
        let mut place = Place::default();
        match level {
            Kind::Bucket => place.bucket = with(ObjectUri::bucket("b"), permission),
            Kind::Collection => place.collection = with(ObjectUri::collection("b", "c"), permission),
            _ => place.leaf = with(ObjectUri::record("b", "c", "r"), permission),
        }
        place
    }

    /// What each permission on each level gives: section 3.1 as a table.
    #[test]
    fn permissions_are_inherited_as_the_table_says() {
        use Kind::{Bucket, Collection, Group, Record};
        use Right::{Attributes, Create, Read, Write};
        let rights = [
            (Bucket, Attributes),
            (Bucket, Read),
            (Bucket, Write),
            (Bucket, Create(Collection)),
            (Bucket, Create(Group)),
            (Group, Read),
            (Group, Write),
            (Collection, Attributes),
            (Collection, Read),
            (Collection, Write),
            (Collection, Create(Record)),
            (Record, Read),
            (Record, Write),
        ];
        for (level, permission, wanted) in [
            (Bucket, "write", "yyyyyyyyyyyyy"),
            (Bucket, "read", "yy---y-yy--y-"),
            (Bucket, "read:attributes", "y------------"),
            (Bucket, "collection:create", "y--y---------"),
            (Bucket, "group:create", "y---y--------"),
            (Collection, "write", "-------yyyyyy"),
            (Collection, "read", "-------yy--y-"),
            (Collection, "record:create", "-------y--y--"),
            (Group, "write", "-----yy------"),
            (Group, "read", "-----y-------"),
            (Record, "write", "-----------yy"),
            (Record, "read", "-----------y-"),
        ] {
            let place = place(level, permission);
            let got: String = rights
                .iter()
                .map(|(kind, right)| {
                    // A leaf is a group or a record, never both.
                    let other_leaf = matches!((level, kind), (Group, Record) | (Record, Group));
                    let may = !other_leaf && place.permits(*kind, *right, &["ana".into()]);
                    if may { 'y' } else { '-' }
                })
                .collect();
            assert_eq!(got, wanted, "{permission} on a {}", level.as_str());
            for (kind, right) in rights {
                assert!(!place.permits(kind, right, &["bo".into()]), "{permission}: {kind:?} {right:?}");
            }
        }
    }

    #[test]
    fn what_somebody_may_do_is_listed_with_what_follows_from_it() {
        let permissions = |name: &str| Permissions::from([(name.to_owned(), ["ana".to_owned()].into())]);
        let ana = ["ana".to_owned()];
        let bucket = |name| all_of(Kind::Bucket, &permissions(name), &ana);
        assert_eq!(bucket("write"), names(Kind::Bucket));
        assert_eq!(bucket("read"), ["read", "read:attributes"]);
        assert_eq!(bucket("group:create"), ["group:create"]);
        assert_eq!(all_of(Kind::Record, &permissions("write"), &ana), ["read", "write"]);
        assert!(all_of(Kind::Record, &permissions("write"), &["bo".into()]).is_empty());
    }
}
