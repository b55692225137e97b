//! Where objects are: `/buckets/B`, `/buckets/B/groups/G`, `/buckets/B/collections/C/records/R`.

use std::fmt;
use std::sync::Arc;

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `/buckets/B`.
    Bucket,
    /// `/buckets/B/groups/G`.
    Group,
    /// `/buckets/B/collections/C`.
    Collection,
    /// `/buckets/B/collections/C/records/R`.
    Record,
    /// `/buckets/B/history/ID`: what was changed in a bucket.
    History,
    /// `/accounts/NAME`.
    Account,
}

impl Kind {
    /// The word for one, as in answers: `bucket`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bucket => "bucket",
            Self::Group => "group",
            Self::Collection => "collection",
            Self::Record => "record",
            Self::History => "history",
            Self::Account => "account",
        }
    }

    /// The word for many, as in URIs: `buckets`.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Bucket => "buckets",
            Self::Group => "groups",
            Self::Collection => "collections",
            Self::Record => "records",
            Self::History => "history",
            Self::Account => "accounts",
        }
    }
}

/// Whether `id` is one that an object can have: `[a-zA-Z0-9][a-zA-Z0-9_-]*`.
pub fn is_id(id: &str) -> bool {
    let mut bytes = id.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// All objects of a kind with one parent: `/buckets/B/groups`. In this form it is the store's key too.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListUri {
    /// The parent's URI; empty for buckets and accounts. Shared: all objects of a list have it.
    parent: Arc<str>,
    kind: Kind,
}

impl ListUri {
    /// `/buckets`.
    pub fn buckets() -> Self {
        Self { parent: Arc::default(), kind: Kind::Bucket }
    }

    /// `/accounts`.
    pub fn accounts() -> Self {
        Self { parent: Arc::default(), kind: Kind::Account }
    }

    /// `/buckets/B/groups`.
    pub fn groups(bucket: &str) -> Self {
        Self { parent: format!("/buckets/{bucket}").into(), kind: Kind::Group }
    }

    /// `/buckets/B/collections`.
    pub fn collections(bucket: &str) -> Self {
        Self { parent: format!("/buckets/{bucket}").into(), kind: Kind::Collection }
    }

    /// `/buckets/B/history`.
    pub fn history(bucket: &str) -> Self {
        Self { parent: format!("/buckets/{bucket}").into(), kind: Kind::History }
    }

    /// `/buckets/B/collections/C/records`.
    pub fn records(bucket: &str, collection: &str) -> Self {
        Self { parent: format!("/buckets/{bucket}/collections/{collection}").into(), kind: Kind::Record }
    }

    /// What its objects are.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The object that its objects belong to; `None` for buckets and accounts.
    pub fn parent(&self) -> Option<ObjectUri> {
        let mut parts = self.parent.split('/').skip(1);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some("buckets"), Some(bucket), None, None) => Some(ObjectUri::bucket(bucket)),
            (Some("buckets"), Some(bucket), Some("collections"), Some(collection)) => {
                Some(ObjectUri::collection(bucket, collection))
            }
            _ => None,
        }
    }

    /// The bucket that all of it is in; `None` for buckets and accounts.
    pub fn bucket_id(&self) -> Option<&str> {
        self.parent.split('/').nth(2)
    }

    /// The collection that its records are in.
    pub fn collection_id(&self) -> Option<&str> {
        self.parent.split('/').nth(4)
    }

    /// One of its objects.
    pub fn object(&self, id: impl Into<String>) -> ObjectUri {
        ObjectUri { list: self.clone(), id: id.into() }
    }
}

impl fmt::Display for ListUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.parent, self.kind.plural())
    }
}

/// One object: `/buckets/B/groups/G`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectUri {
    /// The list that it is in.
    pub list: ListUri,
    /// Its id, unique in the list.
    pub id: String,
}

impl ObjectUri {
    /// `/buckets/B`.
    pub fn bucket(bucket: &str) -> Self {
        ListUri::buckets().object(bucket)
    }

    /// `/buckets/B/groups/G`.
    pub fn group(bucket: &str, group: &str) -> Self {
        ListUri::groups(bucket).object(group)
    }

    /// `/buckets/B/collections/C`.
    pub fn collection(bucket: &str, collection: &str) -> Self {
        ListUri::collections(bucket).object(collection)
    }

    /// `/buckets/B/collections/C/records/R`.
    pub fn record(bucket: &str, collection: &str, record: &str) -> Self {
        ListUri::records(bucket, collection).object(record)
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.list.kind
    }

    /// The bucket that it is in, or is; `None` for accounts.
    pub fn bucket_id(&self) -> Option<&str> {
        match self.kind() {
            Kind::Bucket => Some(&self.id),
            _ => self.list.bucket_id(),
        }
    }

    /// The collection that it is in, or is.
    pub fn collection_id(&self) -> Option<&str> {
        match self.kind() {
            Kind::Collection => Some(&self.id),
            _ => self.list.collection_id(),
        }
    }
}

impl fmt::Display for ObjectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.list, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_written_as_clients_write_them() {
        for (uri, text) in [
            (ObjectUri::bucket("b"), "/buckets/b"),
            (ObjectUri::group("b", "g"), "/buckets/b/groups/g"),
            (ObjectUri::collection("b", "c"), "/buckets/b/collections/c"),
            (ObjectUri::record("b", "c", "r"), "/buckets/b/collections/c/records/r"),
            (ListUri::history("b").object("x"), "/buckets/b/history/x"),
            (ListUri::accounts().object("ana"), "/accounts/ana"),
        ] {
            assert_eq!(uri.to_string(), text);
        }
    }

    #[test]
    fn an_object_knows_what_it_is_in() {
        let record = ObjectUri::record("b", "c", "r");
        assert_eq!((record.bucket_id(), record.collection_id()), (Some("b"), Some("c")));
        assert_eq!(record.list.parent(), Some(ObjectUri::collection("b", "c")));
        assert_eq!(record.list.parent().unwrap().list.parent(), Some(ObjectUri::bucket("b")));
        assert_eq!(ListUri::buckets().parent(), None);
        assert_eq!(ObjectUri::bucket("b").bucket_id(), Some("b"));
        assert_eq!(ListUri::accounts().object("a").bucket_id(), None);
    }

    #[test]
    fn ids_are_letters_digits_dashes_and_underscores() {
        for good in ["a", "A-b_9", "0"] {
            assert!(is_id(good), "{good}");
        }
        for bad in ["", "-a", "_a", "a.b", "a b", "a/b", "é", "a\0"] {
            assert!(!is_id(bad), "{bad}");
        }
    }
}
